"""Word lists that are matched in code on every text, whatever the model says. They live in `include/lexicons/*.yaml`."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import yaml

from overnight.brand import include_dir


@dataclass(frozen=True, slots=True)
class Hit:
    """A term of a lexicon found in a text: which term, which words, and what the list says about it."""

    term: str
    found: str
    group: str
    why: str


@lru_cache(maxsize=16)
def _load(name: str) -> tuple[tuple[re.Pattern[str], str, str, str], ...]:
    data: dict[str, Any] = yaml.safe_load((include_dir() / "lexicons" / f"{name}.yaml").read_text(encoding="utf-8"))
    return tuple(
        (_pattern(entry["match"], group), entry["term"], group, entry["why"])
        for group, entries in data["groups"].items()
        for entry in entries
    )


def _pattern(match: str, group: str) -> re.Pattern[str]:
    """Between the edges of words; terms of the group `anywhere` are in scripts that put no space between words."""
    edged = match if group == "anywhere" else rf"(?<!\w)(?:{match})(?!\w)"
    return re.compile(edged, re.IGNORECASE)


@lru_cache(maxsize=16)
def _any(name: str) -> re.Pattern[str]:
    """All terms as one pattern: most texts hold none, and one look says so."""
    return re.compile("|".join(f"(?:{pattern.pattern})" for pattern, _, _, _ in _load(name)), re.IGNORECASE)


def hits(name: str, text: str) -> list[Hit]:
    """Every term of the lexicon `name` that stands in `text`, each term once, in the order of the list."""
    found: list[Hit] = []
    if not text or not _any(name).search(text):
        return found
    for pattern, term, group, why in _load(name):
        match = pattern.search(text)
        if match:
            found.append(Hit(term, match.group(0), group, why))
    return found
