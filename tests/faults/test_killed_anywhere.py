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


TODAYS = sorted(QUEUES)[datetime.now(UTC).timetuple().tm_yday % len(QUEUES)]
"""One a day; OVERNIGHT_FAULTS=all kills both."""


@pytest.mark.parametrize("workflow", sorted(QUEUES) if os.environ.get("OVERNIGHT_FAULTS") == "all" else [TODAYS])
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
        [sys.executable, "-m", "tests.support.killed_night", workflow, str(tmp_path)],
        cwd=PROJECT, env={**os.environ, "PYTHONPATH": f"{PROJECT / 'plugins'}:{PROJECT}"}, capture_output=True, text=True,
        timeout=400, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-3000:]
    report = json.loads(ran.stdout.splitlines()[-1])
    assert report["commits"] >= 8
    assert report["killed"] == report["commits"]
    assert report["unfinished"] == []
    rows = QUEUES[workflow].count("\n") - 1 + (workflow == "competitor_scan")
    for night in report["nights"]:
        assert night["problems"] == [], f"killed at commit {night['kill_at']}"
        assert night["state"] == "closed"
        assert night["outcomes"]["locked"] == night["outcomes"]["staged"] == rows, f"killed at commit {night['kill_at']}"
    assert sandbox.creates() == BATCHES[workflow] * (report["commits"] + 1), "a batch was created twice"
    assert paid_twice(sandbox) == []
    print(f"{workflow}: {report['killed']} kills, 0 items lost, 0 answers paid twice")  # noqa: T201
