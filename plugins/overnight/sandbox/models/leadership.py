"""Writes the leadership digest: a line a competitor, in the order it was given."""

from typing import Any

from overnight.sandbox.asking import Ask

FITS = frozenset({"headline", "lines", "questions"})


def write(ask: Ask) -> dict[str, Any]:
    """The digest of the night in the prompt."""
    competitors = ask.block("item").get("competitors") or []
    return {
        "headline": f"{competitors[0]['name']} moved most last night" if competitors else "A quiet night",
        "lines": [{"competitor": str(one["name"]), "line": str(one["headline"])} for one in competitors[:12]],
        "questions": ["Which of these touches a product we are about to promote?"],
    }
