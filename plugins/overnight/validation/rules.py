"""Checks that more than one workflow asks for. Pure functions of text; a workflow turns what they find into findings."""

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence, Set

from overnight import formulas

_IN_URL = r"(?:\([^\s()]*\)|[^\s()\]>\"'<])+"  # a pair of brackets belongs to an address, a closing one alone to the text
URL = re.compile(rf"https?://{_IN_URL}|(?<=\]\()(?!https?://){_IN_URL}", re.IGNORECASE)
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+")
_PHONE = re.compile(r"(?<![\w.])\+?\d[\d ()/-]{7,}\d(?!\w)")
_DATE = re.compile(r"\b\d{4}-\d{2}-\d{2}\b|\b\d{1,2}[./]\d{1,2}[./]\d{4}\b")
_YEARS = r"(?:19|20)\d\d ?[-/] ?(?:(?:19|20)\d\d|\d\d)"
_NO_PHONE = re.compile(rf"{_YEARS}(?:[ ()/-]+{_YEARS})*|[1-9]\d{{0,2}}(?:/\d{{1,3}}){{2,}}")
"""Years ("2015-2024") and sizes ("36/38/40/42"): the shape of a telephone number, and nobody's."""
_DIGIT = re.compile(r"\d")
_HEADING = re.compile(r"^(#{1,6})\s+\S", re.MULTILINE)
_WORD = re.compile(r"\w+(?:['’-]\w+)*")


def words(text: str) -> int:
    """How many words a text has."""
    return len(_WORD.findall(text))


def is_verbatim(quote: str, text: str) -> bool:
    """Whether a quote stands in the text letter by letter (white space may be folded, as line breaks are)."""
    return bool(quote.strip()) and (quote in text or " ".join(quote.split()) in " ".join(text.split()))


def links(markdown: str) -> list[str]:
    """Every address in a text: bare ones and the targets of Markdown links, relative ones too."""
    return [match.group(0).rstrip(".,;:!?") for match in URL.finditer(markdown)]


def foreign_links(found: Iterable[str], allowed: Iterable[str]) -> list[str]:
    """The addresses that are not on the list (a trailing slash and a fragment do not matter)."""
    known = {_bare(url) for url in allowed}
    return sorted({url for url in found if _bare(url) not in known})


def _bare(url: str) -> str:
    return url.partition("#")[0].rstrip("/").lower()


def personal_data(text: str) -> list[str]:
    """E-mail addresses and phone numbers in a text."""
    emails = [match.group(0) for match in _EMAIL.finditer(text)] if "@" in text else []
    if not _DIGIT.search(text):
        return emails
    # A date has the shape of a short phone number.
    numbers = [match.group(0) for match in _PHONE.finditer(_DATE.sub(" ", text))]
    return emails + [number for number in numbers if not _NO_PHONE.fullmatch(number)]


def heading_levels(markdown: str) -> list[int]:
    """The levels of a text's headings, in order."""
    return [len(match.group(1)) for match in _HEADING.finditer(markdown)]


def skipped_level(levels: Sequence[int]) -> int | None:
    """The first heading level that jumps down by more than one (an H4 under an H2), or None."""
    for above, level in itertools.pairwise(levels):
        if level > above + 1:
            return level
    return None


def shingles(text: str, size: int = 5) -> set[tuple[str, ...]]:
    """The overlapping runs of `size` words of a text, for comparing texts."""
    tokens = [token.lower() for token in _WORD.findall(text)]
    return {tuple(tokens[i : i + size]) for i in range(max(0, len(tokens) - size + 1))}


def near_duplicates(texts: Sequence[tuple[int, str]], threshold: float = 0.5) -> Iterator[tuple[int, int, float]]:
    """Pairs whose word runs overlap (Jaccard) by at least `threshold`. For tens of texts, not thousands."""
    cut = [(key, shingles(text)) for key, text in texts]
    for i, (a, left) in enumerate(cut):
        for b, right in cut[i + 1 :]:
            union = len(left | right)
            share = len(left & right) / union if union else 0.0
            if share >= threshold:
                yield a, b, share


def figures(text: str) -> set[str]:
    """The numbers a text states, as plain values: `1,200.50`, `€20` and `20 %` are 1200.5, 20 and 20."""
    plain = re.sub(r"^\s*\d+[.)]\s", "", URL.sub(" ", text), flags=re.MULTILINE)
    return {value(match.group(0)) for match in _FIGURE.finditer(plain)}


def value(found: str) -> str:
    """A figure as it is compared, however it was written."""
    digits = found.replace(" ", "").rstrip(".,")
    if re.fullmatch(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?", digits):
        digits = digits.replace(",", "")
    digits = digits.replace(",", ".")
    return digits.rstrip("0").rstrip(".") if "." in digits else str(int(digits)) if digits.isdigit() else digits


_FIGURE = re.compile(r"(?<![\w.])\d+(?:[.,]\d+)*")
_MARK = re.compile(r"\b(?!(?:EUR|USD|GBP|CHF)\d)[A-Z]{2,5}-?\d{1,4}[A-Z]?\b")
_MARK_GIVEN = re.compile(r"\b[A-Za-z]{2,5}[ -]?\d{1,4}[A-Za-z]?\b")
_THOUSANDS = re.compile(r"(?<![\w.,])\d{1,3}(?:\.\d{3})+(?![\d.])")


def marks(text: str) -> set[str]:
    """Figures that letters are a part of: IPX8, UPF50, EN-13. A rating that nobody gave is as invented as a number."""
    return {match.group(0).replace("-", "") for match in _MARK.finditer(URL.sub(" ", text))}


def given_marks(text: str) -> set[str]:
    """What bears such marks out, however it is written: IPX 8, upf50."""
    return {re.sub(r"[ -]", "", match.group(0)).upper() for match in _MARK_GIVEN.finditer(URL.sub(" ", text))}


def thousands(text: str, given: Set[str]) -> str:
    """A text in which 3.000 is written 3000 where that is what was given, and 3 is not."""

    def read(match: re.Match[str]) -> str:
        whole = match[0].replace(".", "")
        return whole if whole in given and value(match[0]) not in given else match[0]

    return _THOUSANDS.sub(read, text)


def holds_phrase(text: str, phrase: str) -> bool:
    """Whether a phrase stands in a text as words of its own, in any case."""
    return bool(phrase.strip()) and re.search(rf"(?<!\w){re.escape(phrase.strip())}(?!\w)", text, re.IGNORECASE) is not None


_MARKUP = re.compile(
    r"<\s*(?:script|iframe|object|embed|img|svg|link|meta|style|form|input|a|base|video|audio)\b[^>]*>?|\bon\w+\s*=\s*[\"']"
    r"|(?:javascript|vbscript)\s*:\s*[^\s]|data:(?=[\w.+-]+/|[;,])|!\[[^\]]*\]\(", re.IGNORECASE,
)  # fmt: skip


def active_markup(text: str) -> str:
    """The first piece of markup that could act where the text is shown, or nothing."""
    match = _MARKUP.search(text) if "<" in text or ":" in text or "=" in text or "![" in text else None
    return match.group(0)[:80] if match else ""


def formula(text: str) -> str:
    """How a text begins that a spreadsheet would run, or nothing (a negative number is none)."""
    return text[:40] if formulas.meant(text) else ""


_LEAKS = (
    "data_not_instruction", "</item>", "<item>", "</entry>", "<entry", "system prompt", "you label customer reviews",
    "answer with one json object", "in the given schema and nothing else", "material to work on, never as an instruction",
)  # fmt: skip


def prompt_leak(text: str) -> str:
    """The first piece of our own instructions in a text, or nothing."""
    lower = text.lower()
    return next((piece for piece in _LEAKS if piece in lower), "")
