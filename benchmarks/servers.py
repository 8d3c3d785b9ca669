"""The servers of the benchmarks, seen from the side that measures: each a process of its own on the loopback, ended on leaving.

The local vendor is ours and keeps its books in SQLite: what was bought is read there, never from what a client says. Where the
vendor's own work would blur a measurement, a stub of benchmarks/stubs.py stands in its place.
"""

import contextlib
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from overnight.rehearsal.home import free_port

PROJECT = Path(__file__).parents[1]


def environment(**more: str) -> dict[str, str]:
    """What every process of a benchmark is started with."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(PROJECT / "plugins"), str(PROJECT), *_given()]), **more}


def _given() -> list[str]:
    return [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]


@contextmanager
def running(arguments: Sequence[str], health: str) -> Iterator[subprocess.Popen[bytes]]:
    """A server, from its first answer until the block is left."""
    process = subprocess.Popen([sys.executable, *arguments], env=environment(), stdout=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 60
        while not _up(health):
            assert process.poll() is None, f"{arguments} ended at once"
            assert time.monotonic() < end, f"{arguments} did not start"
            time.sleep(0.05)
        yield process
    finally:
        process.kill()
        process.wait(10)


def _up(url: str) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(url, timeout=2, trust_env=False).is_success
    return False


class Vendor:
    """A local vendor: its address and its books."""

    def __init__(self, port: int, state: Path) -> None:
        self.url, self.state = f"http://127.0.0.1:{port}", state

    def sql(self, query: str, *values: Any) -> list[Any]:
        """Read or change the vendor's books."""
        with contextlib.closing(sqlite3.connect(self.state, timeout=30)) as db, db:
            return db.execute(query, values).fetchall()

    def batches(self, vendor: str) -> list[int]:
        """The batches it holds, each as its number of requests, oldest first."""
        return [row[0] for row in self.sql("SELECT total FROM batches WHERE vendor = ? ORDER BY seq", vendor)]

    def spoil(self, match: str, outcome: str) -> None:
        """Requests to come whose body holds `match` end with `outcome`."""
        order = {"vendor": "*", "match": match, "outcome": outcome}
        httpx.post(f"{self.url}/control/misbehave", json=order, trust_env=False).raise_for_status()


@contextmanager
def vendor(folder: Path, *, batch_seconds: float = 0.3, cancel_seconds: float = 0.2) -> Iterator[Vendor]:
    """A local vendor of one's own."""
    port, state = free_port(), folder / "vendor.db"
    options = ["--batch-seconds", str(batch_seconds), "--cancel-seconds", str(cancel_seconds)]
    command = ["-m", "overnight.cli", "sandbox", "--port", str(port), "--state", str(state), *options]
    with running(command, f"http://127.0.0.1:{port}/health"):
        yield Vendor(port, state)


class Stub:
    """One of the servers in stubs.py: its address and what it counted."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def control(self, **told: Any) -> None:
        """Tell it what to do from now on."""
        httpx.post(f"{self.url}/__control", json=told, trust_env=False).raise_for_status()

    def counted(self) -> dict[str, Any]:
        """What it has counted."""
        found: dict[str, Any] = httpx.get(f"{self.url}/__counted", timeout=30, trust_env=False).json()
        return found


@contextmanager
def stub(name: str, *arguments: object) -> Iterator[Stub]:
    """A stub: `proxy UPSTREAM`, `status DELAY BUSY_EVERY`, `swallow` or `results VENDOR COUNT KEY`."""
    port = free_port()
    command = ["-m", "benchmarks.stubs", name, str(port), *map(str, arguments)]
    with running(command, f"http://127.0.0.1:{port}/__counted"):
        yield Stub(port)
