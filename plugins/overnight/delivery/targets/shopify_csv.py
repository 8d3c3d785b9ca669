"""Shopify's product import: Handle and Title, and of the rest the changed columns alone, so that nothing else is touched."""

from collections.abc import Mapping, Sequence
from typing import Any

from overnight.delivery import tables
from overnight.delivery.target import Approved, Target
from overnight.validation import html, limits

KEYS = ("Handle", "Title")
COLUMNS = {
    "Body (HTML)": ("description_html", "body_html"), "SEO Title": ("seo_title", "seo_title"),
    "SEO Description": ("seo_description", "seo_description"), "Image Alt Text": ("image_alt", "image_alt"),
}  # fmt: skip
"""Shopify's column → (the answer's field, the row's field that holds today's text)."""


def make() -> "ShopifyCsvTarget":
    """The target needs no settings."""
    return ShopifyCsvTarget()


class ShopifyCsvTarget(Target):
    """`shopify_import.csv`: a row a product. A changed cell holds the new text, an unchanged one today's."""

    def files(self, workflow: str, items: Sequence[Approved]) -> Mapping[str, bytes]:
        """One file; import it with “Overwrite products with matching handles”."""
        rows = [_row(item) for item in items]
        changed = [name for name in (*COLUMNS, "Tags") if any(row["changed"][name] for row in rows)]
        return {"shopify_import.csv": tables.write([*KEYS, *changed], [row["cells"] for row in rows])}


def _row(item: Approved) -> dict[str, Any]:
    today, new = item.input, item.output
    cells: dict[str, Any] = {"Handle": today["handle"], "Title": new.get("title") or today["title"]}
    changed: dict[str, bool] = {}
    for column, (field, was) in COLUMNS.items():
        text = str(new.get(field) or today.get(was) or "")
        if column == "Body (HTML)":
            text = html.sanitised(text, limits.of("shopify")["html_tags"]) if new.get(field) else text
        cells[column], changed[column] = text, text != (today.get(was) or "")
    tags = _tags(today.get("tags") or [], new)
    cells["Tags"], changed["Tags"] = ", ".join(tags), tags != list(today.get("tags") or [])
    return {"cells": cells, "changed": changed}


def _tags(today: Sequence[str], new: Mapping[str, Any]) -> list[str]:
    """Shopify replaces all tags of a product: the file holds the ones that stay, too."""
    gone = {str(tag).casefold() for tag in new.get("tags_remove") or []}
    stay = [tag for tag in today if tag.casefold() not in gone]
    known = {tag.casefold() for tag in stay}
    return [*stay, *(str(tag) for tag in new.get("tags_add") or [] if str(tag).casefold() not in known)]
