"""What an edit changed, word by word, as a reader wants to see it."""

import difflib
import re

_PARTS = re.compile(r"\s+|\w+|[^\w\s]")
MOST = 20_000
"""Characters; of a longer text only its lines are compared, so that nobody waits."""


def words(before: str, after: str) -> list[tuple[str, str]]:
    """The parts of both texts in order, each as ("same" | "gone" | "new", text)."""
    if before == after:
        return [("same", after)] if after else []
    split = _PARTS.findall if len(before) + len(after) <= MOST else _lines
    old, new = split(before), split(after)
    parts: list[tuple[str, str]] = []
    for kind, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            parts.append(("same", "".join(new[c:d])))
            continue
        parts += [("gone", "".join(old[a:b]))] if b > a else []
        parts += [("new", "".join(new[c:d]))] if d > c else []
    return parts


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)
