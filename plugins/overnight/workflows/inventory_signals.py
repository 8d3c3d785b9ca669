"""Inventory signals: the full catalogue is scored in pandas; only exceptions are explained, and every figure is checked.

A row a SKU with its stock snapshot; sales by day lie beside the queue (`data/inventory_signals/sales*.csv`). The model adds
words to numbers that stand; it computes none, prices nothing and orders nothing.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from overnight.validation import wording
from overnight.workflow import Expectation, Finding, Mode, Review, Severity, Step, Workflow
from overnight.workflows._fields import Day, Money, Number, QueueRow, Whole

_FIGURE = re.compile(r"(?<![\w.])[+-]?\d+(?:[.,]\d+)*(?:\s?%| per ?cent)?")
_DATE = re.compile(r"\b\d{4}-\d{2}-\d{2}\b")
# The windows a pace is taken over; how long stock lasts is a figure like any other.
_LASTING = ("another", "covers", "cover", "cover of", "covers about", "lasts", "lasts for", "last for", "last another",
            "enough for", "out in", "ends in", "gone in", "worth of", "stock for", "left for", "remains for")  # fmt: skip
_NO_WINDOW = "".join(f"(?<!{words} )" for words in _LASTING)
_WINDOWS = re.compile(
    rf"(?<![\d.,]){_NO_WINDOW}(?:7|28|30|60|90)(?:[ -]days?\b|(?=-?,? (?:and |or |to )?(?:the )?(?:7|28|30|60|90)(?:-|[ -]day)))"
    r"|\b(?:last|past|latest) (?:7|28|30|60|90)\b", re.IGNORECASE,
)  # fmt: skip
ROUNDING = 0.005  # a figure may be rounded, by so much of itself or by half a unit of what it is given in


class StockRow(QueueRow):
    """One SKU's stock as of one moment. Lead times are supplied; they cannot be read out of sales."""

    sku: str = Field(min_length=1, max_length=64)
    snapshot_at: datetime
    title: str = Field(default="", max_length=300)
    marketplace: str = Field(default="", max_length=20)
    available: Whole | None = Field(default=None, ge=-1_000_000)  # empty: nobody knows, which is not none
    reserved: Whole = Field(default=0, ge=0)
    inbound: Whole = Field(default=0, ge=0)
    inbound_eta: Day | None = None
    lead_time_days: Number | None = Field(default=None, gt=0, le=400)
    lead_time_sd: Number = Field(default=0.0, ge=0, le=200)
    moq: Whole = Field(default=1, ge=1)
    case_pack: Whole = Field(default=1, ge=1)
    unit_cost: Money = Field(default=0.0, ge=0)
    price: Money = Field(default=0.0, ge=0)
    service_level: Whole = Field(default=95, ge=50, le=99)
    aged_units: Whole = Field(default=0, ge=0)
    status: Literal["active", "launch", "discontinued"] = "active"


class Anomaly(StockRow):
    """What an explanation is made of: the row and everything that was computed about it."""

    signal: str
    severity: str
    numbers: dict[str, float | int | str | None]


class Explanation(BaseModel):
    """Words for numbers that stand."""

    narrative: str = Field(min_length=20, max_length=900)
    drivers: list[Literal["demand", "promotion", "season", "supply", "lead_time", "listing", "data", "unknown"]] = Field(
        max_length=4
    )
    question: str = Field(min_length=5, max_length=300)
    confidence: float = Field(ge=0, le=1)


def figures_are_the_tables(item: Anomaly, answer: Explanation) -> Iterator[Finding]:
    """Every figure in the words is one of the table's, at most rounded."""
    known = [float(value) for value in [*item.numbers.values(), *_own(item)] if isinstance(value, int | float)]
    dates = {str(value) for value in item.numbers.values() if isinstance(value, str)} | {str(item.inbound_eta)}
    dates.add(item.snapshot_at.date().isoformat())
    for field, text in (("narrative", answer.narrative), ("question", answer.question)):
        for day in _DATE.findall(text):
            if day not in dates:
                yield Finding("figures_are_the_tables", Severity.FAIL, "A date that is not in the table.", field, day)
        plain = _WINDOWS.sub(" ", _DATE.sub(" ", text)).replace(item.sku, " ").replace(item.title or "\0", " ")
        for found in _FIGURE.findall(plain):
            digits = found.rstrip("% percnt")
            value = float(digits.replace(",", "") if re.fullmatch(r"\d{1,3}(?:,\d{3})+", digits) else digits.replace(",", "."))
            # A share of the table is told in per cent; the service level is given so.
            those = [*(one * 100 for one in known), float(item.service_level)] if digits != found else known
            if not any(_same(abs(value), one, digits) for one in those):
                yield Finding("figures_are_the_tables", Severity.FAIL, "A figure that is not in the table.", field, found)


def _own(item: Anomaly) -> list[float]:
    given = (item.available, item.reserved, item.inbound, item.lead_time_days, item.lead_time_sd, item.moq, item.case_pack,
             item.service_level, item.aged_units, item.unit_cost, item.price)  # fmt: skip
    return [*(float(value) for value in given if value is not None), *map(float, re.findall(r"\d+(?:\.\d+)?", item.title))]


def _same(value: float, known: float, written: str) -> bool:
    """Whether a written figure is a known one, within its own rounding."""
    decimals = len(written.rpartition(".")[2]) if "." in written else 0
    half = 0.5 * 10**-decimals
    return bool(abs(value - abs(known)) <= max(half, ROUNDING * abs(known)))


def nothing_ordered_or_priced(item: Anomaly, answer: Explanation) -> Iterator[Finding]:
    """No advice on prices; nothing is said to have been done."""
    texts = {"narrative": answer.narrative, "question": answer.question}
    yield from wording.claims(texts, "price_advice", rule="nothing_ordered_or_priced")
    yield from wording.injected(texts)
    if answer.confidence < 0.6:
        yield Finding("confidence", Severity.WARN, "The model is not sure.", "confidence", f"{answer.confidence:.2f}")


def _to_explain(item: dict[str, Any], outputs: Mapping[str, dict[str, Any]]) -> dict[str, Any] | None:
    """Only exceptions, and of those the ones that matter most, are worth a request."""
    scored = outputs["score"]
    if not scored["explain"]:
        return None
    numbers = {name: value for name, value in scored.items() if name not in ("signal", "severity", "explain", "why")}
    return {**item, "signal": scored["signal"], "severity": scored["severity"], "numbers": numbers}


WORKFLOW = Workflow(
    name="inventory_signals",
    title="Inventory signals",
    item=StockRow,
    answer=Explanation,
    id_field="sku",
    rules=(figures_are_the_tables, nothing_ordered_or_priced),
    expectations=(
        Expectation("ExpectColumnValuesToBeUnique", {"column": "key"}, Severity.FAIL),
        Expectation("ExpectColumnValuesToNotBeNull", {"column": "signal"}, Severity.FAIL),
        Expectation("ExpectColumnValuesToBeBetween", {"column": "velocity", "min_value": 0}, Severity.FAIL),
        Expectation(
            "ExpectColumnMeanToBeBetween", {"column": "is_data_quality", "min_value": 0, "max_value": 0.1}, Severity.NOTE
        ),
    ),
    table=lambda row: {
        "signal": row.answer.get("signal"),
        "severity": row.answer.get("severity"),
        "velocity": row.answer.get("velocity"),
        "is_data_quality": row.answer.get("signal") == "data_quality",
    },
    review=Review(
        minutes=40,
        title=lambda item: f"{item.get('sku', '')} {item.get('title', '')}".strip(),
        mode=Mode.DIGEST,
        first=("signal", "severity", "narrative", "question", "days_of_cover", "velocity", "suggested_order", "stockout_on"),
        editable=("narrative", "question"),
        digest="overnight.workflows._digests.inventory_signals:digest",
        sample=0,
    ),
    targets=("csv", "json"),
    cap=20_000,
    vendor="openai",
    model="gpt-5-mini",
    max_output_tokens=900,
    fallback=("gemini", "gemini-2.5-flash"),
    steps=(
        Step("score", compute="overnight.workflows._steps.inventory_signals:score"),
        Step("explain", after=("score",), take=_to_explain, item=Anomaly, optional=True),
    ),
)
