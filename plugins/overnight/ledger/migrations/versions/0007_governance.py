"""Governance: tiers and first yeses, launch states, reserved review minutes, and which channel took which alert."""

import sqlalchemy as sa
from alembic import op

from overnight.ledger.types import UtcDateTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns, make the tables, and let workflows that ran before go on: they are live."""
    op.add_column("items", sa.Column("tier", sa.String(4)))
    op.add_column("nights", sa.Column("purpose", sa.String(16), nullable=False, server_default="night"))
    op.add_column("nights", sa.Column("cap_why", sa.Text()))
    op.add_column("alerts", sa.Column("recovered_at", UtcDateTime()))
    op.add_column("alerts", sa.Column("recovery", sa.Text()))
    op.create_table(
        "assents",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("night_id", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("output_hash", sa.String(64), nullable=False),
        sa.Column("person", sa.String(128), nullable=False),
        sa.Column("surface", sa.String(32), nullable=False),
        sa.Column("said_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["night_id"], ["nights.id"], name=op.f("fk_assents_night_id")),
        sa.ForeignKeyConstraint(["item_id"], ["items.id"], name=op.f("fk_assents_item_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assents")),
        sa.UniqueConstraint("item_id", "output_hash", "person", name=op.f("uq_assents_item_id_output_hash_person")),
    )
    op.create_index("ix_assents_night_id", "assents", ["night_id"])
    op.create_index("ix_assents_item_id", "assents", ["item_id"])
    op.create_table(
        "launches",
        sa.Column("workflow", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("before", sa.String(16)),
        sa.Column("prompt_version", sa.String(64), nullable=False),
        sa.Column("models", sa.String(500), nullable=False),
        sa.Column("policy_hash", sa.String(64), nullable=False),
        sa.Column("by", sa.String(128), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("after_night_id", sa.Integer(), nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("workflow", name=op.f("pk_launches")),
    )
    op.create_table(
        "reservations",
        sa.Column("night_id", sa.Integer(), nullable=False),
        sa.Column("workflow", sa.String(64), nullable=False),
        sa.Column("morning", sa.String(10), nullable=False),
        sa.Column("minutes", sa.Float(), nullable=False),
        sa.Column("seconds_per_item", sa.Float(), nullable=False),
        sa.Column("items", sa.Integer(), nullable=False),
        sa.Column("reserved_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["night_id"], ["nights.id"], name=op.f("fk_reservations_night_id")),
        sa.PrimaryKeyConstraint("night_id", name=op.f("pk_reservations")),
    )
    op.create_index("ix_reservations_morning", "reservations", ["morning"])
    op.create_table(
        "alert_sends",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("alert_id", sa.Integer(), nullable=False),
        sa.Column("notice", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text()),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["alert_id"], ["alerts.id"], name=op.f("fk_alert_sends_alert_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_sends")),
        sa.UniqueConstraint("alert_id", "notice", name=op.f("uq_alert_sends_alert_id_notice")),
    )
    op.create_index("ix_alert_sends_alert_id", "alert_sends", ["alert_id"])
    # What ran nights before there was a gate goes on as it was; a change of its prompt, model or policy arms the gate.
    op.execute(
        "INSERT INTO launches (workflow, state, prompt_version, models, policy_hash, by, reason, after_night_id, changed_at) "
        "SELECT workflow, 'live', '', '', '', 'migration 0007', 'it ran nights before there was a launch gate', max(id), "
        "CURRENT_TIMESTAMP FROM nights WHERE state = 'closed' GROUP BY workflow"
    )
