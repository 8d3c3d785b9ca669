"""The fault matrix: every kill point, and many seeds of every fault profile, on every vendor. `make faults` runs all of it.

usage: python -m tests.support.fault_matrix PROGRESS.jsonl [--seeds 20] [--minutes 60] [--part SEED COUNT] [--workers 3]
       [--results FILE.json]

Resumable: what PROGRESS.jsonl holds is not run again. With --part it runs a seeded choice of COUNT cases and no more.
"""

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from overnight.sandbox.profiles import PROFILES
from tests.support.faultline import MODELS, Case, run_case, warm_up

KILLS = ("commit", "before", "after")
POINTS = {"commit": 24, "before": 17, "after": 17}
"""One more than a night without faults has of each (a test holds this to the truth): each of them is a place to die."""


def every_case(seeds: int) -> Iterator[Case]:
    """Kill points first, then the profiles with a kill somewhere in them, seed by seed: an early end leaves the rarest."""
    for vendor in MODELS:
        yield Case(vendor)
        for kill in KILLS:
            yield from (Case(vendor, "none", 0, kill, at) for at in range(1, POINTS[kill] + 1))
    for seed in range(1, seeds + 1):
        for profile in PROFILES:
            if profile == "none":
                continue
            for vendor in MODELS:
                dice = random.Random(f"{vendor} {profile} {seed}")
                kill = dice.choice(("", *KILLS))
                yield Case(vendor, profile, seed, kill, dice.randint(1, 25) if kill else 0)


def summary(reports: list[dict[str, Any]]) -> dict[str, Any]:
    """The counts over all runs."""
    total = Counter({name: sum(report[name] for report in reports) for name in ("lost", "paid_twice", "wrong_successes")})
    bad = [report["name"] for report in reports if not report["good"]]
    clean = [report for report in reports if report["profile"] == "none" and not report["kill"] and report["good"]]
    beyond = [r["name"] for r in clean if r["commits"] >= POINTS["commit"] or r["calls"] >= POINTS["before"]]
    return {
        "runs": len(reports), "killed": sum(bool(report.get("killed")) for report in reports),
        "kill_points": sum(report["profile"] == "none" and bool(report["kill"]) for report in reports),
        "profiles": len({report["profile"] for report in reports}), "vendors": len({report["vendor"] for report in reports}),
        "seeds": len({report["seed"] for report in reports if report["profile"] != "none"}),
        "items_lost": total["lost"], "answers_paid_twice": total["paid_twice"], "wrong_successes": total["wrong_successes"],
        "ledger_problems": sum(len(report["problems"]) for report in reports),
        "nights_with_more_points_than_are_killed_at": beyond,
        "unfinished": sum("unfinished" in report for report in reports), "bad_runs": bad[:20],
        "minutes_of_nights": round(sum(report["seconds"] for report in reports) / 60, 1),
    }  # fmt: skip


def read(progress: Path) -> list[dict[str, Any]]:
    """What was run so far, the newest report of each case."""
    if not progress.exists():
        return []
    found = {report["name"]: report for report in map(json.loads, progress.read_text().splitlines())}
    return list(found.values())


def main(arguments: list[str]) -> int:
    """Run what is left; returns 0 when every run was good."""
    parser = argparse.ArgumentParser()
    parser.add_argument("progress", type=Path)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--part", type=int, nargs=2)
    parser.add_argument("--results", type=Path, help="write the counts into this file, too")
    parser.add_argument("--workers", type=int, default=3)
    wanted = parser.parse_args(arguments)
    cases = list(every_case(wanted.seeds))
    if wanted.part:
        clean = [case for case in cases if case.profile == "none" and not case.kill]
        cases = [*clean, *random.Random(wanted.part[0]).sample([case for case in cases if case not in clean], wanted.part[1])]
    done = {report["name"] for report in read(wanted.progress) if report["good"]}
    left = [case for case in cases if case.name not in done]
    wanted.progress.parent.mkdir(parents=True, exist_ok=True)
    warm_up()
    work(left, wanted.progress, time.monotonic() + wanted.minutes * 60, wanted.workers)
    reports = [report for report in read(wanted.progress) if report["name"] in {case.name for case in cases}]
    said = {**summary(reports), "cases": len(cases)}
    sys.stdout.write(json.dumps(said) + "\n")
    if wanted.results:
        known = json.loads(wanted.results.read_text()) if wanted.results.exists() else {}
        wanted.results.write_text(json.dumps({**known, "faults": said}, indent=2) + "\n")
    return (
        0
        if (wanted.part or len(reports) == len(cases))
        and not said["bad_runs"]
        and not said["nights_with_more_points_than_are_killed_at"]
        else 1
    )


def work(cases: list[Case], progress: Path, until: float, workers: int) -> None:
    """Each worker a process that takes every n-th case; a line in the progress file is written whole."""
    pids = []
    for number in range(workers):
        pid = os.fork()
        if pid == 0:
            with tempfile.TemporaryDirectory(prefix="overnight-faults-") as folder:
                for case in cases[number::workers]:
                    if time.monotonic() > until:
                        break
                    report = run_case(case, Path(folder) / case.name)
                    with progress.open("a") as file:
                        file.write(json.dumps(report, default=str) + "\n")
            os._exit(0)
        pids.append(pid)
    for pid in pids:
        os.waitpid(pid, 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
