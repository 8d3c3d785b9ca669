"""CPU time of parsing dags/ beside a folder with one empty Dag: one process each, DagBag on the folder, median of five."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).parents[1]
EMPTY = '''"""An empty Dag."""

from airflow.sdk import dag


@dag(dag_id="empty")
def empty() -> None:
    """Nothing."""


empty()
'''
PARSE = """
import json, resource, sys
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(sys.argv[1])
assert not bag.import_errors, bag.import_errors
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"dags": len(bag.dags), "cpu_s": used.ru_utime + used.ru_stime}))
"""


def measure(runs: int = 5) -> dict[str, object]:
    """The medians and their ratio; the goal is at most 2."""
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder) / "dags"
        empty.mkdir()
        (empty / "empty.py").write_text(EMPTY)
        times: dict[str, list[float]] = {"ours": [], "empty": []}
        for _ in range(runs):  # in turn, so that a slow moment of the machine hits both
            times["empty"].append(_parse(empty, folder))
            times["ours"].append(_parse(PROJECT / "dags", folder))
    medians = {name: round(statistics.median(values), 3) for name, values in times.items()}
    ratio = round(medians["ours"] / medians["empty"], 2)
    return {"cpu_s_median": medians, "runs": runs, "ratio": ratio, "goal": "at most 2", "met": ratio <= 2}


def _parse(dags: Path, home: str) -> float:
    env = {**os.environ, "AIRFLOW_HOME": home, "PYTHONPATH": str(PROJECT / "plugins"), "AIRFLOW__CORE__PLUGINS_FOLDER": home,
           "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}  # fmt: skip
    done = subprocess.run([sys.executable, "-c", PARSE, str(dags)], env=env, capture_output=True, text=True, check=True)
    cpu: float = json.loads(done.stdout.splitlines()[-1])["cpu_s"]
    return cpu
