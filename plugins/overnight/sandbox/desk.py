"""What the three review services share on this machine: their documents, quotas, faults, and the people who work in them.

A document is plain data in memory, written through to the store, so that a server that is stopped and started again has
what it had. A simulated person may act before any call: that is when real people act, too.
"""

import json
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from overnight.sandbox.store import Store


@dataclass(slots=True)
class Manners:
    """How the three services behave besides being right. Shares are of calls, 0..1, decided by the seed.

    `quota` scales the real limits (0: none). `busy` calls are turned away with the service's own 429, `broken` ones with a
    5xx before anything is done, `lost` ones with a 5xx after all of it was done.
    """

    quota: float = 1.0
    busy: float = 0.0
    broken: float = 0.0
    lost: float = 0.0
    seed: int = 0


@dataclass(slots=True)
class Person:
    """Somebody who works in a document while we do: acts before a call with this chance."""

    document: str
    chance: float
    seed: int
    act: Callable[[], None]
    dice: random.Random = field(default_factory=random.Random)


class Desk:
    """The documents of Google, Notion and Airtable on this machine. Safe for the server's threads."""

    def __init__(self, store: Store) -> None:
        self.store, self.lock = store, threading.RLock()
        self.docs: dict[str, dict[str, dict[str, Any]]] = {}
        for kind, doc_id, body in store.documents():
            self.docs.setdefault(kind, {})[doc_id] = body
        self.manners = Manners()
        self.dice = random.Random(0)
        self.people: list[Person] = []
        self.journal: list[dict[str, Any]] = []
        self._calls: dict[str, deque[float]] = {}
        self._changed: dict[tuple[str, str], dict[str, Any]] | None = None

    @contextmanager
    def one_sitting(self) -> Iterator[None]:
        """A document that changes five hundred times in this block is written once, at its end. Hold the lock around it."""
        self._changed = {}
        try:
            yield
        finally:
            changed, self._changed = self._changed, None
            for (kind, doc_id), body in changed.items():
                self.store.keep_document(kind, doc_id, body)

    def get(self, kind: str, doc_id: str) -> dict[str, Any] | None:
        """One document, to be read or changed under the lock."""
        return self.docs.get(kind, {}).get(doc_id)

    def all(self, kind: str) -> list[dict[str, Any]]:
        """Every document of a kind, in the order they were made."""
        return list(self.docs.get(kind, {}).values())

    def put(self, kind: str, doc_id: str, body: dict[str, Any]) -> dict[str, Any]:
        """Keep a document that was made or changed."""
        self.docs.setdefault(kind, {})[doc_id] = body
        if self._changed is None:
            self.store.keep_document(kind, doc_id, body)
        else:
            self._changed[kind, doc_id] = body
        return body

    def drop(self, kind: str, doc_id: str) -> None:
        """Forget a document."""
        self.docs.get(kind, {}).pop(doc_id, None)
        if self._changed is not None:
            self._changed.pop((kind, doc_id), None)
        self.store.drop_document(kind, doc_id)

    def behave(self, changes: dict[str, Any]) -> dict[str, Any]:
        """Change the manners; returns them all.

        Raises:
            TypeError: an unknown one.
        """
        self.manners = Manners(**{**asdict(self.manners), **changes})
        self.dice = random.Random(self.manners.seed)
        return asdict(self.manners)

    def strikes(self, what: str) -> bool:
        """Whether a fault (`busy`, `broken`, `lost`) hits this call."""
        chance: float = getattr(self.manners, what)
        return bool(chance) and self.dice.random() < chance

    def over_quota(self, key: str, calls: int, seconds: float) -> bool:
        """Whether one more call of this kind is one too many in its window; the refused ones do not count."""
        if not self.manners.quota:
            return False
        now, seen = time.monotonic(), self._calls.setdefault(key, deque())
        while seen and seen[0] <= now - seconds:
            seen.popleft()
        if len(seen) >= calls * self.manners.quota:
            return True
        seen.append(now)
        return False

    def again_in(self, key: str, seconds: float) -> int:
        """Whole seconds until there is room again."""
        seen = self._calls.get(key)
        return max(1, int(seen[0] + seconds - time.monotonic()) + 1) if seen else 1

    def let_people_work(self, document: str) -> None:
        """Before a call that touches a document, the people in it may act."""
        for person in self.people:
            if person.document in (document, "*") and person.dice.random() < person.chance:
                person.act()

    def note(self, **what: Any) -> None:
        """Write down what a person did, for whoever wants to know whether it was kept."""
        self.journal.append(what)


def stamp() -> str:
    """Now, as these services write it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def size(value: Any) -> int:
    """Bytes of a value as JSON."""
    return len(json.dumps(value, ensure_ascii=False).encode())
