"""The pages: who has which item before them, what tonight will be, what was saved."""

import sqlalchemy as sa
from alembic import op

from overnight.ledger.types import Usd, UtcDateTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None
SAVED = ("realtime_cost_usd", "cache_saved_usd", "packing_saved_usd", "reused_saved_usd")
PARTIAL = (
    ("ix_items_in_review", "items", "night_id", "state = 'in_review'"),
    ("ix_audit_events_notable", "audit_events", "at", "verb NOT IN ('create', 'move')"),
)


def upgrade() -> None:
    """Make the table of holds, and the indexes the pages look up by."""
    op.create_table(
        "holds",
        sa.Column("item_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("night_id", sa.Integer(), nullable=False),
        sa.Column("person", sa.String(128), nullable=False),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.Column("until", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["item_id"], ["items.id"], name=op.f("fk_holds_item_id")),
        sa.ForeignKeyConstraint(["night_id"], ["nights.id"], name=op.f("fk_holds_night_id")),
        sa.PrimaryKeyConstraint("item_id", name=op.f("pk_holds")),
    )
    op.create_index("ix_holds_night_id", "holds", ["night_id"])
    op.create_table(
        "previews",
        sa.Column("workflow", sa.String(64), nullable=False),
        sa.Column("looked_at", UtcDateTime(), nullable=False),
        sa.Column("lock_at", UtcDateTime(), nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("rows", "ready", "locked", "rejected", "cap")),
        sa.Column("cap_why", sa.Text()),
        sa.Column("minutes", sa.Float(), nullable=False),
        sa.Column("expected_usd", Usd()),
        sa.Column("troubles", sa.JSON(), nullable=False),
        sa.Column("waits", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("workflow", name=op.f("pk_previews")),
    )
    with op.batch_alter_table("measures") as measures:
        for name in SAVED:
            measures.add_column(sa.Column(name, Usd()))
    # The corridor of a night and a page of the log are looked up, never scanned for.
    op.create_index("ix_night_items_night_id_outcome", "night_items", ["night_id", "outcome"])
    op.create_index("ix_audit_events_workflow_id", "audit_events", ["workflow", "id"])
    op.create_index("ix_measures_workflow_night_id", "measures", ["workflow", "night_id"])
    for name, table, column, where in PARTIAL:
        op.create_index(name, table, [column], sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def downgrade() -> None:
    """Back to before."""
    for name, table, _, _ in PARTIAL:
        op.drop_index(name, table)
    op.drop_index("ix_measures_workflow_night_id", "measures")
    op.drop_index("ix_audit_events_workflow_id", "audit_events")
    op.drop_index("ix_night_items_night_id_outcome", "night_items")
    with op.batch_alter_table("measures") as measures:
        for name in SAVED:
            measures.drop_column(name)
    op.drop_table("previews")
    op.drop_table("holds")
