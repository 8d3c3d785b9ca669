"""Keeping a service's rate limit before it has to be enforced: so many calls in so many seconds, the next one waits.

Ten Dags lock at the same minute with the same token, each task in a process of its own: the count is kept in a small file
that all processes of this machine share. Workers on other machines are told apart by the service alone (its Retry-After).
"""

import hashlib
import os
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any


class Pace:
    """At most `calls` in any window of `seconds`, over all processes that use the same key."""

    def __init__(self, key: str, calls: int, seconds: float) -> None:
        self._limiter = _limiter(hashlib.sha256(key.encode()).hexdigest()[:24], calls, int(seconds * 1000))

    def wait(self) -> None:
        """Wait until one more call keeps the limit, and count it."""
        self._limiter.try_acquire("call", blocking=True)


@lru_cache(maxsize=32)
def _limiter(name: str, calls: int, milliseconds: int) -> Any:
    from pyrate_limiter import Limiter, Rate, SQLiteBucket

    home = os.environ.get("AIRFLOW_HOME")
    folder = (Path(home).expanduser() if home else Path(tempfile.gettempdir())) / "overnight-pace"
    folder.mkdir(parents=True, exist_ok=True)
    path = str(folder / f"{name}.sqlite")
    return Limiter(SQLiteBucket.init_from_file([Rate(calls, milliseconds)], db_path=path, use_file_lock=True))
