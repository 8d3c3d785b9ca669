"""What comes back is landed by its custom_id alone; oddities are counted, and nothing is taken twice."""

import gzip
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from overnight.batches import raw
from overnight.ledger.connect import Ledger
from tests.conftest import Sandbox
from tests.support.night import Night, queue_file, wait_ended

HEADER = "review_id,sku,rating,body\n"


@pytest.fixture
def waiting(ledger: Ledger, queue: Path, vendors: Sandbox) -> Night:
    """A night whose batch has ended at the vendor and is not landed."""
    rows = "".join(f"r{n},S,5,Soft fabric and a perfect fit {n}.\n" for n in range(10))
    queue_file(queue, "review_sentiment", "a.csv", HEADER + rows)
    night = Night(ledger, "review_sentiment", change={"pack": 1, "reuse": False, "repairs": 0})
    night.check()
    (batch_id,) = night.drain()
    job = night.job(batch_id)
    job.submit(now=night.clock)
    wait_ended("openai", job.batch["vendor_batch_id"])
    job.ended(now=night.clock)
    return night


def land_with(night: Night, change: Callable[[list[bytes]], list[bytes]]) -> dict[str, int]:
    """Land the batch after changing the vendor's raw lines."""
    job = night.job(night.planned[0])
    import asyncio

    made, progress = asyncio.run(job._download())
    path = raw.folder() / made.path
    lines = change(list(raw.lines(made.path)))
    path.write_bytes(gzip.compress(b"".join(lines)))
    made.sha256 = hashlib.sha256(b"".join(lines)).hexdigest()
    job._keep(made, progress)
    return job.land(now=night.clock)


def close(night: Night) -> dict[str, int]:
    night.validate()
    counts = night.export()
    assert night.problems() == []
    return counts


def test_missing_doubled_foreign_and_garbled_lines_each_get_their_own_count(waiting: Night) -> None:
    """Eight of ten stay good; the lost ones are carried over, not paid for in silence."""

    def change(lines: list[bytes]) -> list[bytes]:
        foreign = json.dumps({**json.loads(lines[0]), "custom_id": "stranger-i1"}).encode() + b"\n"
        return [lines[0], lines[0], foreign, b"{half a li\n", *lines[3:]]

    counts = land_with(waiting, change)
    assert counts == {"valid": 8, "duplicated": 1, "foreign": 1, "garbled": 1, "missing": 2}
    assert close(waiting) == {"locked": 10, "staged": 8, "failed": 0, "carried_over": 2}


def test_an_empty_result_file_loses_nothing(waiting: Night) -> None:
    """`completed` with no output: everything is missing, carried over, and said."""
    assert land_with(waiting, lambda _: []) == {"missing": 10}
    assert close(waiting) == {"locked": 10, "staged": 0, "failed": 0, "carried_over": 10}


def test_an_answer_with_an_invented_quote_fails_and_is_shown(waiting: Night) -> None:
    """The reviewer sees that it failed and why; it is never staged."""

    def change(lines: list[bytes]) -> list[bytes]:
        return [lines[0].replace(b"Soft fabric and", b"Hard fabric and"), *lines[1:]]

    assert land_with(waiting, change) == {"valid": 9, "rule_failed": 1}
    assert close(waiting) == {"locked": 10, "staged": 9, "failed": 1, "carried_over": 0}


def test_landing_again_after_a_kill_goes_on_where_it_stopped(waiting: Night) -> None:
    """Half of the answers are in the ledger; landing takes the other half and none twice."""
    job = waiting.job(waiting.planned[0])
    import asyncio

    from overnight.batches.land import Landing
    from overnight.batches.vendor import vendor_class

    made, progress = asyncio.run(job._download())
    job._keep(made, progress)
    half = Landing(waiting.ledger, job.task.workflow, vendor_class("openai"), job.batch, job.task.actor)
    results = list(half._results(made.path))[:5]
    half._write({result.custom_id: result for result in results}, now=waiting.clock())
    assert job.land(now=waiting.clock)["valid"] == 10
    assert close(waiting)["staged"] == 10


def test_landing_a_landed_batch_changes_nothing(waiting: Night) -> None:
    """A cleared task finds it done."""
    first = waiting.batch(waiting.planned[0])
    assert waiting.batch(waiting.planned[0]) == first
    assert close(waiting)["staged"] == 10


def test_nothing_of_a_batch_is_seen_before_it_is_whole(waiting: Night) -> None:
    """Law 3: half-landed answers are not staged: the night's table does not hold them."""
    from overnight.ledger import answers

    job = waiting.job(waiting.planned[0])
    import asyncio

    made, progress = asyncio.run(job._download())
    job._keep(made, progress)
    from overnight.batches.land import Landing
    from overnight.batches.vendor import vendor_class

    half = Landing(waiting.ledger, job.task.workflow, vendor_class("openai"), job.batch, job.task.actor)
    half._write({r.custom_id: r for r in list(half._results(made.path))[:5]}, now=waiting.clock())
    with waiting.ledger.read() as conn:
        assert answers.landed_of_night(conn, waiting.row()["id"]) == []


def test_line_separators_inside_an_answer_do_not_tear_it_apart(ledger: Ledger, queue: Path, vendors: Sandbox) -> None:
    """U+2028 and U+0085 in a review come back in its quote: one row stays one row."""
    queue_file(queue, "review_sentiment", "a.csv", HEADER + '"r1",S,5,"Soft fabric\u2028and a perfect\u0085fit"\n')
    night = Night(ledger, "review_sentiment")
    assert night.run() == {"locked": 1, "staged": 1, "failed": 0, "carried_over": 0}


def test_a_raw_file_that_another_workers_disk_does_not_have_is_downloaded_again(waiting: Night) -> None:
    """Looking costs nothing; the batch is not stuck."""
    import asyncio

    job = waiting.job(waiting.planned[0])
    made, progress = asyncio.run(job._download())
    job._keep(made, progress)
    (raw.folder() / made.path).unlink()
    assert job.land(now=waiting.clock) == {"valid": 10}
