"""Who must say yes: the tier of each item, and whose yes is enough, on every surface alike."""

import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from overnight.governance import approval as approvals
from overnight.governance import policy as policies
from overnight.governance.approval import NotTheirs
from overnight.governance.check import CheckFailed
from overnight.governance.policy import Approval
from overnight.ledger import audit, findings, nights, reviews
from overnight.ledger.audit import Actor
from overnight.ledger.connect import Ledger
from overnight.ledger.reviews import DecisionRefused
from overnight.ledger.tables import audit_events
from overnight.review import exhibit
from overnight.team import Team, team
from overnight.ui import taking
from overnight.ui.shows import review as shows
from overnight.workflow import Finding, Severity
from tests.conftest import Sandbox
from tests.support.night import Night, sample
from tests.support.project import Project
from tests.support.reviewed import NOW, draft, entries, shown
from tests.support.visitors import Guest, press

PEOPLE = Team.model_validate(
    {
        "people": [
            {"name": "Ada Byron", "also": ["ada"], "roles": ["owner"]},
            {"name": "Dana Ruiz", "also": ["dana"], "roles": ["compliance"]},
            {"name": "Emil Sand", "also": ["emil"]},
        ]
    }
)
RULES = Approval(default_tier="T1", approvers=("compliance",), owners=("owner",), raises={"safety": "T3", "nothing": "T0"})


def finding(rule: str, severity: Severity) -> Finding:
    return Finding(rule, severity, "words")


@pytest.mark.parametrize(
    ("found", "tier"),
    [
        ([], "T1"),
        ([("any", Severity.WARN)], "T1"),
        ([("any", Severity.ESCALATE)], "T2"),
        ([("safety", Severity.ESCALATE)], "T3"),
        ([("nothing", Severity.ESCALATE)], "T1"),  # the policy lowers this rule, but never below the workflow's own tier
        ([("any", Severity.WARN), ("safety", Severity.NOTE)], "T3"),
        ([("any", Severity.FAIL)], "T4"),
    ],
)
def test_a_tier_is_the_highest_of_the_workflows_own_and_of_what_its_findings_raise(found: list[Any], tier: str) -> None:
    """Domain section 3, layer 3: MAX of the default and of any triggered rule."""
    assert approvals.tier_of(RULES, [finding(*one) for one in found]) == tier


@pytest.mark.parametrize(
    ("tier", "person", "earlier", "said"),
    [
        ("T0", "nobody we know", [], True),
        ("T1", "emil", [], True),
        ("T2", "dana", [], True),
        ("T2", "ADA", [], True),
        ("T2", "emil", [], "Dana Ruiz"),
        ("T2", "owner", [], "Dana Ruiz"),  # a role is not a name that somebody may type
        ("T3", "ada", [], True),
        ("T3", "dana", [], False),
        ("T3", "dana", ["Dana Ruiz"], False),  # twice the same person is one person
        ("T3", "dana", ["Emil Sand"], True),
        ("T3", "emil", ["Dana Ruiz"], True),
        ("T3", "emil", ["Somebody Else"], False),  # nobody of the team: only a known person's yes is half of two
        ("T3", "Somebody Else", ["Dana Ruiz"], "your name is not in it"),
        ("T4", "ada", [], "A rule forbids"),
    ],
)
def test_whose_yes_is_enough(tier: Any, person: str, earlier: list[str], said: Any) -> None:
    """T2 a named approver, T3 the owner or two people of whom one is named, T4 nobody."""
    if isinstance(said, str):
        with pytest.raises(NotTheirs, match=said):
            approvals.enough(RULES, PEOPLE, tier, person, earlier)
    else:
        assert approvals.enough(RULES, PEOPLE, tier, person, earlier) is said


def test_a_team_file_in_which_one_name_is_two_people_is_refused() -> None:
    """Whose yes would it be?"""
    with pytest.raises(ValueError, match="'ada' names both"):
        Team.model_validate({"people": [{"name": "Ada"}, {"name": "Other", "also": ["ada"]}]})
    with pytest.raises(ValueError, match="a role may not be called as a person is"):
        Team.model_validate({"people": [{"name": "Ada"}, {"name": "Other", "roles": ["ada"]}]})


def test_the_team_is_read_again_when_its_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who joined at noon may say yes at five past; no process is started anew for it."""
    path = tmp_path / "team.yaml"
    path.write_text("people: [{name: Ada}]")
    monkeypatch.setenv("OVERNIGHT_TEAM", str(path))
    assert [person.name for person in team().people] == ["Ada"]
    path.write_text("people: [{name: Ada}, {name: Newcomer}]")
    assert team().who("newcomer") == "Newcomer"


def decide(ledger: Ledger, night: Any, item: Any, who: str, **form: str) -> str:
    with ledger.write() as conn:
        form = {"output_hash": item["output_hash"], **form}
        return press(conn, night["id"], item["id"], form, who=who, now=NOW)


def test_the_page_takes_a_named_approvers_yes_only_and_a_rework_from_anybody(ledger: Ledger) -> None:
    """T2 on the page; a send-back needs no name, for it lets nothing out."""
    _, night = shown(ledger, "page", [draft(1), draft(2), draft(3)], tiers=["T2", "T2", "T1"])
    first, second, third = entries(ledger, night)
    with pytest.raises(DecisionRefused, match="needs the yes of Ada Byron or Ben Okafor or Dana Ruiz"):
        decide(ledger, night, first, "emil", decision="approve")
    decide(ledger, night, first, "dana", decision="approve")
    decide(ledger, night, second, "emil", decision="rework", reason_code="other", note="not like this")
    decide(ledger, night, third, "emil", decision="approve")
    with ledger.read() as conn:
        taken = {item_id: row["reviewer"] for item_id, row in reviews.effective(conn, night["id"]).items()}
    assert taken == {first["id"]: "Dana Ruiz", second["id"]: "Emil Sand", third["id"]: "Emil Sand"}


def test_two_people_say_yes_to_the_same_draft_or_the_owner_does(ledger: Ledger) -> None:
    """T3: the first yes is kept and decides nothing; the same person's second is no second; an edit is the owner's."""
    _, night = shown(ledger, "page", [draft(1), draft(2)], tiers=["T3", "T3"])
    first, second = entries(ledger, night)
    assert "first yes" in decide(ledger, night, first, "emil", decision="approve")
    assert "first yes" in decide(ledger, night, first, "Emil Sand", decision="approve")
    with pytest.raises(DecisionRefused, match="one and the same draft"):
        decide(ledger, night, first, "dana", decision="edit", **{"edited.title": "Another title"})
    with ledger.read() as conn:
        assert reviews.effective(conn, night["id"]) == {}
        assert reviews.waiting_for_a_second(conn, night["id"]) == {first["id"]: ["Emil Sand"]}
        page = shows.single(conn, nights.get(conn, night["id"]), first["id"], "Dana Ruiz", now=NOW)
    assert page is not None
    assert page["entry"]["firsts"] == ["Emil Sand"]
    assert decide(ledger, night, first, "dana", decision="approve") == "approved"
    assert decide(ledger, night, second, "admin", decision="approve") == "approved"  # the owner's login
    with ledger.read() as conn:
        assert {row["reviewer"] for row in reviews.effective(conn, night["id"]).values()} == {"Dana Ruiz", "Ada Byron"}
        verbs = [event["verb"] for event in audit.of_object(conn, "item", str(first["id"]))]
    assert (verbs.count("assent"), verbs.count("decide")) == (1, 1)


def test_a_first_yes_to_an_older_draft_counts_for_nothing(ledger: Ledger) -> None:
    """What was said yes to is one version."""
    _, night = shown(ledger, "page", [draft(1)], tiers=["T3"])
    (item,) = entries(ledger, night)
    decide(ledger, night, item, "emil", decision="approve")
    with ledger.read() as conn:
        assert reviews.assents_to(conn, {**item, "output_hash": "f" * 64}) == []


def test_a_first_yes_is_taken_on_the_draft_that_was_seen_and_in_its_own_night(ledger: Ledger) -> None:
    """A page that stayed open, another night's address, an item that is decided: a first yes is refused as a decision would be."""
    _, night = shown(ledger, "page", [draft(1)], tiers=["T3"])
    _, other = shown(ledger, "page", [draft(2)], tiers=["T3"], run_id="run-2", night="2026-11-25")
    (item,), (foreign,) = entries(ledger, night), entries(ledger, other)
    with pytest.raises(DecisionRefused, match="draft changed after you opened it"):
        decide(ledger, night, item, "emil", decision="approve", output_hash="f" * 64)
    with pytest.raises(DecisionRefused, match="not in this night's review"):
        decide(ledger, night, foreign, "emil", decision="approve")
    decide(ledger, night, item, "admin", decision="rework", reason_code="other", note="shorter")
    with pytest.raises(DecisionRefused, match="Ada Byron decided this"):
        decide(ledger, night, item, "emil", decision="approve")
    with ledger.read() as conn:
        assert reviews.assents_to(conn, item) == []
        assert reviews.assents_to(conn, foreign) == []


def test_who_sent_it_back_and_then_says_the_first_yes_takes_the_sending_back(ledger: Ledger) -> None:
    """One person says one thing of a draft."""
    _, night = shown(ledger, "page", [draft(1)], tiers=["T3"])
    (item,) = entries(ledger, night)
    decide(ledger, night, item, "emil", decision="rework", reason_code="other", note="shorter")
    assert "first yes" in decide(ledger, night, item, "emil", decision="approve")
    with ledger.read() as conn:
        assert reviews.effective(conn, night["id"]) == {}
    assert decide(ledger, night, item, "dana", decision="approve") == "approved"


def test_a_policy_may_want_named_approvers_logged_in(ledger: Ledger, project: Project) -> None:
    """In a sheet a name is what somebody typed; the page knows who is logged in."""
    project.policy("blog_drafts", lambda policy: policy["approval"].update(signed_in=True))
    _, night = shown(ledger, "page", [draft(1)], tiers=["T2"])
    (item,) = entries(ledger, night)
    from overnight.review import deciding

    said = {"decision": "approve", "reviewer": "dana", "surface": "sheets", "output_hash": item["output_hash"]}
    with pytest.raises(DecisionRefused, match="logged in"), ledger.write() as conn:
        deciding.decide(conn, night["id"], item["id"], said, actor=Actor("human", "dana"), now=NOW)
    assert decide(ledger, night, item, "dana", decision="approve") == "approved"


def test_while_the_teams_file_cannot_be_read_nobody_decides_and_everybody_is_told(ledger: Ledger, project: Project) -> None:
    """Who is who is not known then; the review says so instead of breaking, and takes decisions again once the file is whole."""
    _, night = shown(ledger, "page", [draft(1)], tiers=["T2"])
    (item,) = entries(ledger, night)
    whole = (project.include / "team.yaml").read_text()
    project.write("team.yaml", "people: 5")
    with pytest.raises(DecisionRefused, match=r"team\.yaml: people: .*Nothing was decided"):
        decide(ledger, night, item, "dana", decision="approve")
    with ledger.read() as conn:
        assert "nobody, while the policy or the team cannot be read" in exhibit.build(conn, night).entries[0].checks
    project.write("team.yaml", whole)
    assert decide(ledger, night, item, "dana", decision="approve") == "approved"


def test_a_policy_that_names_nobody_we_know_stops_the_night_before_the_lock(
    sqlite_ledger: Ledger, queue: Path, vendors: Sandbox, project: Project
) -> None:
    """A yes that is due and nobody's to give would be found out at nine in the morning."""
    project.policy("email_sms", lambda policy: policy["approval"].update(approvers=["legal"], owners=[]))
    with pytest.raises(CheckFailed, match="(?s)legal as approvers.*nothing could be approved") as caught:
        Night(sqlite_ledger, "email_sms").check()
    assert "Nothing was locked" in str(caught.value)


def test_no_row_speaks_for_items_that_need_a_name(ledger: Ledger) -> None:
    """One decision for all that is ready leaves out what a named approver is due for."""
    _, night = shown(
        ledger, "page", [draft(n) for n in range(4)], workflow="blog_drafts", tiers=["T1", "T1", "T2", "T2"],
        buckets=["ready", "ready", "escalated", "escalated"],
    )  # fmt: skip
    with ledger.read() as conn:
        shows = exhibit.build(conn, night)
    said = [re.findall(r"Says yes: ([^.]+)\.", entry.checks) for entry in shows.entries if entry.item_id]
    assert said == [[], [], ["Ada Byron or Ben Okafor or Dana Ruiz"], ["Ada Byron or Ben Okafor or Dana Ruiz"]]


def test_every_record_of_a_night_and_its_review_names_the_policy_it_was_made_under(
    sqlite_ledger: Ledger, queue: Path, vendors: Sandbox
) -> None:
    """From the lock to the delivery, people's decisions, refusals and alerts too: a record without its rules proves little."""
    sample(queue, "email_sms")
    night = Night(sqlite_ledger, "email_sms")
    night.run()
    with sqlite_ledger.read() as conn:
        rows = reviews.entries(conn, night.row()["id"])
    escalated = [row for row in rows if row["bucket"] == "escalated"]
    assert escalated, "every text to customers needs a name (T2)"
    assert {row["tier"] for row in rows if row["state"] == "in_review"} == {"T2"}
    with pytest.raises(DecisionRefused):
        decide(sqlite_ledger, night.row(), escalated[0], "emil", decision="approve")
    with sqlite_ledger.write() as conn:
        taking.refused(conn, night.row(), escalated[0]["id"], "no", who=Guest("emil"), now=night.clock())
    decide(sqlite_ledger, night.row(), escalated[0], "ben", decision="approve")
    night.collect()
    with sqlite_ledger.read() as conn:
        events = list(conn.execute(select(audit_events).where(audit_events.c.workflow == "email_sms")).mappings())
    assert {event["verb"] for event in events} >= {"decide", "refuse", "move", "create"} - {"move", "create"}
    without = [(event["verb"], event["actor"]) for event in events if event["policy_hash"] != policies.hash_of("email_sms")]
    assert without == []


def test_what_a_policy_raises_to_t4_may_still_be_replaced_by_an_owners_own_version(ledger: Ledger, project: Project) -> None:
    """The draft is nobody's to approve; three rounds later somebody has to be able to write it."""
    project.policy("blog_drafts", lambda policy: policy["approval"].update(raises={"claims": "T4"}))
    _, night = shown(ledger, "page", [draft(1)], tiers=["T4"])
    (item,) = entries(ledger, night)
    with ledger.write() as conn:
        row = {"item_id": item["id"], "night_id": night["id"], "rule": "claims", "severity": "escalate", "field": None,
               "message": "medical", "evidence": None}  # fmt: skip
        findings.add(conn, [row])
    own = {"decision": "edit", "edited.title": "Another title"}
    with pytest.raises(DecisionRefused, match="an edit of it is an owner's"):
        decide(ledger, night, item, "emil", **own)
    with pytest.raises(DecisionRefused, match="nobody can approve it"):
        decide(ledger, night, item, "admin", decision="approve")
    assert decide(ledger, night, item, "admin", **own) == "approved with your edits"


def test_where_a_policy_names_nobody_the_refusal_says_so() -> None:
    """A text that gives orders to a machine needs a name in a workflow that asks for none: the words are no empty list."""
    with pytest.raises(NotTheirs, match="a named approver, and the policy names none"):
        approvals.enough(Approval(default_tier="T1"), PEOPLE, "T2", "ada")
