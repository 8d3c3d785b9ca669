"""The kill switches, as every side effect and every wait asks them. Thrown by `bin/overnight stop` or a rule, re-armed by a
named person with `bin/overnight resume`.
"""

import asyncio
import logging
import time
from collections.abc import Sequence

from overnight.ledger import switches
from overnight.ledger.connect import Ledger, open_ledger
from overnight.ledger.rows import Row

log = logging.getLogger("overnight.killswitch")
FRESH_S = 3.0
"""How old, in seconds, what a wait knows of the switches may be: two hundred waits on one loop ask the ledger once."""
READ_TIMEOUT_S = 10.0


class Stopped(PermissionError):
    """A kill switch is engaged. Nothing was done."""


def refuse_if_engaged(ledger: Ledger, workflow: str, what: str, *, vendor: str = "", prompt: str = "") -> None:
    """Raise `Stopped` when this work, or everything, was stopped."""
    switch = engaged(ledger, workflow, vendor=vendor, prompt=prompt)
    if switch is not None:
        raise Stopped(
            f"{words(switch)} It stopped {what}. Nothing was bought and nothing is lost; {_how(switch)} re-arms it, "
            "then clear this task."
        )  # fmt: skip


def engaged(ledger: Ledger, workflow: str, *, vendor: str = "", prompt: str = "") -> Row | None:
    """The switch that stops this work now, or None."""
    with ledger.read() as conn:
        return switches.engaged(conn, switches.scopes(workflow, vendor=vendor, prompt=prompt))


def words(switch: Row) -> str:
    """Which switch, by whom and why."""
    scope = "everything" if switch["scope"] == switches.ALL else switch["scope"]
    return f"The kill switch for {scope} is engaged by {switch['by']}: {switch['reason']}."


def _how(switch: Row) -> str:
    kind, _, name = str(switch["scope"]).rpartition(":")
    target = "" if switch["scope"] == switches.ALL else f" --{kind} {name}" if kind else f" {name}"
    return f"`bin/overnight resume{target} --by NAME --reason WHY`"


class Reader:
    """The switches as the waits of one event loop see them: read in a thread, at most every few seconds."""

    def __init__(self) -> None:
        self._engaged: dict[str, Row] = {}
        self._read_at = -FRESH_S
        self._reading = asyncio.Lock()

    async def engaged(self, among: Sequence[str]) -> Row | None:
        """The switch that stops this work, as of a few seconds ago; None also while the ledger cannot be read."""
        async with self._reading:
            if time.monotonic() - self._read_at >= FRESH_S:
                try:
                    async with asyncio.timeout(READ_TIMEOUT_S):
                        self._engaged = await asyncio.to_thread(_read)
                except Exception as error:
                    log.warning("the kill switches could not be read: %s", type(error).__name__)
                self._read_at = time.monotonic()
        return next((self._engaged[scope] for scope in among if scope in self._engaged), None)


def _read() -> dict[str, Row]:
    with open_ledger().read() as conn:
        return {row["scope"]: row for row in switches.all_engaged(conn)}


_readers: dict[int, Reader] = {}


def reader() -> Reader:
    """The reader of the running loop."""
    loop = id(asyncio.get_running_loop())
    if loop not in _readers:
        _readers.clear()  # another loop is another life of the triggerer
        _readers[loop] = Reader()
    return _readers[loop]
