"""Values as text for people: the same words on every surface. Nothing in a text becomes markup or a formula here or later."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

MARKUP_FREE = dict.fromkeys((*range(9), 11, 12, *range(14, 32), 127), None)
"""Control characters that no cell, page or file can hold (tab, line feed and carriage return stay)."""


def text(value: Any) -> str:
    """A value as text. Texts stay as they are; lists become lines."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "\n".join(f"- {_flat(part)}" for part in value) or "none"
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    return _flat(value)


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        return " · ".join(str(v) for v in value.values())
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list) else str(value)


def clean(value: str) -> str:
    """A text as every surface gives it back: no control characters, one kind of line end, no space at its ends."""
    if value.isprintable():  # no control character, no line end, no lone surrogate: nine texts of ten
        return value.strip()
    plain = value.replace("\r\n", "\n").replace("\r", "\n").translate(MARKUP_FREE)
    return plain.encode("utf-8", "replace").decode().strip()


def label(name: str) -> str:
    """A field's name as people read it."""
    return name.replace("_", " ")


def lines(data: Mapping[str, Any]) -> str:
    """The filled fields of an item, one a line."""
    return "\n".join(f"{label(name)}: {text(value)}" for name, value in data.items() if value not in ("", None, []))


def digest(summary: Mapping[str, Any]) -> str:
    """A digest's numbers and tables as plain lines."""
    parts: list[str] = []
    for name, value in summary.items():
        if name.startswith("_"):
            continue  # kept for later nights to be held against, not for people
        if isinstance(value, Mapping):
            parts.append(f"{label(name)}: " + ", ".join(f"{label(str(k))} {v}" for k, v in value.items()))
        elif isinstance(value, Sequence) and not isinstance(value, str) and value and isinstance(value[0], Mapping):
            parts.append(f"{label(name)}:\n" + "\n".join(f"  {_row(row)}" for row in value))
        else:
            parts.append(f"{label(name)}: {text(value)}")
    return "\n".join(parts)


def _row(row: Mapping[str, Any]) -> str:
    first, *rest = row.items()
    said = [f"{label(k)} {v}" for k, v in rest if not isinstance(v, list)]
    quotes = [f"“{quote}”" for k, v in rest if isinstance(v, list) for quote in v]
    return f"{label(str(first[1]))}: {', '.join(said)}" + (f" ({'; '.join(quotes)})" if quotes else "")
