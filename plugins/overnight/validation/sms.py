"""How many segments a text message is billed as. GSM 03.38's alphabet decides; one sign outside it makes all of it UCS-2.

Written here and not taken from a package: the ones on PyPI are unmaintained, and the table is a standard that does not move
(docs/decisions/007). Figures: GSM-7 160 in one message, 153 a segment; UCS-2 70 and 67; extension signs count two.
"""

from dataclasses import dataclass

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = frozenset("\f^{}\\[~]|€")


@dataclass(frozen=True, slots=True)
class Size:
    """A message's encoding, its length in that encoding's units, and what it is billed as."""

    encoding: str
    units: int
    segments: int


def size(text: str) -> Size:
    """The size of a message as it is sent (merge tags filled in)."""
    if all(char in _BASIC or char in _EXTENDED for char in text):
        return Size("GSM-7", _gsm(text), _segments([2 if char in _EXTENDED else 1 for char in text], 160, 153))
    units = [len(char.encode("utf-16-le")) // 2 for char in text]
    return Size("UCS-2", sum(units), _segments(units, 70, 67))


def outside_gsm(text: str) -> list[str]:
    """The signs that make a message UCS-2, each once."""
    return sorted({char for char in text if char not in _BASIC and char not in _EXTENDED})


def _gsm(text: str) -> int:
    return sum(2 if char in _EXTENDED else 1 for char in text)


def _segments(units: list[int], single: int, each: int) -> int:
    """A sign is never cut in two: an escape or a surrogate pair that does not fit begins the next segment."""
    if sum(units) <= single:
        return 1 if units else 0
    segments, used = 1, 0
    for unit in units:
        if used + unit > each:
            segments, used = segments + 1, 0
        used += unit
    return segments
