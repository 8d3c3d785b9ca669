"""`bin/overnight launch`: how far each workflow is on its way to live. `bin/overnight forecast`: what a morning will ask."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from overnight.clock import utcnow
from overnight.commands.terminal import fail, ledger, out

if TYPE_CHECKING:
    from overnight.governance.launch import Progress

Name = Annotated[str, typer.Argument(help="A workflow's name; without one, all of them are shown.")]
To = Annotated[str, typer.Option(help="Bring it to this state: test, early, live, paused (or back).")]
ByName = Annotated[str, typer.Option(help="Your name; it goes into the audit log.")]
Reason = Annotated[str, typer.Option(help="Why; it goes into the audit log.")]


def launch(workflow: Name = "", to: To = "", by: ByName = "", reason: Reason = "") -> None:
    """Pilot, test, early, live: what each workflow has shown, what is missing, and the next step as your decision."""
    from overnight.governance import launch as gate
    from overnight.governance import policy as policies
    from overnight.ledger.audit import Actor
    from overnight.workflow import workflow_names

    names = workflow_names()
    if workflow and workflow not in names:
        fail(f"{workflow!r} is no workflow; there are {', '.join(names)}. Nothing was changed.")
    if not to:
        with ledger().read() as conn:
            _show([gate.progress(conn, name) for name in names if workflow in ("", name)])
        return
    if not (workflow and by.strip() and reason.strip()):
        fail(
            "Name one workflow, yourself (--by) and why (--reason): it is your decision and goes on record. Nothing was changed."
        )
    if to not in list(gate.State):
        fail(f"{to!r} is no state; there are {', '.join(gate.State)}. Nothing was changed.")
    actor = policies.under(Actor("human", by.strip()), workflow)
    try:
        with ledger().write() as conn:
            gate.move(conn, workflow, gate.State(to), reason=reason.strip(), by=actor, now=utcnow())
    except gate.NotReady as refusal:
        fail(str(refusal))
    out.print(f"{workflow} is {to} now; its next night is held to that.", soft_wrap=True)


def _show(rows: list[Progress]) -> None:
    from overnight.governance.launch import State

    table = Table("workflow", "state", "nights", "decided", "as is", "missing to go on", title="Launch gate")
    for one in rows:
        share = f"{one.as_is} ({one.share:.0%})" if one.share is not None else ""
        words = "; ".join(one.missing) or {State.LIVE: "", State.PAUSED: "a person lets it go on"}.get(
            one.state, "nothing: go on"
        )
        table.add_row(one.workflow, one.state, str(one.nights), str(one.decided), share, words)
    out.print(table)
    for one in rows:
        if one.chance is not None:
            out.print(
                f"{one.workflow}: an agent right 70 % of the time would pass this test with a chance of {one.chance:.1%}.",
                soft_wrap=True,
            )


def forecast(morning: Annotated[str, typer.Argument(help="A local date; by default the newest that is planned.")] = "") -> None:
    """The reviewers' minutes of a morning: what its nights have reserved, what waits already, and what the team has."""
    from overnight.governance import capacity
    from overnight.ledger import reservations

    if morning:
        try:
            date.fromisoformat(morning)
        except ValueError:
            fail(f"{morning!r} is no date; write one like 2026-11-24.")
    with ledger().read() as conn:
        morning = morning or reservations.newest_morning(conn) or utcnow().date().isoformat()
        found = capacity.forecast(conn, morning)
    table = Table("workflow", "items", "minutes", "waiting from before", "minutes", title=f"The morning of {found.morning}")
    for line in found.lines:
        table.add_row(
            line.workflow, str(line.items), f"{line.minutes:.0f}", str(line.backlog_items), f"{line.backlog_minutes:.0f}"
        )
    out.print(table)
    out.print(f"{found.minutes:.0f} of the team's {found.pool} minutes are spoken for.")
