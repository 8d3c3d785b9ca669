"""The five metrics with their healthy ranges, by workflow, night, prompt version and reviewer; control charts, drift, launch."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import AwareDatetime, Field
from sqlalchemy import Connection

from overnight.governance import launch
from overnight.ledger import alerts, launches, measures, postures
from overnight.ledger.rows import Row
from overnight.quality import control, metrics
from overnight.quality.control import Chart
from overnight.quality.metrics import Metrics
from overnight.quality.ranges import Quality, quality
from overnight.settings import SettingsError
from overnight.ui.shows.shape import Shown, title

POOLED = 7
"""Nights that stand for "now": one night is too few to judge."""
PAST = 90
SHARES = ("as_is", "edit", "rework")
NAMES = {"as_is": "approved as it is", "edit": "edited", "rework": "sent back", "completion": "completion",
         "cost_per_output": "cost an output"}  # fmt: skip
"""The five metrics, as the pages call them."""


class Value(Shown):
    """One metric: its value, the healthy range, and which side of it."""

    metric: str
    value: float | None
    low: float | None = None
    high: float | None = None
    verdict: str  # healthy, below, above, rising, or "" where nothing can be said
    slope: float | None = None  # a night, over the last seven


class Figures(Shown):
    """One line of figures: a night, all of a workflow, a prompt version, a reviewer."""

    name: str
    decided: int
    as_is: float | None
    sure_from: float
    sure_to: float
    edit: float | None
    rework: float | None
    completion: float | None
    cost_per_output_usd: float | None
    cost_per_approved_usd: float | None
    pending: int
    failed: int
    blocked: int
    facts: dict[str, Any] = Field(default_factory=dict)
    verdicts: dict[str, str] = Field(default_factory=dict)


class Summary(Shown):
    """A workflow's five metrics over its last nights."""

    workflow: str
    title: str
    nights: int
    values: tuple[Value, ...]
    launch: str
    tightened: str | None  # why, where it is
    cases: int  # open investigations


class Ranges(Shown):
    """How many metrics of how many workflows are in range, and which are not."""

    counted: int
    healthy: int
    out: tuple[str, ...]


class Line(Shown):
    """A control chart: its points, and the nights no chance explains."""

    metric: str
    centre: float | None
    points: tuple[dict[str, Any], ...]
    out: tuple[str, ...]


class Case(Shown):
    """An investigation that nobody has closed."""

    id: int
    kind: str
    what: str
    opened_at: AwareDatetime


class Signal(Shown):
    """A drift alert, with its evidence."""

    kind: str
    message: str
    raised_at: AwareDatetime
    recovered_at: AwareDatetime | None


class Detail(Shown):
    """All of a workflow's quality."""

    summary: Summary
    total: Figures
    nights: tuple[Figures, ...]
    versions: tuple[Figures, ...]
    reviewers: tuple[Figures, ...]
    charts: tuple[Line, ...]
    cases: tuple[Case, ...]
    signals: tuple[Signal, ...]
    posture: dict[str, Any] | None
    launch: dict[str, Any]
    ranges: dict[str, tuple[float, float]]


def _settings() -> Quality:
    try:
        return quality()
    except SettingsError:  # said at 17:00; a page shows the figures all the same, against the seed's own ranges
        return Quality()


def summaries(conn: Connection, names: Sequence[str]) -> list[Summary]:
    """The workflows that were ever measured, with their figures of the last seven nights."""
    known = [name for name in measures.workflows(conn) if name in names]
    held = {row["workflow"]: row["state"] for row in launches.every(conn)}
    cases = [row["workflow"] for row in postures.open_cases(conn)]
    made = []
    for name in known:
        rows = measures.of_workflow(conn, name, last=POOLED + 14)
        posture = postures.tightened(conn, name)
        made.append(_summary(name, rows, held.get(name, ""), posture, cases.count(name)))
    return made


def ranges(conn: Connection, names: Sequence[str]) -> Ranges:
    """In short: what is out of range."""
    found = [(one, value) for one in summaries(conn, names) for value in one.values if value.verdict]
    out = [f"{one.title}: {NAMES[value.metric]} {_said(value)}" for one, value in found if value.verdict != "healthy"]
    return Ranges(counted=len(found), healthy=len(found) - len(out), out=tuple(out))


def _said(value: Value) -> str:
    if value.metric == "cost_per_output" or value.value is None:
        return value.verdict
    return f"{value.value * 100:.0f} %"


def _summary(name: str, rows: Sequence[Row], state: str, posture: Row | None, cases: int) -> Summary:
    recent = rows[-POOLED:]
    total = metrics.added(recent, name)
    said, settings = total.verdicts(_settings()), _settings()
    by_night = [metrics.of_row(row) for row in rows]
    values = [
        Value(metric=one, value=total.share(one), low=getattr(settings.ranges, one)[0], high=getattr(settings.ranges, one)[1],
              verdict=said.get(one, ""), slope=control.slope([night.share(one) for night in by_night]))
        for one in SHARES
    ]  # fmt: skip
    values.append(
        Value(metric="completion", value=total.completion, low=settings.ranges.completion[0], high=settings.ranges.completion[1],
              verdict=said.get("completion", ""))
    )  # fmt: skip
    costs = [_usd(night.cost_per_output_usd) for night in by_night]
    rising = any(signal.kind == "cost_rising" for signal in _cost_signals(rows, settings))
    per = _usd(total.cost_per_output_usd)
    verdict = "" if per is None else "rising" if rising else "healthy"
    values.append(Value(metric="cost_per_output", value=per, verdict=verdict, slope=control.slope(costs)))
    why = posture["reason"] if posture else None
    return Summary(
        workflow=name, title=title(name), nights=len(recent), values=tuple(values), launch=state, tightened=why, cases=cases
    )


def _cost_signals(rows: Sequence[Row], settings: Quality) -> Sequence[Any]:
    from overnight.quality import drift

    return drift.signals([metrics.counted(row) for row in rows], settings) if rows else []


def detail(conn: Connection, name: str, *, now: datetime) -> Detail | None:
    """One workflow's quality; None where it was never measured."""
    told = metrics.report(conn, name, now=now, last=PAST)
    if not told.nights:
        return None
    rows = measures.of_workflow(conn, name, last=PAST)
    posture = postures.get(conn, name)
    state = launches.get(conn, name)
    summary = _summary(name, rows, state["state"] if state else "", postures.tightened(conn, name), len(told.cases))
    progress = launch.progress(conn, name)
    settings = _settings()
    return Detail(
        summary=summary, total=_figures(metrics.added(rows, "all nights"), settings),
        nights=tuple(_figures(one, settings) for one in reversed(told.nights)),
        versions=tuple(_figures(one, settings) for one in told.versions),
        reviewers=tuple(_figures(one, settings) for one in told.reviewers),
        charts=tuple(_line(chart) for chart in charts(told.nights)),
        cases=tuple(Case(**{key: row[key] for key in Case.model_fields}) for row in told.cases),
        signals=tuple(Signal(**{key: row[key] for key in Signal.model_fields}) for row in alerts.of_kind(conn, name, "drift")),
        posture=_plain(posture), launch=_plain_progress(progress),
        ranges={one: getattr(settings.ranges, one) for one in (*SHARES, "completion")},
    )  # fmt: skip


def charts(nights: Sequence[Metrics]) -> list[Chart]:
    """The control charts of a workflow: three of shares, one of cost."""
    labelled = [(one.name, one) for one in nights]
    costs = [(one.name, float(cost), one.staged) for one in nights if (cost := one.cost_per_output_usd) is not None]
    return [*(control.shares(labelled, name) for name in SHARES), control.individuals("cost_per_output", costs)]


def chart(conn: Connection, name: str, metric: str) -> tuple[Chart, tuple[float, float] | None] | None:
    """One control chart of a workflow with its healthy range; None where there is none of that name."""
    nights = [metrics.of_row(row) for row in measures.of_workflow(conn, name, last=PAST)]
    found = next((one for one in charts(nights) if one.name == metric), None)
    band = getattr(_settings().ranges, metric, None)
    return None if found is None else (found, band)


def _line(chart: Chart) -> Line:
    points = tuple(
        {"night": p.night, "value": p.value, "low": p.low, "high": p.high, "n": p.n, "out": p.out} for p in chart.points
    )
    return Line(metric=chart.name, centre=chart.centre, points=points, out=tuple(point.night for point in chart.out))


def _figures(one: Metrics, settings: Quality) -> Figures:
    low, high = one.sure
    return Figures(
        name=one.name, decided=one.decided, as_is=one.share("as_is"), sure_from=low, sure_to=high, edit=one.share("edit"),
        rework=one.share("rework"), completion=one.completion, cost_per_output_usd=_usd(one.cost_per_output_usd),
        cost_per_approved_usd=_usd(one.cost_per_approved_usd), pending=one.pending, failed=one.failed, blocked=one.blocked,
        facts=dict(one.facts), verdicts=one.verdicts(settings),
    )  # fmt: skip


def _usd(value: Any) -> float | None:
    return None if value is None else float(value)


def _plain(row: Mapping[str, Any] | None) -> dict[str, Any] | None:
    names = ("tightened", "reason", "by", "changed_at")
    return None if row is None else {key: row[key] for key in names}


def _plain_progress(one: launch.Progress) -> dict[str, Any]:
    return {"state": one.state, "since": one.since, "nights": one.nights, "decided": one.decided, "as_is": one.as_is,
            "share": one.share, "missing": list(one.missing), "chance": one.chance}  # fmt: skip
