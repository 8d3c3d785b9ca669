"""The kill switches: everything, a workflow, a vendor, a prompt version. They trip within 30 s, also while a vendor works."""

import asyncio
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from overnight import prompts
from overnight.batches import stops
from overnight.batches.shard import Watch
from overnight.batches.trigger import BatchTrigger
from overnight.batches.waits import Wait, waits
from overnight.cli import app
from overnight.clock import utcnow
from overnight.governance import killswitch
from overnight.governance.killswitch import Stopped
from overnight.ledger import alerts, audit, deliveries, switches
from overnight.ledger.audit import Actor
from overnight.ledger.connect import Ledger
from overnight.ledger.errors import LedgerError
from overnight.workflow import workflow
from tests.conftest import Sandbox, connect
from tests.support.night import Night, queue_file, wait_ended
from tests.support.reviewed import draft, shown

ROW = "review_id,sku,rating,body\nr1,S-1,5,Lovely and warm.\n"
MANY = "review_id,sku,rating,body\n" + "".join(f"r{n},S-1,5,Lovely and warm number {n}.\n" for n in range(60))
VERSION = prompts.version(workflow("review_sentiment"))
SCOPES = ["*", "review_sentiment", "vendor:openai", switches.of_prompt(VERSION)]


def throw(ledger: Ledger, scope: str, now: Any, *, engaged: bool = True) -> None:
    with ledger.write() as conn:
        switches.throw(conn, scope, engaged=engaged, by="Ada", reason="odd answers", now=now)


def locked(ledger: Ledger, queue: Path, rows: str = ROW, **change: Any) -> Night:
    queue_file(queue, "review_sentiment", "a.csv", rows)
    night = Night(ledger, "review_sentiment", change={"fallback": None, **change})
    night.check()
    night.drain()
    return night


@pytest.mark.parametrize("scope", SCOPES)
def test_a_switch_thrown_after_the_lock_keeps_the_batch_from_being_sent_and_the_night_goes_on_when_it_is_re_armed(
    sqlite_ledger: Ledger, queue: Path, connected: Sandbox, scope: str
) -> None:
    """Nothing is bought while it is engaged; nobody has to clear anything afterwards."""
    night = locked(sqlite_ledger, queue)
    throw(sqlite_ledger, scope, night.clock())
    following = night.shard(night.planned[0]).advance(now=night.clock)
    assert isinstance(following, Wait)
    assert "engaged by Ada: odd answers" in following.why
    assert connected.creates() == 0
    throw(sqlite_ledger, scope, night.clock(), engaged=False)
    assert night.batch(night.planned[0]) == {"valid": 1}
    assert night.problems() == []


@pytest.mark.parametrize("scope", SCOPES)
def test_no_night_is_opened_while_a_switch_stops_it(sqlite_ledger: Ledger, queue: Path, connected: Sandbox, scope: str) -> None:
    """Said at 17:00, with who and why and the command that re-arms it."""
    from overnight.ledger import migrate

    migrate.upgrade(sqlite_ledger)
    night = Night(sqlite_ledger, "review_sentiment", change={"fallback": None})
    throw(sqlite_ledger, scope, night.clock())
    how = {"*": "resume --by", "review_sentiment": "resume review_sentiment", "vendor:openai": "resume --vendor openai"}
    with pytest.raises(Stopped, match=how.get(scope, f"resume --prompt {VERSION[:12]}")):
        night.check()


def test_another_workflows_vendors_or_versions_switch_stops_nobody_else(
    sqlite_ledger: Ledger, queue: Path, vendors: Sandbox
) -> None:
    """A switch has a scope."""
    from overnight.ledger import migrate

    migrate.upgrade(sqlite_ledger)
    night = Night(sqlite_ledger, "review_sentiment")
    for scope in ("blog_drafts", "vendor:anthropic", "prompt:0123456789ab"):
        throw(sqlite_ledger, scope, night.clock())
    assert night.check()["state"] == "open"


@pytest.mark.parametrize("scope", ["vendor:openai", "review_sentiment"])
def test_a_switch_cuts_what_is_at_the_vendor_keeps_what_is_finished_and_says_what_it_did(
    scope: str, sqlite_ledger: Ledger, queue: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thrown while a batch is half done: the finished part is landed, the rest waits, and is bought after the re-arm.

    The model was in good health: a workflow's own switch sends nothing to the fallback.
    """
    fallback = None if scope.startswith("vendor") else workflow("review_sentiment").fallback
    slow = Sandbox(tmp_path, "--batch-seconds", "20", "--cancel-seconds", "0.2")
    try:
        connect(monkeypatch, slow.hosts)
        night = locked(sqlite_ledger, queue, fallback=fallback)
        shard = night.shard(night.planned[0])
        watch = shard.advance(now=night.clock)
        assert isinstance(watch, Watch)
        throw(sqlite_ledger, scope, night.clock())
        stops.stop(watch.job, now=night.clock)
        assert shard.newest().batch["state"] == "cancelling"
        with sqlite_ledger.read() as conn:
            (alert,) = alerts.listed(conn)
            (work,) = switches.stopped_work(conn, scope)
        assert work["request_count"] == 1
        assert alert["kind"] == "stopped"
        assert f"{scope} is engaged by Ada: odd answers" in alert["message"]
        assert "(1 requests at openai) was cancelled." in alert["message"]
        wait_ended("openai", watch.job.batch["vendor_batch_id"])
        shard.newest().ended(now=night.clock)
        following = shard.advance(now=night.clock)
        assert isinstance(following, Wait), "what was cancelled waits for the re-arm"
        before = following.until
        assert before - night.now <= waits().delta("stopped") + timedelta(seconds=5)
        stops.stop(shard.newest(), now=night.clock)  # told again: nothing is open, nothing happens
        assert (shard.newest().batch["state"], shard.newest().batch["vendor"]) == ("planned", "openai")
    finally:
        slow.kill()


def test_the_wait_itself_sees_a_switch_between_two_looks(
    sqlite_ledger: Ledger, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A look every hour, and yet it is out within seconds: the switches are read on their own clock."""
    slow = Sandbox(tmp_path, "--batch-seconds", "60")
    monkeypatch.setattr(killswitch, "open_ledger", lambda: sqlite_ledger)
    monkeypatch.setattr(killswitch, "FRESH_S", 0.05)
    monkeypatch.setenv("OVERNIGHT_SWITCH_SECONDS", "0.1")
    try:
        connect(monkeypatch, slow.hosts)
        trigger = BatchTrigger(
            vendor="openai", vendor_batch_id="batch_1", until=(utcnow() + timedelta(hours=8)).isoformat(), interval_s=3600,
            first_look_s=3600, scopes=switches.scopes("review_sentiment", vendor="openai", prompt=VERSION),
        )  # fmt: skip
        throw(sqlite_ledger, "blog_drafts", utcnow())
        later = threading.Timer(0.5, throw, (sqlite_ledger, switches.of_prompt(VERSION), utcnow()))
        later.start()
        began = time.monotonic()
        event = asyncio.run(_first(trigger))
        assert time.monotonic() - began < 20, "and not the hour it would have looked again"
        assert event["next"] == "stop"
        assert "engaged by Ada" in event["reason"]
        later.join()
    finally:
        slow.kill()


async def _first(trigger: BatchTrigger) -> dict[str, str]:
    async for event in trigger.run():
        return event.payload  # type: ignore[no-any-return]
    raise AssertionError("no event")


def test_a_ledger_that_cannot_be_read_ends_no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """The side effects read the switches themselves; the wait goes on looking at the vendor."""

    def broken() -> Ledger:
        raise LedgerError("away")

    monkeypatch.setattr(killswitch, "open_ledger", broken)
    assert asyncio.run(_ask()) is None


async def _ask() -> Any:
    return await killswitch.reader().engaged(["*"])


def test_a_stopped_vendor_hands_over_to_the_fallback_where_there_is_one(
    sqlite_ledger: Ledger, queue: Path, connected: Sandbox
) -> None:
    """review_sentiment names gemini for openai."""
    night = locked(sqlite_ledger, queue, fallback=workflow("review_sentiment").fallback)
    throw(sqlite_ledger, "vendor:openai", night.clock())
    assert night.batch(night.planned[0]) == {"moved": 1, "valid": 1}
    with sqlite_ledger.read() as conn:
        from overnight.ledger import batches

        assert batches.get(conn, batches.newest_of_shard(conn, night.planned[0]))["vendor"] == "gemini"


def test_what_was_written_under_a_stopped_prompt_version_does_not_go_out(sqlite_ledger: Ledger) -> None:
    """Approved in the morning, found to be bad at noon."""
    _, night = shown(sqlite_ledger, "page", [draft(1)])
    from tests.support.reviewed import bring_home, entries

    with sqlite_ledger.write() as conn:
        from overnight.ledger import reviews

        decision = {"decision": "approve", "reviewer": "ada", "surface": "page"}
        reviews.decide(
            conn, night["id"], entries(sqlite_ledger, night)[0]["id"], decision, actor=Actor("human", "ada"), now=utcnow()
        )
    bring_home(sqlite_ledger)
    for engaged in (True, False):
        throw(sqlite_ledger, switches.of_prompt(night["prompt_version"]), utcnow(), engaged=engaged)
        with sqlite_ledger.write() as conn:
            planned = deliveries.plan(
                conn, "blog_drafts", ("json",), "x", actor=Actor("agent", "blog_drafts"), now=utcnow(),
                stopped=switches.stopped_prompts(conn),
            )  # fmt: skip
        assert (planned is None) is engaged


def test_a_rule_throws_the_switch_when_most_answers_are_no_good(
    sqlite_ledger: Ledger, queue: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sixty failed requests: the workflow stops before it pays for sixty repairs, says why, and a person re-arms it."""
    broken = Sandbox(tmp_path, "--batch-seconds", "0.2", "--profile", "all_errors")
    try:
        connect(monkeypatch, broken.hosts)
        night = locked(sqlite_ledger, queue, MANY, pack=1, reuse=False)
        shard = night.shard(night.planned[0])
        watch = shard.advance(now=night.clock)
        assert isinstance(watch, Watch)
        night.on_watch(watch)
        following = shard.advance(now=night.clock)
        assert isinstance(following, Wait)
        assert "engaged by a rule: 60 of 60 answers of the night are no good" in following.why
        with sqlite_ledger.read() as conn:
            (alert,) = [row for row in alerts.listed(conn) if row["kind"] == "tripped"]
        assert alert["severity"] == "critical"
        assert "`bin/overnight resume review_sentiment --by NAME --reason WHY`" in alert["message"]
        assert broken.creates() == 1, "no repair was bought"
    finally:
        broken.kill()


def test_a_night_over_its_budget_trips_also_when_all_of_its_answers_are_good(
    sqlite_ledger: Ledger, queue: Path, connected: Sandbox
) -> None:
    """What an answer can cost at most is an estimate; what it did cost is counted after each landing."""
    night = locked(sqlite_ledger, queue)
    with sqlite_ledger.write() as conn:
        conn.exec_driver_sql("UPDATE nights SET budget_usd = 1")  # a thousand-millionth of a dollar
    assert night.batch(night.planned[0]) == {"valid": 1}
    with sqlite_ledger.read() as conn:
        (alert,) = [row for row in alerts.listed(conn) if row["kind"] == "tripped"]
    assert "the night has cost" in alert["message"]


def test_a_switch_needs_a_name_and_a_reason_and_every_throw_is_on_record(sqlite_ledger: Ledger) -> None:
    """Nobody in particular can neither stop nor re-arm."""
    for by, reason in ((" ", "odd"), ("Ada", "")):
        with pytest.raises(LedgerError, match="named person"), sqlite_ledger.write() as conn:
            switches.throw(conn, "*", engaged=True, by=by, reason=reason, now=utcnow())
    throw(sqlite_ledger, "vendor:openai", utcnow())
    throw(sqlite_ledger, "vendor:openai", utcnow(), engaged=False)
    with sqlite_ledger.read() as conn:
        assert audit.broken_links(conn) == []
        verbs = [row["verb"] for row in audit.of_object(conn, "switch", "vendor:openai")]
    assert verbs == ["kill_switch_engaged", "kill_switch_rearmed"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--vendor", "mistral"], "'mistral' is no vendor; there are anthropic, gemini, openai"),
        (["blog_draft"], "'blog_draft' is no workflow"),
        (["--prompt", "abc"], "is not the beginning of exactly one prompt version"),
        (["blog_drafts", "--vendor", "openai"], "Name one thing to stop"),
    ],
)
def test_a_typing_error_stops_nothing_and_says_what_there_is(
    sqlite_ledger: Ledger, arguments: list[str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In an emergency above all."""
    monkeypatch.setattr("overnight.commands.terminal.open_unchecked", lambda: sqlite_ledger)
    told = CliRunner().invoke(app, ["stop", *arguments, "--by", "Ada", "--reason", "odd"])
    assert told.exit_code == 2
    assert words in " ".join(told.output.split())
    with sqlite_ledger.read() as conn:
        assert switches.all_engaged(conn) == []


def test_the_command_says_what_it_stops(sqlite_ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what is open at a vendor."""
    monkeypatch.setattr("overnight.commands.terminal.open_unchecked", lambda: sqlite_ledger)
    told = CliRunner().invoke(app, ["stop", "--vendor", "openai", "--by", "Ada", "--reason", "odd answers"])
    assert told.output.splitlines() == ["vendor:openai is stopped by Ada: odd answers", "  nothing is open at a vendor"]
    told = CliRunner().invoke(app, ["resume", "--vendor", "openai", "--by", "Ada", "--reason", "fine"])
    assert told.output.splitlines() == ["vendor:openai is re-armed by Ada: fine"]
