"""Quality: what each night measured, which workflow is tightened, what somebody looks into."""

import sqlalchemy as sa
from alembic import op

from overnight.ledger.types import Usd, UtcDateTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the three tables."""
    numbers = ("as_is", "edit", "rework", "pending", "failed", "blocked", "locked", "staged", "carried_over")
    op.create_table(
        "measures",
        sa.Column("night_id", sa.Integer(), nullable=False),
        sa.Column("workflow", sa.String(64), nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in numbers),
        sa.Column("cost_usd", Usd(), nullable=False),
        sa.Column("median_seconds", sa.Float()),
        sa.Column("labels", sa.JSON(none_as_null=True)),
        sa.Column("inputs", sa.JSON(none_as_null=True)),
        sa.Column("measured_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["night_id"], ["nights.id"], name=op.f("fk_measures_night_id")),
        sa.PrimaryKeyConstraint("night_id", name=op.f("pk_measures")),
    )
    op.create_index("ix_measures_workflow", "measures", ["workflow"])
    op.create_table(
        "postures",
        sa.Column("workflow", sa.String(64), nullable=False),
        sa.Column("tightened", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("by", sa.String(128), nullable=False),
        sa.Column("after_night_id", sa.Integer(), nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("workflow", name=op.f("pk_postures")),
    )
    op.create_table(
        "investigations",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("workflow", sa.String(64), nullable=False),
        sa.Column("night_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("opened_at", UtcDateTime(), nullable=False),
        sa.Column("closed_at", UtcDateTime()),
        sa.Column("closed_by", sa.String(128)),
        sa.Column("finding", sa.Text()),
        sa.ForeignKeyConstraint(["night_id"], ["nights.id"], name=op.f("fk_investigations_night_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_investigations")),
        sa.UniqueConstraint("night_id", "kind", name=op.f("uq_investigations_night_id_kind")),
    )
    op.create_index("ix_investigations_night_id", "investigations", ["night_id"])
