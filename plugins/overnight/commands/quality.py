"""`bin/overnight quality`: the five metrics of each workflow, what drifts, what somebody looks into."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from overnight.clock import utcnow
from overnight.commands.terminal import fail, ledger, marked, out

if TYPE_CHECKING:
    from overnight.quality.metrics import Metrics, Report

app = typer.Typer(help="The five metrics, drift, and what is looked into.", invoke_without_command=True)
ByName = Annotated[str, typer.Option(help="Your name.")]


@app.callback()
def quality(
    context: typer.Context, workflow: Annotated[str | None, typer.Option(help="One workflow only.")] = None
) -> None:  # fmt: skip
    """Approved as is, edited, sent back; completion and cost: by night, prompt version and reviewer, beside the healthy range."""
    if context.invoked_subcommand is not None:
        return
    from overnight.ledger import measures
    from overnight.quality import metrics

    with ledger().read() as conn:
        names = [workflow] if workflow else measures.workflows(conn)
        reports = [metrics.report(conn, name, now=utcnow()) for name in names]
    if not any(report.nights for report in reports):
        out.print("No night is measured yet: that happens when a morning's review is over.")
    for report in reports:
        _print(report)


def _print(report: Report) -> None:
    table = Table("", "decided", "as is", "edited", "sent back", "completion", "a output", "an approved one", "pending", "failed",
                  "blocked", title=report.workflow, title_justify="left")  # fmt: skip
    for part in (report.nights, report.versions, report.reviewers):
        for line in part:
            table.add_row(*_cells(line, report))
        table.add_section()
    out.print(table)
    if report.posture is not None:
        marked("tightened", f" by {report.posture['by']}: {report.posture['reason']}")
    for case in report.cases:
        out.print(f"investigation {case['id']} ({case['kind']}): {case['what']}", soft_wrap=True)


def _cells(line: Metrics, report: Report) -> list[str | Text]:
    verdicts = line.verdicts(report.settings)

    def rate(name: str, value: float | None) -> str | Text:
        if value is None:
            return ""
        shown = f"{value:.0%}"
        return Text(f"{shown} ({verdicts[name]})", "red") if verdicts.get(name, "healthy") != "healthy" else shown

    low, high = line.sure
    as_is = rate("as_is", line.share("as_is")) + (f" ({low:.0%}-{high:.0%})" if line.decided else "")
    money = [f"${usd:.4f}" if usd is not None else "" for usd in (line.cost_per_output_usd, line.cost_per_approved_usd)]
    beside = [str(n) if line.locked else "" for n in (line.pending, line.failed, line.blocked)]
    rest = [rate("edit", line.share("edit")), rate("rework", line.share("rework")), rate("completion", line.completion)]
    return [line.name, str(line.decided), as_is, *rest, *money, *beside]


@app.command()
def loosen(
    workflow: Annotated[str, typer.Argument(help="The workflow that is tightened.")],
    reason: Annotated[str, typer.Option(help="Why; it goes into the audit log.")],
    by: ByName,
) -> None:
    """Release a tightened workflow before its three nights in range. What was seen up to now is not held against it again."""
    from overnight.quality import measure

    try:
        measure.release(ledger(), workflow, by=by, reason=reason, now=utcnow())
    except measure.NotTightened as refusal:
        fail(str(refusal))
    out.print(f"{workflow} is released by {by}: {reason}", soft_wrap=True)


@app.command()
def close(
    number: Annotated[int, typer.Argument(help="The investigation's number, as `overnight quality` shows it.")],
    finding: Annotated[str, typer.Option(help="What you found; it stays on record.")],
    by: ByName,
) -> None:
    """Close an investigation with what was found."""
    from overnight.ledger import postures
    from overnight.ledger.errors import LedgerError

    try:
        with ledger().write() as conn:
            postures.close_case(conn, number, by=by, finding=finding, now=utcnow())
    except LedgerError as refusal:
        fail(str(refusal))
    out.print(f"investigation {number} is closed by {by}: {finding}", soft_wrap=True)
