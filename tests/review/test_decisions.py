"""What people decide is kept, moved on exactly, and never overwritten; what nobody decides is never approved."""

from pathlib import Path
from typing import Any

import pytest

from overnight.ledger import reviews
from overnight.ledger.audit import Actor
from overnight.ledger.connect import Ledger
from overnight.ledger.reviews import DecisionRefused
from overnight.ui.shows import review as shows
from tests.conftest import PROJECT, Sandbox
from tests.support.night import Night, queue_file
from tests.support.visitors import press

ADA, BOB = Actor("human", "ada"), Actor("human", "bob")


def finished(ledger: Ledger, queue: Path, workflow: str) -> Night:
    sample = PROJECT / "include" / "prompts" / workflow / "sample.csv"
    queue_file(queue, workflow, "a.csv", sample.read_bytes())
    night = Night(ledger, workflow)
    night.run()
    return night


@pytest.fixture
def blog(ledger: Ledger, queue: Path, vendors: Sandbox) -> Night:
    return finished(ledger, queue, "blog_drafts")


def shown(night: Night) -> list[Any]:
    with night.ledger.read() as conn:
        return reviews.entries(conn, night.row()["id"])


def decide(night: Night, item: Any, who: Actor = ADA, **form: str) -> str:
    item_id = item["id"] if item else None
    hashes = {"output_hash": item["output_hash"] or ""} if item else {}
    with night.ledger.write() as conn:
        return press(conn, night.row()["id"], item_id, {**hashes, **form}, who=who.name, now=night.clock())


def states(night: Night) -> dict[str, str]:
    return {item["key"]: item["state"] for item in shown(night)}


def test_approve_edit_and_rework_are_collected_once_and_the_undecided_stay(blog: Night) -> None:
    """Each goes its way; collecting again moves nothing; the rest waits for the next morning."""
    first, second, third, *rest = shown(blog)
    decide(blog, first, decision="approve")
    decide(blog, second, decision="edit", **{"edited.title": "A better title"})
    decide(blog, third, decision="rework", reason_code="weak_hook", note="Start with the rain.")
    assert states(blog)[first["key"]] == "in_review", "a decision moves nothing before it is collected"
    assert blog.collect() == {"approve": 1, "edit": 1, "rework": 1}
    assert blog.collect() == {}
    after = states(blog)
    assert [after[i["key"]] for i in (first, second, third)] == ["approved", "edited", "rework"]
    assert {after[i["key"]] for i in rest} == {"in_review"}
    edited = next(i for i in shown(blog) if i["id"] == second["id"])
    assert edited["output"]["title"] == "A better title"
    assert edited["output"]["body_markdown"] == second["output"]["body_markdown"]
    assert blog.problems() == []


def test_a_rework_goes_first_the_next_night_with_the_note_and_the_last_draft(blog: Night, queue: Path) -> None:
    """It comes round again, before anything new."""
    item = shown(blog)[0]
    decide(blog, item, decision="rework", reason_code="too_long", note="Half of it, please.")
    blog.collect()
    again = Night(blog.ledger, "blog_drafts", run_id="manual__2", now=blog.now)
    again.check()
    (batch_id,) = again.drain()
    from overnight.ledger import batches

    with blog.ledger.read() as conn:
        (line,) = list(batches.lines(conn, batch_id))
    assert "Half of it, please." in line["content"]
    assert "<previous_answer>" in line["content"]
    again.chain([batch_id])
    again.validate()
    again.export()
    assert shown(again)[0]["rounds"] == 1
    assert again.problems() == []


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"decision": "publish"}, "'publish' is no decision"),
        ({"decision": "rework", "reason_code": "weak_hook"}, "needs a reason and a note"),
        ({"decision": "rework", "reason_code": "because", "note": "x"}, "is no reason; choose one"),
        ({"decision": "approve", "output_hash": "0" * 64}, "The draft changed after you opened it"),
        ({"decision": "edit", "edited.slug": "Not A Slug"}, "Your edit does not fit: slug"),
    ],
)
def test_a_decision_that_cannot_be_taken_changes_nothing_and_says_why(blog: Night, form: dict[str, str], words: str) -> None:
    """Unknown words, missing reasons, stale versions, edits off the model."""
    item = shown(blog)[0]
    with pytest.raises(DecisionRefused, match=words):
        decide(blog, item, **form)
    assert blog.collect() == {}


def test_nobodys_decision_is_overwritten_by_someone_else(blog: Night) -> None:
    """Ada may change her mind until it is collected; Bob may not change it for her."""
    item = shown(blog)[0]
    decide(blog, item, decision="approve")
    with pytest.raises(DecisionRefused, match="Ada Byron decided this: approve"):
        decide(blog, item, BOB, decision="rework", reason_code="other", note="no")
    decide(blog, item, decision="rework", reason_code="other", note="on second thoughts")
    assert blog.collect() == {"rework": 1}
    with pytest.raises(DecisionRefused, match="already rework"):
        decide(blog, item, decision="approve")


def test_a_decision_on_the_digest_decides_what_it_covers_and_nothing_else(ledger: Ledger, queue: Path, vendors: Sandbox) -> None:
    """Safety rows, warnings and the sample are decided by themselves."""
    night = finished(ledger, queue, "review_sentiment")
    with ledger.read() as conn:
        counts = reviews.bucket_counts(conn, night.row()["id"])
    decide(night, None, decision="approve")
    assert night.collect() == {"approve": counts["covered"]}
    with ledger.read() as conn:
        left = reviews.in_review(conn, night.row()["id"])
    assert len(left) == sum(counts.values()) - counts["covered"]
    assert night.problems() == []
    with pytest.raises(DecisionRefused, match="cannot be edited"):
        decide(night, None, decision="edit")


def test_safety_rows_come_first_and_the_digest_counts_every_review(ledger: Ledger, queue: Path, vendors: Sandbox) -> None:
    """Risk first, never by time; the sums agree."""
    night = finished(ledger, queue, "review_sentiment")
    buckets = [item["bucket"] for item in shown(night)]
    assert buckets[0] == "safety"
    with ledger.read() as conn:
        page = shows.listed(
            conn, night.row(), "ada", view="list", page=1, bucket="", only_open=False, now=night.clock()
        )  # fmt: skip
    assert sum(page["digest"]["overall"].values()) == page["digest"]["reviews"] == 60
    for aspect in page["digest"]["aspects"]:
        assert aspect["positive"] + aspect["neutral"] + aspect["negative"] == aspect["mentions"]


def test_a_field_that_is_not_a_reviewers_to_write_is_refused_from_wherever_it_comes(sqlite_ledger: Ledger) -> None:
    """A form or a call of the API names a figure that code reckoned: nobody approves a made-up date of a stockout."""
    from overnight.review import verdict
    from overnight.workflow import workflow

    item = {"output": {"signal": "stockout_risk", "stockout_on": "2026-12-01", "narrative": "It sells.", "question": "Order?"}}
    written = verdict.Written("edit", reviewer="ada", edits={"stockout_on": "2027-06-01"})
    with pytest.raises(DecisionRefused, match="stockout on is not yours to change; you may write narrative, question"):
        verdict.decision(written, item, workflow("inventory_signals"), surface="page")
