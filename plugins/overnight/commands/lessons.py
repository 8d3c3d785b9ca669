"""`bin/overnight lessons`: what reviewers taught."""

from typing import Annotated

import typer
from rich.table import Table

from overnight.clock import utcnow
from overnight.commands.terminal import fail, ledger, marked, out

app = typer.Typer(help="What reviewers taught: proposed rules, and a person's yes or no.", invoke_without_command=True)
LessonId = Annotated[int, typer.Argument(help="The lesson's number, as `overnight lessons` shows it.")]
ByName = Annotated[str, typer.Option(help="Your name.")]


@app.callback()
def lessons(context: typer.Context) -> None:
    """Every lesson, newest first, with its evidence and what a replay showed."""
    if context.invoked_subcommand is not None:
        return
    from overnight.ledger import lessons as taught

    with ledger().read() as conn:
        found = taught.listed(conn)
    table = Table("no", "workflow", "state", "rule", "seen", "for example", "replay")
    for row in found:
        shown = (row["replay"] or {}).get("says", "")
        example = row["evidence"][0]["words"] if row["evidence"] else ""
        seen = str(len({one["item"] for one in row["evidence"]}))
        table.add_row(str(row["id"]), row["workflow"], row["state"], row["rule"], seen, example, shown)
    out.print(table if found else "No lesson yet: a pattern needs three items that say the same.")


@app.command()
def adopt(
    lesson: LessonId, by: ByName, rule: Annotated[str | None, typer.Option(help="Your own wording of it.")] = None
) -> None:  # fmt: skip
    """Make a lesson part of the prompt: a new prompt version from the next night on."""
    from overnight.ledger.errors import LedgerError
    from overnight.quality import lessons as taught

    try:
        settled, version = taught.adopt(ledger(), lesson, by=by, rule=rule, now=utcnow())
    except (LedgerError, taught.LessonRefused) as refusal:
        fail(str(refusal))
    out.print(f"adopted by {by}: {settled['rule']}", soft_wrap=True)
    out.print(f"the prompt of {settled['workflow']} is now version {version[:12]}; commit its lessons.md")


@app.command()
def dismiss(lesson: LessonId, by: ByName) -> None:
    """Say no to a lesson; it is not proposed again under the same prompt version."""
    from overnight.ledger.errors import LedgerError
    from overnight.quality import lessons as taught

    try:
        settled = taught.dismiss(ledger(), lesson, by=by, now=utcnow())
    except (LedgerError, taught.LessonRefused) as refusal:
        fail(str(refusal))
    out.print(f"dismissed by {by}: {settled['rule']}", soft_wrap=True)


@app.command()
def replay(lesson: LessonId) -> None:
    """Ask past edited items again, with the rule and without, at batch price; started again, it goes on where it was."""
    from overnight.governance.killswitch import Stopped
    from overnight.ledger.errors import LedgerError
    from overnight.quality import replay as replays

    try:
        verdict = replays.replay(ledger(), lesson)
    except (LedgerError, replays.TooFew, Stopped) as refusal:
        fail(str(refusal))
    marked(verdict.says, f": likeness to the reviewers' own versions {verdict.difference:+.3f} "
           f"(95 %: {verdict.low:+.3f} to {verdict.high:+.3f}) over {verdict.items} items", style="bold")  # fmt: skip
    out.print(
        f"findings without {verdict.findings['without']}, with {verdict.findings['with']}; it cost ${verdict.cost_usd}",
        soft_wrap=True,
    )  # fmt: skip
