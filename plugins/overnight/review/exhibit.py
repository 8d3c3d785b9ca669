"""What a night shows on any surface: its entries in the order of risk, each with what was asked, what came, what to look at.

Built from the ledger alone and the same whenever it is built, so that what a person changed can be told from what we showed.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from overnight import prompts
from overnight.governance import approval as approvals
from overnight.governance import policy as policies
from overnight.ledger import findings as ledger_findings
from overnight.ledger import postures, reviews
from overnight.ledger.nights import Night
from overnight.ledger.states import ItemState
from overnight.review import placement, showing
from overnight.review.reasons import REASONS
from overnight.settings import SettingsError
from overnight.team import team
from overnight.workflow import Mode, Review, Workflow, workflow_if_known

OPEN = (ItemState.IN_REVIEW, ItemState.STAGED)


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an answer: what stands there today (where something does), what is proposed, whether it can be edited."""

    name: str
    before: str
    after: str
    editable: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing to decide: an item, the digest (item_id None), or all that is ready (item_id None)."""

    ref: str
    item_id: int | None
    key: str
    title: str
    look: str
    fields: tuple[Field, ...] = ()
    asked: str = ""
    checks: str = ""
    note: str = ""
    state: str = ItemState.IN_REVIEW
    covered: bool = False
    by_hand: bool = False  # a person is to write it
    left: str = ""  # why it stays where it is, though it was sent back
    decision: Mapping[Any, Any] | None = None

    @property
    def waits(self) -> bool:
        """Whether it waits for a decision of its own."""
        return (self.state in OPEN or self.by_hand) and not self.covered and self.item_id is not None


@dataclass(frozen=True, slots=True)
class Exhibit:
    """One night as its reviewers see it."""

    night_id: int
    workflow: str
    title: str
    night: str
    mode: Mode
    minutes: int | None
    checklist: tuple[str, ...]
    field_names: tuple[str, ...]
    before_names: tuple[str, ...]
    editable_names: tuple[str, ...]
    document: str | None
    entries: tuple[Entry, ...]
    reasons: Mapping[str, str]

    @property
    def name(self) -> str:
        """What the night is called on a tab, a page or a file."""
        return f"{self.workflow} {self.night}"

    def by_ref(self) -> dict[str, Entry]:
        """The entries by their ref."""
        return {entry.ref: entry for entry in self.entries}


def item_ref(item_id: int, output_hash: str | None) -> str:
    """What a surface's row carries: the item, and the version of the draft that was shown."""
    return f"{item_id}-{(output_hash or 'none')[:8]}"


def digest_ref(night_id: int) -> str:
    """The row that speaks for all covered items."""
    return f"digest-{night_id}"


def ready_ref(night_id: int) -> str:
    """The row that speaks for all items that are ready and undecided, where the policy allows it."""
    return f"ready-{night_id}"


def build(conn: Connection, night: Night) -> Exhibit:
    """A night's exhibit as the ledger has it now."""
    declared = workflow_if_known(night["workflow"])
    review = declared.review if declared else None
    found = ledger_findings.of_night(conn, night["id"])
    decided = reviews.effective(conn, night["id"])
    present: dict[str, None] = {}
    entries = []
    for row in reviews.every_entry(conn, night["id"]):
        present |= dict.fromkeys(row["output"] or {})
        entries.append(_entry(row, found.get(row["id"], ()), decided.get(row["id"]), declared))
    names = _in_order(review, present)
    befores = tuple(n for n in names if any(f.before for e in entries for f in e.fields if f.name == n))
    editable = tuple(n for n in names if any(f.editable for e in entries for f in e.fields if f.name == n))
    return Exhibit(
        night["id"], night["workflow"], declared.title if declared else night["workflow"], night["night"],
        review.mode if review else Mode.ITEM, review.minutes if review else None,
        prompts.checklist(declared) if declared else (), names, befores, editable, review.document if review else None,
        (*_speaking(conn, night, entries, decided), *entries), REASONS,
    )  # fmt: skip


def _in_order(review: Review | None, present: Iterable[str]) -> tuple[str, ...]:
    """An answer's fields in the order they are shown."""
    first = [name for name in (review.first if review else ()) if name in present]
    return (*first, *(name for name in present if name not in first))


def _entry(
    row: Mapping[Any, Any], found: Sequence[Mapping[Any, Any]], decision: Mapping[Any, Any] | None, declared: Workflow | None
) -> Entry:
    title = title_of(row, declared)
    failed = row["state"] == ItemState.FAILED
    checks = [f"{row['message']}"] if failed and row["message"] else []
    checks += [f"Says yes: {due}."] if (due := whose(row)) and row["state"] in OPEN else []
    checks += [_said(finding) for finding in found]
    return Entry(
        ref=item_ref(row["id"], row["output_hash"]), item_id=row["id"], key=showing.clean(row["key"]),
        title=showing.clean(title), look=placement.BUCKETS.get(row["bucket"], row["bucket"]),
        fields=tuple(fields(row, declared.review if declared else None)),
        asked=showing.clean(showing.lines(row["input"])), checks=showing.clean("\n".join(checks)),
        note=showing.clean(row["note"] or ""), state=row["state"], covered=row["bucket"] == reviews.COVERED,
        by_hand=failed and row["bucket"] == reviews.BY_HAND,
        left=showing.clean(row["message"] or "") if failed and decision is not None and decision["collected_at"] else "",
        decision=decision,
    )  # fmt: skip


def title_of(row: Mapping[Any, Any], declared: Workflow | None) -> str:
    """What an item is called; its id where its texts were removed by age, or its workflow is no more."""
    return declared.review.title(row["input"]) if declared and row["input"] else str(row["key"])


def whose(row: Mapping[Any, Any]) -> str:
    """Whose yes an item needs, in words; "" where any reviewer's is enough."""
    if row["tier"] not in approvals.NAMED:
        return ""
    try:
        return approvals.whose(policies.load(row["workflow"])[0].approval, team(), row["tier"])
    except (policies.PolicyError, SettingsError):
        return "nobody, while the policy or the team cannot be read"


def fields(row: Mapping[Any, Any], review: Review | None) -> list[Field]:
    """What an item's answer shows, in the order people read it, beside what stands there today."""
    output, given = row["output"] or {}, row["input"]
    return [
        Field(
            name,
            before=showing.clean(showing.text(given.get(review.before.get(name, ""), ""))) if review else "",
            after=showing.clean(showing.text(output[name])),
            editable=isinstance(output[name], str) and (review is None or not review.editable or name in review.editable),
        )
        for name in _in_order(review, output)
    ]


def _said(finding: Mapping[Any, Any]) -> str:
    where = f" [{showing.label(finding['field'])}]" if finding["field"] else ""
    return f"{finding['severity']}: {finding['message']}{where}" + (f" “{finding['evidence']}”" if finding["evidence"] else "")


def _speaking(conn: Connection, night: Night, entries: Sequence[Entry], decided: Mapping[int | None, Any]) -> list[Entry]:
    """The rows that speak for many: the digest, and all that is ready where the policy lets one decision be for all."""
    speaking = []
    summary = (night["summary"] or {}).get("digest")
    covered = sum(entry.covered for entry in entries)
    if summary is not None:
        words = Field("digest", "", showing.clean(showing.digest(summary)), editable=False)
        title = f"The whole night in numbers; your decision here speaks for {covered} items that are not listed one by one"
        speaking.append(
            Entry(digest_ref(night["id"]), None, "digest", title, "Digest", (words,), covered=True, decision=decided.get(None))
        )
    ready = sum(entry.look == placement.BUCKETS["ready"] for entry in entries)
    if ready > 1 and bulk_allowed(conn, night["workflow"]):
        title = f"All {ready} items marked “{placement.BUCKETS['ready']}” that have no decision of their own"
        speaking.append(Entry(ready_ref(night["id"]), None, "ready", title, "All at once", covered=True))
    return speaking


def bulk_allowed(conn: Connection, name: str) -> bool:
    """Whether one decision may be for all that is ready: the policy says so, no named approver is due, and nothing drifts."""
    if postures.tightened(conn, name) is not None:
        return False
    try:
        approval = policies.load(name)[0].approval
    except policies.PolicyError:
        return False
    return approval.bulk and approval.default_tier not in (*approvals.NAMED, "T4")


def shown_hash(cells: Mapping[str, str]) -> str:
    """The hash of everything a row shows that is ours."""
    return hashlib.sha256(json.dumps(dict(sorted(cells.items())), ensure_ascii=False).encode()).hexdigest()
