"""`bin/overnight verify`: is the conservation law kept, is the audit log whole, and do both tell the same story?"""

from collections.abc import Iterator
from itertools import groupby

from sqlalchemy import Connection, select

from overnight.ledger import audit, nights, transitions
from overnight.ledger.errors import ConservationBroken
from overnight.ledger.retention_tables import audit_purges
from overnight.ledger.states import MOVES, NightState
from overnight.ledger.tables import audit_events
from overnight.ledger.tables import nights as night_table


def problems(conn: Connection) -> list[str]:
    """Everything that is wrong, each in words that name the place. Empty means all is well."""
    return [*_conservation(conn), *audit.broken_links(conn), *_histories(conn)]


def _conservation(conn: Connection) -> Iterator[str]:
    judged = select(night_table.c.id, night_table.c.workflow, night_table.c.night)
    settled = (NightState.VALIDATED, NightState.EXPORTED, NightState.CLOSED)
    for night in conn.execute(judged.where(night_table.c.state.in_(settled))):
        try:
            nights.conservation(conn, night.id)
        except ConservationBroken as broken:
            yield f"{night.workflow} {night.night}: {broken}"


def _histories(conn: Connection) -> Iterator[str]:
    """Replay each row's audit history: every step legal, every step from where the last one ended, the end as stored."""
    archived = conn.execute(select(audit_purges.c.day).limit(1)).first() is not None
    for kind, table in transitions.TABLES.items():
        stored = {str(row.id): row.state for row in conn.execute(select(table.c.id, table.c.state))}
        # A request's birth is its batch's birth: its own history starts with its first move.
        born = "planned" if kind == "request" else ""
        told = dict(_replay(conn, kind, born=born, archived=archived))
        for object_id, state in stored.items():
            if archived and object_id not in told:
                continue  # all of its history stands in archives
            end = told.get(object_id, born)
            if end.startswith("!"):
                yield f"{kind} {object_id}: {end[1:]}"
            elif end != state:
                yield f"{kind} {object_id}: the ledger says {state!r}, its audit history ends at {end!r}"


def _replay(conn: Connection, kind: str, *, born: str, archived: bool) -> Iterator[tuple[str, str]]:
    """Where each object's history ends. With archived days a history may begin in the middle: from there on it is held to."""
    query = (
        select(audit_events.c.object_id, audit_events.c.verb, audit_events.c.from_state, audit_events.c.to_state)
        .where(audit_events.c.object_type == kind, audit_events.c.verb.in_(["create", "move"]))
        .order_by(audit_events.c.object_id, audit_events.c.id)
    )
    rows = conn.execute(query.execution_options(yield_per=2000))
    for object_id, history in groupby(rows, key=lambda row: row.object_id):
        state = born
        for number, step in enumerate(history):
            if archived and number == 0:
                state = step.from_state
            legal = step.verb == "create" or step.to_state in MOVES[kind].get(step.from_state, ())
            if step.from_state != state or not legal:
                state = f"!its audit history jumps from {state!r} to {step.from_state!r} → {step.to_state!r}"
                break
            state = step.to_state
        yield object_id, state
