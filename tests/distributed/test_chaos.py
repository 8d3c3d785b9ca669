"""All ten workflows' nights on a cluster, while its parts die one after the other and the vendor misbehaves, by seed.

`make test-distributed` runs the seeds of a day; `make chaos` runs more of them and keeps the table in benchmarks/results.json.
"""

import json
import os
import random
import shutil
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from overnight.rehearsal import night as rehearsal
from overnight.rehearsal.airflow_api import wait_for
from overnight.workflow import workflow_names
from tests.conftest import missing
from tests.support.cluster import DONE, Cluster, running
from tests.support.judge import judge

pytestmark = pytest.mark.distributed
KINDS = ("worker", "triggerer", "scheduler", "database", "redis")
PROFILES = ("none", "lost_response", "server_errors", "bad_answers", "slow")
"""How the vendor fails beside it; what every one of them does by itself, and more of them, is in the fault matrix."""
BATCHES = 22
"""Batches of the ten samples' nights without faults: the accidents happen somewhere among their creations."""
SEEDS = [int(seed) for seed in os.environ.get("OVERNIGHT_CHAOS_SEEDS", "").split()]
TODAYS = [datetime.now(UTC).date().toordinal()]


@pytest.mark.parametrize("seed", SEEDS or TODAYS)
def test_a_cluster_whose_parts_die_loses_nothing_and_pays_nothing_twice(
    seed: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Each kind of accident once, at moments and in an order of the seed: every night closes, and both books agree."""
    if shutil.which("redis-server") is None:
        missing(request, "redis-server")
    dice = random.Random(seed)
    profile = dice.choice(PROFILES)
    with running(tmp_path, profile=profile, seed=seed) as cluster:
        runs = rehearsal.trigger(cluster.api, workflow_names())
        hits = accidents(cluster, runs, dice)
        cleared = cluster.finish(runs, 420)
        found = judge(cluster.ledger, cluster.vendor_state)
        states = cluster.states(runs)
    row = {
        "seed": seed, "vendor": profile, "kills": dict(Counter(kind for kind, _ in hits)), "runs_cleared_by_hand": cleared,
        **{name: found[name] for name in ("items", "batches", "lost", "paid_twice", "wrong_successes")},
    }  # fmt: skip
    print(json.dumps(row))  # noqa: T201
    keep(row)
    assert set(states.values()) == {"success"}, states
    assert set(found["night_states"]) == {"closed"}
    assert len(found["night_states"]) == len(runs), "one night a workflow, however often its tasks began anew"
    for outcome in found["nights"]:
        assert outcome["inside"] == 0
        assert outcome["locked"] == outcome["staged"] + outcome["failed"] + outcome["carried_over"]
    assert found["problems"] == []
    assert found["lost"] == found["paid_twice"] == found["wrong_successes"] == 0
    assert sorted(kind for kind, _ in hits) == sorted(KINDS)


def accidents(cluster: Cluster, runs: dict[str, str], dice: random.Random) -> list[tuple[str, str]]:
    """Every kind once: when the ledger knows so many batches, or the nights have stood still so long that they would not come."""
    order = dice.sample(KINDS, len(KINDS))
    moments = sorted(dice.sample(range(1, BATCHES - 4), len(KINDS)))
    hits = []
    for kind, moment in zip(order, moments, strict=True):
        wait_for(
            lambda: planned(cluster) >= moment or all(state in DONE for state in cluster.states(runs).values()),  # noqa: B023
            240, f"the {moment}th batch was never planned", 0.2,
        )  # fmt: skip
        hits.append((kind, cluster.harm(kind, dice.randrange(2))))
    return hits


def planned(cluster: Cluster) -> int:
    with cluster.ledger.read() as conn:
        return int(conn.exec_driver_sql("SELECT count(*) FROM batches").scalar_one())


def keep(row: dict[str, Any]) -> None:
    """`make chaos` keeps the table beside the benchmarks' (OVERNIGHT_CHAOS_RESULTS names the file)."""
    if not (path := os.environ.get("OVERNIGHT_CHAOS_RESULTS")):
        return
    known = json.loads(Path(path).read_text())
    earlier = [old for old in known.get("chaos", {}).get("nights", []) if old["seed"] != row["seed"]]
    nights = sorted([*earlier, row], key=lambda one: one["seed"])
    kills = sum((Counter(one["kills"]) for one in nights), Counter())
    totals = {name: sum(one[name] for one in nights) for name in ("items", "batches", "lost", "paid_twice", "wrong_successes")}
    said = {"nights": nights, "kills": dict(kills), **totals, "measured_at": datetime.now(UTC).isoformat(timespec="seconds")}
    Path(path).write_text(json.dumps({**known, "chaos": said}, indent=2) + "\n")
