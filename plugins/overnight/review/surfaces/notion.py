"""Notion as the review: one database for all nights, a page per item with the draft in its body, decisions as properties.

Pages are made one by one, so a night is prepared first (stage "preparing", which no review view shows) and opened when all
of it is there. Reviewers edit the draft where it stands; what they changed is read section by section when they decide.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from overnight.review import showing, table
from overnight.review.exhibit import Entry, Exhibit, shown_hash
from overnight.review.reasons import REASONS
from overnight.review.surface import Mark, Shown, Surface, SurfaceBroken, Told
from overnight.review.verdict import Written, word
from overnight.services import notion
from overnight.services.notion import Notion, plain, runs
from overnight.services.settings import Ambiguous, ServiceError

CONN_EXTRA = "review_data_source"
WORKFLOW, NIGHT, STAGE = "workflow", "night", "stage"
PREPARING, OPEN = "preparing", "in review"
TRIES = 4
"""How often a night is looked at again when the answer to a write was lost."""

_TEXTS = (table.REF, NIGHT, table.NOTE, table.REVIEWER, table.CHECKS, table.SAID, table.KEY)
_SELECTS: dict[str, tuple[str, ...]] = {
    WORKFLOW: (), STAGE: (PREPARING, OPEN), table.LOOK: (), table.DECISION: table.DECISIONS,
    table.REASON: tuple(words.replace(",", ";") for words in REASONS.values()),
}  # fmt: skip
_MAX_TEXT = notion.MAX_RUN * 20


def make() -> "NotionSurface":
    """The surface of the connection; the client is opened on first use."""
    return NotionSurface()


class NotionSurface(Surface):
    """One data source, a page an item."""

    def __init__(self) -> None:
        self._client: Notion | None = None
        self._title = ""

    def check(self, workflow: str) -> str | None:
        """The database is shared with us; properties that are missing in it are made."""
        try:
            self._open()
        except ServiceError as trouble:
            return f"The review in Notion: {trouble}"
        return None

    def export(self, exhibit: Exhibit) -> Sequence[Shown]:
        """Make the pages that are not there, then open the night."""
        try:
            client, source = self._open()
            for attempt in range(1, TRIES + 1):
                try:
                    return self._complete(client, source, exhibit)
                except Ambiguous:
                    if attempt == TRIES:
                        raise
            return ()
        except ServiceError as trouble:
            raise SurfaceBroken(str(trouble)) from trouble

    def _complete(self, client: Notion, source: str, exhibit: Exhibit) -> Sequence[Shown]:
        there = _by_ref(client.pages(source, _of_night(exhibit)))
        wanted = [entry for entry in exhibit.entries if entry.item_id is None or not entry.covered]
        missing, begun = [entry for entry in wanted if entry.ref not in there], set(there)
        deleted = _by_ref(client.pages(source, _of_night(exhibit), in_trash=True)) if missing else {}
        for entry in missing:
            if entry.ref in deleted:
                client.update(deleted[entry.ref]["id"], in_trash=False)
                there[entry.ref] = deleted[entry.ref]
            else:
                there[entry.ref] = client.create(source, self._properties(exhibit, entry), list(_body(exhibit, entry)))
        for entry in wanted:
            if plain(there[entry.ref]["properties"].get(STAGE, {})) == PREPARING:
                if entry.ref in begun:
                    _finish(client, there[entry.ref]["id"], list(_body(exhibit, entry)))
                client.update(there[entry.ref]["id"], {STAGE: {"select": {"name": OPEN}}})
        return [Shown(entry.ref, there[entry.ref]["id"], _hash(_expected(entry))) for entry in wanted]

    def collect(self, exhibits: Sequence[Exhibit]) -> Sequence[Mark]:
        """Every page of these nights; the bodies of those that were decided since we last looked."""
        try:
            client, source = self._open()
            return [
                self._mark(client, exhibit, page)
                for exhibit in exhibits
                for page in client.pages(source, _of_night(exhibit))
                # What no reviewer sees yet counts as missing, and is opened.
                if plain(page["properties"].get(STAGE, {})) != PREPARING
            ]
        except ServiceError as trouble:
            raise SurfaceBroken(str(trouble)) from trouble

    def tell(self, exhibits: Sequence[Exhibit], told: Sequence[Told]) -> None:
        """What we say, on each page it is new on."""
        try:
            client, _ = self._open()
            for one in told:
                client.update(one.place, {table.SAID: {"rich_text": runs(one.words)}})
        except ServiceError as trouble:
            raise SurfaceBroken(str(trouble)) from trouble

    def _mark(self, client: Notion, exhibit: Exhibit, page: Mapping[str, Any]) -> Mark:
        values = {name: plain(value) for name, value in page["properties"].items()}
        ref = values.get(table.REF, "")
        entry = exhibit.by_ref().get(ref)
        written = Written(
            values.get(table.DECISION, ""), values.get(table.REASON, "").replace(";", ","), values.get(table.NOTE, ""),
            values.get(table.REVIEWER, "").strip() or _last_editor(page), signed=bool(values.get(table.REVIEWER, "").strip()),
        )  # fmt: skip
        ours: str | None = None
        if written.touched and entry is not None and entry.decision is None:
            body = _Body(exhibit, client.blocks(page["id"]))
            found = body.found(entry)
            unclear = "" if word(written.decision) == "rework" else found.unclear
            written = replace(written, edits=found.edits, checklist=found.ticked, trouble=found.trouble or unclear)
            ours = _hash({
                table.ITEM: values.get(self._title, ""), table.LOOK: values.get(table.LOOK, ""),
                table.CHECKS: values.get(table.CHECKS, ""), **found.fixed,
            })  # fmt: skip
        return Mark(exhibit.night_id, ref, page["id"], written, ours, values.get(table.SAID, ""))

    def _open(self) -> tuple[Notion, str]:
        client = self._client = self._client or notion.connect()
        source = client.settings.need(CONN_EXTRA, "the id of the data source in which people review")
        if not self._title:
            known = client.properties(source)
            self._title = next(name for name, p in known.items() if p["type"] == "title")
            if missing := _missing(known):
                client.add_properties(source, missing)
        return client, source

    def _properties(self, exhibit: Exhibit, entry: Entry) -> dict[str, Any]:
        texts = {
            table.REF: entry.ref, NIGHT: exhibit.night, table.CHECKS: _short(entry.checks), table.KEY: entry.key,
        }  # fmt: skip
        selects = {WORKFLOW: exhibit.workflow, STAGE: PREPARING, table.LOOK: _option(entry.look)}
        return {
            self._title: {"title": runs(_short(entry.title))},
            **{name: {"rich_text": runs(text)} for name, text in texts.items()},
            **{name: {"select": {"name": value}} for name, value in selects.items()},
        }


def _finish(client: Notion, page: str, body: Sequence[dict[str, Any]]) -> None:
    """Add what an earlier try did not come to: a long body follows its page in parts, and nobody sees the page before."""
    if len(body) > notion.MAX_BLOCKS:
        client.append(page, body[len(client.blocks(page)) :])


def _missing(known: Mapping[str, Any]) -> dict[str, Any]:
    """Properties to be made, and selects whose options are not all there (an update names all that are to stay)."""
    missing: dict[str, Any] = {name: {"rich_text": {}} for name in _TEXTS if name not in known}
    for name, options in _SELECTS.items():
        there = [option["name"] for option in (known.get(name, {}).get("select") or {}).get("options", [])]
        if name not in known or not set(options) <= set(there):
            missing[name] = {"select": {"options": [{"name": option} for option in dict.fromkeys((*there, *options))]}}
    return missing


def _of_night(exhibit: Exhibit) -> dict[str, Any]:
    return {"and": [
        {"property": NIGHT, "rich_text": {"equals": exhibit.night}},
        {"property": WORKFLOW, "select": {"equals": exhibit.workflow}},
    ]}  # fmt: skip


def _by_ref(pages: Iterator[Mapping[str, Any]]) -> dict[str, Any]:
    """Pages by their ref; of copies the one that was made first."""
    found: dict[str, Any] = {}
    for page in pages:
        found.setdefault(plain(page["properties"].get(table.REF, {})), page)
    return found


def _option(text: str) -> str:
    return text.replace(",", ";")[:100]


def _short(text: str) -> str:
    return text if len(text) <= _MAX_TEXT else f"{text[: _MAX_TEXT - 1]}…"


def _last_editor(page: Mapping[str, Any]) -> str:
    editor, maker = page.get("last_edited_by") or {}, page.get("created_by") or {}
    return f"Notion user {editor['id'][:8]}" if editor.get("id") and editor.get("id") != maker.get("id") else ""


def _hash(cells: Mapping[str, str]) -> str:
    return shown_hash({name: showing.clean(text) for name, text in cells.items()})


def _expected(entry: Entry) -> dict[str, str]:
    """What is ours on an entry's page: its name, its checks, and the sections nobody may edit."""
    fixed = {table.title(field.name): field.after for field in entry.fields if not field.editable}
    return {table.ITEM: _short(entry.title), table.LOOK: _option(entry.look), table.CHECKS: _short(entry.checks), **fixed}


def _body(exhibit: Exhibit, entry: Entry) -> Iterator[dict[str, Any]]:
    """The page's blocks: a heading and the text of each field, what was asked, the checklist."""
    if entry.note:
        yield from _section(table.EARLIER, entry.note)
    for field in entry.fields:
        if field.before:
            yield from _section(table.title(field.name) + table.TODAY, field.before)
        yield from _section(table.title(field.name), field.after)
    if entry.asked:
        yield from _section(table.ASKED, entry.asked)
    if entry.item_id is not None and exhibit.checklist:
        yield _block("heading_3", "checklist")
        for line in exhibit.checklist:
            yield {"type": "to_do", "to_do": {"rich_text": runs(line), "checked": False}}


def _section(name: str, text: str) -> Iterator[dict[str, Any]]:
    yield _block("heading_3", name)
    for line in text.split("\n"):
        yield _block("paragraph", line)


def _block(kind: str, text: str) -> dict[str, Any]:
    return {"type": kind, kind: {"rich_text": runs(text)}}


class _Found:
    """What a page's body says now."""

    def __init__(self) -> None:
        self.edits: dict[str, str] = {}
        self.fixed: dict[str, str] = {}
        self.ticked: tuple[str, ...] = ()
        self.trouble = ""
        self.unclear = ""  # what an edit would lose; who sends it back loses nothing


class _Body:
    """A page's blocks, cut into the sections we made."""

    def __init__(self, exhibit: Exhibit, blocks: Sequence[Mapping[str, Any]]) -> None:
        fields = {table.title(field.name) for entry in exhibit.entries for field in entry.fields}
        names = {*fields, *(name + table.TODAY for name in fields), table.EARLIER, table.ASKED, "checklist"}
        self.sections: dict[str, list[str]] = {}
        self.ticked: list[str] = []
        self.troubles: dict[str, str] = {}
        lines: list[str] = []
        section = ""
        for block in blocks:
            text = _text(block)
            if block["type"] == "heading_3" and text in names and text not in self.sections:
                section, lines = text, self.sections.setdefault(text, [])
            elif block["type"] == "to_do" and section == "checklist":
                self.ticked += [text] if block["to_do"].get("checked") else []
            else:
                if untold := _untold(block):
                    self.troubles.setdefault(section, untold)
                lines.append(_as_line(block["type"], text))

    def found(self, entry: Entry) -> _Found:
        """The reviewer's version of each editable section that differs, and the others as they stand."""
        made = _Found()
        made.ticked = tuple(self.ticked)
        for field in entry.fields:
            name = table.title(field.name)
            if name not in self.sections:
                made.trouble = (
                    f"The heading “{name}” was deleted or renamed, so its text cannot be told from the rest. Put it back "
                    "(Heading 3). Nothing was decided."
                )
                continue
            if field.editable and name in self.troubles:
                made.unclear = made.unclear or self.troubles[name]
            text = showing.clean("\n".join(self.sections[name]))
            if not field.editable:
                made.fixed[name] = text
            elif text != field.after:
                made.edits[field.name] = text
        return made


def _text(block: Mapping[str, Any]) -> str:
    return "".join(run.get("plain_text", "") for run in block.get(block["type"], {}).get("rich_text", []))


_SIGNS = {
    "paragraph": "", "heading_1": "# ", "heading_2": "## ", "heading_3": "### ", "bulleted_list_item": "- ",
    "numbered_list_item": "1. ", "quote": "> ",
}  # fmt: skip


def _untold(block: Mapping[str, Any]) -> str:
    """What a block holds that its text does not say: it would be lost without a word."""
    kind = str(block["type"])
    if kind not in _SIGNS:
        held = f"a {kind.replace('_', ' ')}"
    elif block.get("has_children"):
        held = "a line that is indented below another"
    elif any(run.get("href") for run in block.get(kind, {}).get("rich_text", [])):
        held = "a link made by the editor (write it as [words](address))"
    else:
        return ""
    return f"The page holds {held}, which is no text of the draft and would be lost. Write it as text. Nothing was decided."


def _as_line(kind: str, text: str) -> str:
    return _SIGNS.get(kind, "") + text
