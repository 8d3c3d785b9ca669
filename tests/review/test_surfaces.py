"""Every surface: a night is shown whole, decisions come back exactly, rework goes round, and each row gets its answer."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from overnight.ledger import reviews
from overnight.ledger.connect import Ledger
from overnight.rehearsal import desk
from tests.conftest import PROJECT
from tests.support.desk import Desk
from tests.support.night import Night

SURFACES = ("sheets", "notion", "airtable", "xlsx")


class People:
    """A careful person at a surface, whichever it is."""

    def __init__(self, surface: str, desk: Desk, folder: Path) -> None:
        self.surface, self.desk, self.folder = surface, desk, folder

    def decide(self, decisions: dict[str, int], editable: str = "title") -> dict[str, int]:
        return desk.decide(
            self.desk.sandbox.url, self.surface, "blog_drafts", decisions, editable=editable, folder=self.folder
        )  # fmt: skip


@pytest.fixture(params=SURFACES)
def people(request: pytest.FixtureRequest, desk: Desk, tmp_path: Path) -> People:
    return People(request.param, desk, tmp_path / "review")


def night_of(people: People, ledger: Ledger, queue: Path, workflow: str = "blog_drafts", run_id: str = "manual__1") -> Night:
    shutil.copyfile(PROJECT / "include" / "prompts" / workflow / "sample.csv", queue / workflow / "sample.csv")
    night = Night(ledger, workflow, run_id=run_id, change={"surface": people.surface, "source": "csv"})
    night.run()
    return night


def items(night: Night) -> list[Any]:
    with night.ledger.read() as conn:
        return reviews.entries(conn, night.row()["id"], limit=1000)


def test_a_night_is_shown_decided_collected_and_sent_round(people: People, sqlite_ledger: Ledger, queue: Path) -> None:
    """Approve, edit and rework go their ways, once; the undecided stay; the rework is first in the next night."""
    night = night_of(people, sqlite_ledger, queue)
    assert night.row()["state"] == "closed"
    assert people.decide({"approve": 2, "edit": 1, "rework": 1}) == {"approve": 2, "edit": 1, "rework": 1}
    assert night.collect() == {"approve": 2, "edit": 1, "rework": 1}
    assert night.collect() == {}, "collecting again moves nothing"
    states = [item["state"] for item in items(night)]
    assert {state: states.count(state) for state in set(states)} == {
        "approved": 2, "edited": 1, "rework": 1, "in_review": len(states) - 4,
    }  # fmt: skip
    edited = [item for item in items(night) if item["state"] == "edited"]
    assert all("A reviewer's own words" in item["output"]["title"] for item in edited)
    again = Night(
        night.ledger, "blog_drafts", run_id="manual__2", now=night.now, change={"surface": people.surface, "source": "csv"}
    )  # fmt: skip
    assert again.run()["locked"] == 1
    assert items(again)[0]["rounds"] == 1
    assert people.decide({"approve": 1}) == {"approve": 1}
    assert again.problems() == []
