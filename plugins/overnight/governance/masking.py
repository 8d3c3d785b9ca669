"""Masking: what a vendor must not see is replaced before it is asked, and put back in what it answers. Pure.

Two sources of what is personal. *Declared*: the policy names fields of the row; their values go wherever they stand, names also
inflected (Annas, Kowalskiego). *Patterns*: e-mail addresses, telephone numbers, cards by their check digit (Luhn), IBANs, order
numbers. Each piece of text gets a placeholder of its own, `[NAME_1]`, so that putting back restores it letter by letter; forms of
one name share the number (`[NAME_1]`, `[NAME_1.2]`), so that a model sees one person. What was replaced is kept in the ledger
beside the request, where the row's text is kept, too; it is in no log and no trigger.
"""

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

from overnight.governance import names

Pattern = Literal["email", "phone", "card", "iban", "order"]
PATTERNS: tuple[Pattern, ...] = ("email", "phone", "card", "iban", "order")
REGIONS = ("US", "GB", "DE", "FR", "ES", "PL")
"""Where a number without a country code may come from; one with its code is found from anywhere."""
ORDER = r"(?<![\w-])#?[A-Z]{2,4}-\d{5,10}(?![\w-])"
# Only where a run of such characters begins: tried inside it again and again, a long one would take minutes.
_EMAIL = re.compile(r"(?<![\w.+%'-])[\w.+%'-]+@[\w-]+(?:\.[\w-]+)+", re.UNICODE)
_DIGIT = re.compile(r"\d")
_LEAST_DIGITS = {"phone": 7, "card": 15, "iban": 2}
"""A text with fewer digits is not searched: counting them once is quicker than each search."""
_GAP = r"[ .\u00a0\u202f-]{0,2}"
_DIGITS = re.compile(rf"(?<!\d)\d(?:{_GAP}\d){{14,18}}(?!\d)")  # 13 and 14 digits are article numbers (EAN, GTIN)
_IBAN = re.compile(rf"(?<![^\W_])(?:IBAN:?)?(?P<iban>[A-Z]{{2}}\d{{2}}(?:{_GAP}[A-Z0-9]){{11,30}})(?!\w)", re.IGNORECASE)
_TOKEN = re.compile(r"\[([A-Z]+_\d+(?:\.\d+)?)\]")


@dataclass(frozen=True, slots=True)
class Found:
    """One piece of text to hide: where it begins and ends, what it is, and whose form it is (a number that forms share)."""

    start: int
    end: int
    kind: str
    whose: str


@dataclass
class Masker:
    """Hides one row's personal data. One for everything that is sent about the row: the same words get the same placeholder.

    Args:
        declared: field → its value, for the fields the policy calls personal.
        patterns: which of `PATTERNS` are looked for in every text.
        order: what an order number looks like, a regular expression.
    """

    declared: Mapping[str, Any] = field(default_factory=dict)
    patterns: Sequence[str] = PATTERNS
    order: str = ORDER
    names: bool = False  # also names that nobody declared, where something beside them gives them away
    masks: dict[str, str] = field(default_factory=dict)  # placeholder → what it stands for

    def __post_init__(self) -> None:
        self._values = _declared(self.declared)
        self._taken: set[str] = set()
        self._numbers: dict[tuple[str, str], int] = {}
        self._forms: dict[tuple[str, str], str] = {}

    def hide(self, thing: Any) -> Any:
        """A text, or whatever holds texts, with placeholders in it."""
        self._taken |= {name for text in texts_of(thing) for name in _TOKEN.findall(text)}  # somebody wrote [NAME_1] themselves
        return _mapped(thing, self._hide)

    def hide_field(self, name: str, value: Any) -> Any:
        """A declared field's own value, whole, whatever it is made of and however it is written."""
        if isinstance(value, list | tuple):
            return [self.hide_field(name, one) for one in value]
        words = "" if value is None else str(value).strip()
        if not words:
            return value
        self._taken |= set(_TOKEN.findall(words))
        kind, whose, _ = (_of_name if _NAME_FIELD.search(name) else _of_value)(name, words)[0]
        return self._placeholder(Found(0, len(words), kind, whose), words)

    def _hide(self, text: str) -> str:
        out, at = [], 0
        for one in _apart(self._found(text)):
            out += [text[at : one.start], self._placeholder(one, text[one.start : one.end])]
            at = one.end
        return "".join([*out, text[at:]])

    def _found(self, text: str) -> Iterable[Found]:
        for kind, whose, pattern in self._values:
            for hit in pattern.finditer(text):
                yield Found(*hit.span(), kind, whose)
        digits = len(_DIGIT.findall(text))
        for name in self.patterns:
            if digits >= _LEAST_DIGITS.get(name, 0):
                yield from _FINDERS[name](text, self.order)
        if self.names:
            for start, end in names.in_text(text):
                yield Found(start, end, "NAME", f"undeclared {text[start:end]}".casefold())

    def _placeholder(self, one: Found, words: str) -> str:
        known = self._forms.get((one.whose, words))
        if known is not None:
            return known
        key = (one.kind, one.whose)
        forms = sum(whose == one.whose for whose, _ in self._forms)
        if key not in self._numbers:
            number = 1 + sum(kind == one.kind for kind, _ in self._numbers)
            while any(name.partition(".")[0] == f"{one.kind}_{number}" for name in self._taken) or number in (
                n for (kind, _), n in self._numbers.items() if kind == one.kind
            ):
                number += 1
            self._numbers[key] = number
        name = f"{one.kind}_{self._numbers[key]}" + (f".{forms + 1}" if forms else "")
        placeholder = self._forms[one.whose, words] = f"[{name}]"
        self.masks[placeholder] = words
        return placeholder


def reveal(thing: Any, masks: Mapping[str, str]) -> Any:
    """A text, or whatever holds texts, with what the placeholders stand for, also without their brackets or in lower case."""
    if not masks:
        return thing
    plain = {placeholder.strip("[]").casefold(): words for placeholder, words in masks.items()}
    longest = sorted(plain, key=len, reverse=True)
    pattern = re.compile(rf"\[?(?<![\w.])({'|'.join(map(re.escape, longest))})(?!\.?\d|\w)\]?", re.IGNORECASE)
    return _mapped(thing, lambda text: pattern.sub(lambda hit: plain[hit.group(1).casefold()], text))


def left(thing: Any) -> list[str]:
    """Placeholders that stand for nothing we hid: the model made them up, or the row's own."""
    return sorted({f"[{name}]" for text in texts_of(thing) for name in _TOKEN.findall(text)})


def _apart(found: Iterable[Found]) -> list[Found]:
    """Pieces that do not overlap: the longer one wins, then the earlier."""
    kept: list[Found] = []  # by place; a text may hold tens of thousands
    for one in sorted(found, key=lambda f: (f.start - f.end, f.start)):
        place = bisect_left(kept, one.start, key=lambda f: f.start)
        after, before = kept[place : place + 1], kept[max(0, place - 1) : place]
        if all(one.end <= other.start for other in after) and all(one.start >= other.end for other in before):
            kept.insert(place, one)
    return kept


def texts_of(thing: Any) -> list[str]:
    """All texts that something holds."""
    if isinstance(thing, str):
        return [thing]
    parts = thing.values() if isinstance(thing, Mapping) else thing if isinstance(thing, list | tuple) else ()
    return [text for part in parts for text in texts_of(part)]


def _mapped(thing: Any, change: Any) -> Any:
    if isinstance(thing, str):
        return change(thing)
    if isinstance(thing, Mapping):
        return {key: _mapped(value, change) for key, value in thing.items()}
    return [_mapped(part, change) for part in thing] if isinstance(thing, list | tuple) else thing


def _emails(text: str, _order: str) -> Iterable[Found]:
    if "@" not in text:
        return
    for hit in _EMAIL.finditer(text):
        yield Found(*hit.span(), "EMAIL", hit.group().casefold())


def _phones(text: str, _order: str) -> Iterable[Found]:
    import phonenumbers

    for region in REGIONS:
        for hit in phonenumbers.PhoneNumberMatcher(text, region):
            yield Found(hit.start, hit.end, "PHONE", f"+{hit.number.country_code}{hit.number.national_number}")


def _cards(text: str, _order: str) -> Iterable[Found]:
    from stdnum import luhn

    for hit in _DIGITS.finditer(text):
        digits = re.sub(r"\D", "", hit.group())
        if luhn.is_valid(digits) and len(set(digits)) > 1:
            yield Found(*hit.span(), "CARD", digits)


def _ibans(text: str, _order: str) -> Iterable[Found]:
    from stdnum import iban

    for hit in _IBAN.finditer(text):
        words = hit["iban"]
        while words:  # the next word may be one of letters, too
            plain = re.sub(r"\W", "", words)
            if iban.is_valid(plain):
                yield Found(hit.start("iban"), hit.start("iban") + len(words), "IBAN", iban.compact(plain))
                break
            words = re.sub(r"\W+\w*$|\w*$", "", words)


def _orders(text: str, order: str) -> Iterable[Found]:
    for hit in _compiled(order).finditer(text):
        yield Found(*hit.span(), "ORDER", hit.group().casefold())


@lru_cache(maxsize=64)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


_FINDERS = {"email": _emails, "phone": _phones, "card": _cards, "iban": _ibans, "order": _orders}


# --- declared values -------------------------------------------------------------------------------------------------------

_PARTICLES = {
    "von",
    "van",
    "de",
    "der",
    "den",
    "del",
    "della",
    "la",
    "le",
    "du",
    "di",
    "da",
    "dos",
    "el",
    "y",
    "zu",
    "und",
    "and",
}
_NAME_FIELD = re.compile(r"name|customer|author|person|recipient|contact|signature|buyer|kunde|client", re.IGNORECASE)
_ACCENTS = {
    "a": "aàáâãäåāą", "c": "cçćč", "d": "dďđ", "e": "eèéêëēęě", "i": "iìíîïī", "l": "lł", "n": "nñńň", "o": "oòóôõöøōó",
    "r": "rř", "s": "sśšş", "t": "tťţ", "u": "uùúûüūů", "y": "yýÿ", "z": "zźżž",
}  # fmt: skip
for _char in map(chr, range(0xC0, 0x1F00)):  # the others of Europe and Vietnam, by the letter they are made of
    if _char.islower() and (_base := unicodedata.normalize("NFD", _char)[0]) in _ACCENTS and _char not in _ACCENTS[_base]:
        _ACCENTS[_base] += _char
_LETTER = {char: f"[{group}]" for group in _ACCENTS.values() for char in group} | dict.fromkeys("'’ʼ`´", "['’ʼ`´]")
_SPELT_OUT = {"ä": "(?:[aä]|ae)", "ö": "(?:[oö]|oe)", "ü": "(?:[uü]|ue)", "ß": "(?:ß|ss)", "æ": "(?:æ|ae)", "ø": "(?:[oø]|oe)"}
# What the last consonant of a Slavic stem becomes before some endings: Marta → Marcie, Magda → Magdzie, Monika → Monice.
_SOFT = {
    "t": "(?:t|ci?|ć)", "d": "(?:d|dzi?|dź)", "r": "(?:r|rz)", "k": "(?:k|c|cz)", "g": "(?:g|dz|ż)", "ł": "(?:ł|l)",
    "l": "(?:l|ł)", "s": "(?:s|ś|si)", "z": "(?:z|ź|zi)", "n": "(?:n|ń|ni)", "c": "(?:c|cz)", "h": "(?:h|sz|ś)",
}  # fmt: skip
_VOWELS = "aeiouyąęóáéíúůěàèìòùâêîôûäöüœæøå"
_ENDING = r"(?:['’]?s|['’]|[^\W\d_]{0,4})"
_SHORT_ENDING = r"(?:['’]?s|['’]|a|y|i|ie|ii|ę|ą|o|e|u|ze|owi|em)?"  # a stem of two letters: Ewa → Ewy, Ida → Idzie
_LEAST_STEM = 3


def _declared(values: Mapping[str, Any]) -> list[tuple[str, str, re.Pattern[str]]]:
    """(kind, whose, pattern) of each declared value, and of the words a name is made of."""
    made: list[tuple[str, str, re.Pattern[str]]] = []
    for name, value in values.items():
        for text in texts_of(value if isinstance(value, str | list | tuple | Mapping) else str(value or "")):
            words = text.strip()
            if words:
                made += _of_name(name, words) if _NAME_FIELD.search(name) else _of_value(name, words)
    return made


def _of_name(name: str, words: str) -> list[tuple[str, str, re.Pattern[str]]]:
    parts = [part for part in re.split(r"[\s,;]+", words) if part]
    whole = r"[\s,;]+".join(_word(part) for part in parts)
    made = [("NAME", f"{name} {words}".casefold(), _bounded(whole, words))]
    before: list[str] = []
    for part in parts:
        plain = part.strip(".")
        if plain.casefold() in _PARTICLES:
            before.append(plain)  # DOS SANTOS: hidden with what it leads to, and left alone elsewhere
        elif len(plain) > 1:
            lead = "".join(rf"(?:{re.escape(word)}\s+)?" for word in before)
            made.append(("NAME", f"{name} {plain}".casefold(), _bounded(lead + _word(plain), plain)))
            before = []
    return made


def _of_value(name: str, words: str) -> list[tuple[str, str, re.Pattern[str]]]:
    """The value however it is spaced and punctuated, and its lines: an address is often quoted in part."""
    kind = re.sub(r"[^A-Z]", "", name.upper())[:12] or "VALUE"
    digits = re.sub(r"\D", "", words)
    if len(digits) >= 6 and len(digits) >= len(re.sub(r"\W", "", words)) - 2:
        return [(kind, f"{name} {digits}", _bounded(r"[\s./()-]*".join(digits), digits))]
    lines = [words, *(line for line in re.split(r"[,;\n]+", words) if len(line.strip()) >= 4)]
    return [(kind, f"{name} {line.strip()}".casefold(), _bounded(_spaced(line.strip()), line.strip())) for line in lines]


def _spaced(words: str) -> str:
    pieces = re.findall(r"[^\W_]+", words)
    return r"[\W_]+".join(_letters(_small(piece)) for piece in pieces) if pieces else re.escape(words)


def _bounded(pattern: str, words: str) -> re.Pattern[str]:
    """Between the edges of words, in scripts that put room between them."""
    begin = r"(?<![^\W_])" if _has_words(words[:1]) else ""
    end = r"(?![^\W_])" if _has_words(words[-1:]) else ""
    return re.compile(f"{begin}{pattern}{end}", re.IGNORECASE)


def _has_words(char: str) -> bool:
    return not char.isalpha() or unicodedata.name(char, "").startswith(("LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "GEORGIAN"))


def _word(word: str) -> str:
    """A name's word in every form: genitives (Annas, Anna's), Slavic cases (Kowalskiego, Marcie, Marka), without accents."""
    if "-" in word.strip("-"):
        return "[- ]".join(_word(part) for part in word.split("-") if part)
    plain = _small(word)
    if not _has_words(plain[:1]):
        return _letters(plain)  # its language bends no names at their end
    stem = plain.rstrip(_VOWELS)
    if len(stem) < _LEAST_STEM:
        inflected = len(stem) > 1 and plain != stem and plain.endswith("a")
        return _letters(stem[:-1]) + _SOFT.get(stem[-1], _letters(stem[-1])) + _SHORT_ENDING if inflected else (
            _letters(plain) + r"(?:['’]?s|['’])?"
        )  # fmt: skip
    fleeting = re.fullmatch(rf"(.*[^{_VOWELS}])e([^{_VOWELS}])", stem)
    if fleeting and len(stem) > _LEAST_STEM:  # Marek → Marka, Paweł → Pawła
        begin, last = fleeting.groups()
        return _letters(begin) + f"{_LETTER['e']}?" + _SOFT.get(last, _letters(last)) + _ENDING
    return _letters(stem[:-1]) + _SOFT.get(stem[-1], _letters(stem[-1])) + _ENDING


def _small(word: str) -> str:
    """In small letters: ß stays one letter (casefold would make two of it), and İ becomes one."""
    return unicodedata.normalize("NFC", word).replace("İ", "i").lower()


_PAIRS = {"ae": "(?:ae|ä|æ)", "oe": "(?:oe|ö|ø)", "ue": "(?:ue|ü)", "ss": "(?:ss|ß)"}


_MARKS = "[\u0300-\u036f]*"  # an accent may stand behind its letter as a character of its own


def _letters(word: str) -> str:
    """A pattern for a word in any spelling: accents or none, ü or ue, ß or ss."""
    pieces = re.findall("ae|oe|ue|ss|.", word, re.DOTALL)
    return "".join((_PAIRS.get(piece) or _letter(piece)) + _MARKS for piece in pieces)


def _letter(char: str) -> str:
    return _SPELT_OUT.get(char) or _LETTER.get(char) or re.escape(char)
