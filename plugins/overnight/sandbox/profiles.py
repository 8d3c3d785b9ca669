"""Fault profiles: ways in which vendors have failed, to be met on purpose. `bin/overnight sandbox --profile NAME --seed N`.

A profile is a set of shares; each choice is made by dice of the seed and of what it is about (the n-th call of a kind, a
batch, a line), so that one seed fails in one way. Faults that would never end are bounded: a night must be able to finish.
"""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Profile:
    """One way to fail. Shares are between 0 and 1; times are in seconds."""

    name: str
    says: str
    lost_creates: float = 0.0  # accepted, and the connection dropped instead of an answer
    busy: float = 0.0  # 429 with Retry-After
    broken: float = 0.0  # 5xx, nothing done
    broken_after: float = 0.0  # 5xx, and it was done
    slow_s: float = 0.0  # every answer comes up to so much later
    hung: float = 0.0  # a look or a download that is never answered
    refused_key_s: float = 0.0  # for so long after the first create no key is good
    stuck: float = 0.0  # a batch that never moves
    expires_at: float | None = None  # the share of its work that a batch has done when it expires
    errored: float = 0.0  # requests the vendor fails, one by one
    no_output: float = 0.0  # a batch that is completed and has no results at all
    batch_s: float | None = None
    cancel_s: float | None = None
    duplicated: float = 0.0
    missing: float = 0.0
    foreign: float = 0.0
    garbled: float = 0.0
    dropped_streams: float = 0.0  # results that break off half-way
    bad_answers: float = 0.0  # refused, truncated, empty and off-schema answers


PROFILES = {
    profile.name: profile
    for profile in (
        Profile("none", "everything works"),
        Profile("lost_response", "half of the creates are accepted and their answers lost", lost_creates=0.5),
        Profile("rate_limited", "every third call is answered with 429 and Retry-After", busy=0.33),
        Profile("server_errors", "5xx before and after the work was done", broken=0.2, broken_after=0.15),
        Profile("slow", "every answer takes up to half a second longer", slow_s=0.5),
        Profile("hung", "looks and downloads that are never answered", hung=0.25),
        Profile("stuck", "half of the batches never move", stuck=0.5),
        Profile("expired", "batches expire at 60 % of their work", expires_at=0.6),
        Profile("error_file", "requests fail one by one: errors only in the error file", errored=0.4),
        Profile("all_errors", "every request of a batch fails", errored=1.0),
        Profile("no_output", "completed, with no output file", no_output=0.6),
        Profile("duplicates", "result lines come twice", duplicated=0.3),
        Profile("missing", "result lines are left out", missing=0.3),
        Profile("foreign", "lines of somebody else's batch", foreign=0.3),
        Profile("garbled", "lines torn in the middle", garbled=0.3),
        Profile("dropped_stream", "result streams break off half-way", dropped_streams=0.7),
        Profile("cancelled", "batches too slow for the cutoff; a cancel settles at once", batch_s=30.0, cancel_s=0.2),
        Profile("late_cancel", "a cancel that settles only after the next lock", batch_s=30.0, cancel_s=6.0),
        Profile("revoked_key", "the key is refused for a while, from the first create on", refused_key_s=2.5),
        Profile("bad_answers", "refused, truncated, empty and off-schema answers", bad_answers=0.3),
        Profile(
            "everything", "a little of all of it", lost_creates=0.2, busy=0.1, broken=0.08, broken_after=0.05, slow_s=0.1,
            hung=0.04, errored=0.05, no_output=0.1, duplicated=0.05, missing=0.05, foreign=0.05, garbled=0.05,
            dropped_streams=0.2, bad_answers=0.1,
        ),
    )
}  # fmt: skip

BAD = ("refused", "truncated", "empty", "off_schema")
MOST_IN_A_ROW = 3
"""A fault of one kind of call comes so often in a row at most, so that a client that tries again gets through."""


class Fault:
    """The dice of one running server."""

    def __init__(self, profile: Profile, seed: int) -> None:
        self.profile, self.seed = profile, seed
        self._calls: dict[str, int] = {}
        self._row: dict[str, int] = {}

    def happens(self, share: float, about: str) -> bool:
        """Whether a fault of this share strikes `about`: the same for the same seed and name."""
        return share > 0 and random.Random(f"{self.seed} {about}").random() < share

    def strikes(self, share: float, kind: str) -> bool:
        """Whether it strikes the next call of a kind; never more than a few times in a row."""
        if share <= 0:
            return False
        number = self._calls[kind] = self._calls.get(kind, 0) + 1
        hit = self.happens(share, f"{kind} {number}") and self._row.get(kind, 0) < MOST_IN_A_ROW
        self._row[kind] = self._row.get(kind, 0) + 1 if hit else 0
        return hit

    def outcome(self, batch_id: str, custom_id: str, planned: str) -> str:
        """How one request ends."""
        about = f"{batch_id} {custom_id}"
        if planned != "succeeded":
            return planned
        if self.happens(self.profile.errored, f"errored {about}"):
            return "errored"
        if self.happens(self.profile.bad_answers, f"bad {about}"):
            return random.Random(f"{self.seed} {about}").choice(BAD)
        return planned

    def has_no_output(self, batch_id: str) -> bool:
        """Whether a batch is completed with nothing in it."""
        return self.happens(self.profile.no_output, f"no output {batch_id}")

    def lines(self, batch_id: str, lines: Iterable[tuple[str, str]]) -> Iterator[str]:
        """Result lines (custom_id, text) as this profile delivers them; a broken stream raises `Dropped`."""
        if self.has_no_output(batch_id):
            return
        profile, drops = self.profile, self.strikes(self.profile.dropped_streams, f"stream {batch_id}")
        for number, (custom_id, line) in enumerate(lines):
            about = f"{batch_id} {custom_id}"
            if drops and number == 1:
                yield line[: len(line) // 2]
                raise Dropped
            if self.happens(profile.missing, f"missing {about}"):
                continue
            if self.happens(profile.garbled, f"garbled {about}"):
                yield line[: len(line) // 2] + "\n"
                continue
            yield line
            if self.happens(profile.duplicated, f"duplicated {about}"):
                yield line
            if self.happens(profile.foreign, f"foreign {about}"):
                yield line.replace(custom_id, f"stranger-{number}")


class Dropped(ConnectionError):
    """The connection is closed in the middle of an answer."""
