"""Review sentiment: 500 to 5,000 reviews a night, read as one digest with exceptions and a sample.

The model labels; numbers are counted in code. Every quote must stand in the review letter by letter, and safety words are
matched in code whatever the label says. Fields, taxonomy and checks: include/prompts/review_sentiment/doc.md.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from overnight.validation import lexicon, rules, wording
from overnight.workflow import Expectation, Finding, Mode, Review, Severity, Workflow

LOW_CONFIDENCE = 0.6
SHIFT = 1.2  # how far the text's score and the stars may lie apart on the -1..1 scale before a person looks

Aspect = Literal[
    "quality_durability", "fit_size", "material_feel", "appearance_colour", "performance", "ease_of_use",
    "instructions", "packaging", "shipping_delivery", "value_price", "customer_service", "taste_scent",
    "safety_irritation", "compatibility", "listing_accuracy", "other",
]  # fmt: skip
"""Aspect taxonomy, version 1. More than 10 % `other` in a night means it should be extended."""


def _stars(value: Any) -> Any:
    return value.strip().removesuffix(".0") if isinstance(value, str) else value


class ReviewItem(BaseModel):
    """One review as it stands in the queue; no author's name is read."""

    model_config = ConfigDict(populate_by_name=True, str_strip_whitespace=True)

    review_id: str = Field(min_length=1, max_length=64)
    source: str = Field(default="store", max_length=64)
    sku: str = Field(min_length=1, max_length=64)
    rating: Annotated[int, BeforeValidator(_stars), Field(ge=1, le=5)]
    title: str = Field(default="", max_length=300)
    body: str = Field(min_length=1, max_length=5000)
    author: str = Field(default="", max_length=200)  # personal: masked wherever it stands in title and body
    department: str = Field(default="", max_length=100)
    product_class: str = Field(default="", max_length=100, alias="class")


class AspectQuote(BaseModel):
    """One aspect the review speaks of, and the words that prove it."""

    aspect: Aspect
    sentiment: Literal["positive", "neutral", "negative"]
    quote: str = Field(min_length=1, max_length=1000)


class ReviewLabel(BaseModel):
    """What the model says about one review."""

    overall: Literal["positive", "neutral", "negative", "mixed"]
    score: float = Field(ge=-1, le=1)
    aspects: list[AspectQuote] = Field(max_length=12)
    issue_type: Literal["none", "defect", "fit", "description", "delivery", "service", "price", "safety", "other"]
    severity: Literal["none", "low", "medium", "high"]
    safety_flag: bool
    competitor_mention: str | None = Field(max_length=200)
    feature_request: str | None = Field(max_length=500)
    language: str = Field(min_length=2, max_length=8)
    confidence: float = Field(ge=0, le=1)


def quotes_are_verbatim(item: ReviewItem, answer: ReviewLabel) -> Iterator[Finding]:
    """A quote that is not in the review is invented: the label cannot be trusted."""
    text = f"{item.title}\n{item.body}"
    for aspect in answer.aspects:
        if not rules.is_verbatim(aspect.quote, text):
            yield Finding("quotes_are_verbatim", Severity.FAIL, "A quote does not stand in the review.", "aspects", aspect.quote)


def score_agrees(item: ReviewItem, answer: ReviewLabel) -> Iterator[Finding]:
    """The label and the score of one answer must not contradict each other."""
    wrong = (answer.overall == "positive" and answer.score < 0) or (answer.overall == "negative" and answer.score > 0)
    if wrong:
        said = f"{answer.overall} at {answer.score:+.2f}"
        yield Finding("score_agrees", Severity.FAIL, "The label and its score contradict each other.", "score", said)


def safety_words(item: ReviewItem, answer: ReviewLabel) -> Iterator[Finding]:
    """A safety word in the review puts it first, whatever the model thinks of it; so does the model's own flag."""
    found = lexicon.hits("safety", f"{item.title}\n{item.body}")
    for hit in found:
        yield Finding("safety_words", Severity.ESCALATE, f"Possible safety issue: {hit.why}", "body", hit.found)
    if answer.safety_flag and not found:
        yield Finding("safety_words", Severity.ESCALATE, "The model sees a safety issue.", "safety_flag")


def stars_against_text(item: ReviewItem, answer: ReviewLabel) -> Iterator[Finding]:
    """Stars and text that say opposite things: sarcasm, a slip, or a wrong label. A person looks."""
    stars = (item.rating - 3) / 2
    if abs(stars - answer.score) >= SHIFT:
        said = f"{item.rating} stars, text {answer.score:+.2f}"
        yield Finding("stars_against_text", Severity.WARN, "Stars and text disagree.", "score", said)


def confidence(item: ReviewItem, answer: ReviewLabel) -> Iterator[Finding]:
    """The model itself is unsure."""
    if answer.confidence < LOW_CONFIDENCE:
        said = f"{answer.confidence:.2f}"
        yield Finding("confidence", Severity.WARN, "The model is not sure of this label.", "confidence", said)


def no_personal_data(item: ReviewItem, answer: ReviewLabel) -> Iterator[Finding]:
    """A quote that goes into a report carries nobody's address or number."""
    for aspect in answer.aspects:
        if rules.personal_data(aspect.quote):
            yield Finding("no_personal_data", Severity.WARN, "A quote holds an e-mail address or a phone number.", "aspects")


def orders_to_a_machine(item: ReviewItem, answer: ReviewLabel) -> Iterator[Finding]:
    """A review that speaks to a model may have been obeyed; no text of the answer carries what it asked for."""
    yield from wording.orders({"title": item.title, "body": item.body})
    quotes = wording.many("quote", [aspect.quote for aspect in answer.aspects])
    said = {"competitor_mention": answer.competitor_mention or "", "feature_request": answer.feature_request or ""}
    yield from wording.injected({**said, **quotes})


WORKFLOW = Workflow(
    name="review_sentiment",
    title="Review sentiment",
    item=ReviewItem,
    answer=ReviewLabel,
    id_field="review_id",
    rules=(
        quotes_are_verbatim,
        score_agrees,
        safety_words,
        stars_against_text,
        confidence,
        no_personal_data,
        orders_to_a_machine,
    ),
    expectations=(
        Expectation("ExpectColumnValuesToBeUnique", {"column": "key"}, Severity.FAIL),
        Expectation("ExpectColumnValuesToBeBetween", {"column": "score", "min_value": -1, "max_value": 1}, Severity.FAIL),
        Expectation("ExpectColumnValuesToNotBeNull", {"column": "overall"}, Severity.FAIL),
        Expectation("ExpectColumnMeanToBeBetween", {"column": "is_other", "min_value": 0, "max_value": 0.1}, Severity.NOTE),
        Expectation("ExpectColumnMeanToBeBetween", {"column": "confidence", "min_value": LOW_CONFIDENCE}, Severity.NOTE),
    ),
    table=lambda row: {
        **{name: row.answer[name] for name in ("score", "overall", "confidence")},  # what is expected of; nights here are long
        "is_other": any(a["aspect"] == "other" for a in row.answer["aspects"]),
    },
    review=Review(
        minutes=30,
        title=lambda item: f"{'★' * item['rating']}{'☆' * (5 - item['rating'])} {item['sku']}",
        mode=Mode.DIGEST,
        first=("overall", "score", "aspects"),
        editable=("overall", "issue_type", "severity"),
        digest="overnight.workflows._digests.review_sentiment:digest",
    ),
    targets=("csv", "json"),
    labels=("overall", "issue_type", "severity"),
    kinds=("rating", "source", "department"),
    cap=5_000,
    vendor="openai",
    model="gpt-5-nano",
    max_output_tokens=1_500,
    pack=20,
    reuse=True,
    fallback=("gemini", "gemini-2.5-flash-lite"),
)
