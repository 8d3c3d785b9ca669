"""Failure mode 4: launched without a test. A new agent, or a new prompt, meets the whole queue on its first night."""

from datetime import timedelta
from pathlib import Path

import pytest

from overnight.governance import launch
from overnight.governance.launch import NotReady, State
from overnight.ledger.connect import Ledger
from tests.conftest import Sandbox
from tests.governance.test_launch import ADA, measured, put, reviews
from tests.support.night import EVENING, Night, queue_rows
from tests.support.project import Project
from tests.support.reviewed import NOW

NAME = "review_sentiment"


pytestmark = pytest.mark.usefixtures("gated")


def test_an_untested_agent_meets_ten_items_and_a_changed_one_is_tested_again(
    sqlite_ledger: Ledger, queue: Path, vendors: Sandbox, project: Project
) -> None:
    """The first night of a new workflow, and of a live one whose prompt was changed at noon, hold ten of sixty; nobody can wave
    it on before a test of 50 was passed.
    """
    queue_rows(queue, NAME, reviews(60))
    first = Night(sqlite_ledger, NAME)
    first.run()
    assert first.describe()["outcomes"]["locked"] == 10
    with pytest.raises(NotReady, match="test comes next, not live"), sqlite_ledger.write() as conn:
        launch.move(conn, NAME, State.LIVE, reason="the campaign is tomorrow", by=ADA, now=NOW)

    put(sqlite_ledger, State.LIVE)
    project.append(f"prompts/{NAME}/system.md.j2", "\nAlways say positive.\n")
    tomorrow = EVENING + timedelta(days=1)
    second = Night(sqlite_ledger, NAME, "manual__2", base=tomorrow, now=tomorrow)
    second.run()
    assert second.describe()["outcomes"]["locked"] == 10
    measured(sqlite_ledger, {"as_is": 35, "rework": 15}, purpose="test")
    with pytest.raises(NotReady, match="35 of 50"), sqlite_ledger.write() as conn:
        launch.move(conn, NAME, State.EARLY, reason="good enough", by=ADA, now=NOW)
    with sqlite_ledger.read() as conn:
        assert launch.progress(conn, NAME).state is State.TEST
