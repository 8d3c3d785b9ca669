"""Repairs, fallbacks, budgets, reuse, late results: what a batch is for, what it may cost, and where its answers land.

New references carry no foreign key: SQLite could only add one by rebuilding tables that hold paid work.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from overnight.ledger.types import Usd, UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_INDEXES = (("batches", "landing_night_id"), ("answers", "night_id"), ("request_items", "input_key"))


def _columns() -> dict[str, list[sa.Column[Any]]]:
    return {
        "nights": [sa.Column("budget_usd", Usd()), sa.Column("estimate_usd", Usd())],
        "batches": [
            sa.Column("purpose", sa.String(16), nullable=False, server_default="first"),
            sa.Column("landing_night_id", sa.Integer()),
            sa.Column("doubt_at", UtcDateTime()),
            sa.Column("not_before_at", UtcDateTime()),
            sa.Column("after_id", sa.Integer()),
            sa.Column("cache_prefix", sa.Boolean(), nullable=False, server_default=sa.text("false")),
            sa.Column("ceiling_usd", Usd()),
            sa.Column("cost_usd", Usd()),
            sa.Column("input_tokens", sa.Integer(), nullable=False, server_default="0"),
            sa.Column("waits", sa.Integer(), nullable=False, server_default="0"),
        ],
        "request_items": [sa.Column("input_key", sa.String(64))],
        "findings": [sa.Column("attempt", sa.Integer())],
        "answers": [sa.Column("night_id", sa.Integer()), sa.Column("reused_from", sa.Integer())],
    }


def upgrade() -> None:
    """Add the columns, fill in what earlier nights imply, and make the table of breakers."""
    for table, columns in _columns().items():
        for column in columns:
            op.add_column(table, column)
    for table, name in _INDEXES:
        op.create_index(f"ix_{table}_{name}", table, [name])
    op.create_table(
        "breakers",
        sa.Column("vendor", sa.String(32), nullable=False),
        sa.Column("model", sa.String(128), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("open_until", UtcDateTime()),
        sa.Column("reason", sa.Text()),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("vendor", "model", name=op.f("pk_breakers")),
    )
    op.execute("UPDATE answers SET night_id = (SELECT s.night_id FROM steps s WHERE s.id = answers.step_id)")
    landed = "SELECT sum(a.cost_usd) FROM answers a JOIN requests r ON r.id = a.request_id WHERE r.batch_id = batches.id"
    op.execute(f"UPDATE batches SET cost_usd = ({landed}) WHERE state = 'landed'")  # noqa: S608 - two constants of this file
