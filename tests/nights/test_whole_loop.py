"""Two nights and two mornings on a real Airflow, with queue and review at a service: another one each day."""

import io
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console

from overnight.rehearsal import night as rehearsal
from overnight.rehearsal import processes
from overnight.rehearsal.home import Home

pytestmark = pytest.mark.airflow
SURFACES = ("sheets", "notion", "airtable", "xlsx")


def test_a_person_decides_one_item_goes_round_again_and_what_is_approved_goes_out(tmp_path: Path) -> None:
    """`make night SURFACE=…` as a whole: it ends well only when every night closed, the books balance and both delivered."""
    surface = os.environ.get("OVERNIGHT_TEST_SURFACE") or SURFACES[datetime.now(UTC).timetuple().tm_yday % len(SURFACES)]
    before, said = dict(os.environ), io.StringIO()
    home = Home(tmp_path / "home")
    try:
        code = rehearsal.run(Console(file=said, width=160), home=home, surface=surface)
        assert code == 0, said.getvalue()[-4000:]
        delivered = sorted(path.parent.parent.name for path in home.delivery.rglob("manifest.json"))
        assert delivered == ["blog_drafts", "blog_drafts", "review_sentiment", "review_sentiment"]
    finally:
        processes.stop_all(home)
        os.environ.clear()
        os.environ.update(before)
