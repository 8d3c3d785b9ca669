"""An Airtable base as the queue: a table `queue <workflow>`, a record per task, `status` and `message` ours.

Connection `overnight_airtable`, extra `queue_base`. A record keeps its id wherever people sort or group it to; answers go
out ten at a time, and only those that differ from what stands there. A row that is taken out while it waits is
withdrawn; one that a reviewer sent back, or that may be at a vendor, is not.
"""

from collections.abc import Sequence
from typing import Any

from overnight.queues import cells
from overnight.queues.source import Columns, Reading, RowAnswer, Source, Trouble
from overnight.services import airtable, numbers
from overnight.services.airtable import Airtable
from overnight.services.settings import ServiceError


def make() -> "AirtableSource":
    """The source of the connection; the client is opened on first use."""
    return AirtableSource()


class AirtableSource(Source):
    """One table a workflow."""

    gone_is_withdrawn = True

    def __init__(self) -> None:
        self._client: Airtable | None = None
        self._said: dict[str, tuple[str, str]] = {}

    def check(self, workflow: str) -> str | None:
        """The table is there; the two fields that are ours are made where they are missing."""
        try:
            client, base, table = self._open(workflow)
            known = {field["name"].lower() for field in table["fields"]}
            for name in (cells.STATUS, cells.MESSAGE):
                if name not in known:
                    client.add_field(base, table["id"], {"name": name, "type": "multilineText"})
        except ServiceError as trouble:
            return f"The queue in Airtable: {trouble}"
        return None

    def read(self, workflow: str, columns: Columns) -> Reading:
        """Every record of the table."""
        client, base, table = self._open(workflow)
        names = [field["name"] for field in table["fields"]]
        reading = Reading()
        try:
            header = cells.header_of(names, columns)
        except cells.Unusable as trouble:
            reading.troubles.append(Trouble(table["name"], str(trouble)))
            return reading
        for record in client.records(base, table["id"]):
            fields = {name: _text(record["fields"].get(raw)) for raw, name in zip(names, header, strict=True)}
            self._said[record["id"]] = (fields.get(cells.STATUS, ""), fields.get(cells.MESSAGE, ""))
            if cells.is_ours(fields, workflow) and any(value.strip() for value in cells.without_ours(fields).values()):
                reading.rows.append(cells.row(record["id"], fields))
        return reading

    def answer(self, workflow: str, night: str, answers: Sequence[RowAnswer], troubles: Sequence[Trouble]) -> None:
        """Status and message on each record where they are not there already."""
        if trouble := self.check(workflow):  # somebody may have deleted our columns since the evening's check
            raise ServiceError(trouble)
        client, base, table = self._open(workflow)
        names = {field["name"].lower(): field["name"] for field in table["fields"]}
        changes = []
        for answer in answers:
            told = (answer.status, answer.message)
            if self._said.get(answer.ref) != told:
                values = dict(zip((cells.STATUS, cells.MESSAGE), told, strict=True))
                changes.append((answer.ref, {names[name]: value for name, value in values.items() if name in names}))
                self._said[answer.ref] = told
        client.update(base, table["id"], changes)

    def _open(self, workflow: str) -> tuple[Airtable, str, dict[str, Any]]:
        client = self._client = self._client or airtable.connect()
        base = client.settings.need("queue_base", "the id of the base that holds the queue, app…")
        tables = client.tables(base)
        name = f"queue {workflow}"
        if name not in tables:
            raise ServiceError(f"there is no table {name!r} in base {base}; it has {', '.join(tables) or 'none'}. Make one.")
        return client, base, tables[name]


def _text(value: Any) -> str:
    if isinstance(value, list):
        return "|".join(str(part) for part in value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else (numbers.written(value) if isinstance(value, float) else str(value))
