"""The ledger's disk is full in the middle of a night: a real file system of a few megabytes, real ENOSPC."""

import random
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from overnight.ledger import migrate
from overnight.ledger.connect import Ledger
from tests.conftest import Sandbox
from tests.support.judge import judge
from tests.support.night import EVENING, Night, sample

WORKFLOW = "review_sentiment"
SIZE_KB = 6_000
TODAY = datetime.now(UTC).date().toordinal()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with a quota, unmounted afterwards."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE_KB}k", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if mounted.returncode != 0:
        # A right, not a part of the system that could be installed: without it the promise is not tried here.
        pytest.skip(f"no right to mount a small file system: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False)


@pytest.mark.parametrize("seed", range(TODAY, TODAY + 2))
def test_a_night_whose_disk_fills_up_is_finished_when_there_is_room_again(
    seed: int, small_disk: Path, connected: Sandbox, queue: Path
) -> None:
    """The task fails in words, nothing half-written stays, and clearing it goes on: no item lost, no answer bought twice."""
    rows = len(sample(queue, WORKFLOW))
    ledger = Ledger(f"sqlite:///{small_disk / 'ledger.db'}")
    migrate.upgrade(ledger)
    ballast, dice, failures = small_disk / "ballast", random.Random(seed), 0
    try:
        for attempt in range(8):
            fill(ballast, small_disk, leave_kb=dice.randrange(20, 900) if attempt < 3 else None)
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


def fill(ballast: Path, disk: Path, *, leave_kb: int | None) -> None:
    """Take up the disk but for so much; None: give all of it back."""
    ballast.unlink(missing_ok=True)
    if leave_kb is not None:
        ballast.write_bytes(b"\0" * max(0, shutil.disk_usage(disk).free - leave_kb * 1024))
