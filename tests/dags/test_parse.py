"""Dags parse lightly, say the right things, and none is missing."""

import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from overnight import schedule
from overnight.workflow import workflow, workflow_names
from tests.conftest import PROJECT
from tests.support.project import Project

DAGS = sorted((PROJECT / "dags").glob("*.py"))
HEAVY = ["anthropic", "openai", "google.genai", "pandas", "great_expectations", "fastapi", "genai_prices", "httpx2",
         "googleapiclient", "notion_client", "pyairtable", "openpyxl", "rapidfuzz", "nh3", "lxml", "trafilatura", "numpy"]  # fmt: skip

PARSE = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(sys.argv[1])
def times(d):
    return getattr(d.timetable, "timetables", [d.timetable])
dags = {
    d.dag_id: {
        "file": d.fileloc, "tasks": {t.task_id: sorted(t.downstream_task_ids) for t in d.tasks},
        "schedule": "; ".join(getattr(one, "expression", "by hand") for one in times(d)),
        "zone": str(getattr(times(d)[0], "timezone", "")),
        "deadline": d.deadline is not None, "retries": [t.retries for t in d.tasks],
    } for d in bag.dags.values()
}
print(json.dumps({"errors": bag.import_errors, "dags": dags, "modules": sorted(sys.modules)}))
"""


@pytest.fixture(scope="module")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:  # type: ignore[type-arg]
    """All Dag files parsed in a fresh process: what one of them loads, all of them would."""
    home = tmp_path_factory.mktemp("parse")
    env = {**os.environ, "AIRFLOW_HOME": str(home), "PYTHONPATH": str(PROJECT / "plugins"),
           "AIRFLOW__CORE__PLUGINS_FOLDER": str(home)}  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", PARSE, str(PROJECT / "dags")], env=env, capture_output=True, text=True, timeout=120, check=True
    )
    said = json.loads(done.stdout.splitlines()[-1])
    found: dict[str, dict] = {path.stem: {"errors": {}, "dags": {}, "modules": said["modules"]} for path in DAGS}  # type: ignore[type-arg]
    for path, error in said["errors"].items():
        found[Path(path).stem]["errors"][path] = error
    for dag_id, dag in said["dags"].items():
        found[Path(dag["file"]).stem]["dags"][dag_id] = dag
    return found


@pytest.mark.parametrize("name", [path.stem for path in DAGS])
def test_a_dag_file_parses_without_sdks_pandas_or_great_expectations(name: str, parsed: dict) -> None:  # type: ignore[type-arg]
    """Looked at in sys.modules of a fresh process."""
    assert parsed[name]["errors"] == {}
    assert list(parsed[name]["dags"]) == [name], "one workflow = one file = one dag_id"
    loaded = set(parsed[name]["modules"])
    assert [heavy for heavy in HEAVY if heavy in loaded] == []


def test_every_workflow_has_its_dag_its_prompt_folder_and_its_page() -> None:
    """One workflow = one Dag file, one module, one prompt folder."""
    names = set(workflow_names())
    assert names <= {path.stem for path in DAGS}
    for name in names:
        folder = PROJECT / "include" / "prompts" / name
        for file in ("system.md.j2", "checklist.md", "policy.yaml", "sample.csv", "doc.md"):
            assert (folder / file).exists(), f"{name} lacks {file}"


def test_each_page_names_every_rule_that_can_speak_of_its_items() -> None:
    """A reviewer who reads a rule's name beside an item finds it on the workflow's page."""
    for name in workflow_names():
        declared, page = workflow(name), (PROJECT / "include" / "prompts" / name / "doc.md").read_text()
        module = sys.modules[f"overnight.workflows.{name}"]
        named = set(re.findall(r'Finding\(\s*"(\w+)"', inspect.getsource(module))) | {r.__name__ for r in declared.night_rules}
        assert {rule for rule in named if rule not in page} == set(), name


@pytest.mark.parametrize("name", workflow_names())
def test_a_night_is_one_visible_chain_at_five_in_the_brands_zone_with_a_deadline(name: str, parsed: dict) -> None:  # type: ignore[type-arg]
    """check → drain → batch → validate → export; a chain has a task for each of its steps in the place of the one batch."""
    dag = parsed[name]["dags"][name]
    order, following = [], ["check"]
    while following:
        (task,) = following
        order.append(task.rpartition(".")[2])
        following = dag["tasks"][task]
    steps = [step.name.partition("_")[0] for step in workflow(name).steps]
    middle = list(dict.fromkeys(steps)) if len(steps) > 1 else ["batch"]
    assert order == ["check", "drain", *middle, "validate", "export"]
    assert len(dag["tasks"]) == len(order)
    assert dag["schedule"] == "0 17 * * *"
    assert dag["zone"] == "Europe/Berlin"
    assert dag["deadline"]


def test_the_plugin_file_loads_no_web_framework_and_no_sdk(tmp_path: Path) -> None:
    """Every Airflow process runs it."""
    code = "import sys, json; import overnight_plugin; print(json.dumps(sorted(sys.modules)))"
    env = {**os.environ, "AIRFLOW_HOME": str(tmp_path), "PYTHONPATH": str(PROJECT / "plugins")}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=120, check=True)
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert not loaded & {"anthropic", "openai", "google.genai", "pandas", "great_expectations", "overnight.ui.app"}


@pytest.mark.parametrize(
    ("ends", "crons"),
    [
        ("13:00", ("*/10 8-12 * * *", "0 13 * * *")), ("14:00", ("*/10 8-13 * * *", "0 14 * * *")),
        ("14:30", ("*/10 8-14 * * *", "30 14 * * *")),
    ],
)  # fmt: skip
def test_the_mornings_collecting_lasts_as_long_as_the_review(ends: str, crons: tuple[str, ...], project: Project) -> None:
    """A team that reviews until two has what it decided at half past one delivered today, and is told what waits."""
    project.edit("brand.yaml", lambda brand: brand.update(review_ends=ends))
    timetables = schedule.morning("morning_review")["schedule"].timetables
    assert tuple(one.expression for one in timetables) == crons
