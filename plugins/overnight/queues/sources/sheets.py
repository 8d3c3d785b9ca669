"""A Google Sheet as the queue: a tab per workflow, its status and message columns ours, everything else the team's.

Connection `overnight_sheets`, extra `queue_spreadsheet`; the tab bears the workflow's name, or is called "queue" and has a
`type` column. People may sort, insert and delete at any time: answers find their row by what it says, and our columns by
the metadata they carry, wherever both have moved to. A row that is taken out while it waits is
withdrawn; one that a reviewer sent back, or that may be at a vendor, is not.
"""

from collections.abc import Sequence

from overnight.queues import cells
from overnight.queues.source import Columns, Reading, RowAnswer, Source, Trouble
from overnight.services import google
from overnight.services.google import METADATA, Google
from overnight.services.settings import ServiceError
from overnight.workflow import workflow as find_workflow

LOOKS = 3
"""How often an answer is checked and put right when people move rows while it is written."""


def make() -> "SheetsSource":
    """The source of the connection; the client is opened on first use."""
    return SheetsSource()


class SheetsSource(Source):
    """One spreadsheet, a tab a workflow."""

    gone_is_withdrawn = True

    def __init__(self) -> None:
        self._client: Google | None = None

    def check(self, workflow: str) -> str | None:
        """The tab is there, and our two columns in it can be written."""
        try:
            client, spreadsheet, tab = self._tab(workflow)
            self._make_columns(client, spreadsheet, tab, client.read_tabs(spreadsheet, [tab])[0], workflow)
        except ServiceError as trouble:
            return f"The queue in Google Sheets: {trouble}"
        return None

    def read(self, workflow: str, columns: Columns) -> Reading:
        """Every row below the header of the workflow's tab."""
        client, spreadsheet, tab = self._tab(workflow)
        lines = client.read_tabs(spreadsheet, [tab])[0]
        reading = Reading()
        try:
            header = cells.header_of(lines[0] if lines else [], columns)
        except cells.Unusable as trouble:
            reading.troubles.append(Trouble(workflow, str(trouble)))
            return reading
        for number, line in enumerate(lines[1:], start=2):
            fields = _fields(header, line)
            if cells.is_ours(fields, workflow) and any(value.strip() for value in cells.without_ours(fields).values()):
                reading.rows.append(cells.row(f"row {number}", fields))
        return reading

    def answer(self, workflow: str, night: str, answers: Sequence[RowAnswer], troubles: Sequence[Trouble]) -> None:
        """Status and message beside each row, looked at again until they stand where they belong."""
        client, spreadsheet, tab = self._tab(workflow)
        for _ in range(LOOKS):
            lines = client.read_tabs(spreadsheet, [tab])[0]
            if not lines:
                return
            self._make_columns(client, spreadsheet, tab, lines, workflow)
            header = cells.named(lines[0], find_workflow(workflow).id_field)
            wanted = _wanted(header, lines[1:], workflow, answers, troubles)
            if all((_cell(header, line, cells.STATUS), _cell(header, line, cells.MESSAGE)) == told
                   for line, told in zip(lines[1:], wanted, strict=True) if told is not None):  # fmt: skip
                return
            client.write_columns(spreadsheet, [
                (_value(name, workflow), [name, *(None if told is None else told[n] for told in wanted)])
                for n, name in enumerate((cells.STATUS, cells.MESSAGE))
            ])  # fmt: skip

    def _tab(self, workflow: str) -> tuple[Google, str, int]:
        client = self._client = self._client or google.connect()
        spreadsheet = client.settings.need("queue_spreadsheet", "the id of the spreadsheet that holds the queue")
        titles = {tab["properties"]["title"].strip().lower(): id_ for id_, tab in client.sheet_ids(spreadsheet).items()}
        tab = titles.get(workflow, titles.get("queue"))
        if tab is None:
            raise ServiceError(f"there is no tab {workflow!r} (or 'queue') in it; it has {', '.join(titles)}. Make one.")
        return client, spreadsheet, tab

    @staticmethod
    def _make_columns(client: Google, spreadsheet: str, tab: int, lines: Sequence[Sequence[str]], workflow: str) -> None:
        """Our two columns, marked so that they are found again wherever they are moved to."""
        known = client.marked(spreadsheet, tab)
        header = [cells.tidy(name) for name in lines[0]] if lines else []
        missing = [name for name in (cells.STATUS, cells.MESSAGE) if _value(name, workflow) not in known]
        if not missing:
            return
        room = client.sheet_ids(spreadsheet)[tab]["properties"]["gridProperties"]["columnCount"]
        changes, at = [], len(header)
        for name in missing:
            if name not in header:
                header = [*header, *([""] * (at - len(header))), name]
                at = len(header)
            index = header.index(name)
            if index >= room:
                changes.append({"appendDimension": {"sheetId": tab, "dimension": "COLUMNS", "length": index + 1 - room}})
                room = index + 1
            changes.append({"createDeveloperMetadata": {"developerMetadata": {
                "metadataKey": METADATA, "metadataValue": _value(name, workflow), "visibility": "DOCUMENT",
                "location": {"dimensionRange": {
                    "sheetId": tab, "dimension": "COLUMNS", "startIndex": index, "endIndex": index + 1}},
            }}})  # fmt: skip
        client.change(spreadsheet, changes)
        client.write_columns(spreadsheet, [(_value(name, workflow), [name]) for name in missing])


def _value(name: str, workflow: str) -> str:
    return f"queue {workflow} {name}"


def _fields(header: Sequence[str], line: Sequence[str]) -> dict[str, str]:
    return {name: (line[n] if n < len(line) else "") for n, name in enumerate(header) if name}


def _cell(header: Sequence[str], line: Sequence[str], name: str) -> str:
    return _fields(header, line).get(name, "")


def _wanted(
    header: list[str], lines: Sequence[Sequence[str]], workflow: str, answers: Sequence[RowAnswer],
    troubles: Sequence[Trouble],
) -> list[tuple[str, str] | None]:  # fmt: skip
    """What is to stand beside each row; None where a row is another workflow's."""
    found = cells.Answers(answers)
    wanted: list[tuple[str, str] | None] = []
    for number, line in enumerate(lines):
        fields = _fields(header, line)
        if not cells.is_ours(fields, workflow):
            wanted.append(None)
        elif troubles:
            wanted.append(("rejected", troubles[0].message) if number == 0 else ("", ""))
        else:
            wanted.append(found.next_for(fields))
    return wanted
