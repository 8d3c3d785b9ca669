"""How much memory a submission takes: 45,000 requests of listing size (about 3 KB each), in a fresh process.

Ours: the night is planned by another process, and the body is streamed from the ledger to a vendor that swallows it. Each of
our requests carries its prompt and its schema as well, so that the vendors' limits cut the night into several batches: they are
sent one after the other, as tasks would. The peers get their prompts as a list, as they ask for it; the list itself is made
before the measuring begins and is not counted.
"""

import contextlib
import json
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import ours, peers, servers
from benchmarks.memory import Memory

COUNT = 45_000
BODY = "A listing of a house by the sea with a garden and many rooms. " * 47
MOST_MB = 60.0
PEERS = ("llm_batch_openai", "llm_batch_anthropic", "anthropic_provider")


def measure(count: int = COUNT) -> dict[str, Any]:
    """The peak of memory above what the process held before it submitted."""
    mine: dict[str, Any] = {}
    for at in ours.MODELS:
        with tempfile.TemporaryDirectory() as folder:
            _run("prepare", at, folder, count)
            mine[at] = _submitted("ours", at, folder, count)
    with tempfile.TemporaryDirectory() as folder:
        theirs = {peer: _submitted("peer", peer, folder, count) for peer in PEERS}
    met = all(found["peak_rss_grown_mb"] <= MOST_MB for found in mine.values())
    return {"ours": mine, "peers": theirs, "requests": count, "goal": f"at most +{MOST_MB:.0f} MB", "met": met}


def _submitted(side: str, who: str, folder: str, count: int) -> dict[str, Any]:
    with servers.stub("swallow") as stub:
        found: dict[str, Any] = json.loads(_run(side, who, folder, count, stub.url).splitlines()[-1])
        counted = stub.counted()
    return {**found, "sent_mb": round(counted["bytes"] / 1e6), "batches": counted["creates"]}


def _run(*arguments: object) -> str:
    command = [sys.executable, "-m", "benchmarks.submit", *map(str, arguments)]
    done = subprocess.run(command, env=servers.environment(), capture_output=True, text=True, check=False, timeout=400)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def _change(at: str, count: int) -> dict[str, Any]:
    return ours.asked(at, pack=1, reuse=False, shard_requests=count, cap=count)


def prepare(at: str, folder: str, count: int) -> None:
    """A planned night."""
    place = ours.Place(Path(folder))
    place.fill(f"{n} {BODY}" for n in range(count))
    place.opened(_change(at, count), count)


def ours_submits(at: str, folder: str, count: int, url: str) -> None:
    """Every batch of the planned night."""
    import asyncio

    from overnight.batches import clients

    peers.connect(url)
    place = ours.Place(Path(folder))
    night = place.night(_change(at, count))
    with place.ledger.read() as conn:
        ids = [row[0] for row in conn.exec_driver_sql("SELECT id FROM batches ORDER BY id")]

    async def imported() -> None:
        async with clients.open_vendor(at):
            import openai.resources  # noqa: F401 - as on the other side

    asyncio.run(imported())
    jobs = [night.job(batch_id) for batch_id in ids]
    memory, began = Memory(), time.monotonic()
    for job in jobs:
        assert job.submit(now=lambda: datetime.now(UTC)) is None
    print(json.dumps({"peak_rss_grown_mb": memory.grown_mb(), "seconds": round(time.monotonic() - began, 1)}))


def peer_submits(who: str, folder: str, count: int, url: str) -> None:
    """The same number of prompts in one batch."""
    import airflow.providers.anthropic.operators.batch
    import airflow.providers.common.ai.batch.anthropic
    import airflow.providers.common.ai.batch.openai
    import anthropic  # noqa: F401 - what a worker has loaded before it submits
    import openai.resources  # noqa: F401 - the SDK imports it at its first call, forty megabytes
    from airflow.sdk.exceptions import TaskDeferred

    peers.connect(url)
    if who == "anthropic_provider":
        operator = airflow.providers.anthropic.operators.batch.AnthropicBatchOperator(
            task_id="a", wait_for_completion=False,
            requests=[peers.anthropic_request(f"a-{n}", f"{n} {BODY}") for n in range(count)],
        )  # fmt: skip
    else:
        prompts = [f"{n} {BODY}" for n in range(count)]
        operator = peers.llm_batch(who.removeprefix("llm_batch_"), prompts, Path(folder) / who)
    memory, began = Memory(), time.monotonic()
    with contextlib.suppress(TaskDeferred):
        operator.execute(peers.context())
    print(json.dumps({"peak_rss_grown_mb": memory.grown_mb(), "seconds": round(time.monotonic() - began, 1)}))


if __name__ == "__main__":
    do, who, place, number, *rest = sys.argv[1:]
    {"prepare": prepare, "ours": ours_submits, "peer": peer_submits}[do](who, place, int(number), *rest)
