"""Reviews outside our own page, deliveries, lessons: where an item is shown, how much was edited, what was handed out."""

import sqlalchemy as sa
from alembic import op

from overnight.ledger.types import UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the decisions' columns and the four tables."""
    for column in (
        sa.Column("checklist", sa.JSON()),
        sa.Column("edit_share", sa.Float()),
        sa.Column("edit_diff", sa.Text()),
        sa.Column("heavy", sa.Boolean(), nullable=False, server_default=sa.text("false")),
    ):
        op.add_column("decisions", column)
    _exhibits()
    _deliveries()
    _lessons()


def _exhibits() -> None:
    op.create_table(
        "exhibits",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("night_id", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.Integer()),
        sa.Column("ref", sa.String(64), nullable=False),
        sa.Column("surface", sa.String(32), nullable=False),
        sa.Column("place", sa.String(500), nullable=False),
        sa.Column("shown_hash", sa.String(64), nullable=False),
        sa.Column("link", sa.String(2000)),
        sa.Column("said", sa.Text()),
        sa.Column("shown_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["night_id"], ["nights.id"], name=op.f("fk_exhibits_night_id")),
        sa.ForeignKeyConstraint(["item_id"], ["items.id"], name=op.f("fk_exhibits_item_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exhibits")),
        sa.UniqueConstraint("night_id", "ref", name=op.f("uq_exhibits_night_id_ref")),
    )
    op.create_index("ix_exhibits_night_id", "exhibits", ["night_id"])
    op.create_index("ix_exhibits_item_id", "exhibits", ["item_id"])


def _deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("workflow", sa.String(64), nullable=False),
        sa.Column("targets", sa.String(250), nullable=False),
        sa.Column("folder", sa.String(500), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("sha256", sa.String(64)),
        sa.Column("planned_at", UtcDateTime(), nullable=False),
        sa.Column("written_at", UtcDateTime()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
    )
    op.create_table(
        "delivery_items",
        sa.Column("delivery_id", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["delivery_id"], ["deliveries.id"], name=op.f("fk_delivery_items_delivery_id")),
        sa.ForeignKeyConstraint(["item_id"], ["items.id"], name=op.f("fk_delivery_items_item_id")),
        sa.PrimaryKeyConstraint("delivery_id", "item_id", name=op.f("pk_delivery_items")),
    )
    op.create_index("ix_delivery_items_item_id", "delivery_items", ["item_id"])


def _lessons() -> None:
    op.create_table(
        "lessons",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("workflow", sa.String(64), nullable=False),
        sa.Column("prompt_version", sa.String(64), nullable=False),
        sa.Column("pattern", sa.String(250), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("proposed_at", UtcDateTime(), nullable=False),
        sa.Column("decided_at", UtcDateTime()),
        sa.Column("decided_by", sa.String(128)),
        sa.Column("replay", sa.JSON()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lessons")),
        sa.UniqueConstraint("workflow", "prompt_version", "pattern", name=op.f("uq_lessons_workflow_prompt_version_pattern")),
    )
