"""CSV files in a folder: the team drops files in, and a status file beside each says what became of every row.

Folder: `<queue folder>/<workflow>/*.csv`, the queue folder being OVERNIGHT_QUEUE_DIR or AIRFLOW_HOME/queue. The files
themselves are never changed, moved or deleted.
"""

import csv
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from overnight.formulas import escaped
from overnight.queues import cells
from overnight.queues.source import Columns, Reading, RowAnswer, Source, SourceRow, Trouble

STATUS = ".status.csv"
HEADER = ("row", "id", "status", "message", "night")
MAX_CELL = 10_000_000  # characters; the workflow's own limits say what is too long, this only keeps the parser calm


def make() -> "CsvSource":
    """The source at its configured folder."""
    return CsvSource(queue_dir())


def queue_dir() -> Path:
    """The folder that holds one folder per workflow."""
    home = Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser()
    return Path(os.environ.get("OVERNIGHT_QUEUE_DIR", home / "queue"))


class CsvSource(Source):
    """UTF-8 CSV, with a header; commas, semicolons or tabs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def check(self, workflow: str) -> str | None:
        """The folder must be there and writable: each row's answer goes in it."""
        folder = self.folder / workflow
        if not folder.is_dir():
            return f"The queue folder {folder} is not there. Make it, or set OVERNIGHT_QUEUE_DIR."
        if not os.access(folder, os.R_OK | os.W_OK):
            return f"The queue folder {folder} cannot be read and written by this user."
        return None

    def read(self, workflow: str, columns: Columns) -> Reading:
        """Every row of every file, files in the order of their names."""
        reading = Reading()
        for path in self._files(workflow):
            try:
                found = list(_rows(path, columns))  # whole or not at all
                reading.rows.extend(row for row in found if cells.is_ours(row.fields, workflow))
            except cells.Unusable as trouble:
                reading.troubles.append(Trouble(path.name, str(trouble)))
            except (OSError, csv.Error) as trouble:
                message = f"The file cannot be read ({type(trouble).__name__}). Is a quote missing, or the file open elsewhere?"
                reading.troubles.append(Trouble(path.name, message))
        return reading

    def answer(self, workflow: str, night: str, answers: Sequence[RowAnswer], troubles: Sequence[Trouble]) -> None:
        """One status file beside each queue file, written whole or not at all."""
        by_file: dict[str, list[tuple[str, str, str, str]]] = {}
        for trouble in troubles:
            by_file.setdefault(trouble.ref, []).append(("file", "", "rejected", trouble.message))
        for answer in answers:
            name, _, row = answer.ref.rpartition(":")
            by_file.setdefault(name, []).append((row, answer.key, answer.status, answer.message))
        for name, rows in by_file.items():
            if (self.folder / workflow / name).exists():
                self._write(workflow, name, [(*row, night) for row in rows])

    def _files(self, workflow: str) -> Iterator[Path]:
        for path in sorted((self.folder / workflow).iterdir()):
            name = path.name.lower()
            if path.is_file() and name.endswith(".csv") and not name.endswith(STATUS) and not name.startswith((".", "~")):
                yield path

    def _write(self, workflow: str, name: str, rows: Sequence[tuple[str, ...]]) -> None:
        target = self.folder / workflow / f"{name[: -len('.csv')]}{STATUS}"
        partial = target.with_name(f".{target.name}.partial")
        with partial.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(HEADER)
            writer.writerows([escaped(cell) for cell in row] for row in rows)
        partial.replace(target)


def _rows(path: Path, columns: Columns) -> Iterator[SourceRow]:
    data = path.read_bytes()
    if not data.strip():
        raise cells.Unusable("The file is empty. It needs a header line with the columns and a row per item.")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise cells.Unusable("The file is UTF-16. Save it as 'CSV UTF-8' and drop it again.")
    # Bytes that are no UTF-8 survive as surrogates, so that one bad row does not cost the file.
    text = data.decode("utf-8-sig", errors="surrogateescape")
    csv.field_size_limit(MAX_CELL)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=False)
    header = cells.header_of(next(reader, []), columns)
    found = False
    for line in reader:
        if any(cell.strip() for cell in line):
            found = True
            yield _row(f"{path.name}:{reader.line_num}", header, line)
    if not found:
        raise cells.Unusable("The file has a header but no rows.")


def _delimiter(text: str) -> str:
    """Comma, or what a European or a pasted spreadsheet writes instead: judged by the header line alone."""
    header = text.lstrip().partition("\n")[0]
    return max((",", ";", "\t"), key=header.count)


def _row(ref: str, header: list[str], line: list[str]) -> SourceRow:
    fields = {name: cell for name, cell in zip(header, line, strict=False) if name}
    bad = [name for name, cell in fields.items() if cells.is_broken(cell)]
    if bad:
        fields = {name: cell.encode("utf-8", "replace").decode() for name, cell in fields.items()}
        return SourceRow(ref, fields, f"Not valid UTF-8 in {', '.join(bad)}. Save the file as 'CSV UTF-8'.")
    if any("\x00" in cell for cell in line):
        return SourceRow(ref, {k: v.replace("\x00", "") for k, v in fields.items()}, "The row holds NUL bytes.")
    if len(line) > len(header):
        return SourceRow(ref, fields, f"The row has {len(line)} cells, the header {len(header)}: a quote is missing?")
    return SourceRow(ref, fields)
