"""What was started is stopped, children of dead parents too; nothing else is touched."""

import subprocess
import sys
import time
from pathlib import Path

import psutil
from rich.console import Console

from overnight.rehearsal import night, processes
from overnight.rehearsal.home import Home

PARENT = "import subprocess, sys, time; print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']).pid, flush=True); time.sleep(60)"


def started(home: Home) -> int:
    """A process with a child; returns the child's id."""
    processes.start(home, "thing", processes.python("-c", PARENT), {"AIRFLOW_HOME": str(home.airflow)})
    end = time.monotonic() + 10
    while not (text := (home.logs / "thing.log").read_text().strip()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return int(text)


def home_in(folder: Path) -> Home:
    home = Home(folder / "home")
    for path in (home.logs, home.queue, home.airflow):
        path.mkdir(parents=True)
    return home


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_process_and_its_child_are_stopped(tmp_path: Path) -> None:
    """Both are counted, both are gone."""
    home = home_in(tmp_path)
    child = started(home)
    assert processes.stop_all(home) == 2
    assert gone(child)


def test_a_child_whose_parent_died_is_stopped_too(tmp_path: Path) -> None:
    """Its session still carries the parent's id, and its environment says whose it is."""
    home = home_in(tmp_path)
    child = started(home)
    psutil.Process(child).parent().kill()  # type: ignore[union-attr]
    assert processes.stop_all(home) == 1 or gone(child)
    assert gone(child)


def test_a_folder_that_is_no_rehearsals_is_never_removed(tmp_path: Path) -> None:
    """OVERNIGHT_HOME may be a slip of the pen."""
    (tmp_path / "letters.txt").write_text("dear all")
    night.down(Console(), Home(tmp_path))
    assert night.run(Console(), home=Home(tmp_path)) == 2
    assert (tmp_path / "letters.txt").exists()


def test_a_stranger_with_a_recorded_id_is_left_alone(tmp_path: Path) -> None:
    """After a reboot an id may be somebody else's."""
    home = home_in(tmp_path)
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(30)"], start_new_session=True)
    (home.root / "processes.json").write_text(f'{{"old": {{"pid": {stranger.pid}, "started": 1.0}}}}')
    assert processes.stop_all(home) == 0
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()
