"""`make night` as a newcomer runs it, once everything is installed: how long it takes and how much memory all of its processes use."""

import os
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from overnight.rehearsal import night
from overnight.rehearsal.home import Home
from overnight.rehearsal.memory import Watch


def measure() -> dict[str, Any]:
    """A whole night of two workflows on a real Airflow, from nothing to the review, and everything stopped again."""
    with tempfile.TemporaryDirectory() as name, open(os.devnull, "w") as nowhere:
        home = Home(Path(name) / "home")
        watched, began = Watch(home), time.monotonic()
        code = night.run(Console(file=nowhere), home=home)
        seconds, most = time.monotonic() - began, watched.peak_mb()
        night.down(Console(file=nowhere), home)
    return {
        "seconds": round(seconds), "most_mb": round(most), "workflows": len(night.FIRST), "ended_with": code,
        "goal": "the night closes and verifies", "met": code == 0,
    }  # fmt: skip
