"""The contract of a workflow: what it asks, what it expects back, and how its night runs.

One file in `workflows/` declares one `WORKFLOW`. Imported at Dag parse, so nothing here may import more than pydantic.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any

from pydantic import BaseModel

from overnight import finder
from overnight.clock import NightTimes


class Severity(StrEnum):
    """What a finding does: FAIL keeps the item from review as good, ESCALATE puts it first, WARN marks it, NOTE informs."""

    FAIL = "fail"
    ESCALATE = "escalate"
    WARN = "warn"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing a rule noticed about one answer, in words a reviewer understands."""

    rule: str
    severity: Severity
    message: str
    field: str | None = None
    evidence: str | None = None


@dataclass(frozen=True, slots=True)
class NightRow:
    """One good answer as the night's rules see it: beside all others."""

    item_id: int
    item: dict[str, Any]
    answer: dict[str, Any]
    findings: tuple[Finding, ...] = ()


def scalars(row: NightRow) -> dict[str, Any]:
    """The plain values of an answer, as columns."""
    return {k: v for k, v in row.answer.items() if isinstance(v, str | int | float | bool) or v is None}


ItemRule = Callable[[Any, Any], Iterable[Finding]]
NightRule = Callable[[Sequence[NightRow]], Iterable[tuple[int, Finding]]]


class Mode(StrEnum):
    """How a night is reviewed: ITEM one after the other with the checklist, GRID many at a glance, DIGEST one for most."""

    ITEM = "item"
    GRID = "grid"
    DIGEST = "digest"


@dataclass(frozen=True, slots=True)
class Review:
    """How people see the night's output.

    `title` names an item on the page; `digest` (where there is one) turns the night's rows into the one page
    that stands for all of them, and says which items need eyes of their own.
    """

    minutes: int
    title: Callable[[Mapping[str, Any]], str]
    digest: str | None = None  # "module:function", imported only when a night is validated (it may need pandas)
    sample: int = 20
    mode: Mode = Mode.ITEM
    first: tuple[str, ...] = ()  # answer fields in the order people read them; the others follow
    before: Mapping[str, str] = field(default_factory=dict)  # answer field → the item's field that holds today's text
    editable: tuple[str, ...] = ()  # the text fields people may edit; empty: all of them
    document: str | None = None  # a field long enough for a document of its own, where the surface can make one


@dataclass(frozen=True, slots=True)
class Expectation:
    """One expectation on the night's table, by Great Expectations' own name, e.g. `ExpectColumnValuesToBeInSet`."""

    name: str
    arguments: Mapping[str, Any]
    severity: Severity = Severity.WARN


@dataclass(frozen=True, slots=True)
class Workflow:
    """One of the ten: declared once, run by the shared operators."""

    name: str
    title: str
    item: type[BaseModel]
    answer: type[BaseModel]
    id_field: str
    rules: tuple[ItemRule, ...]
    review: Review
    cap: int  # items a night; the fixed cap until reviewers' capacity sets it
    vendor: str
    model: str
    max_output_tokens: int
    night_rules: tuple[NightRule, ...] = ()
    expectations: tuple[Expectation, ...] = ()
    table: Callable[[NightRow], Mapping[str, Any]] = scalars  # one row of the table the expectations judge
    steps: tuple[str, ...] = ("answer",)
    times: NightTimes = field(default_factory=NightTimes)
    source: str = ""  # where its queue is; empty: where the brand's queues are
    surface: str = ""  # where its review is; empty: where the brand's reviews are
    targets: tuple[str, ...] = ("json",)  # what approved items are delivered as
    rounds: int = 3  # times reviewers may send an item back before it is a person's to write
    prompt: str = ""  # its prompt folder, where that is not its name: in a replay only
    lesson: str | None = None  # one rule on trial: in a replay only
    attempts: int = 3  # nights an item may be sent again after a transient failure
    shard_requests: int = 5_000  # requests in one batch: well under every vendor's limit, and each batch is one task
    pack: int = 1  # items in one request; small items share the prompt's cost
    reuse: bool = False  # answer identical inputs from the ledger: right for labels, wrong for drafts
    repairs: int = 1  # times an item with no good answer is asked again in the same night
    cache: bool = True  # let the vendor keep the prompt's stable part, where that pays
    patience: timedelta = timedelta(hours=6)  # a batch that makes no progress for so long is stuck
    fallback: tuple[str, str] | None = None  # (vendor, model) that takes over from a stuck or broken one

    @property
    def prompt_folder(self) -> str:
        """The name of its folder under include/prompts."""
        return self.prompt or self.name

    def models(self) -> tuple[tuple[str, str], ...]:
        """Every (vendor, model) this workflow may ask."""
        return ((self.vendor, self.model), *((self.fallback,) if self.fallback else ()))


def workflow(name: str) -> Workflow:
    """The workflow called `name`; an unknown name is answered with the ones there are."""
    found = finder.find("overnight.workflows", name).WORKFLOW
    assert isinstance(found, Workflow), f"overnight/workflows/{name}.py does not declare WORKFLOW"  # noqa: S101
    return found


def workflow_names() -> list[str]:
    """Every workflow there is."""
    return finder.names("overnight.workflows")
