"""One CSV file for spreadsheets: a row an item, its input's plain fields beside its output's; no cell becomes a formula."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from overnight.delivery.target import Approved, Target
from overnight.formulas import escaped


def make() -> "CsvTarget":
    """The target needs no settings."""
    return CsvTarget()


class CsvTarget(Target):
    """`items.csv`: UTF-8 with a header; lists and objects as JSON in their cell."""

    def files(self, workflow: str, items: Sequence[Approved]) -> Mapping[str, bytes]:
        """One file."""
        given = list(dict.fromkeys(name for item in items for name in item.input))
        made = list(dict.fromkeys(name for item in items for name in item.output))
        header = ["key", *(f"input.{name}" for name in given), *made, "decision", "approver", "approved_at"]
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(header)
        for item in items:
            cells = [item.key, *(item.input.get(name) for name in given), *(item.output.get(name) for name in made)]
            cells += [item.decision, item.approver, item.approved_at.isoformat()]
            writer.writerow([escaped(_cell(cell)) if not isinstance(cell, int | float) else cell for cell in cells])
        return {"items.csv": text.getvalue().encode()}


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
