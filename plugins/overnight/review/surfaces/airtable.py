"""Airtable as the review: a table a workflow, a record an item, decisions as single selects.

Records go out ten a call, so a night is prepared first (stage "preparing", which no review view shows) and opened when
all of it is there. Writing a record is an upsert by ref and night: one whose answer was lost can be sent again. Airtable's API
cannot make views; docs/how-to/airtable.md says which ones to make by hand, once.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from overnight.review import table
from overnight.review.exhibit import Exhibit
from overnight.review.surface import Mark, Shown, Surface, SurfaceBroken, Told
from overnight.review.table import Column
from overnight.services import airtable
from overnight.services.airtable import MAX_TEXT, Airtable
from overnight.services.settings import Ambiguous, ServiceError

CONN_EXTRA = "review_base"
NIGHT, STAGE = "night", "stage"
PREPARING, OPEN = "preparing", "in review"
TRIES = 4
"""How often a night is looked at again when the answer to a write was lost."""


def make() -> "AirtableSurface":
    """The surface of the connection; the client is opened on first use."""
    return AirtableSurface()


class AirtableSurface(Surface):
    """One base, a table a workflow."""

    def __init__(self) -> None:
        self._client: Airtable | None = None

    def check(self, workflow: str) -> str | None:
        """The base can be read, and its tables be changed where one is missing."""
        try:
            client, base = self._open()
            client.tables(base)
        except ServiceError as trouble:
            return f"The review in Airtable: {trouble}"
        return None

    def export(self, exhibit: Exhibit) -> Sequence[Shown]:
        """Make the records that are not there, then open the night."""
        try:
            client, base = self._open()
            shape = table.columns(exhibit)
            name = self._make_table(client, base, exhibit, shape)
            for attempt in range(1, TRIES + 1):
                try:
                    return self._complete(client, base, name, exhibit, shape)
                except Ambiguous:
                    if attempt == TRIES:
                        raise
            return ()
        except ServiceError as trouble:
            raise SurfaceBroken(str(trouble)) from trouble

    def _complete(
        self, client: Airtable, base: str, name: str, exhibit: Exhibit, shape: Sequence[Column]
    ) -> Sequence[Shown]:  # fmt: skip
        there = _by_ref(client.records(base, name, {NIGHT: exhibit.night}))
        wanted = [entry for entry in exhibit.entries if entry.item_id is None or not entry.covered]
        fresh = [
            {**{k: v for k, v in table.cells(entry, shape, limit=MAX_TEXT).items() if v}, NIGHT: exhibit.night, STAGE: PREPARING}
            for entry in wanted
            if entry.ref not in there
        ]
        # The night, too: a draft that comes back as it was is another night's row, and takes over no decision of the last one.
        client.upsert(base, name, fresh, (table.REF, NIGHT))
        if fresh:
            there = _by_ref(client.records(base, name, {NIGHT: exhibit.night}))
        opened = [(record["id"], {STAGE: OPEN}) for record in there.values() if record["fields"].get(STAGE) == PREPARING]
        client.update(base, name, opened)
        return [
            Shown(entry.ref, there[entry.ref]["id"], table.expected(entry, shape, limit=MAX_TEXT))
            for entry in wanted
            if entry.ref in there
        ]

    def collect(self, exhibits: Sequence[Exhibit]) -> Sequence[Mark]:
        """Every record of these nights."""
        try:
            client, base = self._open()
            tables = client.tables(base)
            marks = []
            for exhibit in exhibits:
                shape = table.columns(exhibit)
                self._refuse_fields(tables, exhibit, shape)
                for record in client.records(base, table_name(exhibit), {NIGHT: exhibit.night}):
                    if record["fields"].get(STAGE) == PREPARING:
                        continue  # no reviewer sees it yet: it counts as missing, and is opened
                    marks.append(table.read(exhibit, _texts(record), shape, record["id"], limit=MAX_TEXT))
            return marks
        except ServiceError as trouble:
            raise SurfaceBroken(str(trouble)) from trouble

    def tell(self, exhibits: Sequence[Exhibit], told: Sequence[Told]) -> None:
        """What we say, on each record it is new on, ten a call."""
        known = {exhibit.night_id: exhibit for exhibit in exhibits}
        try:
            client, base = self._open()
            for night_id in dict.fromkeys(one.night_id for one in told):
                rows = [(one.place, {table.SAID: one.words}) for one in told if one.night_id == night_id]
                client.update(base, table_name(known[night_id]), rows)
        except ServiceError as trouble:
            raise SurfaceBroken(str(trouble)) from trouble

    def _open(self) -> tuple[Airtable, str]:
        client = self._client = self._client or airtable.connect()
        return client, client.settings.need(CONN_EXTRA, "the id of the base in which people review, app…")

    @staticmethod
    def _make_table(client: Airtable, base: str, exhibit: Exhibit, shape: Sequence[Column]) -> str:
        name, tables = table_name(exhibit), client.tables(base)
        fields = [_field(column) for column in shape]
        fields += [_field(Column(NIGHT)), _field(Column(STAGE, options=(PREPARING, OPEN)))]
        if name not in tables:
            client.make_table(base, name, fields)
            return name
        known = {field["name"] for field in tables[name]["fields"]}
        for field in fields:
            if field["name"] not in known:
                client.add_field(base, tables[name]["id"], field)
        return name

    @staticmethod
    def _refuse_fields(tables: Mapping[str, Any], exhibit: Exhibit, shape: Sequence[Column]) -> None:
        known = {field["name"] for field in tables.get(table_name(exhibit), {}).get("fields", [])}
        missing = table.missing(shape, known)
        if missing:
            raise SurfaceBroken(
                f"The table {table_name(exhibit)!r} has no field {', '.join(missing[:3])}: somebody renamed or deleted it. Name "
                "it as it was. Decisions that are collected are kept; nothing was decided now."
            )


def table_name(exhibit: Exhibit) -> str:
    """The table of a workflow's reviews."""
    return f"review {exhibit.workflow}"


def _by_ref(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Records by their ref; of copies the first."""
    found: dict[str, Any] = {}
    for record in records:
        found.setdefault(str(record["fields"].get(table.REF, "")), record)
    return found


def _texts(record: Mapping[str, Any]) -> dict[str, str]:
    return {name: ("true" if value is True else str(value)) for name, value in record["fields"].items()}


def _field(column: Column) -> dict[str, Any]:
    if column.name == table.REF:
        return {"name": column.name, "type": "singleLineText"}  # the first field is the primary one
    if column.options:
        choices = [{"name": option} for option in column.options]
        return {"name": column.name, "type": "singleSelect", "options": {"choices": choices}}
    if column.tick:
        return {"name": column.name, "type": "checkbox", "options": {"icon": "check", "color": "greenBright"}}
    return {"name": column.name, "type": "multilineText"}
