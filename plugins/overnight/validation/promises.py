"""What a text promises, as what it is: percentages, sums of money, days and codes; 20 of "20 January" is no 20 %."""

import re
from calendar import month_name
from collections.abc import Iterator

from overnight.validation import rules

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_SAME_MONTH = str.maketrans({"ä": "a", "i": "y", "k": "c", "z": "c"})  # Mär, Mai, Okt, Dez
# In full or by its usual short form: "30 decibels" is no day. "may" and "march" are words, too, unless they are capitalised.
_MONTH = (
    r"(?:(?i:jan(?:uary|uar)?|feb(?:ruary|ruar)?|apr(?:il)?|june?|juni|july?|juli|aug(?:ust)?|sept?(?:ember)?|o[ck]t(?:ober)?"
    r"|nov(?:ember)?|de[cz](?:ember)?|mär(?:z)?)|May|MAY|Mai|MAI|Mar|March|MARCH)\.?"
)
_NAMED_DAY = re.compile(
    rf"\b(?P<d1>\d{{1,2}})(?:st|nd|rd|th|\.)? (?:of )?(?P<m1>{_MONTH})(?!\w)"
    rf"|(?<!\w)(?P<m2>{_MONTH}) (?P<d2>\d{{1,2}})(?:st|nd|rd|th)?(?!\w)(?! ?(?:km|kg|miles|people|times|%|€))"
)
_CODE = re.compile(r"\b(?:[Cc]ode|CODE|[Cc]oupon|[Vv]oucher)[:\s\"'“‘»]+([A-Z][A-Z0-9-]{3,})\b")
_SUM = r"\d+(?:[.,]\d+)*"
_CURRENCY = r"(?:[€$£]|(?:EUR|USD|GBP|CHF|euros?|dollars?|pounds?|francs?|franken)\b|,-)"
_AMOUNT = re.compile(
    rf"(?<![\w.])(?:(?P<from>{_SUM})\s?%?\s?(?:-|–|to|bis)\s?)?(?P<of>{_SUM})\s?(?:%|per ?cent\b|prozent\b)"
    rf"|(?:[€$£]|\b(?:EUR|USD|GBP|CHF))\s?(?P<sum>{_SUM})"
    rf"|(?<![\w.])(?:(?P<low>{_SUM})\s?(?:-|–|to|bis)\s?)?(?P<bare>{_SUM})\s?{_CURRENCY}",
    re.IGNORECASE,
)


def strange(text: str, given: str) -> Iterator[tuple[str, str]]:
    """What a text promises that nothing given bears out: (what it is, in words; what the text says)."""
    for amount in sorted(amounts(text) - amounts(given)):
        yield "An offer", amount.replace(" money", " (money)")
    for day, month in sorted(days(text) - days(given)):
        yield "A day", f"{day} {month_name[month]}"
    for code in sorted(codes(text) - {word.upper() for word in re.findall(r"[\w-]+", given)}):
        yield "A code", code


def amounts(text: str) -> set[str]:
    """What a text promises: percentages (`15 %`) and money (`50 money`), both ends of a range; plain figures are none."""
    found: set[str] = set()
    for match in _AMOUNT.finditer(rules.URL.sub(" ", text)):
        kind = "%" if match["of"] else "money"
        found |= {
            f"{rules.value(one)} {kind}" for one in (match["from"], match["of"], match["sum"], match["low"], match["bare"]) if one
        }
    return found


def days(text: str) -> set[tuple[int, int]]:
    """The days (day, month) a text names by a month's name, English or German, or in ISO form."""
    named = [(int(m["d1"] or m["d2"]), _MONTHS.index((m["m1"] or m["m2"])[:3].lower().translate(_SAME_MONTH)) + 1)
             for m in _NAMED_DAY.finditer(text)]  # fmt: skip
    named += [(int(m[2]), int(m[1])) for m in re.finditer(r"\b\d{4}-(\d\d)-(\d\d)\b", text)]
    return {(day, month) for day, month in named if 1 <= month <= 12 and 1 <= day <= 31}


def codes(text: str) -> set[str]:
    """The codes a text tells people to enter."""
    return {match[1].upper() for match in _CODE.finditer(text)}
