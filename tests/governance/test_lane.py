"""One agent, one lane: what answers customers by day is not lent to a night."""

import json
from pathlib import Path
from typing import Any

import pytest

from overnight.governance.check import CheckFailed
from overnight.ledger.connect import Ledger
from tests.conftest import Sandbox
from tests.support.night import Night
from tests.support.project import Project


@pytest.mark.parametrize(("live", "words"), [
    ({"connections": ["openai_default"]}, "The connection 'openai_default' is used for live work"),
    ({"prompts": ["review_sentiment"]}, "The prompt folder 'review_sentiment' is used for live work"),
    ({"agents": ["review_sentiment"]}, "The agent 'review_sentiment' is used for live work"),
])  # fmt: skip
def test_what_the_brand_uses_live_is_refused_to_a_night(
    live: dict[str, Any], words: str, sqlite_ledger: Ledger, queue: Path, vendors: Sandbox, project: Project,
) -> None:  # fmt: skip
    """At 17:00, with the reason, before anything is locked."""
    project.edit("brand.yaml", lambda brand: brand.update(live=live))
    with pytest.raises(CheckFailed, match=words) as caught:
        Night(sqlite_ledger, "review_sentiment").check()
    assert "Nothing was locked" in str(caught.value)


def test_a_connection_that_says_it_is_live_is_refused_to_a_night(
    sqlite_ledger: Ledger, queue: Path, vendors: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The team that owns the live agent marks its own connection; nobody has to tell us."""
    import os

    conn = json.loads(os.environ["AIRFLOW_CONN_OPENAI_DEFAULT"])
    monkeypatch.setenv("AIRFLOW_CONN_OPENAI_DEFAULT", json.dumps({**conn, "extra": {"overnight_lane": "live"}}))
    with pytest.raises(CheckFailed, match="The connection 'openai_default' is used for live work"):
        Night(sqlite_ledger, "review_sentiment").check()
