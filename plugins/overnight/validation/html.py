"""What a piece of HTML holds, judged by a real parser (nh3, the binding of Rust's ammonia) and never by patterns."""

import re
from collections.abc import Iterable

_OPEN = re.compile(r"<\s*([a-zA-Z][a-zA-Z0-9]*)((?:[^>\"']|\"[^\"]*\"|'[^']*')*)>")
_HEADING = re.compile(r"<\s*h([1-6])\b", re.IGNORECASE)


def sanitised(text: str, tags: Iterable[str]) -> str:
    """The text with the allowed tags only, and none of their attributes."""
    import nh3

    return nh3.clean(text, tags=set(tags), attributes={}, strip_comments=True, link_rel=None)


def not_allowed(text: str, tags: Iterable[str]) -> list[str]:
    """What the parser would take away: tags that are not on the list, attributes, comments. Empty: it is clean."""
    allowed = set(tags)
    found = []
    for match in _OPEN.finditer(text):
        name, rest = match.group(1).lower(), match.group(2).strip().rstrip("/").strip()
        if name not in allowed:
            found.append(f"<{name}>")
        elif rest:
            found.append(f"<{name} {rest[:40]}>")
    if "<!--" in text:
        found.append("<!-- -->")
    if not found and _bare(sanitised(text, allowed)) != _bare(text):
        found.append("broken or hidden markup")
    return sorted(set(found))


def _bare(text: str) -> str:
    """The words alone: a parser may close a tag or write a quote another way without anything being wrong."""
    import html

    return re.sub(r"\W+", "", html.unescape(re.sub(r"<[^>]*>", "", text)))


def heading_levels(text: str) -> list[int]:
    """The levels of the headings, in order."""
    return [int(match.group(1)) for match in _HEADING.finditer(text)]
