"""Nights on a cluster, while its parts die one after the other and the vendor misbehaves, by seed.

`make test-distributed` runs the day's seed with three workflows (items, a chain of two batches, a digest with steps in code); `make
chaos` runs more seeds with all ten and keeps the table in benchmarks/results.json.
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
KINDS = ("worker", "triggerer", "scheduler", "database", "redis", "disk")
PROFILES = ("none", "lost_response", "server_errors", "bad_answers", "slow")
"""How the vendor fails beside it; what every one of them does by itself, and more of them, is in the fault matrix."""
MOVES_A_BATCH = 4
"""From its plan to its landing: the accidents happen at some of these moves."""
BATCHES = {"blog_drafts": 2, "review_sentiment": 1, "inventory_signals": 1}
"""Batches of the samples' nights without faults; with all ten workflows there are twenty-two."""
ALL = bool(os.environ.get("OVERNIGHT_CHAOS_SEEDS"))
WORKFLOWS = workflow_names() if ALL else list(BATCHES)
MOVES = MOVES_A_BATCH * (22 if ALL else sum(BATCHES.values()))
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
        runs = rehearsal.trigger(cluster.api, WORKFLOWS)
        hits = accidents(cluster, runs, dice)
        cleared = cluster.finish(runs, 600)
        found = judge(cluster.ledger, cluster.vendor_state)
        states = cluster.states(runs)
    row = {
        "seed": seed, "vendor": profile, "kills": dict(Counter(kind for kind, _ in hits)), "hit": dict(hits),
        "runs_cleared_by_hand": cleared, "components_started_again": len(cluster.started_again),
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
    assert sorted(kind for kind, _ in hits) == sorted(kinds_of(cluster))


def accidents(cluster: Cluster, runs: dict[str, str], dice: random.Random) -> list[tuple[str, str]]:
    """Every kind once, each when the ledger has written down so many moves of batches: planned, submitting, submitted, ended."""
    kinds = kinds_of(cluster)
    order = dice.sample(kinds, len(kinds))
    moments = sorted(dice.sample(range(1, MOVES), len(kinds)))
    hits = []

    def over() -> bool:
        cluster.supervise()
        return all(state in DONE for state in cluster.states(runs).values())

    for kind, moment in zip(order, moments, strict=True):

        def due(moment: int = moment) -> bool:
            return over() or moved(cluster) >= moment

        wait_for(due, 300, f"batches never moved {moment} times", 0.2)
        hits.append((kind, cluster.harm(kind, dice.randrange(2), over)))
    return hits


def kinds_of(cluster: Cluster) -> list[str]:
    """All, but for a full disk where there is no right to mount a small one (a right, not a part that could be installed)."""
    return [kind for kind in KINDS if kind != "disk" or cluster.disk is not None]


def moved(cluster: Cluster) -> int:
    with cluster.ledger.read() as conn:
        return int(conn.exec_driver_sql("SELECT count(*) FROM audit_events WHERE object_type = 'batch'").scalar_one())


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
