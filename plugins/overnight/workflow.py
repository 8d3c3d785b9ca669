"""The contract of a workflow: what it asks, what it expects back, and how its night runs.

One file in `workflows/` declares one `WORKFLOW`. Imported at Dag parse, so nothing here may import more than pydantic.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
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
    step: str = ""  # the last step it came to


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
class StepRow:
    """One item as a step in code sees it: what was queued, and what the steps before it brought."""

    item_id: int
    key: str
    item: dict[str, Any]
    outputs: Mapping[str, dict[str, Any]] = field(default_factory=dict)  # step → its good answer


@dataclass(frozen=True, slots=True)
class Computed:
    """What a step in code found out about one item; with an `error` and no output, the item has no good answer."""

    item_id: int
    output: dict[str, Any] | None
    findings: tuple[Finding, ...] = ()
    error: str | None = None
    retryable: bool = True


@dataclass(frozen=True, slots=True)
class NightFacts:
    """What a step in code may know of its night."""

    workflow: str
    night: str  # the night's label: what is written down under it is found again when the step runs again
    now: datetime


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a chain. What it does not say is the workflow's own; what it says of itself holds for it alone.

    `take` makes the step's input out of the queued row and the good answers of the steps before it; None: this item needs no
    such step and is finished. Of a `whole_night` step it is handed every row, and makes the input of its one question.
    """

    name: str
    after: tuple[str, ...] = ()
    compute: str = ""  # "module:function", (rows, facts) → what it found: a step in code, nothing is bought
    take: Callable[[dict[str, Any], Mapping[str, dict[str, Any]]], dict[str, Any] | None] | None = None
    whole_night: str = ""  # "module:function", (rows, facts) → input or None: one question about all items
    plain: bool = False  # given its own input alone: no context, no reviewer's note, no earlier answer
    shown: bool = True  # its answer is part of what people review
    optional: bool = False  # without a good answer here the item stands as it was before this step
    item: type[BaseModel] | None = None
    answer: type[BaseModel] | None = None
    rules: tuple[ItemRule, ...] | None = None
    vendor: str = ""
    model: str = ""
    max_output_tokens: int = 0
    pack: int = 0
    reuse: bool | None = None
    repairs: int | None = None
    fallback: tuple[str, str] | None = None


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
    urgent: Callable[[Any], str | None] | None = None  # why a row cannot wait for the night, found in code before the lock
    expectations: tuple[Expectation, ...] = ()
    table: Callable[[NightRow], Mapping[str, Any]] = scalars  # one row of the table the expectations judge
    steps: tuple[Step, ...] = (Step("answer"),)
    plain: bool = False  # asked without context, note and earlier answer (a step says so)
    step: str = ""  # which of its steps this is a view of (`at`); empty: the workflow as it is declared
    times: NightTimes = field(default_factory=NightTimes)
    source: str = ""  # where its queue is; empty: where the brand's queues are
    surface: str = ""  # where its review is; empty: where the brand's reviews are
    targets: tuple[str, ...] = ("json",)  # what approved items are delivered as
    labels: tuple[str, ...] = ()  # answer fields of few values: a night that spreads them otherwise than the last 28 days is told
    kinds: tuple[str, ...] = ()  # … and the same for fields of the queued row
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
        """Every (vendor, model) this step may ask."""
        return ((self.vendor, self.model), *((self.fallback,) if self.fallback else ()))

    def asked(self) -> tuple["Workflow", ...]:
        """A view of each step that asks a vendor."""
        return tuple(self.at(step.name) for step in self.steps if not step.compute)

    def at(self, name: str) -> "Workflow":
        """This workflow as one of its steps sees it: that step's input, answer, rules, model and limits for its own.

        Raises:
            LookupError: there is no such step.
        """
        if self.step:
            return self  # a view already
        one = self.step_named(name)
        said = {
            "item": one.item, "answer": one.answer, "rules": one.rules, "vendor": one.vendor, "model": one.model,
            "max_output_tokens": one.max_output_tokens, "pack": one.pack, "reuse": one.reuse, "repairs": one.repairs,
        }  # fmt: skip
        changed: dict[str, Any] = {name: value for name, value in said.items() if value not in (None, "", 0) or value is False}
        changed |= {"repairs": one.repairs} if one.repairs is not None else {}
        own_model = bool(one.vendor or one.model)
        return replace(
            self, step=name, plain=one.plain, fallback=one.fallback if own_model or one.fallback else self.fallback, **changed
        )

    def has(self, name: str) -> bool:
        """Whether it has a step of that name."""
        return any(step.name == name for step in self.steps)

    def step_named(self, name: str) -> Step:
        """One of its steps."""
        for step in self.steps:
            if step.name == name:
                return step
        raise LookupError(f"{self.name} has no step {name!r}; it has {', '.join(step.name for step in self.steps)}")

    def model_of(self, output: Mapping[str, Any]) -> type[BaseModel] | None:
        """The answer model that an output was made by: the last step's whose fields are all there; None: it is all code's."""
        view = self.maker_of(output)
        return view.answer if view else None

    def maker_of(self, output: Mapping[str, Any]) -> "Workflow | None":
        """The view of the last step whose answer's fields an output has all; None: it is all code's."""
        return next((view for view in reversed(self.asked()) if set(view.answer.model_fields) <= set(output)), None)

    @property
    def main(self) -> str:
        """The step whose answer the workflow declares: the last one that asks about single items."""
        return next(step.name for step in reversed(self.steps) if not step.compute and not step.whole_night)

    @property
    def of_the_night(self) -> tuple[str, ...]:
        """The steps that ask one question about all items."""
        return tuple(step.name for step in self.steps if step.whole_night)

    @property
    def first_steps(self) -> tuple[Step, ...]:
        """The steps that wait for no other."""
        return tuple(step for step in self.steps if not step.after)

    def following(self, name: str) -> tuple[Step, ...]:
        """The steps that come right after one."""
        return tuple(step for step in self.steps if name in step.after)


def workflow(name: str) -> Workflow:
    """The workflow called `name`; an unknown name is answered with the ones there are."""
    found = finder.find("overnight.workflows", name).WORKFLOW
    assert isinstance(found, Workflow), f"overnight/workflows/{name}.py does not declare WORKFLOW"  # noqa: S101
    return found


def workflow_if_known(name: str) -> Workflow | None:
    """The same; None for one that was taken out of the package: its old nights can still be read."""
    try:
        return workflow(name)
    except finder.UnknownName:
        return None


def workflow_names() -> list[str]:
    """Every workflow there is."""
    return finder.names("overnight.workflows")


SHARED_DAGS = ("audit_digest", "good_morning", "launch_test", "morning_review", "retention", "tonight", "watchdog")
"""The Dags that serve all workflows."""
