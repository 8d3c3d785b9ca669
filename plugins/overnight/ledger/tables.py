"""The ledger's tables. One row per item from the queue to delivery; nothing here is ever deleted by a night.

Texts of items and answers live here and in the raw files, never in XCom, trigger arguments or logs.
Migrations (`migrations/versions`) are the numbered steps that make these tables; a test keeps the two equal.
"""

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    literal_column,
    text,
)

from overnight.ledger.types import Usd, UtcDateTime

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)


def id_column() -> Column[int]:
    return Column("id", Integer, primary_key=True, autoincrement=True)


def ref(name: str, target: str, *, nullable: bool = False) -> Column[int]:
    return Column(name, Integer, ForeignKey(f"{target}.id"), nullable=nullable, index=True)


nights = Table(
    "nights",
    metadata,
    id_column(),
    Column("workflow", String(64), nullable=False),
    Column("night", String(32), nullable=False),  # local date of the lock, "-2" for a second one that day
    Column("run_id", String(250), nullable=False),
    Column("state", String(16), nullable=False),
    Column("timezone", String(64), nullable=False),
    Column("vendor", String(32), nullable=False),
    Column("model", String(128), nullable=False),
    Column("surface", String(32), nullable=False),
    Column("source", String(32), nullable=False),
    Column("policy_hash", String(64), nullable=False),
    Column("prompt_version", String(64), nullable=False),
    Column("cap", Integer, nullable=False),
    Column("over_cap", Integer, nullable=False, server_default="0"),
    Column("rejected", Integer, nullable=False, server_default="0"),
    Column("opened_at", UtcDateTime, nullable=False),
    Column("start_at", UtcDateTime, nullable=False),
    Column("cutoff_at", UtcDateTime, nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
    Column("locked_at", UtcDateTime),
    Column("exported_at", UtcDateTime),
    Column("closed_at", UtcDateTime),
    Column("summary", JSON),  # the digest and the checks of the whole night, written by validate
    Column("budget_usd", Usd),  # what this night may cost at most; null: a night from before there were budgets
    Column("estimate_usd", Usd),  # what it was expected to cost when it was locked
    Column("purpose", String(16), nullable=False, server_default="night"),  # or "test": a launch test
    Column("cap_why", Text),  # what set the cap, in words
    Column("texts_removed_at", UtcDateTime),  # its retention was over
    UniqueConstraint("workflow", "night"),
    UniqueConstraint("workflow", "run_id"),
)

steps = Table(
    "steps",
    metadata,
    id_column(),
    ref("night_id", "nights"),
    Column("position", Integer, nullable=False),
    Column("name", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    UniqueConstraint("night_id", "position"),
)

items = Table(
    "items",
    metadata,
    id_column(),
    Column("workflow", String(64), nullable=False),
    Column("source", String(32), nullable=False),
    Column("source_ref", String(500), nullable=False),  # where the row stands: a file and line, a sheet and row
    Column("key", String(250), nullable=False),  # the row's own id
    Column("content_hash", String(64), nullable=False),
    Column("input", JSON, nullable=False),
    Column("priority", Integer, nullable=False, server_default="0"),
    Column("context", Text),
    Column("state", String(16), nullable=False),
    Column("message", Text),  # what the person at the queue is told
    ref("night_id", "nights", nullable=True),  # the night that holds it now, or held it last
    Column("nights_waited", Integer, nullable=False, server_default="0"),
    Column("rounds", Integer, nullable=False, server_default="0"),  # how often a reviewer sent it back
    Column("note", Text),  # the reviewer's note that goes with a rework
    Column("in_doubt", Boolean, nullable=False, server_default=text("false")),  # its batch is not settled: never resend
    Column("bucket", String(32)),  # where the review shows it
    Column("position", Integer),  # … and in which order
    Column("output", JSON),  # the answer that was staged
    Column("output_hash", String(64)),
    Column("tier", String(4)),  # who must say yes; null: staged before there were tiers, the policy's default holds
    Column("created_at", UtcDateTime, nullable=False),
    Column("texts_removed_at", UtcDateTime),  # its retention was over: input and output are gone, the figures are not
    UniqueConstraint("workflow", "source", "key", "content_hash"),
    Index("ix_items_workflow_state", "workflow", "state"),
    Index("ix_items_night_id_bucket_position", "night_id", "bucket", "position"),
    Index("ix_items_night_id_tier", "night_id", "tier"),
    Index(  # the few that wait for people, among all that ever were
        "ix_items_in_review",
        "night_id",
        sqlite_where=text("state = 'in_review'"),
        postgresql_where=text("state = 'in_review'"),
    ),
)
IN_REVIEW = items.c.state == literal_column("'in_review'")
"""An item waits for people. In these words, for the index that knows them (a parameter would not be seen)."""

night_items = Table(
    "night_items",
    metadata,
    Column("night_id", Integer, ForeignKey("nights.id"), primary_key=True),
    Column("item_id", Integer, ForeignKey("items.id"), primary_key=True, index=True),
    Column("outcome", String(16)),
    Column("reason", Text),
    Index("ix_night_items_night_id_outcome", "night_id", "outcome"),
)

step_items = Table(
    "step_items",
    metadata,
    Column("step_id", Integer, ForeignKey("steps.id"), primary_key=True),
    Column("item_id", Integer, ForeignKey("items.id"), primary_key=True, index=True),
    Column("outcome", String(16)),  # of the night, or `passed`: it went on to another step
    Column("input", JSON(none_as_null=True)),  # what it is given here; null: the queued row as it is
    Column("output", JSON(none_as_null=True)),  # what a step in code found
    Column("error", Text),  # why a step in code found nothing good
    Column("retryable", Boolean),
)

prompts = Table(
    "prompts",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("workflow", String(64), nullable=False),
    Column("system", Text, nullable=False),
    Column("schema", JSON, nullable=False),
    Column("schema_name", String(64), nullable=False),
)

batches = Table(
    "batches",
    metadata,
    id_column(),
    ref("night_id", "nights"),
    ref("step_id", "steps"),
    Column("shard", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("vendor", String(32), nullable=False),
    Column("model", String(128), nullable=False),
    Column("key", String(128), nullable=False, unique=True),  # what the vendor is told, so that we can find it again
    Column("state", String(16), nullable=False),
    Column("request_count", Integer, nullable=False),
    Column("request_bytes", Integer, nullable=False),
    Column("vendor_batch_id", String(128), unique=True),
    Column("vendor_file_id", String(128)),
    Column("intent_at", UtcDateTime),
    Column("doubt_at", UtcDateTime),  # since when nobody knows whether it was accepted: no create of ours was sent after it
    Column("submitted_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    Column("landed_at", UtcDateTime),
    Column("cancelled_at", UtcDateTime),
    Column("raw_path", String(500)),  # the vendor's own words, compressed, relative to the raw folder
    Column("raw_sha256", String(64)),
    Column("raw_removed_at", UtcDateTime),  # its retention was over
    Column("counts", JSON),
    Column("error", Text),
    Column("purpose", String(16), nullable=False, server_default="first"),
    Column("landing_night_id", Integer, index=True),  # the night its answers land in; null: its own (late ones land later)
    Column("not_before_at", UtcDateTime),  # a wait the vendor or a breaker asked for
    Column("after_id", Integer),  # the batch that warms the prompt cache for this one
    Column("cache_prefix", Boolean, nullable=False, server_default=text("false")),
    Column("ceiling_usd", Usd),  # what it can cost at most: counted against the budget until it has landed
    Column("cost_usd", Usd),  # what it did cost, from its answers, once it has landed
    Column("input_tokens", Integer, nullable=False, server_default="0"),  # estimated, against the enqueued-token budget
    Column("waits", Integer, nullable=False, server_default="0"),  # how often in a row the vendor put us off
    UniqueConstraint("step_id", "shard", "attempt"),
)

requests = Table(
    "requests",
    metadata,
    id_column(),
    ref("step_id", "steps"),
    ref("batch_id", "batches"),
    Column("custom_id", String(64), nullable=False, unique=True),
    Column("vendor", String(32), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("prompt_hash", String(64), ForeignKey("prompts.hash"), nullable=False),
    Column("content", Text, nullable=False),  # the part after the shared prompt
    Column("max_output_tokens", Integer, nullable=False),
    Column("state", String(16), nullable=False),
)

request_items = Table(
    "request_items",
    metadata,
    Column("request_id", Integer, ForeignKey("requests.id"), primary_key=True),
    Column("item_id", Integer, ForeignKey("items.id"), primary_key=True, index=True),
    Column("step_id", Integer, ForeignKey("steps.id"), nullable=False),
    Column("vendor", String(32), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("position", Integer, nullable=False),  # of its entry in the request; identical inputs share one
    Column("masks", JSON(none_as_null=True)),  # placeholder → what the vendor does not see
    Column("input_key", String(64), index=True),  # what was asked, of whom, under which prompt: the key of reuse
)

answers = Table(
    "answers",
    metadata,
    id_column(),
    ref("item_id", "items"),
    ref("step_id", "steps"),
    ref("request_id", "requests"),
    Column("vendor", String(32), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("output", JSON),
    Column("error", Text),
    Column("retryable", Boolean, nullable=False),  # whether asking again another night may help
    Column("model", String(128)),
    Column("input_tokens", Integer, nullable=False),  # all input tokens, cached ones included
    Column("cache_read_tokens", Integer, nullable=False),
    Column("cache_write_tokens", Integer, nullable=False),
    Column("output_tokens", Integer, nullable=False),  # all output tokens, reasoning included
    Column("reasoning_tokens", Integer, nullable=False),
    Column("cost_usd", Usd, nullable=False),
    Column("realtime_cost_usd", Usd, nullable=False),  # what the same tokens cost without the batch rate
    Column("landed_at", UtcDateTime, nullable=False),
    Column("night_id", Integer, index=True),  # the night it counts in; a late one counts in a later night than it was sent
    Column("reused_from", Integer),  # the earlier answer to the same question, when nothing was bought
    UniqueConstraint("item_id", "step_id", "vendor", "attempt"),
)

findings = Table(
    "findings",
    metadata,
    id_column(),
    ref("item_id", "items"),
    ref("night_id", "nights"),
    Column("rule", String(64), nullable=False),
    Column("severity", String(16), nullable=False),
    Column("field", String(64)),
    Column("message", Text, nullable=False),
    Column("evidence", Text),
    Column("attempt", Integer),  # of the answer it is about; null: of the whole night
    Column("step_id", Integer),  # the step whose answer it is about; null: of the whole night, or from before there were steps
)

decisions = Table(
    "decisions",
    metadata,
    id_column(),
    ref("night_id", "nights"),
    ref("item_id", "items", nullable=True),  # null: the decision on the whole digest
    Column("decision", String(16), nullable=False),
    Column("reviewer", String(128), nullable=False),
    Column("reason_code", String(64)),
    Column("note", Text),
    Column("edited", JSON),
    Column("output_hash", String(64)),  # what the reviewer saw: a decision on another version is refused
    Column("surface", String(32), nullable=False),
    Column("decided_at", UtcDateTime, nullable=False),
    Column("collected_at", UtcDateTime),
    Column("superseded_at", UtcDateTime),
    Column("checklist", JSON),  # the criteria the reviewer ticked
    Column("edit_share", Float),  # how much of the text was changed: 0..1 of its characters
    Column("edit_diff", Text),  # what was changed, as a unified diff
    Column("heavy", Boolean, nullable=False, server_default=text("false")),  # so much that metrics count it as rework
    Index("ix_decisions_decided_at", "decided_at"),
    Index(
        "uq_decisions_effective_item",
        "item_id",
        "night_id",
        unique=True,
        sqlite_where=text("superseded_at IS NULL AND item_id IS NOT NULL"),
        postgresql_where=text("superseded_at IS NULL AND item_id IS NOT NULL"),
    ),
    Index(
        "uq_decisions_effective_digest",
        "night_id",
        unique=True,
        sqlite_where=text("superseded_at IS NULL AND item_id IS NULL"),
        postgresql_where=text("superseded_at IS NULL AND item_id IS NULL"),
    ),
)

alerts = Table(
    "alerts",
    metadata,
    id_column(),
    Column("dedupe_key", String(250), nullable=False, unique=True),
    Column("kind", String(64), nullable=False),
    Column("workflow", String(64), nullable=False),
    Column("night", String(32)),
    Column("run_id", String(250)),
    Column("severity", String(16), nullable=False),
    Column("message", Text, nullable=False),
    Column("raised_at", UtcDateTime, nullable=False),
    Column("last_seen_at", UtcDateTime, nullable=False),
    Column("seen", Integer, nullable=False, server_default="1"),
    Column("recovered_at", UtcDateTime),  # when it was over
    Column("recovery", Text),  # … and what ended it
)

kill_switches = Table(
    "kill_switches",
    metadata,
    Column("scope", String(64), primary_key=True),  # "*" for all, else a workflow's name
    Column("engaged", Boolean, nullable=False),
    Column("by", String(128), nullable=False),
    Column("reason", Text, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
)

breakers = Table(
    "breakers",
    metadata,
    Column("vendor", String(32), primary_key=True),
    Column("model", String(128), primary_key=True),
    Column("failures", Integer, nullable=False, server_default="0"),  # in a row
    Column("open_until", UtcDateTime),  # null: closed; past: the next batch is the probe
    Column("reason", Text),
    Column("changed_at", UtcDateTime, nullable=False),
)

audit_events = Table(
    "audit_events",
    metadata,
    id_column(),
    Column("workflow", String(64), nullable=False),
    Column("day", String(10), nullable=False),
    Column("position", Integer, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("actor_type", String(16), nullable=False),
    Column("actor", String(128), nullable=False),
    Column("run_id", String(250), nullable=False),
    Column("task_id", String(128), nullable=False),
    Column("verb", String(32), nullable=False),
    Column("object_type", String(16), nullable=False),
    Column("object_id", String(64), nullable=False),
    Column("from_state", String(16), nullable=False),
    Column("to_state", String(16), nullable=False),
    Column("policy_hash", String(64), nullable=False),
    Column("detail", Text, nullable=False),  # canonical JSON; hashes and counts, never an item's text or a key
    Column("prev_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    UniqueConstraint("workflow", "day", "position"),
    Index("ix_audit_events_object_type_object_id", "object_type", "object_id"),
    Index("ix_audit_events_workflow_id", "workflow", "id"),
    Index(  # what people did, and what was refused, among millions of moves
        "ix_audit_events_notable",
        "at",
        sqlite_where=text("verb NOT IN ('create', 'move')"),
        postgresql_where=text("verb NOT IN ('create', 'move')"),
    ),
    Index(  # … newest first: the log's first page, whatever the planner thinks of how rare they are
        "ix_audit_events_notable_id",
        "id",
        sqlite_where=text("verb NOT IN ('create', 'move')"),
        postgresql_where=text("verb NOT IN ('create', 'move')"),
    ),
)

audit_heads = Table(
    "audit_heads",
    metadata,
    Column("workflow", String(64), primary_key=True),
    Column("day", String(10), primary_key=True),
    Column("position", Integer, nullable=False),
    Column("hash", String(64), nullable=False),
)
