"""A night that is killed at any commit and then run again: nothing lost, nothing paid twice."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PROJECT, Sandbox, connect
from tests.support.night import paid_twice, queue_file

WORKFLOW = "blog_drafts"  # review_sentiment is what the fault matrix runs
QUEUE = "brief_id,title,primary_query,facts,author,min_words,max_words\n" + "".join(
    f"b{n},A title number {n},a query,One fact here|Another fact,Jo Writer,200,500\n" for n in range(2)
)


def test_a_night_killed_at_any_commit_is_finished_by_running_it_again(
    sandbox: Sandbox, queue: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before each commit is after the one before it and after every call in between: each is a place to die, each is healed."""
    connect(monkeypatch, sandbox.hosts)
    queue_file(queue, WORKFLOW, "a.csv", QUEUE)
    ran = subprocess.run(
        [sys.executable, "-m", "tests.support.killed_night", WORKFLOW, str(tmp_path)],
        cwd=PROJECT, env={**os.environ, "PYTHONPATH": f"{PROJECT / 'plugins'}:{PROJECT}"}, capture_output=True, text=True,
        timeout=240, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-3000:]
    report = json.loads(ran.stdout.splitlines()[-1])
    assert report["commits"] >= 8
    assert report["killed"] == report["commits"]
    assert report["unfinished"] == []
    rows = QUEUE.count("\n") - 1
    for night in report["nights"]:
        assert night["problems"] == [], f"killed at commit {night['kill_at']}"
        assert night["state"] == "closed"
        assert night["outcomes"]["locked"] == night["outcomes"]["staged"] == rows
    assert sandbox.creates() == report["commits"] + 1, "a batch was created twice"
    assert paid_twice(sandbox) == []
    print(f"{WORKFLOW}: {report['killed']} kills, 0 items lost, 0 answers paid twice")  # noqa: T201
