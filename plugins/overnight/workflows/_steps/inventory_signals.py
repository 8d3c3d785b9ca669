"""The step in code of inventory_signals: the whole catalogue in one table, scored by formulas that stand in domain terms.

velocity      units a day, mean over the last 7/30/60/90 days in stock, weighted
days_of_cover available / velocity
safety_stock  Z · √(L·σd² + d²·σL²), or the observed demand over a lead time at the service level where that is more
reorder_point d·L + safety_stock
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from overnight.brand import brand, data_dir
from overnight.validation import limits
from overnight.workflow import Computed, Finding, NightFacts, Severity, StepRow

Array = Any
"""A numpy array: a row a SKU, a column a day."""
WINDOWS = (7, 30, 60, 90)
FAR = 9999.0
SEVERITIES = {"data_quality": "warning", "demand_spike": "info", "demand_drop": "info", "overstock": "info", "aging": "info",
              "low_level_fee_risk": "warning", "reorder_now": "warning", "healthy": "none"}  # fmt: skip
SOLD = ("active", "launch")
_ORDER = {"critical": 0, "warning": 1, "info": 2, "none": 3}


def score(rows: Sequence[StepRow], facts: NightFacts) -> list[Computed]:
    """Score every SKU of the night. A stale snapshot, and sales that end days ago, are no basis for anything: no good answer."""
    limit = limits.of("inventory")
    catalogue = pd.DataFrame([{"item_id": row.item_id, **row.item} for row in rows])
    now = facts.now.astimezone(ZoneInfo(brand().timezone))  # a day of sales, and a snapshot without a zone, are the shop's
    sales = read_sales(data_dir(facts.workflow))
    if len(sales) and (behind := (pd.Timestamp(now.date()) - sales["date"].max()).days - 1) > limit["sales_days"]:
        newest = f"{sales['date'].max():%Y-%m-%d}"
        said = f"the newest sale in its file is of {newest}, {behind} days are missing: nothing is computed from it"
        return [Computed(row.item_id, None, error=said, retryable=False) for row in rows]
    table = scored(catalogue, sales, now, limit)
    return [_computed(record, limit) for record in _records(table)]


def read_sales(folder: Path) -> pd.DataFrame:
    """Sales by SKU and day from `sales*.csv` or `.parquet`: sku, date, units and, where known, marketplace and in_stock."""
    parts = []
    for path in sorted(folder.glob("sales*")):
        part = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, dtype={"sku": str})
        part["sku"] = part["sku"].astype(str)
        part["date"] = pd.to_datetime(part["date"]).dt.normalize()
        parts.append(part[[name for name in ("sku", "marketplace", "date", "units", "in_stock") if name in part]])
    if not parts:
        return pd.DataFrame(
            {"sku": pd.Series(dtype=str), "date": pd.Series(dtype="datetime64[ns]"), "units": pd.Series(dtype=float)}
        )
    return pd.concat(parts, ignore_index=True)


def scored(catalogue: pd.DataFrame, sales: pd.DataFrame, now: datetime, limit: Mapping[str, Any]) -> pd.DataFrame:
    """The catalogue with every figure, its signal and severity. Days without a sale in the data count as nought sold.

    Args:
        now: in the shop's zone: the history ends with its yesterday.
    """
    day = pd.Timestamp(now.date())  # the history ends with the last whole day: yesterday
    keys, sales = _by_marketplace(catalogue, sales)
    daily, in_stock = _daily(keys, sales, day, int(limit["history_days"]))
    table = catalogue.copy()
    table["sku"] = table["sku"].astype(str)
    table["uncounted"] = table["available"].isna()  # nobody knows how many there are: nothing is ordered or alarmed for it
    table["available"] = table["available"].fillna(0)
    for window in WINDOWS:
        days = in_stock[:, -window:].sum(axis=1)
        table[f"v{window}"] = np.where(days > 0, _mean(daily[:, -window:], in_stock[:, -window:]), np.nan)
    table["velocity"] = _velocity(table, {int(window): float(weight) for window, weight in limit["velocity_weights"].items()})
    table["daily_sd"] = _sd(daily, in_stock)
    table["trend"] = np.where(table["v30"] > 0, table["v7"] / table["v30"].replace(0, np.nan), np.nan)
    table["z_score"] = _z(daily, in_stock)
    table["unheard_of"] = _unheard_of(daily, in_stock)
    table["units_90"] = (daily * in_stock).sum(axis=1)
    table["before_7"] = (daily * in_stock)[:, :-7].sum(axis=1)
    table["has_history"] = keys.isin(set(sales["sku"])).to_numpy() if len(sales) else False
    _cover(table, day)
    _orders(table, daily, limit)
    _classes(table)
    _signals(table, now, limit)
    return table


def _by_marketplace(catalogue: pd.DataFrame, sales: pd.DataFrame) -> tuple[pd.Series, pd.DataFrame]:
    """What joins a row to its sales: SKU and marketplace where both sides name one: marketplaces are never mixed."""
    skus = catalogue["sku"].astype(str)
    if "marketplace" not in sales or "marketplace" not in catalogue:
        return skus, sales
    places = sales["marketplace"].fillna("").astype(str).str.strip().str.upper()
    own = catalogue["marketplace"].fillna("").astype(str).str.strip().str.upper()
    apart = sales.assign(sku=sales["sku"] + "\t" + places)
    # One that no sale is named for has those that are named for none: a shop's own export says nothing of marketplaces.
    named = (skus + "\t" + own).where((skus + "\t" + own).isin(set(apart["sku"])), skus + "\t")
    return skus.where(own == "", named), pd.concat([sales, apart], ignore_index=True)


def _daily(skus: pd.Series, sales: pd.DataFrame, day: pd.Timestamp, days: int) -> tuple[Array, Array]:
    """Units by SKU and day over the last `days`, and whether each was in stock; rows in the catalogue's order."""
    start = day - pd.Timedelta(days=days)
    recent = sales[(sales["date"] >= start) & (sales["date"] < day)]
    place = {sku: n for n, sku in enumerate(dict.fromkeys(skus))}
    rows, columns = recent["sku"].map(place), (recent["date"] - start).dt.days
    known = rows.notna()
    units, stocked = np.zeros((len(place), days)), np.ones((len(place), days))
    if len(recent):
        stocked[:, : int((recent["date"].min() - start).days)] = 0  # a file of thirty days says nothing of sixty before it
    at = (rows[known].astype(int).to_numpy(), columns[known].to_numpy())
    np.add.at(units, at, recent.loc[known, "units"].to_numpy(dtype=float))
    if "in_stock" in recent:
        flags = recent.loc[known, "in_stock"].fillna(1).to_numpy(dtype=float)
        stocked[at] = flags
    order = skus.map(place).to_numpy()
    return np.clip(units, 0, None)[order], stocked[order]


def _velocity(table: pd.DataFrame, weights: Mapping[int, float]) -> Any:
    """The windows' weighted mean. One in which the SKU was never in stock says nothing: its weight is the others'."""
    known = [(table[f"v{window}"].notna().to_numpy(), table[f"v{window}"].fillna(0).to_numpy(), weight)
             for window, weight in weights.items()]  # fmt: skip
    weighed = sum(there * weight for there, _, weight in known)
    return np.divide(sum(pace * weight for _, pace, weight in known), weighed, out=np.zeros(len(table)), where=weighed > 0)


def _mean(units: Array, stocked: Array) -> Any:
    days = stocked.sum(axis=1)
    return np.divide((units * stocked).sum(axis=1), days, out=np.zeros(len(units)), where=days > 0)


def _sd(units: Array, stocked: Array) -> Any:
    mean, days = _mean(units, stocked), stocked.sum(axis=1)
    squares = (((units - mean[:, None]) ** 2) * stocked).sum(axis=1)
    return np.sqrt(np.divide(squares, days - 1, out=np.zeros(len(units)), where=days > 1))


def _z(units: Array, stocked: Array) -> Any:
    """How far the last week's mean lies from the weeks before it, in standard errors of a weekly mean."""
    before, flags = units[:, :-7], stocked[:, :-7]
    error = _sd(before, flags) / np.sqrt(7)
    gap = _mean(units[:, -7:], stocked[:, -7:]) - _mean(before, flags)
    sold = stocked[:, -7:].sum(axis=1) > 0  # a week out of stock is no drop in demand
    return np.divide(gap, error, out=np.zeros(len(units)), where=(error > 0) & sold)


def _unheard_of(units: Array, stocked: Array) -> Any:
    """Whether the last week sold more (1) or less (-1) than every week before it, of those that were in stock throughout.

    Sales of most SKUs are lumpy: a week far out in standard errors is nothing new for one that sells by the pallet, and one
    that sells daily and sold nothing is news long before it is three errors out.
    """
    sums, days = (np.cumsum(np.pad(one, ((0, 0), (1, 0))), axis=1) for one in (units * stocked, stocked))
    weeks, whole = sums[:, 7:] - sums[:, :-7], days[:, 7:] - days[:, :-7] == 7
    before, known = weeks[:, :-7], whole[:, :-7]
    last, enough = weeks[:, -1], whole[:, -1] & (known.sum(axis=1) >= 7)
    most = np.where(known, before, -np.inf).max(axis=1, initial=-np.inf)
    least = np.where(known, before, np.inf).min(axis=1, initial=np.inf)
    return np.where(enough & (last > most), 1, np.where(enough & (last < least), -1, 0))


def _cover(table: pd.DataFrame, day: pd.Timestamp) -> None:
    speed = table["velocity"].to_numpy()
    usable = table["available"].clip(lower=0).to_numpy(dtype=float)
    cover = np.divide(usable, speed, out=np.full(len(table), FAR), where=speed > 0)
    table["days_of_cover"] = np.minimum(cover, FAR)
    eta = pd.to_datetime(table["inbound_eta"])
    arrives = (eta - day).dt.days.to_numpy(dtype=float)
    table["arrives_in"] = np.where((table["inbound"] > 0) & ~np.isnan(arrives), arrives, np.nan)
    table["gap_days"] = np.where(table["arrives_in"].notna(), np.maximum(0, table["arrives_in"] - table["days_of_cover"]), np.nan)
    # What is overdue may never come, and what comes too late covers no gap; what comes in time adds its own days and no more.
    in_time = (table["arrives_in"] >= 0) & (table["gap_days"] == 0)
    coming = usable + np.where(in_time, table["inbound"].to_numpy(dtype=float), 0.0)
    table["cover_with_inbound"] = np.minimum(np.divide(coming, speed, out=np.full(len(table), FAR), where=speed > 0), FAR)
    soon = table["days_of_cover"] < FAR
    out: Any = day + pd.to_timedelta(np.where(soon, np.floor(np.minimum(table["days_of_cover"], 3650)), 0), unit="D")
    table["stockout_on"] = pd.Series(out.strftime("%Y-%m-%d"), index=table.index).where(
        soon & (table["days_of_cover"] < 3650), None
    )
    for window in (30, 90):
        pace = table[f"v{window}"].fillna(0).to_numpy()
        table[f"supply_{window}"] = np.minimum(np.divide(usable, pace, out=np.full(len(table), FAR), where=pace > 0), FAR)


def _orders(table: pd.DataFrame, daily: Array, limit: Mapping[str, Any]) -> None:
    levels = {int(level): float(z) for level, z in limit["service_z"].items()}
    nearest = table["service_level"].map(
        lambda level: levels[max((k for k in levels if k <= max(level, min(levels))), default=min(levels))]
    )
    lead, lead_sd = table["lead_time_days"].astype(float), table["lead_time_sd"].astype(float)
    formula = nearest * np.sqrt(lead * table["daily_sd"] ** 2 + table["velocity"] ** 2 * lead_sd**2)
    demand, seen = _observed(daily, lead.to_numpy(), table["service_level"].to_numpy())
    # A lead time longer than the windows that were seen: the excess grows with the root of the time, as the formula's does.
    stretched = np.sqrt(np.divide(lead.fillna(0), seen, out=np.zeros(len(table)), where=seen > 0))
    observed = pd.Series((demand - table["velocity"] * seen) * stretched, index=table.index)
    table["safety_stock"] = np.ceil(np.maximum(formula, observed.clip(lower=0)))
    table["skewed"] = observed > formula
    table["reorder_point"] = np.ceil(table["velocity"] * lead + table["safety_stock"])
    # What is overdue may never come, and what comes after the next order would covers nothing until then.
    late = (table["arrives_in"] < 0) | (table["arrives_in"] > np.maximum(lead.fillna(np.inf), table["days_of_cover"]))
    position = table["available"].clip(lower=0) + table["inbound"].where(~late, 0)
    wanted = (table["reorder_point"] + table["velocity"] * lead - position).clip(lower=0)
    needed = np.maximum(wanted, table["moq"])
    packs = np.ceil(needed / table["case_pack"]) * table["case_pack"]
    due = (position <= table["reorder_point"]) & (table["velocity"] > 0) & table["status"].isin(SOLD) & ~table["uncounted"]
    table["suggested_order"] = np.where(due, packs, 0.0)


def _observed(daily: Array, lead: Array, level: Array) -> tuple[Array, Array]:
    """Demand over a lead time that was not exceeded in `level` per cent of the windows seen: no bell curve is assumed.

    Returns:
        The demand, and the days of the windows it was seen in (half of what is known, at most).
    """
    sums = np.cumsum(np.pad(daily, ((0, 0), (1, 0))), axis=1)
    made = np.zeros(len(daily))
    days = np.where(np.isnan(lead), 0, np.clip(np.round(np.nan_to_num(lead)), 1, daily.shape[1] // 2)).astype(int)
    for length in np.unique(days[days > 0]):
        rows = np.flatnonzero(days == length)
        windows = sums[rows, length:] - sums[rows, :-length]
        for percent in np.unique(level[rows]):
            these = level[rows] == percent
            made[rows[these]] = np.quantile(windows[these], percent / 100, axis=1)
    return made, days


def _classes(table: pd.DataFrame) -> None:
    """ABC by what 90 days brought in: A to 80 %, B to 95 %."""
    revenue = (table["units_90"] * table["price"].astype(float)).to_numpy()
    order = np.argsort(-revenue, kind="stable")
    total = revenue.sum()
    before = np.cumsum(revenue[order]) - revenue[order]
    share = np.divide(before, total, out=np.ones(len(table)), where=total > 0)
    names = np.empty(len(table), dtype=object)
    names[order] = np.where(share < 0.8, "A", np.where(share < 0.95, "B", "C"))
    table["abc"] = names
    table["revenue_90"] = revenue


def _signals(table: pd.DataFrame, now: datetime, limit: Mapping[str, Any]) -> None:
    active, sold = table["status"] == "active", table["status"].isin(SOLD)
    lead = table["lead_time_days"].astype(float)
    moving = table["velocity"] > 0
    snapshots = pd.to_datetime(table["snapshot_at"].map(lambda at: _in_zone(at, now)), utc=True)
    table["stale"] = (pd.Timestamp(now) - snapshots) > timedelta(hours=float(limit["stale_hours"]))
    broken = (table["available"] < 0) | table["uncounted"] | (active & ~table["has_history"])
    cover = table["cover_with_inbound"]
    woke = (table["before_7"] == 0) & (table["v7"] >= 1)
    low = active & moving & (table["supply_30"] < limit["fee_days"]) & (table["supply_90"] < limit["fee_days"])
    choices = [
        ("data_quality", broken),
        ("stockout_risk", sold & moving & (cover < limit["warning_days"])),  # how long stock lasts needs no lead time
        ("data_quality", active & lead.isna()),
        ("reorder_now", table["suggested_order"] > 0),
        ("low_level_fee_risk", low),
        ("demand_spike", active & (table["unheard_of"] > 0) & ((table["z_score"] >= limit["spike_z"]) | woke)),
        ("demand_drop", active & (table["unheard_of"] < 0) & ((table["z_score"] <= -limit["spike_z"]) | (table["v7"] == 0))),
        ("aging", table["aged_units"] > 0),
        (
            "overstock",
            (table["days_of_cover"] > limit["overstock_days"])
            & (table["available"] > 0)
            & (active | (table["status"] == "discontinued")),
        ),
    ]
    table["signal"] = np.select([mask.to_numpy() for _, mask in choices], [name for name, _ in choices], default="healthy")
    table["severity"] = table["signal"].map(SEVERITIES)
    stockout = table["signal"] == "stockout_risk"
    table.loc[stockout, "severity"] = np.where(cover[stockout] < limit["critical_days"], "critical", "warning")
    rank = pd.DataFrame({"s": table["severity"].map(_ORDER), "abc": table["abc"], "r": -table["revenue_90"], "sku": table["sku"]})
    order = rank[(table["signal"] != "healthy") & ~table["stale"]].sort_values(["s", "abc", "r", "sku"]).index
    table["explain"] = False
    table.loc[order[: int(limit["explained"])], "explain"] = True


def _in_zone(at: Any, now: datetime) -> pd.Timestamp:
    """An hour that the clocks skip is the next one, and one they have twice the first: no reason to score nothing."""
    read = pd.Timestamp(at)
    return read.tz_localize(now.tzinfo, ambiguous=True, nonexistent="shift_forward") if read.tzinfo is None else read


_SHOWN = (
    "signal",
    "severity",
    "abc",
    "velocity",
    "v7",
    "v30",
    "v60",
    "v90",
    "trend",
    "z_score",
    "daily_sd",
    "days_of_cover",
    "cover_with_inbound",
    "stockout_on",
    "arrives_in",
    "gap_days",
    "supply_30",
    "supply_90",
    "safety_stock",
    "skewed",
    "reorder_point",
    "suggested_order",
    "units_90",
    "revenue_90",
    "aged_units",
    "explain",
)


def _records(table: pd.DataFrame) -> Iterator[dict[str, Any]]:
    for record in table[["item_id", "stale", "snapshot_at", "unit_cost", "status", *_SHOWN]].to_dict("records"):
        yield {str(name): _plain(value) for name, value in record.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, np.bool_ | bool):
        return bool(value)
    if isinstance(value, float | np.floating):
        return None if np.isnan(value) else round(float(value), 3)
    return int(value) if isinstance(value, np.integer) else value


def _computed(record: dict[str, Any], limit: Mapping[str, Any]) -> Computed:
    if record["stale"]:
        said = f"its stock snapshot of {record['snapshot_at']} is older than a day: nothing is computed from it"
        return Computed(record["item_id"], None, error=said, retryable=False)
    output = {name: record[name] for name in _SHOWN}
    for name in ("days_of_cover", "cover_with_inbound", "supply_30", "supply_90"):
        output[name] = None if output[name] == FAR else output[name]
    return Computed(record["item_id"], output, tuple(_findings(record, limit)))


def _findings(record: Mapping[str, Any], limit: Mapping[str, Any]) -> Iterator[Finding]:
    cost = float(record["suggested_order"] or 0) * float(record["unit_cost"] or 0)
    # Here, and not on the model's words: most orders are explained by nobody.
    if cost > limit["po_limit_usd"] and record["status"] != "discontinued":
        yield Finding(
            "large_orders", Severity.ESCALATE, "The suggested order is over the limit.", "suggested_order", f"${cost:,.0f}"
        )
    if record["severity"] == "critical":
        yield Finding(
            "signals",
            Severity.ESCALATE,
            "Stock ends within a week, what comes in time included.",
            "signal",
            record["stockout_on"],
        )
    elif record["explain"]:
        yield Finding("signals", Severity.WARN, f"Signal: {record['signal'].replace('_', ' ')}.", "signal")
