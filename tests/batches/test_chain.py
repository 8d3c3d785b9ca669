"""Chains: several steps in one night. Each goes on by itself, nothing is asked twice, and no item is lost between two steps."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from overnight.batches.compute import compute
from overnight.governance import policy as policies
from overnight.ledger import nights, reviews, verify
from overnight.ledger.audit import Actor
from overnight.ledger.batches import NIGHT
from overnight.ledger.connect import Ledger
from overnight.ledger.tables import answers, audit_events, batches, items, requests, step_items, steps
from overnight.workflow import Computed, Step, workflow, workflow_names
from tests.conftest import Sandbox, connect
from tests.support.night import EVENING, Night, paid_twice, queue_file, sample

BRIEFS = "brief_id,title,primary_query,facts,author,min_words,max_words\n" + "".join(
    f"b{n},A title number {n},a query number {n},Fact {n} here|Another fact,Jo Writer,200,500\n" for n in range(3)
)


@pytest.fixture
def briefs(queue: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """Three briefs in the queue, and a vendor of one's own to misbehave."""
    connect(monkeypatch, sandbox.hosts)
    queue_file(queue, "blog_drafts", "a.csv", BRIEFS)
    return sandbox


def misbehave(sandbox: Sandbox, match: str, outcome: str) -> None:
    httpx.post(f"{sandbox.url}/control/misbehave", json={"vendor": "*", "match": match, "outcome": outcome}).raise_for_status()


def behave(sandbox: Sandbox) -> None:
    httpx.post(f"{sandbox.url}/control/behave").raise_for_status()


def outcomes(ledger: Ledger, workflow_name: str) -> dict[str, dict[str, str]]:
    """step → item key → how the item left it."""
    made: dict[str, dict[str, str]] = {}
    with ledger.read() as conn:
        query = (
            select(steps.c.name, items.c.key, step_items.c.outcome)
            .join(step_items, step_items.c.step_id == steps.c.id)
            .join(items, items.c.id == step_items.c.item_id)
            .where(items.c.workflow == workflow_name)
        )
        for row in conn.execute(query):
            made.setdefault(row.name, {})[row.key] = row.outcome
    return made


def asked(ledger: Ledger) -> dict[str, int]:
    """step → how many requests were planned for it."""
    made: dict[str, int] = {}
    with ledger.read() as conn:
        for row in conn.execute(select(steps.c.name).join(requests, requests.c.step_id == steps.c.id)):
            made[row.name] = made.get(row.name, 0) + 1
    return made


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
    real = night.task

    def poor(name: str) -> Any:
        task = real(name)
        scope = task.policy.action_scope.model_copy(update={"steps": {"draft": Decimal("0.05")}})
        return replace(task, policy=task.policy.model_copy(update={"action_scope": scope}))

    night.task = poor  # type: ignore[method-assign]
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


def test_a_panel_goes_on_with_the_engines_that_answered(
    queue: Path, sandbox: Sandbox, sqlite_ledger: Ledger, monkeypatch: Any
) -> None:
    """One vendor refuses everything: the questions are judged on the answers of the others, and the count says how many."""
    connect(monkeypatch, sandbox.hosts)
    sample(queue, "ai_visibility")
    httpx.post(f"{sandbox.url}/control/misbehave", json={"vendor": "gemini", "match": "<item>", "outcome": "refused"})
    night = Night(sqlite_ledger, "ai_visibility")
    counts = night.run()
    assert counts["staged"] == counts["locked"] == 12
    with sqlite_ledger.read() as conn:
        outputs = [row.output for row in conn.execute(select(items.c.output))]
    assert {output["answers"] for output in outputs} == {6}
    assert all("gemini" not in output["by_engine"] for output in outputs)
    assert night.problems() == []


def test_a_step_in_code_that_forgets_an_item_keeps_nothing(queue: Path, vendors: Sandbox, sqlite_ledger: Ledger) -> None:
    """Each item is to be answered once: a step that loses one is an error before anything is written."""
    sample(queue, "inventory_signals")
    night = Night(sqlite_ledger, "inventory_signals")
    night.change = {"steps": (Step("score", compute=f"{__name__}:forgetful"), *workflow("inventory_signals").steps[1:])}
    night.check()
    night.drain()
    with pytest.raises(RuntimeError, match="was given 500 items and spoke of 499"):
        compute(sqlite_ledger, night.task("score"), "score", now=night.clock())
    with sqlite_ledger.read() as conn:
        assert conn.execute(select(step_items.c.output).where(step_items.c.output.is_not(None))).all() == []


def forgetful(rows: Any, _facts: Any) -> list[Computed]:
    return [Computed(row.item_id, {"signal": "healthy"}) for row in rows[1:]]


def test_a_step_in_code_run_again_keeps_what_it_found_and_plans_nothing_twice(
    queue: Path, vendors: Sandbox, sqlite_ledger: Ledger
) -> None:
    """A clear of the task after it is done changes nothing."""
    sample(queue, "competitor_scan")
    night = Night(sqlite_ledger, "competitor_scan")
    night.check()
    assert night.drain() == []
    first = compute(sqlite_ledger, night.task("gather"), "gather", now=night.clock())
    with sqlite_ledger.read() as conn:
        before = conn.execute(select(step_items)).all()
    assert compute(sqlite_ledger, night.task("gather"), "gather", now=night.clock()) == first
    with sqlite_ledger.read() as conn:
        assert conn.execute(select(step_items)).all() == before
        assert len(conn.execute(select(batches)).all()) == len(first)


def test_an_optional_step_that_brings_nothing_leaves_the_item_as_it_was(queue: Path, sandbox: Sandbox, sqlite_ledger: Ledger,
                                                                         monkeypatch: Any) -> None:  # fmt: skip
    """The figures stand without their explanation; the variant stands without its second try."""
    connect(monkeypatch, sandbox.hosts)
    sample(queue, "inventory_signals")
    misbehave(sandbox, "<item>", "refused")
    night = Night(sqlite_ledger, "inventory_signals")
    counts = night.run()
    assert counts["staged"] == counts["locked"] == 500
    assert night.row()["summary"]["digest"]["explained"] == 0
    assert night.problems() == []


def test_near_duplicates_are_bought_again_once_and_told_what_they_must_differ_from(
    queue: Path, sandbox: Sandbox, sqlite_ledger: Ledger, monkeypatch: Any
) -> None:
    """Two briefs that come out alike: the later one is asked again, once, with the earlier one's words; both are staged."""
    connect(monkeypatch, sandbox.hosts)
    sample(queue, "ad_variants")
    night = Night(sqlite_ledger, "ad_variants")
    counts = night.run()
    assert counts["staged"] == counts["locked"] == 18
    again = {key for key, _ in outcomes(sqlite_ledger, "ad_variants")["rewrite"].items()}
    assert again == {"ad-017", "ad-018"}
    with sqlite_ledger.read() as conn:
        contents = conn.execute(select(requests.c.content).join(steps, steps.c.id == requests.c.step_id).where(
            steps.c.name == "rewrite")).scalars().all()  # fmt: skip
        bought = conn.execute(select(answers.c.item_id).join(steps, steps.c.id == answers.c.step_id).where(
            steps.c.name == "rewrite")).scalars().all()  # fmt: skip
    assert all("too_near_to" in content and "two-person tent" in content for content in contents)
    assert len(bought) == len(set(bought)) == 2


def test_the_nights_own_question_is_conserved_and_never_locked_by_another_night(queue: Path, sandbox: Sandbox, sqlite_ledger: Ledger,
                                                                                 monkeypatch: Any) -> None:  # fmt: skip
    """A digest that fails is shown as failed; the next night asks its own."""
    connect(monkeypatch, sandbox.hosts)
    web = f'{{"conn_type": "generic", "extra": {{"proxy": "{sandbox.url}", "per_second": 50}}}}'
    monkeypatch.setenv("AIRFLOW_CONN_OVERNIGHT_WEB", web)
    sample(queue, "competitor_scan")
    misbehave(sandbox, "Leadership digest", "errored")
    night = Night(sqlite_ledger, "competitor_scan")
    counts = night.run()
    assert counts == {"locked": 7, "staged": 6, "failed": 1, "carried_over": 0}
    behave(sandbox)
    httpx.post(f"{sandbox.url}/control/shops", json={"day": 2}).raise_for_status()
    rows = (queue / "competitor_scan" / "sample.csv").read_text().replace("2026-W48", "2026-W49")
    queue_file(queue, "competitor_scan", "next.csv", rows)
    second = Night(
        sqlite_ledger, "competitor_scan", run_id="manual__2", base=EVENING + timedelta(days=7), now=EVENING + timedelta(days=7)
    )
    assert second.run() == {"locked": 7, "staged": 7, "failed": 0, "carried_over": 0}
    with sqlite_ledger.read() as conn:
        asked_by_nights = conn.execute(select(items.c.key).where(items.c.source == NIGHT)).scalars().all()
        kinds = second.row()["summary"]["digest"]["changes"]
        assert verify.problems(conn) == []
    assert len(asked_by_nights) == 2
    assert kinds == {"new_product": 7, "price_down": 7, "removed_product": 7, "out_of_stock": 7, "text_changed": 2,
                     "map_breach": 1}  # fmt: skip


def test_a_refused_engine_does_not_throw_the_questions_out_of_the_night(
    queue: Path, sandbox: Sandbox, sqlite_ledger: Ledger, monkeypatch: Any
) -> None:
    """A batch that is given back lets go only of what no other step still asks about."""
    connect(monkeypatch, sandbox.hosts)
    sample(queue, "ai_visibility")
    night = Night(sqlite_ledger, "ai_visibility")
    night.check()
    planned = night.drain()
    with sqlite_ledger.read() as conn:
        by_vendor = {row.id: row.vendor for row in conn.execute(select(batches.c.id, batches.c.vendor))}
    refused = [b for b in planned if by_vendor[b] == "gemini"]
    for batch_id in refused:  # before any other was sent
        night.job(batch_id)._give_back("refused for good", night.clock())
    night.chain([b for b in planned if b not in refused])
    night.validate()
    counts = night.export()
    assert (counts["staged"], counts["carried_over"]) == (12, 0)
    assert night.problems() == []


def test_three_runs_of_one_engine_are_three_samples_also_after_a_cut(
    queue: Path, sandbox: Sandbox, sqlite_ledger: Ledger, monkeypatch: Any
) -> None:
    """An answer of run one is never given to run two; run one's own is not bought again."""
    connect(monkeypatch, sandbox.hosts)
    sample(queue, "ai_visibility")
    first = Night(sqlite_ledger, "ai_visibility")
    first.check()
    planned = first.drain()
    first.batch(planned[0])
    first.now = EVENING + timedelta(hours=15)
    for batch_id in planned[1:]:
        first.batch(batch_id)  # past the cutoff: given back
    with sqlite_ledger.write() as conn:  # the step in code did not run: the night was cut before it
        inside = nights.still_inside(conn, first.row()["id"])
    first.validate()
    assert first.export()["carried_over"] == 12, inside
    second = Night(
        sqlite_ledger, "ai_visibility", run_id="manual__2", base=EVENING + timedelta(days=1), now=EVENING + timedelta(days=1)
    )
    assert second.run()["staged"] == 12
    with sqlite_ledger.read() as conn:
        copied = conn.execute(select(steps.c.name).join(answers, answers.c.step_id == steps.c.id).where(
            answers.c.reused_from.is_not(None))).scalars().all()  # fmt: skip
        bought = conn.execute(select(steps.c.name, requests.c.id).join(requests, requests.c.step_id == steps.c.id).join(
            batches, batches.c.id == requests.c.batch_id).where(batches.c.submitted_at.is_not(None))).all()  # fmt: skip
    assert len(set(copied)) == 1
    assert len(copied) == 12
    assert len([name for name, _ in bought if name == copied[0]]) == 12
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


def test_the_nights_own_question_over_budget_is_said_to_have_failed_and_its_step_can_be_cleared(
    queue: Path, sandbox: Sandbox, sqlite_ledger: Ledger, monkeypatch: Any
) -> None:
    """It waits for no other night, and a second run of the step before it asks it once."""
    connect(monkeypatch, sandbox.hosts)
    web = f'{{"conn_type": "generic", "extra": {{"proxy": "{sandbox.url}", "per_second": 50}}}}'
    monkeypatch.setenv("AIRFLOW_CONN_OVERNIGHT_WEB", web)
    sample(queue, "competitor_scan")
    night = Night(sqlite_ledger, "competitor_scan")
    real = night.task

    def poor(name: str) -> Any:
        task = real(name)
        scope = task.policy.action_scope.model_copy(update={"steps": {"digest": Decimal("0.000001")}})
        return replace(task, policy=task.policy.model_copy(update={"action_scope": scope}))

    night.task = poor  # type: ignore[method-assign]
    night.check()
    night.chain(night.drain())
    assert compute(sqlite_ledger, night.task("rank"), "rank", now=night.clock()) == []
    night.validate()
    assert night.export() == {"locked": 7, "staged": 6, "failed": 1, "carried_over": 0}
    assert night.problems() == []


def test_nine_parallel_steps_land_side_by_side(queue: Path, vendors: Sandbox, ledger: Ledger) -> None:
    """Nine tasks at once on the same items: none waits for another for ever, each answer is kept."""
    sample(queue, "ai_visibility")
    night = Night(ledger, "ai_visibility")
    night.check()
    planned = night.drain()
    with ThreadPoolExecutor(len(planned)) as pool:
        nights_of_their_own = [Night(ledger, "ai_visibility", now=night.now) for _ in planned]
        done = list(pool.map(lambda pair: pair[0].batch(pair[1]), zip(nights_of_their_own, planned, strict=True)))
    assert [counts["valid"] for counts in done] == [12] * 9
    night.chain_from(compute(ledger, night.task("find"), "find", now=night.clock()))
    night.validate()
    assert night.export()["staged"] == 12
    assert night.problems() == []
