"""A careless person at a surface while the bot exports and collects: one run a seed, and what must hold at its end.

    python -m tests.support.people sheets notion airtable xlsx --seeds 100 --results benchmarks/results.json

A service that fails on top (calls turned away, answers lost) makes our runs fail; they are run again, as Airflow would.
"""

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
from openpyxl import load_workbook

from overnight.ledger import migrate, reviews, verify
from overnight.ledger.connect import Ledger
from overnight.ledger.states import ItemState
from overnight.rehearsal.desk import BASE, DOCUMENTS, FOLDER, SHEET, SOURCE, connections
from overnight.review.collect import CollectFailed, collect
from overnight.review.exhibit import item_ref
from overnight.review.export import ExportMismatch, export
from overnight.review.surface import SurfaceBroken
from overnight.sandbox.people import Hands, Reviewer
from tests.support.reviewed import NOW, SYSTEM, draft, entries, stage

ITEMS, ROUNDS, TRIES = 6, 5, 12
EDITABLE = ["title", "quick answer"]
TROUBLE = {"sheets": {"broken": 0.04, "lost": 0.05}, "notion": {"lost": 0.03}, "airtable": {"broken": 0.03, "lost": 0.04}}
EXTRA = {"requests_per_minute": 1_000_000, "requests_per_second": 1_000_000, "retry_seconds": 0.01, "num_retries": 0}


@dataclass
class Outcome:
    """What one run came to: what was broken (nothing, if all is well), and how much happened."""

    seed: int
    broken: list[str] = field(default_factory=list)
    decisions: int = 0
    acts: int = 0
    refused: int = 0


class XlsxHands(Hands):
    """In a workbook, as it lies in its folder."""

    def __init__(self, folder: Path, journal: list[dict[str, Any]]) -> None:
        super().__init__(self, "xlsx", EDITABLE)  # type: ignore[arg-type]
        self.folder, self.journal = folder, journal

    def note(self, **what: Any) -> None:
        self.journal.append(what)

    def rows(self) -> list[Any]:
        found = []
        for path in sorted(self.folder.rglob("*.xlsx")):
            sheet = load_workbook(path).worksheets[0]
            at = next(cell.column for cell in sheet[1] if cell.value == "ref")
            found += [(path, n) for n in range(2, sheet.max_row + 1) if sheet.cell(n, at).value]
        return found

    def _open(self, path: Path) -> tuple[Any, Any, dict[str, int]]:
        book = load_workbook(path)
        sheet = book.worksheets[0]
        return book, sheet, {str(cell.value): cell.column for cell in sheet[1]}

    def read(self, handle: Any) -> dict[str, Any]:
        _, sheet, at = self._open(handle[0])
        return {name: sheet.cell(handle[1], column).value or "" for name, column in at.items()}

    def night_of(self, handle: Any) -> str:
        return str(handle[0].parent.name)

    def write(self, handle: Any, values: dict[str, str]) -> None:
        book, sheet, at = self._open(handle[0])
        for name, value in values.items():
            sheet.cell(handle[1], at[name], value)
        book.save(handle[0])

    def delete(self, handle: Any) -> None:
        book, sheet, _ = self._open(handle[0])
        sheet.delete_rows(handle[1])
        book.save(handle[0])

    def copy(self, handle: Any) -> None:
        book, sheet, _ = self._open(handle[0])
        sheet.append([cell.value for cell in sheet[handle[1]]])
        book.save(handle[0])

    def sort(self, dice: random.Random) -> None:
        path = dice.choice(sorted(self.folder.rglob("*.xlsx")))
        book, sheet, at = self._open(path)
        lines = [[cell.value for cell in line] for line in sheet.iter_rows(min_row=2)]
        column = dice.randrange(len(at))
        lines.sort(key=lambda line: str(line[column] or "\uffff"))
        for n, line in enumerate(lines, start=2):
            for c, value in enumerate(line, start=1):
                sheet.cell(n, c).value = value
        book.save(path)

    def insert(self, dice: random.Random) -> None:
        path = dice.choice(sorted(self.folder.rglob("*.xlsx")))
        book, sheet, _ = self._open(path)
        sheet.insert_rows(dice.randint(2, sheet.max_row + 1))
        book.save(path)


class Desk:
    """The services (or the folder) of one run."""

    def __init__(self, url: str, surface: str, folder: Path, seed: int) -> None:
        self.surface, self.folder, self.seed = surface, folder, seed
        self.http = httpx.Client(base_url=f"{url}/control/desk", timeout=60)
        self.local: list[dict[str, Any]] = []
        self.hands = XlsxHands(folder, self.local)
        self.person = Reviewer(self.hands, f"p{seed}", seed)
        self.post("/reset")
        for kind, doc_id, more in (
            ("folder", FOLDER, {}), ("spreadsheet", SHEET, {"tabs": {"notes": [["ours"]]}}),
            ("notion", SOURCE, {"properties": {"Item": {"title": {}}}}), ("airtable", BASE, {}),
        ):  # fmt: skip
            self.post("/make", kind=kind, id=doc_id, **more)

    def post(self, path: str, **order: Any) -> Any:
        return self.http.post(path, json=order).raise_for_status().json()

    def begin(self) -> None:
        if self.surface != "xlsx":
            self.post("/manners", quota=0, seed=self.seed, **{"busy": 0, "broken": 0, "lost": 0, **TROUBLE[self.surface]})
            self.post("/people", service=self.surface, document=DOCUMENTS[self.surface], editable=EDITABLE, name=f"p{self.seed}",
                      seed=self.seed, chance=0.3)  # fmt: skip

    def work(self, times: int) -> None:
        if self.surface != "xlsx":
            self.post("/work", times=times)
            return
        for _ in range(times):
            self.person.act()

    def end(self) -> None:
        self.post("/people", home=True)
        self.post("/manners", quota=0, busy=0, broken=0, lost=0)

    def journal(self) -> list[dict[str, Any]]:
        return self.local if self.surface == "xlsx" else self.http.get("/journal").json()

    def text(self) -> str:
        """Everything that stands there, as one text."""
        if self.surface == "xlsx":
            return "\n".join(str(value) for handle in self.hands.rows() for value in self.hands.read(handle).values())
        kinds = {"sheets": ["spreadsheet"], "notion": ["notion_page"], "airtable": ["airtable_base"]}[self.surface]
        return json.dumps([self.http.get("/dump", params={"kind": kind}).json() for kind in kinds], ensure_ascii=False)

    def refs(self) -> set[str]:
        """The refs of rows that people see."""
        if self.surface == "xlsx":
            return {str(self.hands.read(handle)["ref"]) for handle in self.hands.rows()}
        return set(self.post("/refs", service=self.surface, document=DOCUMENTS[self.surface])["refs"])


def one(url: str, surface: str, seed: int, folder: Path) -> Outcome:
    """One night with one person."""
    outcome = Outcome(seed)
    desk = Desk(url, surface, folder / "review", seed)
    ledger = Ledger(f"sqlite:///{folder / 'ledger.db'}")
    migrate.upgrade(ledger)
    now = NOW
    task, night = stage(ledger, surface, [draft(n) for n in range(ITEMS)], now=now)
    desk.begin()
    _until_done(lambda: export(ledger, task, now=now))
    for _ in range(ROUNDS):
        now += timedelta(minutes=10)
        desk.work(3)
        with suppress(CollectFailed, SurfaceBroken):  # the next run, in ten minutes, looks again
            outcome.refused += collect(ledger, actor=SYSTEM, now=now).get("refused", 0)
    desk.end()
    for _ in range(3):
        now += timedelta(minutes=10)
        collect(ledger, actor=SYSTEM, now=now)
    outcome.broken += list(_broken(ledger, night, desk))
    outcome.decisions = sum(1 for item in entries(ledger, night) if item["state"] != ItemState.IN_REVIEW)
    outcome.acts = len(desk.journal())
    ledger.close()
    return outcome


def _until_done(work: Any) -> None:
    for _ in range(TRIES):
        try:
            work()
        except (SurfaceBroken, ExportMismatch):
            continue
        return
    raise AssertionError(f"did not succeed in {TRIES} tries")


def _broken(ledger: Ledger, night: Any, desk: Desk) -> Iterator[str]:
    """Everything that must not be: each in words."""
    journal, items = desk.journal(), entries(ledger, night)
    with ledger.read() as conn:
        yield from verify.problems(conn)
        decided = reviews.effective(conn, night["id"])
    if len(items) != ITEMS:
        yield f"{len(items)} of {ITEMS} items are left"
    for item in items:
        decision = decided.get(item["id"])
        if decision is not None:
            yield from _on_the_wrong_item(item, decision, journal)
        elif item["state"] != ItemState.IN_REVIEW:
            yield f"item {item['id']} is {item['state']} and nobody decided"
    refs = desk.refs()
    for item in items:
        if item["state"] == ItemState.IN_REVIEW and item_ref(item["id"], item["output_hash"]) not in refs:
            yield f"item {item['id']} waits for a decision and is shown nowhere"
    yield from _overwritten(journal, desk.text())


def _on_the_wrong_item(item: Any, decision: Any, journal: Sequence[dict[str, Any]]) -> Iterator[str]:
    """A decision counts only as somebody wrote it into a row of this item, word for word."""
    ref = item_ref(item["id"], item["output_hash"])
    same = [
        act for act in journal
        if act["ref"] == ref and act.get("decision") == decision["decision"]
        # A person who changes only the word of an earlier decision leaves its note standing.
        and (act["did"] == "half" or (act["did"] == "decide" and act["note"] == decision["note"]))
    ]  # fmt: skip
    if not same:
        yield f"item {item['id']} has the decision {decision['decision']} ({decision['note']}), which nobody wrote beside it"
    elif decision["decision"] == "edit":
        text = json.dumps(decision["edited"], ensure_ascii=False)
        words = [word for act in journal if act["did"] == "wrote" and act["ref"] == ref for word in act["words"]]
        if not any(word in text for word in words):
            yield f"item {item['id']} was edited without a word of the reviewer's edit"


def _overwritten(journal: Sequence[dict[str, Any]], text: str) -> Iterator[str]:
    """Whatever a person wrote stands there, unless a person took it away again."""
    taken = "\n".join(word for act in journal if act["did"] == "took away" for word in act["words"])
    for act in journal:
        for word in act["words"] if act["did"] == "wrote" else ():
            if word not in taken and word not in text:
                yield f"{word!r}, written beside {act['ref']}, is gone"


def main(argv: Sequence[str]) -> int:
    """Run the seeds of some surfaces and write the counts into the results file."""
    from tests.conftest import Sandbox

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("surfaces", nargs="+")
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--results", type=Path)
    options = parser.parse_args(argv)
    counts: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sandbox = Sandbox(folder)
        for conn_id, conn in connections(sandbox.url, **EXTRA).items():
            if "documents_folder" in conn["extra"]:
                conn["extra"].pop("documents_folder")
            os.environ[f"AIRFLOW_CONN_{conn_id.upper()}"] = json.dumps(conn)
        for surface in options.surfaces:
            began, outcomes = time.monotonic(), []
            for seed in range(options.seeds):
                place = folder / f"{surface}-{seed}"
                place.mkdir()
                os.environ["OVERNIGHT_REVIEW_DIR"] = str(place / "review")
                outcomes.append(one(sandbox.url, surface, seed, place))
                for words in outcomes[-1].broken:
                    print(f"{surface} seed {seed}: {words}")  # noqa: T201
            counts[surface] = {
                "seeds": len(outcomes), "acts of people": sum(o.acts for o in outcomes), "decisions": sum(o.decisions for o in outcomes),
                "refusals": sum(o.refused for o in outcomes), "broken promises": sum(len(o.broken) for o in outcomes),
                "seconds": round(time.monotonic() - began),
            }  # fmt: skip
            print(surface, counts[surface])  # noqa: T201
        sandbox.kill()
    if options.results:
        stored = json.loads(options.results.read_text())
        stored["people"] = {**stored.get("people", {}), **counts}
        options.results.write_text(json.dumps(stored, indent=2) + "\n")
    return 1 if any(c["broken promises"] for c in counts.values()) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
