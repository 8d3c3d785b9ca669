"""A night that is killed at any commit and then run again: nothing lost, nothing paid twice."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from overnight.brand import data_dir, include_dir
from tests.conftest import PROJECT, Sandbox, connect
from tests.support.night import paid_twice, queue_file

QUEUES = {
    "blog_drafts": "brief_id,title,primary_query,facts,author,min_words,max_words\n"
    + "".join(f"b{n},A title number {n},a query,One fact here|Another fact,Jo Writer,200,500\n" for n in range(2)),
    "competitor_scan": "competitor_id,name,urls\nnt-1,North Trail,http://north-trail.example/tents\n"
    "ak-1,Alpenkraft,http://alpenkraft.example/boots\n",
}
"""Two chains: one that goes on shard by shard, one with steps in code and a question of the night's own. review_sentiment is
what the fault matrix runs."""
BATCHES = {"blog_drafts": 2, "competitor_scan": 2}


ALL = os.environ.get("OVERNIGHT_FAULTS") == "all"
DAY = datetime.now(UTC).date().toordinal()
TODAYS = sorted(QUEUES)[DAY % len(QUEUES)]
PARTS = 4
"""One workflow a day, at every fourth of its commits, others each day; OVERNIGHT_FAULTS=all kills both at all of them."""


@pytest.mark.parametrize("workflow", sorted(QUEUES) if ALL else [TODAYS])
def test_a_night_killed_at_any_commit_is_finished_by_running_it_again(
    workflow: str, sandbox: Sandbox, queue: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before each commit is after the one before it and after every call in between: each is a place to die, each is healed."""
    connect(monkeypatch, sandbox.hosts)
    queue_file(queue, workflow, "a.csv", QUEUES[workflow])
    if workflow == "competitor_scan":
        data_dir(workflow).mkdir(parents=True)
        sample = include_dir() / "prompts" / workflow / "data" / "catalogue.csv"
        cheap = sample.read_text().replace("199.00,189.00", "250.00,240.00").replace("229.00,", "299.00,280.00")
        (data_dir(workflow) / "catalogue.csv").write_text(cheap)
    ran = subprocess.run(
        [sys.executable, "-m", "tests.support.killed_night", workflow, str(tmp_path), str(1 if ALL else 1 + DAY // 2 % PARTS),
         str(1 if ALL else PARTS)],
        cwd=PROJECT, env={**os.environ, "PYTHONPATH": f"{PROJECT / 'plugins'}:{PROJECT}"}, capture_output=True, text=True,
        timeout=1_200, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-3000:]
    report = json.loads(ran.stdout.splitlines()[-1])
    assert report["commits"] >= 8
    assert report["killed"] == len(report["nights"]) >= (report["commits"] if ALL else report["commits"] // PARTS)
    assert report["unfinished"] == []
    rows = QUEUES[workflow].count("\n") - 1 + (workflow == "competitor_scan")
    for night in report["nights"]:
        assert night["problems"] == [], f"killed at commit {night['kill_at']}"
        assert night["state"] == "closed"
        assert night["outcomes"]["locked"] == night["outcomes"]["staged"] == rows, f"killed at commit {night['kill_at']}"
    assert sandbox.creates() == BATCHES[workflow] * (len(report["nights"]) + 1), "a batch was created twice"
    assert paid_twice(sandbox) == []
    print(f"{workflow}: {report['killed']} kills, 0 items lost, 0 answers paid twice")  # noqa: T201
