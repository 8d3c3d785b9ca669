"""Labels a review by a lexicon (VADER): real scores of the real text, quotes copied letter by letter."""

import re
from functools import cache
from typing import Any

from overnight.sandbox.asking import Ask

FITS = frozenset({"overall", "score", "aspects", "safety_flag"})

_ASPECTS = {
    "fit_size": r"fit|fits|fitted|size|sizes|sizing|small|large|tight|loose|petite|long|short|waist|hem|runs",
    "material_feel": r"fabric|material|soft|itchy|scratchy|thin|thick|cotton|wool|polyester|feels?|stretch\w*",
    "appearance_colour": r"colou?rs?|look|looks|looked|pretty|beautiful|cute|pattern|style|design|flattering|print",
    "quality_durability": r"quality|broke|broken|ripped|tore|torn|seams?|stitch\w*|wash\w*|shr[iu]nk\w*|lasted|durable|leak\w*",
    "value_price": r"price|priced|expensive|cheap|worth|value|money|sale",
    "shipping_delivery": r"shipping|shipped|delivery|delivered|arrived|late|parcel",
    "customer_service": r"service|refund|returned|support|replied|staff",
    "packaging": r"packag\w*|box|wrapped",
    "ease_of_use": r"easy|easily|difficult|set up|setup|simple to|hard to",
    "instructions": r"instructions?|manual|leaflet",
    "performance": r"works?|worked|working|performs?|battery|bright|waterproof|warm|dry",
    "safety_irritation": r"burn\w*|rash|allerg\w*|sharp|hurt|injur\w*|shock|smoke|mou?ld\w*",
}
_PATTERNS = {name: re.compile(rf"\b(?:{words})\b", re.IGNORECASE) for name, words in _ASPECTS.items()}
_SENTENCE = re.compile(r"[^.!?\n]+[.!?]*")
_UNSAFE = re.compile(
    r"\b(?:burn(?:t|ed|s)? (?:my|me|his|her)|caught fire|electric shock|allergic|hospital|rash|choking|mou?ldy?)\b",
    re.IGNORECASE,
)
_WISH = re.compile(r"\b(?:wish|would love|if only|please (?:make|add|bring))\b[^.!?\n]*", re.IGNORECASE)


def write(ask: Ask) -> dict[str, Any]:
    """The label of the review in the prompt."""
    item = ask.block("item")
    title, body = str(item.get("title", "")), str(item.get("body", ""))
    text = f"{title}\n{body}".strip()
    score = round(_score(text), 3)
    aspects = _aspects(title, body)
    overall = _overall(score, {aspect["sentiment"] for aspect in aspects})
    if overall in ("positive", "negative") and not aspects:
        aspects = [{"aspect": "other", "sentiment": overall, "quote": _sentences(text)[0]}]
    unsafe, wish = bool(_UNSAFE.search(text)), _WISH.search(text)
    return {
        "overall": overall,
        "score": score,
        "aspects": aspects,
        "issue_type": _issue(overall, aspects, unsafe=unsafe),
        "severity": "high" if unsafe else "none" if score > -0.05 else "medium" if score < -0.5 else "low",
        "safety_flag": unsafe,
        "competitor_mention": None,
        "feature_request": wish.group(0)[:400] if wish else None,
        "language": "en",
        "confidence": round(min(0.98, 0.55 + abs(score) * 0.4 + min(len(text), 300) / 3000), 2),
    }


def _overall(score: float, sentiments: set[str]) -> str:
    if {"positive", "negative"} <= sentiments and abs(score) < 0.6:
        return "mixed"
    if score >= 0.05:
        return "positive"
    return "negative" if score <= -0.05 else "neutral"


def _aspects(title: str, body: str) -> list[dict[str, str]]:
    found = []
    sentences = [*_sentences(title), *_sentences(body)]
    for name, pattern in _PATTERNS.items():
        quotes = [sentence for sentence in sentences if pattern.search(sentence)]
        if quotes:
            quote = max(quotes, key=lambda sentence: abs(_score(sentence)))
            found.append({"aspect": name, "sentiment": _word(_score(quote)), "quote": quote[:900].strip()})
    return found[:8]


def _sentences(text: str) -> list[str]:
    return [match.group(0).strip() for match in _SENTENCE.finditer(text) if match.group(0).strip()]


def _word(score: float) -> str:
    return "positive" if score >= 0.05 else "negative" if score <= -0.05 else "neutral"


def _issue(overall: str, aspects: list[dict[str, str]], *, unsafe: bool) -> str:
    if unsafe:
        return "safety"
    bad = [aspect["aspect"] for aspect in aspects if aspect["sentiment"] == "negative"]
    kinds = {
        "fit_size": "fit", "quality_durability": "defect", "shipping_delivery": "delivery", "value_price": "price",
        "customer_service": "service", "appearance_colour": "description", "material_feel": "description",
    }  # fmt: skip
    if not bad:
        return "other" if overall == "negative" else "none"
    return kinds.get(bad[0], "other")


def _score(text: str) -> float:
    return float(_analyzer().polarity_scores(text)["compound"])


@cache
def _analyzer() -> Any:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    return SentimentIntensityAnalyzer()
