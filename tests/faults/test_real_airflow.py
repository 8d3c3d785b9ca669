"""A real Airflow, and SIGKILL for its task, its triggerer or its scheduler while a batch is submitted, waited for, landed or cut.

Twelve cases over one running Airflow. CI runs two of them, another pair each day; `make faults` runs all (OVERNIGHT_FAULTS=all).
"""

import json
import os
import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import psutil
import pytest
from rich.console import Console

from overnight.ledger import overview, verify
from overnight.ledger.connect import Ledger
from overnight.rehearsal import night as rehearsal
from overnight.rehearsal import processes
from overnight.rehearsal.airflow_api import AirflowApi, wait_for
from overnight.rehearsal.home import Home
from tests.support.airflow import IMPATIENT

pytestmark = pytest.mark.airflow
WORKFLOW, ROWS = "review_sentiment", 6
CASES = list(product(("submit", "wait", "land", "cutoff"), ("task", "triggerer", "scheduler")))
GOOD: list[str] = []


def todays(count: int) -> list[tuple[str, str]]:
    """A pair that changes from day to day, the same within one."""
    return random.Random(datetime.now(UTC).date().isoformat()).sample(CASES, count)


class Airflow:
    """One running Airflow with a slow vendor, and the means to kill parts of it."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.api: AirflowApi
        self.api, self.env = rehearsal.start(Console(), home, batch_seconds=5, profile="slow", seed=3, settings=IMPATIENT)
        self.ledger = Ledger(f"sqlite:///{home.airflow / 'overnight.db'}")
        for old in (home.queue / WORKFLOW).glob("*.csv"):
            old.unlink()

    def queue(self, name: str) -> None:
        rows = "".join(f"{name}-{n},S,5,Soft fabric {name} number {n}.\n" for n in range(ROWS))
        (self.home.queue / WORKFLOW / f"{name}.csv").write_text("review_id,sku,rating,body\n" + rows)

    def newest(self) -> Any:
        """The newest batch of the newest night, None before there is one."""
        with self.ledger.read() as conn:
            query = (
                "SELECT b.*, n.run_id, n.id AS night FROM batches b JOIN nights n ON n.id = b.night_id "
                "WHERE n.id = (SELECT max(id) FROM nights) ORDER BY b.attempt DESC, b.id"
            )
            return conn.exec_driver_sql(query).mappings().first()

    def tasks(self) -> list[psutil.Process]:
        """Processes that run a task of this Airflow now."""
        found = []
        for process in psutil.process_iter():
            try:
                command = " ".join(process.cmdline())
                if command.startswith("airflow worker -- ") and "LocalExecutor" not in command and self._is_ours(process):
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def _is_ours(self, process: psutil.Process) -> bool:
        return process.environ().get("AIRFLOW_HOME") == str(self.home.airflow)

    def kill(self, what: str) -> None:
        """SIGKILL. A scheduler takes its workers with it, as a lost host would."""
        if what == "task":
            for process in self.tasks():
                process.kill()
            return
        pid = int(processes._read(self.home)[what]["pid"])
        for process in processes._session(pid) if what == "scheduler" else [psutil.Process(pid)]:
            process.kill()
        wait_for(lambda: what in processes.dead(self.home), 20, f"{what} did not die", 0.05)
        for process in processes._session(pid):
            process.kill()
        rehearsal.start_component(self.home, what, self.env)


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    before = dict(os.environ)
    home = Home(tmp_path_factory.mktemp("faults") / "home")
    try:
        yield Airflow(home)
    finally:
        processes.stop_all(home)
        os.environ.clear()
        os.environ.update(before)
        write_results()


def write_results() -> None:
    """`make faults` keeps the counts beside the benchmarks' (OVERNIGHT_FAULTS_RESULTS names the file)."""
    if path := os.environ.get("OVERNIGHT_FAULTS_RESULTS"):
        known = json.loads(Path(path).read_text())
        zero = {"items_lost": 0, "answers_paid_twice": 0}  # a case that finds one fails, and is not counted as good
        said = {"cases": len(CASES), "good": sorted(GOOD), **zero, "measured_at": datetime.now(UTC).isoformat(timespec="seconds")}
        Path(path).write_text(json.dumps({**known, "faults_on_airflow": said}, indent=2) + "\n")


def when(condition: Callable[[], Any], what: str, timeout_s: float = 150) -> None:
    """At once when it holds: the moments to kill in are short."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, f"never saw {what}"
        time.sleep(0.004)


@pytest.mark.parametrize(("phase", "victim"), CASES if os.environ.get("OVERNIGHT_FAULTS") == "all" else todays(2))
def test_a_part_of_airflow_that_is_killed_loses_nothing_and_pays_nothing_twice(phase: str, victim: str, airflow: Airflow) -> None:
    """Airflow goes on by its own means: retries, triggers taken over, orphans adopted; the ledger says what was done."""
    name = f"{phase}{victim}"
    airflow.queue(name)
    run_id = airflow.api.trigger(WORKFLOW, {"start": "now"})
    when(lambda: (batch := airflow.newest()) and batch["run_id"] == run_id, "the batch planned")
    if phase == "cutoff":
        slow_down_and_cut(airflow)
    wait_for_the_moment(airflow, phase, victim, run_id)
    nothing_leaked(airflow)
    airflow.kill(victim)
    wait_for(lambda: airflow.api.run_state(WORKFLOW, run_id) in ("success", "failed"), 300, f"{run_id} did not end")
    assert airflow.api.run_state(WORKFLOW, run_id) == "success"
    night = described(airflow, run_id)
    assert night["state"] == "closed"
    assert night["outcomes"]["locked"] == night["outcomes"]["staged"] + night["outcomes"]["carried_over"]
    if phase != "cutoff":
        assert night["outcomes"]["staged"] >= ROWS
    with airflow.ledger.read() as conn:
        assert verify.problems(conn) == []
    assert accepted_twice(airflow.home.root / "sandbox.db") == []
    assert orphans(airflow) == []
    nothing_leaked(airflow)
    GOOD.append(f"{victim} killed at {phase}")


def nothing_leaked(airflow: Airflow) -> None:
    """No key and no item's text in XCom, in the triggers as they are stored now, or in any log."""
    with closing(sqlite3.connect(airflow.home.airflow / "airflow.db", timeout=20)) as db:
        stored = str(db.execute("SELECT key, value FROM xcom").fetchall()) + str(
            db.execute("SELECT kwargs FROM trigger").fetchall()
        )
    logs = " ".join(path.read_text() for path in (airflow.home.airflow / "logs").rglob("*.log"))
    for secret in ("sandbox-key", "Soft fabric"):
        assert secret not in stored
        assert secret not in logs


def wait_for_the_moment(airflow: Airflow, phase: str, victim: str, run_id: str) -> None:
    state = {"submit": "submitting", "wait": "submitted", "land": "ended", "cutoff": "cancelling"}[phase]
    when(lambda: (batch := airflow.newest()) and batch["state"] == state, f"the batch {state}")
    if victim == "task" and phase in ("wait", "cutoff"):
        return  # still in its process, on its way to defer
    if phase in ("wait", "cutoff"):
        deferred = lambda: "deferred" in {task[2] for task in airflow.api.tasks(WORKFLOW, run_id) if task[0] == "batch"}  # noqa: E731
        landed = lambda: airflow.newest()["state"] != state  # noqa: E731
        wait_for(lambda: deferred() or landed(), 60, "the batch task did not defer", 0.1)


def slow_down_and_cut(airflow: Airflow) -> None:
    """A batch that is half done for ever, and a cutoff in half a minute."""
    cutoff = (datetime.now(UTC) + timedelta(seconds=25)).strftime("%Y-%m-%d %H:%M:%S.%f")
    with airflow.ledger.write() as conn:
        conn.exec_driver_sql("UPDATE nights SET cutoff_at = ? WHERE id = ?", (cutoff, airflow.newest()["night"]))
    when(lambda: airflow.newest()["vendor_batch_id"], "the batch submitted")
    with closing(sqlite3.connect(airflow.home.root / "sandbox.db", timeout=20)) as db, db:
        batch = airflow.newest()["vendor_batch_id"]
        db.execute("UPDATE batches SET ends = 1e12 WHERE id = ?", (batch,))
        db.execute("UPDATE requests SET done_at = 1e12 WHERE batch = ? AND position % 2", (batch,))


def described(airflow: Airflow, run_id: str) -> dict[str, Any]:
    with airflow.ledger.read() as conn:
        (row,) = [night for night in overview.list_nights(conn, WORKFLOW) if night["run_id"] == run_id]
        return overview.describe(conn, row)


def accepted_twice(state: Path) -> list[Any]:
    with closing(sqlite3.connect(state, timeout=20)) as db:
        return db.execute("SELECT custom_id, count(*) FROM requests GROUP BY custom_id HAVING count(*) > 1").fetchall()


def orphans(airflow: Airflow) -> list[str]:
    """Batches the vendor took that the ledger does not know."""
    with airflow.ledger.read() as conn:
        known = {row[0] for row in conn.exec_driver_sql("SELECT vendor_batch_id FROM batches")}
    with closing(sqlite3.connect(airflow.home.root / "sandbox.db", timeout=20)) as db:
        return [row[0] for row in db.execute("SELECT id FROM batches") if row[0] not in known]
