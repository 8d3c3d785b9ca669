"""What the local vendor remembers, in one SQLite file: files, batches, and each request with the outcome it will have.

A batch's progress is a function of the clock, so a server that is stopped and started again goes on where it was.
"""

import json
import random
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from overnight.sandbox.profiles import PROFILES, Fault, Profile

_SCHEMA = """
CREATE TABLE IF NOT EXISTS files (id TEXT PRIMARY KEY, vendor TEXT, name TEXT, purpose TEXT, mime TEXT, created REAL,
  content BLOB, deleted INTEGER DEFAULT 0);
CREATE TABLE IF NOT EXISTS parts (vendor TEXT, file TEXT, start INTEGER, content BLOB, PRIMARY KEY (vendor, file, start));
CREATE TABLE IF NOT EXISTS batches (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE, vendor TEXT, created REAL,
  ends REAL, expires REAL, cancel_asked REAL, cancel_settles REAL, total INTEGER, facts TEXT, error TEXT,
  deleted INTEGER DEFAULT 0);
CREATE TABLE IF NOT EXISTS requests (batch TEXT, position INTEGER, custom_id TEXT, body TEXT, outcome TEXT, done_at REAL,
  cached INTEGER, PRIMARY KEY (batch, position));
CREATE TABLE IF NOT EXISTS orders (seq INTEGER PRIMARY KEY AUTOINCREMENT, vendor TEXT, match TEXT, outcome TEXT);
CREATE TABLE IF NOT EXISTS documents (kind TEXT, id TEXT, body TEXT, PRIMARY KEY (kind, id));
CREATE TABLE IF NOT EXISTS calls (seq INTEGER PRIMARY KEY AUTOINCREMENT, at REAL, method TEXT, path TEXT, status INTEGER);
"""


NEVER_S = 1e9
AT_ONCE_S = 0.001  # even a vendor that answers at once has accepted the batch before it ends
OUTCOMES = ("succeeded", "errored", "expired", "refused", "truncated", "empty", "off_schema")
"""How a request can end: as the vendor says (the first three), or called a success with a bad answer in it."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast the local vendor is: seconds until a batch ends, a cancel settles, a batch expires."""

    batch_s: float = 2.0
    cancel_s: float = 1.0
    expire_s: float = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch as it is now."""

    id: str
    created: float
    ends: float
    expires: float
    cancel_asked: float | None
    cancel_settles: float | None
    total: int
    facts: dict[str, Any]
    error: dict[str, Any] | None
    now: float

    @property
    def cancelling(self) -> bool:
        """Whether a cancel was asked for and has not settled."""
        return self.cancel_asked is not None and self.now < self.stops

    @property
    def stops(self) -> float:
        """When it is or was over: its own end, its expiry, or the moment its cancel settles."""
        natural = min(self.ends, self.expires)
        return natural if self.cancel_settles is None else min(natural, self.cancel_settles)

    @property
    def ended(self) -> bool:
        """Whether its results are final."""
        return self.now >= self.stops

    @property
    def cancelled(self) -> bool:
        """Whether it ended because of a cancel."""
        return self.ended and self.cancel_settles is not None and self.cancel_settles <= self.stops

    @property
    def expired(self) -> bool:
        """Whether its time ran out before its work was done."""
        return self.ended and not self.cancelled and self.expires < self.ends


class Store:
    """The state of one local vendor. Safe for the server's threads; one process at a time."""

    def __init__(self, path: Path | str, pace: Pace | None = None, seed: int = 0, profile: Profile = PROFILES["none"]) -> None:
        self.pace, self.seed = pace or Pace(), seed
        self.fault = Fault(profile, seed)
        self.pace = replace(
            self.pace, batch_s=profile.batch_s or self.pace.batch_s, cancel_s=profile.cancel_s or self.pace.cancel_s
        )  # fmt: skip
        if isinstance(path, Path):
            path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, check_same_thread=False)
        self._db.row_factory = sqlite3.Row
        self._lock = threading.RLock()
        with self._lock:
            self._db.executescript("PRAGMA journal_mode=WAL;" + _SCHEMA)

    def add_file(self, vendor: str, file_id: str, name: str, purpose: str, mime: str, content: bytes) -> None:
        """Keep an upload."""
        with self._lock, self._db:
            row = (file_id, vendor, name, purpose, mime, time.time(), content)
            self._db.execute("INSERT INTO files (id,vendor,name,purpose,mime,created,content) VALUES (?,?,?,?,?,?,?)", row)

    def append_file(self, vendor: str, file_id: str, more: bytes, offset: int) -> None:
        """Add the next chunk of an upload that comes in several; what is there already is not taken twice.

        A chunk is a row of its own: a hundred of them would otherwise write the file a hundred times.
        """
        with self._lock, self._db:
            query = "SELECT coalesce(sum(length(content)), 0) AS size FROM parts WHERE vendor=? AND file=?"
            size = int(self._db.execute(query, (vendor, file_id)).fetchone()["size"])
            if new := more[max(0, size - offset) :]:
                query = "INSERT INTO parts SELECT vendor, id, ?, ? FROM files WHERE vendor=? AND id=? AND deleted=0"
                self._db.execute(query, (size, new, vendor, file_id))

    def file(self, vendor: str, file_id: str) -> dict[str, Any] | None:
        """One upload with its whole content, unless deleted."""
        query = "SELECT * FROM files WHERE vendor=? AND id=? AND deleted=0"
        with self._lock:
            found = self._db.execute(query, (vendor, file_id)).fetchone()
            return self._whole(found) if found else None

    def files(self, vendor: str) -> list[dict[str, Any]]:
        """Every upload of a vendor, newest first."""
        query = "SELECT * FROM files WHERE vendor=? AND deleted=0 ORDER BY created DESC, id"
        with self._lock:
            return [self._whole(row) for row in self._db.execute(query, (vendor,)).fetchall()]

    def _whole(self, row: sqlite3.Row) -> dict[str, Any]:
        query = "SELECT content FROM parts WHERE vendor=? AND file=? ORDER BY start"
        parts = [part["content"] for part in self._db.execute(query, (row["vendor"], row["id"]))]
        return {**row, "content": b"".join((bytes(row["content"]), *parts))}

    def delete_file(self, vendor: str, file_id: str) -> bool:
        """Forget an upload; returns whether there was one."""
        with self._lock, self._db:
            self._db.execute("DELETE FROM parts WHERE vendor=? AND file=?", (vendor, file_id))
            query = "UPDATE files SET deleted=1, content=x'' WHERE vendor=? AND id=? AND deleted=0"
            return self._db.execute(query, (vendor, file_id)).rowcount > 0

    def add_batch(
        self, vendor: str, batch_id: str, facts: dict[str, Any], requests: Iterable[tuple[str, Any, str, int]], *,
        error: dict[str, Any] | None = None,
    ) -> Batch:  # fmt: skip
        """Accept a batch: its requests as (custom_id, body, outcome, cached tokens), finished evenly over its time.

        Returns:
            The batch as it was when it was accepted: no vendor's answer to a create shows work, however busy the machine is.
        """
        created, profile = time.time(), self.fault.profile
        stuck = self.fault.happens(profile.stuck, f"stuck {batch_id}")
        ends = created + (NEVER_S if stuck else max(self.pace.batch_s, AT_ONCE_S))
        rows = [
            (custom_id, body, self._ordered(vendor, body) or self.fault.outcome(batch_id, custom_id, out), cached)
            for custom_id, body, out, cached in requests
        ]
        dice = random.Random(f"{self.seed} {batch_id}")
        with self._lock, self._db:
            expires = created + self.pace.expire_s
            if profile.expires_at is not None:
                expires = created + self.pace.batch_s * profile.expires_at
            self._db.execute(
                "INSERT INTO batches (id,vendor,created,ends,expires,total,facts,error) VALUES (?,?,?,?,?,?,?,?)",
                (batch_id, vendor, created, ends, expires, len(rows), json.dumps(facts), json.dumps(error) if error else None),
            )
            self._db.executemany(
                "INSERT INTO requests VALUES (?,?,?,?,?,?,?)",
                [
                    (
                        batch_id,
                        n,
                        custom_id,
                        json.dumps(body),
                        outcome,
                        created + (NEVER_S if stuck else dice.random() * self.pace.batch_s),
                        cached,
                    )
                    for n, (custom_id, body, outcome, cached) in enumerate(rows)
                ],
            )
        return Batch(batch_id, created, ends, expires, None, None, len(rows), facts, error, created)

    def batch(self, vendor: str, batch_id: str) -> Batch | None:
        """One batch as it is now."""
        query = "SELECT * FROM batches WHERE vendor=? AND id=? AND deleted=0"
        with self._lock:
            row = self._db.execute(query, (vendor, batch_id)).fetchone()
        return _batch(row) if row else None

    def batches(self, vendor: str) -> list[Batch]:
        """Every batch of a vendor, newest first."""
        query = "SELECT * FROM batches WHERE vendor=? AND deleted=0 ORDER BY seq DESC"
        with self._lock:
            return [_batch(row) for row in self._db.execute(query, (vendor,))]

    def cancel(self, vendor: str, batch_id: str) -> Batch | None:
        """Ask a running batch to stop; a second ask and one after the end change nothing."""
        now = time.time()
        with self._lock, self._db:
            self._db.execute(
                "UPDATE batches SET cancel_asked=?, cancel_settles=? WHERE vendor=? AND id=? AND cancel_asked IS NULL AND ends>?",
                (now, now + self.pace.cancel_s, vendor, batch_id, now),
            )
        return self.batch(vendor, batch_id)

    def delete_batch(self, vendor: str, batch_id: str) -> None:
        """Forget a batch and its results."""
        with self._lock, self._db:
            self._db.execute("UPDATE batches SET deleted=1 WHERE vendor=? AND id=?", (vendor, batch_id))

    def counts(self, batch: Batch) -> dict[str, int]:
        """How many requests are still processing, and how the others came out."""
        query = "SELECT outcome, done_at<=? AS done, count(*) AS n FROM requests WHERE batch=? GROUP BY 1, 2"
        counts = {"processing": 0, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0}
        with self._lock:
            for row in self._db.execute(query, (self._horizon(batch), batch.id)):
                if row["done"]:
                    # What a model said badly (refused, empty …) the vendor counts as a success, like the real ones.
                    counts[row["outcome"] if row["outcome"] in counts else "succeeded"] += row["n"]
                else:
                    counts[_unfinished(batch) if batch.ended else "processing"] += row["n"]
        return counts

    def results(self, batch: Batch) -> Iterator[sqlite3.Row]:
        """Each request with how it came out (`final`), in an order of the vendor's own."""
        query = "SELECT *, CASE WHEN done_at<=? THEN outcome ELSE ? END AS final FROM requests WHERE batch=?"
        with self._lock:
            rows = self._db.execute(query, (self._horizon(batch), _unfinished(batch), batch.id)).fetchall()
        random.Random(f"order {self.seed} {batch.id}").shuffle(rows)
        yield from rows

    def order(self, vendor: str, match: str, outcome: str) -> None:
        """Tell the vendor to misbehave: requests to come whose body holds `match` end with `outcome`."""
        if outcome not in OUTCOMES:
            raise ValueError(f"unknown outcome {outcome!r}; there are {', '.join(OUTCOMES)}")
        with self._lock, self._db:
            self._db.execute("INSERT INTO orders (vendor,match,outcome) VALUES (?,?,?)", (vendor, match, outcome))

    def forget_orders(self) -> None:
        """Behave again."""
        with self._lock, self._db:
            self._db.execute("DELETE FROM orders")

    def _ordered(self, vendor: str, body: Any) -> str | None:
        with self._lock:
            orders = self._db.execute("SELECT match, outcome FROM orders WHERE vendor IN (?, '*')", (vendor,)).fetchall()
        text = json.dumps(body, ensure_ascii=False) if orders else ""
        return next((str(order["outcome"]) for order in orders if order["match"] in text), None)

    def documents(self) -> list[tuple[str, str, dict[str, Any]]]:
        """Every document of the review services: kind, id, body."""
        with self._lock:
            rows = self._db.execute("SELECT kind, id, body FROM documents ORDER BY rowid").fetchall()
        return [(row["kind"], row["id"], json.loads(row["body"])) for row in rows]

    def keep_document(self, kind: str, doc_id: str, body: dict[str, Any]) -> None:
        """Write a document through."""
        with self._lock, self._db:
            statement = "INSERT INTO documents VALUES (?,?,?) ON CONFLICT (kind, id) DO UPDATE SET body=excluded.body"
            self._db.execute(statement, (kind, doc_id, json.dumps(body)))

    def drop_document(self, kind: str, doc_id: str) -> None:
        """Forget a document."""
        with self._lock, self._db:
            self._db.execute("DELETE FROM documents WHERE kind=? AND id=?", (kind, doc_id))

    def note_call(self, method: str, path: str, status: int) -> None:
        """Keep a record of each call: method, path and status; never a body or a key."""
        with self._lock, self._db:
            row = (time.time(), method, path, status)
            self._db.execute("INSERT INTO calls (at,method,path,status) VALUES (?,?,?,?)", row)

    def calls(self) -> list[sqlite3.Row]:
        """Every call so far."""
        with self._lock:
            return self._db.execute("SELECT * FROM calls ORDER BY seq").fetchall()

    def _horizon(self, batch: Batch) -> float:
        """The moment up to which requests count as done: a cancel keeps what was done when it was asked for."""
        until = min(batch.now, batch.expires)
        return min(until, batch.cancel_asked) if batch.cancel_asked is not None else until


def _unfinished(batch: Batch) -> str:
    return "expired" if batch.expired else "canceled"


def _batch(row: sqlite3.Row) -> Batch:
    return Batch(
        row["id"], row["created"], row["ends"], row["expires"], row["cancel_asked"], row["cancel_settles"], row["total"],
        json.loads(row["facts"]), json.loads(row["error"]) if row["error"] else None, time.time(),
    )  # fmt: skip


def new_id(prefix: str) -> str:
    """An id in a vendor's manner."""
    return f"{prefix}{uuid.uuid4().hex[:24]}"
