"""Many looks at one vendor from one loop: hung ones stall nobody, a Retry-After said to one is kept by all, a cap holds."""

import asyncio
import time

import pytest

from overnight.batches.errors import AuthFailed, MaybeAccepted, TryLater
from overnight.batches.vendor import Phase, Progress, vendor_class
from overnight.batches.watch import Watcher, _watchers, watching


class Answering:
    """A vendor that answers as the batch's name says, and counts."""

    def __init__(self) -> None:
        self.began: list[float] = []
        self.flying = self.most = self.closed = 0

    async def poll(self, vendor_batch_id: str) -> Progress:
        self.began.append(time.monotonic())
        self.flying += 1
        self.most = max(self.most, self.flying)
        try:
            if vendor_batch_id.startswith("hung"):
                await asyncio.sleep(3600)
            if vendor_batch_id.startswith("busy"):
                raise TryLater("HTTP 429", retry_after_s=0.3)
            if vendor_batch_id.startswith("locked"):
                raise AuthFailed("HTTP 401")
            await asyncio.sleep(0.1 if vendor_batch_id.startswith("slow") else 0.01)
            return Progress(Phase.RUNNING)
        finally:
            self.flying -= 1

    async def close(self) -> None:
        self.closed += 1


def watcher(apart_s: float = 0.0) -> tuple[Watcher, Answering]:
    made, vendor = Watcher("openai", apart_s), Answering()
    made._vendor = vendor  # type: ignore[assignment]
    return made, vendor


async def test_hung_looks_end_by_themselves_and_the_others_do_not_wait_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Six that never answer beside twenty that do: the twenty are done long before."""
    monkeypatch.setenv("OVERNIGHT_CALL_SECONDS", "1")
    looking, _ = watcher()
    hung = [asyncio.ensure_future(looking.look(f"hung{n}")) for n in range(6)]
    await asyncio.gather(*(looking.look(f"ok{n}") for n in range(20)))
    assert not any(look.done() for look in hung)
    ended = await asyncio.gather(*hung, return_exceptions=True)
    assert all(isinstance(error, MaybeAccepted) for error in ended)


async def test_a_retry_after_said_to_one_look_is_kept_by_all() -> None:
    """No other call reaches the vendor before it asked to be asked again."""
    looking, vendor = watcher()
    with pytest.raises(TryLater):
        await looking.look("busy")
    for n in range(5):
        with pytest.raises(TryLater, match="asked for quiet") as quiet:
            await looking.look(f"ok{n}")
        assert 0 < (quiet.value.retry_after_s or 0) <= 0.3
    assert len(vendor.began) == 1
    await asyncio.sleep(quiet.value.retry_after_s or 0)  # the vendor's own wish
    await looking.look("ok")
    assert len(vendor.began) == 2


async def test_no_more_looks_are_in_flight_than_the_vendor_is_given() -> None:
    """A fact of the vendor; the rest wait their turn and all get it."""
    looking, vendor = watcher()
    await asyncio.gather(*(looking.look(f"ok{n}") for n in range(200)))
    assert vendor.most == vendor_class("openai").facts.status_calls
    assert len(vendor.began) == 200


async def test_looks_that_are_due_together_begin_one_after_the_other() -> None:
    """Two hundred batches are sent within seconds and would be asked for within seconds: the loop has other triggers, too."""
    looking, vendor = watcher(apart_s=0.02)
    await asyncio.gather(*(looking.look(f"slow{n}") for n in range(20)))
    assert vendor.began[-1] - vendor.began[0] >= 18 * 0.02  # one less: the first may itself have been held up
    assert vendor.most < 20


async def test_a_look_that_waits_for_its_turn_does_not_begin_when_quiet_was_asked_for_meanwhile() -> None:
    """The first of ten is told to come back later: those behind it have not begun, and none does."""
    looking, vendor = watcher(apart_s=0.02)
    told = await asyncio.gather(looking.look("busy"), *(looking.look(f"ok{n}") for n in range(9)), return_exceptions=True)
    assert all(isinstance(error, TryLater) for error in told)
    assert len(vendor.began) == 1


async def test_a_refused_key_gives_the_client_up_so_that_a_mended_one_is_read() -> None:
    """The next look reads the connection anew."""
    looking, vendor = watcher()
    with pytest.raises(AuthFailed):
        await looking.look("locked")
    assert vendor.closed == 1
    assert looking._vendor is None


async def test_all_triggers_of_a_loop_share_one_watcher_and_the_last_closes_it() -> None:
    """One client, not two hundred."""
    async with watching("openai") as one, watching("openai") as two:
        assert one is two
        one._vendor = vendor = Answering()  # type: ignore[assignment]
    assert vendor.closed == 1
    assert not _watchers
