"""Keeping a service's rate limit before it has to be enforced: so many calls in so many seconds, the next one waits."""

import threading
import time
from collections import deque
from collections.abc import Callable


class Pace:
    """At most `calls` in any window of `seconds`. Shared by the threads of one process."""

    def __init__(
        self,
        calls: int,
        seconds: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.calls, self.seconds = calls, seconds
        self._clock, self._sleep = clock, sleep
        self._made: deque[float] = deque()
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Wait until one more call keeps the limit, and count it."""
        with self._lock:
            now = self._clock()
            while self._made and self._made[0] <= now - self.seconds:
                self._made.popleft()
            if len(self._made) >= self.calls:
                self._sleep(self._made[0] + self.seconds - now)
                self._made.popleft()
            self._made.append(self._clock())
