"""A person at work in a review: sorts, inserts, deletes, copies, edits and mistypes, in the middle of what we do there.

Everything that person does is written in the desk's journal, so that a test can ask afterwards whether it was kept: each
note and edit carries a word found nowhere else, and the journal says which of them the person took away again.
"""

import random
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from overnight.sandbox import airtable_api, notion_api, sheets_grid
from overnight.sandbox.desk import Desk, Person

DECISIONS = ("approve", "edit", "rework")
TYPOS = ("aprove", "ok", "APPROVE!", "yes", "rewrok")
REASONS = ("Weak opening", "Too long", "A fact is wrong")
YOURS = ": your version"

Row = dict[str, Any]


class Hands(ABC):
    """What a person can do with their hands in one service."""

    def __init__(self, desk: Desk, document: str, editable: list[str]) -> None:
        self.desk, self.document, self.editable = desk, document, editable

    @abstractmethod
    def rows(self) -> list[Any]:
        """Handles of the rows a person sees."""

    @abstractmethod
    def read(self, handle: Any) -> Row:
        """A row's cells by their header."""

    @abstractmethod
    def night_of(self, handle: Any) -> str:
        """What the place a row stands in is called: it names the workflow."""

    @abstractmethod
    def write(self, handle: Any, values: dict[str, str]) -> None:
        """Fill in cells."""

    def overwritten(self, words: list[str]) -> list[str]:
        """Which of these are gone when a cell is filled in anew."""
        return words

    @abstractmethod
    def delete(self, handle: Any) -> None:
        """Take a row away."""

    @abstractmethod
    def copy(self, handle: Any) -> None:
        """Make a second row like this one."""

    def sort(self, dice: random.Random) -> None:
        """Sort by some column, where rows have an order."""
        return

    @abstractmethod
    def insert(self, dice: random.Random) -> None:
        """Put an empty row somewhere."""


class SheetsHands(Hands):
    """In a spreadsheet: whole rows move, as they do when a person sorts a sheet."""

    def _doc(self) -> Row:
        return self.desk.docs["spreadsheet"][self.document]

    def _tabs(self) -> list[Row]:
        return [s for s in self._doc()["sheets"] if s["rows"] and "ref" in s["rows"][0] and not s["properties"].get("hidden")]

    def rows(self) -> list[Any]:
        """(tab, row) of every row with a ref."""
        return [
            (tab, line) for tab in self._tabs() for line in tab["rows"][1:] if _at(line, tab["rows"][0].index("ref"))
        ]  # fmt: skip

    def read(self, handle: Any) -> Row:
        """A row's cells by their header."""
        tab, line = handle
        return {str(name): _at(line, n) for n, name in enumerate(tab["rows"][0]) if name}

    def night_of(self, handle: Any) -> str:
        """The tab's title."""
        return str(handle[0]["properties"]["title"])

    def write(self, handle: Any, values: dict[str, str]) -> None:
        """Fill in cells; a person's cells hold what they typed."""
        tab, line = handle
        for name, value in values.items():
            if name in tab["rows"][0]:
                column = tab["rows"][0].index(name)
                line.extend([None] * (column + 1 - len(line)))
                line[column] = value
        self._keep()

    def delete(self, handle: Any) -> None:
        """Take a row away."""
        tab, line = handle
        tab["rows"] = [other for other in tab["rows"] if other is not line]
        tab["properties"]["gridProperties"]["rowCount"] -= 1
        self._keep()

    def copy(self, handle: Any) -> None:
        """Make a second row like this one, below it."""
        tab, line = handle
        at = next(n for n, other in enumerate(tab["rows"]) if other is line)
        sheets_grid.insert(tab, "ROWS", at + 1)
        tab["rows"][at + 1] = list(line)
        self._keep()

    def sort(self, dice: random.Random) -> None:
        """Sort every row of a tab by some column; or put an empty column somewhere."""
        tab = dice.choice(self._tabs())
        if dice.random() < 0.2:
            sheets_grid.insert(tab, "COLUMNS", dice.randrange(len(tab["rows"][0])))
        else:
            column = dice.randrange(len(tab["rows"][0]))
            tab["rows"][1:] = sorted(tab["rows"][1:], key=lambda line: str(_at(line, column) or "\uffff"))
        self._keep()

    def insert(self, dice: random.Random) -> None:
        """Put an empty row somewhere below the header."""
        tab = dice.choice(self._tabs())
        sheets_grid.insert(tab, "ROWS", dice.randint(1, len(tab["rows"])))
        self._keep()

    def _keep(self) -> None:
        self.desk.put("spreadsheet", self.document, self._doc())


def _at(line: list[Any], column: int) -> Any:
    return line[column] if column < len(line) else None


class NotionHands(Hands):
    """In a database: rows are pages; a draft is edited where it stands."""

    person = "11111111-0000-4000-8000-000000000001"

    def rows(self) -> list[Any]:
        """Every page of the database that is open for review."""
        pages = [page for page in self.desk.all("notion_page") if page["source"] == self.document and not page["in_trash"]]
        return [page for page in pages if notion_api.plain(page["properties"].get("stage", {})) == "in review"]

    def read(self, handle: Any) -> Row:
        """The properties as text, and each editable section."""
        values = {name: notion_api.plain(value) for name, value in handle["properties"].items()}
        return values | {
            f"{name}{YOURS}": "\n".join(_text(block) for block in self._section(handle, name)) for name in self.editable
        }

    def night_of(self, handle: Any) -> str:
        """The workflow's property."""
        return str(notion_api.plain(handle["properties"]["workflow"]))

    def write(self, handle: Any, values: dict[str, str]) -> None:
        """Fill in properties; a version of one's own goes into the draft itself."""
        source = self.desk.docs["notion_source"][self.document]
        properties: Row = {}
        for name, value in values.items():
            if name.endswith(YOURS):
                self._edit(handle, name.removesuffix(YOURS), value)
            elif name in source["properties"]:
                kind = source["properties"][name]["type"]
                inner = ({"name": value} if value else None) if kind == "select" else [{"text": {"content": value}}]
                properties[name] = {kind: inner}
        notion_api.change_page(self.desk, handle, {"properties": properties}, self.person)

    def _section(self, page: Row, name: str) -> list[Row]:
        blocks, inside = [], False
        for block in page["blocks"]:
            if block["type"] == "heading_3":
                inside = _text(block) == name
            elif inside:
                blocks.append(block)
        return blocks

    def _edit(self, page: Row, name: str, value: str) -> None:
        section = self._section(page, name)
        if section:
            section[-1][section[-1]["type"]]["rich_text"].append(notion_api.run(f" {value}"))
            self.desk.put("notion_page", page["id"], page)

    def delete(self, handle: Any) -> None:
        """Put a page into the trash."""
        notion_api.change_page(self.desk, handle, {"in_trash": True}, self.person)

    def copy(self, handle: Any) -> None:
        """Duplicate a page."""
        twin = notion_api.make_page(self.desk, self.desk.docs["notion_source"][self.document], {}, [], self.person)
        twin["properties"] = {name: dict(value) for name, value in handle["properties"].items()}
        twin["blocks"] = [dict(block) for block in handle["blocks"]]
        self.desk.put("notion_page", twin["id"], twin)

    def insert(self, dice: random.Random) -> None:
        """An empty page of one's own."""
        notion_api.make_page(self.desk, self.desk.docs["notion_source"][self.document], {}, [], self.person)


def _text(block: Row) -> str:
    return "".join(run["plain_text"] for run in block.get(block["type"], {}).get("rich_text", []))


class AirtableHands(Hands):
    """In a base: rows are records."""

    def _base(self) -> Row:
        return self.desk.docs["airtable_base"][self.document]

    def rows(self) -> list[Any]:
        """(table, record) of every record that is open for review."""
        return [
            (table, record) for table in self._base()["tables"] for record in table["records"]
            if record["fields"].get("stage") == "in review"
        ]  # fmt: skip

    def read(self, handle: Any) -> Row:
        """A record's fields."""
        return dict(handle[1]["fields"])

    def night_of(self, handle: Any) -> str:
        """The table's name."""
        return str(handle[0]["name"])

    def write(self, handle: Any, values: dict[str, str]) -> None:
        """Fill in fields; a person may add an option to a select."""
        table, record = handle
        names = {field["name"] for field in table["fields"]}
        record["fields"] |= {name: value for name, value in values.items() if name in names}
        self._keep()

    def delete(self, handle: Any) -> None:
        """Delete a record."""
        table, record = handle
        table["records"] = [other for other in table["records"] if other is not record]
        self._keep()

    def copy(self, handle: Any) -> None:
        """Duplicate a record."""
        table, record = handle
        table["records"].append(
            {"id": airtable_api.new_id("rec"), "createdTime": record["createdTime"], "fields": dict(record["fields"])}
        )
        self._keep()

    def sort(self, dice: random.Random) -> None:
        """Records come in another order."""
        dice.shuffle(dice.choice(self._base()["tables"])["records"])
        self._keep()

    def insert(self, dice: random.Random) -> None:
        """An empty record."""
        table = dice.choice(self._base()["tables"])
        table["records"].append({"id": airtable_api.new_id("rec"), "createdTime": "2026-01-01T00:00:00.000Z", "fields": {}})
        self._keep()

    def _keep(self) -> None:
        self.desk.put("airtable_base", self.document, self._base())


HANDS: dict[str, type[Hands]] = {"sheets": SheetsHands, "notion": NotionHands, "airtable": AirtableHands}


class Reviewer:
    """One person with a seed: what they do next follows from it and from what they see."""

    def __init__(self, hands: Hands, name: str, seed: int) -> None:
        self.hands, self.name, self.dice = hands, name, random.Random(f"{name} {seed}")
        self.count = 0

    def act(self) -> None:
        """Do one thing, if there is anything to do it to."""
        rows = self.hands.rows()
        if not rows:
            return
        handle = self.dice.choice(rows)
        actions: list[tuple[int, Callable[[], None]]] = [
            (6, lambda: self._decide(handle)), (2, lambda: self._mistype(handle)), (1, lambda: self._half(handle)),
            (2, self._sort), (1, self._insert), (1, lambda: self._delete(handle)),
            (1, lambda: self._copy(handle)), (1, lambda: self._alter(handle)),
        ]  # fmt: skip
        self.dice.choices([action for _, action in actions], [weight for weight, _ in actions])[0]()

    def decide(self, handle: Any, decision: str, edits: dict[str, str] | None = None) -> None:
        """Write a whole decision into a row, as a careful person does."""
        self._fill(handle, decision, edits or {}, reason=REASONS[0] if decision == "rework" else "")

    def _decide(self, handle: Any) -> None:
        decision = self.dice.choice(DECISIONS)
        edits = {self.dice.choice(self.hands.editable): self._word()} if decision == "edit" else {}
        self._fill(handle, decision, edits, reason=self.dice.choice(REASONS) if decision == "rework" else "")

    def _mistype(self, handle: Any) -> None:
        self._fill(handle, self.dice.choice(TYPOS), {}, reason="")

    def _half(self, handle: Any) -> None:
        """A rework with neither reason nor note, or an edit without one."""
        values = {"decision": self.dice.choice(["rework", "edit"]), "reviewer": self.name}
        self._note("half", handle, **values)
        self.hands.write(handle, values)

    def _fill(self, handle: Any, decision: str, edits: dict[str, str], *, reason: str) -> None:
        word = self._word()
        self._note("decide", handle, decision=decision, reason=reason, note=word, edits=edits)
        before = self.hands.read(handle)
        own = {f"{name}{YOURS}": text for name, text in edits.items()}
        if lost := [str(before[name]) for name in ("note", *own) if before.get(name)]:
            self._note("took away", handle, words=self.hands.overwritten(lost))
        self.hands.write(
            handle, {"decision": decision, "reason": reason, "note": word, "reviewer": self.name, **own}
        )  # fmt: skip
        for text in edits.values():
            self._note("wrote", handle, words=[text])
        self._note("wrote", handle, words=[word])

    def _word(self) -> str:
        self.count += 1
        return f"{self.name}-{self.count}-{self.dice.randrange(16**6):06x}"

    def _sort(self) -> None:
        self._note("sort", None)
        self.hands.sort(self.dice)

    def _insert(self) -> None:
        self._note("insert", None)
        self.hands.insert(self.dice)

    def _delete(self, handle: Any) -> None:
        row = self.hands.read(handle)
        self._note("took away", handle, words=[str(value) for value in row.values() if value])
        self.hands.delete(handle)

    def _copy(self, handle: Any) -> None:
        self._note("copy", handle)
        self.hands.copy(handle)

    def _alter(self, handle: Any) -> None:
        """Write into a cell that is not theirs."""
        self._note("alter", handle)
        self.hands.write(handle, {self.dice.choice(["item", "checks"]): f"changed by {self.name}"})

    def _note(self, what: str, handle: Any, **more: Any) -> None:
        row = self.hands.read(handle) if handle is not None else {}
        self.hands.desk.note(who=self.name, did=what, ref=str(row.get("ref") or ""), **more)


def send_in(desk: Desk, service: str, document: str, editable: list[str], *, name: str, seed: int, chance: float) -> Reviewer:
    """Let a person work in a document from now on."""
    reviewer = Reviewer(HANDS[service](desk, document, editable), name, seed)
    desk.people.append(Person(document, chance, seed, reviewer.act, random.Random(f"chance {name} {seed}")))
    return reviewer
