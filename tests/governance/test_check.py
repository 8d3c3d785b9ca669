"""What would fail at night fails at 17:00, all at once, and nothing is done that the policy does not allow."""

from pathlib import Path

import pytest

from overnight.governance import policy
from overnight.governance.check import CheckFailed
from overnight.governance.policy import Denied, Policy, PolicyError
from overnight.ledger.connect import Ledger
from overnight.workflow import workflow_names
from tests.conftest import Sandbox, closed_port, connect
from tests.support.night import Night
from tests.support.project import Project

ROW = "review_id,sku,rating,body\nr1,S,5,Soft fabric.\n"


def test_every_trouble_is_said_at_once(
    sqlite_ledger: Ledger, queue: Path, vendors: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bad key and a missing queue folder: one message, no night, nothing bought."""
    connect(monkeypatch, vendors.hosts, key="bad-key")
    (queue / "review_sentiment").rmdir()
    night = Night(sqlite_ledger, "review_sentiment")
    with pytest.raises(CheckFailed) as failed:
        night.check()
    text = str(failed.value)
    assert "openai does not let us in with connection 'openai_default'" in text
    assert "queue folder" in text
    assert "Nothing was locked and nothing was bought" in text
    assert "bad-key" not in text


def test_a_vendor_that_is_down_is_found_in_the_evening(
    sqlite_ledger: Ledger, queue: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody has to wait until the morning to hear it."""
    connect(monkeypatch, {"openai": f"http://127.0.0.1:{closed_port()}/v1"})
    with pytest.raises(CheckFailed, match="no connection to the vendor"):
        Night(sqlite_ledger, "review_sentiment").check()


@pytest.mark.parametrize("name", workflow_names())
def test_every_shipped_policy_is_valid_and_closed(name: str) -> None:
    """No policy allows publish, send, price, refund or order: they are not even words."""
    loaded, digest = policy.load(name)
    assert loaded.agent == name
    assert len(digest) == 64
    for verb in ("publish", "send", "set_price", "refund", "order"):
        with pytest.raises(ValueError, match="action_scope"):
            Policy.model_validate({"version": 1, "agent": name, "owner": "x", "action_scope": {"verbs": [verb]}})


def test_what_a_policy_does_not_name_is_denied() -> None:
    """An empty policy allows nothing, and the words say who can change it."""
    empty = Policy(version=1, agent="a", owner="Jo")
    with pytest.raises(Denied, match=r"does not allow 'submit_batch'; it allows nothing.*Jo adds the verb"):
        empty.allow("submit_batch")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"data_access": {"sources": ["csv"], "vendors": [], "fields": []}}, "does not let 'openai' see this data"),
        ({"data_access": {"sources": [], "vendors": ["openai"], "fields": []}}, "does not allow the source 'csv'"),
        ({"action_scope": {"verbs": ["read_queue"], "max_items": 0}}, "ceiling is no items at all"),
    ],
)
def test_a_policy_that_does_not_cover_the_workflow_stops_the_night(
    sqlite_ledger: Ledger, queue: Path, vendors: Sandbox, project: Project,
    change: dict, words: str,  # type: ignore[type-arg]
) -> None:  # fmt: skip
    """Vendor, source, fields and ceilings are checked in code, not in the prompt."""
    project.policy("review_sentiment", lambda policy: policy.update(change))
    with pytest.raises(CheckFailed, match=words):
        Night(sqlite_ledger, "review_sentiment").check()


@pytest.mark.parametrize(
    ("path", "text", "words"),
    [
        ("team.yaml", "people: [{name: Ada, minuets: 60}]", r"team\.yaml: people\.0\.minuets: Extra inputs"),
        ("team.yaml", "people: [", r"team\.yaml cannot be read"),
        ("team.yaml", None, r"team\.yaml is not there"),
        ("quality.yaml", "tightened: {cap_share: 2}", r"quality\.yaml: tightened\.cap_share"),
    ],
)
def test_a_settings_file_with_a_slip_is_told_with_the_other_troubles(
    sqlite_ledger: Ledger, queue: Path, vendors: Sandbox, project: Project, path: str, text: str | None, words: str
) -> None:
    """The file, the place in it and what to do, at 17:00 and not when reviewers come."""
    if text is None:
        (project.include / path).unlink()
    else:
        project.write(path, text)
    (queue / "review_sentiment").rmdir()
    with pytest.raises(CheckFailed, match=f"(?s){words}.*Mend|{words}.*Put it back") as caught:
        Night(sqlite_ledger, "review_sentiment").check()
    assert "queue folder" in str(caught.value)
    assert "Nothing was locked" in str(caught.value)


def test_a_missing_broken_or_borrowed_policy_denies_everything(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No file, an unknown key, another agent's file."""
    project.policy("review_sentiment", lambda policy: policy.update(agent="blog_drafts"))
    with pytest.raises(PolicyError, match="is for agent 'blog_drafts'"):
        policy.load("review_sentiment")
    policy.path_of("review_sentiment").write_text("version: 1\nsurprise: yes\n")
    with pytest.raises(PolicyError, match="not valid, so nothing is allowed"):
        policy.load("review_sentiment")
    policy.path_of("review_sentiment").unlink()
    with pytest.raises(PolicyError, match="denied by default"):
        policy.load("review_sentiment")
