"""Python 3.11 to 3.13 and the lowest Airflow that works: the locks resolve for each, and the Dags parse where there is an interpreter."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from tests.conftest import PROJECT

PYTHONS = ("3.11", "3.12", "3.13")
LOCKS = ("requirements.txt", "requirements-cluster.txt", "requirements-dev.txt")
LOWEST_AIRFLOW = Version("3.3.2")
"""Before it `airflow.sdk` has no `BaseDeadlineReference`: 3.2.2, 3.3.0 and 3.3.1 resolve and do not parse (docs/how-to/upgrade.md)."""
PARSE = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(sys.argv[1])
print(json.dumps({"errors": bag.import_errors, "dags": sorted(bag.dags)}))
"""


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_holds_for_every_python(lock: str, python: str) -> None:
    """Each locked package is wanted there in exactly one version: the universal resolution found one for this interpreter."""
    wanted: dict[str, list[str]] = {}
    environment = {"python_version": python, "python_full_version": f"{python}.9", "sys_platform": "linux", "os_name": "posix",
                   "platform_system": "Linux", "platform_machine": "x86_64", "implementation_name": "cpython",
                   "platform_python_implementation": "CPython"}  # fmt: skip
    for line in (PROJECT / lock).read_text().splitlines():
        if not line or line.startswith((" ", "#", "-")):
            continue
        requirement = Requirement(line.strip())
        if requirement.marker is None or requirement.marker.evaluate(environment):
            wanted.setdefault(requirement.name.lower(), []).append(str(requirement.specifier))
    assert len(wanted) > 50
    assert {name: pins for name, pins in wanted.items() if len(pins) > 1} == {}


def test_the_floor_of_airflow_is_the_version_that_is_tested() -> None:
    """`requirements.in` names the lowest Airflow that works; the lock holds it or a newer one of the same minor."""
    floor = re.search(r"^apache-airflow>=([\d.]+),<([\d.]+)$", (PROJECT / "requirements.in").read_text(), re.MULTILINE)
    locked = re.search(r"^apache-airflow==([\d.]+)", (PROJECT / "requirements.txt").read_text(), re.MULTILINE)
    assert floor is not None
    assert locked is not None
    assert Version(floor.group(1)) == LOWEST_AIRFLOW <= Version(locked.group(1)) < Version(floor.group(2))


@pytest.mark.parametrize("python", PYTHONS)
def test_the_dags_parse_on_every_interpreter_there_is(python: str, tmp_path: Path) -> None:
    """On the interpreter that runs the tests, and on any other that has an environment with our requirements (OVERNIGHT_PYTHONS)."""
    found = interpreter(python)
    if found is None:
        pytest.skip(f"no Python {python} with our requirements here; {sys.version.split()[0]} is what runs")
    env = {**os.environ, "AIRFLOW_HOME": str(tmp_path), "PYTHONPATH": str(PROJECT / "plugins"), "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
           "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"), "_AIRFLOW_PROCESS_CONTEXT": "client"}  # fmt: skip
    ran = subprocess.run([found, "-c", PARSE, PROJECT / "dags"], env=env, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-3000:]
    said = json.loads(ran.stdout.splitlines()[-1])
    assert said["errors"] == {}
    assert len(said["dags"]) == len(list((PROJECT / "dags").glob("*.py")))


def interpreter(python: str) -> str | None:
    """An interpreter of this version that has Airflow: our own, or one of OVERNIGHT_PYTHONS (paths with colons between)."""
    candidates = [sys.executable, *os.environ.get("OVERNIGHT_PYTHONS", "").split(":"), shutil.which(f"python{python}")]
    ask = "import sys, airflow; print('%d.%d' % sys.version_info[:2])"
    for candidate in filter(None, candidates):
        ran = subprocess.run([candidate, "-c", ask], capture_output=True, text=True, check=False)
        if ran.returncode == 0 and ran.stdout.split()[-1:] == [python]:
            return candidate
    return None
