"""What the way a night buys saved: the batch rate, the prompt cache, several items in one request, answers kept.

Batch rate, cache and kept answers are worked out from tokens that were billed. Packing is an estimate and is called one: it is
about prompts that were never sent, so their tokens were never counted.
"""

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from overnight.batches import cost
from overnight.batches.vendor import vendor_class
from overnight.ledger import overview, savings

CHARS_A_TOKEN = 4
"""English prose, in the vendors' own rule of thumb."""
Saved = dict[str, Decimal | None]


def of_night(conn: Connection, night_id: int) -> Saved:
    """The savings columns of `measures`, in USD; None where a price is not known any more."""
    lines = overview.bill(conn, night_id)
    return {
        "realtime_cost_usd": overview.cost(conn, night_id)["realtime_cost_usd"],
        "cache_saved_usd": _sum(_cache, lines),
        "packing_saved_usd": _sum(_packing, savings.packed(conn, night_id)),
        "reused_saved_usd": savings.reused_usd(conn, night_id),
    }


def _sum(of: Callable[[Any], Decimal], lines: Iterable[Any]) -> Decimal | None:
    try:
        return sum((of(line) for line in lines), Decimal(0))
    except cost.UnknownPrice:  # a model that left the price list since it was asked: not known is not zero
        return None


def _cache(line: Any) -> Decimal:
    if not line["cache_read_tokens"] and not line["cache_write_tokens"]:
        return Decimal(0)
    facts = vendor_class(line["vendor"]).facts
    plain = cost.without_cache(
        facts, line["model"], input_tokens=line["input_tokens"], output_tokens=line["output_tokens"]
    )  # fmt: skip
    return plain - Decimal(line["cost_usd"] or 0)


def _packing(line: Any) -> Decimal:
    """The shared prompt, once for each item that came along in another's request; at the cached price where it was cached."""
    facts = vendor_class(line["vendor"]).facts
    known = cost.price(facts, line["model"])
    each = known.cache_read if line["cache_prefix"] else known.input
    tokens = line["prompt_chars"] // CHARS_A_TOKEN
    asked: int = tokens * (line["items"] - line["requests"])
    return each * asked * facts.batch_rate
