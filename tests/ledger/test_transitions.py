"""States change in one place, legally or not at all."""

import ast
from datetime import UTC, datetime
from pathlib import Path

import pytest

from overnight.ledger import nights, queue, transitions, verify
from overnight.ledger.audit import Actor
from overnight.ledger.connect import Ledger
from overnight.ledger.errors import ConservationBroken, IllegalMove, NightTaken
from overnight.ledger.states import MOVES, ItemState, NightState, Outcome
from tests.conftest import PROJECT

NOW = datetime(2026, 11, 23, 16, 0, tzinfo=UTC)
ME = Actor("agent", "blog_drafts")
COMMON = {"workflow": "blog_drafts", "actor": ME, "now": NOW}


def add_items(ledger: Ledger, count: int) -> list[int]:
    rows = [
        {"source": "csv", "source_ref": f"a.csv:{n}", "key": f"k{n}", "content_hash": f"h{n}", "input": {"n": n}}
        for n in range(count)
    ]
    with ledger.write() as conn:
        return queue.add(conn, rows, ItemState.WAITING, **COMMON)


def open_night(ledger: Ledger, run_id: str = "run-1", night: str = "2026-11-23") -> nights.Night:
    facts = {
        "workflow": "blog_drafts", "run_id": run_id, "night": night, "timezone": "Europe/Berlin", "vendor": "anthropic",
        "model": "m", "surface": "page", "source": "csv", "policy_hash": "p", "prompt_version": "v", "cap": 10,
        "start_at": NOW, "cutoff_at": NOW, "due_at": NOW,
    }  # fmt: skip
    with ledger.write() as conn:
        return nights.open_night(conn, facts=facts, actor=ME, now=NOW)


def locked_night(ledger: Ledger, count: int = 3) -> tuple[nights.Night, list[int]]:
    ids, night = add_items(ledger, count), open_night(ledger)
    with ledger.write() as conn:
        transitions.move(conn, "item", ids, ItemState.LOCKED, night_id=night["id"], **COMMON)
        step = nights.add_steps(conn, night, ["draft"], actor=ME, now=NOW)[0]
        nights.add_members(conn, night["id"], step, ids)
        transitions.move(conn, "night", [night["id"]], NightState.LOCKED, **COMMON)
    return night, ids


@pytest.mark.parametrize("kind", sorted(MOVES))
def test_every_state_that_may_follow_is_itself_a_state(kind: str) -> None:
    """The table of moves is closed: nothing leads out of it."""
    assert {to for targets in MOVES[kind].values() for to in targets} <= set(MOVES[kind])


def test_an_illegal_move_changes_nothing_and_says_what_is_allowed(ledger: Ledger) -> None:
    """One bad row among good ones stops them all."""
    first, second = add_items(ledger, 2)
    with ledger.write() as conn:
        transitions.move(conn, "item", [second], ItemState.REJECTED, **COMMON)
    with pytest.raises(IllegalMove, match=r"'rejected' and cannot become 'locked'.*Nothing was changed"), ledger.write() as conn:
        transitions.move(conn, "item", [first, second], ItemState.LOCKED, **COMMON)
    with ledger.read() as conn:
        states = {row["id"]: row["state"] for row in queue.by_ids(conn, [first, second])}
        assert states == {first: "waiting", second: "rejected"}
        assert verify.problems(conn) == []


def test_a_move_of_a_row_that_is_not_there_is_illegal(ledger: Ledger) -> None:
    """A lost row is loud."""
    with pytest.raises(IllegalMove, match="not in the ledger"), ledger.write() as conn:
        transitions.move(conn, "item", [4711], ItemState.LOCKED, **COMMON)


def test_a_night_with_an_item_that_left_by_no_door_does_not_close(ledger: Ledger) -> None:
    """Law 1: locked = staged + failed + carried over, item by item, or the run fails loudly."""
    night, ids = locked_night(ledger)
    with ledger.write() as conn:
        transitions.move(conn, "item", ids, ItemState.SUBMITTED, **COMMON)
        transitions.move(conn, "item", ids, ItemState.ANSWERED, **COMMON)
        nights.leave(conn, night, ids[:2], Outcome.STAGED, actor=ME, now=NOW)
        transitions.move(conn, "night", [night["id"]], NightState.VALIDATED, **COMMON)
        transitions.move(conn, "night", [night["id"]], NightState.EXPORTED, **COMMON)
    with pytest.raises(ConservationBroken, match=rf"items \[{ids[2]}\]"), ledger.write() as conn:
        nights.close(conn, night, actor=ME, now=NOW)
    with ledger.write() as conn:
        nights.leave(conn, night, ids[2:], Outcome.FAILED, actor=ME, now=NOW, reason="no answer")
        assert nights.close(conn, night, actor=ME, now=NOW) == {"locked": 3, "staged": 2, "failed": 1, "carried_over": 0}
    with ledger.read() as conn:
        assert verify.problems(conn) == []


def test_a_second_run_does_not_share_an_open_night(ledger: Ledger) -> None:
    """The same run finds its night again; another run of the same evening is told whose it is."""
    night = open_night(ledger)
    assert open_night(ledger)["id"] == night["id"]
    with pytest.raises(NightTaken, match="belongs to run 'run-1'"):
        open_night(ledger, "run-2")


def test_states_are_written_in_one_module_only() -> None:
    """No other module updates a `state` column: `.values(state=…)` stands in transitions.py alone."""
    offenders = []
    for path in (PROJECT / "plugins" / "overnight").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and getattr(node.func, "attr", "") == "values"
                and isinstance(node.func, ast.Attribute)
                and "update" in ast.unparse(node.func)
                and any(keyword.arg == "state" for keyword in node.keywords)
            ):
                offenders.append(path.name)
    assert offenders == ["transitions.py"]


def test_a_failed_transaction_leaves_no_trace_in_the_audit_log(ledger: Ledger, tmp_path: Path) -> None:
    """State and audit row commit together or not at all."""
    ids = add_items(ledger, 1)

    class Boom(Exception):
        pass

    with pytest.raises(Boom), ledger.write() as conn:
        transitions.move(conn, "item", ids, ItemState.LOCKED, **COMMON)
        raise Boom
    with ledger.read() as conn:
        assert queue.by_ids(conn, ids)[0]["state"] == "waiting"
        assert verify.problems(conn) == []
