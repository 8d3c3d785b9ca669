"""Explains a stock exception with the figures it was given, and no others."""

from typing import Any

from overnight.sandbox.asking import Ask

FITS = frozenset({"narrative", "drivers", "question"})
_DRIVER = {
    "stockout_risk": "supply",
    "reorder_now": "supply",
    "demand_spike": "demand",
    "demand_drop": "demand",
    "data_quality": "data",
    "low_level_fee_risk": "supply",
    "overstock": "demand",
    "aging": "season",
}


def write(ask: Ask) -> dict[str, Any]:
    """The explanation of the exception in the prompt."""
    item = ask.block("item")
    numbers, signal = item.get("numbers") or {}, str(item.get("signal", ""))
    cover = numbers.get("days_of_cover")
    covered = (
        f"and {item.get('available')} are available, which is {cover} days of cover" if cover is not None else "and nothing sells"
    )
    parts = [f"This is a case of {signal.replace('_', ' ')}: it sells {numbers.get('velocity')} a day {covered}."]
    if numbers.get("stockout_on") and signal == "stockout_risk":
        parts.append(f"At this pace it ends on {numbers['stockout_on']}.")
    if signal == "data_quality":
        parts.append("A lead time, a sales history or a sound stock figure is missing, so nothing more can be said.")
    return {
        "narrative": " ".join(parts), "drivers": [_DRIVER.get(signal, "unknown")],
        "question": "Is the stock figure right, and what does the supplier say?", "confidence": 0.8,
    }  # fmt: skip
