"""What the audit log says of a week."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from overnight.governance import audit_digest, launch
from overnight.ledger import alerts


def week(conn: Connection, names: Sequence[str], *, now: datetime) -> dict[str, Any]:
    """The week of these workflows, and how far each is on its way to live."""
    return {
        "digest": audit_digest.digest(conn, now=now, workflows=names, verified=False),
        "verified": alerts.newest(conn, "audit_digest"),
        "launches": [launch.progress(conn, name) for name in names],
    }
