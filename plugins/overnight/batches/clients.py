"""A vendor with its client, from an Airflow connection: the key as password, the address as host.

The official providers' hooks build the client wherever they take a host; their look-up is async, so this is safe in a
trigger. Nothing of the connection is logged or kept.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any

from overnight.batches.vendor import Vendor, vendor_class


@asynccontextmanager
async def open_vendor(name: str) -> AsyncIterator[Vendor]:
    """The vendor called `name`, connected; its client is closed on leaving."""
    vendor = await connected(name)
    try:
        yield vendor
    finally:
        await vendor.close()


async def connected(name: str) -> Vendor:
    """The same, to be closed by the caller."""
    cls = vendor_class(name)
    return cls(await _client(cls))


async def _client(cls: type[Vendor]) -> Any:
    facts = cls.facts
    if facts.client_from is not None:
        module, _, path = facts.client_from.partition(":")
        hook, _, method = path.partition(".")
        return await getattr(getattr(import_module(module), hook)(conn_id=facts.conn_id), method)()
    from airflow.sdk import BaseHook

    conn = await BaseHook.aget_connection(facts.conn_id)
    return cls.make_client(password=conn.password, host=conn.host, extra=conn.extra_dejson)
