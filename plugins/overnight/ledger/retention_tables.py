"""Tables of what was removed: days of the audit log that stand in an archive now."""

from sqlalchemy import Column, Integer, String, Table

from overnight.ledger.tables import metadata
from overnight.ledger.types import UtcDateTime

audit_purges = Table(
    "audit_purges",
    metadata,
    Column("workflow", String(64), primary_key=True),
    Column("day", String(10), primary_key=True),
    Column("rows", Integer, nullable=False),
    Column("hash", String(64), nullable=False),  # of the chain's last row, as its head has it
    Column("archive", String(250), nullable=False),  # the file's name
    Column("archive_sha256", String(64), nullable=False),
    Column("purged_at", UtcDateTime, nullable=False),
)
