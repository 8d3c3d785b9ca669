"""One workflow's night from a thousand to a hundred thousand items, end to end, each task a process of its own as Airflow runs it.

The local vendor answers at once, so what is on the clock is ours and the vendor's own work, whose CPU is told apart. Each
size has a deployment, a ledger (SQLite) and a vendor of its own. For each task: wall time, CPU and the kernel's own peak of memory.
Goal: time grows with the items and no faster, and no task's memory grows with them.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from benchmarks import ours, servers
from overnight.sandbox.server import hosts

SIZES = (1_000, 10_000, 100_000)
SHARD = 5_000
AT_ONCE = 2
"""Shards under way together: as many as there are cores, as a deployment of this size would have it."""
CHANGE: dict[str, Any] = ours.asked(
    "gemini", model="gemini-2.5-flash-lite", pack=1, reuse=False, repairs=0, cap=100_000, shard_requests=SHARD, cache=False
)
MOST_TIMES_LINEAR, MOST_MEMORY_TIMES = 1.25, 1.5


def measure() -> dict[str, Any]:
    """A night of each size, and how both ends compare."""
    nights = {str(size): night(size) for size in SIZES}
    small, large = nights[str(SIZES[-2])], nights[str(SIZES[-1])]
    times = SIZES[-1] / SIZES[-2]
    growth = {
        "items": times,
        "wall": round(large["wall_s"] / small["wall_s"], 2),
        "cpu": round(large["cpu_s"] / small["cpu_s"], 2),
        "peak_rss": round(large["peak_rss_mb"] / small["peak_rss_mb"], 2),
        "database": round(large["ledger_mb"] / small["ledger_mb"], 2),
    }
    met = growth["cpu"] <= times * MOST_TIMES_LINEAR and growth["peak_rss"] <= MOST_MEMORY_TIMES
    return {
        "nights": nights, "from": SIZES[-2], "to": SIZES[-1], "growth": growth, "cores": os.cpu_count(), "shard": SHARD, "at_once": AT_ONCE,
        "goal": f"CPU at most {MOST_TIMES_LINEAR} times as many times as items; a task's peak memory at most {MOST_MEMORY_TIMES} times",
        "met": met and all(one["staged"] == size for size, one in zip(SIZES, nights.values(), strict=True)),
    }  # fmt: skip


def night(size: int) -> dict[str, Any]:
    """One night of that many items, task by task."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        place = ours.Place(folder)
        place.fill(f"Soft fabric and a perfect fit, number {n} of many." for n in range(size))
        place.ledger.close()
        with servers.vendor(folder, batch_seconds=0.0) as vendor:
            process = _process_at(vendor.url)
            before, began = process.cpu_times(), time.monotonic()
            tasks: dict[str, Any] = {}
            _task(folder, vendor.url, tasks, "check")
            planned = _task(folder, vendor.url, tasks, "drain")
            with ThreadPoolExecutor(AT_ONCE) as slots:
                list(slots.map(lambda batch_id: _task(folder, vendor.url, tasks, "batch", batch_id), planned))
            _task(folder, vendor.url, tasks, "validate")
            counts = _task(folder, vendor.url, tasks, "export")
            wall_s, after = time.monotonic() - began, process.cpu_times()
            vendor_rss = _high_water_mb(process.pid)
        cpu_s = sum(task["cpu_s"] for task in tasks.values())
        return {
            "staged": counts["staged"], "wall_s": round(wall_s, 1), "cpu_s": round(cpu_s, 1), "ms_cpu_an_item": round(1000 * cpu_s / size, 2),
            "peak_rss_mb": max(task["peak_rss_mb"] for task in tasks.values()), "tasks": tasks,
            "vendor": {"cpu_s": round(after.user + after.system - before.user - before.system, 1), "peak_rss_mb": vendor_rss},
            "ledger_mb": round(sum(path.stat().st_size for path in folder.glob("ledger.db*")) / 1e6, 1),
            "raw_mb": round(sum(path.stat().st_size for path in (folder / "raw").glob("*.gz")) / 1e6, 1),
        }  # fmt: skip


def _process_at(url: str) -> psutil.Process:
    port = int(url.rpartition(":")[2])
    for process in psutil.process_iter():
        try:
            if "sandbox" in (command := process.cmdline()) and str(port) in command:
                return process
        except psutil.Error:
            continue
    raise LookupError(f"nobody listens at {url}")


def _high_water_mb(pid: int) -> float:
    """The kernel's own peak of a process that still runs."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return round(int(line.split()[1]) / 1000, 1)
    return 0.0


def _task(folder: Path, url: str, tasks: dict[str, Any], name: str, *arguments: int) -> Any:
    """One task in a process of its own; what it cost is added to its kind's."""
    command = [sys.executable, "-m", "benchmarks.scale", name, str(folder), url, *map(str, arguments)]
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, env=servers.environment(), stdout=said, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        errors.seek(0)
        assert process.returncode == 0, errors.read()[-3000:]
        said.seek(0)
        found = json.loads(said.read().splitlines()[-1])
    with _counting:
        kind = tasks.setdefault(name, {"tasks": 0, "wall_s": 0.0, "cpu_s": 0.0, "peak_rss_mb": 0.0})
        kind["tasks"] += 1
        kind["wall_s"] = round(kind["wall_s"] + time.monotonic() - began, 1)
        kind["cpu_s"] = round(kind["cpu_s"] + usage.ru_utime + usage.ru_stime, 1)
        kind["peak_rss_mb"] = max(kind["peak_rss_mb"], round(usage.ru_maxrss / 1000, 1))
    return found


_counting = threading.Lock()


def task(name: str, folder: Path, url: str, *arguments: str) -> Any:
    """What one of the night's tasks does, in this process."""
    for vendor, host in hosts(url).items():
        kind = vendor if vendor != "gemini" else "generic"
        os.environ[f"AIRFLOW_CONN_{vendor.upper()}_DEFAULT"] = json.dumps({"conn_type": kind, "host": host, "password": "k"})
    os.environ["OVERNIGHT_LAUNCH"] = "live"
    place = ours.Place(folder)
    night = place.night(CHANGE)
    night.now = datetime.now(UTC)
    if name == "batch":
        return night.batch(int(arguments[0]))
    found = getattr(night, name)()
    return list(found) if name == "drain" else found


if __name__ == "__main__":
    print(json.dumps(task(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:]), default=str))
