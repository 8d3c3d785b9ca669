"""A part of the fault matrix that differs from day to day; `make faults` runs all of it."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from tests.conftest import PROJECT


def test_a_part_of_the_fault_matrix_loses_nothing_and_pays_nothing_twice(tmp_path: Path) -> None:
    """Real operators and triggers, killed by SIGKILL under fault profiles on all three vendors: the counts are printed."""
    day = datetime.now(UTC).date().toordinal()
    home = {"AIRFLOW_HOME": str(tmp_path / "airflow"), "AIRFLOW__LOGGING__LOGGING_LEVEL": "CRITICAL"}
    env = {**os.environ, **home, "PYTHONPATH": f"{PROJECT / 'plugins'}:{PROJECT}"}
    command = [sys.executable, "-m", "tests.support.fault_matrix", str(tmp_path / "progress.jsonl")]
    ran = subprocess.run(
        [*command, "--part", str(day), "36", "--minutes", "1", "--workers", "2"],
        cwd=PROJECT, env=env, capture_output=True, text=True, timeout=420, check=False,
    )  # fmt: skip
    assert ran.stdout, ran.stderr[-3000:]
    counts = json.loads(ran.stdout.splitlines()[-1])
    print(counts)  # noqa: T201
    assert counts["items_lost"] == counts["answers_paid_twice"] == counts["wrong_successes"] == 0, counts
    assert counts["bad_runs"] == [], (tmp_path / "progress.jsonl").read_text()[-4000:]
    assert counts["nights_with_more_points_than_are_killed_at"] == []
    assert counts["vendors"] == 3
    assert counts["runs"] >= 8, "too few to say anything"
    assert ran.returncode == 0, ran.stderr[-3000:]
