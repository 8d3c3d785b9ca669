"""The nights in figures."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from overnight.ledger import overview
from overnight.ui.shows.review import title

LAST = 50


def listed(conn: Connection, names: Sequence[str]) -> list[dict[str, Any]]:
    """The last nights of these workflows with their figures, newest first."""
    rows = overview.newest(conn, names, limit=LAST)
    return [{**overview.describe(conn, row), "id": row["id"], "title": title(row["workflow"])} for row in rows]


def loose_alerts(conn: Connection) -> list[dict[str, Any]]:
    """What kept a night from being opened."""
    return overview.loose_alerts(conn)
