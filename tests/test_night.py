"""A night from the lock to the review, for every workflow, over real HTTP."""

from pathlib import Path

import pytest

from overnight.ledger.connect import Ledger
from overnight.workflow import workflow, workflow_names
from tests.conftest import Sandbox
from tests.support.night import Night, sample


@pytest.mark.parametrize("name", workflow_names())
def test_a_night_on_the_sample_closes_with_every_item_accounted_for(
    name: str, ledger: Ledger, queue: Path, vendors: Sandbox
) -> None:
    """What was locked is staged, failed or carried over, the books agree, and what was refused at the lock was urgent."""
    rows = sample(queue, name)
    night = Night(ledger, name)
    counts = night.run()
    row = night.row()
    asked_by_the_night = len(workflow(name).of_the_night)
    assert counts["locked"] + row["rejected"] == len(rows) + asked_by_the_night
    assert counts["locked"] == counts["staged"] + counts["failed"] + counts["carried_over"]
    assert counts["staged"] >= 0.9 * counts["locked"], night.why()
    assert row["rejected"] <= (3 if workflow(name).urgent else 0)
    assert row["state"] == "closed"
    assert night.describe()["cost_usd"] > 0
    assert night.problems() == []
