"""How much a process grows while it works: its peak above what it held at the start, sampled (the kernel's own peak remembers
what importing took, which may be more).
"""

import threading

import psutil

SAMPLE_S = 0.01


class Memory:
    """Samples from its making until `grown_mb` is asked."""

    def __init__(self) -> None:
        self.process = psutil.Process()
        self.start = self.peak = self.process.memory_info().rss
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def _sample(self) -> None:
        while not self._done.wait(SAMPLE_S):
            self.peak = max(self.peak, self.process.memory_info().rss)

    def grown_mb(self) -> float:
        """The peak above the start, in MiB."""
        self._done.set()
        self._thread.join()
        self.peak = max(self.peak, self.process.memory_info().rss)
        return round((self.peak - self.start) / 2**20, 1)
