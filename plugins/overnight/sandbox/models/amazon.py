"""Rewrites an Amazon listing out of its own words, within the limits; claims nothing that is not proven."""

import re
from typing import Any

from overnight.sandbox.asking import Ask

FITS = frozenset({"item_name", "item_highlights", "bullets", "search_terms"})
_SMALL = {"a", "an", "and", "of", "for", "with", "the", "in", "to", "on", "or"}
_RISKY = re.compile(
    r"guarante\w*|best[- ]?sell\w*|free shipping|money[- ]back|on sale|limited[- ]time|top[- ]rated|eco[- ]?friendly"
    r"|anti[- ]?(?:bacterial|microbial)|FSA|HSA|clinically proven|hypoallergenic|non[- ]toxic|sustainable|biodegradable"
    r"|the best[^.,;]*|number one|cheapest|lowest price|better than|unlike other|clearance|great deal|hot item|n/a|tbd"
    r"|https?://\S+|www\.\S+|\d+ ?% off|certified by|FDA[- ]approved|100 ?% \w+",
    re.IGNORECASE,
)


def write(ask: Ask) -> dict[str, Any]:
    """The new listing for the one in the prompt."""
    item = ask.block("item")
    brand = str(item.get("brand", "")).strip()
    attributes = [str(a) for a in item.get("attributes") or []]
    banned = [str(term) for term in item.get("banned_terms") or []]
    name = _title(brand, str(item.get("title", "")), banned)
    facts = _facts(item, banned)
    highlights = _fit(", ".join(dict.fromkeys(a.partition(":")[2].strip() or a for a in attributes)), 110)
    return {
        "item_name": ask.heed(name),
        "item_highlights": _clean(highlights, banned),
        "bullets": [ask.heed(bullet) for bullet in _bullets(facts, brand)],
        "product_description": _fit(" ".join(f"{fact}." for fact in facts) or f"{name}. See the attributes for details.", 1900),
        "search_terms": _terms(item, name, brand, banned),
        "claims": [],
        "keyword_places": [{"keyword": str(k), "field": "search_terms"} for k in (item.get("keywords") or [])[:1]],
        "attribute_gaps": [] if attributes else ["material", "dimensions"],
    }


def _title(brand: str, old: str, banned: list[str]) -> str:
    words: list[str] = []
    counts: dict[str, int] = {}
    own = {w.lower() for w in re.findall(r"\w+", brand)}
    for word in [brand, *_clean(old, banned).split()]:
        plain = word.lower().strip("()[],-/'")
        if (plain in own and words) or (plain not in _SMALL and counts.get(plain, 0) >= 1):
            continue
        counts[plain] = counts.get(plain, 0) + 1
        shown = word if word == brand or any(c.isdigit() for c in word) or not word.islower() else word.capitalize()
        words.append(shown.capitalize() if shown.isupper() and len(shown) > 4 and shown != brand else shown)
    return _fit(re.sub(r"[!$?_{}^~#<>*\[\]|]", "", " ".join(words)), 75) or brand


def _facts(item: dict[str, Any], banned: list[str]) -> list[str]:
    texts = [*(str(b) for b in item.get("bullets") or []), *re.split(r"(?<=[.!?])\s+", str(item.get("description", "")))]
    texts += [str(a) for a in item.get("attributes") or []]
    made = [_clean(text, banned).strip(" .!;-") for text in texts]
    return list(dict.fromkeys(fact for fact in made if len(fact) > 12)) or [_clean(str(item.get("title", "")), banned)]


def _bullets(facts: list[str], brand: str) -> list[str]:
    heads = ("What it is", "What it does", "Made for", "In the box", "Good to know")
    spare = (f"the details are in the description of this {brand} product", f"a plain choice from {brand}",
             "check the attributes before you buy")  # fmt: skip
    picked = [*facts[:5], *spare][: max(3, min(5, len(facts)))]
    return [f"{head}: {_fit(fact, 180)}".rstrip(" .!;") for head, fact in zip(heads, picked, strict=False)]


def _terms(item: dict[str, Any], name: str, brand: str, banned: list[str]) -> str:
    text = " ".join(
        [*(str(k) for k in item.get("keywords") or []), str(item.get("search_terms", "")), str(item.get("title", ""))]
    )
    taken = {w.lower() for w in re.findall(r"\w+", f"{name} {brand} new best cheap sale amazing good now today")}
    words: list[str] = []
    for word in re.findall(r"[^\W_]+", _clean(text, banned).lower()):
        if word not in taken and word not in words and len(word) > 2 and len(" ".join([*words, word]).encode()) <= 190:
            words.append(word)
    return " ".join(words)


def _clean(text: str, banned: list[str]) -> str:
    text = re.sub(r"<[^>]*>|[™®©€$£¥†‡°±~…!]|[\U0001f000-\U0001faff\u2600-\u27bf【】]", " ", text)
    text = re.sub(r"\bB0[A-Z0-9]{8}\b", " ", _RISKY.sub(" ", text))
    for term in banned:
        text = re.sub(rf"(?<!\w){re.escape(term)}(?!\w)", " ", text, flags=re.IGNORECASE)
    return re.sub(r"\s+", " ", text).strip()


def _fit(text: str, most: int) -> str:
    return text if len(text) <= most else text[:most].rsplit(" ", 1)[0].rstrip(" ,;:-")
