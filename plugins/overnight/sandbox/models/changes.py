"""Reads a competitor's changes: a sentence a change, in words that promise nothing."""

from typing import Any

from overnight.sandbox.asking import Ask

FITS = frozenset({"headline", "meanings"})
_MEANS = {
    "price_down": "could mean that they clear stock or try to win this product's buyers",
    "price_up": "could mean that their costs rose or that demand holds",
    "out_of_stock": "may send some of their buyers elsewhere for a while",
    "back_in_stock": "means that they can deliver again",
    "new_product": "may widen their range in our category",
    "removed_product": "may mean that they gave the product up",
    "map_breach": "is below the minimum advertised price on record",
    "price_below_ours": "is below what we ask for what is surely the same product",
}


def write(ask: Ask) -> dict[str, Any]:
    """The reading of the changes in the prompt."""
    item = ask.block("item")
    changes = item.get("changes") or []
    return {
        "headline": f"{item.get('name')}: {str(changes[0]['type']).replace('_', ' ')} comes first"
        if changes
        else "Nothing changed",
        "meanings": [
            {
                "number": change["number"],
                "meaning": f"{_kind(change)} {_MEANS.get(change['type'], 'is a change of words')}"
                + (", if it is our product at all." if change.get("match") == "possible" else "."),
                "question": "Is the reading right, and does it touch us?",
                "weight": "high" if change["type"] == "map_breach" else "medium" if change.get("match") == "sure" else "low",
            }
            for change in changes
        ],
    }


def _kind(change: dict[str, Any]) -> str:
    return str(change["type"]).replace("_", " ").capitalize()
