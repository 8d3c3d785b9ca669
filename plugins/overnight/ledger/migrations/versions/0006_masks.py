"""Masking: what each request keeps back from its vendor, to be put back in the answer."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column("request_items", sa.Column("masks", sa.JSON(none_as_null=True)))
