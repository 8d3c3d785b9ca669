"""What every command shares: where it prints, the ledger it opens, how it says no.

Every command imports what it needs when it is run: `--help` and the local vendor should not wait for the ledger to be loaded.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NoReturn

import typer
from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from overnight.ledger.connect import Ledger

_width = None if sys.stdout.isatty() else 160
out = Console(highlight=False, markup=False, width=_width)
"""What is printed is data, too: a vendor's "[/caption]" in an alert is text, and no markup."""
stage = Console(highlight=False, width=_width)
"""For the rehearsal, which prints its own words."""


def marked(word: str, rest: str, style: str = "red") -> None:
    """A line whose first word is coloured."""
    out.print(Text.assemble((word, style), rest), soft_wrap=True)


def ledger() -> Ledger:
    """The ledger, at this package's version; one that is not there is not made: a kill switch in it would stop nothing."""
    from overnight.ledger import migrate
    from overnight.ledger.connect import NoAnswer
    from overnight.ledger.errors import LedgerError

    opened = open_unchecked()
    if not opened.made:
        fail(
            f"There is no ledger at {opened.url.database}. Set AIRFLOW_HOME to the one of your deployment (for a rehearsal: "
            "`make night`, or OVERNIGHT_HOME where it is elsewhere). A new deployment's ledger is made by `bin/overnight "
            "migrate`, or by its first night. Nothing was read or written."
        )
    try:
        migrate.ensure_current(opened)
    except LedgerError as wrong:
        fail(str(wrong))
    except NoAnswer as down:
        where = opened.url.render_as_string(hide_password=True)
        fail(f"The ledger at {where} does not answer ({type(down).__name__}). Nothing was read or written.")
    return opened


def open_unchecked() -> Ledger:
    """The ledger at whatever version it is."""
    from overnight.ledger.connect import open_ledger
    from overnight.rehearsal import home

    home.adopt()
    return open_ledger()


def fail(message: str) -> NoReturn:
    """Say what is wrong and end with 2."""
    marked(message, "")
    raise typer.Exit(2)
