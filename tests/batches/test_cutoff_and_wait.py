"""The wait and the cutoff, against a real local vendor: what is finished is kept, the rest is carried over, nothing is resent."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from overnight.batches.shard import Watch
from overnight.batches.trigger import BatchTrigger
from overnight.batches.waits import Wait
from overnight.clock import utcnow
from overnight.ledger import batches
from overnight.ledger.connect import Ledger
from tests.conftest import Sandbox, closed_port, connect
from tests.support.night import Night, paid_twice, queue_file, wait_ended

ROWS = "review_id,sku,rating,body\n" + "".join(f"r{n},S,5,Soft fabric number {n}.\n" for n in range(40))


ALONE = {"pack": 1, "reuse": False}  # one review a request, so that a half-done batch has half of the answers


@pytest.fixture
def slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A vendor that takes six seconds for a batch, and half of one to settle a cancel."""
    made = Sandbox(tmp_path, "--batch-seconds", "6", "--cancel-seconds", "0.5")
    connect(monkeypatch, made.hosts)
    yield made
    made.kill()


@pytest.fixture
def night(sqlite_ledger: Ledger, queue: Path, slow: Sandbox) -> Night:
    queue_file(queue, "review_sentiment", "a.csv", ROWS)
    made = Night(sqlite_ledger, "review_sentiment", change=ALONE)
    made.check()
    made.drain()
    return made


def fired(vendor_batch_id: str, seconds: float, **more: Any) -> dict[str, str]:
    trigger = BatchTrigger(
        vendor="openai", vendor_batch_id=vendor_batch_id, until=(utcnow() + timedelta(seconds=seconds)).isoformat(),
        interval_s=0.05, first_look_s=0.0, **more,
    )  # fmt: skip
    path, arguments = trigger.serialize()
    assert path == "overnight.batches.trigger.BatchTrigger"
    assert "sandbox-key" not in str(arguments)
    again = BatchTrigger(**arguments)

    async def first() -> dict[str, str]:
        async for event in again.run():
            return event.payload  # type: ignore[no-any-return]
        raise AssertionError("no event")

    return asyncio.run(first())


def test_the_trigger_fires_when_the_batch_ended_and_when_its_time_is_up(night: Night) -> None:
    """land, cut: the two ordinary ends of the wait; its stored arguments make the same trigger again."""
    job = night.job(night.planned[0])
    job.submit(now=night.clock)
    assert fired(job.batch["vendor_batch_id"], 0.3)["next"] == "cut"
    assert fired(job.batch["vendor_batch_id"], 60)["next"] == "land"


def test_the_trigger_says_once_that_a_batch_is_unknown_or_a_key_refused_and_then_goes_on_looking(
    night: Night, slow: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """People hear of it at once; once they know, it is asked again until the cutoff: they may mend it."""
    assert fired("batch_unknown", 60)["next"] == "fail"
    connect(monkeypatch, slow.hosts, key="bad")
    event = fired("batch_unknown", 60)
    assert event["next"] == "fail"
    assert "401" in event["reason"]
    assert fired("batch_unknown", 0.3, said=True)["next"] == "cut"


def test_the_trigger_says_that_a_batch_without_progress_is_stuck(night: Night, slow: Sandbox) -> None:
    """Longer without progress than the workflow is patient."""
    job = night.job(night.planned[0])
    job.submit(now=night.clock)
    event = fired(job.batch["vendor_batch_id"], 60, stuck_after_s=3600.0, since=(utcnow() - timedelta(hours=2)).isoformat())
    assert event["next"] in ("stuck", "land")  # what moved meanwhile is progress
    waiting = fired(job.batch["vendor_batch_id"], 0.2, stuck_after_s=3600.0, since=utcnow().isoformat())
    assert waiting["next"] in ("cut", "land")


def test_a_vendor_that_is_away_for_a_while_is_waited_for_until_the_cutoff(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connection refused is not the end of a batch."""
    connect(monkeypatch, {"openai": f"http://127.0.0.1:{closed_port()}/v1"})
    assert fired("batch_x", 0.5)["next"] == "cut"


def test_at_the_cutoff_the_finished_part_is_kept_and_only_the_rest_is_carried_over(night: Night, slow: Sandbox) -> None:
    """Cancel, settle, land: locked = staged + carried over, and the next night sends only the rest."""
    job = night.job(night.planned[0])
    job.submit(now=night.clock)
    asyncio.run(asyncio.sleep(3))  # half of the vendor's time: the one wait for a clock, the vendor's own
    job.cut(now=night.clock)
    assert job.batch["state"] == "cancelling"
    wait_ended("openai", job.batch["vendor_batch_id"])
    job.ended(now=night.clock)
    landed = job.land(now=night.clock)
    night.validate()
    counts = night.export()
    assert 0 < landed["valid"] < 40
    assert counts == {"locked": 40, "staged": landed["valid"], "failed": 0, "carried_over": 40 - landed["valid"]}
    again = Night(night.ledger, "review_sentiment", run_id="manual__2", now=night.now, change=ALONE)
    again.check()
    (batch_id,) = again.drain()
    with again.ledger.read() as conn:
        assert len(batches.item_ids(conn, batch_id)) == counts["carried_over"]
    assert again.problems() == []


def test_what_has_not_settled_by_the_export_is_carried_over_in_doubt_and_not_sent_again(night: Night, slow: Sandbox) -> None:
    """Nobody knows yet what was finished, so nothing is bought a second time."""
    job = night.job(night.planned[0])
    job.submit(now=night.clock)
    job.cut(now=night.clock)
    assert job.settles_by() == job.batch["cutoff_at"] + timedelta(minutes=20)
    assert job.carry_over_in_doubt(now=night.clock) == {"carried_over_in_doubt": 40}
    wait_ended("openai", job.batch["vendor_batch_id"])
    assert not job.look_once(now=night.clock), "a clear after it was given up lands nothing into a night it left"
    assert job.carry_over_in_doubt(now=night.clock) == {"carried_over_in_doubt": 0}
    night.validate()
    assert night.export() == {"locked": 40, "staged": 0, "failed": 0, "carried_over": 40}
    again = Night(night.ledger, "review_sentiment", run_id="manual__2", now=night.now, change=ALONE)
    again.check()
    (adopted,) = again.drain()
    assert adopted == night.planned[0], "the old batch is waited for, no new one is planned"
    finished = again.batch(adopted)["valid"]
    again.validate()
    assert again.export() == {"locked": 40, "staged": 40, "failed": 0, "carried_over": 0}
    assert slow.creates() == 2, "what the vendor had not finished is asked again, once"
    assert paid_twice(slow) == []
    late = [line["answers"] for line in night.describe()["bill"]]
    assert late == [40], "the late result is on the bill of the night that bought it"
    assert sum(line["answers"] for line in again.describe()["bill"]) == 40 - finished or finished == 40
    assert again.problems() == []


def test_a_create_whose_answer_is_lost_is_found_and_not_repeated(night: Night, slow: Sandbox) -> None:
    """Killed between the vendor's yes and the ledger's: the next try searches, finds, and sends nothing."""
    job = night.job(night.planned[0])
    from overnight.ledger.states import BatchState

    job._move(BatchState.SUBMITTING, night.clock(), intent_at=night.clock())
    asyncio.run(job._create())  # accepted, and nobody wrote it down
    fresh = night.job(night.planned[0])
    fresh.submit(now=night.clock)
    assert fresh.batch["state"] == "submitted"
    assert slow.creates() == 1


def test_while_the_vendor_cannot_be_searched_the_batch_is_in_doubt_and_nothing_is_sent(
    night: Night, slow: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """'Cannot look' is not 'not there', and neither is one early look; when it has settled and is not there, it is sent."""
    from overnight.ledger.states import BatchState

    job = night.job(night.planned[0])
    job._move(BatchState.SUBMITTING, night.clock(), intent_at=night.clock())
    connect(monkeypatch, {**slow.hosts, "openai": f"http://127.0.0.1:{closed_port()}/v1"})
    blind = night.job(night.planned[0]).submit(now=night.clock)
    assert isinstance(blind, Wait)
    assert "could not be searched for" in blind.why
    assert night.job(night.planned[0]).batch["state"] == "in_doubt"
    connect(monkeypatch, slow.hosts)
    early = night.job(night.planned[0]).submit(now=night.clock)
    assert isinstance(early, Wait)
    assert "its create may still be on its way" in early.why
    assert slow.creates() == 0
    night.now = early.until
    assert night.job(night.planned[0]).submit(now=night.clock) is None
    assert night.job(night.planned[0]).batch["state"] == "submitted"
    assert slow.creates() == 1


def test_a_key_that_was_revoked_is_alerted_and_tried_again_until_the_cutoff(
    night: Night, slow: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mend the key and the same requests go by themselves; nothing was bought, nothing is lost."""
    connect(monkeypatch, slow.hosts, key="bad")
    wait = night.job(night.planned[0]).submit(now=night.clock)
    assert isinstance(wait, Wait)
    assert wait.until < night.job(night.planned[0]).batch["cutoff_at"]
    (alert,) = night.describe()["alerts"]
    assert alert["kind"] == "key_refused"
    assert "Nothing was bought, nothing is lost" in alert["message"]
    connect(monkeypatch, slow.hosts)
    night.now = wait.until
    assert night.job(night.planned[0]).submit(now=night.clock) is None
    assert slow.creates() == 1
    assert night.problems() == []


def test_a_batch_that_is_refused_for_good_goes_to_the_next_night_and_keeps_nobody_waiting(
    night: Night, slow: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A 4xx would be a 4xx again: said, carried over, and the night goes on without it."""
    connect(monkeypatch, {**slow.hosts, "openai": f"{slow.url}/openai/v2"})  # 404: nothing is there
    assert night.batch(night.planned[0])["carried_over"] == 40
    night.validate()
    assert night.export() == {"locked": 40, "staged": 0, "failed": 0, "carried_over": 40}
    (alert,) = night.describe()["alerts"]
    assert alert["kind"] == "batch_refused"
    assert slow.creates() == 0
    assert night.problems() == []


def test_a_batch_the_vendor_failed_as_a_whole_is_alerted_and_its_items_are_carried_over(night: Night, slow: Sandbox) -> None:
    """OpenAI accepts a batch and fails it later: nothing billed, nothing lost, and not in silence."""
    import json
    import sqlite3

    job = night.job(night.planned[0])
    job.submit(now=night.clock)
    trouble = json.dumps({"code": "token_limit_exceeded", "line": None, "message": "Enqueued token limit reached", "param": None})
    with sqlite3.connect(slow.state) as db:
        db.execute("UPDATE batches SET error = ?", (trouble,))
    wait_ended("openai", job.batch["vendor_batch_id"])
    job.ended(now=night.clock)
    assert job.land(now=night.clock) == {"missing": 40}
    night.validate()
    assert night.export() == {"locked": 40, "staged": 0, "failed": 0, "carried_over": 40}
    (alert,) = night.describe()["alerts"]
    assert alert["kind"] == "batch_failed"
    assert "token_limit_exceeded" in alert["message"]
    assert night.problems() == []


def test_a_batch_that_comes_to_be_sent_after_its_cutoff_is_not_bought(night: Night, slow: Sandbox) -> None:
    """It would be bought and cancelled; its items go to the next night instead."""
    job = night.job(night.planned[0])
    night.now = job.batch["cutoff_at"]
    job.submit(now=night.clock)
    assert job.land(now=night.clock) == {"carried_over": 40}
    night.validate()
    assert night.export() == {"locked": 40, "staged": 0, "failed": 0, "carried_over": 40}
    assert slow.creates() == 0
    assert night.problems() == []


def test_a_night_validated_while_its_batch_is_still_out_does_not_let_its_items_be_bought_again(
    night: Night, slow: Sandbox
) -> None:
    """Somebody marks the batch task a success by hand: what may be at the vendor is in doubt, and the next night leaves it."""
    night.job(night.planned[0]).submit(now=night.clock)
    night.validate()
    assert night.export()["carried_over"] == 40
    again = Night(night.ledger, "review_sentiment", run_id="manual__2", now=night.now, change=ALONE)
    again.check()
    assert again.drain() == night.planned
    assert again.batch(night.planned[0])["valid"] == 40
    assert slow.creates() == 1
    assert again.problems() == []


def test_a_batch_whose_items_went_to_another_night_is_never_sent(night: Night, slow: Sandbox) -> None:
    """An old task that is cleared late finds its items gone and buys nothing."""
    from overnight.ledger.errors import LedgerError

    old = night.planned[0]
    night.validate()
    night.export()
    again = Night(night.ledger, "review_sentiment", run_id="manual__2", now=night.now, change=ALONE)
    again.check()
    again.drain()
    with pytest.raises(LedgerError, match="no longer locked in this night"):
        night.job(old).submit(now=night.clock)
    assert slow.creates() == 0


def test_a_cancel_that_does_not_get_through_does_not_keep_the_night_from_its_review(
    night: Night, slow: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The vendor is away at the cutoff: the batch is given up in doubt at the end of its time, the rest is shown."""
    job = night.job(night.planned[0])
    job.submit(now=night.clock)
    connect(monkeypatch, {"openai": f"http://127.0.0.1:{closed_port()}/v1"})
    job.cut(now=night.clock)
    assert job.batch["state"] == "cancelling"
    assert "did not get through" in job.batch["error"]
    assert not job.look_once(now=night.clock)
    job.carry_over_in_doubt(now=night.clock)
    night.validate()
    assert night.export()["carried_over"] == 40


def test_a_cancel_that_did_not_get_through_is_said_again(night: Night, slow: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """A vendor that was away when the switch was thrown works on and bills: it is told as soon as it is back."""
    shard = night.shard(night.planned[0])
    shard.advance(now=night.clock)
    job = shard.newest()
    at = {"openai": f"http://127.0.0.1:{closed_port()}/v1"}
    connect(monkeypatch, at)
    job.cut(now=night.clock)
    waiting = shard.advance(now=night.clock)
    assert isinstance(waiting, Wait)
    assert "did not get through" in waiting.why
    connect(monkeypatch, slow.hosts)
    assert isinstance(shard.advance(now=night.clock), Watch)
    assert shard.newest().batch["error"] is None
    assert [call for call in slow.calls() if call[1].endswith("/cancel")]
