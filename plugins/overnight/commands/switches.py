"""`bin/overnight stop` and `resume`: the kill switches, for everything, a workflow, a vendor or a prompt version."""

from typing import Annotated

import typer

from overnight.clock import utcnow
from overnight.commands.terminal import fail, ledger, out

Reason = Annotated[str, typer.Option(help="Why; it goes into the audit log.")]
ByName = Annotated[str, typer.Option(help="Your name.")]
Name = Annotated[str, typer.Argument(help="A workflow's name; without one, and without an option, everything.")]
Vendor = Annotated[str, typer.Option(help="All work at one vendor: anthropic, openai or gemini.")]
Prompt = Annotated[str, typer.Option(help="All work under one prompt version: its first twelve characters.")]


def stop(reason: Reason, by: ByName, workflow: Name = "*", vendor: Vendor = "", prompt: Prompt = "") -> None:
    """Engage a kill switch: nothing new is bought, exported or delivered; what is open at a vendor is cancelled within 30 s."""
    from overnight.ledger import switches

    scope = _scope(workflow, vendor, prompt)
    _throw(scope, engaged=True, by=by, reason=reason)
    with ledger().read() as conn:
        work = switches.stopped_work(conn, scope)
    for batch in work:
        out.print(
            f"  {batch['workflow']} {batch['night']}: batch {batch['key']} ({batch['request_count']} requests) is being "
            f"cancelled at {batch['vendor']}; what it has finished is kept",
            soft_wrap=True,
        )
    if not work:
        out.print("  nothing is open at a vendor")


def resume(reason: Reason, by: ByName, workflow: Name = "*", vendor: Vendor = "", prompt: Prompt = "") -> None:
    """Re-arm a kill switch: a night that waits for it goes on by itself; clear a task that it failed."""
    _throw(_scope(workflow, vendor, prompt), engaged=False, by=by, reason=reason)


def _scope(workflow: str, vendor: str, prompt: str) -> str:
    from overnight import finder
    from overnight.ledger import switches
    from overnight.workflow import workflow_names

    if sum(map(bool, (workflow != switches.ALL, vendor, prompt))) > 1:
        fail("Name one thing to stop: a workflow, --vendor or --prompt. Nothing was changed.")
    if workflow != switches.ALL and switches.owner(workflow) not in workflow_names():
        fail(f"{workflow!r} is no workflow; there are {', '.join(workflow_names())}. Nothing was changed.")
    vendors = finder.names("overnight.batches.vendors")
    if vendor and vendor not in vendors:
        fail(f"{vendor!r} is no vendor; there are {', '.join(vendors)}. Nothing was changed.")
    if not prompt:
        return switches.of_vendor(vendor) if vendor else workflow
    with ledger().read() as conn:
        known = switches.known_versions(conn, prompt)
    if len(prompt) < 6 or len({version[:12] for version in known}) != 1:
        fail(
            f"{prompt!r} is not the beginning of exactly one prompt version that ran here (six characters at least); "
            "`bin/overnight quality` shows them. Nothing was changed."
        )
    return switches.of_prompt(known[0])


def _throw(scope: str, *, engaged: bool, by: str, reason: str) -> None:
    from overnight.ledger import switches
    from overnight.ledger.errors import LedgerError

    with ledger().read() as conn:
        standing = [row["scope"] for row in switches.all_engaged(conn)]
    others = ", ".join("everything" if one == switches.ALL else one for one in standing if one != scope)
    if not engaged and scope not in standing:
        fail(f"The switch for {'everything' if scope == switches.ALL else scope} is not engaged; engaged: {others or 'none'}.")
    try:
        with ledger().write() as conn:
            switches.throw(conn, scope, engaged=engaged, by=by, reason=reason, now=utcnow())
    except LedgerError as refusal:
        fail(str(refusal))
    name = "everything" if scope == switches.ALL else scope
    out.print(f"{name} is {'stopped' if engaged else 're-armed'} by {by}: {reason}", soft_wrap=True)
    if not engaged and others:
        out.print(f"Still engaged: {others}.", soft_wrap=True)
