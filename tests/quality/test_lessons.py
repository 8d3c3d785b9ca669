"""What repeats in reasons and edits is proposed, a person decides, and a replay tells help from harm before."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from overnight import prompts
from overnight.alerts import watchdog
from overnight.ledger import alerts, retention, reviews, verify
from overnight.ledger import lessons as taught
from overnight.ledger.audit import Actor
from overnight.ledger.connect import Ledger
from overnight.quality import lessons, replay
from overnight.quality.lessons import LessonRefused
from overnight.workflow import workflow
from tests.conftest import PROJECT, Sandbox
from tests.support.night import Night, paid_twice
from tests.support.project import Project
from tests.support.reviewed import NOW, SYSTEM, bring_home, draft, entries, shown


def decide(ledger: Ledger, night: Any, item: Any, **row: Any) -> None:
    with ledger.write() as conn:
        decision = {"reviewer": "ada", "surface": "page", **row}
        reviews.decide(conn, night["id"], item["id"], decision, actor=Actor("human", "ada"), now=NOW)


def test_three_items_make_a_pattern_and_two_do_not(ledger: Ledger, project: Project) -> None:
    """A reason code that keeps coming back, and a phrase that reviewers keep taking out; each proposed once."""
    _, night = shown(ledger, "page", [draft(n, words="It is a game changer.") for n in range(5)])
    items = entries(ledger, night)
    for item in items[:3]:
        output = {**item["output"], "body_markdown": item["output"]["body_markdown"].replace("game changer", "good tool")}
        decide(ledger, night, item, decision="edit", edited=output)
    for item in items[3:]:
        decide(ledger, night, item, decision="rework", reason_code="too_long", note="Half, please.")
    bring_home(ledger)
    assert lessons.learn(ledger, actor=SYSTEM, now=NOW) == 1
    assert lessons.learn(ledger, actor=SYSTEM, now=NOW) == 0, "the same pattern is not proposed twice"
    with ledger.read() as conn:
        (lesson,) = taught.listed(conn)
        assert verify.problems(conn) == []
    assert lesson["rule"] == "Do not write “game changer”; write “good tool” instead."
    assert (lesson["state"], len(lesson["evidence"])) == ("proposed", 3)


def test_only_a_persons_yes_changes_the_prompt_and_it_is_a_new_version(ledger: Ledger, project: Project) -> None:
    """Adopted, the rule stands in lessons.md and in every request; adopting twice and dismissing after are refused."""
    _, night = shown(ledger, "page", [draft(n) for n in range(3)])
    for item in entries(ledger, night):
        decide(ledger, night, item, decision="rework", reason_code="weak_hook", note="{{ 7*7 }} Start in the rain.")
    bring_home(ledger)
    lessons.learn(ledger, actor=SYSTEM, now=NOW)
    before = prompts.load(workflow("blog_drafts"))
    with ledger.read() as conn:
        (lesson,) = taught.listed(conn)
    with pytest.raises(LessonRefused, match="5 to 300 characters"):
        lessons.adopt(ledger, lesson["id"], by="eve", rule="x", now=NOW)
    assert prompts.load(workflow("blog_drafts")).hash == before.hash
    settled, version = lessons.adopt(ledger, lesson["id"], by="eve", rule="Begin in the rain, {{ 7*7 }}.", now=NOW)
    after = prompts.load(workflow("blog_drafts"))
    assert after.hash != before.hash
    assert version == prompts.version(workflow("blog_drafts"))
    assert after.system.rstrip().endswith("What reviewers taught us\n- Begin in the rain, {{ 7*7 }}."), (
        "a rule is text, not a template"
    )
    assert settled["decided_by"] == "eve"
    with pytest.raises(LessonRefused, match="adopted by eve already"):
        lessons.adopt(ledger, lesson["id"], by="ada", now=NOW)
    with pytest.raises(LessonRefused, match="adopted already"):
        lessons.dismiss(ledger, lesson["id"], by="ada", now=NOW)
    with ledger.read() as conn:
        assert verify.problems(conn) == []


def test_a_replay_tells_the_lesson_that_helps_from_the_one_that_harms_and_the_one_that_does_nothing(
    sqlite_ledger: Ledger, project: Project, queue: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Past edited drafts are asked for again with and without each rule; nothing is paid twice, and no queue sees them."""
    from tests.conftest import connect

    connect(monkeypatch, sandbox.hosts)
    monkeypatch.setenv("OVERNIGHT_POLL_SECONDS", "0.1")
    sample = (PROJECT / "include" / "prompts" / "blog_drafts" / "sample.csv").read_bytes()
    (queue / "blog_drafts" / "a.csv").write_bytes(sample)
    night = Night(sqlite_ledger, "blog_drafts", change={"surface": "page", "source": "csv"})
    night.run()
    row = night.row()
    # The reviewers' taste: "this is", never "it is"; everything else is kept.
    for item in entries(sqlite_ledger, row):
        body = item["output"]["body_markdown"]
        edited = {**item["output"], "body_markdown": body.replace("It is", "This is").replace("it is", "this is")}
        decide(sqlite_ledger, row, item, decision="edit", edited=edited)
    bring_home(sqlite_ledger)
    rules = {
        "helps": "Do not write “it is”; write “this is” instead.",
        "harms": "Do not write “the”; write “that old” instead.",
        "no difference shown": "Do not write “synergy”.",
    }
    said = {}
    for expected, rule in rules.items():
        with sqlite_ledger.write() as conn:
            found = {"prompt_version": row["prompt_version"], "pattern": rule, "rule": rule, "evidence": []}
            taught.propose(conn, [found], workflow="blog_drafts", actor=SYSTEM, now=NOW)
            lesson_id = next(one["id"] for one in taught.listed(conn) if one["rule"] == rule)
        verdict = replay.replay(sqlite_ledger, lesson_id)
        said[expected] = verdict.says
        assert verdict.items >= replay.FEWEST
    assert said == {word: word for word in rules}
    creates = sandbox.creates()
    assert replay.replay(sqlite_ledger, lesson_id).says == "no difference shown"
    assert sandbox.creates() == creates, "a replay that is run again buys nothing"
    assert paid_twice(sandbox) == []
    again = Night(sqlite_ledger, "blog_drafts", run_id="manual__2", now=night.now, change={"surface": "page", "source": "csv"})
    assert again.run()["locked"] == 0, "no queue sees what a replay asked"
    later = again.clock() + timedelta(days=40)
    watchdog.watch(sqlite_ledger, now=later)
    with sqlite_ledger.read() as conn:
        assert not [row for row in alerts.listed(conn) if "replay" in row["workflow"]], "nobody waits for a trial's review"
        due = retention.items_to_clear(conn, later, 10**6)
        copied = [row[0] for row in conn.exec_driver_sql("SELECT id FROM items WHERE source = 'replay'")]
        assert set(copied) <= set(due), "its copies of people's texts go by age like all others"
        assert retention.raw_files(conn, "blog_drafts_replay", later)
    with sqlite_ledger.read() as conn:
        assert verify.problems(conn) == []


def test_too_few_edits_buy_nothing(sqlite_ledger: Ledger, project: Project) -> None:
    """The words say how many there are and how many are needed."""
    _, night = shown(sqlite_ledger, "page", [draft(0)])
    with sqlite_ledger.write() as conn:
        found = {"prompt_version": night["prompt_version"], "pattern": "p", "rule": "Be brief, please.", "evidence": []}
        taught.propose(conn, [found], workflow="blog_drafts", actor=SYSTEM, now=NOW)
    with pytest.raises(replay.TooFew, match="at least 5 items that reviewers edited; blog_drafts has 0"):
        replay.replay(sqlite_ledger, 1)
