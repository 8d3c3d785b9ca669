"""Looking at many batches of one vendor from one event loop: one client, one cap, one pace and one pause for all.

Two hundred clients would be two hundred TLS contexts made on the loop that every trigger shares. A vendor that says
Retry-After to one look has said it to all. Batches that are sent together are due together: their looks begin one after the
other, so that the loop answers its other triggers in between and few are on their way when a Retry-After comes.
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

APART_S = 0.02
"""Between the beginnings of two looks: a look costs the loop five to seven milliseconds, most of it in the SDK. At the default
interval of 30 s this is room for 1,500 batches a vendor; more are looked at less often."""


class Watcher:
    """One vendor, as one event loop looks at it.

    Args:
        apart_s: seconds between the beginnings of two looks.
    """

    def __init__(self, name: str, apart_s: float = APART_S) -> None:
        self.name, self.users, self.apart_s = name, 0, apart_s
        self.free = asyncio.Semaphore(vendor_class(name).facts.status_calls)
        self.resume_at = 0.0  # monotonic seconds: the vendor asked for quiet until then
        self.next_at = 0.0  # monotonic seconds: the next look begins no earlier
        self._turn = asyncio.Lock()  # whoever came first looks first
        self._vendor: Vendor | None = None
        self._making = asyncio.Lock()

    async def look(self, vendor_batch_id: str) -> Progress:
        """One look at one batch, when a place is free; `TryLater` at once while the vendor wants quiet."""
        async with self.free:
            await self._paced()
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

    async def _paced(self) -> None:
        """Return when it is this look's turn; a vendor that wants quiet is not waited for: the batch's cutoff may come first."""
        async with self._turn:
            self._none_in_quiet()
            if (pause := self.next_at - time.monotonic()) > 0:
                await asyncio.sleep(pause)
                self._none_in_quiet()  # a Retry-After may have come meanwhile
            self.next_at = time.monotonic() + self.apart_s

    def _none_in_quiet(self) -> None:
        if (pause := self.resume_at - time.monotonic()) > 0:
            raise TryLater("the vendor asked for quiet", pause)

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
