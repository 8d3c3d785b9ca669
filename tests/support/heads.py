"""Ledgers as earlier versions of this package left them: a night of blog_drafts and of review_sentiment at each migration.

`tests/ledger/heads/<revision>.json.gz` holds every table's rows as SQLite had them. They were written by that version's own code,
never by this one: see docs/how-to/upgrade.md for how the next one is made.
"""

import gzip
import json
from pathlib import Path
from typing import Any

from alembic import command
from sqlalchemy import inspect, text

from overnight.ledger import migrate
from overnight.ledger.connect import Ledger
from tests.conftest import PROJECT

FOLDER = PROJECT / "tests" / "ledger" / "heads"


def revisions() -> list[str]:
    return sorted(path.name.partition(".")[0] for path in FOLDER.glob("*.json.gz"))


def dump(ledger: Ledger, path: Path) -> None:
    """Every row of an SQLite ledger, tables in the order of their creation."""
    found: dict[str, Any] = {}
    with ledger.read() as conn:
        for name in inspect(conn).get_table_names():
            rows = conn.exec_driver_sql(f'SELECT * FROM "{name}"').mappings().all()
            found[name] = [dict(row) for row in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(json.dumps(found, sort_keys=True).encode(), mtime=0))


def load(ledger: Ledger, revision: str) -> int:
    """Make an empty ledger what that version left behind; returns how many rows it has."""
    tables: dict[str, list[dict[str, Any]]] = json.loads(gzip.decompress((FOLDER / f"{revision}.json.gz").read_bytes()))
    config = migrate._config()
    with ledger.write() as conn:
        config.attributes["connection"] = conn
        command.upgrade(config, revision)
    postgresql, count = ledger.dialect == "postgresql", 0
    with ledger.write() as conn:
        known = inspect(conn)
        order = [table.name for table in _sorted(conn)]
        for name in (name for name in order if tables.get(name) and name != "alembic_version"):
            types = {column["name"]: str(column["type"]) for column in known.get_columns(name)}
            columns = list(tables[name][0])
            values = ", ".join(f"CAST(:{c} AS {_type(types[c])})" if postgresql else f":{c}" for c in columns)
            names = ", ".join(f'"{c}"' for c in columns)
            rows = [_as_text(row, types) for row in tables[name]] if postgresql else tables[name]
            conn.execute(text(f'INSERT INTO "{name}" ({names}) VALUES ({values})'), rows)
            count += len(rows)
            if postgresql and "id" in columns:
                conn.execute(text(f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), (SELECT max(id) FROM \"{name}\"))"))
    return count


def _sorted(conn: Any) -> Any:
    from sqlalchemy import MetaData

    found = MetaData()
    found.reflect(conn)
    return found.sorted_tables


def _type(name: str) -> str:
    return "TIMESTAMPTZ" if name.startswith("TIMESTAMP") else name


def _as_text(row: dict[str, Any], types: dict[str, str]) -> dict[str, Any]:
    stamped = {name for name, kind in types.items() if kind.startswith("TIMESTAMP")}
    return {name: None if value is None else f"{value}+00" if name in stamped else str(value) for name, value in row.items()}
