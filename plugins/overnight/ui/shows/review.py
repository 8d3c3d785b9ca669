"""A night's review as its reviewers see it: a list of cards, a grid, or one item at a time."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from overnight import prompts
from overnight.brand import brand
from overnight.governance import capacity
from overnight.governance.launch import TEST
from overnight.ledger import alerts, holds, measures, overview, review_line, reviews
from overnight.ledger import findings as ledger_findings
from overnight.ledger.nights import Night
from overnight.ledger.rows import Row
from overnight.ledger.states import ItemState
from overnight.review import exhibit, placement, showing, worddiff
from overnight.review.reasons import REASONS
from overnight.review.verdict import decision_texts
from overnight.settings import SettingsError
from overnight.team import team
from overnight.ui.shows.shape import Shown, title
from overnight.workflow import Workflow, workflow_if_known

PER_PAGE = {"list": 25, "grid": 100}
MOST_CHARS = {"list": 6_000, "grid": 600, "one": 40_000, "all": 10**9}
"""Characters of one item that a view shows; what is longer is cut there and whole on the item's own page, to be edited."""
TITLE_CHARS = 160
CONTEXT = 80
"""Characters of what stayed the same, on either side of a change."""
LEAST_FOR_PACE = 5
"""Decisions of a person today before their own pace says more than everybody's."""


class Waiting(Shown):
    """One night in which something waits for its reviewers."""

    night_id: int
    workflow: str
    title: str
    night: str
    left: int
    covered: int  # spoken for by the digest: a decision on it is a decision on each of them
    minutes: float
    test: bool  # a launch test, and no night of the queue


class ShownField(NamedTuple):
    """One field as a view shows it: `before` and `after` may be cut (then it is not `whole`); `text` is all of it."""

    name: str
    before: str
    after: str
    text: str
    editable: bool
    whole: bool


def waiting(conn: Connection, names: Sequence[str]) -> list[Waiting]:
    """The nights in which something waits for a decision, oldest due first."""
    nights = overview.in_review(conn, names)
    left = review_line.left(conn, [night["id"] for night in nights])
    covered = review_line.covered(conn, [night["id"] for night in nights])
    seconds = {name: _seconds(conn, name) for name in {night["workflow"] for night in nights}}
    return [
        Waiting(
            night_id=night["id"], workflow=night["workflow"], title=title(night["workflow"]), night=night["night"],
            left=left.get(night["id"], 0), covered=covered.get(night["id"], 0),
            minutes=left.get(night["id"], 0) * seconds[night["workflow"]] / 60, test=night["purpose"] == TEST,
        )
        for night in nights if left.get(night["id"]) or covered.get(night["id"])
    ]  # fmt: skip


def _seconds(conn: Connection, name: str) -> float:
    declared = workflow_if_known(name)
    return capacity.seconds_per_item(conn, declared) if declared else 0.0


def head(conn: Connection, night: Night, person: str, *, now: datetime) -> dict[str, Any]:
    """What stands above every view of a review: what is left, for whom, and what stands in the way."""
    declared = workflow_if_known(night["workflow"])
    counts = review_line.counts(conn, night["id"])
    left = sum(waits for _, waits in counts.values())
    named = placement.in_page_order({name: total for name, (total, _) in counts.items()})
    return {
        "night": {"id": night["id"], "workflow": night["workflow"], "title": title(night["workflow"]), "night": night["night"],
                  "state": night["state"], "outcomes": overview.outcomes(conn, night["id"])},
        "alerts": alerts.of_run(conn, night["workflow"], night["run_id"]),
        "checklist": prompts.checklist(declared) if declared else (),
        "buckets": [{"name": name, "title": placement.BUCKETS.get(name, name), "count": total, "left": counts[name][1]}
                    for name, total in named.items()],
        "left": left, "total": sum(total for name, (total, _) in counts.items() if name != reviews.COVERED),
        "pace": _pace(conn, declared, left, person, now=now),
        "bulk": exhibit.bulk_allowed(conn, night["workflow"]), "reasons": REASONS, "undo": _undo(conn, night, person),
    }  # fmt: skip


def _pace(conn: Connection, declared: Workflow | None, left: int, person: str, *, now: datetime) -> dict[str, Any]:
    """Minutes the rest will take, and those of the person's morning that are left (None: the team file says none)."""
    zone = ZoneInfo(brand().timezone)
    midnight = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    times = review_line.decided_at(conn, person, midnight)
    own = measures.pace(times) if len(times) >= LEAST_FOR_PACE else None
    seconds = own if own is not None else capacity.seconds_per_item(conn, declared) if declared else 0.0
    gaps = [(b - a).total_seconds() for a, b in pairwise(times)]
    spent = sum(gap for gap in gaps if gap <= measures.LONGEST_PAUSE_S) / 60
    try:
        known = team().find(person)
    except SettingsError:
        known = None
    mine = known.minutes if known and known.minutes else None
    return {
        "seconds": seconds, "own": own is not None, "minutes": left * seconds / 60, "decided": len(times),
        "mine": mine, "mine_left": max(0.0, mine - spent) if mine is not None else None,
    }  # fmt: skip


def _undo(conn: Connection, night: Night, person: str) -> dict[str, Any] | None:
    last = reviews.newest_of(conn, night["id"], person)
    if last is None:
        return None
    item = reviews.item(conn, last["item_id"]) if last["item_id"] else None
    declared = workflow_if_known(night["workflow"])
    words = _title_of(item, declared) if item is not None else "the digest"
    return {"item_id": last["item_id"], "decision": last["decision"], "title": words}


def listed(
    conn: Connection, night: Night, person: str, *, view: str, page: int, bucket: str, only_open: bool, now: datetime,
    whole: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """One page of the list or the grid, with the digest on the first; `whole`: nothing of an item is cut."""
    shown = head(conn, night, person, now=now)
    names = [b["name"] for b in shown["buckets"] if b["name"] != reviews.COVERED and bucket in ("", b["name"])]
    size = PER_PAGE[view]
    total = sum(b["left"] if only_open else b["count"] for b in shown["buckets"] if b["name"] in names)
    pages = max(1, -(-total // size))
    page = min(max(page, 1), pages)
    rows = review_line.page(conn, night["id"], names, only_open=only_open, limit=size, offset=(page - 1) * size)
    summary = night["summary"] or {}
    return {
        **shown, "view": view, "page": page, "pages": pages, "bucket": bucket, "only_open": only_open, "count": total,
        "digest": summary.get("digest"), "checks": summary.get("checks") or [],
        "digest_decision": review_line.of_digest(conn, night["id"]),
        "entries": _entries(conn, night, rows, person, most=MOST_CHARS["all" if whole else view], now=now),
    }  # fmt: skip


def single(
    conn: Connection, night: Night, item_id: int, person: str, *, now: datetime, whole: bool = False
) -> dict[str, Any] | None:
    """One item, with its way to the next; None where it is not of this review."""
    row = reviews.item(conn, item_id)
    if row is None or row["night_id"] != night["id"] or row["bucket"] in (None, reviews.COVERED):
        return None
    shown = head(conn, night, person, now=now)
    before, behind, number = review_line.neighbours(conn, night["id"], item_id)
    (entry,) = _entries(conn, night, [row], person, most=MOST_CHARS["all" if whole else "one"], now=now)
    coming = review_line.next_open(conn, night["id"], person, now=now, after=item_id)
    return {**shown, "view": "one", "entry": entry, "before": before, "behind": behind, "number": number, "coming": coming}


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]} …"


def _fields(row: Row, declared: Workflow | None, most: int) -> list[ShownField]:
    found = exhibit.fields(row, declared.review if declared else None)
    each = max(160, most // max(1, len(found)))
    return [
        ShownField(one.name, _cut(one.before, each), _cut(one.after, each), one.after, one.editable, len(one.after) <= each)
        for one in found
    ]


def _changes(decision: Row | None, row: Row, most: int) -> list[tuple[str, list[tuple[str, str]]]]:
    """What a decision changed, with what stayed the same cut to its ends."""

    def part(kind: str, text: str) -> tuple[str, str]:
        if kind == "same" and len(text) > 2 * CONTEXT:
            return kind, f"{text[:CONTEXT]} … {text[-CONTEXT:]}"
        return kind, _cut(text, most)

    return [(name, [part(*one) for one in parts]) for name, parts in decision_texts(decision, row)]


def _entries(
    conn: Connection, night: Night, rows: Sequence[Row], person: str, *, most: int, now: datetime
) -> list[dict[str, Any]]:  # fmt: skip
    ids = [row["id"] for row in rows]
    found = ledger_findings.of_night(conn, night["id"], ids) if ids else {}
    decided = review_line.of_items(conn, night["id"], ids)
    firsts = reviews.waiting_for_a_second(conn, night["id"])
    held = holds.held(conn, night["id"], now=now)
    declared = workflow_if_known(night["workflow"])
    made = []
    for row in rows:
        decision = decided.get(row["id"])
        fields = _fields(row, declared, most)
        asked = [(name, value) for name, value in row["input"].items() if value not in ("", None, [])]
        mine = decision is not None and decision["reviewer"] == person and decision["collected_at"] is None
        open_ = row["state"] == ItemState.IN_REVIEW or (row["state"] == ItemState.FAILED)
        holder = held.get(row["id"])
        made.append({
            "id": row["id"], "key": showing.clean(row["key"]), "title": _title_of(row, declared), "bucket": row["bucket"],
            "bucket_title": placement.BUCKETS.get(row["bucket"], row["bucket"]), "state": row["state"],
            "input": [(name, _cut(showing.clean(showing.text(value)), max(160, most // len(asked)))) for name, value in asked],
            "fields": fields, "whole": all(field.whole for field in fields), "compared": any(field.before for field in fields),
            "output_hash": row["output_hash"] or "", "decision": decision, "texts": _changes(decision, row, most),
            "findings": [{**one, "evidence": _cut(one["evidence"] or "", most // 20)} for one in found.get(row["id"], [])],
            "message": row["message"], "rounds": row["rounds"], "previous_note": row["note"], "whose": exhibit.whose(row),
            "firsts": firsts.get(row["id"], []), "mine": mine, "assented": person in firsts.get(row["id"], []),
            "may_change": open_ and (decision is None or mine), "by_hand": row["bucket"] == reviews.BY_HAND,
            "holder": holder["person"] if holder and holder["person"] != person else None,
            "held_since": holder["since"] if holder else None,
        })  # fmt: skip
    return made


def difference(before: str, after: str) -> list[tuple[str, str]]:
    """What an edit changes, word by word."""
    return worddiff.words(showing.clean(before), showing.clean(after))


def _title_of(row: Mapping[Any, Any], declared: Workflow | None) -> str:
    return _cut(showing.clean(exhibit.title_of(row, declared)), TITLE_CHARS)
