"""Google Sheets as the review: one tab a workflow and night, made whole before anybody sees it.

A tab is built hidden and shown with the last call, so nothing of it is half-visible; its id follows from the night, so
that making it twice is refused by Google itself. Our columns are protected, the reviewer's have drop-downs; what we say
stands in a column that carries our metadata and is found again wherever people have moved it to.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from overnight.review import showing, table
from overnight.review.exhibit import Entry, Exhibit
from overnight.review.surface import Mark, Shown, Surface, SurfaceBroken, Told
from overnight.review.table import Column
from overnight.services import google
from overnight.services.google import MAX_CELL, MAX_REQUEST_BYTES, METADATA, Google, Refused, Unclear
from overnight.services.settings import ServiceError

CONN_EXTRA = "review_spreadsheet"
LOOKS = 3
"""How often what we say is checked and put right when people move rows while it is written."""
_DOCUMENT = re.compile(r"/document/d/([\w-]+)")
_TAB_IDS = 1_700_000_000  # tab ids are below 2^31; ours begin here and go on by the night's own number


def make() -> "SheetsSurface":
    """The surface of the connection; the client is opened on first use."""
    return SheetsSurface()


class SheetsSurface(Surface):
    """One spreadsheet, a tab a night."""

    shows_covered = True

    def __init__(self) -> None:
        self._client: Google | None = None

    def check(self, workflow: str) -> str | None:
        """The spreadsheet can be read and written."""
        try:
            client, spreadsheet = self._open()
            client.touch(spreadsheet)
        except ServiceError as trouble:
            return f"The review in Google Sheets: {trouble}"
        return None

    def export(self, exhibit: Exhibit) -> Sequence[Shown]:
        """Make the tab, or put back the rows that are missing from it."""
        try:
            client, spreadsheet = self._open()
            tab = client.sheet_ids(spreadsheet).get(tab_id(exhibit))
            # One that is hidden and lacks our mark was begun and not finished; people may hide one, too.
            begun = (
                tab is not None
                and bool(tab["properties"].get("hidden"))
                and says(exhibit) not in client.marked(spreadsheet, tab_id(exhibit))
            )
            if tab is None or begun:
                self._make_tab(client, spreadsheet, exhibit, begun=begun)
            else:
                self._put_back(client, spreadsheet, exhibit)
            return self._shown(client, spreadsheet, exhibit)
        except ServiceError as trouble:
            raise SurfaceBroken(str(trouble)) from trouble

    def collect(self, exhibits: Sequence[Exhibit]) -> Sequence[Mark]:
        """Every row of the nights' tabs, in one read."""
        try:
            client, spreadsheet = self._open()
            return [
                _with_document(client, found.exhibit, mark, link)
                for found in self._read(client, spreadsheet, exhibits)
                for mark, link in zip(found.marks, found.links(), strict=True)
            ]
        except ServiceError as trouble:
            raise SurfaceBroken(str(trouble)) from trouble

    def tell(self, exhibits: Sequence[Exhibit], told: Sequence[Told]) -> None:
        """What we say beside each row, in one write; looked at again until each stands beside its own."""
        words = {(one.night_id, one.ref, one.place): one.words for one in told}
        by_ref = {(one.night_id, one.ref): one.words for one in told}
        try:
            client, spreadsheet = self._open()
            for attempt in range(LOOKS):
                columns = []
                for found in self._read(client, spreadsheet, exhibits):
                    night = found.exhibit.night_id
                    wanted = [
                        # Rows may have moved since they were read: after the first look only the ref says whose they are.
                        words.get((night, m.ref, m.place), by_ref.get((night, m.ref), m.said)) if not attempt
                        else by_ref.get((night, m.ref), m.said)
                        for m in found.marks
                    ]  # fmt: skip
                    if wanted != [mark.said for mark in found.marks]:
                        columns.append((says(found.exhibit), found.column(wanted)))
                if not columns:
                    return
                client.write_columns(spreadsheet, columns)
        except ServiceError as trouble:
            raise SurfaceBroken(str(trouble)) from trouble

    def _open(self) -> tuple[Google, str]:
        client = self._client = self._client or google.connect()
        return client, client.settings.need(CONN_EXTRA, "the id of the spreadsheet in which people review")

    def _make_tab(self, client: Google, spreadsheet: str, exhibit: Exhibit, *, begun: bool) -> None:
        """Hidden first, then its rows, then shown: until the last call nobody sees it."""
        shape = self._shape(client, exhibit)
        rows = [[c.name for c in shape], *(row(entry, shape, link) for entry, link in self._linked(client, exhibit))]
        if not begun:
            try:
                client.change(spreadsheet, [_hidden(exhibit, len(rows), len(shape))])
            except Refused as refused:
                if refused.status != 400 or tab_id(exhibit) not in client.sheet_ids(spreadsheet):
                    raise  # the lost answer of an earlier try leaves the tab there: then it is ours to fill
        self._write(client, spreadsheet, exhibit, rows)
        client.change(spreadsheet, list(_finish(exhibit, shape, len(rows))))

    def _write(self, client: Google, spreadsheet: str, exhibit: Exhibit, rows: Sequence[list[str]]) -> None:
        """Rows in as few calls as the advised size of one allows."""
        part: list[list[str]] = []
        first_row = size = 0
        for line in rows:
            more = sum(len(cell.encode()) + 4 for cell in line)
            if part and size + more > MAX_REQUEST_BYTES:
                client.write_rows(spreadsheet, tab_id(exhibit), first_row, part)
                first_row, part, size = first_row + len(part), [], 0
            part.append(line)
            size += more
        if part:
            client.write_rows(spreadsheet, tab_id(exhibit), first_row, part)

    def _put_back(self, client: Google, spreadsheet: str, exhibit: Exhibit) -> None:
        """Rows that somebody deleted, at the end; what stands there is not touched."""
        (found,) = self._read(client, spreadsheet, [exhibit])
        there = {mark.ref for mark in found.marks}
        missing = [entry for entry in exhibit.entries if entry.ref not in there and (entry.waits or entry.item_id is None)]
        if missing:
            rows = [row(entry, found.shape, "", header=found.header) for entry in missing]
            client.append_rows(spreadsheet, tab_id(exhibit), rows)

    def _linked(self, client: Google, exhibit: Exhibit) -> Iterator[tuple[Entry, str]]:
        """Each entry with the document of its long text, where the team has a folder for them."""
        folder = client.settings.extra.get("documents_folder") if exhibit.document else None
        for entry in exhibit.entries:
            text = next((f.after for f in entry.fields if f.name == exhibit.document), "")
            if folder and text and entry.item_id is not None:
                yield entry, client.make_document(f"{exhibit.name}: {entry.title}"[:200], text, str(folder))[1]
            else:
                yield entry, ""

    def _shape(self, client: Google, exhibit: Exhibit) -> tuple[Column, ...]:
        document = bool(exhibit.document and client.settings.extra.get("documents_folder"))
        return table.columns(exhibit, document=document)

    def _shown(self, client: Google, spreadsheet: str, exhibit: Exhibit) -> Sequence[Shown]:
        (found,) = self._read(client, spreadsheet, [exhibit])
        known, shape = exhibit.by_ref(), found.shape
        return [
            Shown(mark.ref, "", table.expected(known[mark.ref], shape, limit=MAX_CELL, link=link), link or None)
            for mark, link in zip(found.marks, found.links(), strict=True)
            if mark.ref in known
        ]

    def _read(self, client: Google, spreadsheet: str, exhibits: Sequence[Exhibit]) -> list["_Tab"]:
        """The nights' tabs in one call; where one was deleted, those that are left (and an export makes it anew)."""
        try:
            tabs = client.read_tabs(spreadsheet, [tab_id(exhibit) for exhibit in exhibits])
            there = list(exhibits)
        except Refused as refused:
            if refused.status != 400:
                raise
            known = client.sheet_ids(spreadsheet)
            there = [exhibit for exhibit in exhibits if tab_id(exhibit) in known]
            tabs = client.read_tabs(spreadsheet, [tab_id(exhibit) for exhibit in there]) if there else []
        return [_Tab(exhibit, lines) for exhibit, lines in zip(there, tabs, strict=True)]


def _with_document(client: Google, exhibit: Exhibit, mark: Mark, link: str) -> Mark:
    """A row that was just decided, with what the reviewer changed in its document."""
    entry = exhibit.by_ref().get(mark.ref)
    if not mark.written.touched or not link or entry is None or entry.decision is not None:
        return mark
    field = next((f for f in entry.fields if f.name == exhibit.document), None)
    found = _DOCUMENT.search(link)
    if field is None or found is None:
        return mark
    written = mark.written
    try:
        text = showing.clean(client.read_document(found[1]))
    except Unclear as unclear:
        return replace(mark, written=replace(written, trouble=f"The document {unclear}. Nothing was decided."))
    if text == field.after:
        return mark
    if field.name in written.edits:
        name = table.title(field.name)
        trouble = f"You changed {name} in its document and wrote your own version here, too. Keep one. Nothing was decided."
        return replace(mark, written=replace(written, trouble=trouble))
    return replace(mark, written=replace(written, edits={**written.edits, field.name: text}))


class _Tab:
    """One tab as it was read: its header wherever people moved the columns to, and its rows."""

    def __init__(self, exhibit: Exhibit, lines: Sequence[Sequence[str]]) -> None:
        self.exhibit, self.header = exhibit, list(lines[0]) if lines else []
        # The team may have got or lost its folder for documents since the tab was made.
        self.shape = table.columns(exhibit, document=table.DOCUMENT in self.header)
        missing = table.missing(self.shape, self.header)
        if missing:
            raise SurfaceBroken(
                f"The tab of {exhibit.name} has no column {', '.join(missing[:3])}: somebody renamed or deleted it. Put the "
                "header back as it was (File → Version history), or delete the whole tab and it is made anew. Decisions "
                "that are collected are kept; nothing was decided now."
            )
        self.rows = [dict(zip(self.header, [*line, *[""] * (len(self.header) - len(line))], strict=False)) for line in lines[1:]]
        self.marks = [
            table.read(exhibit, found, self.shape, f"row {number}", limit=MAX_CELL)
            for number, found in enumerate(self.rows, start=2)
        ]

    def links(self) -> list[str]:
        return [found.get(table.DOCUMENT, "") for found in self.rows]

    def column(self, words: Sequence[str]) -> list[str | None]:
        return [table.SAID, *words]


def tab_id(exhibit: Exhibit) -> int:
    """The id of a night's tab: known before it is made."""
    return _TAB_IDS + exhibit.night_id


def says(exhibit: Exhibit) -> str:
    """The metadata of the column in which we speak."""
    return f"review {exhibit.night_id} says"


def row(entry: Entry, shape: Sequence[Column], link: str, header: Sequence[str] | None = None) -> list[str]:
    """A row's cells in the order of the header; the reviewer's own are left empty."""
    filled = table.cells(entry, shape, limit=MAX_CELL, link=link)
    return [filled.get(name, "") for name in (header or [c.name for c in shape])]


def _hidden(exhibit: Exhibit, rows: int, columns: int) -> dict[str, Any]:
    size = {"rowCount": rows + 20, "columnCount": columns, "frozenRowCount": 1, "frozenColumnCount": 3}
    title = exhibit.name[:100]
    return {"addSheet": {"properties": {"sheetId": tab_id(exhibit), "title": title, "hidden": True, "gridProperties": size}}}


def _finish(exhibit: Exhibit, shape: Sequence[Column], rows: int) -> Iterator[dict[str, Any]]:
    """Drop-downs, protection, filter views, our metadata; and last of all the tab is shown."""
    tab = tab_id(exhibit)

    def column(index: int, *, header: bool = False) -> dict[str, int]:
        span = {"startColumnIndex": index, "endColumnIndex": index + 1, "startRowIndex": 0 if header else 1}
        return {"sheetId": tab, **span}

    for index, one in enumerate(shape):
        if one.options:
            values = [{"userEnteredValue": option} for option in one.options]
            condition = {"type": "ONE_OF_LIST", "values": values}
            yield {"setDataValidation": {"range": column(index), "rule": {"condition": condition, "showCustomUi": True}}}
        if one.tick:
            yield {"setDataValidation": {"range": column(index), "rule": {"condition": {"type": "BOOLEAN"}}}}
        if not one.theirs:
            protected = {"range": column(index), "description": "Overnight wrote this", "warningOnly": False}
            yield {"addProtectedRange": {"protectedRange": protected}}
    header = {"sheetId": tab, "startRowIndex": 0, "endRowIndex": 1}
    yield {"addProtectedRange": {"protectedRange": {"range": header, "description": "The header", "warningOnly": False}}}
    yield from _looks(tab, shape)
    yield from _views(tab, shape, rows)
    at = [c.name for c in shape].index(table.SAID)
    place = {"sheetId": tab, "dimension": "COLUMNS", "startIndex": at, "endIndex": at + 1}
    yield {"createDeveloperMetadata": {"developerMetadata": {
        "metadataKey": METADATA, "metadataValue": says(exhibit), "visibility": "DOCUMENT", "location": {"dimensionRange": place},
    }}}  # fmt: skip
    yield {"updateSheetProperties": {"properties": {"sheetId": tab, "hidden": False}, "fields": "hidden"}}


def _looks(tab: int, shape: Sequence[Column]) -> Iterator[dict[str, Any]]:
    """A bold header, wrapped text, the reviewer's columns tinted, the ref narrow and out of the way."""
    bold = {"userEnteredFormat": {"textFormat": {"bold": True}, "wrapStrategy": "WRAP"}}
    header = {"sheetId": tab, "startRowIndex": 0, "endRowIndex": 1}
    yield {"repeatCell": {"range": header, "cell": bold, "fields": "userEnteredFormat(textFormat.bold,wrapStrategy)"}}
    tint = {"red": 1.0, "green": 0.98, "blue": 0.9}
    for index, one in enumerate(shape):
        cell = {"userEnteredFormat": {"wrapStrategy": "WRAP", "verticalAlignment": "TOP"}}
        if one.theirs:
            cell["userEnteredFormat"]["backgroundColorStyle"] = {"rgbColor": tint}  # type: ignore[assignment]
        where = {"sheetId": tab, "startRowIndex": 1, "startColumnIndex": index, "endColumnIndex": index + 1}
        yield {"repeatCell": {"range": where, "cell": cell, "fields": "userEnteredFormat"}}
        span = {"sheetId": tab, "dimension": "COLUMNS", "startIndex": index, "endIndex": index + 1}
        pixels = {"pixelSize": 320 if one.wide else 110}
        yield {"updateDimensionProperties": {"range": span, "properties": pixels, "fields": "pixelSize"}}


def _views(tab: int, shape: Sequence[Column], rows: int) -> Iterator[dict[str, Any]]:
    """Views for one's own eyes, which sort and hide nothing for the others: what needs a look, what waits."""
    names = [c.name for c in shape]
    whole = {"sheetId": tab, "startRowIndex": 0, "endRowIndex": rows + 20, "startColumnIndex": 0, "endColumnIndex": len(shape)}
    plain = {"hiddenValues": ["Ready", "Covered by the digest"]}
    blank = {"condition": {"type": "BLANK"}}
    for title, column, criteria in (("Exceptions", table.LOOK, plain), ("Still to decide", table.DECISION, blank)):
        spec = {"columnIndex": names.index(column), "filterCriteria": criteria}
        yield {"addFilterView": {"filter": {"title": title, "range": whole, "filterSpecs": [spec]}}}
