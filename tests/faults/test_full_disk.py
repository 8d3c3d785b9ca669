"""The ledger's disk is full in the middle of a night: a real file system of a few megabytes, real ENOSPC."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from overnight.ledger import migrate
from overnight.ledger.connect import Ledger
from tests.conftest import Sandbox
from tests.support.disk import SmallDisk, small_disk
from tests.support.judge import judge
from tests.support.night import EVENING, Night, sample

WORKFLOW = "review_sentiment"
SIZE_KB = 6_000
TODAY = datetime.now(UTC).date().toordinal()


@pytest.fixture
def disk() -> Iterator[SmallDisk]:
    """A file system with a quota. The right to mount is no part that could be installed: without it nothing is tried here."""
    try:
        with small_disk(SIZE_KB) as made:
            yield made
    except PermissionError as refused:
        pytest.skip(str(refused))


@pytest.mark.parametrize("seed", range(TODAY, TODAY + 2))
def test_a_night_whose_disk_fills_up_is_finished_when_there_is_room_again(
    seed: int, disk: SmallDisk, connected: Sandbox, queue: Path
) -> None:
    """The task fails in words, nothing half-written stays, and clearing it goes on: no item lost, no answer bought twice."""
    rows = len(sample(queue, WORKFLOW))
    ledger = Ledger(f"sqlite:///{disk.path / 'ledger.db'}")
    migrate.upgrade(ledger)
    dice, failures = random.Random(seed), 0
    try:
        for attempt in range(8):
            disk.release()
            if attempt < 3:
                disk.fill(leave_kb=dice.randrange(20, 900))
            night = Night(ledger, WORKFLOW, now=EVENING + timedelta(minutes=20 * attempt))
            try:
                night.run()
                break
            except OperationalError as full:
                if "disk is full" not in str(full):
                    raise
                failures += 1
                ledger.engine.dispose()  # the task's process ended; the next one opens the file anew
        found = judge(ledger, connected.state, rows=rows)
        assert failures > 0, "the disk was never full: leave less room"
        assert night.row()["state"] == "closed"
        assert found["problems"] == []
        assert found["lost"] == found["paid_twice"] == found["wrong_successes"] == 0
    finally:
        ledger.close()
    print(f"seed {seed}: {failures} times full, {found['items']} items, {found['batches']} batches, 0 lost, 0 paid twice")  # noqa: T201
