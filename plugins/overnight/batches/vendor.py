"""The contract of a vendor: an LLM company with a batch API. A vendor states facts and speaks its wire; it decides nothing.

Vendors import no Airflow and read no connection: they are handed the client of their official SDK. Every call has one
timeout, and a create is never retried by the SDK. What a line costs, when to poll and what to do about an error is
decided elsewhere.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar

from overnight import finder


@dataclass(frozen=True, slots=True)
class VendorFacts:
    """What a vendor's batch API allows; each with its source in the vendor's file."""

    conn_id: str
    price_provider: str  # the vendor's name in genai-prices
    max_requests: int
    max_bytes: int
    batch_rate: Decimal  # batch price / real-time price
    client_from: str | None = None  # "module:Hook.method" of the official provider's hook, where it has one
    endpoint: str = ""


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
    """Tokens of one answer. `input` includes cached ones, `output` includes reasoning."""

    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0
    reasoning: int = 0


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
    async def submit(self, ticket: Ticket, lines: Iterable[bytes]) -> Receipt:
        """Create the batch, once, without retries.

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
