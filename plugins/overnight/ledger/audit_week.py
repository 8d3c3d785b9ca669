"""What the audit log and the decisions say of a span of time, for the weekly digest. Counts and names; no item's text."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Float, Select, func, select

from overnight.ledger import audit
from overnight.ledger.measures import LONGEST_PAUSE_S, STANDS
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


def decided(
    conn: Connection, since: datetime, until: datetime, workflows: Iterable[str]
) -> tuple[list[dict[str, Any]], list[tuple[str, str, int]]]:
    """What reviewers did, without what they took back.

    Returns:
        Per reviewer and workflow: decisions by kind, and the median seconds between two of one night on our own page (None: not
        known). And why they edited and sent back: workflow, reason code, how often; the most frequent first.
    """
    # Counted in the database and by a night's number, not a workflow's name: a week can have thousands, and texts sort slowly.
    whose = select(nights.c.id, nights.c.workflow).where(nights.c.workflow.in_(list(workflows)))
    named = {night_id: name for night_id, name in conn.execute(whose)}
    wanted = (decisions.c.decided_at >= since, decisions.c.decided_at < until, STANDS)
    kinds: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    why: Counter[tuple[str, str]] = Counter()
    groups = (decisions.c.night_id, decisions.c.reviewer, decisions.c.decision, decisions.c.reason_code)
    for night_id, who, kind, code, count in conn.execute(select(*groups, func.count()).where(*wanted).group_by(*groups)):
        if night_id in named:
            kinds[who, named[night_id]][kind] += count
            if code is not None:
                why[named[night_id], code] += count
    times: dict[tuple[str, str], Counter[float]] = defaultdict(Counter)
    for night_id, who, tenths, count in conn.execute(_gaps(conn, *wanted)):
        if night_id in named and tenths is not None and float(tenths) <= LONGEST_PAUSE_S * 10:
            times[who, named[night_id]][float(tenths) / 10] += count
    people = [
        {"reviewer": who, "workflow": name, **{kind: counted[kind] for kind in ("approve", "edit", "rework")},
         "median_seconds": _median(times[who, name])}
        for (who, name), counted in sorted(kinds.items())
    ]  # fmt: skip
    return people, [(name, code, count) for (name, code), count in sorted(why.items(), key=lambda one: (-one[1], one[0]))]


def _gaps(conn: Connection, *wanted: ColumnElement[bool]) -> Select[Any]:
    """Night, reviewer, tenths of a second since this person's last decision of the night on our page, how often."""
    before = func.lag(decisions.c.decided_at).over(
        partition_by=(decisions.c.night_id, decisions.c.reviewer), order_by=decisions.c.decided_at
    )
    if conn.dialect.name == "postgresql":
        # `extract` would reckon in numeric, at three times the price.
        seconds: ColumnElement[float] = func.date_part("epoch", decisions.c.decided_at - before, type_=Float)
    else:
        seconds = (func.julianday(decisions.c.decided_at, type_=Float) - func.julianday(before, type_=Float)) * 86400
    each = (
        select(decisions.c.night_id, decisions.c.reviewer, func.round(seconds * 10).label("tenths"))
        .where(*wanted, decisions.c.surface == "page")
        .subquery()
    ).c
    return select(*each, func.count()).group_by(*each)


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
