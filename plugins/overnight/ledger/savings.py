"""What a night did not have to buy: the counts that savings are worked out from. Prices are known elsewhere."""

from decimal import Decimal

from sqlalchemy import Connection, func, select

from overnight.ledger.rows import Row
from overnight.ledger.tables import answers, batches, prompts, request_items, requests

_KEPT = answers.alias("kept")


def packed(conn: Connection, night_id: int) -> list[Row]:
    """By prompt, vendor and model: `items` asked in `requests`, the shared `prompt_chars`, whether a cache held it."""
    query = (
        select(
            batches.c.vendor, batches.c.model, batches.c.cache_prefix, requests.c.prompt_hash,
            func.count(func.distinct(requests.c.id)).label("requests"), func.count().label("items"),
            func.max(func.length(prompts.c.system)).label("prompt_chars"),
        )
        .select_from(request_items)
        .join(requests, requests.c.id == request_items.c.request_id)
        .join(batches, batches.c.id == requests.c.batch_id)
        .join(prompts, prompts.c.hash == requests.c.prompt_hash)
        .where(batches.c.night_id == night_id)
        .group_by(batches.c.vendor, batches.c.model, batches.c.cache_prefix, requests.c.prompt_hash)
    )  # fmt: skip
    return list(conn.execute(query).mappings())


def reused_usd(conn: Connection, night_id: int) -> Decimal:
    """What the answers had cost that this night kept from an earlier one."""
    query = (
        select(func.sum(_KEPT.c.cost_usd))
        .select_from(answers)
        .join(_KEPT, _KEPT.c.id == answers.c.reused_from)
        .where(answers.c.night_id == night_id)
    )
    return conn.execute(query).scalar() or Decimal(0)
