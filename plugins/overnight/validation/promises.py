"""What a text promises, as what it is: percentages, sums of money, days and codes; 20 of "20 January" is no 20 %."""

import re
from calendar import month_name
from collections.abc import Iterator, Set

from overnight.validation import lexicon, rules

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
# 06.12.2026 is a day, and so is 6.12. behind a word that leads to one: "4.8." ends a sentence.
_LEADS = "|".join(rf"(?<=\b{word} )" for word in ("bis", "ab", "vom", "am", "zum", "until", "by", "from"))
_NUMBERED_DAY = re.compile(
    rf"(?:{_LEADS}|(?<![\d.€$£-])(?=[\d.]+[ \u00a0]?\d{{4}}(?!\d)))"
    r"(?P<day>\d{1,2})\.[ \u00a0]?(?P<month>\d{1,2})\.(?:[ \u00a0]?(?:\d{4}|\d\d)(?![\d.]))?(?!\d)",
    re.IGNORECASE,
)
_CODE = re.compile(r"\b(?:[Cc]ode|CODE|[Cc]oupon|[Vv]oucher)[:\s\"'“‘»]+([A-Z][A-Z0-9-]{3,})\b")
_SUM = r"\d+(?:[.,]\d+)*"
_CURRENCIES = {
    "EUR": ("€", "eur", "euro", "euros"), "USD": ("$", "usd", "dollar", "dollars"), "GBP": ("£", "gbp", "pound", "pounds"),
    "CHF": ("chf", "franc", "francs", "franken"),
}  # fmt: skip
_SIGNS = {sign: name for name, signs in _CURRENCIES.items() for sign in signs}
_CURRENCY = r"(?:[€$£]|(?:EUR|USD|GBP|CHF|euros?|dollars?|pounds?|francs?|franken)\b|,-)"
_UNITS = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9}
_TENS = {"twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90}
_NUMBERS = {
    **_UNITS, **_TENS, "ten": 10, "twelve": 12, "fifteen": 15, "fünf": 5, "zehn": 10, "fünfzehn": 15, "zwanzig": 20,
    "fünfundzwanzig": 25, "dreißig": 30, "vierzig": 40, "fünfzig": 50, "sechzig": 60, "siebzig": 70, "achtzig": 80, "neunzig": 90,
    **{f"{ten} {unit}": _TENS[ten] + _UNITS[unit] for ten in _TENS for unit in _UNITS},
}  # fmt: skip
_WORDS = "|".join(word.replace(" ", "[- ]") for word in sorted(_NUMBERS, key=len, reverse=True))
_SPOKEN = re.compile(rf"(?<![\w-])({_WORDS})(?=[- ]?(?:%|per ?cent\b|prozent\b))", re.IGNORECASE)
_AMOUNT = re.compile(
    rf"(?<![\w.])(?:(?P<from>{_SUM})\s?%?\s?(?:-|–|to|bis)\s?)?(?P<of>{_SUM})\s?(?:%|per ?cent\b|prozent\b)"
    rf"|(?P<before>[€$£]|\b(?:EUR|USD|GBP|CHF))\s?(?P<sum>{_SUM})"
    rf"|(?<![\w.])(?:(?P<low>{_SUM})\s?(?:-|–|to|bis)\s?)?(?P<bare>{_SUM})\s?(?P<behind>{_CURRENCY})",
    re.IGNORECASE,
)


def strange(text: str, given: str) -> Iterator[tuple[str, str]]:
    """What a text promises that nothing given bears out: (what it is, in words; what the text says)."""
    there = amounts(given)
    for amount in sorted(amounts(text)):
        if not _is_given(amount, there):
            yield "An offer", amount.replace(" money", " (money)")
    for what in sorted(offers(text) - {hit.term for hit in lexicon.hits("offers", given, every=True)}):
        yield "An offer", what
    for day, month in sorted(days(text) - days(given)):
        yield "A day", f"{day} {month_name[month]}"
    for code in sorted(codes(text) - {word.upper() for word in re.findall(r"[\w-]+", given)}):
        yield "A code", code


def _is_given(amount: str, there: Set[str]) -> bool:
    """An amount of the same kind; a sum that names no currency ("50,-") is one of any."""
    number, _, unit = amount.partition(" ")
    if amount in there or unit == "%":
        return amount in there
    alike = there & {f"{number} {name}" for name in ("money", *_CURRENCIES)}
    return f"{number} money" in alike or (unit == "money" and bool(alike))


def amounts(text: str) -> set[str]:
    """What a text promises: percentages (`15 %`, also in words) and money (`50 EUR`; `50 money` where no currency is named),
    both ends of a range; plain figures are none.
    """
    found: set[str] = set()
    text = _SPOKEN.sub(lambda match: str(_NUMBERS[match[1].lower().replace("-", " ")]), text)
    for match in _AMOUNT.finditer(rules.URL.sub(" ", text)):
        kind = "%" if match["of"] else _SIGNS.get((match["before"] or match["behind"]).lower(), "money")
        found |= {
            f"{rules.value(one)} {kind}" for one in (match["from"], match["of"], match["sum"], match["low"], match["bare"]) if one
        }
    return found


def offers(text: str) -> set[str]:
    """The offers that a text makes in words (lexicons/offers.yaml): half the price, free delivery, a sale."""
    return {hit.term for hit in lexicon.hits("offers", text, every=True) if hit.group != "given"}


def days(text: str) -> set[tuple[int, int]]:
    """The days (day, month) a text names by a month's name, English or German, in ISO form or as 6.12. and 06.12.2026."""
    named = [(int(m["d1"] or m["d2"]), _MONTHS.index((m["m1"] or m["m2"])[:3].lower().translate(_SAME_MONTH)) + 1)
             for m in _NAMED_DAY.finditer(text)]  # fmt: skip
    named += [(int(m[2]), int(m[1])) for m in re.finditer(r"\b\d{4}-(\d\d)-(\d\d)\b", text)]
    named += [(int(m["day"]), int(m["month"])) for m in _NUMBERED_DAY.finditer(text)]
    return {(day, month) for day, month in named if 1 <= month <= 12 and 1 <= day <= 31}


def without_days(text: str, known: Set[tuple[int, int]]) -> str:
    """A text without the days it names by number, where they are known: what is left are figures."""
    return _NUMBERED_DAY.sub(lambda m: " " if (int(m["day"]), int(m["month"])) in known else m[0], text)


def codes(text: str) -> set[str]:
    """The codes a text tells people to enter."""
    return {match[1].upper() for match in _CODE.finditer(text)}
