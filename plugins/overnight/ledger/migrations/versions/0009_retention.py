"""Retention: whose texts were removed and when, which raw files are gone, and which days of the audit log were archived."""

import sqlalchemy as sa
from alembic import op

from overnight.ledger.types import UtcDateTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

PURGED = "SELECT 1 FROM audit_purges p WHERE p.workflow = OLD.workflow AND p.day = OLD.day"
SQLITE = [
    "DROP TRIGGER audit_events_no_delete",
    f"""
    CREATE TRIGGER audit_events_no_delete BEFORE DELETE ON audit_events WHEN NOT EXISTS ({PURGED})
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END
    """,
    *(
        f"""
        CREATE TRIGGER audit_purges_no_{verb.lower()} BEFORE {verb} ON audit_purges
        BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END
        """
        for verb in ("UPDATE", "DELETE")
    ),
]
POSTGRESQL = [
    f"""
    CREATE OR REPLACE FUNCTION audit_events_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'DELETE' AND TG_TABLE_NAME = 'audit_events' THEN
            IF EXISTS ({PURGED}) THEN RETURN OLD; END IF;
        END IF;
        RAISE EXCEPTION 'the audit log is append-only';
    END $$
    """,
    """
    CREATE TRIGGER audit_purges_no_change BEFORE UPDATE OR DELETE ON audit_purges
    FOR EACH ROW EXECUTE FUNCTION audit_events_append_only()
    """,
    """
    CREATE TRIGGER audit_purges_no_truncate BEFORE TRUNCATE ON audit_purges
    FOR EACH STATEMENT EXECUTE FUNCTION audit_events_append_only()
    """,
]


def upgrade() -> None:
    """A day of the log may be deleted once it stands among the purges, and only then."""
    op.create_table(
        "audit_purges",
        sa.Column("workflow", sa.String(64), nullable=False),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("archive", sa.String(250), nullable=False),
        sa.Column("archive_sha256", sa.String(64), nullable=False),
        sa.Column("purged_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("workflow", "day", name=op.f("pk_audit_purges")),
    )
    with op.batch_alter_table("items") as items:
        items.add_column(sa.Column("texts_removed_at", UtcDateTime()))
    with op.batch_alter_table("nights") as nights:
        nights.add_column(sa.Column("texts_removed_at", UtcDateTime()))
    with op.batch_alter_table("batches") as batches:
        batches.add_column(sa.Column("raw_removed_at", UtcDateTime()))
    # A week's decisions and tiers are looked up, not scanned for.
    op.create_index("ix_decisions_decided_at", "decisions", ["decided_at"])
    op.create_index("ix_items_night_id_tier", "items", ["night_id", "tier"])
    # The log's first page reads the newest of the few notable rows: in the order of this index, not by a plan that may change.
    rare = sa.text("verb NOT IN ('create', 'move')")
    op.create_index("ix_audit_events_notable_id", "audit_events", ["id"], sqlite_where=rare, postgresql_where=rare)
    for statement in POSTGRESQL if op.get_bind().dialect.name == "postgresql" else SQLITE:
        op.execute(statement)


def downgrade() -> None:
    """Refused: without its table of purges, a log whose days were archived would look broken."""
    raise RuntimeError("Step 0009 is not taken back: restore the backup that was made before it (docs/how-to/backup.md).")
