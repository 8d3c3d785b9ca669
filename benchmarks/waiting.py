"""Waiting for batches in one event loop, as the triggerer does it for all triggers of a deployment.

Three parts, each trigger in a fresh process against a status stub in another, after one look that pays for the imports.
hung: 6 looks that are never answered beside 20 healthy batches at a 1 s interval for 10 s; of 200 looks that are due, how
many began. many: 200 batches at a 5 s interval for 20 s; how many looks began within a second of being due, how late the
loop's own heartbeat of 20 ms comes, how many looks were under way at once. busy: the same with every 20th look answered by
429 and Retry-After: 2; how many looks reached the vendor in a time for which it had asked for quiet.

Most of the peers' triggers ask through asyncio's own pool of threads, which has four more than the machine has cores and 32 at
most: how many hung looks fill it depends on the machine, so its size stands beside the numbers. Triggers whose client blocks
the loop are not warmed up: their first look pays for the imports.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import httpx

from benchmarks import peers, servers

BEAT_S = 0.02
JITTER = 1.2  # ours waits up to this factor longer than its interval, on purpose; every side is given it


@dataclass(frozen=True)
class Part:
    """One measurement: who is waited for, how often, how long, and how the stub answers."""

    batches: int
    every_s: float
    seconds: float
    delay_s: float = 0.05
    hung: int = 0
    busy_every: int = 0
    at_once: int = 1  # peers measured side by side: only where their loops have next to nothing to do; ours never have


PARTS = {
    "hung": Part(20, 1.0, 10.0, delay_s=0.0, hung=6, at_once=2),
    "many": Part(200, 5.0, 20.0),
    "busy": Part(200, 5.0, 12.0, busy_every=20),
}
OURS = {"hung": ("openai", "anthropic"), "many": ("openai", "anthropic"), "busy": ("openai", "anthropic")}
PEERS = {
    "hung": ("llm_batch_openai", "llm_batch_anthropic", "openai_provider", "anthropic_provider", "gemini_provider"),
    "many": ("llm_batch_openai", "anthropic_provider"),
    "busy": ("llm_batch_openai",),
}
GOAL = {
    "hung": "at least 190 of 200 due looks begin",
    "many": "98 % of due looks begin within 1 s; heartbeat p99 late by less than 25 ms; no more looks at once than the cap",
    "busy": "no look in a quiet time",
}


def measure() -> dict[str, Any]:
    """All parts, our trigger first."""
    found = {name: _part(name) for name in PARTS}
    return {
        "ours": {name: part["ours"] for name, part in found.items()},
        "peers": {name: part["peers"] for name, part in found.items()},
        "goal": "; ".join(GOAL.values()), "goals": GOAL, "met": all(part["met"] for part in found.values()),
        "pool_threads_here": min(32, (os.cpu_count() or 1) + 4),
        "parts_met": {name: part["met"] for name, part in found.items()},
    }  # fmt: skip


def _part(name: str) -> dict[str, Any]:
    everyone = [*(f"ours_{at}" for at in OURS[name]), *PEERS[name]]
    found = {who: _one(name, who) for who in everyone if _blocks(who)}
    ours, light = ([who for who in everyone if who.startswith("ours_") is mine and not _blocks(who)] for mine in (True, False))
    for side, at_once in ((ours, len(ours)), (light, PARTS[name].at_once)):
        with ThreadPoolExecutor(at_once) as slots:
            found |= dict(zip(side, slots.map(partial(_one, name), side), strict=True))
    mine = {at: found[f"ours_{at}"] for at in OURS[name]}
    theirs = {peer: found[peer] for peer in PEERS[name]}
    met = all(_met(name, at, found) for at, found in mine.items())
    return {"ours": mine, "peers": theirs, "met": met}


def _blocks(who: str) -> bool:
    """Whether its client holds the loop: it cannot be warmed up, so it has the machine to itself while it imports."""
    return who.startswith(("gemini", "openai_p"))


def _met(name: str, at: str, found: dict[str, Any]) -> bool:
    from overnight.batches.vendor import vendor_class

    if name == "hung":
        return bool(found["looks_begun"] >= 190)
    if name == "busy":
        return bool(found["looks_in_a_quiet_time"] == 0 and found["busy_answers"] > 0)
    capped = found["most_at_once"] <= vendor_class(at).facts.status_calls
    return bool(found["in_time"] >= 0.98 and found["heartbeat_late_p99_ms"] < 25 and capped)


def _one(name: str, who: str) -> dict[str, Any]:
    part = PARTS[name]
    with servers.stub("status", part.delay_s, part.busy_every) as stub:
        command = [sys.executable, "-m", "benchmarks.waiting", name, who, stub.url]
        process = subprocess.Popen(command, env=servers.environment(), stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            began = _began(process.stdout.readline())
            time.sleep(max(0.0, began + part.seconds - time.time()))
            counted = stub.counted()
            said = _said(process)
        finally:
            process.kill()
            process.wait(10)
    return _judged(name, part, counted, began, said)


def _began(line: str) -> float:
    assert line, "it ended before it began"
    return float(json.loads(line)["began"])


def _said(process: Any) -> dict[str, Any]:
    """What the loop says of itself: nothing, when something in it never gives it back."""
    try:
        out, _ = process.communicate(timeout=10)
    except subprocess.TimeoutExpired:
        return {"heartbeat": "the loop was held and did not come back"}
    said: dict[str, Any] = json.loads(out.splitlines()[-1])
    return said


def _judged(name: str, part: Part, counted: dict[str, Any], began: float, said: dict[str, Any]) -> dict[str, Any]:
    ended = began + part.seconds
    looks = [(at, batch) for at, batch in counted["looks"] if began <= at <= ended and batch.startswith("ok")]
    if name == "hung":
        return {"looks_begun": len(looks), "due": round(part.batches * part.seconds / part.every_s), **said}
    if name == "busy":
        return {
            "looks_in_a_quiet_time": counted["in_a_quiet_time"], "looks": len(looks), "busy_answers": counted["busy"], **said
        }  # fmt: skip
    in_time, due = _in_time(part, looks, began)
    return {"in_time": round(in_time / due, 4), "due": due, "most_at_once": counted["most_at_once"], **said}


def _in_time(part: Part, looks: list[tuple[float, str]], began: float) -> tuple[int, int]:
    """Of the looks that were due in the window: those that began within a second. One that never came was due, too."""
    most, ended = part.every_s * JITTER + 1.0, began + part.seconds
    in_time = due = 0
    for number in range(part.batches):
        times = [began, *sorted(at for at, batch in looks if batch == f"ok{number}")]
        gaps = [later - earlier for earlier, later in pairwise(times)]
        never = int((ended - times[-1]) / most)
        in_time += sum(gap <= most for gap in gaps)
        due += len(gaps) + never
    return in_time, due


def waiting_for(who: str, batch_id: str, every_s: float) -> Any:
    """A trigger that is about to wait for a batch."""
    if not who.startswith("ours_"):
        return peers.trigger(who, batch_id, every_s)
    from overnight.batches.trigger import BatchTrigger

    # The pause before the first look is to the interval what it is by default.
    return BatchTrigger(
        vendor=who.removeprefix("ours_"), vendor_batch_id=batch_id, until="2100-01-01T00:00:00+00:00", interval_s=every_s,
        first_look_s=every_s / 3,
    )  # fmt: skip


async def wait(part: Part, who: str, url: str) -> dict[str, Any]:
    """All triggers at once, beside a heartbeat."""
    late: list[float] = []
    if not _blocks(who):  # it would never give the loop back for the measurement
        warm = asyncio.ensure_future(peers.first(waiting_for(who, "warm", 0.3)))
        await asyncio.to_thread(_warmed, url)
        warm.cancel()
    names = [f"hung{n}" for n in range(part.hung)] + [f"ok{n}" for n in range(part.batches)]
    waiting = [waiting_for(who, name, part.every_s) for name in names]
    heart = asyncio.ensure_future(_beat(late))
    await asyncio.sleep(0.1)
    late.clear()
    print(json.dumps({"began": time.time()}), flush=True)
    used = time.process_time()
    tasks = [asyncio.ensure_future(peers.first(one)) for one in waiting]
    await asyncio.sleep(part.seconds)
    heart.cancel()
    ended = sum(task.done() for task in tasks)
    late.sort()
    return {
        "heartbeat_late_p99_ms": round(late[int(len(late) * 0.99)] * 1000, 1),
        "heartbeat_late_most_ms": round(late[-1] * 1000, 1),
        "cpu_s": round(time.process_time() - used, 2), "ended_early": ended,
    }  # fmt: skip


def _warmed(url: str) -> None:
    """Return when the stub was asked twice: the first look paid for the imports, the second shows that it ended."""
    while len(httpx.get(f"{url}/__counted", trust_env=False).json()["looks"]) < 2:
        time.sleep(0.1)


async def _beat(late: list[float]) -> None:
    while True:
        began = time.perf_counter()
        await asyncio.sleep(BEAT_S)
        late.append(time.perf_counter() - began - BEAT_S)


def main(name: str, who: str, url: str) -> None:
    """The process that waits."""
    peers.connect(url)
    waiting_for(who, "warm", 1.0)
    print(json.dumps(asyncio.run(_main(PARTS[name], who, url))), flush=True)


async def _main(part: Part, who: str, url: str) -> dict[str, Any]:
    said = await wait(part, who, url)
    print(json.dumps(said), flush=True)
    os._exit(0)  # hung calls are not waited for


if __name__ == "__main__":
    main(*sys.argv[1:])
