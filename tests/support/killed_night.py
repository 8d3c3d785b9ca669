"""Runs a night over and over, killed with SIGKILL right before one of its writing commits after the other, and run again.

A program of its own, so that it forks from a process without threads. Prints one JSON line: what happened.
usage: python -m tests.support.killed_night WORKFLOW FOLDER [FIRST STEP]    (every STEP-th commit from FIRST on; all without)
"""

import json
import os
import signal
import sys
import traceback
from datetime import timedelta
from pathlib import Path
from typing import Any

import great_expectations  # noqa: F401 - seconds once, not in each child
from sqlalchemy import event

from overnight.ledger import migrate
from overnight.ledger.connect import Ledger
from tests.support.night import EVENING, Night

TRIES = 8  # Airflow would try a task again, too


def run_in_child(path: Path, workflow: str, kill_at: int | None = None, later: timedelta = timedelta()) -> int:
    """Fork and run the night; returns how many commits it had, -1 when it was killed, 255 when it failed."""
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(_run(path, workflow, kill_at, later))
        except BaseException:
            traceback.print_exc()
            os._exit(255)
    _, status = os.waitpid(pid, 0)
    return -1 if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def _run(path: Path, workflow: str, kill_at: int | None, later: timedelta) -> int:
    commits, ledger = 0, Ledger(f"sqlite:///{path}")

    def on_commit(conn: Any) -> None:
        nonlocal commits
        if conn.get_execution_options().get("overnight_write"):
            commits += 1
            if commits == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    event.listen(ledger.engine, "commit", on_commit)
    night = Night(ledger, workflow, run_id=f"manual__{path.stem}", now=EVENING + later)
    night.run()
    night.collect()
    return min(commits, 250)


def main(workflow: str, folder: Path, first: int = 1, step: int = 1) -> None:
    """One unharmed night, then one for each of the chosen commits."""
    whole = folder / "whole.db"
    migrate.upgrade(Ledger(f"sqlite:///{whole}"))
    commits = run_in_child(whole, workflow)
    report: dict[str, Any] = {"commits": commits, "killed": 0, "unfinished": [], "nights": []}
    for kill_at in range(first, commits + 1, step):
        path = folder / f"{kill_at}.db"
        migrate.upgrade(Ledger(f"sqlite:///{path}"))
        report["killed"] += run_in_child(path, workflow, kill_at) == -1
        # Each try is twenty minutes later: an ambiguous create is searched for again once the vendor must have settled it.
        ends = (run_in_child(path, workflow, later=timedelta(minutes=20 * n)) for n in range(1, TRIES + 1))
        if next((end for end in ends if end not in (-1, 255)), None) is None:
            report["unfinished"].append(kill_at)
        night = Night(Ledger(f"sqlite:///{path}"), workflow, run_id=f"manual__{kill_at}")
        report["nights"].append({**night.describe(), "kill_at": kill_at, "problems": night.problems()})
    sys.stdout.write(json.dumps(report, default=str) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *map(int, sys.argv[3:]))
