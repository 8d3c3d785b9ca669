"""Chains: what each item is given at a step and, where the step is in code, what it found."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns of a step's items."""
    for column in (
        sa.Column("input", sa.JSON(none_as_null=True)),
        sa.Column("output", sa.JSON(none_as_null=True)),
        sa.Column("error", sa.Text()),
        sa.Column("retryable", sa.Boolean()),
    ):
        op.add_column("step_items", column)
    op.add_column("findings", sa.Column("step_id", sa.Integer()))
