"""What all queues have in common: headers people write, rows that are whole, and the words for what is not.

The standard columns are id, type, the workflow's input fields, priority, context, status and message; status and message
are ours. `id` may stand for the workflow's own id column; a row whose `type` names another workflow is not ours to read.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence

from overnight.queues.source import Columns, RowAnswer, SourceRow

STATUS, MESSAGE, TYPE, ID = "status", "message", "type", "id"
CHANGED = "added or changed after the lock; goes to the next night"


class Unusable(Exception):
    """A whole file, tab or table that cannot be used; the text is for the person who made it."""


def tidy(name: str) -> str:
    """A header as it is compared."""
    return name.encode("utf-8", "replace").decode().strip().lower()


def named(names: Sequence[str], id_field: str) -> list[str]:
    """Headers as they are compared; `id` stands for the workflow's own id column where that is not there."""
    header = [tidy(name) for name in names]
    if ID in header and id_field and id_field not in header:
        header[header.index(ID)] = id_field
    return header


def header_of(names: Sequence[str], columns: Columns) -> list[str]:
    """The columns' names, `id` read as the workflow's own.

    Raises:
        Unusable: a needed column is missing, or one stands twice.
    """
    header = named(names, columns.id_field)
    missing = [name for name in columns.required if name not in header]
    if missing:
        raise Unusable(
            f"Missing column{'s' * (len(missing) > 1)}: {', '.join(missing)}. The file has "
            f"{', '.join(name[:60] for name in header if name)}. Needed are {', '.join(columns.required)}; "
            f"possible are {', '.join(columns.optional)}. No row of this file was taken."
        )
    twice = sorted({name for name in header if name and header.count(name) > 1})
    if twice:
        raise Unusable(f"These columns stand twice: {', '.join(twice)}. No row of this file was taken.")
    return header


def is_ours(fields: Mapping[str, str], workflow: str) -> bool:
    """Whether a row is for this workflow: it says so, or says nothing."""
    return fields.get(TYPE, "").strip().lower() in ("", workflow)


def without_ours(fields: Mapping[str, str]) -> dict[str, str]:
    """The cells that are the person's."""
    return {name: value for name, value in fields.items() if name and name not in (STATUS, MESSAGE, TYPE)}


def mark(fields: Mapping[str, str]) -> str:
    """What tells a row from all others wherever it has moved: the hash of the person's own cells."""
    plain = {name: value.strip() for name, value in without_ours(fields).items() if value.strip()}
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode("utf-8", "surrogatepass")).hexdigest()


def row(ref: str, fields: Mapping[str, str]) -> SourceRow:
    """A row of a queue that is no file."""
    plain = without_ours(fields)
    problem = "The row holds NUL bytes." if any("\x00" in value for value in plain.values()) else None
    if broken := [name for name, value in plain.items() if is_broken(value)]:
        problem = f"Half a character (a lone surrogate) in {', '.join(broken)}: write it again."
    return SourceRow(ref[:MAX_REF], {name: _whole(value) for name, value in plain.items()}, problem, mark(fields))


MAX_REF = 400
"""Characters of where a row stands that the ledger keeps."""


def is_broken(cell: str) -> bool:
    """Whether a cell holds what no text can be made of: a surrogate alone, as a byte that is no UTF-8 is read, too."""
    try:
        cell.encode()
    except UnicodeEncodeError:
        return True
    return False


def _whole(cell: str) -> str:
    return cell.replace("\x00", "").encode("utf-8", "replace").decode()


class Answers:
    """The answers of one lock, found again by what a row says and not by where it stands. Equal rows are told in order."""

    def __init__(self, answers: Iterable[RowAnswer]) -> None:
        self._left: dict[str, list[RowAnswer]] = {}
        for answer in answers:
            self._left.setdefault(answer.mark, []).append(answer)

    def next_for(self, fields: Mapping[str, str]) -> tuple[str, str]:
        """Status and message of a row as it stands now."""
        if not any(value.strip() for value in without_ours(fields).values()):
            return "", ""
        waiting = self._left.get(mark(fields))
        if not waiting:
            return "waiting", CHANGED
        answer = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        return answer.status, answer.message
