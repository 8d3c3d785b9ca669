"""What every test may ask for: a ledger of its own on either database, a local vendor, a queue folder."""

import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from xdist.scheduler import LoadScopeScheduling

PROJECT = Path(__file__).parents[1]

# Before anything imports Airflow: tests have an Airflow home of their own, unless somebody names one for them (`make faults`). A worker
# of pytest-xdist is given its parent's.
OURS = "AIRFLOW_HOME" not in os.environ
os.environ.setdefault("AIRFLOW_HOME", str(Path(os.environ.get("TMPDIR", "/tmp")) / f"overnight-tests-{os.getpid()}"))  # noqa: S108
os.environ.setdefault("AIRFLOW__CORE__LOAD_EXAMPLES", "False")
os.environ.setdefault("AIRFLOW__LOGGING__LOGGING_LEVEL", "ERROR")
os.environ["GX_ANALYTICS_ENABLED"] = "false"
os.environ.pop("OVERNIGHT_TIMEZONE", None)
os.environ["OVERNIGHT_LAUNCH"] = "live"  # whole nights; the gate has tests of its own

from overnight.ledger import migrate
from overnight.ledger.connect import Ledger
from overnight.rehearsal.home import free_port
from overnight.sandbox.server import hosts


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="the long tests, and only they")
    parser.addoption("--strict-system", action="store_true", help="a missing system part fails instead of skipping")


def pytest_configure(config: pytest.Config) -> None:
    """What the tests leave behind goes with the process that began; its workers are given its environment."""
    if hasattr(config, "workerinput"):
        return
    folder = Path(tempfile.mkdtemp(prefix="overnight-authority-"))
    for mine in [folder, *([Path(os.environ["AIRFLOW_HOME"])] if OURS else [])]:
        config.add_cleanup(partial(shutil.rmtree, mine, ignore_errors=True))
    os.environ["SSL_CERT_FILE"] = str(one_authority(folder / "authority.pem"))


def one_authority(path: Path) -> Path:
    """A file with one certificate authority of our own, for clients to trust.

    All that a test talks to is on the loopback and speaks plain HTTP, yet every client that is made reads the machine's authorities
    first: two hundred take it a tenth of a second of processor time, thousands of times.
    """
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "nobody")])
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
    signed = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(key, hashes.SHA256())
    path.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    return path


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What takes long runs when it is asked for (`make long`), and only then; what takes minutes begins first."""
    wanted = config.getoption("--long")
    out = [item for item in items if (item.get_closest_marker("long") is not None) != wanted]
    if out:
        config.hook.pytest_deselected(items=out)
        items[:] = [item for item in items if item not in out]
    items.sort(key=lambda item: "tests/faults/" not in item.nodeid)  # stable: nothing else changes places


class OneAirflowEach(LoadScopeScheduling):
    """Tests that share a real Airflow run in one worker: those of a file, and those of the folder `first`."""

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        return str(Path(path).parent) if Path(path).parent.name == "first" else path


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> OneAirflowEach | None:
    """How `make test` runs the real Airflows: side by side, each set up once."""
    return OneAirflowEach(config, log) if config.getvalue("dist") == "loadscope" else None


def missing(request: pytest.FixtureRequest, what: str) -> None:
    """Skip for a missing part of the system, or fail where nothing may be missing (CI)."""
    if request.config.getoption("--strict-system"):
        pytest.fail(f"missing here: {what}")
    pytest.skip(f"missing here: {what}")


@pytest.fixture(scope="session")
def postgresql(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real PostgreSQL server that lives as long as the tests; run as an unprivileged user."""
    try:
        from tests.support.postgresql import serve
    except ImportError as error:
        missing(request, f"a PostgreSQL server ({error})")
        raise
    with serve() as url:
        yield url


@pytest.fixture(scope="session")
def empty_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty ledger on SQLite, to be copied: the migrations, which have tests of their own, run once and not before each test."""
    path = tmp_path_factory.mktemp("empty") / "ledger.db"
    made = Ledger(f"sqlite:///{path}")
    migrate.upgrade(made)
    made.close()
    return path


@pytest.fixture(scope="session")
def empty_database(postgresql: str) -> str:
    """The same on PostgreSQL."""
    from tests.support.postgresql import fresh_database

    made = Ledger(fresh_database(postgresql))
    migrate.upgrade(made)
    made.close()
    return made.url.database or ""


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger(request: pytest.FixtureRequest) -> Iterator[Ledger]:
    """An empty ledger, on each database in turn."""
    if request.param == "sqlite":
        yield request.getfixturevalue("sqlite_ledger")
        return
    from tests.support.postgresql import fresh_database

    made = Ledger(fresh_database(request.getfixturevalue("postgresql"), request.getfixturevalue("empty_database")))
    yield made
    made.close()


@pytest.fixture
def sqlite_ledger(tmp_path: Path, empty_file: Path) -> Iterator[Ledger]:
    """An empty ledger on the embedded default, where the database makes no difference."""
    made = Ledger(f"sqlite:///{shutil.copyfile(empty_file, tmp_path / 'ledger.db')}")
    yield made
    made.close()


class Sandbox:
    """A local vendor in its own process."""

    def __init__(self, folder: Path, *args: str) -> None:
        self.port, self.state, self.args = free_port(), folder / "sandbox.db", args
        self.url = f"http://127.0.0.1:{self.port}"
        self.hosts = hosts(self.url)
        self.log = folder / "sandbox.log"
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "overnight.cli", "sandbox", "--port", str(self.port), "--state", str(self.state)]
        env = {**os.environ, "PYTHONPATH": str(PROJECT / "plugins")}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([*command, *self.args], env=env, stdout=log, stderr=log)
        end = time.monotonic() + 30
        while not self.up():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, "the local vendor did not start"
            time.sleep(0.05)

    def up(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health", timeout=1).is_success
        except httpx.HTTPError:
            return False

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def calls(self) -> list[tuple[str, str, int]]:
        """Every call so far: method, path, status."""
        import sqlite3

        with sqlite3.connect(self.state) as db:
            return db.execute("SELECT method, path, status FROM calls ORDER BY seq").fetchall()

    def creates(self) -> int:
        """How many batches were asked for."""
        made = ("/v1/messages/batches", "/v1/batches", ":batchGenerateContent")
        return sum(method == "POST" and path.endswith(made) for method, path, _ in self.calls())


@pytest.fixture(scope="session")
def shared_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """One local vendor for all tests that only use it."""
    made = Sandbox(tmp_path_factory.mktemp("sandbox"), "--batch-seconds", "0.3", "--cancel-seconds", "0.2")
    yield made
    made.kill()


@pytest.fixture
def connected(sandbox: Sandbox, queue: Path, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """A local vendor of one's own, with connections to it and a queue to fill."""
    connect(monkeypatch, sandbox.hosts)
    return sandbox


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    """A local vendor of one's own, to stop, start and count."""
    made = Sandbox(tmp_path, "--batch-seconds", "0.3", "--cancel-seconds", "0.2")
    yield made
    made.kill()


def connect(monkeypatch: pytest.MonkeyPatch, hosts_: dict[str, str], key: str = "sandbox-key") -> None:
    """Airflow connections to a local vendor, and to the web through it, as environment variables: as a deployment may set them."""
    for vendor, host in hosts_.items():
        kind = vendor if vendor != "gemini" else "generic"
        value = json.dumps({"conn_type": kind, "host": host, "password": key})
        monkeypatch.setenv(f"AIRFLOW_CONN_{vendor.upper()}_DEFAULT", value)
    if "anthropic" not in hosts_:
        return  # one vendor that is away: the web stays what it was
    web = {"conn_type": "generic", "extra": {"proxy": hosts_["anthropic"].removesuffix("/anthropic"), "per_second": 500}}
    monkeypatch.setenv("AIRFLOW_CONN_OVERNIGHT_WEB", json.dumps(web))


@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty queue folder, with a folder for each workflow."""
    from overnight.workflow import workflow_names

    folder = tmp_path / "queue"
    for name in workflow_names():
        (folder / name).mkdir(parents=True)
    monkeypatch.setenv("OVERNIGHT_QUEUE_DIR", str(folder))
    monkeypatch.setenv("OVERNIGHT_RAW_DIR", str(tmp_path / "raw"))
    monkeypatch.setenv("OVERNIGHT_DATA_DIR", str(tmp_path / "data"))
    return folder


@pytest.fixture
def vendors(shared_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """Connections to the shared local vendor."""
    connect(monkeypatch, shared_sandbox.hosts)
    return shared_sandbox


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A project folder of one's own in force, to be changed (`tests.support.project`)."""
    from tests.support.project import Project, forget

    made = Project(tmp_path / "project")
    monkeypatch.setenv("OVERNIGHT_PROJECT", str(made.folder))
    forget()
    yield made
    forget()


@pytest.fixture
def gated(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The launch gate as a deployment starts: every workflow in its pilot."""
    from tests.support.project import forget

    monkeypatch.delenv("OVERNIGHT_LAUNCH")
    forget()
    yield
    forget()


def unprivileged() -> pwd.struct_passwd | None:
    """A user without rights, for servers that refuse to run as root."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def closed_port() -> int:
    """A port where nobody answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def desk(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The review services on a local server of one's own, with connections to them and to its vendors."""
    from tests.support.desk import Desk

    connect(monkeypatch, sandbox.hosts)
    monkeypatch.setenv("OVERNIGHT_REVIEW_DIR", str(tmp_path / "review"))
    return Desk(sandbox, monkeypatch)
