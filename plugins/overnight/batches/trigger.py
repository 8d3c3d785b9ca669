"""The wait: looks at one batch from the triggerer, holding no worker slot, until it ends, its time is up or a person stops it.

It reads the vendor and the kill switches and nothing else: no item, no decision about money. Its arguments carry a version,
because plugins are not versioned with a run, and never a key: the connection is looked up (async) when it starts.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Coroutine, Sequence
from datetime import datetime
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from overnight.batches import polling
from overnight.batches.errors import VendorError
from overnight.batches.polling import Decision, Next, Seen
from overnight.batches.waits import waits
from overnight.batches.watch import Watcher, watching
from overnight.clock import utcnow
from overnight.governance import killswitch

VERSION = 3


class BatchTrigger(BaseTrigger):
    """Fires once: `land` (it ended), `cut` (its time is up), `stuck` (no progress), `fail` (it cannot be asked) or `stop`.

    Args:
        stuck_after_s: seconds without progress that make a batch stuck; None where that was said before.
        scopes: the kill switches that stop it.
        said: whether people were told that the batch cannot be asked: then it is tried again in silence.
    """

    def __init__(
        self, *, vendor: str, vendor_batch_id: str, until: str, interval_s: float,
        first_look_s: float = 10.0, stuck_after_s: float | None = None, since: str | None = None,
        said: bool = False, scopes: Sequence[str] = (), version: int = VERSION,
    ) -> None:  # fmt: skip
        super().__init__()
        self.vendor, self.vendor_batch_id, self.until = vendor, vendor_batch_id, until
        self.interval_s, self.first_look_s, self.version = interval_s, first_look_s, version
        self.stuck_after_s, self.since, self.said, self.scopes = stuck_after_s, since, said, list(scopes)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Path and arguments, as Airflow stores them in its database in clear text."""
        names = (
            "vendor", "vendor_batch_id", "until", "interval_s", "first_look_s", "stuck_after_s", "since", "said", "scopes",
            "version",
        )  # fmt: skip
        return f"{__name__}.{type(self).__name__}", {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look until there is something to say."""
        if self.version not in range(1, VERSION + 1):
            yield self._event(Next.FAIL, f"trigger version {self.version} was stored, this package runs {VERSION}")
            return
        async with watching(self.vendor) as watcher:
            decision = await self._until_stopped(self._watch(watcher))
        yield self._event(decision.next, decision.reason)

    async def _until_stopped(self, watching: Coroutine[Any, Any, Decision]) -> Decision:
        """The looks and the kill switches side by side: a long pause between two looks keeps no switch waiting."""
        looks = asyncio.ensure_future(watching)
        try:
            while self.scopes:
                done, _ = await asyncio.wait({looks}, timeout=waits().switch)
                if done:
                    break
                if (switch := await killswitch.reader().engaged(self.scopes)) is not None:
                    return Decision(Next.STOP, reason=killswitch.words(switch))
            return await looks
        finally:
            looks.cancel()

    async def _watch(self, watcher: Watcher) -> Decision:
        dice, misses = random.Random(self.vendor_batch_id), 0  # noqa: S311 - jitter
        seen = Seen(datetime.fromisoformat(self.since) if self.since else utcnow(), self.stuck_after_s)
        common: dict[str, Any] = {
            "until": datetime.fromisoformat(self.until), "interval_s": self.interval_s, "dice": dice
        }  # fmt: skip
        await asyncio.sleep(polling.jittered(self.first_look_s, dice, early=0.0))
        while True:
            try:
                progress = await watcher.look(self.vendor_batch_id)
                misses = 0
                decision = polling.after_look(progress, now=utcnow(), seen=seen, **common)
            except VendorError as error:
                misses += 1
                decision = polling.after_error(error, misses, now=utcnow(), said=self.said, **common)
                self.log.warning("look %d at %s failed: %s", misses, self.vendor_batch_id, error)
            if decision.next is not Next.WAIT:
                return decision
            await asyncio.sleep(decision.after_s)

    def _event(self, following: Next, reason: str) -> TriggerEvent:
        said = {"version": VERSION, "vendor_batch_id": self.vendor_batch_id, "next": following.value, "reason": reason[:500]}
        return TriggerEvent(said)
