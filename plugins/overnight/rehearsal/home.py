"""Where a rehearsal lives: one folder in the project, with everything in it, removed as a whole."""

import json
import os
import re
import secrets
import shutil
import socket
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from overnight.brand import include_dir, project_dir
from overnight.rehearsal import desk, sales
from overnight.workflow import workflow_names

KEY = "sandbox-key"
USERS = {"admin": "admin", "reviewer": "user", "viewer": "viewer"}


@dataclass(frozen=True, slots=True)
class Home:
    """The folders of one rehearsal."""

    root: Path

    @property
    def airflow(self) -> Path:
        """AIRFLOW_HOME: Airflow's database and logs, the ledger, the raw results."""
        return self.root / "airflow"

    @property
    def queue(self) -> Path:
        """Where the queue's CSV files are."""
        return self.root / "queue"

    @property
    def review(self) -> Path:
        """Where workbooks for review are (surface xlsx)."""
        return self.root / "review"

    @property
    def delivery(self) -> Path:
        """Where what was approved is handed out."""
        return self.root / "delivery"

    @property
    def data(self) -> Path:
        """The workflows' tables that are no queue."""
        return self.root / "data"

    @property
    def logs(self) -> Path:
        """One log a process."""
        return self.root / "logs"

    @property
    def environment_file(self) -> Path:
        """The environment that all processes of this rehearsal share."""
        return self.root / "environment.json"

    def environment(self) -> dict[str, str]:
        """The stored environment, {} before there is one."""
        if not self.environment_file.exists():
            return {}
        stored: dict[str, str] = json.loads(self.environment_file.read_text())
        return stored

    def passwords(self) -> dict[str, str]:
        """Airflow's logins of this rehearsal."""
        stored: dict[str, str] = json.loads((self.root / "passwords.json").read_text())
        return stored

    def is_ours(self) -> bool:
        """Whether this folder is a rehearsal's (or is not there): nothing else is ever removed."""
        return not self.root.exists() or (self.root / "queue").is_dir() or not any(self.root.iterdir())

    def remove(self) -> None:
        """Leave nothing behind."""
        shutil.rmtree(self.root, ignore_errors=True)


def default() -> Home:
    """`.overnight` in the project, or OVERNIGHT_HOME."""
    return Home(Path(os.environ.get("OVERNIGHT_HOME", project_dir() / ".overnight")))


def adopt() -> None:
    """Let this process see what the rehearsal's Airflow sees, when there is one and nothing else was asked for."""
    if "AIRFLOW_HOME" not in os.environ:
        os.environ.update(default().environment())
    # A connection may be kept in Airflow's own database, which the Task SDK asks only in a server's process.
    if not os.environ.get("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "sqlite:").startswith("sqlite:"):
        os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")
    # The command line needs no more of Airflow than its connections.
    os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "ERROR"


def samples(reviews: Path | None = None) -> dict[str, Path]:
    """What waits in each workflow's queue of a rehearsal."""
    own = {"review_sentiment": reviews} if reviews is not None else {}
    return {name: own.get(name) or include_dir() / "prompts" / name / "sample.csv" for name in workflow_names()}


def make(home: Home, vendors: dict[str, str], sandbox_port: int, reviews: Path | None) -> dict[str, str]:
    """Make the folders, the samples in the queue, the logins and the environment; returns the environment."""
    for folder in (home.airflow, home.logs, home.queue):
        folder.mkdir(parents=True, exist_ok=True)
    today = datetime.now(UTC).date()
    for name, source in samples(reviews).items():
        target = home.queue / name
        target.mkdir(exist_ok=True)
        file = target / ("reviews.csv" if source == reviews else "sample.csv")
        file.write_text(dated(source.read_text(encoding="utf-8"), today), encoding="utf-8")
        if (source.parent / "data").is_dir():
            shutil.copytree(source.parent / "data", home.data / name, dirs_exist_ok=True)
    sales.write_sales(home.data / "inventory_signals" / "sales.csv", today)
    passwords = {user: secrets.token_urlsafe(9) for user in USERS}
    (home.root / "passwords.json").write_text(json.dumps(passwords))
    env = _environment(home, vendors, free_port(), sandbox_port)
    home.environment_file.write_text(json.dumps(env, indent=1))
    home.environment_file.chmod(0o600)
    return env


def dated(text: str, today: date) -> str:
    """A sample with its dates filled in: `{{today}}` and `{{today+N}}`."""
    return re.sub(r"\{\{today(?:\+(\d+))?\}\}", lambda m: (today + timedelta(days=int(m.group(1) or 0))).isoformat(), text)


def queued(home: Home) -> dict[str, Path]:
    """The one file in each workflow's queue of a fresh rehearsal."""
    return {name: next(iter(sorted((home.queue / name).glob("*.csv")))) for name in workflow_names()}


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _environment(home: Home, vendors: dict[str, str], port: int, sandbox_port: int) -> dict[str, str]:
    project, cores = project_dir(), os.cpu_count() or 2
    url = f"http://127.0.0.1:{port}"
    airflow = {
        "CORE__DAGS_FOLDER": project / "dags",
        "CORE__PLUGINS_FOLDER": project / "plugins",
        "CORE__LOAD_EXAMPLES": False,
        "CORE__EXECUTOR": "LocalExecutor",
        # standalone would start 32 workers; a task costs seconds of CPU, so more than this only makes all of them slow
        "CORE__PARALLELISM": max(2, cores),
        "CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "CORE__FERNET_KEY": urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{name}:{role}" for name, role in USERS.items()),
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": home.root / "passwords.json",
        "DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home.airflow / 'airflow.db'}",
        "API__HOST": "127.0.0.1",
        "API__PORT": port,
        "API__BASE_URL": url,
        "API__WORKERS": 1,
        "API__SECRET_KEY": secrets.token_hex(16),
        "API_AUTH__JWT_SECRET": secrets.token_hex(32),
        "DAG_PROCESSOR__PARSING_PROCESSES": 1,
        "DAG_PROCESSOR__REFRESH_INTERVAL": 5,
        # To read all seventeen files twice a minute, as by default, keeps a process busy half of the time. Not much longer: a
        # file that could not be read is tried again after it, and a paused Dag's next run is as old as its last reading.
        "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": 90,
        "LOGGING__LOGGING_LEVEL": "INFO",
        "LOGGING__BASE_LOG_FOLDER": home.airflow / "logs",
        "USAGE_DATA_COLLECTION__ENABLED": False,
        # Worker log and health ports of their own: a second Airflow on this machine must not get in the way.
        "LOGGING__WORKER_LOG_SERVER_PORT": free_port(),
        "LOGGING__TRIGGER_LOG_SERVER_PORT": free_port(),
    }
    conns = {
        name: {"conn_type": name if name != "gemini" else "generic", "host": host, "password": KEY}
        for name, host in vendors.items()
    }
    return {
        "AIRFLOW_HOME": str(home.airflow),
        "OVERNIGHT_LAUNCH": "live",  # a rehearsal shows whole nights; `bin/overnight launch` shows the gate
        "OVERNIGHT_PROJECT": str(project),
        "OVERNIGHT_QUEUE_DIR": str(home.queue),
        "OVERNIGHT_REVIEW_DIR": str(home.review),
        "OVERNIGHT_DELIVERY_DIR": str(home.delivery),
        "OVERNIGHT_DATA_DIR": str(home.data),
        "OVERNIGHT_POLL_SECONDS": "1",
        "OVERNIGHT_SANDBOX_PORT": str(sandbox_port),
        "OVERNIGHT_URL": url,
        "PYTHONPATH": str(project / "plugins"),
        **{f"AIRFLOW__{name}": _text(value) for name, value in airflow.items()},
        **{f"AIRFLOW_CONN_{name.upper()}_DEFAULT": json.dumps(conn) for name, conn in conns.items()},
        **{
            f"AIRFLOW_CONN_{name.upper()}": json.dumps(conn)
            for name, conn in desk.connections(f"http://127.0.0.1:{sandbox_port}").items()
        },
    }


def _text(value: Any) -> str:
    return str(value)
