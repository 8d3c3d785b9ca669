"""Who must say yes to an item: its tier, and whether one person's yes is enough. Enforced on every surface alike.

An item's tier is the highest of the workflow's own and of what its findings raise (domain section 3, layer 3). Sending an item
back is never refused: only a yes needs a name.
"""

from collections.abc import Iterable

from overnight.governance.policy import Approval, Tier
from overnight.team import Team
from overnight.workflow import Finding, Severity

BY_SEVERITY: dict[Severity, Tier] = {Severity.FAIL: "T4", Severity.ESCALATE: "T2", Severity.WARN: "T1", Severity.NOTE: "T0"}
"""What a finding raises an item to where the policy says nothing of its rule."""
NAMED: tuple[Tier, ...] = ("T2", "T3")
"""The tiers that need somebody by name: never decided in bulk, never covered by a digest."""


class NotTheirs(PermissionError):
    """This person's yes is not the one that is due; the words name whose is."""


def tier_of(approval: Approval, findings: Iterable[Finding]) -> Tier:
    """The highest of the workflow's default and of what its findings raise."""
    raised = (approval.raises.get(finding.rule, BY_SEVERITY[finding.severity]) for finding in findings)
    return max((approval.default_tier, *raised))


def enough(approval: Approval, team: Team, tier: Tier, person: str, earlier: Iterable[str] = ()) -> bool:
    """Whether this person's yes decides, with the yeses that were said before; False: it counts, and another one is due.

    Args:
        earlier: who said yes to the same draft before.

    Raises:
        NotTheirs: it counts for nothing here.
    """
    if tier == "T4":
        raise NotTheirs("A rule forbids this draft, so nobody can approve it: send it back, or write your own version.")
    if tier not in NAMED or team.is_one_of(person, approval.owners):
        return True
    approver = team.is_one_of(person, approval.approvers)
    if tier == "T2":
        if not approver:
            due = whose(approval, team, tier) or "a named approver, and the policy names none (approval.approvers)"
            raise NotTheirs(f"This needs the yes of {due}; yours was not taken. You may send it back.")
        return True
    if team.find(person) is None:
        raise NotTheirs("Two people of the team must say yes to this, and your name is not in it; yours was not taken.")
    others = [name for name in earlier if team.find(name) is not None and not team.same(name, person)]
    if not others:
        return False
    if not approver and not any(team.is_one_of(name, approval.approvers) for name in others):
        raise NotTheirs(f"One of the two must be {whose(approval, team, 'T2')}; your yes was not taken. You may send it back.")
    return True


def whose(approval: Approval, team: Team, tier: Tier) -> str:
    """Whose yes is due, in words."""
    owners, named = team.named(approval.owners), team.named((*approval.approvers, *approval.owners))
    if tier == "T3":
        either = f"{_or(owners)}, or " if owners else ""
        return f"{either}two people, one of them {_or(named) or 'a named approver (the policy names none)'}"
    return _or(named) if tier == "T2" else "one reviewer"


def _or(names: list[str]) -> str:
    return " or ".join(names)


def troubles(approval: Approval, team: Team) -> Iterable[str]:
    """What would leave a due yes to nobody, said at 17:00."""
    reachable = {approval.default_tier, *approval.raises.values()}
    for label, names in (("approvers", approval.approvers), ("owners", approval.owners)):
        if unknown := [name for name in names if not team.named([name])]:
            yield f"The policy names {', '.join(unknown)} as {label}, and nobody in team.yaml has that name or role."
    if reachable & {"T2", "T3"} and not team.named((*approval.approvers, *approval.owners)):
        yield "The policy asks for a named approver (T2 or T3), and names nobody whom team.yaml knows: nothing could be approved."
