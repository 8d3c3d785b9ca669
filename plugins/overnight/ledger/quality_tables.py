"""The tables of quality and governance: what each night measured, which workflow is tightened, what somebody looks into."""

from sqlalchemy import JSON, Boolean, Column, Float, ForeignKey, Integer, String, Table, Text, UniqueConstraint

from overnight.ledger.tables import id_column, metadata, ref
from overnight.ledger.types import Usd, UtcDateTime

__all__ = ["investigations", "measures", "metadata", "postures"]

measures = Table(
    "measures",
    metadata,
    Column("night_id", Integer, ForeignKey("nights.id"), primary_key=True),
    Column("workflow", String(64), nullable=False, index=True),
    Column("as_is", Integer, nullable=False),
    Column("edit", Integer, nullable=False),
    Column("rework", Integer, nullable=False),  # edits of more than 30 % are counted here
    Column("pending", Integer, nullable=False),  # shown and undecided
    Column("failed", Integer, nullable=False),  # no good answer
    Column("blocked", Integer, nullable=False),  # answered, and kept from people by a rule
    Column("locked", Integer, nullable=False),
    Column("staged", Integer, nullable=False),
    Column("carried_over", Integer, nullable=False),
    Column("cost_usd", Usd, nullable=False),
    Column("median_seconds", Float),  # between two decisions of one reviewer on our own page; null: not known there
    Column("labels", JSON(none_as_null=True)),  # label → count, where the workflow labels
    Column("inputs", JSON(none_as_null=True)),  # the kinds of input: a field's bucket → count
    Column("measured_at", UtcDateTime, nullable=False),
)

postures = Table(
    "postures",
    metadata,
    Column("workflow", String(64), primary_key=True),
    Column("tightened", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Column("by", String(128), nullable=False),  # the rule that tightened it, or the person who released it
    Column("after_night_id", Integer, nullable=False),  # what was up to here is not held against it again
    Column("changed_at", UtcDateTime, nullable=False),
)

investigations = Table(
    "investigations",
    metadata,
    id_column(),
    Column("workflow", String(64), nullable=False),
    ref("night_id", "nights"),
    Column("kind", String(64), nullable=False),
    Column("what", Text, nullable=False),
    Column("opened_at", UtcDateTime, nullable=False),
    Column("closed_at", UtcDateTime),
    Column("closed_by", String(128)),
    Column("finding", Text),  # what the person found
    UniqueConstraint("night_id", "kind"),
)
