"""The contract of a vendor: an LLM company with a batch API. A vendor states facts and speaks its wire; it decides nothing.

Vendors import no Airflow and read no connection: they are handed the client of their official SDK. Every call has one
timeout, and a create is never retried by the SDK. What a line costs, when to poll and what to do about an error is
decided elsewhere.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar

from overnight import finder


def call_timeout_s() -> float:
    """Seconds that one small call may take, and that a stream may pause; OVERNIGHT_CALL_SECONDS overrides it."""
    return float(os.environ.get("OVERNIGHT_CALL_SECONDS", "60"))


@dataclass(frozen=True, slots=True)
class VendorFacts:
    """What a vendor's batch API allows; each with its source in the vendor's file."""

    conn_id: str
    price_provider: str  # the vendor's name in genai-prices
    max_requests: int
    max_bytes: int
    batch_rate: Decimal  # batch price / real-time price
    cache_read_rate: Decimal | None = None  # the same for tokens read from a cache; None: it is batch_rate
    client_from: str | None = None  # "module:Hook.method" of the official provider's hook, where it has one
    sdk: str | None = None  # the module of the official SDK, imported ahead of its use where a loop must not wait for it
    enqueued_tokens: int | None = None  # a low tier's limit of input tokens waiting at once, a model; brand.yaml overrides it
    reports_progress: bool = False  # whether a running batch tells how much of it is done
    status_calls: int = 32  # looks in flight at once; more than any number of hung ones we expect
    marks_cache: bool = False  # whether a request says which prefix is to be cached (others cache by themselves)
    long_write_factor: Decimal = Decimal(1)  # price of a token written to the hour-long cache / price of a plain one
    min_cached_tokens: Mapping[str, int] = field(default_factory=dict)  # by model prefix; "" is for all others

    def cached_from(self, model: str) -> int:
        """The shortest prefix, in tokens, that this vendor caches for a model."""
        fits = [prefix for prefix in self.min_cached_tokens if model.startswith(prefix)]
        return self.min_cached_tokens[max(fits, key=len)] if fits else 1_024


@dataclass(frozen=True, slots=True)
class Line:
    """One request before it takes a vendor's form."""

    custom_id: str
    model: str
    system: str
    content: str
    schema: Mapping[str, Any]
    schema_name: str
    max_output_tokens: int
    cache_prefix: bool = False  # mark the shared part for the vendor's prompt cache


@dataclass(frozen=True, slots=True)
class Ticket:
    """What identifies a batch of ours at a vendor."""

    key: str
    model: str
    request_count: int
    intent_at: datetime


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a vendor calls the batch it accepted."""

    vendor_batch_id: str
    vendor_file_id: str | None = None


class Phase(StrEnum):
    """Where a batch is at its vendor. ENDED is terminal, however it ended."""

    RUNNING = "running"
    CANCELLING = "cancelling"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Progress:
    """One look at a batch: its phase, the vendor's own counts, where its results are, and an error of the whole batch."""

    phase: Phase
    counts: Mapping[str, int] = field(default_factory=dict)
    results: Sequence[str] = ()
    error: str | None = None


class Verdict(StrEnum):
    """What the vendor says of one request."""

    SUCCEEDED = "succeeded"
    TRUNCATED = "truncated"
    REFUSED = "refused"
    ERRORED = "errored"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one answer. `input` includes cached ones, `output` includes reasoning, `cache_write` the hour-long ones."""

    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    cache_write_long: int = 0
    output: int = 0
    reasoning: int = 0

    def shares(self, count: int) -> list["Usage"]:
        """The usage of one request with several entries, cut into `count` parts that add up to it exactly."""
        if count == 1:
            return [self]
        whole = astuple(self)
        parts = [[n // count + (place < n % count) for n in whole] for place in range(count)]
        return [Usage(*part) for part in parts]


@dataclass(frozen=True, slots=True)
class Result:
    """One line of a vendor's results, told in our words."""

    custom_id: str
    verdict: Verdict
    text: str = ""
    usage: Usage = field(default_factory=Usage)
    model: str = ""
    error: str | None = None
    retryable: bool = False


class Rows:
    """Cuts a stream of bytes into lines. Only \\n ends one: an answer's text may hold other separators (U+2028, U+0085)."""

    def __init__(self, sink: Callable[[bytes], object]) -> None:
        self.sink, self.rest = sink, b""

    def write(self, chunk: bytes) -> int:
        """Take the next bytes (the name a file has for it: some SDKs write into one)."""
        *rows, self.rest = (self.rest + chunk).split(b"\n")
        for row in rows:
            if row.strip():
                self.sink(row + b"\n")
        return len(chunk)

    def end(self) -> None:
        """The stream is over: what is left is the last line."""
        if self.rest.strip():
            self.sink(self.rest + b"\n")
        self.rest = b""


def go_ahead() -> None:
    """Nothing stands in the way."""


class Vendor(ABC):
    """One vendor's batch API, async. Errors leave as those of `batches.errors`."""

    facts: ClassVar[VendorFacts]

    def __init__(self, client: Any) -> None:
        self.client = client

    @abstractmethod
    def line(self, line: Line) -> bytes:
        """One request in the vendor's form, as one JSON line (what counts against `max_bytes`)."""

    @abstractmethod
    async def ping(self, model: str) -> None:
        """Check key and model without buying anything."""

    @abstractmethod
    async def submit(self, ticket: Ticket, lines: Iterable[bytes], last_word: Callable[[], None] = go_ahead) -> Receipt:
        """Create the batch, once, without retries.

        Args:
            last_word: called right before the one call that buys, after uploads that may take minutes; it raises where the
                batch is no longer ours to create.

        Raises:
            NotAccepted: nothing was created.
            MaybeAccepted: nobody knows; search before sending again.
        """

    @abstractmethod
    async def search(self, ticket: Ticket, known: set[str]) -> Receipt | None:
        """Look for a batch whose create lost its answer: None means it is certainly not there.

        Args:
            known: vendor batch ids that belong to other batches of ours.

        Raises:
            CannotLook: the vendor could not be searched, or what was found is not yet told apart.
        """

    @abstractmethod
    async def poll(self, vendor_batch_id: str) -> Progress:
        """One look at a batch."""

    @abstractmethod
    async def download(self, vendor_batch_id: str, results: Sequence[str], sink: Callable[[bytes], object]) -> None:
        """Stream the raw result lines of an ended batch into `sink`, whole or with an error."""

    @abstractmethod
    def read(self, raw: bytes) -> Result:
        """One raw result line in our words. Pure.

        Raises:
            ValueError: the line is not one of this vendor's results.
        """

    @abstractmethod
    async def cancel(self, vendor_batch_id: str) -> None:
        """Ask the vendor to stop; the batch ends some time later, with what was finished."""

    async def close(self) -> None:
        """Give the client's connections back."""
        await self.client.close()

    @classmethod
    def make_client(cls, *, password: str | None, host: str | None, extra: Mapping[str, Any]) -> Any:
        """The SDK client for vendors whose official hook takes no host (facts.client_from is None)."""
        raise TypeError(f"{cls.__name__} gets its client from {cls.facts.client_from}")


def vendor_class(name: str) -> type[Vendor]:
    """The vendor called `name`; an unknown name is answered with the ones there are."""
    found: type[Vendor] = finder.find("overnight.batches.vendors", name).VENDOR
    assert issubclass(found, Vendor), f"overnight/batches/vendors/{name}.py declares no VENDOR"  # noqa: S101
    return found
