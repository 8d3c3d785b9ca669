"""Landing: answers, findings and their requests' ends, written in bounded chunks that each commit as a whole.

Answers stay unseen until their batch is `landed`; a second landing of the same batch skips what is there.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from overnight.ledger import transitions
from overnight.ledger.audit import Actor
from overnight.ledger.rows import Row
from overnight.ledger.states import BatchState, ItemState, RequestState
from overnight.ledger.tables import answers, batches, findings, items, request_items, requests


def open_requests(conn: Connection, batch_id: int, custom_ids: Iterable[str] | None = None) -> dict[str, list[Any]]:
    """The batch's requests that have not landed, each with the items it carries (id, input), by custom_id."""
    query = (
        select(
            requests.c.id.label("request_id"), requests.c.custom_id, requests.c.attempt, requests.c.step_id,
            items.c.id.label("item_id"), items.c.input, items.c.state.label("item_state"),
        )
        .join(request_items, request_items.c.request_id == requests.c.id)
        .join(items, items.c.id == request_items.c.item_id)
        .where(requests.c.batch_id == batch_id, requests.c.state == RequestState.SUBMITTED)
        .order_by(requests.c.id, request_items.c.position)
    )  # fmt: skip
    if custom_ids is not None:
        query = query.where(requests.c.custom_id.in_(list(custom_ids)))
    found: dict[str, list[Any]] = {}
    for row in conn.execute(query):
        found.setdefault(row.custom_id, []).append(row)
    return found


def land(
    conn: Connection,
    rows: Sequence[Row],
    notes: Sequence[Row],
    ends: Mapping[RequestState, Sequence[int]],
    *,
    workflow: str,
    actor: Actor,
    now: datetime,
) -> None:
    """One chunk of a batch: its answers, the findings on them, and the end of each request. All or nothing."""
    common: dict[str, Any] = {"workflow": workflow, "actor": actor, "now": now}
    if rows:
        conn.execute(insert(answers), [{**row, "landed_at": now} for row in rows])
    if notes:
        conn.execute(insert(findings), list(notes))
    for end, ids in ends.items():
        transitions.move(conn, "request", ids, end, **common)
    by_state: dict[str, list[int]] = {}
    for row in rows:
        by_state.setdefault(row["state"], []).append(row["item_id"])
    for state, item_ids in by_state.items():
        transitions.move(conn, "item", item_ids, ItemState.ANSWERED, detail={"answer": state}, **common)


def landed_of_night(conn: Connection, night_id: int) -> list[Row]:
    """The newest answer of each item of the night whose batch landed, with the item's own columns."""
    query = (
        select(
            answers.c.id.label("answer_id"), answers.c.item_id, answers.c.state, answers.c.output, answers.c.error,
            answers.c.retryable, items.c.input,
        )
        .join(requests, requests.c.id == answers.c.request_id)
        .join(batches, batches.c.id == requests.c.batch_id)
        .join(items, items.c.id == answers.c.item_id)
        .where(batches.c.night_id == night_id, batches.c.state == BatchState.LANDED)
        .order_by(answers.c.item_id, answers.c.attempt)
    )  # fmt: skip
    newest: dict[int, Row] = {}
    for row in conn.execute(query).mappings():
        newest[row["item_id"]] = row
    return list(newest.values())


def findings_of_night(conn: Connection, night_id: int) -> dict[int, list[Row]]:
    """Findings by item, in the order they were found."""
    found: dict[int, list[Row]] = {}
    query = select(findings).where(findings.c.night_id == night_id).order_by(findings.c.id)
    for row in conn.execute(query).mappings():
        found.setdefault(row["item_id"], []).append(row)
    return found


def add_findings(conn: Connection, rows: Sequence[Row]) -> None:
    """Findings of a look at the whole night (landing writes its own)."""
    if rows:
        conn.execute(insert(findings), list(rows))
