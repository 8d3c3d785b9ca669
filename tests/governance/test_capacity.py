"""The reviewers' morning, divided before it is filled."""

import threading
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import select

from overnight.governance import capacity
from overnight.governance.capacity import free_for
from overnight.governance.check import CheckFailed
from overnight.ledger import reservations
from overnight.ledger.connect import Ledger
from overnight.ledger.governance_tables import reservations as table
from overnight.ledger.quality_tables import measures
from overnight.ledger.tables import alerts, items
from overnight.team import Person, Team
from overnight.workflow import workflow, workflow_names
from tests.conftest import Sandbox
from tests.governance.test_launch import measured
from tests.support.night import Night, queue_rows, sample
from tests.support.reviewed import draft, shown


def people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *team: dict[str, Any], **shares: Any) -> None:
    path = tmp_path / "team.yaml"
    path.write_text(yaml.safe_dump({"people": list(team), "workflows": shares}))
    monkeypatch.setenv("OVERNIGHT_TEAM", str(path))


ONE = {"name": "Ada", "minutes": 90, "skills": ["*"], "roles": ["owner", "brand_lead", "compliance"]}


def full_queue(queue: Path, name: str) -> None:
    """As many rows as the workflow takes in a night, made from its own sample, each with an id of its own."""
    rows = sample(queue, name)
    key = workflow(name).id_field
    (queue / name / "sample.csv").unlink()
    wanted = workflow(name).cap
    queue_rows(queue, name, [{**rows[n % len(rows)], key: f"{rows[n % len(rows)][key]}-{n}"} for n in range(wanted)])


@pytest.mark.parametrize("backwards", [False, True])
def test_ten_full_queues_and_one_reviewer_lock_no_more_than_their_morning(
    backwards: bool, sqlite_ledger: Ledger, queue: Path, vendors: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """295 to 475 minutes of work meet 90: each has its guaranteed minimum, the important one the rest, whoever locks first."""
    people(tmp_path, monkeypatch, ONE, returns_triage={"priority": 9, "minimum": 10})
    names = workflow_names()
    nights = [Night(sqlite_ledger, name) for name in names]
    for night in nights:
        full_queue(queue, night.workflow)
        night.check()
    for night in reversed(nights) if backwards else nights:
        night.drain()
    with sqlite_ledger.read() as conn:
        taken = {row["workflow"]: row for row in conn.execute(select(table)).mappings()}
        told = list(conn.execute(select(alerts.c.message).where(alerts.c.kind == "over_capacity")).scalars())
        over = list(conn.execute(select(items.c.message).where(items.c.state == "carried_over")).scalars())
        morning = capacity.forecast(conn, "2026-11-24")
    assert set(taken) == set(names)
    assert 80 <= sum(row["minutes"] for row in taken.values()) <= 90 + 1e-6
    assert taken["returns_triage"]["minutes"] > 20, "the highest priority takes what it needs"
    for name, row in taken.items():
        assert row["minutes"] > 5 - row["seconds_per_item"] / 60, f"{name} has its minimum, to within an item"
        assert row["items"] * row["seconds_per_item"] / 60 == pytest.approx(row["minutes"])
    assert morning.minutes == pytest.approx(sum(row["minutes"] for row in taken.values()))
    assert morning.pool == 90
    assert len(told) >= 8, "nearly all of them have more than fits"
    assert all("the reviewers' morning" in words and "place in line" in words for words in told)
    assert all("place " in words for words in over)


def test_ten_that_drain_at_once_take_no_minute_twice(
    queue: Path, vendors: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ledger: Ledger
) -> None:
    """Four threads on one database: the reservation is made under the lock that the money is counted under."""
    people(tmp_path, monkeypatch, ONE)
    names = ["blog_drafts", "amazon_listings", "ad_variants", "email_sms"]
    nights = [Night(ledger, name) for name in names]
    for night in nights:
        full_queue(queue, night.workflow)
        night.check()
    failures: list[BaseException] = []

    def drain(night: Night) -> None:
        try:
            night.drain()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=drain, args=(night,)) for night in nights]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert failures == []
    with ledger.read() as conn:
        assert 60 <= sum(row["minutes"] for row in reservations.of_morning(conn, "2026-11-24")) <= 90 + 1e-6


def test_what_is_undecided_from_earlier_mornings_is_charged_first(
    sqlite_ledger: Ledger, queue: Path, vendors: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Six drafts that nobody looked at take half of an hour; the new night gets what is left of it, and says so."""
    people(tmp_path, monkeypatch, {**ONE, "minutes": 60})
    each = 60 * workflow("blog_drafts").review.minutes / workflow("blog_drafts").cap
    shown(sqlite_ledger, "page", [draft(n) for n in range(6)])
    full_queue(queue, "blog_drafts")
    night = Night(sqlite_ledger, "blog_drafts", "manual__2", base=Night(sqlite_ledger, "").base.replace(day=24))
    night.check()
    night.drain()
    fits = int((3600 - 6 * each) // each)
    assert (night.row()["cap"], night.describe()["outcomes"]["locked"]) == (fits, fits)
    assert f"{60 - 6 * each / 60:.0f} of 60 minutes are left" in night.row()["cap_why"]


def test_seconds_are_measured_where_there_are_nights_to_measure_and_kept_within_reason(sqlite_ledger: Ledger) -> None:
    """Three nights make a measure; a morning of clicking through is none; a digest keeps its declared minutes."""
    declared = workflow("blog_drafts")
    said = declared.review.minutes * 60 / declared.cap

    def now() -> float:
        with sqlite_ledger.read() as conn:
            return capacity.seconds_per_item(conn, declared)

    def nights(seconds: float, count: int) -> None:
        for _ in range(count):
            measured(sqlite_ledger, {}, name="blog_drafts")
            with sqlite_ledger.write() as conn:
                newest = select(measures.c.night_id).order_by(measures.c.night_id.desc()).limit(1)
                conn.execute(
                    measures.update().where(measures.c.night_id == newest.scalar_subquery()).values(median_seconds=seconds)
                )

    nights(said / 2, 2)
    assert now() == said
    nights(said / 2, 1)
    assert now() == said / 2
    nights(1.0, 10)
    assert now() == said / 4
    with sqlite_ledger.read() as conn:
        digest = workflow("review_sentiment")
        assert capacity.seconds_per_item(conn, digest) == digest.review.minutes * 60 / digest.cap


def test_who_can_judge_what_decides_whose_minutes_are_spent_on_what() -> None:
    """Ada judges both, Ben blogs only: Ada's hour is lent to the listings, for nobody else can judge them."""
    team = Team(
        people=(Person(name="Ada", minutes=60, skills=("blog", "listings")), Person(name="Ben", minutes=60, skills=("blog",)))
    )
    assert free_for(team.people, {}, "listings") == pytest.approx(60)
    assert free_for(team.people, {"blog": 60}, "listings") == pytest.approx(60)
    assert free_for(team.people, {"blog": 90}, "listings") == pytest.approx(30)
    assert free_for(team.people, {"listings": 60}, "blog") == pytest.approx(60)
    assert free_for(team.people, {"listings": 80}, "blog") == pytest.approx(60), "what is held and fits nobody takes no other's"
    assert free_for(team.people, {"returns": 5}, "blog") == pytest.approx(120), "nobody can judge them any more: somebody left"
    assert free_for(team.people, {}, "returns") == 0


def test_a_workflow_that_nobody_can_judge_is_refused_before_the_lock(
    sqlite_ledger: Ledger, queue: Path, vendors: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its items would only wait."""
    people(tmp_path, monkeypatch, {**ONE, "skills": ["amazon_listings"]})
    with pytest.raises(CheckFailed, match="Nobody in team.yaml has minutes and the skill to judge blog_drafts"):
        Night(sqlite_ledger, "blog_drafts").check()


def test_a_team_without_minutes_leaves_the_workflows_own_cap(
    sqlite_ledger: Ledger, queue: Path, vendors: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Capacity is a thing that a brand declares."""
    people(tmp_path, monkeypatch, {**ONE, "minutes": 0})
    full_queue(queue, "blog_drafts")
    night = Night(sqlite_ledger, "blog_drafts")
    night.check()
    night.drain()
    assert night.describe()["outcomes"]["locked"] == workflow("blog_drafts").cap


def test_a_workflow_that_rests_keeps_no_share_of_the_morning(sqlite_ledger: Ledger) -> None:
    """A week without a night, or a person's pause, frees its minutes."""
    from datetime import timedelta

    from tests.governance.test_launch import put
    from tests.support.reviewed import NOW

    measured(sqlite_ledger, {}, name="email_sms")
    with sqlite_ledger.read() as conn:
        assert reservations.to_come(conn, "2026-11-24", NOW) == {"email_sms": None}
        assert reservations.to_come(conn, "2026-12-24", NOW + timedelta(days=8)) == {}
    from overnight.governance.launch import State

    put(sqlite_ledger, State.PAUSED, "email_sms")
    with sqlite_ledger.read() as conn:
        assert reservations.to_come(conn, "2026-11-24", NOW) == {}
