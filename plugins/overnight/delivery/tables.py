"""Files that platforms import: rows under a platform's own column names. No cell becomes a formula for whoever opens it first."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from overnight.formulas import escaped


def write(
    header: Sequence[str], rows: Sequence[Mapping[str, Any]], *, delimiter: str = ",", above: Sequence[Sequence[str]] = ()
) -> bytes:
    """A delimited file in UTF-8.

    Args:
        above: lines before the header, as some templates want them.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerows(above)
    writer.writerow(header)
    for row in rows:
        writer.writerow([_cell(row.get(name, ""), delimiter) for name in header])
    return text.getvalue().encode()


def _cell(value: Any, delimiter: str) -> Any:
    if value is None or isinstance(value, int | float):
        return "" if value is None else value
    # A tab-delimited template has no quoting that every importer reads: white space is one space there (before a formula is
    # looked for: it would be hidden behind a blank).
    return escaped(" ".join(str(value).split()) if delimiter == "\t" else str(value))


def numbered(name: str, values: Sequence[str], most: int, *, first: int = 1) -> dict[str, str]:
    """`Headline 1`, `Headline 2` … for a list's values."""
    return {name.format(n): value for n, value in enumerate(values[:most], start=first)}


def columns(name: str, most: int) -> list[str]:
    """The column names of such a list."""
    return [name.format(n) for n in range(1, most + 1)]
