"""A catalogue of 500 SKUs and a year of its sales, made by seed: seasons, weekdays, promotions, stock-outs, a few surprises.

`python -m overnight.rehearsal.sales` writes the catalogue's sample again; a rehearsal makes the sales, ending yesterday.
"""

import csv
import io
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

SKUS, DAYS, SEED = 500, 365, 20261124
_KINDS = ("tent", "boot", "jacket", "stove", "sock", "pack", "lamp", "mat", "bottle", "pole")
HEADER = (
    "sku,snapshot_at,title,marketplace,available,reserved,inbound,inbound_eta,lead_time_days,lead_time_sd,moq,case_pack,"
    "unit_cost,price,service_level,aged_units,status,priority"
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sku:
    """One SKU of the made-up catalogue and how it sells."""

    sku: str
    kind: str
    pace: float  # units a day at its mean
    season: float  # how far it swings over the year, 0..1
    peak: int  # the day of the year on which it sells most
    surprise: str  # spike, drop, new or nothing


def catalogue() -> Iterator[Sku]:
    """The SKUs, the same each time."""
    dice = random.Random(SEED)  # noqa: S311 - made-up data
    for n in range(SKUS):
        kind = _KINDS[n % len(_KINDS)]
        surprise = {7: "spike", 19: "drop", 31: "new"}.get(n % 97, "")
        yield Sku(f"FW-{kind.upper()}-{n:03}", kind, round(dice.lognormvariate(0.3, 1.1), 3), dice.random() * 0.7,
                  dice.randrange(365), surprise)  # fmt: skip


def sample() -> str:
    """The catalogue as a queue file. `{{today}}` and `{{today+N}}` become dates when a rehearsal fills its queue."""
    dice, out = random.Random(SEED + 1), io.StringIO()  # noqa: S311 - made-up data
    out.write(HEADER + "\n")
    writer = csv.writer(out, lineterminator="\n")
    for n, one in enumerate(catalogue()):
        cover = dice.choice((4, 12, 24, 45, 60, 75, 80, 90, 100, 110, 120, 130, 150, 260))
        lead = dice.choice((14, 21, 30, 45, 60))
        inbound = int(one.pace * lead) if dice.random() < 0.35 else 0
        cost = round(dice.lognormvariate(3, 0.7), 2)
        row = [
            one.sku,
            "{{today}}T00:00:00Z",
            f"{one.kind.capitalize()} {n:03}",
            "EU",
            int(one.pace * cover),
            dice.randrange(4),
            inbound,
            f"{{{{today+{dice.randrange(2, 40)}}}}}" if inbound else "",
            "" if n % 61 == 5 else lead,
            dice.choice((0, 2, 4, 7)),
            dice.choice((1, 10, 24, 48)),
            dice.choice((1, 6, 12)),
            cost,
            round(cost * 2.4, 2),
            dice.choice((90, 95, 95, 98)),
            dice.randrange(5, 60) if n % 43 == 9 else 0,
            "discontinued" if n % 71 == 11 else "active",
            "normal",
        ]
        writer.writerow(row)
    return out.getvalue()


def write_sales(path: Path, today: date) -> None:
    """A year of sales that ends yesterday: sku, date, units, in_stock (days without a sale are left out, as shops do)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["sku", "date", "units", "in_stock"])
        for n, one in enumerate(catalogue()):
            writer.writerows(_year(one, n, today))


def _year(one: Sku, n: int, today: date) -> Iterator[tuple[str, str, int, int]]:
    dice = random.Random(f"{SEED} {one.sku}")  # noqa: S311 - made-up data
    gap_start, promo = dice.randrange(60, 300), dice.randrange(20, 340)
    for back in range(DAYS, 0, -1):
        day = today - timedelta(days=back)
        if one.surprise == "new" and back > 20:
            continue
        if n % 17 == 3 and gap_start <= back < gap_start + 12:
            yield one.sku, day.isoformat(), 0, 0  # out of stock: nothing could be sold
            continue
        wave = 1 + one.season * math.cos(2 * math.pi * (day.timetuple().tm_yday - one.peak) / 365)
        mean = one.pace * wave * (1.3 if day.weekday() >= 5 else 0.9) * (2.2 if promo <= back < promo + 5 else 1)
        mean *= {"spike": 4.0, "drop": 0.05}.get(one.surprise, 1.0) if back <= 7 else 1.0
        units = _poisson(dice, mean)
        if units:
            yield one.sku, day.isoformat(), units, 1


def _poisson(dice: random.Random, mean: float) -> int:
    if mean > 30:
        return max(0, round(dice.gauss(mean, math.sqrt(mean))))
    limit, count, product = math.exp(-mean), 0, dice.random()
    while product > limit:
        count, product = count + 1, product * dice.random()
    return count


if __name__ == "__main__":
    from overnight.brand import include_dir

    (include_dir() / "prompts" / "inventory_signals" / "sample.csv").write_text(sample(), encoding="utf-8")
