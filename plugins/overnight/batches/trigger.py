"""The wait: looks at one batch from the triggerer, holding no worker slot, until it ends or its time is up.

It reads the vendor and nothing else: no ledger, no item, no decision about money. Its arguments carry a version, because
plugins are not versioned with a run, and never a key: the connection is looked up (async) when it starts.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from overnight.batches import clients, polling
from overnight.batches.errors import VendorError
from overnight.batches.polling import Decision, Next
from overnight.batches.vendor import Vendor
from overnight.clock import utcnow

VERSION = 1
FIRST_LOOK_S = 10.0
"""No vendor answers sooner (Anthropic asks for ten seconds between looks), and Airflow fails a task for retry when its
trigger fires before the scheduler has read that it deferred (seen on 3.3.2: five seconds late on two busy cores)."""


class BatchTrigger(BaseTrigger):
    """Fires once: `land` (the batch ended), `cut` (its time is up) or `fail` (it cannot be asked any more)."""

    def __init__(
        self,
        *,
        vendor: str,
        vendor_batch_id: str,
        until: str,
        interval_s: float,
        first_look_s: float = FIRST_LOOK_S,
        version: int = VERSION,
    ) -> None:
        super().__init__()
        self.vendor, self.vendor_batch_id, self.until = vendor, vendor_batch_id, until
        self.interval_s, self.first_look_s, self.version = interval_s, first_look_s, version

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Path and arguments, as Airflow stores them in its database in clear text."""
        names = ("vendor", "vendor_batch_id", "until", "interval_s", "first_look_s", "version")
        return f"{__name__}.{type(self).__name__}", {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look until there is something to say."""
        if self.version != VERSION:
            yield self._event(Next.FAIL, f"trigger version {self.version} was stored, this package runs {VERSION}")
            return
        async with clients.open_vendor(self.vendor) as vendor:
            decision = await self._watch(vendor)
        yield self._event(decision.next, decision.reason)

    async def _watch(self, vendor: Vendor) -> Decision:
        dice, misses = random.Random(self.vendor_batch_id), 0  # noqa: S311 - jitter
        common: dict[str, Any] = {
            "until": datetime.fromisoformat(self.until),
            "interval_s": self.interval_s,
            "dice": dice,
        }
        await asyncio.sleep(self.first_look_s)
        while True:
            try:
                progress = await vendor.poll(self.vendor_batch_id)
                misses = 0
                decision = polling.after_look(progress, now=utcnow(), **common)
            except VendorError as error:
                misses += 1
                decision = polling.after_error(error, misses, now=utcnow(), **common)
                self.log.warning("look %d at %s failed: %s", misses, self.vendor_batch_id, error)
            if decision.next is not Next.WAIT:
                return decision
            await asyncio.sleep(decision.after_s)

    def _event(self, following: Next, reason: str) -> TriggerEvent:
        return TriggerEvent({"version": VERSION, "next": following.value, "reason": reason[:500]})
