"""How often a batch is bought when the process dies after the vendor accepted it and before its id is written down, and the
task is then tried again once.

Ours: the fault line's own night (tests/support/faultline.py), where the process at work is killed with SIGKILL right after its
create was handled. The peer: its process ends at the very call that would store the id; then the same task instance again.
"""

import contextlib
import json
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import ours, peers, servers

PROMPTS = ["hello"] * 5


def measure() -> dict[str, Any]:
    """Batches at the vendor for one that was wanted."""
    with tempfile.TemporaryDirectory() as name:
        mine = {at: _ours_in_a_process(at, Path(name)) for at in ours.MODELS}
        with servers.vendor(Path(name)) as vendor:
            peers.connect(vendor.url)
            theirs = {f"LLMBatchOperator {at}": _peer(vendor, at, Path(name) / f"peer_{at}") for at in peers.MODELS}
    met = all(found["times_bought"] == 1 and found["good"] for found in mine.values())
    return {"ours": mine, "peers": theirs, "unit": "times one batch was bought", "goal": "1 on each vendor", "met": met}


def _ours_in_a_process(at: str, folder: Path) -> dict[str, Any]:
    """It forks, so it must begin in a process without threads."""
    done = _python("ours", at, str(folder / f"ours_{at}"))
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _python(*arguments: str) -> Any:
    command = [sys.executable, "-m", "benchmarks.crash_after_accept", *arguments]
    return subprocess.run(command, env=servers.environment(), capture_output=True, text=True, check=False, timeout=240)


def our_night(at: str, folder: Path) -> dict[str, Any]:
    """A night without faults says which call is the create; the second is killed right after that one."""
    from tests.support.faultline import Case, Deployment, judged, run_night, warm_up

    warm_up()
    counts: list[tuple[int, int]] = []
    create, good = 0, True
    for turn, kill in enumerate(("", "after")):
        place = Deployment(Case(at, kill=kill, kill_at=create), folder / str(turn))
        place.start_vendor("none")
        try:
            run_night(place, "manual__1", 40.0)
        finally:
            place.stop_vendor()
        found = judged(place)
        good = good and not (found["lost"] or found["paid_twice"] or found["wrong_successes"] or found["problems"])
        with contextlib.closing(sqlite3.connect(place.state)) as db:
            create = create or _create_call(db)
            most = "SELECT max(times) FROM (SELECT count(*) AS times FROM requests GROUP BY custom_id)"
            counts.append((db.execute("SELECT count(*) FROM batches").fetchone()[0], db.execute(most).fetchone()[0]))
    clean, killed = counts
    assert place.shared.get(3), "nothing was killed"
    return {
        "times_bought": killed[1] + killed[0] - clean[0],
        "batches": killed[0],
        "batches_without_the_crash": clean[0],
        "good": good,
    }


def _create_call(db: sqlite3.Connection) -> int:
    made = ("/messages/batches", "/v1/batches", ":batchGenerateContent")
    calls = db.execute("SELECT method, path FROM calls ORDER BY seq").fetchall()
    return next(n for n, (method, path) in enumerate(calls, start=1) if method == "POST" and path.endswith(made))


def _peer(vendor: servers.Vendor, at: str, folder: Path) -> dict[str, Any]:
    done = _python("peer", at, str(folder))
    assert done.returncode == 9, done.stderr[-3000:]
    assert len(vendor.batches(at)) == 1
    landed = peers.drive(peers.llm_batch(at, PROMPTS, folder), peers.context(try_number=2))
    return {"times_bought": len(vendor.batches(at)), "landed": landed["counts"]["succeeded"]}


def peer_dies(at: str, folder: Path) -> None:
    """The peer, up to the call that would write the batch's id down."""
    peers.die("airflow.providers.common.ai.batch.state", "write_submitted")
    peers.drive(peers.llm_batch(at, PROMPTS, folder), peers.context())


if __name__ == "__main__":
    if sys.argv[1] == "ours":
        print(json.dumps(our_night(sys.argv[2], Path(sys.argv[3]))))
    else:
        peer_dies(sys.argv[2], Path(sys.argv[3]))
