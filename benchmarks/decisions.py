"""Five hundred decisions by a scripted reviewer over HTTP: ours as a list, ours one by one, and Airflow's HITL endpoint.

HITL asks one question a task instance, so five hundred items are five hundred tasks and five hundred PATCHes. Both databases are
SQLite, both servers the same process; the HITL rows are put into Airflow's database as a running Dag would have (to run five hundred
tasks takes half an hour on this machine, and is not counted against it here).
"""

import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from benchmarks.api_server import serving
from overnight.ledger import migrate, reviews
from overnight.ledger.connect import Ledger
from tests.support.reviewed import draft, entries, shown

COUNT, AT_ONCE = 500, 100
LEAST_TIMES = 10.0
HITL = "/api/v2/dags/hitl/dagRuns/benchmark/taskInstances"
DAG = f"""
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import dag

@dag(schedule=None)
def hitl():
    for n in range({COUNT}):
        ApprovalOperator(task_id=f"item{{n}}", subject=f"Draft number {{n}}")

hitl()
"""
ROWS = """
from datetime import UTC, datetime
from airflow.models.dagrun import DagRun
from airflow.models.hitl import HITLDetail
from airflow.models.serialized_dag import SerializedDagModel
from airflow.models.dag_version import DagVersion
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState, TaskInstanceState
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from sqlalchemy import select
now = datetime.now(UTC)
with create_session() as session:
    dag = session.scalar(select(SerializedDagModel).where(SerializedDagModel.dag_id == "hitl")).dag
    run = dag.create_dagrun(run_id="benchmark", run_after=now, logical_date=now, data_interval=(now, now), run_type=DagRunType.MANUAL,
                            triggered_by=DagRunTriggeredByType.TEST, state=DagRunState.RUNNING, session=session)
    session.flush()
    for ti in run.get_task_instances(session=session):
        ti.state = TaskInstanceState.DEFERRED
        session.add(HITLDetail(ti_id=ti.id, options=["Approve", "Reject"], subject="a draft", defaults=None, multiple=False, params={},
                               created_at=now))
"""


def measure() -> dict[str, Any]:
    """Decide the same number three ways."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ledger = Ledger(f"sqlite:///{folder / 'home' / 'airflow' / 'overnight.db'}")
        migrate.upgrade(ledger)
        listed = _night(ledger, "as a list")
        single = _night(ledger, "one by one")
        dags = folder / "dags"
        dags.mkdir()
        (dags / "hitl.py").write_text(DAG)
        with serving(folder, "", dags=dags, prepare=(("-m", "airflow", "dags", "reserialize"), ("-c", ROWS))) as client:
            # Both sides warm: what a server loads at its first answer is no decision's cost.
            for path in (f"/overnight/api/reviews/{listed['id']}", f"{HITL}/item0/-1/hitlDetails"):
                assert client.get(path).is_success, path
            hitl_s = _hitl(client)
            list_s = _as_a_list(client, ledger, listed)
            single_s = _one_by_one(client, ledger, single)
        with ledger.read() as conn:
            counted = [len(reviews.effective(conn, night["id"])) for night in (listed, single)]
    times = hitl_s / list_s
    return {
        "decisions": COUNT, "counted_in_the_ledger": counted,
        "per_minute": {"ours_as_a_list": _rate(list_s), "ours_one_by_one": _rate(single_s), "airflow_hitl": _rate(hitl_s)},
        "times_hitl_as_a_list": round(times, 1), "times_hitl_one_by_one": round(hitl_s / single_s, 2),
        "goal": f"at least {LEAST_TIMES:.0f} times as many a minute as HITL, each with its own verdict, all in the ledger",
        "met": times >= LEAST_TIMES and counted == [COUNT, COUNT],
    }  # fmt: skip


def _night(ledger: Ledger, run_id: str) -> Any:
    now = datetime.now(UTC)
    label = f"2026-11-{len(run_id):02d}"
    return shown(ledger, "page", [draft(n) for n in range(COUNT)], run_id=run_id, night=label, now=now)[1]


def _rate(seconds: float) -> int:
    return round(COUNT / seconds * 60)


def _verdict(n: int, item: Any) -> dict[str, Any]:
    """Most approved, some edited, some sent back: as a reviewer decides."""
    said: dict[str, Any] = {"item_id": item["id"], "output_hash": item["output_hash"], "decision": "approve"}
    if n % 10 == 3:
        said |= {"decision": "edit", "edited": {"title": f"A better title {n}"}}
    if n % 10 == 7:
        said |= {"decision": "rework", "reason_code": "weak_hook", "note": "Start with the rain."}
    return said


def _as_a_list(client: httpx.Client, ledger: Ledger, night: Any) -> float:
    given = [_verdict(n, item) for n, item in enumerate(entries(ledger, night))]
    began = time.perf_counter()
    for start in range(0, COUNT, AT_ONCE):
        answer = client.post(
            f"/overnight/api/reviews/{night['id']}/decisions", json={"decisions": given[start : start + AT_ONCE]}
        )
        assert answer.json()["taken"] == AT_ONCE, answer.text[:500]
    return time.perf_counter() - began


def _one_by_one(client: httpx.Client, ledger: Ledger, night: Any) -> float:
    given = [_verdict(n, item) for n, item in enumerate(entries(ledger, night))]
    began = time.perf_counter()
    for one in given:
        answer = client.post(f"/overnight/api/reviews/{night['id']}/decisions", json={"decisions": [one]})
        assert answer.json()["taken"] == 1, answer.text[:500]
    return time.perf_counter() - began


def _hitl(client: httpx.Client) -> float:
    began = time.perf_counter()
    for n in range(COUNT):
        answer = client.patch(f"{HITL}/item{n}/-1/hitlDetails", json={"chosen_options": ["Approve"], "params_input": {}})
        assert answer.is_success, answer.text[:500]
    return time.perf_counter() - began
