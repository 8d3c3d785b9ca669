"""An eleventh workflow, written by one command, passes the tests as it stands."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from overnight import scaffold
from tests.conftest import PROJECT

NAME = "an_eleventh_one"
"""No name that somebody would give: the tests also run in a project that has an eleventh workflow, the how-to's gift_guides, say."""
WHOLE = ["tests/dags", "tests/test_rooms.py"]
"""Files whose every test looks at the whole house; of the others, those that are run once for each workflow."""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The project as git has it, and what is not committed yet, in a folder of its own."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    folder = tmp_path / "project"
    for name in listed.stdout.splitlines():
        if (PROJECT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(PROJECT / name, folder / name)
    return folder


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "OVERNIGHT_PROJECT": str(folder), "PYTHONPATH": f"{folder / 'plugins'}:{folder}"}
    for name in ("OVERNIGHT_QUEUE_DIR", "OVERNIGHT_DATA_DIR", "AIRFLOW_HOME"):
        env.pop(name, None)
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=900)


@pytest.mark.long
@pytest.mark.skipif((PROJECT / "dags" / f"{NAME}.py").exists(), reason="this is the copy that has the eleventh")
def test_an_eleventh_workflow_passes_lint_types_and_every_test_that_looks_at_workflows(copy: Path) -> None:
    """One command; then ruff, ruff format, mypy and the suite, in a copy of the project."""
    made = run(copy, sys.executable, "-m", "overnight.cli", "new-workflow", NAME, "--owner", "Head of Gifts")
    assert made.returncode == 0, made.stdout + made.stderr
    for path in (f"dags/{NAME}.py", f"plugins/overnight/workflows/{NAME}.py", f"include/prompts/{NAME}/policy.yaml",
                 f"include/prompts/{NAME}/sample.csv", f"include/prompts/{NAME}/doc.md"):  # fmt: skip
        assert (copy / path).exists()
    for tool in (["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"]):
        done = run(copy, sys.executable, "-m", *tool)
        assert done.returncode == 0, done.stdout + done.stderr
    if os.environ.get("OVERNIGHT_SCAFFOLD") == "all":  # a quarter of an hour
        assert passed(copy, "tests") > 500
        return
    assert passed(copy, *WHOLE) >= 40
    assert passed(copy, "tests", "-k", NAME) >= 6


def passed(folder: Path, *arguments: str) -> int:
    """How many tests passed in the copy; none may fail."""
    done = run(folder, sys.executable, "-m", "pytest", "-o", "addopts=", *arguments)
    assert done.returncode == 0, done.stdout[-4000:]
    found = re.search(r"(\d+) passed", done.stdout)
    return int(found.group(1)) if found else 0


@pytest.mark.parametrize("name", ["Gift", "gift-guides", "1gifts", "gift__guides", "class", "a" * 41, "../gifts", ""])
def test_a_name_that_cannot_be_one_writes_nothing(name: str, tmp_path: Path) -> None:
    """Refused with what is allowed."""
    with pytest.raises(scaffold.Refused, match="cannot be a workflow's name"):
        scaffold.write(tmp_path, name, owner="x")
    assert list(tmp_path.iterdir()) == []


def test_nothing_that_is_there_is_written_over(tmp_path: Path) -> None:
    """Neither one of the ten nor somebody's file of the same name."""
    with pytest.raises(scaffold.Refused, match="There is a workflow"):
        scaffold.write(tmp_path, "blog_drafts", owner="x")
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / f"{NAME}.py").write_text("# mine")
    with pytest.raises(scaffold.Refused, match=rf"dags/{NAME}\.py is there already"):
        scaffold.write(tmp_path, NAME, owner="x")
    assert (tmp_path / "dags" / f"{NAME}.py").read_text() == "# mine"
