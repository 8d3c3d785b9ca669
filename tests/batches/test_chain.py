"""Chains: several steps in one night. Each goes on by itself, nothing is asked twice, and no item is lost between two steps."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from overnight.governance import policy as policies
from overnight.ledger import reviews
from overnight.ledger.audit import Actor
from overnight.ledger.connect import Ledger
from overnight.ledger.tables import audit_events, batches, requests, steps
from overnight.workflow import workflow, workflow_names
from tests.conftest import Sandbox, connect
from tests.support.chains import asked, misbehave, outcomes, poorer
from tests.support.night import EVENING, Night, paid_twice, queue_file

BRIEFS = "brief_id,title,primary_query,facts,author,min_words,max_words\n" + "".join(
    f"b{n},A title number {n},a query number {n},Fact {n} here|Another fact,Jo Writer,200,500\n" for n in range(3)
)


@pytest.fixture
def briefs(queue: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """Three briefs in the queue, and a vendor of one's own to misbehave."""
    connect(monkeypatch, sandbox.hosts)
    queue_file(queue, "blog_drafts", "a.csv", BRIEFS)
    return sandbox


@pytest.mark.parametrize("name", workflow_names())
def test_a_chain_is_well_formed(name: str) -> None:
    """Steps come after steps that exist and stand before them; who follows several waits in code; the policy's budgets name steps."""
    declared, seen = workflow(name), set[str]()
    for step in declared.steps:
        assert set(step.after) <= seen, step.name
        assert len(step.after) <= 1 or step.compute, f"{step.name} follows several steps: only a step in code can wait for all"
        assert not (step.whole_night and not declared.step_named(step.after[0]).compute)
        by_shard = [s for s in declared.following(step.name) if not s.compute and not s.whole_night]
        assert len(by_shard) <= 1 or step.compute
        seen.add(step.name)
    assert declared.asked(), "a workflow asks at least one vendor"
    assert set(policies.load(name)[0].action_scope.steps) <= seen


def test_an_item_that_fails_in_the_first_step_holds_nobody_up(briefs: Sandbox, sqlite_ledger: Ledger) -> None:
    """The others go on; the failed one is shown with the words of its step, and is never sent to the next."""
    misbehave(briefs, "title number 1", "refused")
    night = Night(sqlite_ledger, "blog_drafts")
    counts = night.run()
    assert (counts["staged"], counts["failed"]) == (2, 1)
    assert outcomes(sqlite_ledger, "blog_drafts") == {
        "outline": {"b0": "passed", "b1": "failed", "b2": "passed"}, "draft": {"b0": "staged", "b2": "staged"},
    }  # fmt: skip
    (why,) = night.why()
    assert why[2].startswith("outline: ")
    assert asked(sqlite_ledger) == {"outline": 3, "draft": 2}
    assert night.problems() == []


def test_each_step_has_its_own_prompt_model_and_line_in_the_audit_log(briefs: Sandbox, sqlite_ledger: Ledger) -> None:
    """Two prompts, two batches, each created under its own name in the log."""
    Night(sqlite_ledger, "blog_drafts").run()
    with sqlite_ledger.read() as conn:
        prompts = set(conn.execute(select(steps.c.name, requests.c.prompt_hash).join(requests, requests.c.step_id == steps.c.id)))
        created = conn.execute(select(audit_events.c.object_id).where(
            audit_events.c.object_type == "batch", audit_events.c.verb == "create")).all()  # fmt: skip
    assert {name for name, _ in prompts} == {"outline", "draft"}
    assert len({hash_ for _, hash_ in prompts}) == 2
    assert len(created) == 2


def test_a_step_keeps_to_its_own_budget(briefs: Sandbox, sqlite_ledger: Ledger) -> None:
    """What a step may cost is counted by itself: over it, the items wait, and what is bought stays bought."""
    night = Night(sqlite_ledger, "blog_drafts")
    poorer(night, draft="0.05")
    counts = night.run()
    assert counts["locked"] == 3
    assert (counts["staged"], counts["carried_over"]) == (1, 2)
    assert asked(sqlite_ledger) == {"outline": 3, "draft": 1}
    assert night.problems() == []


def test_what_was_cut_after_the_first_step_goes_on_there_the_next_night(briefs: Sandbox, sqlite_ledger: Ledger) -> None:
    """An outline that was paid for is never bought again: the next night begins with the draft."""
    first = Night(sqlite_ledger, "blog_drafts")
    first.check()
    (shard,) = first.drain()
    first.batch(shard)
    assert first.next_batch_id is not None
    first.now = EVENING + timedelta(hours=15)  # past the cutoff before the drafts were sent
    first.batch(first.next_batch_id)
    first.validate()
    assert first.export()["carried_over"] == 3
    second = Night(
        sqlite_ledger, "blog_drafts", run_id="manual__2", base=EVENING + timedelta(days=1), now=EVENING + timedelta(days=1)
    )
    counts = second.run()
    assert counts["staged"] == 3
    with sqlite_ledger.read() as conn:
        sent = conn.execute(select(steps.c.name).join(batches, batches.c.step_id == steps.c.id).where(
            batches.c.submitted_at.is_not(None))).scalars().all()  # fmt: skip
    assert sorted(sent) == ["draft", "outline"]
    assert paid_twice(briefs) == []
    assert second.problems() == []


def test_a_draft_that_comes_too_late_lands_in_the_next_night_with_its_outline(briefs: Sandbox, sqlite_ledger: Ledger) -> None:
    """The batch of a later step is adopted like any: its items enter the new night at that step."""
    first = Night(sqlite_ledger, "blog_drafts")
    first.check()
    (shard,) = first.drain()
    first.batch(shard)
    late = first.next_batch_id
    assert late is not None
    first.job(late).submit(now=first.clock)
    first.now = EVENING + timedelta(hours=16)
    first.job(late).carry_over_in_doubt(now=first.clock)
    first.validate()
    assert first.export()["carried_over"] == 3
    second = Night(
        sqlite_ledger, "blog_drafts", run_id="manual__2", base=EVENING + timedelta(days=1), now=EVENING + timedelta(days=1)
    )
    assert second.run()["staged"] == 3
    assert asked(sqlite_ledger) == {"outline": 3, "draft": 3}
    assert paid_twice(briefs) == []
    assert second.problems() == []


def test_a_rework_is_written_anew_even_when_a_late_batch_of_its_old_night_is_adopted(
    briefs: Sandbox, sqlite_ledger: Ledger
) -> None:
    """Answers of earlier nights count only for items that came with the late batch."""
    change = {"shard_requests": 2}
    first = Night(sqlite_ledger, "blog_drafts", change=change)
    first.check()
    one, two = first.drain()
    first.chain([one])
    first.batch(two)
    late = first.next_batch_id
    assert late is not None
    first.job(late).submit(now=first.clock)
    first.now = EVENING + timedelta(hours=16)
    first.job(late).carry_over_in_doubt(now=first.clock)
    first.validate()
    assert first.export()["staged"] == 2
    with sqlite_ledger.write() as conn:
        item = next(row for row in reviews.entries(conn, first.row()["id"]) if row["key"] == "b0")
        again = {
            "decision": "rework",
            "reviewer": "ada",
            "surface": "page",
            "reason_code": "weak_hook",
            "note": "Begin with rain.",
        }
        reviews.decide(conn, first.row()["id"], item["id"], again, actor=Actor("human", "ada"), now=first.clock())
    first.collect()
    start = EVENING + timedelta(days=1)
    second = Night(sqlite_ledger, "blog_drafts", run_id="manual__2", base=start, now=start, change=change)
    assert second.run()["staged"] == 2
    with sqlite_ledger.read() as conn:
        drafts = conn.execute(select(requests.c.content).join(steps, steps.c.id == requests.c.step_id).join(
            batches, batches.c.id == requests.c.batch_id).where(
            steps.c.name == "draft", batches.c.night_id == second.row()["id"])).scalars().all()  # fmt: skip
        outlines = conn.execute(select(requests.c.content).join(steps, steps.c.id == requests.c.step_id).join(
            batches, batches.c.id == requests.c.batch_id).where(
            steps.c.name == "outline", batches.c.night_id == second.row()["id"])).scalars().all()  # fmt: skip
    assert len(drafts) == len(outlines) == 1
    assert "Begin with rain." in outlines[0]
    assert second.problems() == []
