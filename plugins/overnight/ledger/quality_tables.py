"""The tables of quality and governance: what each night measured, which workflow is tightened, what somebody looks into."""

from sqlalchemy import JSON, Boolean, Column, Float, ForeignKey, Index, Integer, String, Table, Text, UniqueConstraint

from overnight.ledger.tables import id_column, metadata, ref
from overnight.ledger.types import Usd, UtcDateTime

__all__ = ["investigations", "measures", "metadata", "postures", "previews"]

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
    Column("realtime_cost_usd", Usd),  # what the same tokens cost in real time; null: measured before this was kept
    Column("cache_saved_usd", Usd),  # what the answers would have cost more with no prompt cache (writing it is taken off)
    Column("packing_saved_usd", Usd),  # an estimate: the shared prompt that was not sent again for each item
    Column("reused_saved_usd", Usd),  # what answers cost that were kept from an earlier night, and not bought again
    Column("median_seconds", Float),  # between two decisions of one reviewer on our own page; null: not known there
    Column("labels", JSON(none_as_null=True)),  # label → count, where the workflow labels
    Column("inputs", JSON(none_as_null=True)),  # the kinds of input: a field's bucket → count
    Column("measured_at", UtcDateTime, nullable=False),
    Index("ix_measures_workflow_night_id", "workflow", "night_id"),
)

previews = Table(
    "previews",
    metadata,
    Column("workflow", String(64), primary_key=True),
    Column("looked_at", UtcDateTime, nullable=False),
    Column("lock_at", UtcDateTime, nullable=False),  # the lock it looks ahead to
    Column("rows", Integer, nullable=False),  # in the queue, whatever became of them before
    Column("ready", Integer, nullable=False),  # would stand in line, those of earlier nights included
    Column("locked", Integer, nullable=False),  # … and would be locked
    Column("rejected", Integer, nullable=False),
    Column("cap", Integer, nullable=False),
    Column("cap_why", Text),
    Column("minutes", Float, nullable=False),  # of reviewing, for what would be locked
    Column("expected_usd", Usd),  # at the usual cost of an item; null: no night says it yet
    Column("troubles", JSON, nullable=False),  # what the check would say: a list of sentences
    Column("waits", JSON, nullable=False),  # [{key, why}] of rows that would not be locked, and why; the first ones
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
