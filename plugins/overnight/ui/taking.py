"""How what came in from a page becomes decisions. The rights were asked at the door (`access.Decides`)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from overnight.ledger import audit, holds, queue, review_line, reviews
from overnight.ledger.audit import Actor
from overnight.ledger.connect import Ledger
from overnight.ledger.nights import Night
from overnight.ledger.reviews import DecisionRefused
from overnight.review import deciding, exhibit, verdict
from overnight.ui.access import Visitor
from overnight.workflow import workflow_if_known

Form = Mapping[str, list[str]]
SAME_MOMENT = "Somebody decided this at the same moment. Nothing was changed; reload the page."
MOST_AT_ONCE = 500


def number(form: Form, name: str) -> int | None:
    """A field that holds a whole number; None where it is missing or is none."""
    text = form.get(name, [""])[0]
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def one(conn: Connection, night: Night, form: Form, *, who: Visitor, now: datetime) -> str:
    """One decision on an item, or on the digest where the form names no item; returns the word for the page to say.

    Raises:
        DecisionRefused: with the words for the reviewer.
    """
    if form.get("item_id", [""])[0] and number(form, "item_id") is None:
        raise DecisionRefused("This item is not in this night's review. Nothing was decided; reload the page.")
    item_id = number(form, "item_id")
    if item_id is not None:
        _not_anothers(conn, night, item_id, who, now=now)
    written = verdict.Written(
        decision=form.get("decision", [""])[0], reason=form.get("reason_code", [""])[0], note=form.get("note", [""])[0],
        reviewer=who.login, edits={n.removeprefix("edited."): v[0] for n, v in form.items() if n.startswith("edited.")},
        checklist=tuple(form.get("checklist", [])),
    )  # fmt: skip
    said = _decide(conn, night, item_id, written, form.get("output_hash", [""])[0] or None, who=who, now=now)
    if item_id is not None:
        holds.let_go(conn, item_id, who.name)
    return said


def many(conn: Connection, night: Night, form: Form, *, who: Visitor, now: datetime) -> str:
    """A yes to each of the chosen items; what cannot be approved this way stays, and is counted with its reason.

    Raises:
        DecisionRefused: none was chosen, too many were, or this workflow's policy wants each looked at.
    """
    chosen = [part.partition(":") for part in form.get("chosen", [])]
    if not chosen:
        raise DecisionRefused("No item was chosen. Nothing was decided.")
    if len(chosen) > MOST_AT_ONCE:
        raise DecisionRefused(f"{len(chosen)} items were chosen; at most {MOST_AT_ONCE} go at once. Nothing was decided.")
    if not exhibit.bulk_allowed(conn, night["workflow"]):
        raise DecisionRefused("This workflow's policy wants each item looked at by itself. Nothing was decided.")
    done, not_done = 0, dict[str, int]()
    for item_id, _, shown in chosen:
        try:
            if not item_id.isdigit():
                raise DecisionRefused("This item is not in this night's review.")
            _one_of_many(conn, night, int(item_id), shown, who=who, now=now)
            done += 1
        except DecisionRefused as refusal:
            not_done[str(refusal)] = not_done.get(str(refusal), 0) + 1
    words = [f"approved {done}", *(f"{count} not: {why}" for why, count in not_done.items())]
    return "; ".join(words)


def _one_of_many(conn: Connection, night: Night, item_id: int, shown: str, *, who: Visitor, now: datetime) -> None:
    row = reviews.item(conn, item_id)
    if row is None or row["bucket"] != "ready":
        raise DecisionRefused("Only what is ready can be approved with others; look at this by itself.")
    _not_anothers(conn, night, item_id, who, now=now)
    _decide(conn, night, item_id, verdict.Written(decision="approve", reviewer=who.login), shown or None, who=who, now=now)


def each(
    ledger: Ledger, night: Night, given: Sequence[Mapping[str, Any]], *, who: Visitor, now: datetime
) -> tuple[list[tuple[int, bool, str]], int]:  # fmt: skip
    """Decisions that came as one list, each taken or refused by itself; returns (item, taken, words) of each, and what is left.

    All that is taken commits together: a list that is sent again after a lost answer finds its own decisions standing.

    Raises:
        AlreadyThere: somebody decided one of them at this very moment; none is taken.
    """
    said: list[tuple[int, bool, str]] = []
    with ledger.write() as conn, audit.gathered(conn) as kept:
        held = holds.held(conn, night["id"], now=now)
        rows = {row["id"]: row for row in queue.by_ids(conn, {one["item_id"] for one in given})}
        for one in given:
            item_id, so_far = one["item_id"], len(kept)
            try:
                if item_id in held and held[item_id]["person"] != who.name:
                    raise DecisionRefused(_has_it(held[item_id]["person"]))
                written = verdict.Written(
                    decision=one["decision"], reason=one["reason_code"], note=one["note"], reviewer=who.login,
                    edits=one["edited"], checklist=tuple(one["checklist"]),
                )  # fmt: skip
                shown = one["output_hash"] or None
                words = _decide(conn, night, item_id, written, shown, who=who, now=now, row=rows.get(item_id))
                said.append((item_id, True, words))
            except DecisionRefused as refusal:  # before anything of it was written
                del kept[so_far:]
                refused(conn, night, item_id, str(refusal), who=who, now=now)
                said.append((item_id, False, str(refusal)))
        return said, review_line.left(conn, [night["id"]]).get(night["id"], 0)


def last_of(conn: Connection, night: Night, who: Visitor) -> str:
    """The item of a person's last decision in a night that can be taken back; "" for the digest, and where there is none."""
    found = reviews.newest_of(conn, night["id"], who.name[:128])
    return str(found["item_id"] or "") if found is not None else ""


def back(conn: Connection, night: Night, form: Form, *, who: Visitor, now: datetime) -> str:
    """Take back one's own decision.

    Raises:
        DecisionRefused: there is none of theirs, or it went on its way.
    """
    said = deciding.undo(conn, night, number(form, "item_id"), who.name[:128], now=now)
    return {"assent": "taken back: your first yes"}.get(said, "taken back: it waits for a decision again")


def refused(conn: Connection, night: Night, item_id: int | None, words: str, *, who: Visitor, now: datetime) -> None:
    """What was denied is on record, too."""
    deciding.refuse(conn, night["workflow"], str(item_id or "night"), words, reviewer=who.login, surface="page", now=now)


def _not_anothers(conn: Connection, night: Night, item_id: int, who: Visitor, *, now: datetime) -> None:
    other = holds.hold(conn, night["id"], item_id, who.name, now=now)
    if other is not None:
        raise DecisionRefused(_has_it(other["person"]))


def _has_it(person: str) -> str:
    return f"{person} has this item open. Nothing was decided; go on with the next, or take it over on the item's own page."


def _decide(
    conn: Connection, night: Night, item_id: int | None, written: verdict.Written, shown: str | None, *, who: Visitor,
    now: datetime, row: Mapping[Any, Any] | None = None,
) -> str:  # fmt: skip
    """Decide.

    Args:
        row: the item, where it was read already.
    """
    if row is None and item_id is not None:
        row = reviews.item(conn, item_id)
    decision: dict[str, Any] = verdict.decision(written, row, workflow_if_known(night["workflow"]), surface="page")
    decision["output_hash"] = shown
    actor = Actor("human", who.login)
    return deciding.decide(conn, night["id"], item_id, decision, actor=actor, now=now, night=night, item=row).words
