"""A night from the lock to the review, for every workflow, over real HTTP."""

import csv
import shutil
from pathlib import Path

import pytest

from overnight.ledger.connect import Ledger
from overnight.workflow import workflow_names
from tests.conftest import PROJECT, Sandbox
from tests.support.night import Night


@pytest.mark.parametrize("workflow", workflow_names())
def test_a_night_on_the_sample_closes_with_every_item_accounted_for(
    workflow: str, ledger: Ledger, queue: Path, vendors: Sandbox
) -> None:
    """What was locked is staged, failed or carried over, and the books agree."""
    sample = PROJECT / "include" / "prompts" / workflow / "sample.csv"
    shutil.copyfile(sample, queue / workflow / "sample.csv")
    night = Night(ledger, workflow)
    counts = night.run()
    rows = len(list(csv.DictReader(sample.open(encoding="utf-8"))))
    assert counts["locked"] == rows == counts["staged"] + counts["failed"] + counts["carried_over"]
    assert counts["staged"] >= 0.9 * rows
    assert night.row()["state"] == "closed"
    assert night.describe()["cost_usd"] > 0
    assert night.problems() == []
