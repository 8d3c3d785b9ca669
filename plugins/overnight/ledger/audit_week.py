"""What the audit log and the decisions say of a span of time, for the weekly digest. Counts and names; no item's text."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Float, case, cast, extract, func, select

from overnight.ledger import audit
from overnight.ledger.measures import LONGEST_PAUSE_S
from overnight.ledger.tables import alerts, answers, audit_events, audit_heads, decisions, items, night_items, nights

DENIED = ("deny", "refuse")
TURNED = ("kill_switch_engaged", "kill_switch_rearmed", "tightened", "released", "launch", "assent", "open", "close")


def nights_run(conn: Connection, since: datetime, until: datetime, workflows: Iterable[str]) -> list[dict[str, Any]]:
    """Per workflow: nights opened, items by outcome, what they cost."""
    wanted = (nights.c.opened_at >= since, nights.c.opened_at < until, nights.c.workflow.in_(list(workflows)))
    found: dict[str, dict[str, Any]] = {}
    for name, count in conn.execute(select(nights.c.workflow, func.count()).where(*wanted).group_by(nights.c.workflow)):
        found[name] = {"workflow": name, "nights": count, "outcomes": {}, "cost_usd": 0}
    outcomes = (
        select(nights.c.workflow, night_items.c.outcome, func.count())
        .join(night_items, night_items.c.night_id == nights.c.id)
        .where(*wanted)
        .group_by(nights.c.workflow, night_items.c.outcome)
    )
    for name, outcome, count in conn.execute(outcomes):
        found[name]["outcomes"][outcome or "not finished"] = count
    money = (
        select(nights.c.workflow, func.sum(answers.c.cost_usd))
        .join(answers, answers.c.night_id == nights.c.id)
        .where(*wanted)
        .group_by(nights.c.workflow)
    )
    for name, usd in conn.execute(money):
        found[name]["cost_usd"] = usd or 0
    return [found[name] for name in sorted(found)]


def events(conn: Connection, since: datetime, until: datetime, verbs: Iterable[str], workflows: Iterable[str]) -> list[Any]:
    """Audit rows of some verbs, oldest first."""
    query = select(audit_events).where(
        audit_events.c.at >= since, audit_events.c.at < until, audit_events.c.verb.in_(list(verbs)),
        audit_events.c.workflow.in_(list(workflows)), audit.NOTABLE,
    )  # fmt: skip
    return list(conn.execute(query.order_by(audit_events.c.id)).mappings())


def reviewers(conn: Connection, since: datetime, until: datetime, workflows: Iterable[str]) -> list[dict[str, Any]]:
    """Per reviewer and workflow: decisions by kind, and the median seconds between two on our own page (None: not known)."""
    # Decisions and the gaps between them are counted in the database, by tenths of a second: a week can have many thousands.
    person = (decisions.c.reviewer, nights.c.workflow)
    before = func.lag(_seconds(conn)).over(partition_by=(*person, decisions.c.surface), order_by=decisions.c.decided_at)
    each = (
        select(*person, decisions.c.decision, decisions.c.surface, (_seconds(conn) - before).label("gap"))
        .join(nights, nights.c.id == decisions.c.night_id)
        .where(decisions.c.decided_at >= since, decisions.c.decided_at < until, nights.c.workflow.in_(list(workflows)))
        .where(decisions.c.superseded_at.is_(None) | decisions.c.collected_at.is_not(None))
        .subquery()
    ).c
    timed = (each.surface == "page") & (each.gap <= LONGEST_PAUSE_S)
    tenth = case((timed, func.round(each.gap * 10))).label("tenth")
    groups = (each.reviewer, each.workflow, each.decision, tenth)
    kinds: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    times: dict[tuple[str, str], Counter[float]] = defaultdict(Counter)
    for who, name, kind, tenths, count in conn.execute(select(*groups, func.count()).group_by(*groups)):
        kinds[who, name][kind] += count
        if tenths is not None:
            times[who, name][float(tenths) / 10] += count
    return [
        {"reviewer": who, "workflow": name, **{kind: counted[kind] for kind in ("approve", "edit", "rework")},
         "median_seconds": _median(times[who, name])}
        for (who, name), counted in sorted(kinds.items())
    ]  # fmt: skip


def _seconds(conn: Connection) -> ColumnElement[float]:
    if conn.dialect.name == "postgresql":
        return cast(extract("epoch", decisions.c.decided_at), Float)
    return func.julianday(decisions.c.decided_at, type_=Float) * 86400


def _median(counted: Counter[float]) -> float | None:
    """Of values with their counts: the middle one, or between the two middle ones."""
    total, seen, low = counted.total(), 0, None
    for value in sorted(counted):
        seen += counted[value]
        if low is None and 2 * seen >= total:
            low = value
        if 2 * seen > total:
            return None if low is None else round((low + value) / 2, 1)
    return None


def reasons(conn: Connection, since: datetime, until: datetime, workflows: Iterable[str]) -> list[tuple[str, str, int]]:
    """Why reviewers edited and sent back: workflow, reason code, how often; the most frequent first."""
    count = func.count()
    query = (
        select(nights.c.workflow, decisions.c.reason_code, count)
        .join(nights, nights.c.id == decisions.c.night_id)
        .where(decisions.c.decided_at >= since, decisions.c.decided_at < until, decisions.c.reason_code.is_not(None))
        .where(nights.c.workflow.in_(list(workflows)))
        .group_by(nights.c.workflow, decisions.c.reason_code)
        .order_by(count.desc(), nights.c.workflow)
    )
    return [(name, code, times) for name, code, times in conn.execute(query)]


def tiers(conn: Connection, since: datetime, until: datetime, workflows: Iterable[str]) -> dict[str, Counter[str]]:
    """Items shown by workflow and tier."""
    query = (
        select(nights.c.workflow, items.c.tier, func.count())
        .join(items, items.c.night_id == nights.c.id)
        .where(nights.c.opened_at >= since, nights.c.opened_at < until, items.c.tier.is_not(None))
        .where(nights.c.workflow.in_(list(workflows)))
        .group_by(nights.c.workflow, items.c.tier)
    )
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for name, tier, count in conn.execute(query):
        found[name][tier] += count
    return found


def alerts_raised(conn: Connection, since: datetime, until: datetime, workflows: Iterable[str]) -> list[tuple[str, str, int]]:
    """Alerts by workflow and kind (no good mornings)."""
    query = (
        select(alerts.c.workflow, alerts.c.kind, func.count())
        .where(alerts.c.raised_at >= since, alerts.c.raised_at < until, alerts.c.severity != "info")
        .where(alerts.c.workflow.in_(list(workflows)))
        .group_by(alerts.c.workflow, alerts.c.kind)
        .order_by(alerts.c.workflow, alerts.c.kind)
    )
    return [(name, kind, count) for name, kind, count in conn.execute(query)]


def heads(conn: Connection, since: str) -> list[tuple[str, str, int, str]]:
    """Where each chain ends: kept outside the database, they show later whether the database was written anew."""
    query = select(audit_heads).where(audit_heads.c.day >= since).order_by(audit_heads.c.workflow, audit_heads.c.day)
    return [(row["workflow"], row["day"], row["position"], row["hash"]) for row in conn.execute(query).mappings()]
