"""A Notion database as the queue: a page per task, its properties the columns, `status` and `message` ours.

Connection `overnight_notion`, extra `queues`: workflow → data source id. A page keeps its id wherever people sort or
filter it to, so an answer always finds its row; only answers that differ from what stands there are written.
A row that is taken out while it waits is withdrawn; one that a reviewer sent back, or that may be at a vendor, is not.
"""

from collections.abc import Sequence
from typing import Any

from overnight.queues import cells
from overnight.queues.source import Columns, Reading, RowAnswer, Source, Trouble
from overnight.services import notion
from overnight.services.notion import Notion
from overnight.services.settings import ServiceError
from overnight.workflow import workflow as find_workflow


def make() -> "NotionSource":
    """The source of the connection; the client is opened on first use."""
    return NotionSource()


class NotionSource(Source):
    """One data source a workflow."""

    gone_is_withdrawn = True

    def __init__(self) -> None:
        self._client: Notion | None = None
        self._said: dict[str, tuple[str, str]] = {}

    def check(self, workflow: str) -> str | None:
        """The database is shared with us; the two properties that are ours are made where they are missing."""
        try:
            client, source = self._open(workflow)
            known = {name.lower() for name in client.properties(source)}
            missing = [name for name in (cells.STATUS, cells.MESSAGE) if name not in known]
            if missing:
                client.add_properties(source, {name: {"rich_text": {}} for name in missing})
        except ServiceError as trouble:
            return f"The queue in Notion: {trouble}"
        return None

    def read(self, workflow: str, columns: Columns) -> Reading:
        """Every page that is not in the trash."""
        client, source = self._open(workflow)
        reading = Reading()
        try:
            cells.header_of(list(client.properties(source)), columns)
        except cells.Unusable as trouble:
            reading.troubles.append(Trouble(workflow, str(trouble)))
            return reading
        for page in client.pages(source):
            fields = _fields(page, columns.id_field)
            self._said[page["id"]] = (fields.get(cells.STATUS, ""), fields.get(cells.MESSAGE, ""))
            if cells.is_ours(fields, workflow) and any(value.strip() for value in cells.without_ours(fields).values()):
                reading.rows.append(cells.row(page["id"], fields))
        return reading

    def answer(self, workflow: str, night: str, answers: Sequence[RowAnswer], troubles: Sequence[Trouble]) -> None:
        """Status and message on each page where they are not there already."""
        if trouble := self.check(workflow):  # somebody may have deleted our columns since the evening's check
            raise ServiceError(trouble)
        client, source = self._open(workflow)
        kinds = {name.lower(): (name, p["type"]) for name, p in client.properties(source).items()}
        for answer in answers:
            told = (answer.status, answer.message)
            if self._said.get(answer.ref) != told:
                values = dict(zip((cells.STATUS, cells.MESSAGE), told, strict=True))
                client.update(answer.ref, {kinds[n][0]: _value(kinds[n][1], v) for n, v in values.items() if n in kinds})
                self._said[answer.ref] = told

    def _open(self, workflow: str) -> tuple[Notion, str]:
        client = self._client = self._client or notion.connect()
        queues = client.settings.extra.get("queues") or {}
        if workflow not in queues:
            raise ServiceError(
                f"the connection {notion.CONN_ID!r} does not say where: its extra needs queues: {{{workflow!r}: data source id}}."
            )
        find_workflow(workflow)
        return client, str(queues[workflow])


def _fields(page: dict[str, Any], id_field: str) -> dict[str, str]:
    names = list(page["properties"])
    return {
        name: notion.plain(page["properties"][raw]) for raw, name in zip(names, cells.named(names, id_field), strict=True)
    }  # fmt: skip


def _value(kind: str, text: str) -> dict[str, Any]:
    if kind in ("select", "status"):
        return {kind: {"name": text.replace(",", ";")[:100]} if text else None}
    return {"rich_text": notion.runs(text)}
