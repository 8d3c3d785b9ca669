"""A Shopify product export as queue rows of shopify_pages. Shopify gives a product several rows; a page is one."""

import csv
from collections.abc import Mapping
from pathlib import Path

COLUMNS = ("handle", "title", "body_html", "vendor", "product_type", "tags", "options", "facts", "seo_title", "seo_description",
           "image_alt")  # fmt: skip
_TAKEN = {
    "title": "Title", "body_html": "Body (HTML)", "vendor": "Vendor", "product_type": "Type", "seo_title": "SEO Title",
    "seo_description": "SEO Description", "image_alt": "Image Alt Text",
}  # fmt: skip


class NotAnExport(ValueError):
    """The file is no product export of Shopify; nothing was written."""


def convert(export: Path, target: Path) -> int:
    """Write the queue file; returns how many products it holds."""
    rows = products(export)
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return len(rows)


def products(export: Path) -> list[dict[str, str]]:
    """The products of an export, each once, with its options' values in the order they come."""
    with export.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        if not {"Handle", "Title"} <= set(reader.fieldnames or ()):
            raise NotAnExport(f"{export} has no columns Handle and Title: it is no product export. Nothing was written.")
        found: dict[str, dict[str, str]] = {}
        options: dict[str, dict[str, list[str]]] = {}
        names: dict[str, dict[int, str]] = {}
        for row in reader:
            handle = (row.get("Handle") or "").strip()
            if not handle:
                continue
            product = found.setdefault(handle, {"handle": handle, "facts": "", "tags": _tags(row)})
            for column, theirs in _TAKEN.items():
                product[column] = product.get(column) or (row.get(theirs) or "")
            _gather(row, names.setdefault(handle, {}), options.setdefault(handle, {}))
    for handle, product in found.items():
        product["options"] = "|".join(f"{name}: {', '.join(values)}" for name, values in options[handle].items())
    return [product for product in found.values() if product["title"]]


def _tags(row: Mapping[str, str]) -> str:
    return "|".join(tag.strip() for tag in (row.get("Tags") or "").split(",") if tag.strip())


def _gather(row: Mapping[str, str], names: dict[int, str], options: dict[str, list[str]]) -> None:
    """Only a product's first row names its options; the others bring further values."""
    for n in (1, 2, 3):
        names[n] = names.get(n) or (row.get(f"Option{n} Name") or "").strip()
        value = (row.get(f"Option{n} Value") or "").strip()
        if names[n] and value and value != "Default Title":
            values = options.setdefault(names[n], [])
            if value not in values:
                values.append(value)
