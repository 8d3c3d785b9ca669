"""The audit log: append-only rows, hash-chained per workflow and UTC day.

Each row's hash covers its own fields and the hash before it, so a row that is changed, dropped or slipped in breaks the
chain at a place `verify` can name. Database triggers refuse UPDATE and DELETE; the chain finds those who go around them.
This module must never be handed a secret or an item's text: rows carry ids, states, counts and hashes.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, literal_column, select, update
from sqlalchemy.dialects import postgresql, sqlite

from overnight.ledger import bulk
from overnight.ledger.retention_tables import audit_purges
from overnight.ledger.tables import audit_events, audit_heads

GENESIS = "0" * 64
NOTABLE = audit_events.c.verb.not_in([literal_column("'create'"), literal_column("'move'")])
"""All but what nights write by the thousand. In these words, for the index that knows them (a parameter would not be seen)."""
SYSTEM = "*"
"""The chain of what belongs to no single workflow (the global kill switch, for one)."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it: `agent` for a task of a night, `human` for a person, `system` for the package itself."""

    kind: str
    name: str
    run_id: str = ""
    task_id: str = ""
    policy_hash: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened. `detail` holds small facts, never a text from the queue or a key."""

    verb: str
    object_type: str
    object_id: str
    from_state: str = ""
    to_state: str = ""
    detail: dict[str, Any] = field(default_factory=dict)


HASHED = (
    "workflow", "day", "position", "at", "actor_type", "actor", "run_id", "task_id", "verb", "object_type",
    "object_id", "from_state", "to_state", "policy_hash", "detail", "prev_hash",
)  # fmt: skip


def digest(row: dict[str, Any]) -> str:
    """The hash of one audit row: SHA-256 over its fields in fixed order, lengths included so that none can run over."""
    return hashlib.sha256(b"".join(_framed(row[name]) for name in HASHED)).hexdigest()


def _framed(value: Any) -> bytes:
    """A value's text with its length before it."""
    text = value.astimezone(UTC).isoformat(timespec="microseconds") if isinstance(value, datetime) else str(value)
    data = text.encode()
    return b"%d:%b" % (len(data), data)


Kept = list[tuple[str, Entry, Actor, datetime]]
_KEPT = "overnight_audit_kept"


@contextmanager
def gathered(conn: Connection) -> Iterator[Kept]:
    """Keep what is appended in this block and append it at its end, many rows in one go: a list of decisions is one write.

    Yields:
        What is kept so far; whoever undoes a part of their work cuts the list back to where it was.
    """
    kept: Kept = []
    conn.info[_KEPT] = kept
    try:
        yield kept
    finally:
        del conn.info[_KEPT]
    for (workflow, actor, now), group in groupby(kept, key=lambda one: (one[0], one[2], one[3])):
        append(conn, workflow, [entry for _, entry, _, _ in group], actor=actor, now=now)


def append(conn: Connection, workflow: str, entries: Iterable[Entry], *, actor: Actor, now: datetime) -> int:
    """Append entries to the chain of `workflow` and the day of `now`; returns how many. Runs inside the caller's write."""
    if (kept := conn.info.get(_KEPT)) is not None:
        before = len(kept)
        kept.extend((workflow, entry, actor, now) for entry in entries)
        return len(kept) - before
    day = now.astimezone(UTC).date().isoformat()
    position, prev = _head_for_update(conn, workflow, day)
    # A list, so that every detail stays alive while the next is compared with it.
    rows = list(_chained(list(entries), workflow=workflow, day=day, position=position, prev=prev, actor=actor, now=now))
    if not rows:
        return 0
    bulk.insert(conn, audit_events, rows)
    conn.execute(
        update(audit_heads)
        .where(audit_heads.c.workflow == workflow, audit_heads.c.day == day)
        .values(position=rows[-1]["position"], hash=rows[-1]["hash"])
    )
    return len(rows)


def _chained(
    entries: Iterable[Entry], *, workflow: str, day: str, position: int, prev: str, actor: Actor, now: datetime
) -> Iterator[dict[str, Any]]:
    """The rows of the entries. What all of them share is framed once: the log is most of what landing writes."""
    same = {
        "workflow": workflow, "day": day, "at": now, "actor_type": actor.kind, "actor": actor.name, "run_id": actor.run_id,
        "task_id": actor.task_id, "policy_hash": actor.policy_hash,
    }  # fmt: skip
    begin = _framed(workflow) + _framed(day)
    who = b"".join(_framed(value) for value in (now, actor.kind, actor.name, actor.run_id, actor.task_id))
    policy = _framed(actor.policy_hash)
    for (verb, kind, before, after, _), group in groupby(entries, key=_alike):
        what, whither = _framed(verb) + _framed(kind), _framed(before) + _framed(after) + policy
        detail, framed = "", b""
        for entry in group:
            if not framed:  # one group, one detail
                detail = json.dumps(entry.detail, sort_keys=True, separators=(",", ":"), default=str)
                framed = whither + _framed(detail)
            position += 1
            object_id = entry.object_id
            at, name, before_it = b"%d" % position, object_id.encode(), prev.encode()
            data = b"%b%d:%b%b%b%d:%b%b%d:%b" % (
                begin, len(at), at, who, what, len(name), name, framed, len(before_it), before_it
            )  # fmt: skip
            row = {
                **same, "position": position, "verb": verb, "object_type": kind, "object_id": object_id,
                "from_state": before, "to_state": after, "detail": detail, "prev_hash": prev,
            }  # fmt: skip
            prev = row["hash"] = hashlib.sha256(data).hexdigest()
            yield row


def _alike(entry: Entry) -> tuple[str, str, str, str, int]:
    """Entries in a row that say the same of different objects; the detail is compared as the object it is."""
    return entry.verb, entry.object_type, entry.from_state, entry.to_state, id(entry.detail)


def _head_for_update(conn: Connection, workflow: str, day: str) -> tuple[int, str]:
    """The chain's end, locked until the caller commits: two writers can never append at one position."""
    dialect_insert = postgresql.insert if conn.dialect.name == "postgresql" else sqlite.insert
    conn.execute(
        dialect_insert(audit_heads)
        .values(workflow=workflow, day=day, position=0, hash=GENESIS)
        .on_conflict_do_nothing(index_elements=["workflow", "day"])
    )
    head = conn.execute(
        select(audit_heads.c.position, audit_heads.c.hash)
        .where(audit_heads.c.workflow == workflow, audit_heads.c.day == day)
        .with_for_update()
    ).one()
    return head.position, head.hash


def broken_links(
    conn: Connection, names: Sequence[str] | None = None, first_day: str = "", last_day: str = "9999"
) -> list[str]:  # fmt: skip
    """Every place where a chain does not hold, in words that name the row. Empty means the log is whole.

    Args:
        names, first_day, last_day: only the chains of these workflows and days; without, all of them.
    """
    problems: list[str] = []
    seen: dict[tuple[str, str], tuple[int, str]] = {}
    order = (audit_events.c.workflow, audit_events.c.day, audit_events.c.position, audit_events.c.id)
    query = select(audit_events).where(*_of_chains(audit_events.c, names, first_day, last_day)).order_by(*order)
    for row in conn.execute(query.execution_options(yield_per=2000)).mappings():
        chain = (row["workflow"], row["day"])
        position, prev = seen.get(chain, (0, GENESIS))
        problems += _faults(dict(row), position + 1, prev)
        seen[chain] = (row["position"], row["hash"])
    heads = select(audit_heads).where(*_of_chains(audit_heads.c, names, first_day, last_day))
    purges = select(audit_purges).where(*_of_chains(audit_purges.c, names, first_day, last_day))
    for purge in conn.execute(purges):
        problems += [] if _is_told(conn, purge) else [f"audit purge {purge.workflow} {purge.day}: the log knows nothing of it"]
        # An archived chain is as long as its head says, and ends as it says; what is left of it here would be a broken chain.
        seen.setdefault((purge.workflow, purge.day), (purge.rows, purge.hash))
    return problems + _heads_off({(h.workflow, h.day): (h.position, h.hash) for h in conn.execute(heads)}, seen)


def _is_told(conn: Connection, purge: Any) -> bool:
    """Whether the log says of a purge what its row says, or that day of the log was archived itself."""
    told = select(audit_events.c.detail).where(
        audit_events.c.object_type == "audit", audit_events.c.object_id == f"{purge.workflow} {purge.day}"[:64]
    )
    details = [json.loads(detail) for detail in conn.execute(told).scalars()]
    said = {"rows": purge.rows, "hash": purge.hash, "archive": purge.archive, "archive_sha256": purge.archive_sha256}
    if said in details:
        return True
    day = purge.purged_at.astimezone(UTC).date().isoformat()
    archived = select(audit_purges.c.day).where(audit_purges.c.workflow == purge.workflow, audit_purges.c.day == day)
    return conn.execute(archived).first() is not None


def broken_archive(lines: Iterable[dict[str, Any]]) -> tuple[list[str], int, str]:
    """Where an archived chain does not hold; and how many rows it has and its last hash, to be held against what was kept."""
    problems: list[str] = []
    position, prev = 0, GENESIS
    for row in lines:
        read = {**row, "at": datetime.fromisoformat(row["at"])}
        problems += _faults(read, position + 1, prev)
        position, prev = row["position"], row["hash"]
    return problems, position, prev


def _of_chains(columns: Any, names: Sequence[str] | None, first_day: str, last_day: str) -> list[Any]:
    if names is None and not first_day:
        return []
    mine = [] if names is None else [columns.workflow.in_(list(names))]
    return [*mine, columns.day >= first_day, columns.day <= last_day]


def _faults(row: dict[str, Any], expected: int, prev: str) -> Sequence[str]:
    name = f"audit row {row['id']} ({row['workflow']} {row['day']} #{row['position']})"
    faults = []
    if row["position"] != expected:
        faults.append(f"{name}: position {expected} is missing before it")
    if row["prev_hash"] != prev:
        faults.append(f"{name}: does not follow the row before it")
    if row["hash"] != digest(row):
        faults.append(f"{name}: its content was changed after it was written")
    return faults


def _heads_off(heads: dict[tuple[str, str], tuple[int, str]], seen: dict[tuple[str, str], tuple[int, str]]) -> list[str]:
    """A tail cut off, or a whole day dropped, leaves the remaining links intact: the heads still know."""
    problems = []
    for chain in sorted(heads.keys() | seen.keys()):
        head, last = heads.get(chain, (0, GENESIS)), seen.get(chain, (0, GENESIS))
        if head != last:
            where = f"{chain[0]} {chain[1]}"
            problems.append(f"audit chain {where}: ends at row #{last[0]}, but row #{head[0]} was written")
    return problems


def of_object(conn: Connection, kind: str, object_id: str) -> list[dict[str, Any]]:
    """All that happened to one thing, oldest first."""
    query = select(audit_events).where(audit_events.c.object_type == kind, audit_events.c.object_id == object_id)
    return [dict(row) for row in conn.execute(query.order_by(audit_events.c.id)).mappings()]
