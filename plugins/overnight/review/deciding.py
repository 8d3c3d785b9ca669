"""Every decision of every surface comes through here: whose yes is due is asked before anything is written.

A refusal is written down, too (the audit log knows what was denied), and names whose yes would count.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection

from overnight.batches import judge
from overnight.governance import approval as approvals
from overnight.governance import policy as policies
from overnight.governance.approval import NotTheirs
from overnight.governance.policy import Approval, Tier
from overnight.ledger import chains, findings, nights, reviews
from overnight.ledger.audit import Actor
from overnight.ledger.reviews import DecisionRefused
from overnight.ledger.rows import Row
from overnight.review import verdict
from overnight.review.surface import surface
from overnight.settings import SettingsError
from overnight.team import Team, team
from overnight.workflow import Finding, Severity, workflow_if_known


@dataclass(frozen=True)
class Said:
    """What became of a decision, in words for whoever made it; a first yes of two decides nothing yet."""

    words: str
    decided: bool = True


def decide(
    conn: Connection, night_id: int, item_id: int | None, decision: Row, *, actor: Actor, now: datetime,
    night: Row | None = None, item: Row | None = None, signed: bool = True,
) -> Said:  # fmt: skip
    """Take one decision. A yes that needs a second one is kept.

    Args:
        night, item: as they were read a moment ago, by who decides many; what must be fresh is read again under its lock.
        signed: whether the person's name is their own word, and not that of whoever saved the file last.

    Raises:
        DecisionRefused: with the words for the reviewer.
    """
    night = night if night is not None else nights.get(conn, night_id)
    people = _team()
    person = people.who(decision["reviewer"])[:128]
    decision = {**decision, "reviewer": person}
    actor = policies.under(Actor(actor.kind, person, actor.run_id, actor.task_id), night["workflow"])
    item = item if item is not None or item_id is None else reviews.item(conn, item_id)
    if decision["decision"] in ("approve", "edit") and item is not None:
        approval = _approval(night["workflow"])
        tier = _tier(conn, item, approval, decision)
        raised = _raised(conn, night["workflow"], item, approval, decision) if decision["decision"] == "edit" else _Raised()
        tier = max(tier, raised.tier)
        try:
            first = _first_of_two(conn, night, item, tier, approval, decision, people, signed=signed, actor=actor, now=now)
        except DecisionRefused as refusal:
            raise DecisionRefused(f"{raised.why}{refusal}") from refusal
        if first is not None:
            return first
    reviews.decide(conn, night_id, item_id, decision, actor=actor, now=now, night=night)
    return Said(verdict.SAID[str(decision["decision"])])


def _first_of_two(
    conn: Connection, night: Row, item: Row, tier: Tier, approval: Approval, decision: Row, people: Team, *, signed: bool,
    actor: Actor, now: datetime,
) -> Said | None:  # fmt: skip
    """Refuse a yes that is not theirs to give, and keep one that needs another; None: it is enough."""
    person = decision["reviewer"]
    if tier in approvals.NAMED and not signed:
        due = approvals.whose(approval, people, tier)
        raise DecisionRefused(f"This needs {due}: write your name as the reviewer in this row. Nothing was decided.")
    if tier in approvals.NAMED:
        # Held and read anew before anybody's yes is counted: two first yeses at once would be two of one.
        item = reviews.open_to(conn, night, item["id"], decision)
    if _is_enough(conn, item, tier, approval, decision, people):
        return None
    reviews.assent(conn, night, item, person, surface=decision["surface"], actor=actor, now=now)
    due = approvals.whose(approval, people, tier)
    return Said(f"kept as the first yes, {person}'s: this needs {due}. It waits for the second", decided=False)


def undo(conn: Connection, night: Row, item_id: int | None, person: str, *, now: datetime) -> str:
    """Take back a person's own decision or first yes; returns what was taken back.

    Raises:
        DecisionRefused: there is none of theirs, or it was collected.
    """
    actor = policies.under(Actor("human", person), night["workflow"])
    return reviews.undo(conn, night["id"], item_id, person, actor=actor, now=now)


def _team() -> Team:
    try:
        return team()
    except SettingsError as error:
        raise DecisionRefused(f"Nobody can decide while the team's file cannot be read: {error} Nothing was decided.") from error


def _approval(workflow: str) -> Approval:
    try:
        return policies.load(workflow)[0].approval
    except policies.PolicyError as error:
        raise DecisionRefused(f"Nobody can say yes while the policy cannot be read: {error} Nothing was decided.") from error


def _tier(conn: Connection, item: Row, approval: Approval, decision: Row) -> Tier:
    """A person's own version of what a rule forbade is held to what its other findings raise; who sends a draft back three times
    comes round nobody whose yes was due.
    """
    if decision["decision"] == "edit" and item["tier"] == "T4":
        found = findings.of_night(conn, item["night_id"], [item["id"]]).get(item["id"], ())
        due = approvals.tier_of(approval, [Finding(row["rule"], _allowed(row["severity"]), row["message"]) for row in found])
        # A policy may raise a rule's findings to T4, which nobody could approve: their own version is an owner's to make.
        return due if due != "T4" else "T3" if approval.owners else "T2"
    tier: Tier = item["tier"] or approval.default_tier
    return tier


@dataclass(frozen=True)
class _Raised:
    """What a person's own version raises an item to, and in which words."""

    tier: Tier = "T0"
    why: str = ""


def _raised(conn: Connection, name: str, item: Row, approval: Approval, decision: Row) -> _Raised:
    """The rules read what a person wrote as they read what a model did. What they forbid a person may write, and a named
    approver says yes to it: a draft's yes is no yes to a claim or an offer that came after it.
    """
    declared, edited = workflow_if_known(name), decision.get("edited")
    maker = declared.maker_of(edited) if declared is not None and edited else None
    if maker is None or edited is None:
        return _Raised()
    given = chains.last_input(conn, item["id"], maker.step) or item["input"]
    grave = [one for one in judge.again(maker, given, edited).findings if one.severity in (Severity.FAIL, Severity.ESCALATE)]
    # What the draft raised has been counted; it is read once more only where that may matter.
    draft = judge.again(maker, given, item["output"] or {}).findings if grave else ()
    known = {(one.rule, one.field, one.evidence) for one in draft}
    found = [one for one in grave if (one.rule, one.field, one.evidence) not in known]
    if not found:
        return _Raised()
    due = approvals.tier_of(approval, [replace(one, severity=Severity.ESCALATE) for one in found])
    said = "; ".join(f"{one.message}" + (f" “{one.evidence}”" if one.evidence else "") for one in found[:3])
    return _Raised(due if due != "T4" else "T3" if approval.owners else "T2", f"Your version: {said} ")


def _allowed(severity: str) -> Severity:
    """What a rule forbade in the draft it may not forbid in what a person writes instead."""
    return Severity.WARN if severity == Severity.FAIL else Severity(severity)


def _is_enough(conn: Connection, item: Row, tier: Tier, approval: Approval, decision: Row, people: Team) -> bool:
    person = decision["reviewer"]
    if tier in approvals.NAMED and approval.signed_in and not surface(decision["surface"]).in_ledger:
        raise DecisionRefused(
            "This needs a named approver who is logged in: decide it on Overnight's own review page. Nothing was decided."
        )
    try:
        earlier = reviews.assents_to(conn, item) if tier in approvals.NAMED else ()
        enough = approvals.enough(approval, people, tier, person, earlier)
    except NotTheirs as refusal:
        raise DecisionRefused(f"{refusal} Nothing was decided.") from refusal
    if decision["decision"] == "edit" and tier == "T3" and not people.is_one_of(person, approval.owners):
        due = approvals.whose(approval, people, tier)
        raise DecisionRefused(
            f"This needs {due}: two people say yes to one and the same draft, so an edit of it is an owner's to make. "
            "Send it back with a note, or approve it as it is. Nothing was decided."
        )
    return enough


def refuse(
    conn: Connection, workflow: str, object_id: str, words: str, *, reviewer: str, surface: str, now: datetime
) -> None:  # fmt: skip
    """Put a refused decision on record (law 6)."""
    reviews.refuse(
        conn, workflow, object_id, words, reviewer=reviewer[:128], surface=surface,
        policy_hash=policies.hash_of(workflow), now=now,
    )  # fmt: skip
