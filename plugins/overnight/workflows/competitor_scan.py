"""Competitor scan: 20 to 50 competitors. Pages are read politely and compared in code; a model says what a change may mean.

gather (code) → analyse (a request a competitor with changes) → rank (code) → digest (one request for the leadership page).
Matches with our own catalogue are found in code and called sure only where brand and model number agree.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, field_validator

from overnight.validation import wording
from overnight.workflow import Expectation, Finding, Mode, Review, Severity, Step, Workflow
from overnight.workflows._fields import QueueRow, Texts, Urls

_AMAZON = re.compile(r"(?:^|\.)(?:amazon\.(?:[a-z]{2,3}|com?\.[a-z]{2})|amzn\.(?:to|eu|com|asia)|a\.co)$", re.IGNORECASE)


class Competitor(QueueRow):
    """Whom to look at, and where. A week's scan has ids of its own."""

    competitor_id: str = Field(min_length=1, max_length=64)
    name: str = Field(min_length=2, max_length=120)
    urls: Urls = Field(min_length=1, max_length=30)
    watch: Texts = Field(default_factory=list, max_length=20)
    relevance: Literal["low", "normal", "high"] = "normal"

    @field_validator("urls")
    @classmethod
    def _no_amazon(cls, urls: list[str]) -> list[str]:
        if refused := [url for url in urls if _AMAZON.search(urlsplit(url).hostname or "")]:
            raise ValueError(f"Amazon's own pages are not read ({refused[0]}): its terms forbid it. Use a licensed feed")
        return urls


class Change(BaseModel):
    """One difference, computed: what it was, what it is, where and when that was seen."""

    number: int
    type: str
    title: str
    before: str
    after: str
    pct: float | None = None
    sku: str | None = None
    match: Literal["sure", "possible", "none"] = "none"
    our_price: float | None = None
    url: str
    observed_at: str
    doubtful: str = ""


class Changes(Competitor):
    """What the analysis is made of."""

    changes: list[Change] = Field(min_length=1, max_length=60)


class Meaning(BaseModel):
    """What one change may mean, and what somebody might ask about it."""

    number: int
    meaning: str = Field(min_length=5, max_length=500)
    question: str = Field(max_length=300)
    weight: Literal["low", "medium", "high"]


class Analysis(BaseModel):
    """One competitor's changes, read."""

    headline: str = Field(min_length=5, max_length=200)
    meanings: list[Meaning] = Field(max_length=60)


class NightOfChanges(BaseModel):
    """What the leadership digest is made of."""

    name: str
    night: str
    competitors: list[dict[str, Any]] = Field(max_length=60)


class Line(BaseModel):
    """One line of the digest."""

    competitor: str = Field(min_length=2, max_length=120)
    line: str = Field(min_length=5, max_length=300)


class Leadership(BaseModel):
    """The page a leader reads in two minutes."""

    headline: str = Field(min_length=5, max_length=200)
    lines: list[Line] = Field(max_length=12)
    questions: list[str] = Field(max_length=6)


def _said(answer: Analysis | Leadership) -> dict[str, str]:
    if isinstance(answer, Analysis):
        meanings = {f"change {one.number}": f"{one.meaning} {one.question}" for one in answer.meanings}
        return {"headline": answer.headline, **meanings}
    lines = {f"line {n}": one.line for n, one in enumerate(answer.lines, start=1)}
    return {"headline": answer.headline, **lines, **wording.many("question", answer.questions)}


def every_change_once(item: Changes, answer: Analysis) -> Iterator[Finding]:
    """The answer speaks of the changes there are, each once."""
    asked, told = {change.number for change in item.changes}, [one.number for one in answer.meanings]
    if strange := sorted(set(told) - asked):
        yield Finding("every_change_once", Severity.FAIL, "It speaks of a change that is none.", "meanings", str(strange[:5]))
    if len(set(told)) < len(told):
        yield Finding("every_change_once", Severity.FAIL, "It speaks of one change twice.", "meanings")
    if left := sorted(asked - set(told)):
        yield Finding("every_change_once", Severity.WARN, "Changes that were left out.", "meanings", str(left[:10]))


def figures_are_the_tables(item: Changes, answer: Analysis) -> Iterator[Finding]:
    """Every figure is one that was computed."""
    known = [f"{c.before} {c.after} {c.title} {c.our_price} {c.sku} {c.number} {c.observed_at}" for c in item.changes]
    known += [_per_cent(c.pct) for c in item.changes if c.pct is not None]
    known += [str(len(item.changes)), item.name]
    yield from wording.figures(_said(answer), known, severity=Severity.FAIL, rule="figures_are_the_tables")


def _per_cent(share: float) -> str:
    """The ways in which one writes it."""
    return f"{abs(share):.0%} {abs(share):.1%} {abs(share) * 100}"


def nothing_proposed_or_alleged(item: BaseModel, answer: Analysis | Leadership) -> Iterator[Finding]:
    """No advice on prices; an allegation goes to somebody who may make it."""
    yield from wording.claims(_said(answer), "competition", rule="nothing_proposed_or_alleged")
    yield from wording.injected(_said(answer))
    yield from wording.personal_data(_said(answer))


def only_known_names(item: NightOfChanges, answer: Leadership) -> Iterator[Finding]:
    """The digest speaks of the competitors it was given, with their figures."""
    names = {str(one["name"]).casefold() for one in item.competitors}
    for line in answer.lines:
        if line.competitor.casefold() not in names:
            yield Finding("only_known_names", Severity.FAIL, "A competitor nobody asked about.", "lines", line.competitor)
    known = [str(item.competitors), item.night, str(len(item.competitors))]
    shares = (change.get("pct") for one in item.competitors for change in one.get("changes", ()))
    known += [_per_cent(share) for share in shares if share is not None]
    yield from wording.figures(_said(answer), known, severity=Severity.FAIL, rule="only_known_names")


def sure_matches_only(item: Changes, answer: Analysis) -> Iterator[Finding]:
    """A change on a product that is only possibly ours is marked: the match is a person's to make."""
    for change in item.changes:
        if change.match == "possible":
            yield Finding(
                "sure_matches_only", Severity.NOTE, "Only possibly our product.", "changes", f"{change.title} ↔ {change.sku}"
            )
        if change.type == "map_breach":
            yield Finding(
                "map_breach",
                Severity.ESCALATE,
                "Below the minimum advertised price.",
                "changes",
                f"{change.title}: {change.after}",
            )


def _to_analyse(item: dict[str, Any], outputs: Mapping[str, dict[str, Any]]) -> dict[str, Any] | None:
    """A competitor without changes costs nothing."""
    changes = outputs["gather"]["changes"]
    return {**item, "changes": changes} if changes else None


WORKFLOW = Workflow(
    name="competitor_scan",
    title="Competitor scan",
    item=Competitor,
    answer=Analysis,
    id_field="competitor_id",
    rules=(every_change_once, figures_are_the_tables, nothing_proposed_or_alleged, sure_matches_only),
    expectations=(
        Expectation("ExpectColumnValuesToBeUnique", {"column": "key"}, Severity.FAIL),
        Expectation("ExpectColumnValuesToBeBetween", {"column": "changes", "min_value": 0, "max_value": 60}, Severity.FAIL),
    ),
    table=lambda row: {"changes": len(row.answer.get("changes") or []), "offers": row.answer.get("offers"), "step": row.step},
    review=Review(
        minutes=30,
        title=lambda item: str(item.get("name", "")),
        mode=Mode.DIGEST,
        first=("rank", "headline", "lines", "questions", "meanings", "changes"),
        editable=("headline",),
        digest="overnight.workflows._digests.competitor_scan:digest",
        sample=0,
    ),
    targets=("csv", "json"),
    cap=50,
    vendor="anthropic",
    model="claude-sonnet-5",
    max_output_tokens=3_000,
    steps=(
        Step("gather", compute="overnight.workflows._steps.competitor_scan:gather"),
        Step("analyse", after=("gather",), take=_to_analyse, item=Changes),
        Step("rank", after=("analyse",), compute="overnight.workflows._steps.competitor_scan:rank"),
        Step(
            "digest", after=("rank",), whole_night="overnight.workflows._steps.competitor_scan:leadership", item=NightOfChanges,
            answer=Leadership, rules=(only_known_names, nothing_proposed_or_alleged), max_output_tokens=1_500,
        ),
    ),
)  # fmt: skip
