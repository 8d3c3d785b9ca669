"""How much memory a rehearsal's processes use together, looked at once a second by a thread that ends with it."""

import threading

import psutil

from overnight.rehearsal import processes
from overnight.rehearsal.home import Home

EACH_S = 1.0


class Watch:
    """Watches from its making on. What processes share is shared out among them (PSS), so nothing counts twice."""

    def __init__(self, home: Home) -> None:
        self._home, self._peak, self._over = home, 0, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def peak_mb(self) -> float:
        """The most so far, in MB; ends the watch."""
        self._over.set()
        self._thread.join(10)
        return self._peak / 1e6

    def _run(self) -> None:
        while not self._over.wait(EACH_S):
            try:
                self._peak = max(self._peak, self._now())
            except (OSError, ValueError):
                continue  # a list of processes that is just being written: the next look sees it

    def _now(self) -> int:
        total = 0
        for pid in processes.pids(self._home):
            try:
                root = psutil.Process(pid)
                total += sum(_used(one) for one in [root, *root.children(recursive=True)])
            except psutil.Error:
                continue
        return total


def _used(process: psutil.Process) -> int:
    try:
        seen = process.memory_full_info()
        return int(getattr(seen, "pss", seen.rss))
    except psutil.Error:
        return 0
