"""Sorts a return by words of its comment, else by its code; quotes the sentence that says so."""

import re
from typing import Any

from overnight.sandbox.asking import Ask

FITS = frozenset({"reason", "evidence_quote", "conflicts_with_code", "fraud_signal"})
_WORDS = (
    ("safety_or_health", r"rash|burn\w*|allerg\w*|mou?ld|sharp edge|hurt"),
    (
        "wrong_item_or_missing_parts",
        r"wrong (?:item|colou?r|size|one)|missing|different (?:item|product)|not what i ordered|only one of",
    ),
    ("damaged_in_transit", r"arrived (?:broken|damaged|crushed)|box was|dented|crushed|cracked (?:in|on) (?:transit|arrival)"),
    ("quality_defect", r"broke|broken|tore|ripped|stopped working|defect\w*|faulty|leak\w*|seam|zip(?:per)?|peel\w*|fell apart"),
    ("late_or_undelivered", r"late|too long|never (?:came|arrived)|after the (?:trip|holiday|birthday)"),
    ("size_fit", r"too (?:big|small|large|tight|loose|long|short|wide|narrow)|size|fit|runs"),
    ("compatibility", r"compatib\w*|does(?:n't| not) (?:fit|work with)|adapter|connector"),
    ("not_as_described", r"picture|photo|description|described|not like|looks different|thinner than"),
    ("style_colour_preference", r"colou?r|style|look of it|pattern"),
    ("price", r"cheaper|price|found it for"),
    ("ordered_by_mistake", r"by mistake|ordered two|twice|accident\w*|meant to order"),
    ("changed_mind", r"changed my mind|no longer need|don't need|gift"),
)
_CODES = {
    "SIZE": "size_fit", "APPAREL_TOO": "size_fit", "TIGHT": "size_fit", "DEFECT": "quality_defect", "QUALITY": "quality_defect",
    "DAMAGED_BY": "damaged_in_transit", "ARRIVED_DAMAGED": "damaged_in_transit", "WRONG_ITEM": "wrong_item_or_missing_parts",
    "MISSING": "wrong_item_or_missing_parts", "DESCRIBED": "not_as_described", "STYLE": "style_colour_preference",
    "COLOR": "style_colour_preference", "UNWANTED": "changed_mind", "CHANGED": "changed_mind", "LATE": "late_or_undelivered",
    "MISSED_ESTIMATED": "late_or_undelivered", "UNDELIVERABLE": "late_or_undelivered", "NEVER": "late_or_undelivered",
    "COMPATIBLE": "compatibility", "ORDERED_WRONG": "ordered_by_mistake", "MISORDERED": "ordered_by_mistake",
    "BETTER_PRICE": "price",
}  # fmt: skip
_OWNERS = {
    "quality_defect": ("product", "quality_control"),
    "size_fit": ("listing", "size_guide"),
    "not_as_described": ("listing", "listing"),
    "damaged_in_transit": ("carrier", "packaging"),
    "wrong_item_or_missing_parts": ("warehouse", "quality_control"),
    "late_or_undelivered": ("carrier", "none"),
    "safety_or_health": ("product", "quality_control"),
    "compatibility": ("listing", "listing"),
}


def write(ask: Ask) -> dict[str, Any]:
    """The label of the return in the prompt."""
    item = ask.block("item")
    comment, code = str(item.get("comment", "")), re.sub(r"[\s-]+", "_", str(item.get("reason_code", "")).upper())
    by_code = next((reason for part, reason in _CODES.items() if part in code), None)
    by_words, quote = _by_words(comment)
    reason = by_words or by_code or "unknown"
    owner, fix = _OWNERS.get(reason, ("customer" if reason != "unknown" else "unknown", "none"))
    return {
        "reason": reason,
        "detail": (quote or reason.replace("_", " "))[:80],
        "owner": owner,
        "fixable_by": fix,
        "urgency": "immediate" if reason == "safety_or_health" else "routine",
        "fraud_signal": "none",
        "fraud_evidence": "",
        "suggested_disposition": "inspect"
        if reason in ("quality_defect", "safety_or_health", "damaged_in_transit")
        else "restock",
        "conflicts_with_code": bool(by_code and by_words and by_words != by_code),
        "evidence_quote": quote,
        "confidence": 0.9 if by_words and by_words == by_code else 0.75 if by_words or by_code else 0.4,
    }


def _by_words(comment: str) -> tuple[str | None, str]:
    sentences = [match.group(0).strip() for match in re.finditer(r"[^.!?\n]+[.!?]*", comment) if match.group(0).strip()]
    for reason, words in _WORDS:
        for sentence in sentences:
            if re.search(rf"\b(?:{words})\b", sentence, re.IGNORECASE):
                return reason, sentence[:400]
    return None, ""
