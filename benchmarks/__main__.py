"""Run every benchmark, or only the named ones, and write results.json, the README's table and the plots: `python -m benchmarks [NAME …]`.

Each in a process of its own with an Airflow home of its own. What is not run keeps its last result. A goal that is missed says
"met": false and makes the command fail; nothing is left out of the file.
"""

import contextlib
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import peers, report, servers

RESULTS = Path(__file__).with_name("results.json")
NAMES = (
    "lost_response", "crash_after_accept", "restarts", "cutoff", "bad_answers", "waiting", "submit", "landing", "tokens",
    "dag_parse", "review_calls", "inventory", "drift", "masking", "pages", "decisions", "scale", "rehearsal",
)  # fmt: skip
QUICK = ("lost_response", "cutoff", "bad_answers", "tokens", "drift", "masking", "inventory")
"""What `make bench QUICK=1` runs: under four minutes, whole measurements and not smaller ones."""
LONGEST_S = 1_200
MEASURE = "import importlib, json, sys; print(json.dumps(importlib.import_module('benchmarks.' + sys.argv[1]).measure()))"


def main(names: list[str]) -> int:
    """Measure, write after each, and say what was found."""
    if unknown := sorted(set(names) - set(NAMES)):
        raise SystemExit(f"unknown: {', '.join(unknown)}; there are {', '.join(NAMES)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # ended from outside: what was started ends, too
    versions = peers.versions()
    for name in names or (QUICK if os.environ.get("QUICK") else NAMES):
        print(f"{name} …", flush=True)
        began = time.monotonic()
        found = {**run(name), "measured_at": _now(), "took_s": round(time.monotonic() - began)}
        kept: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        kept |= {"measured_at": _now(), "python": platform.python_version(), "peers": versions, name: found}
        RESULTS.write_text(json.dumps(kept, indent=2) + "\n")
    report.write(json.loads(RESULTS.read_text()))
    return table(json.loads(RESULTS.read_text()))


def run(name: str) -> dict[str, Any]:
    """One benchmark in its own process; one that fails or takes too long has met nothing."""
    with tempfile.TemporaryDirectory() as home:
        quiet = {"AIRFLOW_HOME": home, "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR", "_AIRFLOW_PROCESS_CONTEXT": "client",
                 "AIRFLOW__CORE__LOAD_EXAMPLES": "False", "GX_ANALYTICS_ENABLED": "0", "PYTHONWARNINGS": "ignore"}  # fmt: skip
        command = [sys.executable, "-c", MEASURE, name]
        process = subprocess.Popen(
            command, env=servers.environment(**quiet), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip
        try:
            out, errors = process.communicate(timeout=LONGEST_S)
        except subprocess.TimeoutExpired:
            return {"error": f"not done after {LONGEST_S} s", "met": False}
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)
    if process.returncode:
        return {"error": errors[-2000:], "met": False}
    found: dict[str, Any] = json.loads(out.splitlines()[-1])
    return found


def table(results: dict[str, Any]) -> int:
    """A line for each; returns 1 where a goal was missed."""
    missed = 0
    for name in NAMES:
        found = results.get(name, {})
        met = found.get("met")
        missed += met is False
        word = {True: "met", False: "MISSED", None: "not measured"}[met]
        print(f"{name:20} {word:13} {found.get('goal') or found.get('error', '')[-200:]}")
    return 1 if missed else 0


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
