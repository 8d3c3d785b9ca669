"""Looking at many batches of one vendor from one event loop: one client, a cap on calls in flight, one pause for all.

Two hundred clients would be two hundred TLS contexts made on the loop that every trigger shares. A vendor that says
Retry-After to one look has said it to all.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module

from overnight.batches import clients
from overnight.batches.errors import AuthFailed, MaybeAccepted, TryLater
from overnight.batches.vendor import Progress, Vendor, call_timeout_s, vendor_class

LOOK_TIMEOUT_S = 15.0
"""For one look, whatever the SDK's own timeout: a hung call gives its place back."""


class Watcher:
    """One vendor, as one event loop looks at it."""

    def __init__(self, name: str) -> None:
        self.name, self.users = name, 0
        self.free = asyncio.Semaphore(vendor_class(name).facts.status_calls)
        self.resume_at = 0.0  # monotonic seconds: the vendor asked for quiet until then
        self._vendor: Vendor | None = None
        self._making = asyncio.Lock()

    async def look(self, vendor_batch_id: str) -> Progress:
        """One look at one batch, when a place is free; `TryLater` at once while the vendor wants quiet."""
        async with self.free:
            # Inside: a look that waited for its place may have been overtaken by a Retry-After. It does not sleep here: its
            # own cutoff may come first.
            if (pause := self.resume_at - time.monotonic()) > 0:
                raise TryLater("the vendor asked for quiet", pause)
            try:
                async with asyncio.timeout(min(LOOK_TIMEOUT_S, call_timeout_s())):
                    return await (await self._connected()).poll(vendor_batch_id)
            except TimeoutError as late:
                raise MaybeAccepted("no answer in time") from late
            except TryLater as busy:
                if busy.retry_after_s:
                    self.resume_at = max(self.resume_at, time.monotonic() + busy.retry_after_s)
                raise
            except AuthFailed:
                await self.close()  # the next look reads the connection anew: somebody may have mended the key
                raise

    async def _connected(self) -> Vendor:
        async with self._making:
            if self._vendor is None:
                if sdk := vendor_class(self.name).facts.sdk:
                    await asyncio.to_thread(import_module, sdk)  # seconds, which the loop's other triggers do not have
                self._vendor = await clients.connected(self.name)
            return self._vendor

    async def close(self) -> None:
        """Give the client's connections back."""
        vendor, self._vendor = self._vendor, None
        if vendor is not None:
            await vendor.close()


_watchers: dict[tuple[int, str], Watcher] = {}


@asynccontextmanager
async def watching(name: str) -> AsyncIterator[Watcher]:
    """The watcher of a vendor on the running loop; it goes when its last user has gone."""
    key = (id(asyncio.get_running_loop()), name)
    watcher = _watchers.setdefault(key, Watcher(name))
    watcher.users += 1
    try:
        yield watcher
    finally:
        watcher.users -= 1
        if not watcher.users:
            _watchers.pop(key, None)
            await watcher.close()
