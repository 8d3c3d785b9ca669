"""Amazon's inventory flat file, as a partial update: an empty cell leaves the attribute as it is, so only changes are filled.

The item highlights' attribute differs by product type (often title_differentiation): check it against the type's template.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from overnight.delivery import tables
from overnight.delivery.target import Approved, Target

BULLETS = 5
HEADER = ("item_sku", "feed_product_type", "update_delete", "item_name", "title_differentiation",
          *(f"bullet_point{n}" for n in range(1, BULLETS + 1)), "product_description", "generic_keywords")  # fmt: skip
LABELS = ("Seller SKU", "Product Type", "Update Delete", "Product Name", "Item Highlights",
          *(f"Key Product Features {n}" for n in range(1, BULLETS + 1)), "Product Description", "Search Terms")  # fmt: skip


def make() -> "AmazonFlatFileTarget":
    """The target needs no settings."""
    return AmazonFlatFileTarget()


class AmazonFlatFileTarget(Target):
    """`amazon_flat_file.txt`: tab-delimited UTF-8; template line, labels, attribute names, a row a SKU."""

    def files(self, workflow: str, items: Sequence[Approved]) -> Mapping[str, bytes]:
        """One file a marketplace: each has an upload of its own."""
        made: dict[str, bytes] = {}
        for market in sorted({str(item.input.get("marketplace") or "US") for item in items}):
            mine = [_row(item) for item in items if str(item.input.get("marketplace") or "US") == market]
            above = [["TemplateType=fptcustom", "Version=2026.1101"], list(LABELS)]
            made[f"amazon_flat_file_{market}.txt"] = tables.write(HEADER, mine, delimiter="\t", above=above)
        return made


def _row(item: Approved) -> dict[str, Any]:
    today, new = item.input, item.output
    row: dict[str, Any] = {
        "item_sku": item.key, "feed_product_type": today.get("product_type") or "", "update_delete": "PartialUpdate",
    }  # fmt: skip
    for column, field, was in (
        ("item_name", "item_name", "title"), ("title_differentiation", "item_highlights", "highlights"),
        ("product_description", "product_description", "description"), ("generic_keywords", "search_terms", "search_terms"),
    ):  # fmt: skip
        row[column] = new.get(field) if new.get(field) != today.get(was) else ""
    if list(new.get("bullets") or []) != list(today.get("bullets") or []):
        row |= tables.numbered("bullet_point{}", new.get("bullets") or [], BULLETS)
    return row
