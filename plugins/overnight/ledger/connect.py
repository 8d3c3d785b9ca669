"""Opening the ledger: SQLite (WAL) by default, PostgreSQL through the Airflow connection `overnight_ledger`.

A reader never blocks a writer; a writer takes the write lock at once (`BEGIN IMMEDIATE` on SQLite), so two tasks that
write wait for each other instead of failing half-way.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from pydantic_core import from_json, to_json
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError

from overnight.ledger.errors import LedgerError

NoAnswer = SQLAlchemyError
"""What a ledger raises that cannot be reached; its words hold addresses and statements, and are for logs only."""
CONN_ID = "overnight_ledger"
BUSY_TIMEOUT_S = 60


class Ledger:
    """One open ledger. `read()` and `write()` give a connection in a transaction; leaving `write()` commits as a whole."""

    def __init__(self, url: str) -> None:
        self.url = make_url(url)
        self.engine = _engine(url)

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self.engine.dialect.name

    @property
    def made(self) -> bool:
        """Whether there is a database: SQLite makes its file by being opened."""
        return self.dialect != "sqlite" or not self.url.database or Path(self.url.database).exists()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection for looking only; what is changed in it is rolled back."""
        with self.engine.connect() as conn:
            yield conn
            conn.rollback()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A connection that commits on leaving, or changes nothing when an error leaves the block."""
        with self.engine.connect().execution_options(overnight_write=True) as conn, conn.begin():
            yield conn

    def close(self) -> None:
        """Give the connections back to the system."""
        self.engine.dispose()


def default_url() -> str:
    """The embedded default: one SQLite file under AIRFLOW_HOME."""
    home = Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser()
    return f"sqlite:///{home / 'overnight.db'}"


@lru_cache(maxsize=4)
def open_url(url: str) -> Ledger:
    """The ledger at a SQLAlchemy URL; one engine per process and URL."""
    return Ledger(url)


def open_ledger() -> Ledger:
    """The ledger this deployment uses: `overnight_ledger` where Airflow knows it, else the embedded default."""
    return open_url(_connection_url() or default_url())


def _connection_url() -> str | None:
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        conn = BaseHook.get_connection(CONN_ID)
    except AirflowNotFoundException:
        return None
    return ledger_url(conn)


def ledger_url(conn: Any) -> str:
    """The URL of the ledger that an Airflow connection names.

    Raises:
        LedgerError: it names a database that the ledger does not run on.
    """
    url = database_url(conn)
    if not url.startswith(("postgresql", "sqlite")):
        raise LedgerError(
            f"The connection {CONN_ID!r} names a {conn.conn_type!r} database. The ledger runs on postgres or sqlite. "
            "Nothing was read or written; correct the connection's type and run the task again."
        )
    return url


def database_url(conn: Any) -> str:
    """An Airflow connection as SQLAlchemy's URL; what stands in its extra goes into the query, numbers as text."""
    if conn.conn_type == "sqlite":
        # Airflow quotes the path as a schema; it is an absolute one however many slashes it came with.
        return f"sqlite:////{unquote(conn.get_uri().partition('://')[2]).lstrip('/')}"
    postgres = conn.conn_type in ("postgres", "postgresql", "postgresql+psycopg")
    if not postgres:
        return str(conn.get_uri())
    query = {name: str(value) for name, value in conn.extra_dejson.items() if isinstance(value, str | int | float)}
    url = URL.create(
        "postgresql+psycopg", conn.login or None, conn.password or None, conn.host or None, conn.port, conn.schema or None, query
    )
    return url.render_as_string(hide_password=False)


def _json(value: Any) -> str:
    """JSON as every database takes it: no NaN."""
    return to_json(value).decode()


def _engine(url: str) -> Engine:
    # hide_parameters: a database error is logged and alerted with its statement, and the parameters are people's texts.
    if not url.startswith("sqlite"):
        return create_engine(url, pool_pre_ping=True, hide_parameters=True, json_deserializer=from_json, json_serializer=_json)
    path = make_url(url).database
    if path:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(
        url, connect_args={"timeout": BUSY_TIMEOUT_S}, hide_parameters=True, json_deserializer=from_json, json_serializer=_json
    )
    event.listen(engine, "connect", _sqlite_settings)
    event.listen(engine, "begin", _sqlite_begin)
    return engine


def _sqlite_settings(dbapi_connection: Any, _record: Any) -> None:
    # We say BEGIN ourselves (below): the driver's own guess starts a transaction too late to hold the write lock.
    dbapi_connection.isolation_level = None
    cursor = dbapi_connection.cursor()
    # 20 MB of pages and fewer checkpoints: landing a large night touches every index of the audit log again and again.
    speed = ("cache_size=-20000", "wal_autocheckpoint=4000")
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={BUSY_TIMEOUT_S * 1000}", *speed):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _sqlite_begin(conn: Connection) -> None:
    immediate = conn.get_execution_options().get("overnight_write")
    conn.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
