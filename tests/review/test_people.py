"""A careless person sorts, inserts, deletes, copies, edits and mistypes while the bot exports and collects.

A few seeds of every surface here, others each day; `make people` runs a hundred of each and writes the counts down.
"""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from overnight.rehearsal.desk import connections
from tests.conftest import Sandbox
from tests.support import people

SEEDS = 2


@pytest.mark.parametrize("surface", ["sheets", "notion", "airtable", "xlsx"])
def test_nothing_is_lost_no_edit_is_overwritten_and_no_decision_lands_on_the_wrong_item(
    surface: str, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With calls that fail and answers that are lost on top; what waits is shown again, what is decided is somebody's word."""
    for conn_id, conn in connections(sandbox.url, **people.EXTRA).items():
        conn["extra"].pop("documents_folder", None)
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(conn))
    first = datetime.now(UTC).timetuple().tm_yday * SEEDS
    for seed in range(first, first + SEEDS):
        place = tmp_path / str(seed)
        place.mkdir()
        monkeypatch.setenv("OVERNIGHT_REVIEW_DIR", str(place / "review"))
        outcome = people.one(sandbox.url, surface, seed, place)
        assert outcome.broken == [], f"seed {seed}"
        assert outcome.acts > 10
