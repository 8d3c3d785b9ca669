"""The tables of the morning: what stands on which surface, what was handed out, what reviewers taught."""

from sqlalchemy import JSON, Column, ForeignKey, Integer, String, Table, Text, UniqueConstraint

from overnight.ledger.tables import id_column, metadata, ref
from overnight.ledger.types import UtcDateTime

__all__ = ["deliveries", "delivery_items", "exhibits", "holds", "lessons", "metadata"]

holds = Table(
    "holds",
    metadata,
    Column("item_id", Integer, ForeignKey("items.id"), primary_key=True, autoincrement=False),
    ref("night_id", "nights"),
    Column("person", String(128), nullable=False),
    Column("since", UtcDateTime, nullable=False),
    Column("until", UtcDateTime, nullable=False),  # a browser that was closed lets go by itself
)
"""Who has which item before them on the review page, so that two do not decide one."""

exhibits = Table(
    "exhibits",
    metadata,
    id_column(),
    ref("night_id", "nights"),
    ref("item_id", "items", nullable=True),  # null: the night's digest, or its "all that is ready"
    Column("ref", String(64), nullable=False),  # what the surface's row carries: the item and the version of its draft
    Column("surface", String(32), nullable=False),
    Column("place", String(500), nullable=False),  # where it stands there: a page's or a record's id, "" for a row
    Column("shown_hash", String(64), nullable=False),  # of all that was shown: a reviewer must not change it
    Column("link", String(2000)),  # a document of its own, for long drafts
    Column("said", Text),  # what stands beside it
    Column("shown_at", UtcDateTime, nullable=False),
    UniqueConstraint("night_id", "ref"),
)

deliveries = Table(
    "deliveries",
    metadata,
    id_column(),
    Column("workflow", String(64), nullable=False),
    Column("targets", String(250), nullable=False),
    Column("folder", String(500), nullable=False),  # relative to the delivery folder
    Column("state", String(16), nullable=False),
    Column("sha256", String(64)),  # of its manifest
    Column("planned_at", UtcDateTime, nullable=False),
    Column("written_at", UtcDateTime),
)

delivery_items = Table(
    "delivery_items",
    metadata,
    Column("delivery_id", Integer, ForeignKey("deliveries.id"), primary_key=True),
    Column("item_id", Integer, ForeignKey("items.id"), primary_key=True, index=True),
)

lessons = Table(
    "lessons",
    metadata,
    id_column(),
    Column("workflow", String(64), nullable=False),
    Column("prompt_version", String(64), nullable=False),  # under which the pattern showed itself
    Column("pattern", String(250), nullable=False),
    Column("rule", Text, nullable=False),
    Column("evidence", JSON, nullable=False),
    Column("state", String(16), nullable=False),
    Column("proposed_at", UtcDateTime, nullable=False),
    Column("decided_at", UtcDateTime),
    Column("decided_by", String(128)),
    Column("replay", JSON),  # what asking past items again under the rule showed
    UniqueConstraint("workflow", "prompt_version", "pattern"),
)
