"""A workbook as the review, for people without a sheet service: one file a workflow and night, in a folder they all see.

Folder: OVERNIGHT_REVIEW_DIR or AIRFLOW_HOME/review, `<workflow>/<night>.xlsx`. It is written whole or not at all and never
again: from then on it is the reviewers' (and may be open). Our answers go into `<night>.answers.csv` beside it; a row that
was deleted comes back in `<night> (more).xlsx`.
"""

import csv
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from overnight.formulas import escaped
from overnight.review import table
from overnight.review.exhibit import Entry, Exhibit
from overnight.review.surface import Mark, Shown, Surface, SurfaceBroken, Told
from overnight.review.table import Column

MAX_CELL = 32_767
"""Characters in a cell (Microsoft, "Excel specifications and limits")."""


def make() -> "XlsxSurface":
    """The surface at its configured folder."""
    home = Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser()
    return XlsxSurface(Path(os.environ.get("OVERNIGHT_REVIEW_DIR", home / "review")))


class XlsxSurface(Surface):
    """One folder, a workbook a night."""

    shows_covered = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def check(self, workflow: str) -> str | None:
        """The folder can be written."""
        try:
            (self.folder / workflow).mkdir(parents=True, exist_ok=True)
        except OSError as trouble:
            return f"The review folder {self.folder / workflow} cannot be made ({type(trouble).__name__})."
        if not os.access(self.folder / workflow, os.R_OK | os.W_OK):
            return f"The review folder {self.folder / workflow} cannot be read and written by this user."
        return None

    def export(self, exhibit: Exhibit) -> Sequence[Shown]:
        """Write the workbook, or (when it is with the reviewers already) one more with what is missing from it."""
        there = {mark.ref for mark in self.collect([exhibit])}
        missing = [e for e in exhibit.entries if e.ref not in there and (not there or e.waits or e.item_id is None)]
        if missing:
            self._write(exhibit, self._free(exhibit), missing)
        known, shape = exhibit.by_ref(), table.columns(exhibit)
        return [
            Shown(m.ref, m.place, table.expected(known[m.ref], shape, limit=MAX_CELL))
            for m in self.collect([exhibit])
            if m.ref in known
        ]

    def collect(self, exhibits: Sequence[Exhibit]) -> Sequence[Mark]:
        """Every row of the nights' workbooks, as they were last saved."""
        return [mark for one in exhibits for path in self._files(one) for mark in _read(path, one, self._said(one))]

    def tell(self, exhibits: Sequence[Exhibit], told: Sequence[Told]) -> None:
        """The answers, in a file of their own beside the workbook."""
        known = {exhibit.night_id: exhibit for exhibit in exhibits}
        for night_id in {one.night_id for one in told}:
            exhibit = known[night_id]
            said = self._said(exhibit) | {one.ref: one.words for one in told if one.night_id == night_id}
            titles = {entry.ref: entry.title for entry in exhibit.entries}
            target = self._path(exhibit).with_suffix(".answers.csv")
            partial = target.with_name(f".{target.name}.partial")
            with partial.open("w", encoding="utf-8-sig", newline="") as file:
                writer = csv.writer(file)
                writer.writerow((table.REF, table.ITEM, table.SAID))
                writer.writerows(
                    [escaped(ref), escaped(titles.get(ref, "")), escaped(words)] for ref, words in said.items() if words
                )
            partial.replace(target)

    def _said(self, exhibit: Exhibit) -> dict[str, str]:
        path = self._path(exhibit).with_suffix(".answers.csv")
        if not path.exists():
            return {}
        try:
            with path.open(encoding="utf-8-sig", newline="") as file:
                return {line[table.REF]: line[table.SAID] for line in csv.DictReader(file)}
        except (KeyError, ValueError, csv.Error):
            return {}  # saved anew by a spreadsheet, with separators of its own: what we said is said again

    def _path(self, exhibit: Exhibit) -> Path:
        return self.folder / exhibit.workflow / f"{exhibit.night}.xlsx"

    def _files(self, exhibit: Exhibit) -> list[Path]:
        first = self._path(exhibit)
        more = sorted(first.parent.glob(f"{exhibit.night} (more*).xlsx")) if first.parent.is_dir() else []
        return [path for path in (first, *more) if path.exists()]

    def _free(self, exhibit: Exhibit) -> Path:
        path, number = self._path(exhibit), 1
        while path.exists():
            path = self._path(exhibit).with_name(f"{exhibit.night} (more{f' {number}' if number > 1 else ''}).xlsx")
            number += 1
        return path

    def _write(self, exhibit: Exhibit, path: Path, entries: Sequence[Entry]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.stem}.partial")
        _workbook(exhibit, entries).save(partial)
        partial.replace(path)


def _workbook(exhibit: Exhibit, entries: Sequence[Entry]) -> Any:
    from openpyxl import Workbook
    from openpyxl.styles import Alignment, Font, PatternFill, Protection
    from openpyxl.utils import get_column_letter
    from openpyxl.worksheet.datavalidation import DataValidation

    book = Workbook()
    sheet: Any = book.active
    sheet.title = exhibit.night[:31]
    shape = table.columns(exhibit)
    _lists(book, shape)
    for at, column in enumerate(shape, start=1):
        head = sheet.cell(1, at, column.name)
        head.font, head.alignment = Font(bold=True), Alignment(wrap_text=True)
        sheet.column_dimensions[get_column_letter(at)].width = 45 if column.wide else 16
    tint = PatternFill("solid", fgColor="FFFBEA")
    for number, entry in enumerate(entries, start=2):
        filled = table.cells(entry, shape, limit=MAX_CELL)
        for at, column in enumerate(shape, start=1):
            cell = sheet.cell(number, at)
            cell.value = filled.get(column.name, "")
            cell.data_type = "s"  # a text, also where it looks like a formula or a number
            cell.alignment = Alignment(wrap_text=True, vertical="top")
            if column.theirs:
                cell.fill, cell.protection, cell.value = tint, Protection(locked=False), None
    for at, column in enumerate(shape, start=1):
        if column.options or column.tick:
            listed = f"lists!${get_column_letter(at)}$1:${get_column_letter(at)}${max(len(column.options), 1)}"
            rule = DataValidation(type="list", formula1=listed if column.options else '"x"', allow_blank=True)
            rule.error, rule.showErrorMessage = "Choose one of the list.", True
            sheet.add_data_validation(rule)
            rule.add(f"{get_column_letter(at)}2:{get_column_letter(at)}{len(entries) + 1}")
    sheet.freeze_panes = "D2"
    sheet.auto_filter.ref = sheet.dimensions
    sheet.protection.sheet, sheet.protection.sort, sheet.protection.autoFilter = True, False, False
    return book


def _lists(book: Any, shape: Sequence[Column]) -> None:
    """The drop-downs' words on a sheet of their own: a list in the rule itself may have 255 characters only."""
    lists = book.create_sheet("lists")
    lists.sheet_state = "hidden"
    for at, column in enumerate(shape, start=1):
        for number, option in enumerate(column.options, start=1):
            lists.cell(number, at, option)


def _read(path: Path, exhibit: Exhibit, said: Mapping[str, str]) -> list[Mark]:
    from openpyxl import load_workbook

    shape = table.columns(exhibit)
    try:
        book: Any = load_workbook(path, read_only=True, data_only=True)
    except Exception as trouble:  # openpyxl lets through whatever a broken zip or XML raises
        raise SurfaceBroken(
            f"The workbook {path.name} of {exhibit.workflow} cannot be read ({type(trouble).__name__}). Save it as .xlsx "
            "again, or put the last good version back. Nothing was decided."
        ) from trouble
    sheet = next(s for s in book.worksheets if s.title != "lists")
    lines = [["" if value is None else str(value) for value in line] for line in sheet.iter_rows(values_only=True)]
    person = str(getattr(book.properties, "lastModifiedBy", "") or "")
    book.close()
    header = lines[0] if lines else []
    missing = table.missing(shape, header)
    if missing:
        raise SurfaceBroken(
            f"The workbook {path.name} of {exhibit.workflow} has no column {', '.join(missing[:3])}: somebody renamed or "
            "deleted it. Put the header back as it was. Nothing was decided."
        )
    marks = []
    for number, line in enumerate(lines[1:], start=2):
        found = dict(zip(header, line, strict=False))
        found[table.SAID] = said.get(found.get(table.REF, ""), "")
        signed = bool(found.get(table.REVIEWER, "").strip())
        if not signed:
            found[table.REVIEWER] = person if found.get(table.DECISION, "").strip() else ""
        if any(found.get(c.name, "").strip() for c in shape):
            mark = table.read(exhibit, found, shape, f"{path.stem} row {number}", limit=MAX_CELL)
            marks.append(replace(mark, written=replace(mark.written, signed=signed)))
    return marks
