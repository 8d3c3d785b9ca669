"""Word lists that are matched in code on every text, whatever the model says. They live in `include/lexicons/*.yaml`."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import yaml

from overnight.brand import include_dir

_ANYWHERE = "anywhere"  # terms in scripts that put no space between words, and pieces of markup
_HYPHENS = str.maketrans(
    {"\u2010": "-", "\u2011": "-", "\u2012": "-", "\u00ad": None}
)  # the last is only a place to break a word
_CAPITAL = re.compile(r"\\.|[A-Zİıſ\u212a]", re.DOTALL)
_SMALL = str.maketrans({"İ": "i", "ı": "i", "ſ": "s", "\u212a": "k"})  # what `re` takes for these ASCII letters
_AS_WRITTEN = re.compile(r"\\[xuUN0-9]|\(\?P|\[[^\]]*[A-Z]-")  # a character by its number, a named group, a range of capitals


@dataclass(frozen=True, slots=True)
class Hit:
    """A term of a lexicon found in a text: which term, which words, and what the list says about it."""

    term: str
    found: str
    group: str
    why: str


@lru_cache(maxsize=16)
def _groups(name: str) -> dict[str, list[dict[str, str]]]:
    data: dict[str, Any] = yaml.safe_load((include_dir() / "lexicons" / f"{name}.yaml").read_text(encoding="utf-8"))
    return dict(data["groups"])


@lru_cache(maxsize=16)
def _load(name: str) -> tuple[tuple[re.Pattern[str], str, str, str], ...]:
    return tuple(
        (
            re.compile(entry["match"] if group == _ANYWHERE else _edged([entry["match"]]), re.IGNORECASE),
            entry["term"],
            group,
            entry["why"],
        )
        for group, entries in _groups(name).items()
        for entry in entries
    )


def _edged(matches: Iterable[str]) -> str:
    """One of these between the edges of words. A place inside a word is left at once, whatever the number of terms."""
    return rf"(?<!\w)(?:{'|'.join(matches)})(?!\w)"


@lru_cache(maxsize=16)
def _any(name: str) -> tuple[re.Pattern[str], re.Pattern[str] | None]:
    """All terms as one pattern, as most texts hold none of them; and the same for texts in small ASCII letters.

    `re` takes five times as long where case is ignored, and letters are most of what landing and packing look at.
    """
    groups = _groups(name)
    edged = [entry["match"] for group, entries in groups.items() if group != _ANYWHERE for entry in entries]
    parts = [_edged(edged)] if edged else []
    source = "|".join([*parts, *(entry["match"] for entry in groups.get(_ANYWHERE, []))])
    return re.compile(source, re.IGNORECASE), None if _AS_WRITTEN.search(source) else re.compile(_in_small_letters(source))


def _in_small_letters(pattern: str) -> str:
    """A pattern whose letters are small, its escapes as they are (`\\W` is not `\\w`)."""
    return _CAPITAL.sub(lambda at: at[0] if at[0][0] == "\\" else at[0].translate(_SMALL).lower(), pattern)


def _holds_none(name: str, text: str) -> bool:
    ignoring_case, small = _any(name)
    if small is not None and text.isascii():
        return small.search(text.lower()) is None
    return ignoring_case.search(text) is None


def as_read(text: str) -> str:
    """A text as an eye reads it: one space between words, whatever the line breaks; a hyphen is a hyphen in any typeface."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text).translate(_HYPHENS)
    return " ".join(text.split())


def hits(name: str, text: str, *, every: bool = False) -> list[Hit]:
    """Every term of the lexicon `name` that stands in `text`, each term once, in the order of the list.

    Args:
        every: a term once for each of its wordings in the text.
    """
    text = as_read(text)
    found: list[Hit] = []
    if not text or _holds_none(name, text):
        return found
    for pattern, term, group, why in _load(name):
        wordings = {match[0].casefold(): match[0] for match in pattern.finditer(text)}
        found += [Hit(term, words, group, why) for words in list(wordings.values())[: None if every else 1]]
    return found
