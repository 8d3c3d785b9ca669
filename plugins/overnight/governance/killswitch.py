"""The kill switches, as every side effect asks them. Thrown by `bin/overnight stop`, re-armed by `bin/overnight resume`."""

from overnight.ledger import switches
from overnight.ledger.connect import Ledger


class Stopped(PermissionError):
    """A kill switch is engaged. Nothing was done."""


def refuse_if_engaged(ledger: Ledger, workflow: str, what: str) -> None:
    """Raise `Stopped` when this workflow, or everything, was stopped by a person."""
    with ledger.read() as conn:
        switch = switches.engaged(conn, workflow)
    if switch is not None:
        scope = "everything" if switch["scope"] == switches.ALL else switch["scope"]
        target = "" if switch["scope"] == switches.ALL else f" {switch['scope']}"
        raise Stopped(
            f"The kill switch for {scope} is engaged by {switch['by']}: {switch['reason']}. It stopped {what}. Nothing was "
            f"bought and nothing is lost; `bin/overnight resume{target} --by NAME --reason WHY` re-arms it, then clear this task."
        )
