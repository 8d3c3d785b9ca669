"""A backup is taken in the middle of a night and restored elsewhere; the night goes on there as if nothing had been."""

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from overnight.ledger.connect import Ledger
from tests.conftest import Sandbox, missing
from tests.support import postgresql as servers
from tests.support.judge import judge
from tests.support.night import Night, sample


def restored(ledger: Ledger, folder: Path, request: pytest.FixtureRequest) -> Ledger:
    """As docs/how-to/backup.md says it: SQLite's own online backup, PostgreSQL's pg_dump and pg_restore."""
    if ledger.dialect == "sqlite":
        target = folder / "restored.db"
        with closing(sqlite3.connect(str(ledger.url.database))) as source, closing(sqlite3.connect(target)) as copy:
            source.backup(copy)
        return Ledger(f"sqlite:///{target}")
    # The server's own programs where the wheel has them: pg_dump refuses a server that is newer than itself.
    programs = [next(iter(servers.BIN.glob(name)), None) or shutil.which(name) for name in ("pg_dump", "pg_restore")]
    if None in programs:
        missing(request, "pg_dump and pg_restore")
    dump, restore = map(str, programs)
    source = ledger.url.render_as_string(hide_password=False)
    target = servers.fresh_database(source)
    env = {"PATH": os.environ["PATH"]}
    subprocess.run([dump, "--format=custom", f"--file={folder / 'dump'}", servers.plain(source)], check=True, env=env)
    subprocess.run([restore, "--dbname", servers.plain(target), "--no-owner", folder / "dump"], check=True, env=env)
    return Ledger(target)


@pytest.mark.parametrize("moment", ["after the lock", "while the vendor works"])
def test_a_ledger_restored_in_the_middle_of_a_night_finishes_it(
    moment: str, ledger: Ledger, connected: Sandbox, queue: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Nothing is lost and nothing is bought twice: what was sent before the backup is found at the vendor again."""
    rows = len(sample(queue, "review_sentiment"))
    night = Night(ledger, "review_sentiment")
    night.check()
    (batch_id,) = night.drain()
    if moment == "while the vendor works":
        night.job(batch_id).submit(now=night.clock)
    again = restored(ledger, tmp_path, request)
    try:
        resumed = Night(again, "review_sentiment", now=night.now + timedelta(minutes=30))
        assert resumed.problems() == [], "the backup is one consistent moment"
        resumed.chain([batch_id])
        resumed.validate()
        assert resumed.export()["staged"] > 0
        found = judge(again, connected.state, rows=rows)
        assert resumed.row()["state"] == "closed"
        assert (found["lost"], found["paid_twice"], found["wrong_successes"], found["problems"]) == (0, 0, 0, [])
        assert connected.creates() == 1
    finally:
        again.close()
