"""The tables of governance: first yeses, launch states, reserved review minutes, and which channel took which alert."""

from sqlalchemy import Column, Float, ForeignKey, Integer, String, Table, Text, UniqueConstraint

from overnight.ledger.tables import id_column, metadata, ref
from overnight.ledger.types import UtcDateTime

__all__ = ["alert_sends", "assents", "launches", "metadata", "reservations"]

assents = Table(
    "assents",
    metadata,
    id_column(),
    ref("night_id", "nights"),
    ref("item_id", "items"),
    Column("output_hash", String(64), nullable=False),  # a yes is to one version of a draft
    Column("person", String(128), nullable=False),
    Column("surface", String(32), nullable=False),
    Column("said_at", UtcDateTime, nullable=False),
    UniqueConstraint("item_id", "output_hash", "person"),
)

launches = Table(
    "launches",
    metadata,
    Column("workflow", String(64), primary_key=True),
    Column("state", String(16), nullable=False),  # pilot, test, early, live, paused
    Column("before", String(16)),  # paused: the state it goes back to
    Column("prompt_version", String(64), nullable=False),  # what the state was reached with: another one arms the gate again
    Column("models", String(500), nullable=False),
    Column("policy_hash", String(64), nullable=False),
    Column("by", String(128), nullable=False),
    Column("reason", Text, nullable=False),
    Column("after_night_id", Integer, nullable=False),  # only nights after this one count for leaving the state
    Column("changed_at", UtcDateTime, nullable=False),
)

reservations = Table(
    "reservations",
    metadata,
    Column("night_id", Integer, ForeignKey("nights.id"), primary_key=True),
    Column("workflow", String(64), nullable=False),
    Column("morning", String(10), nullable=False, index=True),  # the local date of the review block
    Column("minutes", Float, nullable=False),
    Column("seconds_per_item", Float, nullable=False),
    Column("items", Integer, nullable=False),
    Column("reserved_at", UtcDateTime, nullable=False),
)

alert_sends = Table(
    "alert_sends",
    metadata,
    id_column(),
    ref("alert_id", "alerts"),
    Column("notice", String(16), nullable=False),  # raised or recovered
    Column("state", String(16), nullable=False),  # sending, sent, failed
    Column("tries", Integer, nullable=False),
    Column("error", Text),
    Column("at", UtcDateTime, nullable=False),
    UniqueConstraint("alert_id", "notice"),
)
