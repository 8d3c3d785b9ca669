"""Airflow as a cluster on one machine: real PostgreSQL and Redis, Celery workers and triggerers, and the means to kill parts of it."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import redis
from rich.console import Console

from overnight.ledger.connect import Ledger
from overnight.rehearsal import night as rehearsal
from overnight.rehearsal import processes
from overnight.rehearsal.airflow_api import AirflowApi, wait_for
from overnight.rehearsal.home import Home, free_port
from overnight.rehearsal.topology import Topology, cluster, ledger_url
from tests.support import postgresql
from tests.support.airflow import IMPATIENT
from tests.support.disk import SmallDisk, small_disk

SETTINGS = {
    **IMPATIENT,
    # A task that was handed to a worker that died is still "queued" for Airflow: taken back after a minute, not ten.
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "60",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "10",
}
LEDGER_DISK_KB = 96_000
"""Room for the nights of ten workflows, and little more."""
DONE = ("success", "failed")


class Redis:
    """A Redis server of one's own that keeps what it is told, as the Compose file's does."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        folder.mkdir(parents=True)
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--appendonly", "yes", "--dir", self.folder]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_for(self._answers, 20, "Redis did not start", 0.05)

    def _answers(self) -> bool:
        with redis.Redis(port=self.port) as client:
            try:
                return bool(client.ping())
            except redis.ConnectionError:
                return False

    def stop(self) -> None:
        self.process.kill()
        self.process.wait(20)


@dataclass
class Cluster:
    """What runs, and how to kill it."""

    home: Home
    topology: Topology
    api: AirflowApi
    env: dict[str, str]
    ledger: Ledger
    database: str
    redis: Redis
    disk: SmallDisk | None
    """Where the ledger's tables lie, if the right to mount one is there."""
    started_again: list[str] = field(default_factory=list)
    """Components that ended and were started again, whoever ended them."""

    @property
    def vendor_state(self) -> Path:
        return self.home.root / "sandbox.db"

    def kill(self, name: str) -> None:
        """SIGKILL for a component and all it started, as a lost host would."""
        pid = int(processes._read(self.home)[name]["pid"])
        for process in processes._session(pid):
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        wait_for(lambda: name in processes.dead(self.home), 20, f"{name} did not die", 0.05)

    def supervise(self) -> None:
        """Start again what ended, as the Compose file's `restart: unless-stopped` does.

        Not only what a test killed: Airflow's scheduler ends by itself when the database goes away in the middle of a commit.
        """
        for name in processes.dead(self.home):
            if name in self.topology.components:
                rehearsal.start_component(self.home, name, self.env, self.topology)
                self.started_again.append(name)

    def harm(self, kind: str, which: int, over: Callable[[], bool]) -> str:
        """One accident; returns what was hit. A full disk stays full until it has refused a write, or all is `over`."""
        match kind:
            case "worker" | "triggerer":
                hit = f"{kind}-{which % 2 + 1}"
                self.kill(hit)
            case "scheduler" | "api-server" | "dag-processor":
                hit = kind
                self.kill(hit)
            case "database":
                hit = f"{postgresql.drop_connections(self.database)} connections"
            case "redis":
                self.redis.stop()
                self.redis.start()
                hit = "Redis"
            case "disk" if self.disk is not None:
                before = postgresql.writes_refused(self.database)
                self.disk.fill()
                try:
                    wait_for(lambda: postgresql.writes_refused(self.database) > before or over(), 300, "nothing was written", 0.5)
                finally:
                    self.disk.release()
                hit = f"{postgresql.writes_refused(self.database) - before} writes"
            case _:
                raise ValueError(kind)
        return hit

    def states(self, runs: dict[str, str]) -> dict[str, str]:
        return {dag_id: self.api.run_state(dag_id, run_id) for dag_id, run_id in runs.items()}

    def finish(self, runs: dict[str, str], timeout_s: float, *, clears: int = 2) -> int:
        """Wait until every run is over, clearing failed tasks as the person on call would; returns how many runs were cleared."""
        cleared: dict[str, int] = dict.fromkeys(runs, 0)

        def over() -> bool:
            self.supervise()
            for dag_id, state in self.states(runs).items():
                if state not in DONE:
                    return False
                if state == "failed" and cleared[dag_id] < clears:
                    failed = [
                        task for task, _, state in self.api.tasks(dag_id, runs[dag_id]) if state in ("failed", "upstream_failed")
                    ]
                    self.api.clear(dag_id, runs[dag_id], sorted(set(failed)))
                    cleared[dag_id] += 1
                    return False
            return True

        wait_for(over, timeout_s, f"the nights did not end: {self.states(runs)}", 1.0)
        return sum(cleared.values())


@contextmanager
def running(folder: Path, *, profile: str = "none", seed: int = 0, batch_seconds: float = 2.0) -> Iterator[Cluster]:
    """Everything up and the Dags read; everything ended by process id afterwards."""
    before, home = dict(os.environ), Home(folder / "home")
    broker = Redis(folder / "redis")
    with ExitStack() as stack:
        server = stack.enter_context(postgresql.serve(connections=300))
        try:
            disk = stack.enter_context(small_disk(LEDGER_DISK_KB))
        except PermissionError:
            disk = None
        airflow = postgresql.plain(postgresql.fresh_database(server))
        ours = postgresql.plain(postgresql.fresh_database(server, disk=disk and disk.path))
        topology = cluster(airflow, ours, broker.url)
        ledger = None
        try:
            api, env = rehearsal.start(
                Console(), home, batch_seconds=batch_seconds, profile=profile, seed=seed, settings=SETTINGS, topology=topology
            )
            os.environ.clear()
            os.environ.update(before)
            ledger = Ledger(ledger_url(env))
            yield Cluster(home, topology, api, env, ledger, server, broker, disk)
        finally:
            processes.stop_all(home)
            broker.stop()
            if ledger is not None:
                ledger.close()
            os.environ.clear()
            os.environ.update(before)
