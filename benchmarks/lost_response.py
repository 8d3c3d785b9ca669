"""How many batches a vendor holds, and bills, after the answer to a create was lost on its way: once, or every time.

The loopback proxy lets the create through to the local vendor and closes the connection without an answer. One is right: the
batch was accepted. Each more is the same work bought again. All count in the vendor's own books.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import ours, peers, servers

LOSSES = {"one_answer_lost": 1, "every_answer_lost": -1}
PROMPTS = ["hello"] * 5


def measure() -> dict[str, Any]:
    """Batches at the vendor for one that was wanted."""
    with tempfile.TemporaryDirectory() as name, servers.vendor(Path(name)) as vendor, servers.stub("proxy", vendor.url) as proxy:
        peers.connect(proxy.url)
        folder = Path(name)

        def held(at: str, work: Callable[[str], Any]) -> dict[str, Any]:
            return {loss: _held(vendor, proxy, at, loss, work) for loss in LOSSES}

        mine = {at: held(at, lambda _, at=at: _our_night(folder, at)) for at in ours.MODELS}  # type: ignore[misc]
        theirs = {
            **{f"LLMBatchOperator {at}": held(at, lambda loss, at=at: _llm_batch(folder, at, loss)) for at in peers.MODELS},  # type: ignore[misc]
            **{f"vendor's operator {at}": held(at, _vendor_operator(folder, at)) for at in ours.MODELS},
            "pydantic-ai anthropic": held("anthropic", lambda _: peers.pydantic_ai("anthropic", PROMPTS)),
        }
    met = all(found["held"] == 1 and found["ended"] == "well" for losses in mine.values() for found in losses.values())
    unit = "batches the vendor holds for one wanted; where the work failed in the end, also after trying it once more"
    return {"ours": mine, "peers": theirs, "unit": unit, "goal": "1 each time, answers landed", "met": met}


def _held(vendor: servers.Vendor, proxy: servers.Stub, at: str, loss: str, work: Callable[[str], Any]) -> dict[str, Any]:
    before = len(vendor.batches(at))
    proxy.control(lose=LOSSES[loss])
    ended = _ended(work, loss)
    proxy.control(lose=0)
    found: dict[str, Any] = {"held": len(vendor.batches(at)) - before, "ended": ended}
    if ended != "well":
        _ended(work, loss)
        found["held_after_one_more_try"] = len(vendor.batches(at)) - before
    return found


def _ended(work: Callable[[str], Any], loss: str) -> str:
    try:
        answers = work(loss)
    except Exception as failure:  # what counts is what it has bought by then
        return type(failure).__name__
    failures = [answer for answer in answers if isinstance(answer, Exception)] if isinstance(answers, list) else []
    return type(failures[0]).__name__ if failures else "well"


def _our_night(folder: Path, at: str) -> None:
    with tempfile.TemporaryDirectory(dir=folder) as name:
        place = ours.Place(Path(name))
        place.fill(f"Soft fabric number {n}." for n in range(5))
        night = place.planned(ours.asked(at))
        for batch_id in night.planned:
            assert night.batch(batch_id) == {"valid": 5}


def _llm_batch(folder: Path, at: str, loss: str) -> None:
    """One task instance for each loss: a further try of the same finds what the first left behind."""
    task_id = f"{at}_{loss}"
    peers.drive(peers.llm_batch(at, PROMPTS, folder / task_id, task_id=task_id), peers.context(task_id))


def _vendor_operator(folder: Path, at: str) -> Callable[[str], Any]:
    file_id = peers.openai_file(folder) if at == "openai" else ""
    return lambda _: peers.vendor_operator(at, file_id).execute(peers.context())
