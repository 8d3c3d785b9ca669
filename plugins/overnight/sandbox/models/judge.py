"""Judges what engines say of a brand: the first words of each sentence decide, quotes are copied."""

from typing import Any

from overnight.sandbox.asking import Ask

FITS = frozenset({"sentiment", "recommended", "claims", "confidence"})


def write(ask: Ask) -> dict[str, Any]:
    """The judgement of the sentences in the prompt."""
    sentences = [str(sentence) for sentence in ask.block("item").get("sentences") or []]
    good = [s for s in sentences if any(word in s for word in ("worth a look", "suits", "fair", "known for", "easy"))]
    return {
        "sentiment": "positive" if good else "neutral",
        "recommended": any("worth a look" in s for s in sentences),
        "claims": [{"quote": s[:500], "about": "service", "accuracy": "unclear", "harmful": False} for s in good[:3]],
        "confidence": 0.8,
    }
