"""Starting processes and ending them again: only those we started, told apart by id and start time."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from overnight.rehearsal.home import Home

GRACE_S = 15.0


def start(home: Home, name: str, args: list[str], env: dict[str, str]) -> int:
    """Start a process in a session of its own, its output in a log; it is on record before it does anything."""
    with (home.logs / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            args, env={**os.environ, **env}, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
        )
    record = _read(home)
    record[name] = {"pid": process.pid, "started": psutil.Process(process.pid).create_time()}
    _file(home).write_text(json.dumps(record))
    return process.pid


def run(home: Home, name: str, args: list[str], env: dict[str, str]) -> int:
    """Run a command to its end, its output in a log; returns its exit code."""
    with (home.logs / f"{name}.log").open("ab") as log:
        return subprocess.run(args, env={**os.environ, **env}, stdout=log, stderr=log, check=False).returncode


def python(*args: str) -> list[str]:
    """A command with this interpreter."""
    return [sys.executable, *args]


def pids(home: Home) -> list[int]:
    """The recorded processes that run."""
    return [leader.pid for name in _read(home) if (leader := _find(home, name)) is not None]


def dead(home: Home) -> list[str]:
    """The names of recorded processes that run no more."""
    return [name for name in _read(home) if _find(home, name) is None]


def stop_all(home: Home) -> int:
    """End every recorded process and whatever it started, gently, then firmly; returns how many there were."""
    leaders = [leader for name in _read(home) if (leader := _find(home, name)) is not None]
    ours = [process for leader in leaders for process in _session(leader.pid)]
    # A leader may be dead and its children not: their session still carries its id.
    orphaned = {int(record["pid"]) for record in _read(home).values()} - {leader.pid for leader in leaders}
    ours += [process for session in sorted(orphaned) for process in _session(session) if _is_of(home, process)]
    for leader in leaders:
        _send(leader, signal.SIGTERM)
    _wait(ours, GRACE_S)
    for process in ours:
        _send(process, signal.SIGKILL)
    _wait(ours, GRACE_S)
    _file(home).unlink(missing_ok=True)
    return len(ours)


def _session(leader: int) -> list[psutil.Process]:
    """Every process of a session we opened: children that were re-parented are still in it."""
    found = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == leader:
                found.append(process)
        except (ProcessLookupError, PermissionError):
            continue
    return found


def _is_of(home: Home, process: psutil.Process) -> bool:
    """Whether a process was started for this rehearsal: its environment says so (ids come round again after a reboot)."""
    try:
        return process.environ().get("AIRFLOW_HOME") == str(home.airflow)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


def _find(home: Home, name: str) -> psutil.Process | None:
    record = _read(home).get(name)
    if record is None:
        return None
    try:
        process = psutil.Process(int(record["pid"]))
        same = abs(process.create_time() - record["started"]) < 1 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return None
    return process if same else None


def _send(process: psutil.Process, number: int) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return


def _wait(processes: list[psutil.Process], seconds: float) -> None:
    end = time.monotonic() + seconds
    for process in processes:
        try:
            process.wait(max(0.1, end - time.monotonic()))
        except (psutil.NoSuchProcess, psutil.TimeoutExpired):
            continue


def _read(home: Home) -> dict[str, dict[str, float]]:
    if not _file(home).exists():
        return {}
    record: dict[str, dict[str, float]] = json.loads(_file(home).read_text())
    return record


def _file(home: Home) -> Path:
    return home.root / "processes.json"
