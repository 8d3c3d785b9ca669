"""What comes late or twice: batches that never settle, rows that moved on, two runs of one task."""

from datetime import timedelta
from pathlib import Path

import pytest

from overnight.batches.errors import Overtaken
from overnight.batches.job import BatchJob
from overnight.batches.vendor import vendor_class
from overnight.batches.waits import Wait
from overnight.ledger import batches, findings
from overnight.ledger import reviews as reviews_of
from overnight.ledger.connect import Ledger
from overnight.ledger.errors import LedgerError
from overnight.ledger.states import BatchState
from tests.batches.paying import at_vendor_done, finish, opened, requests_at, reviews, sent, spoil
from tests.conftest import Sandbox
from tests.support.night import Night, paid_twice, queue_file


def given_up(night: Night, job: BatchJob) -> None:
    """The night goes on without a batch that is still at its vendor."""
    job.carry_over_in_doubt(now=night.clock)
    night.validate()
    night.export()


def after(night: Night) -> Night:
    """The next night, drained: what is out at the vendor lands there."""
    later = Night(night.ledger, night.workflow, run_id="manual__2", now=night.now)
    later.check()
    later.drain()
    return later


def test_a_batch_that_its_vendor_never_settles_is_a_persons_to_give_up(ledger: Ledger, queue: Path, connected: Sandbox) -> None:
    """Its items are held for as long as nobody decides; released, they are bought by the next night, and the log says by whom."""
    night, job = sent(ledger, queue)
    with pytest.raises(LedgerError, match="cannot be released"), ledger.write() as conn:
        batches.release(conn, job.batch["key"], by="Ada", reason="x", now=night.clock())
    given_up(night, job)
    with ledger.write() as conn:
        assert [row["key"] for row in batches.doubts(conn)] == [job.batch["key"]]
        assert batches.release(conn, job.batch["key"], by="Ada", reason="the vendor lost it", now=night.clock()) == 2
        assert batches.doubts(conn) == []
    assert finish(after(night))["staged"] == 2
    assert connected.creates() == 2


def test_a_late_result_for_a_row_that_was_changed_meanwhile_is_kept_and_moves_nothing(
    sqlite_ledger: Ledger, queue: Path, connected: Sandbox
) -> None:
    """The row's newer self is what people want; the old answer was paid for and stays on record."""
    night, job = sent(sqlite_ledger, queue)
    given_up(night, job)
    queue_file(queue, "review_sentiment", "a.csv", reviews(2).replace("number 1.", "number 1 and later I changed my mind."))
    assert finish(after(night)) == {"locked": 2, "staged": 2, "failed": 0, "carried_over": 0}
    assert len(requests_at(connected)) == 2


def test_what_a_step_in_code_found_about_an_item_goes_with_it_into_the_night_it_lands_in(
    ledger: Ledger, queue: Path, connected: Sandbox
) -> None:
    """The step is not run again there: an order that takes two people would be one of those the digest speaks for."""
    night, job = sent(ledger, queue)
    with ledger.write() as conn:
        (first, _) = batches.open_items(conn, job.batch)
        said = {"rule": "large_orders", "severity": "escalate", "field": None, "message": "over the limit", "evidence": None}
        findings.add(conn, [{"item_id": first, "night_id": night.row()["id"], **said}])
    given_up(night, job)
    later = after(night)
    assert finish(later)["staged"] == 2
    assert connected.creates() == 1
    with ledger.read() as conn:
        buckets = {row["id"]: row["bucket"] for row in reviews_of.entries(conn, later.row()["id"])}
    assert buckets[first] == "safety"


def test_a_night_validated_in_the_middle_of_a_landing_buys_nothing_again(
    sqlite_ledger: Ledger, queue: Path, connected: Sandbox
) -> None:
    """Somebody marks the task a success while it lands: the next night takes what is there and lands the rest."""
    import asyncio

    from overnight.batches.land import Landing

    queue_file(queue, "review_sentiment", "a.csv", reviews(6))
    night = opened(sqlite_ledger, pack=1, reuse=False)
    job = at_vendor_done(night)
    job._keep(*asyncio.run(job._download()))
    half = Landing(sqlite_ledger, job.task.workflow, vendor_class("openai"), job.batch, job.task.actor)
    half._write({r.custom_id: r for r in list(half._results(job.batch["raw_path"]))[:3]}, now=night.clock())
    night.validate()
    assert night.export() == {"locked": 6, "staged": 0, "failed": 0, "carried_over": 6}
    later = Night(sqlite_ledger, "review_sentiment", run_id="manual__2", now=night.now, change={"pack": 1, "reuse": False})
    later.check()
    later.drain()
    assert finish(later) == {"locked": 6, "staged": 6, "failed": 0, "carried_over": 0}
    assert connected.creates() == 1
    assert paid_twice(connected) == []


def test_what_was_wrong_with_a_repaired_answer_is_not_shown_beside_the_good_one(
    sqlite_ledger: Ledger, queue: Path, connected: Sandbox
) -> None:
    """Findings belong to an answer: the reviewer sees those of the one that counts."""
    from overnight.ledger import findings

    queue_file(queue, "review_sentiment", "a.csv", reviews(2))
    night = opened(sqlite_ledger, pack=1)
    job = at_vendor_done(night)
    spoil(night, job, '"quote": "Soft fabric number 1."', '"quote": "Hard fabric number 1."')
    assert finish(night)["staged"] == 2
    with sqlite_ledger.read() as conn:
        rules = {row["rule"] for rows in findings.of_night(conn, night.row()["id"]).values() for row in rows}
        history = {row[0] for row in conn.exec_driver_sql("SELECT rule FROM findings")}
    assert "quotes_are_verbatim" in history
    assert "quotes_are_verbatim" not in rules


def test_two_runs_of_one_task_at_once_send_one_batch(ledger: Ledger, queue: Path, connected: Sandbox) -> None:
    """Both saw it planned; the ledger lets one of them through, and the other waits."""
    queue_file(queue, "review_sentiment", "a.csv", reviews(2))
    night = opened(ledger)
    one, other = night.job(night.planned[0]), night.job(night.planned[0])
    one.submit(now=night.clock)
    wait = other.submit(now=night.clock)
    assert isinstance(wait, Wait)
    assert "another run of this task" in wait.why
    assert connected.creates() == 1
    assert finish(night)["staged"] == 2


def test_a_run_that_searched_before_another_sent_frees_nothing_for_sending(
    ledger: Ledger, queue: Path, connected: Sandbox
) -> None:
    """Both search one doubtful batch in vain; one plans it again and sends it; the other comes late and takes nothing back."""
    queue_file(queue, "review_sentiment", "a.csv", reviews(2))
    night = opened(ledger)
    first = night.job(night.planned[0])
    first._intend(night.clock())
    first._doubt(night.clock())
    late = night.job(night.planned[0])
    night.now += timedelta(minutes=20)  # the quiet time is over
    first._move_if_mine(BatchState.PLANNED, night.clock())
    first._intend(night.clock())
    with pytest.raises(Overtaken):  # its search found nothing, too; the other's create is on its way
        late._move_if_mine(BatchState.PLANNED, night.clock())
    assert first._send(night.clock) is None
    assert connected.creates() == 1
    waits = late.submit(now=night.clock)
    assert isinstance(waits, Wait)
    assert "taken over by another run" in waits.why
    assert connected.creates() == 1
    assert finish(night)["staged"] == 2
    assert paid_twice(connected) == []
