"""One agent, one lane: what answers customers by day is not lent to a night.

A prompt tuned for a night's patience, a key whose quota the night would take, an agent whose record mixes both: each is
refused at 17:00, with the reason. What is live is said in `brand.yaml` (`live:`) or by the connection itself, with
`{"overnight_lane": "live"}` in its extra.
"""

from collections.abc import Iterator

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

from overnight.batches.vendor import vendor_class
from overnight.brand import brand
from overnight.workflow import Workflow

EXTRA = "overnight_lane"


def troubles(declared: Workflow) -> Iterator[str]:
    """What this workflow would borrow from live work."""
    live = brand().live
    if declared.name in live.agents:
        yield _said(f"the agent {declared.name!r}")
    if declared.prompt_folder in live.prompts:
        yield _said(f"the prompt folder {declared.prompt_folder!r}")
    vendors = dict.fromkeys(vendor for view in declared.asked() for vendor, _ in view.models())
    for conn_id in dict.fromkeys(vendor_class(vendor).facts.conn_id for vendor in vendors):
        if conn_id in live.connections or _says_live(conn_id):
            yield _said(f"the connection {conn_id!r}")


def _says_live(conn_id: str) -> bool:
    try:
        extra = BaseHook.get_connection(conn_id).extra_dejson
    except AirflowNotFoundException:
        return False  # the ping says so
    return bool(extra.get(EXTRA) == "live")


def _said(what: str) -> str:
    return (
        f"{what[0].upper()}{what[1:]} is used for live work, and one agent has one lane: a night would take its quota and mix "
        "its record with customers' answers. Give the night its own, or take it off the live list if it is not live any more."
    )
