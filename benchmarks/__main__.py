"""Run every benchmark, or only the named ones, and write results.json, the README's table and the plots: `python -m benchmarks [NAME …]`.

Each in a process of its own with an Airflow home of its own. What is counted (batches bought, calls, bytes, a process's own memory)
comes out the same on a busy machine: those run two at a time, first (seconds that stand beside such a count are a shared machine's);
what is timed has the machine to itself. What is not run keeps its last result. A goal that is missed says "met": false and makes the command fail; nothing is left out of the file.
"""

import contextlib
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import peers, report, servers

RESULTS = Path(__file__).with_name("results.json")
COUNTED = (
    "review_calls", "submit", "crash_after_accept", "restarts", "tokens", "lost_response", "drift", "cutoff",
    "bad_answers",
)  # fmt: skip
"""Longest first, so that the two lanes end together."""
TIMED = ("waiting", "landing", "dag_parse", "inventory", "masking", "pages", "decisions", "scale", "rehearsal")
NAMES = (*COUNTED, *TIMED)
AT_ONCE = 2
QUICK = ("lost_response", "cutoff", "bad_answers", "tokens", "drift", "masking", "inventory")
"""What `make bench QUICK=1` runs: under four minutes, whole measurements and not smaller ones."""
LONGEST_S = 1_200
MEASURE = "import importlib, json, sys; print(json.dumps(importlib.import_module('benchmarks.' + sys.argv[1]).measure()))"


def main(names: list[str]) -> int:
    """Measure, write after each, and say what was found."""
    if unknown := sorted(set(names) - set(NAMES)):
        raise SystemExit(f"unknown: {', '.join(unknown)}; there are {', '.join(NAMES)}")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    versions, wanted = peers.versions(), names or (QUICK if os.environ.get("QUICK") else NAMES)
    lanes = ThreadPoolExecutor(AT_ONCE)
    try:
        counted = [lanes.submit(timed, name) for name in COUNTED if name in wanted]
        for done in as_completed(counted):
            keep(*done.result(), versions)
    finally:
        lanes.shutdown(cancel_futures=True)
    for name in TIMED:
        if name in wanted:
            keep(*timed(name), versions)
    report.write(json.loads(RESULTS.read_text()))
    return table(json.loads(RESULTS.read_text()), wanted)


def timed(name: str) -> tuple[str, dict[str, Any]]:
    """A benchmark's name, and what it found and how long it took."""
    print(f"{name} …", flush=True)
    began = time.monotonic()
    try:
        found = run(name)
    except Exception as error:  # the other lane's results are kept whatever happens in this one
        found = {"error": f"{type(error).__name__}: {error}", "met": False}
    return name, {**found, "measured_at": _now(), "took_s": round(time.monotonic() - began)}


def keep(name: str, found: dict[str, Any], versions: dict[str, str]) -> None:
    """Write one result beside the others."""
    kept: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    kept |= {"measured_at": _now(), "python": platform.python_version(), "peers": versions, name: found}
    RESULTS.write_text(json.dumps(kept, indent=2) + "\n")


_under_way: set[subprocess.Popen[str]] = set()
_ending = threading.Event()


def _end(*_: object) -> None:
    """Ended from outside: what was started ends, too."""
    _ending.set()
    for process in list(_under_way):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    sys.exit(1)


def run(name: str) -> dict[str, Any]:
    """One benchmark in its own process; one that fails or takes too long has met nothing."""
    with tempfile.TemporaryDirectory() as home:
        quiet = {"AIRFLOW_HOME": home, "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR", "_AIRFLOW_PROCESS_CONTEXT": "client",
                 "AIRFLOW__CORE__LOAD_EXAMPLES": "False", "GX_ANALYTICS_ENABLED": "0", "PYTHONWARNINGS": "ignore",
                 "OVERNIGHT_LAUNCH": "live"}  # fmt: skip
        command = [sys.executable, "-c", MEASURE, name]
        process = subprocess.Popen(
            command, env=servers.environment(**quiet), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip
        _under_way.add(process)
        try:
            if _ending.is_set():
                raise SystemExit(1)
            out, errors = process.communicate(timeout=LONGEST_S)
        except subprocess.TimeoutExpired:
            return {"error": f"not done after {LONGEST_S} s", "met": False}
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)
            _under_way.discard(process)
    if process.returncode:
        return {"error": errors[-2000:], "met": False}
    found: dict[str, Any] = json.loads(out.splitlines()[-1])
    return found


def table(results: dict[str, Any], wanted: Sequence[str]) -> int:
    """A line for each; returns 1 where a goal was missed by one that was run now."""
    missed = 0
    for name in NAMES:
        found = results.get(name, {})
        met = found.get("met")
        missed += met is False and name in wanted
        word = {True: "met", False: "MISSED", None: "not measured"}[met]
        print(f"{name:20} {word:13} {found.get('goal') or found.get('error', '')[-200:]}")
    return 1 if missed else 0


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
