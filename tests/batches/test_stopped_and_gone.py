"""What is stopped, gone or not yet due: nothing goes round in circles, nothing is bought under a stop, nothing takes others' place."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from overnight.batches import raw, repair, stops
from overnight.batches.errors import CannotLook, TryLater
from overnight.batches.vendor import Phase, Ticket
from overnight.batches.vendors import anthropic, openai
from overnight.batches.waits import Wait
from overnight.governance import killswitch
from overnight.governance.check import CheckFailed, check
from overnight.governance.launch import State
from overnight.ledger import batches, switches
from overnight.ledger.connect import Ledger
from overnight.queues.drain import drain
from tests.batches.paying import opened, reviews, sent
from tests.conftest import Sandbox
from tests.governance.test_launch import put
from tests.support.night import EVENING, Night, queue_file


def throw(ledger: Ledger, scope: str, *, engaged: bool = True) -> None:
    with ledger.write() as conn:
        switches.throw(conn, scope, engaged=engaged, by="Ada", reason="a test", now=EVENING)


def over(night: Night) -> None:
    night.validate()
    night.export()


def test_two_stopped_vendors_send_a_batch_to_neither_and_wait(sqlite_ledger: Ledger, queue: Path, connected: Sandbox) -> None:
    """It went from one to the other and back, two hundred batches in eighteen seconds."""
    queue_file(queue, "review_sentiment", "a.csv", reviews(4))
    night = opened(sqlite_ledger)
    for vendor in ("openai", "gemini"):
        throw(sqlite_ledger, switches.of_vendor(vendor))
    assert isinstance(night.shard(night.planned[0]).advance(now=night.clock), Wait)
    with sqlite_ledger.read() as conn:
        assert len(batches.of_shard(conn, batches.get(conn, night.planned[0]))) == 1
    throw(sqlite_ledger, switches.of_vendor("gemini"), engaged=False)
    night.now += timedelta(minutes=5)
    night.shard(night.planned[0]).advance(now=night.clock)
    with sqlite_ledger.read() as conn:
        assert [row["vendor"] for row in batches.of_shard(conn, batches.get(conn, night.planned[0]))] == ["openai", "gemini"]


def test_a_night_all_of_whose_vendors_are_stopped_is_not_opened(sqlite_ledger: Ledger, queue: Path, connected: Sandbox) -> None:
    """One of two may be stopped, and the other answers."""
    queue_file(queue, "review_sentiment", "a.csv", reviews(2))
    throw(sqlite_ledger, switches.of_vendor("openai"))
    Night(sqlite_ledger, "review_sentiment", run_id="manual__1").check()
    throw(sqlite_ledger, switches.of_vendor("gemini"))
    with pytest.raises(killswitch.Stopped, match="vendor:openai"):
        Night(sqlite_ledger, "review_sentiment", run_id="manual__2").check()


def test_a_batch_whose_time_has_not_come_stays_with_its_model(sqlite_ledger: Ledger, queue: Path, connected: Sandbox) -> None:
    """A breaker that is open at five in the evening says nothing of midnight."""
    queue_file(queue, "review_sentiment", "a.csv", reviews(2))
    night = opened(sqlite_ledger)
    job = night.job(night.planned[0])
    job.breaker.trip("a test says so", night.now)
    job.batch = {**job.batch, "start_at": night.now + timedelta(hours=7)}
    assert not repair.moved_to_fallback(job, now=night.clock)
    job.batch = {**job.batch, "start_at": night.now}
    assert repair.moved_to_fallback(job, now=night.clock)


def test_a_lessons_trial_is_stopped_with_its_workflow() -> None:
    """`stop blog_drafts` during a replay printed that nothing was open, and the second arm was bought."""
    trial: Any = {"workflow": "blog_drafts_replay", "vendor": "anthropic", "prompt_version": "x" * 64}
    assert {"blog_drafts", "blog_drafts_replay"} <= set(stops.scopes(trial)), "and a rule that trips in it stops it alone"
    real: Any = {**trial, "workflow": "blog_drafts"}
    assert "blog_drafts_replay" not in stops.scopes(real)


def test_a_launch_test_holds_only_what_it_asked(sqlite_ledger: Ledger, queue: Path, connected: Sandbox) -> None:
    """Answers to the prompt that was replaced would have passed or failed the new one."""
    night, _ = sent(sqlite_ledger, queue, 3)
    night.job(night.planned[0]).carry_over_in_doubt(now=night.clock)
    over(night)
    put(sqlite_ledger, State.TEST, "review_sentiment")
    queue_file(queue, "review_sentiment", "b.csv", reviews(4, start=10))
    test = Night(sqlite_ledger, "review_sentiment", run_id="manual__test", now=night.now, base=night.now)
    check(sqlite_ledger, test.task("check"), base=test.base, start="now", now=test.clock(), test_items=2)
    drain(sqlite_ledger, test.task("drain"), now=test.clock())
    assert test.describe()["outcomes"]["locked"] == 2


def test_what_came_in_an_earlier_night_and_brought_nothing_takes_nobodys_place(
    sqlite_ledger: Ledger, queue: Path, connected: Sandbox
) -> None:
    """Results that are gone filled the cap every night: no new row was locked again."""
    night, _ = sent(sqlite_ledger, queue, 3, cap=3)
    night.job(night.planned[0]).carry_over_in_doubt(now=night.clock)
    over(night)
    queue_file(queue, "review_sentiment", "b.csv", reviews(6, start=10))
    locked = []
    for number in (1, 2):
        later = Night(
            sqlite_ledger, "review_sentiment", run_id=f"scheduled__{number}", base=EVENING + number * timedelta(days=1),
            now=EVENING + number * timedelta(days=1), change={"cap": 3},
        )  # fmt: skip
        later.check()
        later.drain()
        locked.append(later.describe()["outcomes"]["locked"])
        for batch_id in later.planned:
            later.job(batch_id).carry_over_in_doubt(now=later.clock)
        with sqlite_ledger.read() as conn:
            first = batches.get(conn, night.planned[0])
        later.job(first["id"]).carry_over_in_doubt(now=later.clock)
        over(later)
    assert locked == [3, 6], "the first time they have their place, the second time they stand beside it"


@pytest.mark.parametrize("damage", range(0, 60, 7))
def test_a_raw_file_with_damaged_bytes_is_no_whole_one(damage: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is downloaded again; an error of zlib's own stopped the landing for good."""
    monkeypatch.setenv("OVERNIGHT_RAW_DIR", str(tmp_path))

    async def download() -> raw.RawFile:
        async with raw.writing("k") as (made, sink):
            for n in range(200):
                sink(f'{{"n": {n}}}\n'.encode())
        return made

    made = asyncio.run(download())
    assert raw.is_whole(made.path, made.sha256)
    place = tmp_path / made.path
    whole = bytearray(place.read_bytes())
    whole[len(whole) // 3 + damage] ^= 0x55
    place.write_bytes(bytes(whole))
    assert not raw.is_whole(made.path, made.sha256)


def test_a_strangers_batch_that_goes_on_does_not_hide_ours_that_has_ended() -> None:
    """They look the same from outside: as many requests, created since."""
    counts = SimpleNamespace(processing=0, succeeded=2, errored=0, canceled=0, expired=0)
    made = [
        SimpleNamespace(id=name, created_at=datetime.now(UTC), request_counts=counts, processing_status=status)
        for name, status in (("theirs", "in_progress"), ("ours", "ended"))
    ]

    class Listed(anthropic.AnthropicVendor):
        def _call(self, *_: Any, **__: Any) -> Any:
            async def listed(**_: Any) -> Any:
                for one in made:
                    yield one

            return SimpleNamespace(messages=SimpleNamespace(batches=SimpleNamespace(list=listed)))

        async def _is_of(self, vendor_batch_id: str, key: str) -> bool | None:
            return vendor_batch_id == "ours"

    vendor, ticket = Listed(None), Ticket("key", "m", 2, datetime.now(UTC))
    found = asyncio.run(vendor.search(ticket, set()))
    assert found is not None
    assert found.vendor_batch_id == "ours"
    del made[1]
    with pytest.raises(CannotLook, match="theirs may be ours"):
        asyncio.run(vendor.search(ticket, set()))


@pytest.mark.parametrize(
    ("completed", "files", "ended"),
    [(3, ("f", None), True), (0, (None, "e"), True), (0, (None, None), True), (3, (None, None), False)],
)
def test_answers_that_openai_counts_and_does_not_hand_out_are_waited_for(
    completed: int, files: tuple[str | None, str | None], ended: bool
) -> None:
    """They were generated and are billed: taken as missing, they were bought again."""
    counts = SimpleNamespace(model_dump=lambda: {"total": 3, "completed": completed, "failed": 3 - completed})
    batch = SimpleNamespace(
        status="completed", request_counts=counts, output_file_id=files[0], error_file_id=files[1], errors=None
    )

    class Looked(openai.OpenAIVendor):
        def _call(self, *_: Any, **__: Any) -> Any:
            async def retrieve(_: str) -> Any:
                return batch

            return SimpleNamespace(batches=SimpleNamespace(retrieve=retrieve))

    if ended:
        assert asyncio.run(Looked(None).poll("b")).phase is Phase.ENDED
    else:
        with pytest.raises(TryLater, match="names no file"):
            asyncio.run(Looked(None).poll("b"))


def test_a_launch_test_is_refused_where_the_workflow_is_in_no_test(
    sqlite_ledger: Ledger, queue: Path, connected: Sandbox
) -> None:
    """The words say what it takes."""
    night = Night(sqlite_ledger, "review_sentiment")
    with pytest.raises(CheckFailed):
        check(sqlite_ledger, night.task("check"), base=EVENING, start="now", now=EVENING, test_items=2)
