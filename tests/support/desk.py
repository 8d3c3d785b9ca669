"""The review services for a test: documents made by hand, connections to them, and a staged night to put before people."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import pytest

from overnight.rehearsal.desk import BASE, DOCUMENTS, FOLDER, SHEET, SOURCE, connections
from tests.conftest import Sandbox

EXTRA = {"requests_per_minute": 100_000, "requests_per_second": 10_000, "retry_seconds": 0.05, "num_retries": 3}


class Desk:
    """The three services of one local server."""

    def __init__(self, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sandbox, self.http = sandbox, httpx.Client(base_url=f"{sandbox.url}/control/desk", timeout=30)
        made = connections(sandbox.url, **EXTRA)
        made["overnight_sheets"]["extra"].pop("documents_folder")
        self.connections = made
        for name, conn in made.items():
            monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(conn))
        self.make("spreadsheet", id=SHEET, tabs={"notes": [["of the team"]]})
        self.make("folder", id=FOLDER)
        self.make("notion", id=SOURCE, properties={"Item": {"title": {}}})
        self.make("airtable", id=BASE)
        self.manners(quota=0)

    def make(self, kind: str, **order: Any) -> None:
        """What a person makes by hand."""
        answer = self.http.post("/make", json={"kind": kind, **order})
        assert answer.is_success, answer.text

    def manners(self, **changes: Any) -> None:
        """How the services behave from now on."""
        assert self.http.post("/manners", json=changes).is_success

    def decide(self, service: str, decisions: Mapping[str, int], editable: Sequence[str], **more: Any) -> dict[str, Any]:
        """A careful person decides."""
        order = {"service": service, "document": DOCUMENTS[service], "name": "ada", "decisions": decisions,
                 "editable": list(editable), **more}  # fmt: skip
        answer = self.http.post("/decide", json=order)
        assert answer.is_success, answer.text
        done: dict[str, Any] = answer.json()
        return done

    def send_in(self, service: str, editable: Sequence[str], *, name: str, seed: int, chance: float) -> None:
        """A careless person works there from now on."""
        self.http.post("/people", json={"service": service, "document": DOCUMENTS[service], "editable": list(editable), "name": name,
                                        "seed": seed, "chance": chance}).raise_for_status()  # fmt: skip

    def write(self, service: str, ref: str, values: Mapping[str, str]) -> None:
        """A person fills in cells of a row."""
        order = {"service": service, "document": DOCUMENTS[service], "ref": ref, "values": dict(values)}
        self.http.post("/write", json=order).raise_for_status()

    def send_home(self) -> None:
        """Nobody works there any more."""
        self.http.post("/people", json={"home": True}).raise_for_status()

    def journal(self) -> list[dict[str, Any]]:
        """What people did."""
        found: list[dict[str, Any]] = self.http.get("/journal").json()
        return found

    def dump(self, kind: str) -> list[dict[str, Any]]:
        """Documents as they are kept."""
        found: list[dict[str, Any]] = self.http.get("/dump", params={"kind": kind}).json()
        return found

    def sandbox_tokens(self) -> list[str]:
        """The access tokens Google handed out, newest first."""
        import sqlite3

        with sqlite3.connect(self.sandbox.state) as db:
            rows = db.execute("SELECT id FROM documents WHERE kind='google_token' ORDER BY rowid DESC").fetchall()
        return [row[0] for row in rows]

    def tab(self, title: str) -> list[dict[str, str]]:
        """A tab's rows by their headers."""
        (sheet,) = [d for d in self.dump("spreadsheet") if d["id"] == SHEET]
        rows = next(tab["rows"] for tab in sheet["sheets"] if tab["properties"]["title"] == title)
        return [
            {str(name): ("" if n >= len(line) or line[n] is None else line[n]) for n, name in enumerate(rows[0]) if name}
            for line in rows[1:]
        ]  # fmt: skip
