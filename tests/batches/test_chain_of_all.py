"""Steps that see the whole night: side by side, in code, a second try, and the night's own question about all others."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from overnight.batches.compute import compute
from overnight.ledger import nights, verify
from overnight.ledger.batches import NIGHT
from overnight.ledger.connect import Ledger
from overnight.ledger.tables import answers, batches, items, requests, step_items, steps
from overnight.workflow import Computed, Step, workflow
from tests.conftest import Sandbox
from tests.support.chains import behave, misbehave, outcomes, poorer
from tests.support.night import EVENING, Night, queue_file, sample


def test_a_panel_goes_on_with_the_engines_that_answered(queue: Path, connected: Sandbox, sqlite_ledger: Ledger) -> None:
    """One vendor refuses everything: the questions are judged on the answers of the others, and the count says how many."""
    sample(queue, "ai_visibility")
    httpx.post(f"{connected.url}/control/misbehave", json={"vendor": "gemini", "match": "<item>", "outcome": "refused"})
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


def test_an_optional_step_that_brings_nothing_leaves_the_item_as_it_was(
    queue: Path, connected: Sandbox, sqlite_ledger: Ledger
) -> None:
    """The figures stand without their explanation; the variant stands without its second try."""
    sample(queue, "inventory_signals")
    misbehave(connected, "<item>", "refused")
    night = Night(sqlite_ledger, "inventory_signals")
    counts = night.run()
    assert counts["staged"] == counts["locked"] == 500
    assert night.row()["summary"]["digest"]["explained"] == 0
    assert night.problems() == []


def test_near_duplicates_are_bought_again_once_and_told_what_they_must_differ_from(
    queue: Path, connected: Sandbox, sqlite_ledger: Ledger
) -> None:
    """Two briefs that come out alike: the later one is asked again, once, with the earlier one's words; both are staged."""
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


def test_the_nights_own_question_is_conserved_and_never_locked_by_another_night(
    queue: Path, connected: Sandbox, sqlite_ledger: Ledger
) -> None:
    """A digest that fails is shown as failed; the next night asks its own."""
    sample(queue, "competitor_scan")
    misbehave(connected, "Leadership digest", "errored")
    night = Night(sqlite_ledger, "competitor_scan")
    counts = night.run()
    assert counts == {"locked": 7, "staged": 6, "failed": 1, "carried_over": 0}
    behave(connected)
    httpx.post(f"{connected.url}/control/shops", json={"day": 2}).raise_for_status()
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
    queue: Path, connected: Sandbox, sqlite_ledger: Ledger
) -> None:
    """A batch that is given back lets go only of what no other step still asks about."""
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
    queue: Path, connected: Sandbox, sqlite_ledger: Ledger
) -> None:
    """An answer of run one is never given to run two; run one's own is not bought again."""
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


def test_the_nights_own_question_over_budget_is_said_to_have_failed_and_its_step_can_be_cleared(
    queue: Path, connected: Sandbox, sqlite_ledger: Ledger
) -> None:
    """It waits for no other night, and a second run of the step before it asks it once."""
    sample(queue, "competitor_scan")
    night = Night(sqlite_ledger, "competitor_scan")
    poorer(night, digest="0.000001")
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
