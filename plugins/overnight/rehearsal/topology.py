"""Which of Airflow's processes run, and on what: everything on one machine's files, or Celery workers over Redis and PostgreSQL.

The Dags and operators are the same on both: what differs is Airflow's own configuration and the ledger's address.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from overnight.rehearsal.home import free_port


@dataclass(frozen=True, slots=True)
class Topology:
    """Airflow's processes by name, each with its arguments to `airflow`, and the settings that differ from a rehearsal's own."""

    components: Mapping[str, tuple[str, ...]]
    settings: Mapping[str, str] = field(default_factory=dict)
    own: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Environment variables of single processes."""


ONE_MACHINE = Topology({name: (name,) for name in ("api-server", "scheduler", "dag-processor", "triggerer")})
"""LocalExecutor and SQLite: the embedded default."""


def cluster(airflow_url: str, ledger_url: str, redis_url: str, *, workers: int = 2, triggerers: int = 2) -> Topology:
    """CeleryExecutor over Redis, Airflow's database and the ledger in PostgreSQL: what docker-compose.yaml starts.

    Args:
        airflow_url, ledger_url: PostgreSQL, as `postgresql://user@host:port/name`.
        redis_url: the broker, as `redis://host:port/0`.
    """
    single = {name: (name,) for name in ("api-server", "scheduler", "dag-processor")}
    many = {
        # A worker of Celery starts as many processes as it may run tasks: two, on a machine with two cores.
        **{f"worker-{n}": ("celery", "worker", "--concurrency", "2", "--celery-hostname", f"worker-{n}@%h")
           for n in range(1, workers + 1)},
        **{f"triggerer-{n}": ("triggerer",) for n in range(1, triggerers + 1)},
    }  # fmt: skip
    settings = {
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW__CORE__PARALLELISM": str(2 * workers),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": airflow_url.replace("postgresql://", "postgresql+psycopg2://"),
        "AIRFLOW__CELERY__BROKER_URL": redis_url,
        "AIRFLOW__CELERY__RESULT_BACKEND": airflow_url.replace("postgresql://", "db+postgresql://"),
        "AIRFLOW_CONN_OVERNIGHT_LEDGER": ledger_url,
    }
    # Each serves its logs on a port of its own: on one machine the defaults would collide.
    own = {
        name: {f"AIRFLOW__LOGGING__{'WORKER' if name.startswith('worker') else 'TRIGGER'}_LOG_SERVER_PORT": str(free_port())}
        for name in many
    }
    return Topology({**single, **many}, settings, own)


def ledger_url(env: Mapping[str, str]) -> str:
    """The ledger's address in this environment: its connection, written as a URL, or the file under AIRFLOW_HOME."""
    uri = env.get("AIRFLOW_CONN_OVERNIGHT_LEDGER", "")
    return uri.replace("postgresql://", "postgresql+psycopg://") or f"sqlite:///{env['AIRFLOW_HOME']}/overnight.db"
