"""A real Airflow of a rehearsal, with the nights that were run on it."""

import csv
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from overnight.ledger import overview
from overnight.ledger.connect import Ledger
from overnight.rehearsal import night as rehearsal
from overnight.rehearsal import processes
from overnight.rehearsal.airflow_api import AirflowApi, wait_for
from overnight.rehearsal.home import Home, include_dir

IMPATIENT = {
    "OVERNIGHT_QUIET_SECONDS": "4", "OVERNIGHT_AGAIN_SECONDS": "2", "OVERNIGHT_SETTLE_SECONDS": "60",
    "OVERNIGHT_FIRST_LOOK_SECONDS": "8",
    # A killed worker is noticed by its silence: seconds here, five minutes by default.
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "4",
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "3",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "2",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "10",
}  # fmt: skip
"""Settings for an Airflow that notices within seconds what died: for tests that kill."""


@dataclass
class Running:
    """A rehearsal whose nights are over."""

    home: Home
    api: AirflowApi
    env: dict[str, str]
    runs: dict[str, str]
    ledger: Ledger

    @property
    def url(self) -> str:
        """Airflow's own address."""
        return self.env["OVERNIGHT_URL"]

    @property
    def pages(self) -> str:
        """Where our pages are."""
        return f"{self.url}/overnight"

    def night(self, workflow: str) -> Any:
        with self.ledger.read() as conn:
            (row,) = [n for n in overview.list_nights(conn, workflow) if n["run_id"] == self.runs[workflow]]
            return row

    def wait_run(self, dag_id: str, run_id: str, timeout_s: float = 240) -> str:
        wait_for(lambda: self.api.run_state(dag_id, run_id) in ("success", "failed"), timeout_s, f"{run_id} did not end")
        return self.api.run_state(dag_id, run_id)


@contextmanager
def nights(
    folder: Path, workflows: Sequence[str], queues: dict[str, list[dict[str, str]]], before_them: Callable[[Ledger], None]
) -> Iterator[Running]:
    """Airflow with a night of each workflow run to its end, and a look ahead at the next.

    Args:
        queues: workflow → the rows of its queue, where they are not its sample.
        before_them: puts earlier nights into the ledger.
    """
    before, home = dict(os.environ), Home(folder / "home")
    try:
        api, env = rehearsal.start(Console(), home, batch_seconds=2)
        os.environ.clear()
        os.environ.update(before)
        for name, rows in queues.items():
            fill(home.queue / name, rows)
        ledger = Ledger(f"sqlite:///{home.airflow / 'overnight.db'}")
        before_them(ledger)
        made = Running(home, api, env, rehearsal.trigger(api, workflows), ledger)
        for dag_id, run_id in [*made.runs.items(), ("tonight", api.trigger("tonight"))]:
            assert made.wait_run(dag_id, run_id, 900) == "success", (home.logs / "scheduler.log").read_text()[-3000:]
        yield made
    finally:
        processes.stop_all(home)
        os.environ.clear()
        os.environ.update(before)


def fill(folder: Path, rows: list[dict[str, str]]) -> None:
    """Put other rows into a queue's one file."""
    (file,) = folder.glob("*.csv")
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def products(count: int) -> list[dict[str, str]]:
    """Rows for shopify_pages: the sample's products again and again, each with a handle and a colour of its own."""
    with (include_dir() / "prompts" / "shopify_pages" / "sample.csv").open(encoding="utf-8", newline="") as file:
        sample = list(csv.DictReader(file))
    colours = ("Moss", "Slate", "Rust", "Sand", "Night")
    made = []
    for n in range(count):
        row = dict(sample[n % len(sample)])
        colour = colours[n // len(sample)]
        made.append(row | {"handle": f"{row['handle']}-{colour.lower()}", "title": f"{row['title']} {colour}"})
    return made
