"""Kill switches: for everything, a workflow, a vendor, a prompt version. Read before every side effect and in the wait.

Thrown and re-armed by a named person with a reason, or thrown by a rule; each time on record.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from overnight.ledger import audit
from overnight.ledger.audit import Actor, Entry
from overnight.ledger.errors import LedgerError
from overnight.ledger.rows import Row
from overnight.ledger.states import BatchState
from overnight.ledger.tables import batches, kill_switches, nights

ALL = "*"
TRIAL = "_replay"
"""What a lesson's trial adds to its workflow's name."""
_VENDOR, _PROMPT = "vendor:", "prompt:"


def of_vendor(name: str) -> str:
    """The scope of one vendor: every workflow's work there."""
    return f"{_VENDOR}{name}"


def of_prompt(version: str) -> str:
    """The scope of one prompt version, by its first twelve characters, as they are shown everywhere."""
    return f"{_PROMPT}{version[:12]}"


def owner(workflow: str) -> str:
    """Whose switch stops this work: a lesson's trial runs under a name of its own, and is stopped with its workflow."""
    return workflow.removesuffix(TRIAL)


def scopes(workflow: str, *, vendor: str = "", prompt: str = "") -> tuple[str, ...]:
    """Every switch that stops this work."""
    named = [of_vendor(vendor)] if vendor else []
    return (ALL, *dict.fromkeys((workflow, owner(workflow))), *named, *([of_prompt(prompt)] if prompt else []))


def throw(
    conn: Connection, scope: str, *, engaged: bool, by: str, reason: str, now: datetime, actor: Actor | None = None
) -> None:
    """Engage or re-arm a switch; who and why go into the audit log.

    Args:
        actor: a rule that trips it; without one it is the person `by`.

    Raises:
        LedgerError: nobody's name or no reason.
    """
    if not by.strip() or not reason.strip():
        raise LedgerError("A kill switch is thrown and re-armed by a named person with a reason. Nothing was changed.")
    make = postgresql.insert if conn.dialect.name == "postgresql" else sqlite.insert
    values = {"engaged": engaged, "by": by, "reason": reason, "changed_at": now}
    statement = make(kill_switches).values(scope=scope, **values)
    conn.execute(statement.on_conflict_do_update(index_elements=["scope"], set_=values))
    verb = "kill_switch_engaged" if engaged else "kill_switch_rearmed"
    entry = Entry(verb, "switch", scope, detail={"reason": reason})
    chain = ALL if scope.startswith((_VENDOR, _PROMPT)) else scope
    audit.append(conn, chain, [entry], actor=actor or Actor("human", by), now=now)


def engaged(conn: Connection, among: Sequence[str]) -> Row | None:
    """The first of these switches that is engaged, the global one before all others; None when the work may go on."""
    query = select(kill_switches).where(kill_switches.c.scope.in_(among), kill_switches.c.engaged.is_(True))
    return conn.execute(query.order_by(kill_switches.c.scope)).mappings().first()


def all_engaged(conn: Connection) -> list[Row]:
    """Every switch that is engaged now."""
    query = select(kill_switches).where(kill_switches.c.engaged.is_(True)).order_by(kill_switches.c.scope)
    return list(conn.execute(query).mappings())


def stopped_prompts(conn: Connection) -> list[str]:
    """The beginnings of the prompt versions that are stopped now."""
    return [row["scope"].removeprefix(_PROMPT) for row in all_engaged(conn) if row["scope"].startswith(_PROMPT)]


def known_versions(conn: Connection, start: str) -> list[str]:
    """The prompt versions some night ran under that begin so."""
    query = select(nights.c.prompt_version).where(nights.c.prompt_version.like(f"{start}%")).distinct()
    return sorted(conn.execute(query).scalars())


def stopped_work(conn: Connection, scope: str) -> list[Row]:
    """The batches at a vendor that a switch of this scope cuts: key, vendor, workflow, night, state, request_count."""
    query = (
        select(
            batches.c.key, batches.c.vendor, nights.c.workflow, nights.c.night, nights.c.prompt_version, batches.c.state,
            batches.c.request_count,
        )
        .join(nights, nights.c.id == batches.c.night_id)
        .where(batches.c.state.in_([BatchState.SUBMITTED, BatchState.CANCELLING]))
        .order_by(batches.c.id)
    )  # fmt: skip
    rows = conn.execute(query).mappings()
    return [row for row in rows if scope in scopes(row["workflow"], vendor=row["vendor"], prompt=row["prompt_version"])]
