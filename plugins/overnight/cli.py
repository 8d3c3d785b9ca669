"""The command-line tool for ops: `bin/overnight --help`. What has several commands of its own is in `commands/`."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Column, Table

from overnight.clock import utcnow
from overnight.commands import launch, lessons, quality, retention, switches
from overnight.commands.terminal import fail, ledger, marked, open_unchecked, out, stage

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Overnight: what ops asks and does.")
app.add_typer(lessons.app, name="lessons")
app.add_typer(quality.app, name="quality")
app.command()(switches.stop)
app.command()(switches.resume)
app.command()(launch.launch)
app.command()(launch.forecast)
app.command()(retention.retention)
app.command("check-archive")(retention.check_archive)


@app.command()
def status(
    as_json: Annotated[bool, typer.Option("--json", help="The same as JSON, for machines.")] = False,
    workflow: Annotated[str | None, typer.Option(help="One workflow only.")] = None,
) -> None:
    """Each night: state, items by state, batches, cost, alerts."""
    from overnight.ledger import overview

    with ledger().read() as conn:
        where = conn.engine.url.render_as_string(hide_password=True)
        nights = [overview.describe(conn, night) for night in overview.list_nights(conn, workflow)]
        loose = [alert for alert in overview.loose_alerts(conn) if workflow in (None, alert["workflow"])]
    if as_json:
        sys.stdout.write(json.dumps({"nights": nights, "alerts": loose}, indent=2, default=str) + "\n")
        return
    if nights:
        _print_nights(nights)
        if len(nights) == overview.LAST:
            out.print(f"These are the last {overview.LAST}; `bill --night 2026-09` shows any, `--workflow` one workflow's.")
    else:
        out.print(f"No night yet in {where}.", soft_wrap=True)
    for alert in loose:
        marked(alert["kind"], f" {alert['workflow']} {alert['run_id']}: {alert['message']}")


def _print_nights(nights: list[dict[str, Any]]) -> None:
    table = Table("workflow", "night", "state", "locked", "staged", "failed", "carried over", "over cap", "rejected",
                  "batches", "cost", "in real time", "alerts")  # fmt: skip
    for night in nights:
        counts = night["outcomes"]
        numbers = [str(counts[name]) for name in ("locked", "staged", "failed", "carried_over")]
        batches = ", ".join(f"{count} {state}" for state, count in sorted(night["batches"].items())) or "none"
        money = [f"${night['cost_usd']:.4f}", f"${night['realtime_cost_usd']:.4f}"]
        alerts = ", ".join(alert["kind"] for alert in night["alerts"] if not alert["recovered_at"]) or "none"
        table.add_row(night["workflow"], night["night"], night["state"], *numbers, str(night["over_cap"]),
                      str(night["rejected"]), batches, *money, alerts)  # fmt: skip
    out.print(table)
    for night in nights:
        items = ", ".join(f"{count} {state}" for state, count in sorted(night["items"].items())) or "none"
        out.print(f"{night['workflow']} {night['night']}: {items}")
        for alert in night["alerts"]:
            over = " (over)" if alert["recovered_at"] else ""
            marked(f"  {alert['kind']}{over}", f" {alert['message']}")


@app.command()
def verify() -> None:
    """Check the conservation law and the audit log; exits with 1 where either fails."""
    from overnight.ledger import overview
    from overnight.ledger import verify as verifying

    with ledger().read() as conn:
        problems = verifying.problems(conn)
        nights = overview.list_nights(conn)
    for problem in problems:
        marked("✗", f" {problem}")
    if problems:
        raise typer.Exit(1)
    kept = "every closed night conserved its items" if nights else "there is no night yet"
    out.print(f"✓ {kept}; the audit log is whole and agrees with the ledger")


@app.command()
def migrate() -> None:
    """Make the ledger where there is none, or bring its tables to this package's version."""
    from overnight.ledger import migrate as migrating

    opened = open_unchecked()
    where = opened.url.render_as_string(hide_password=True)
    out.print(f"the ledger stands at {migrating.upgrade(opened)} ({where})", soft_wrap=True)


@app.command()
def doubts() -> None:
    """Batches that left their night unsettled: never sent again until the vendor answers, or a person gives them up."""
    from overnight.ledger import batches

    with ledger().read() as conn:
        found = batches.doubts(conn)
        whole = max((len(row["key"]) for row in found), default=0)  # `release` asks for it letter by letter
        key = Column("batch", no_wrap=True, min_width=whole)
        table = Table(key, "workflow", "night", "vendor", "state", "at the vendor", "items", "may cost")
        for row in found:
            items = str(len(batches.doubtful_items(conn, row["id"])))
            money = f"${row['ceiling_usd']:.4f}" if row["ceiling_usd"] is not None else ""
            at_vendor = str(row["vendor_batch_id"] or "unknown")
            table.add_row(row["key"], row["workflow"], row["night"], row["vendor"], row["state"], at_vendor, items, money)
    out.print(table if found else "Nothing is in doubt.")


@app.command()
def release(
    batch: Annotated[str, typer.Argument(help="The batch's key, as `overnight doubts` shows it.")],
    reason: Annotated[str, typer.Option(help="Why; it goes into the audit log.")],
    by: Annotated[str, typer.Option(help="Your name.")],
) -> None:
    """Give up a batch in doubt: its items may be bought again. If the vendor did finish it, they are paid for twice."""
    from overnight.ledger import batches
    from overnight.ledger.errors import LedgerError

    try:
        with ledger().write() as conn:
            count = batches.release(conn, batch, by=by, reason=reason, now=utcnow())
    except LedgerError as refusal:
        fail(str(refusal))
    out.print(f"{batch} is given up by {by}; {count} items go with the next night")


@app.command()
def bill(
    night: Annotated[str | None, typer.Option(help="One night's date only, or a month: 2026-09.")] = None,
    workflow: Annotated[str | None, typer.Option(help="One workflow only.")] = None,
) -> None:
    """What each night cost, line by line, its budget, and what real time would have cost; the last 50 unless one is named."""
    from overnight.ledger import overview

    table = Table(
        "workflow",
        "night",
        "step",
        "vendor",
        "model",
        "for",
        "answers",
        "tokens in",
        "cached",
        "tokens out",
        "cost",
        "in real time",
    )
    with ledger().read() as conn:
        shown = [overview.describe(conn, row) for row in overview.list_nights(conn, workflow, named=night)]
    for one in shown:
        for line in one["bill"]:
            table.add_row(
                one["workflow"], one["night"], line["step"], line["vendor"], line["model"], line["purpose"], str(line["answers"]),
                str(line["input_tokens"]), str(line["cache_read_tokens"]), str(line["output_tokens"]),
                f"${line['cost_usd']:.4f}", f"${line['realtime_cost_usd']:.4f}",
            )  # fmt: skip
    if not shown:
        out.print(" ".join(["There is no night", *filter(None, (night, f"of {workflow}" if workflow else None))]) + ".")
        return
    out.print(table)
    for one in shown:
        known = {"budget": one["budget_usd"], "expected": one["estimate_usd"]}
        limits = [f"{name} ${usd:.4f}" for name, usd in known.items() if usd is not None]
        again = f", {one['reused']} answered from the ledger" if one["reused"] else ""
        said = f"cost ${one['cost_usd']:.4f}, in real time ${one['realtime_cost_usd']:.4f}{again}"
        out.print(f"{one['workflow']} {one['night']}: {', '.join([*limits, said])}", soft_wrap=True)


@app.command()
def sandbox(
    port: Annotated[int, typer.Option(help="The port it listens on.")] = 8700,
    host: Annotated[str, typer.Option(help="The address it listens on; 0.0.0.0 in a container.")] = "127.0.0.1",
    state: Annotated[Path | None, typer.Option(help="File that keeps its state over restarts.")] = None,
    batch_seconds: Annotated[float, typer.Option(help="How long a batch takes.")] = 2.0,
    cancel_seconds: Annotated[float, typer.Option(help="How long a cancel takes to settle.")] = 1.0,
    expire_seconds: Annotated[float, typer.Option(help="When a batch that is not done expires.")] = 86_400.0,
    seed: Annotated[int, typer.Option(help="The same seed makes the same choices.")] = 0,
    profile: Annotated[str, typer.Option(help="A way to fail on purpose; `list` names them all.")] = "none",
) -> None:
    """Start the local vendor: the batch APIs of Anthropic, OpenAI and Gemini on this machine, no key needed."""
    from overnight.sandbox import server
    from overnight.sandbox.profiles import PROFILES
    from overnight.sandbox.store import Pace

    if profile == "list":
        for one in PROFILES.values():
            out.print(f"{one.name:16} {one.says}", soft_wrap=True)
        return
    if profile not in PROFILES:
        fail(f"{profile!r} is no fault profile; there are {', '.join(PROFILES)}. Nothing was started.")
    for vendor, address in server.hosts(f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}").items():  # noqa: S104 - compared
        out.print(f"{vendor:10} host {address}", soft_wrap=True)
    server.serve(port, state, Pace(batch_seconds, cancel_seconds, expire_seconds), seed, host, profile)


@app.command()
def night(
    reviews: Annotated[Path | None, typer.Option(help="Your own reviews instead of the sample.")] = None,
    stop_after: Annotated[bool, typer.Option(help="Stop everything at the end instead of leaving the UI up.")] = False,
    workflows: Annotated[str, typer.Option(help="Whose nights: names with commas, or all.")] = "",
    surface: Annotated[
        str,
        typer.Option(help="Review in sheets, notion, airtable or xlsx; a person decides, a second night follows."),
    ] = "",
) -> None:
    """A whole night on this machine: local vendor, a real Airflow, two workflows or all, a morning review."""
    from overnight.rehearsal import night as rehearsal
    from overnight.workflow import workflow_names

    named = (
        tuple(workflow_names()) if workflows == "all" else tuple(name.strip() for name in workflows.split(",") if name.strip())
    )
    raise typer.Exit(
        rehearsal.run(stage, reviews=reviews, stop_after=stop_after, surface=surface, workflows=named or rehearsal.FIRST)
    )


@app.command(name="new-workflow")
def new_workflow(
    name: Annotated[str, typer.Argument(help="Small letters and underscores, e.g. gift_guides.")],
    owner: Annotated[str, typer.Option(help="Who answers for it: goes into its policy.")] = "Head of Content",
) -> None:
    """Write an eleventh workflow: a Dag file, a module, a prompt folder. It runs as it stands; then make it yours."""
    from overnight import scaffold
    from overnight.brand import project_dir

    try:
        written = scaffold.write(project_dir(), name, owner=owner)
    except scaffold.Refused as refusal:
        fail(str(refusal))
    for path in written:
        out.print(str(path.relative_to(project_dir())), soft_wrap=True)
    out.print(f"see it run: make night WORKFLOWS={name}; then docs/how-to/new-workflow.md says what to change first")


@app.command(name="import-shopify")
def import_shopify(
    export: Annotated[Path, typer.Argument(help="A product export of Shopify (CSV).")],
    queue_file: Annotated[Path, typer.Argument(help="Where to write the queue's file.")],
) -> None:
    """Turn a Shopify product export into rows for shopify_pages: a row a product, its variants' options gathered."""
    from overnight.queues import shopify_export

    try:
        count = shopify_export.convert(export, queue_file)
    except shopify_export.NotAnExport as refusal:
        fail(str(refusal))
    out.print(f"{count} products written to {queue_file}", soft_wrap=True)


@app.command()
def down() -> None:
    """Stop all that `night` started and remove what it left."""
    from overnight.rehearsal import night as rehearsal

    rehearsal.down(stage)


if __name__ == "__main__":
    app()
