"""What reviewers teach: rules that repeat in their reasons and edits, proposed to a person, adopted or dismissed by one."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update

from overnight.ledger import transitions
from overnight.ledger.audit import Actor
from overnight.ledger.errors import LedgerError
from overnight.ledger.review_tables import lessons
from overnight.ledger.rows import Row
from overnight.ledger.states import LessonState
from overnight.ledger.tables import answers, decisions, items, nights


class NoSuchLesson(LedgerError):
    """There is no lesson of this number, or it cannot go where it was sent."""


def taught(conn: Connection, workflow: str) -> list[dict[str, Any]]:
    """Every decision that says something was wrong: rework and edit, with the draft, its prompt version and the edit."""
    query = (
        select(
            decisions, nights.c.prompt_version, nights.c.workflow, items.c.input, items.c.context, items.c.key,
        )
        .join(nights, nights.c.id == decisions.c.night_id)
        .join(items, items.c.id == decisions.c.item_id)
        .where(nights.c.workflow == workflow, decisions.c.collected_at.is_not(None))
        .where(decisions.c.decision.in_(["rework", "edit"]))
        .order_by(decisions.c.id)
    )  # fmt: skip
    return [{**row, "draft": draft_of(conn, row["item_id"], row["night_id"])} for row in conn.execute(query).mappings()]


def draft_of(conn: Connection, item_id: int, night_id: int) -> dict[str, Any] | None:
    """What the model wrote for an item in a night, before anybody edited it."""
    query = select(answers.c.output).where(
        answers.c.item_id == item_id, answers.c.night_id == night_id, answers.c.state == "valid"
    )
    found: dict[str, Any] | None = conn.execute(query.order_by(answers.c.id.desc()).limit(1)).scalar_one_or_none()
    return found


def propose(conn: Connection, rows: Sequence[Row], *, workflow: str, actor: Actor, now: datetime) -> int:
    """Put new patterns before a person; one that is known under its prompt version is only brought up to date."""
    new = 0
    for row in rows:
        same = (lessons.c.workflow == workflow) & (lessons.c.prompt_version == row["prompt_version"])
        known = conn.execute(select(lessons).where(same, lessons.c.pattern == row["pattern"])).mappings().one_or_none()
        if known is None:
            values = {**row, "workflow": workflow, "state": LessonState.PROPOSED, "proposed_at": now}
            lesson_id = conn.execute(insert(lessons).values(values).returning(lessons.c.id)).scalar_one()
            detail = {"pattern": row["pattern"], "seen": len(row["evidence"])}
            transitions.created(
                conn, "lesson", [lesson_id], LessonState.PROPOSED, workflow=workflow, actor=actor, now=now, detail=detail
            )
            new += 1
        elif known["state"] == LessonState.PROPOSED:
            conn.execute(update(lessons).where(lessons.c.id == known["id"]).values(evidence=row["evidence"]))
    return new


def listed(conn: Connection, workflow: str | None = None) -> list[Row]:
    """Every lesson, newest first."""
    query = select(lessons).order_by(lessons.c.id.desc())
    return list(conn.execute(query if workflow is None else query.where(lessons.c.workflow == workflow)).mappings())


def get(conn: Connection, lesson_id: int) -> Row:
    """One lesson.

    Raises:
        NoSuchLesson: there is none of this number.
    """
    row = conn.execute(select(lessons).where(lessons.c.id == lesson_id)).mappings().one_or_none()
    if row is None:
        raise NoSuchLesson(f"There is no lesson {lesson_id}; `bin/overnight lessons` lists them. Nothing was changed.")
    return row


def settle(conn: Connection, lesson_id: int, to: LessonState, *, rule: str, by: str, now: datetime) -> Row:
    """A person adopts or dismisses a lesson; `rule` is its final wording."""
    lesson = get(conn, lesson_id)
    transitions.move(
        conn, "lesson", [lesson_id], to, workflow=lesson["workflow"], actor=Actor("human", by), now=now,
        decided_at=now, decided_by=by, rule=rule,
    )  # fmt: skip
    return get(conn, lesson_id)


def keep_replay(conn: Connection, lesson_id: int, replay: Row) -> None:
    """What a replay of the lesson showed."""
    conn.execute(update(lessons).where(lessons.c.id == lesson_id).values(replay=dict(replay)))
