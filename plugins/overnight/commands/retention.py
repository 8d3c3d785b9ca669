"""`bin/overnight retention`: what is due to be removed, and removing it now; and archived days of the log, checked."""

from pathlib import Path
from typing import Annotated

import typer

from overnight.clock import utcnow
from overnight.commands.terminal import fail, ledger, marked, out

Now = Annotated[bool, typer.Option("--now", help="Remove it. Without, only say what would be removed.")]
ByName = Annotated[str, typer.Option(help="Your name, with --now.")]
Archives = Annotated[list[Path], typer.Argument(help="Archived days of the audit log (*.jsonl.gz).", exists=True)]


def retention(now: Now = False, by: ByName = "") -> None:
    """What is older than it is kept: raw answers (each policy), texts and days of the audit log (`retention` in brand.yaml)."""
    from overnight.brand import brand
    from overnight.governance import retention as removing
    from overnight.ledger.audit import Actor
    from overnight.ledger.errors import LedgerError

    wanted = brand().retention
    if now and not by:
        fail("Who removes it? Add --by NAME. Nothing was removed.")
    try:
        found = removing.apply(ledger(), wanted, actor=Actor("human", by), now=utcnow()) if now else removing.due(
            ledger(), wanted, now=utcnow()
        )  # fmt: skip
    except LedgerError as trouble:
        fail(f"{trouble} What else is due was removed.")
    said = "removed" if now else "due to be removed"
    out.print(
        f"{said}: {found.raw_files} raw files, the texts of {found.items} items, {found.audit_rows} audit rows of "
        f"{found.audit_days} days{f' (archived in {removing.folder()})' if now and found.audit_days else ''}", soft_wrap=True,
    )  # fmt: skip
    if wanted.texts_days is wanted.audit_days is None:
        out.print("Texts and the audit log are kept for ever: `retention` in include/brand.yaml names no days.")


def check_archive(paths: Archives) -> None:
    """Whether archived days of the audit log hold, row by row, and end as the ledger says; exits with 1 where one does not."""
    from overnight.governance import retention as removing
    from overnight.ledger import retention as kept

    with ledger().read() as conn:
        known = kept.purges(conn)
    broken = False
    for path in paths:
        problems, rows, last = removing.check(path)
        purge = known.get(path.name)
        if purge is not None and (purge["rows"], purge["hash"]) != (rows, last):
            problems.append(f"ends at row #{rows} {last[:12]}, the ledger says #{purge['rows']} {purge['hash'][:12]}")
        for problem in problems:
            marked("✗", f" {path.name}: {problem}")
        if not problems:
            known_words = "as the ledger says" if purge is not None else "this ledger knows nothing of it"
            out.print(f"✓ {path.name}: {rows} rows, ends with {last[:12]}; {known_words}", soft_wrap=True)
        broken = broken or bool(problems)
    if broken:
        raise typer.Exit(1)
