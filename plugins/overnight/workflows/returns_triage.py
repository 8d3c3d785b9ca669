"""Returns triage: 50 to 200 returns a night get one taxonomy out of Shopify's and Amazon's codes and the customer's words.

What cannot wait never enters the night: injury, fire, legal threats, chargebacks and high values leave before the lock, found
in code. The mapping of codes is a table (include/taxonomies/returns.yaml); nothing here changes a refund.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Literal

import yaml
from pydantic import BaseModel, Field, model_validator

from overnight.validation import lexicon, rules, wording
from overnight.workflow import Expectation, Finding, Mode, Review, Severity, Step, Workflow, scalars
from overnight.workflows._fields import Day, Money, QueueRow

LOW_CONFIDENCE = 0.6
Reason = Literal[
    "size_fit", "quality_defect", "damaged_in_transit", "wrong_item_or_missing_parts", "not_as_described",
    "style_colour_preference", "changed_mind", "late_or_undelivered", "compatibility", "ordered_by_mistake", "price",
    "safety_or_health", "suspected_abuse", "unknown",
]  # fmt: skip
"""Taxonomy version 1: one list for every channel."""


class Return(QueueRow):
    """One return. Who sent it back is a band of return rates; a name is taken only to keep it from the vendor."""

    return_id: str = Field(min_length=1, max_length=64)
    channel: Literal["shopify", "amazon", "store"] = "shopify"
    sku: str = Field(min_length=1, max_length=64)
    order_date: Day
    return_date: Day
    reason_code: str = Field(default="", max_length=80)
    comment: str = Field(default="", max_length=3000)
    value_usd: Money = Field(default=0.0, ge=0)
    disposition: str = Field(default="", max_length=40)
    return_rate_band: Literal["", "low", "medium", "high"] = ""
    customer_name: str = Field(default="", max_length=200)  # personal: masked wherever it stands in the comment

    @model_validator(mode="after")
    def _in_order(self) -> "Return":
        if self.return_date < self.order_date:
            raise ValueError(f"returned on {self.return_date}, before it was ordered on {self.order_date}")
        return self


class Triage(BaseModel):
    """What the return was about, whose it is to fix, and how sure that is."""

    reason: Reason
    detail: str = Field(min_length=2, max_length=200)
    owner: Literal["product", "listing", "warehouse", "carrier", "customer", "unknown"]
    fixable_by: Literal["listing", "quality_control", "packaging", "size_guide", "none"]
    urgency: Literal["routine", "same_day", "immediate"]
    fraud_signal: Literal["none", "review"]
    fraud_evidence: str = Field(max_length=400)
    suggested_disposition: Literal["restock", "inspect", "refurbish", "liquidate", "dispose", "unknown"]
    conflicts_with_code: bool
    evidence_quote: str = Field(max_length=500)
    confidence: float = Field(ge=0, le=1)


@lru_cache(maxsize=1)
def taxonomy() -> dict[str, Any]:
    """Both channels' codes and what they mean in one taxonomy, and what may not wait."""
    from overnight.brand import include_dir

    loaded: dict[str, Any] = yaml.safe_load((include_dir() / "taxonomies" / "returns.yaml").read_text(encoding="utf-8"))
    return loaded


def mapped(code: str) -> tuple[str, ...]:
    """The reasons a channel's code may stand for; none where the code says nothing or is not known."""
    said = re.sub(r"[\s-]+", "_", code.strip().upper()).removeprefix("CR_")
    codes: dict[str, list[str]] = taxonomy()["codes"]
    for known, reasons in codes.items():
        if said == known or (known.endswith("*") and said.startswith(known[:-1])):
            return tuple(reasons)
    return ()


def urgent(item: Return) -> str | None:
    """Why this return cannot wait for the night, or None. Plain code: no model is asked before somebody is."""
    if hits := lexicon.hits("safety", item.comment):
        return f"possible injury or danger ({hits[0].term})"
    if hits := lexicon.hits("legal", item.comment):
        return f"{hits[0].term}"
    limit = float(taxonomy()["urgent_value_usd"])
    return f"its value of ${item.value_usd:.2f} is over ${limit:.0f}" if item.value_usd >= limit else None


def quote_is_verbatim(item: Return, answer: Triage) -> Iterator[Finding]:
    """The evidence stands in the comment letter by letter; without a comment there is none."""
    if answer.evidence_quote and not rules.is_verbatim(answer.evidence_quote, item.comment):
        yield Finding(
            "quote_is_verbatim",
            Severity.FAIL,
            "The quote does not stand in the comment.",
            "evidence_quote",
            answer.evidence_quote,
        )
    if item.comment and not answer.evidence_quote and answer.reason not in ("unknown", *mapped(item.reason_code)):
        yield Finding(
            "quote_is_verbatim", Severity.WARN, "A reason that the code does not say, without a quote.", "evidence_quote"
        )


def agrees_with_the_code(item: Return, answer: Triage) -> Iterator[Finding]:
    """Where reason and code disagree, the answer says so; a silent disagreement is a wrong label."""
    reasons = mapped(item.reason_code)
    conflict = bool(reasons) and answer.reason not in reasons
    if conflict and not answer.conflicts_with_code:
        yield Finding(
            "agrees_with_the_code", Severity.FAIL, "It contradicts the code and does not say so.", "reason", item.reason_code
        )
    elif conflict:
        said = f"{item.reason_code} → {answer.reason}"
        yield Finding("agrees_with_the_code", Severity.WARN, "The words say something else than the code.", "reason", said)


def dangers(item: Return, answer: Triage) -> Iterator[Finding]:
    """Danger, threats and suspicion go to a person, whatever label they got."""
    if answer.reason == "safety_or_health" or answer.urgency == "immediate":
        yield Finding("dangers", Severity.ESCALATE, "Safety or health: look first.", "reason", answer.evidence_quote)
    if answer.fraud_signal == "review":
        yield Finding("dangers", Severity.ESCALATE, "A pattern that a person judges; nobody is refused by it.", "fraud_signal",
                      answer.fraud_evidence)  # fmt: skip
        if not answer.fraud_evidence.strip():
            yield Finding("dangers", Severity.FAIL, "A suspicion without evidence.", "fraud_evidence")


def no_accusation(item: Return, answer: Triage) -> Iterator[Finding]:
    """The output never calls a customer a liar."""
    for hit in lexicon.hits("accusations", f"{answer.detail} {answer.fraud_evidence}"):
        yield Finding("no_accusation", Severity.FAIL, f"An accusation: {hit.why}.", "detail", hit.found)
    yield from wording.orders({"comment": item.comment})
    yield from wording.injected({"detail": answer.detail, "fraud_evidence": answer.fraud_evidence})
    yield from wording.personal_data({"detail": answer.detail, "fraud_evidence": answer.fraud_evidence})


def confidence(item: Return, answer: Triage) -> Iterator[Finding]:
    """The model itself is unsure."""
    if answer.confidence < LOW_CONFIDENCE:
        yield Finding(
            "confidence", Severity.WARN, "The model is not sure of this label.", "confidence", f"{answer.confidence:.2f}"
        )


WORKFLOW = Workflow(
    name="returns_triage",
    title="Returns triage",
    item=Return,
    answer=Triage,
    id_field="return_id",
    rules=(quote_is_verbatim, agrees_with_the_code, dangers, no_accusation, confidence),
    urgent=urgent,
    expectations=(
        Expectation("ExpectColumnValuesToBeUnique", {"column": "key"}, Severity.FAIL),
        Expectation("ExpectColumnValuesToNotBeNull", {"column": "reason"}, Severity.FAIL),
        Expectation("ExpectColumnMeanToBeBetween", {"column": "is_unknown", "min_value": 0, "max_value": 0.3}, Severity.NOTE),
    ),
    table=lambda row: scalars(row) | {"is_unknown": row.answer["reason"] == "unknown"},
    review=Review(
        minutes=30,
        title=lambda item: (
            f"{item.get('sku', '')} · {item.get('reason_code') or 'no code'} · {str(item.get('comment', ''))[:80]}"
        ),
        mode=Mode.DIGEST,
        first=("reason", "detail", "evidence_quote", "owner", "fixable_by", "urgency"),
        editable=("reason", "detail", "owner", "fixable_by", "urgency", "suggested_disposition"),
        digest="overnight.workflows._digests.returns_triage:digest",
        sample=15,
    ),
    targets=("csv", "json"),
    labels=("reason", "owner", "urgency"),
    kinds=("channel", "reason_code"),
    cap=200,
    vendor="openai",
    model="gpt-5-nano",
    max_output_tokens=800,
    pack=10,
    fallback=("gemini", "gemini-2.5-flash-lite"),
    steps=(Step("triage"),),
)
