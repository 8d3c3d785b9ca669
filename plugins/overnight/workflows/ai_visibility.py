"""AI search visibility: a fixed panel of 50 to 200 questions, asked of several vendors, several times each.

Mentions, their order and citations are found in code; a model judges only how the brand is spoken of, with quotes. What is
measured is the vendors' API without a search tool, and is called so: it is not what a consumer's app shows.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import BaseModel, Field

from overnight.validation import rules
from overnight.workflow import Expectation, Finding, Mode, Review, Severity, Step, Workflow
from overnight.workflows._fields import QueueRow

ENGINES = (("anthropic", "claude-haiku-4-5"), ("openai", "gpt-5-mini"), ("gemini", "gemini-2.5-flash"))
RUNS = 3  # answers an engine gives to each question a night: one answer alone says little (domain 7.9)
ASKS = tuple(f"ask_{vendor}_{run}" for vendor, _ in ENGINES for run in range(1, RUNS + 1))


class Question(QueueRow):
    """One question of the panel. A week's panel has ids of its own; the words stay the same."""

    prompt_id: str = Field(min_length=1, max_length=64)
    panel: str = Field(min_length=1, max_length=40)  # e.g. 2026-W48: the version of the panel and its week
    prompt: str = Field(min_length=5, max_length=500)
    intent: Literal["category", "problem", "comparison", "brand"] = "category"
    funnel_stage: str = Field(default="", max_length=40)
    locale: str = Field(default="en-GB", max_length=8)


class Asked(QueueRow):
    """What an engine is shown: the words a shopper would type, and nothing of what we are after."""

    prompt: str
    locale: str


class Reply(BaseModel):
    """What an engine says to the question, and the pages it names."""

    answer: str = Field(min_length=1, max_length=8000)
    sources: list[str] = Field(max_length=20)


class Spoken(Question):
    """What the judge is shown: the question and each sentence that speaks of the brand, with its engine."""

    brand: str
    sentences: list[str] = Field(min_length=1, max_length=40)


class ClaimAboutUs(BaseModel):
    """Something an engine states about the brand, and whether the brand's own facts bear it out."""

    quote: str = Field(min_length=3, max_length=600)
    about: Literal["price", "quality", "material", "origin", "service", "availability", "safety", "other"]
    accuracy: Literal["true", "false", "unclear"]
    harmful: bool


class Judged(BaseModel):
    """How the engines speak of the brand on one question."""

    sentiment: Literal["positive", "neutral", "negative", "mixed"]
    recommended: bool
    claims: list[ClaimAboutUs] = Field(max_length=20)
    confidence: float = Field(ge=0, le=1)


def quotes_are_verbatim(item: Spoken, answer: Judged) -> Iterator[Finding]:
    """A claim that no engine made is invented."""
    for claim in answer.claims:
        if not any(rules.is_verbatim(claim.quote, sentence) for sentence in item.sentences):
            yield Finding("quotes_are_verbatim", Severity.FAIL, "No engine said this.", "claims", claim.quote)


def harmful_claims(item: Spoken, answer: Judged) -> Iterator[Finding]:
    """Something false or harmful about us is for the owner's eyes first."""
    for claim in answer.claims:
        if claim.harmful:
            yield Finding("harmful_claims", Severity.ESCALATE, f"A harmful claim ({claim.accuracy}).", "claims", claim.quote)
        elif claim.accuracy == "false":
            yield Finding("harmful_claims", Severity.WARN, "Something false is said of us.", "claims", claim.quote)


def confidence(item: Spoken, answer: Judged) -> Iterator[Finding]:
    """The judge itself is unsure."""
    if answer.confidence < 0.6:
        yield Finding("confidence", Severity.WARN, "The judge is not sure.", "confidence", f"{answer.confidence:.2f}")


def whole_reply(item: Asked, answer: Reply) -> Iterator[Finding]:
    """A reply is text; one that is nothing but its own instructions was not an answer to the question."""
    if found := rules.prompt_leak(answer.answer):
        yield Finding("whole_reply", Severity.FAIL, "The reply repeats our instructions.", "answer", found)


def _to_ask(item: dict[str, Any], outputs: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    return {"prompt": item["prompt"], "locale": item["locale"]}


def _to_judge(item: dict[str, Any], outputs: Mapping[str, dict[str, Any]]) -> dict[str, Any] | None:
    """Who is named nowhere has nothing to be judged: nothing is bought."""
    found = outputs["find"]
    sentences = found["about_us"][:40]
    return {**item, "brand": found["brand"], "sentences": sentences} if sentences else None


WORKFLOW = Workflow(
    name="ai_visibility",
    title="AI search visibility",
    item=Question,
    answer=Judged,
    id_field="prompt_id",
    rules=(quotes_are_verbatim, harmful_claims, confidence),
    expectations=(
        Expectation("ExpectColumnValuesToBeUnique", {"column": "key"}, Severity.FAIL),
        Expectation(
            "ExpectColumnValuesToBeBetween", {"column": "answers", "min_value": 1, "max_value": len(ASKS)}, Severity.FAIL
        ),
        Expectation("ExpectColumnMeanToBeBetween", {"column": "answers", "min_value": 0.9 * len(ASKS)}, Severity.NOTE),
    ),
    table=lambda row: {"answers": row.answer.get("answers"), "mentioned": row.answer.get("mentioned")},
    review=Review(
        minutes=30,
        title=lambda item: str(item.get("prompt", "")),
        mode=Mode.DIGEST,
        first=("mentioned", "answers", "mention_rate", "first_position", "sentiment", "recommended", "claims"),
        editable=("sentiment",),
        digest="overnight.workflows._digests.ai_visibility:digest",
        sample=10,
    ),
    targets=("csv", "json"),
    labels=("sentiment",),
    kinds=("intent",),
    cap=200,
    vendor="openai",
    model="gpt-5-nano",
    max_output_tokens=1_500,
    fallback=("gemini", "gemini-2.5-flash-lite"),
    steps=(
        *(
            Step(
                f"ask_{vendor}_{run}",
                vendor=vendor,
                model=model,
                take=_to_ask,
                item=Asked,
                answer=Reply,
                rules=(whole_reply,),
                plain=True,
                shown=False,
                max_output_tokens=1_200,
                repairs=0,
            )
            for vendor, model in ENGINES
            for run in range(1, RUNS + 1)
        ),
        Step("find", after=ASKS, compute="overnight.workflows._steps.ai_visibility:find"),
        Step("judge", after=("find",), take=_to_judge, item=Spoken, optional=True),
    ),
)
