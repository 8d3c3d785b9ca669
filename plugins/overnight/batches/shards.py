"""Cutting requests into batches: by count, by bytes and by tokens, well under the vendor's limits. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from overnight.batches.vendor import VendorFacts

HEADROOM = 0.8  # of the vendor's limit in bytes: the wire adds a little, and a limit that is just met is met no more
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Sized(Generic[T]):
    """Anything with its size on the wire and its input tokens."""

    thing: T
    size: int
    tokens: int = 0


def cut(sized: Iterable[Sized[T]], facts: VendorFacts, most: int, tokens: int | None = None) -> Iterator[list[Sized[T]]]:
    """Cut into shards of at most `most` requests (never over the vendor's), its bytes, and `tokens` waiting at once."""
    most, room = min(most, facts.max_requests), int(facts.max_bytes * HEADROOM)
    shard: list[Sized[T]] = []
    used = waiting = 0
    for one in sized:
        full = len(shard) >= most or used + one.size > room or (tokens is not None and waiting + one.tokens > tokens)
        if shard and full:
            yield shard
            shard, used, waiting = [], 0, 0
        shard.append(one)
        used, waiting = used + one.size, waiting + one.tokens
    if shard:
        yield shard
