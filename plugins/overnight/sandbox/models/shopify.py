"""Writes a product page out of the product's own fields."""

import html
import re
from typing import Any

from overnight.sandbox.asking import Ask

FITS = frozenset({"description_html", "seo_title", "seo_description", "tags_add"})
_PRICE = re.compile(
    r"[^.]*(?:[$€£]\s?\d|\d+(?:[.,]\d+)?\s?(?:USD|EUR|GBP)\b|in stock|out of stock|free (?:shipping|delivery)"
    r"|ships? (?:in|within) \d)[^.]*\.?",
    re.IGNORECASE,
)


def write(ask: Ask) -> dict[str, Any]:
    """The page for the product in the prompt."""
    item = ask.block("item")
    title = str(item.get("title", "")).strip()
    said = _PRICE.sub("", _plain(str(item.get("body_html", ""))))
    facts = [str(fact).rstrip(".") for fact in item.get("facts") or []]
    options = [str(option) for option in item.get("options") or []]
    kind = str(item.get("product_type") or "product").lower()
    room = 60 - int(item.get("title_suffix_chars") or 0)
    return {
        "title": title[:65],
        "description_html": ask.heed(_body(title, kind, said, facts, options)),
        "seo_title": _fit(_named(title, item.get("keywords") or []), room),
        "seo_description": _fit(_describe(title, kind, said, facts), 155),
        "image_alt": _fit(f"{title}, {facts[0].lower()}" if facts else title, 120),
        "tags_add": [kind] if kind not in {str(t).lower() for t in item.get("tags") or []} and "," not in kind else [],
        "tags_remove": [],
        "suggested_handle": None,
    }


def _body(title: str, kind: str, said: str, facts: list[str], options: list[str]) -> str:
    parts = [f"<p>{html.escape(said or f'{title} is a {kind} for everyday use.', quote=False)}</p>"]
    if facts:
        parts.append(
            "<h2>What to know</h2><ul>" + "".join(f"<li>{html.escape(fact, quote=False)}</li>" for fact in facts) + "</ul>"
        )
    if options:
        rows = "".join(
            f"<tr><th>{html.escape(name.strip(), quote=False)}</th><td>{html.escape(values.strip(), quote=False)}</td></tr>"
            for name, _, values in (option.partition(":") for option in options)
        )
        parts.append(f"<h2>Options</h2><table><tbody>{rows}</tbody></table>")
    parts.append("<p>If you are between two choices, take the plainer one: it goes with more.</p>")
    return "".join(parts)


def _describe(title: str, kind: str, said: str, facts: list[str]) -> str:
    first = re.split(r"(?<=[.!?])\s", said)[0] if said else ""
    return f"{title}: {facts[0].lower() if facts else first or f'a {kind}'}. See details and options."


def _named(title: str, keywords: list[Any]) -> str:
    word = str(keywords[0]) if keywords else ""
    return title if not word or word.lower() in title.lower() else f"{title} – {word}"


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", text))).strip()


def _fit(text: str, most: int) -> str:
    return text if len(text) <= most else text[:most].rsplit(" ", 1)[0].rstrip(" ,;:-–")
