"""Which of our products is this offer? Found in code; called sure only where brand and model number agree and nothing differs.

A wrong match that is called sure makes a wrong decision; one that is called possible makes a person look.
"""

import itertools
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

_TOKEN = re.compile(r"[A-Za-z0-9]+(?:[-/.][A-Za-z0-9]+)*")
_COLOURS = frozenset(
    [
        "black",
        "white",
        "silver",
        "red",
        "blue",
        "green",
        "grey",
        "gray",
        "pink",
        "gold",
        "orange",
        "purple",
        "brown",
        "yellow",
        "titanium",
        "graphite",
    ]
)
_UNIT = re.compile(r"^\d+(?:[.,]\d+)?(?:gb|mb|tb|mp|ft|in|inch|mm|cm|m|w|v|x|hz|ghz|mhz|db|oz|lb|lbs|k|p|pk|pack|th|st|nd|rd)$")


_PLAIN = re.compile(r"\d+(?:\.\d+)?")


@dataclass(frozen=True, slots=True)
class Product:
    """One of our products."""

    sku: str
    title: str
    price: float | None = None
    map_price: float | None = None
    currency: str = ""  # ISO 4217; empty: as the competitors state theirs


@dataclass(frozen=True, slots=True)
class Match:
    """Our product that an offer may be, and how sure that is."""

    sku: str | None
    certainty: Literal["sure", "possible", "none"]
    score: float = 0.0


class Catalogue:
    """Our products, findable by model number and by words."""

    def __init__(self, products: Iterable[Product]) -> None:
        self.products = {product.sku: product for product in products}
        self._by_model: dict[str, set[str]] = defaultdict(set)
        self._by_word: dict[str, set[str]] = defaultdict(set)
        for product in self.products.values():
            for model in models(product.title):
                self._by_model[model].add(product.sku)
            for word in words(product.title):
                self._by_word[word].add(product.sku)

    def match(self, title: str, sure_score: float) -> Match:
        """The best match of an offer's title."""
        mine = models(title)
        by_model = {sku for model in mine for sku in self._by_model.get(model, ())}
        if len(by_model) == 1:
            (sku,) = by_model
            return Match(sku, "sure" if self._agree(sku, title, sure_score) else "possible", self._score(sku, title))
        best = max(((self._score(sku, title), sku) for sku in by_model or self._near(title)), default=(0.0, ""))
        return Match(best[1], "possible", best[0]) if best[0] >= 0.5 else Match(None, "none")

    def _agree(self, sku: str, title: str, sure_score: float) -> bool:
        """Brand, colours and every model number of both agree, and enough of the words."""
        ours = self.products[sku].title
        mine, theirs = models(ours), models(title)
        brand = _first_word(ours) == _first_word(title)
        colours = words(ours) & _COLOURS, words(title) & _COLOURS
        return (
            brand
            and not _siblings(mine | theirs)
            and (mine <= theirs or theirs <= mine)
            and (not colours[0] or not colours[1] or colours[0] == colours[1])
            and self._score(sku, title) >= sure_score
        )

    def _near(self, title: str) -> Iterator[str]:
        counts: dict[str, int] = defaultdict(int)
        for word in words(title):
            for sku in self._by_word.get(word, ()):
                counts[sku] += 1
        yield from sorted(counts, key=lambda sku: -counts[sku])[:20]

    def _score(self, sku: str, title: str) -> float:
        """The smaller title's words that the other has, too: 0..1."""
        ours, theirs = words(self.products[sku].title), words(title)
        smaller = min(len(ours), len(theirs))
        return len(ours & theirs) / smaller if smaller else 0.0


def models(title: str) -> set[str]:
    """The tokens of a title that can only be a model number: letters and digits mixed, or six digits and more."""
    found: set[str] = set()
    for token in _TOKEN.findall(title):
        plain = re.sub(r"[^A-Za-z0-9]", "", token).lower()
        digits = sum(char.isdigit() for char in plain)
        mixed = 0 < digits < len(plain) and len(plain) >= 4 and not _UNIT.match(plain)
        if mixed or (digits == len(plain) and digits >= 6):
            found.add(plain)
    return found


def words(title: str) -> set[str]:
    """A title's words in small letters."""
    return {token.lower() for token in re.findall(r"[A-Za-z0-9]+", title) if len(token) > 1}


def _siblings(found: set[str]) -> bool:
    """Two numbers that part only in their last sign are variants of one model (a colour, a region): which one is it?"""
    from rapidfuzz.distance import Prefix

    for a, b in itertools.pairwise(sorted(found)):
        shared = Prefix.similarity(a, b)
        if shared >= 4 and shared == min(len(a), len(b)) - 1:
            return True
    return False


def _first_word(title: str) -> str:
    tokens = re.findall(r"[A-Za-z0-9]+", title)
    return tokens[0].lower() if tokens else ""


def read_catalogue(rows: Iterable[Mapping[str, str]]) -> Catalogue:
    """Our catalogue from rows with sku, title and, where known, price, map_price and the currency of both."""
    return Catalogue(
        Product(
            row["sku"], row["title"], _price(row.get("price")), _price(row.get("map_price")),
            (row.get("currency") or "").strip().upper(),
        )
        for row in rows
    )  # fmt: skip


def stated(text: str) -> float | None:
    """A price in a page's data: 12.995 and 1299.000 have a point there; what is written for people is read as a person's."""
    found = float(text) if _PLAIN.fullmatch(text.strip()) else _price(text)
    return found if found is not None and math.isfinite(found) else None


def _price(text: str | None) -> float | None:
    from price_parser import Price

    found = Price.fromstring(text).amount_float if text else None
    return float(found) if found is not None else None
