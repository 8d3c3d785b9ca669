"""What becomes of each row at the lock. Pure: rows, what the ledger knows and a cap in; decisions and words out."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import BaseModel, ValidationError

from overnight.ledger.states import ItemState
from overnight.queues.source import Columns, RowAnswer, SourceRow
from overnight.workflow import Workflow

PRIORITIES = {"low": -1, "normal": 0, "": 0, "high": 1}
EXTRA = ("priority", "context")
NO_ID = "(no id)"
_MAX_CONTEXT = 4_000


@dataclass(frozen=True, slots=True)
class Candidate:
    """What a row would be in the ledger."""

    ref: str
    key: str
    content_hash: str
    input: dict[str, Any]
    priority: int
    context: str | None


@dataclass(frozen=True, slots=True)
class Judged:
    """A row as it was read, what is wrong with it (or None), and what it would be in the ledger."""

    row: SourceRow
    problem: str | None
    candidate: Candidate


@dataclass(slots=True)
class Intake:
    """The rows of one look, sorted into new good ones, new bad ones, and those the ledger knows.

    `revived` are rows that were refused, or changed before they were locked, and stand there good now, as the ledger holds them.
    `urged` is the priority that a row of the ledger's has now, by item, where somebody changed it.
    `current` is each row's content as it stands now, by key: other versions that wait are none any more.
    """

    new: list[Candidate] = field(default_factory=list)
    rejected: list[tuple[Candidate, str]] = field(default_factory=list)
    repeated: list[RowAnswer] = field(default_factory=list)
    known: list[tuple[SourceRow, Mapping[Any, Any]]] = field(default_factory=list)
    revived: list[tuple[Candidate, Mapping[Any, Any]]] = field(default_factory=list)
    urged: dict[int, int] = field(default_factory=dict)
    current: dict[str, str] = field(default_factory=dict)


def columns_of(workflow: Workflow) -> Columns:
    """The workflow's columns: its item model's fields by the names people write, and priority and context."""
    fields = [(info.alias or name, info) for name, info in workflow.item.model_fields.items()]
    return Columns(
        required=tuple(name for name, info in fields if info.is_required()),
        optional=(*(name for name, info in fields if not info.is_required()), *EXTRA),
        id_field=workflow.id_field,
    )


KeepBack = Callable[[Mapping[str, Any]], str | None]
"""Why the policy keeps a row from every vendor, or None."""


def judge(workflow: Workflow, rows: Iterable[SourceRow], keep_back: KeepBack | None = None) -> list[Judged]:
    """Validate the rows of one look, each by itself: what the ledger knows of them plays no part yet."""
    return [Judged(row, *_judge(workflow, row, _key(workflow, row), keep_back)) for row in rows]


def let_texts_go(workflow: Workflow, judged: list[Judged]) -> None:
    """Keep of each row what tells it from the others, in place: its texts are in the ledger now."""
    for place, one in enumerate(judged):
        names = {name: value for name, value in one.row.fields.items() if name == workflow.id_field}
        judged[place] = Judged(replace(one.row, fields=names), one.problem, replace(one.candidate, input={}))


def sort(workflow: Workflow, judged: Iterable[Judged], known: Mapping[str, Sequence[Mapping[Any, Any]]]) -> Intake:
    """Tell new rows from known, repeated and bad ones.

    Args:
        known: what the ledger holds for each row id, as `ledger.queue.known_rows` gives it.
    """
    intake, seen = Intake(), dict[str, str]()
    for one in judged:
        row, problem, candidate = one.row, one.problem, one.candidate
        key = _key(workflow, row)
        same = [k for k in known.get(candidate.key, ()) if k["content_hash"] == candidate.content_hash]
        if key and key in seen:
            message = f"Duplicate id: {key[:64]!r} stands already at {seen[key]}. Only that row was taken."
            intake.repeated.append(RowAnswer(row.ref, key, "rejected", message))
        elif same and same[-1]["state"] == ItemState.REJECTED:
            intake.current[candidate.key] = candidate.content_hash
            if problem:  # its content stands in the ledger already; what is wrong with it today may be something else
                intake.repeated.append(RowAnswer(row.ref, key, "rejected", problem))
            else:
                intake.revived.append((candidate, same[-1]))
                intake.urged[same[-1]["id"]] = candidate.priority
                intake.known.append((row, same[-1]))
        elif same:
            intake.current[candidate.key] = candidate.content_hash
            intake.known.append((row, same[-1]))
            if not problem and candidate.priority != same[-1]["priority"]:
                intake.urged[same[-1]["id"]] = candidate.priority
        else:
            intake.current[candidate.key] = candidate.content_hash
            if problem:
                intake.rejected.append((candidate, problem))
            else:
                intake.new.append(candidate)
        if key:
            seen.setdefault(key, row.ref)
    return intake


def _key(workflow: Workflow, row: SourceRow) -> str:
    return row.fields.get(workflow.id_field, "").strip()


def _judge(workflow: Workflow, row: SourceRow, key: str, keep_back: KeepBack | None) -> tuple[str | None, Candidate]:
    raw = {name: value for name, value in row.fields.items() if name not in EXTRA}
    context = row.fields.get("context", "").strip() or None
    priority = row.fields.get("priority", "").strip().lower()
    problem = row.problem or (None if key else f"No id: the column {workflow.id_field} is empty.")
    problem = problem or _priority_problem(priority) or _context_problem(context)
    # Of a refused row, too, only what the workflow asks for is kept: other columns of a sheet are none of our business.
    columns = {info.alias or name for name, info in workflow.item.model_fields.items()}
    data: dict[str, Any] = {name: value for name, value in raw.items() if name in columns}
    if problem is None:
        try:
            given = {name: value for name, value in raw.items() if value.strip()}
            made = workflow.item.model_validate(given)
            data = made.model_dump(mode="json", by_alias=True)
            problem = _cannot_wait(workflow, made) or (keep_back({**data, "context": context}) if keep_back else None)
        except ValidationError as error:
            problem = in_words(workflow.item, error)
    name = (key or f"{NO_ID} {row.ref}")[:250]  # one without an id is told apart by where it stands
    return problem, Candidate(row.ref, name, _hash(data, context), data, PRIORITIES.get(priority, 0), context)


URGENT = "Urgent: "
"""How the answer to a row begins that may not wait for the night."""


def _cannot_wait(workflow: Workflow, made: BaseModel) -> str | None:
    why = workflow.urgent(made) if workflow.urgent else None
    return (
        f"{URGENT}{why}. It does not wait for the night: a person looks at it today. Nothing was queued or sent." if why else None
    )


def _hash(data: Mapping[Any, Any], context: str | None) -> str:
    text = json.dumps([data, context], sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _priority_problem(word: str) -> str | None:
    if word == "urgent":
        return "Urgent work does not wait for the night: a customer is waiting. Use the real-time lane; nothing was queued."
    if word not in PRIORITIES:
        return f"Unknown priority {word[:20]!r}; possible are low, normal and high."
    return None


def _context_problem(context: str | None) -> str | None:
    if context and len(context) > _MAX_CONTEXT:
        return f"The context has {len(context)} characters; {_MAX_CONTEXT} are possible."
    return None


def in_words(model: type[BaseModel], error: ValidationError) -> str:
    """A validation error as a sentence a person at a sheet understands: column, what we got, what we allow."""
    parts = []
    for fault in error.errors(include_url=False):
        column = ".".join(str(part) for part in fault["loc"]) or "row"
        got = _got(fault)
        parts.append(f"{column}: {fault['msg'].removeprefix('Value error, ')}{got}")
    return "; ".join(parts[:5])[:500]


def _got(fault: Mapping[Any, Any]) -> str:
    value = fault.get("input")
    if fault["type"] == "missing" or isinstance(value, dict):
        return ""
    if isinstance(value, str) and len(value) > 40:
        return f" (got {len(value)} characters)"
    return f" (got {value!r})" if isinstance(value, str | int | float) else ""


def order(waiting: Sequence[Mapping[Any, Any]]) -> list[Mapping[Any, Any]]:
    """Who goes first: sent back by a reviewer, then by priority, then by nights waited, then first come."""

    def rank(item: Mapping[Any, Any]) -> tuple[Any, ...]:
        return (
            item["state"] != ItemState.REWORK and not item["note"],  # also one that was carried over since
            -item["priority"] - min(item["nights_waited"], 3),  # three nights over the cap lift anything to the top
            -item["nights_waited"],
            item["id"],
        )

    return sorted(waiting, key=rank)


def representative(ranked: Sequence[Mapping[Any, Any]], most: int, kinds: Sequence[str]) -> list[Mapping[Any, Any]]:
    """A fair sample first, the others after it: every kind of row has its share, whatever its priority.

    A systematic sample over the rows sorted by kind, so that each kind is there in proportion; within a kind the order of the
    content's hash, which nobody chose.
    """

    def kind(item: Mapping[Any, Any]) -> tuple[Any, ...]:
        return (*(str(item["input"].get(name, "")) for name in kinds), item["content_hash"])

    if len(ranked) <= most:
        return list(ranked)
    by_kind = sorted(ranked, key=kind)
    taken = {by_kind[place * len(by_kind) // most]["id"] for place in range(most)}
    return [item for item in ranked if item["id"] in taken] + [item for item in ranked if item["id"] not in taken]
