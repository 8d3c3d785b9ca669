"""A file system of a few megabytes that a test fills up: real ENOSPC, for SQLite's files and PostgreSQL's alike."""

import errno
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class SmallDisk:
    """A mounted quota; `path` is its folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ballast = path / "ballast"

    def fill(self, *, leave_kb: int = 0) -> None:
        """Take up all of it but for so many kilobytes."""
        self.release()
        size = max(0, shutil.disk_usage(self.path).free - leave_kb * 1024)
        with self._ballast.open("wb", buffering=0) as ballast:
            while size > 0:
                try:
                    size -= ballast.write(b"\0" * min(size, 64 * 1024))
                except OSError as full:  # whoever uses the disk took the last of it meanwhile
                    if full.errno != errno.ENOSPC:
                        raise
                    return

    def release(self) -> None:
        """Give back what `fill` took."""
        self._ballast.unlink(missing_ok=True)


@contextmanager
def small_disk(size_kb: int) -> Iterator[SmallDisk]:
    """A disk of so many kilobytes, unmounted afterwards; PermissionError where the right to mount is missing.

    In /tmp and open to others: a database server that runs as `nobody` keeps its files there, too.
    """
    folder = Path(tempfile.mkdtemp(prefix="overnight-disk-", dir="/tmp"))
    folder.chmod(0o755)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size_kb}k,mode=0755", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, text=True, check=False)
        if mounted.returncode != 0:
            raise PermissionError(f"no right to mount a small file system: {mounted.stderr.strip()}")
        try:
            yield SmallDisk(folder)
        finally:
            subprocess.run(["umount", "--lazy", str(folder)], check=False)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
