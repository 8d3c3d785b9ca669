"""What nights have cost and may still cost, in USD. A batch counts with its ceiling until its answers have landed."""

from decimal import Decimal

from sqlalchemy import Connection, case, func, select, text

from overnight.ledger.nights import of_date
from overnight.ledger.states import BatchState
from overnight.ledger.tables import batches, nights, requests

ZERO = Decimal(0)
_COUNTS = case(
    (batches.c.state == BatchState.REFUSED, None),
    (batches.c.state == BatchState.LANDED, batches.c.cost_usd),
    else_=batches.c.ceiling_usd,
)


def committed(conn: Connection, night_id: int) -> Decimal:
    """What one night has cost, and what it can still cost at most with what is planned and under way."""
    total: Decimal | None = conn.execute(select(func.sum(_COUNTS)).where(batches.c.night_id == night_id)).scalar()
    return total or ZERO


def spent(conn: Connection, night_id: int) -> Decimal:
    """What a night's answers have really cost so far."""
    landed = (batches.c.night_id == night_id) & (batches.c.state == BatchState.LANDED)
    total: Decimal | None = conn.execute(select(func.sum(batches.c.cost_usd)).where(landed)).scalar()
    return total or ZERO


def committed_at(conn: Connection, step_id: int) -> Decimal:
    """The same of one step."""
    total: Decimal | None = conn.execute(select(func.sum(_COUNTS)).where(batches.c.step_id == step_id)).scalar()
    return total or ZERO


def committed_on(conn: Connection, date: str) -> Decimal:
    """The same over every workflow's nights of one date."""
    query = select(func.sum(_COUNTS)).join(nights, nights.c.id == batches.c.night_id)
    total: Decimal | None = conn.execute(query.where(of_date(date))).scalar()
    return total or ZERO


def experience(conn: Connection, workflow: str, model: str, last: int = 50) -> Decimal | None:
    """What a workflow's batches have cost as a share of their ceilings: turns a ceiling into an expectation."""
    recent = (
        select(batches.c.cost_usd, batches.c.ceiling_usd)
        .join(nights, nights.c.id == batches.c.night_id)
        .where(nights.c.workflow == workflow, batches.c.model == model, batches.c.state == BatchState.LANDED)
        .where(batches.c.ceiling_usd > ZERO)
        .order_by(batches.c.id.desc())
        .limit(last)
        .subquery()
    )
    cost, ceiling = conn.execute(select(func.sum(recent.c.cost_usd), func.sum(recent.c.ceiling_usd))).one()
    return cost / ceiling if cost is not None and ceiling else None


def tokens_committed(conn: Connection, night_id: int) -> int:
    """Tokens that a night's requests may take at most: estimated tokens in, and the most that may come out."""
    mine = (batches.c.night_id == night_id) & (batches.c.state != BatchState.REFUSED)  # refused: it was never sent
    into = conn.execute(select(func.sum(batches.c.input_tokens)).where(mine)).scalar()
    out = conn.execute(
        select(func.sum(requests.c.max_output_tokens)).join(batches, batches.c.id == requests.c.batch_id).where(mine)
    )
    return int(into or 0) + int(out.scalar() or 0)


def hold(conn: Connection) -> None:
    """Let one writer at a time decide what the budget still allows, until it commits.

    SQLite's writer is alone as it is; on PostgreSQL two nights that lock at 17:00 would each see the other's money as free.
    """
    if conn.dialect.name == "postgresql":
        conn.execute(text("SELECT pg_advisory_xact_lock(hashtext('overnight budget'))"))
