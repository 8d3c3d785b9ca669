"""The vendor's own words, kept compressed for the audit. Written beside, then renamed: a half file has no name to find."""

import gzip
import hashlib
import os
import uuid
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


def folder() -> Path:
    """Where raw results are kept: OVERNIGHT_RAW_DIR or AIRFLOW_HOME/overnight_raw."""
    home = Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser()
    return Path(os.environ.get("OVERNIGHT_RAW_DIR", home / "overnight_raw"))


@dataclass(slots=True)
class RawFile:
    """One raw file: its path below `folder()` and the SHA-256 of its uncompressed lines."""

    path: str
    sha256: str = ""


@asynccontextmanager
async def writing(key: str) -> AsyncIterator[tuple[RawFile, Any]]:
    """A sink for raw lines. The file appears under its name only when the block ends well."""
    target = folder() / f"{key}.jsonl.gz"
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{uuid.uuid4().hex}.partial")
    sha, made = hashlib.sha256(), RawFile(target.name)
    try:
        with gzip.open(partial, "wb", compresslevel=5) as file:

            def sink(line: bytes) -> None:
                sha.update(line)
                file.write(line)

            yield made, sink
        made.sha256 = sha.hexdigest()
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def is_whole(path: str, sha256: str | None) -> bool:
    """Whether a raw file is there and holds what was downloaded (another worker's disk may not have it)."""
    sha = hashlib.sha256()
    try:
        for line in lines(path):
            sha.update(line)
    except (OSError, EOFError, zlib.error):
        return False
    return sha.hexdigest() == sha256


def lines(path: str) -> Iterator[bytes]:
    """The lines of a raw file, one by one."""
    with gzip.open(folder() / path, "rb") as file:
        yield from file
