"""Airflow's own REST API, as the rehearsal uses it: logged in like anybody else."""

import time
from collections.abc import Callable
from secrets import token_hex
from typing import Any

import httpx
from tenacity import Retrying, retry_if_exception_type, retry_if_result, stop_after_delay, wait_exponential

from overnight.clock import utcnow

# How long a 5xx, and no answer, is asked again. An API server on SQLite gives a 500 after five seconds where two of its own
# requests wait for each other: one writes on the event loop (its audit log) while the other has the lock and waits for the loop.
PATIENCE_S = 90


class NotReady(RuntimeError):
    """Something did not come up in time; the words say what."""


class AirflowApi:
    """One logged-in client. A request whose repetition does no harm is asked again while the answer is a 5xx."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self.url = url
        self.http = httpx.Client(base_url=url, timeout=30)
        self._login = (user, password)

    def wait_ready(self, timeout_s: float, alive: Callable[[], None]) -> None:
        """Until scheduler, triggerer, dag processor and database are healthy."""

        def healthy() -> bool:
            alive()
            try:
                parts = self.http.get("/api/v2/monitor/health").json()
            except (httpx.HTTPError, ValueError):
                return False
            wanted = ("metadatabase", "scheduler", "triggerer", "dag_processor")
            return all((parts.get(part) or {}).get("status") == "healthy" for part in wanted)

        wait_for(healthy, timeout_s, "Airflow did not become healthy")
        user, password = self._login
        answer = self.http.post("/auth/token", json={"username": user, "password": password})
        answer.raise_for_status()
        self.http.headers["authorization"] = f"Bearer {answer.json()['access_token']}"

    def wait_dags(self, names: list[str], timeout_s: float) -> None:
        """Until the Dag processor has these Dags."""

        def there() -> bool:
            if errors := self.import_errors():
                raise NotReady("the Dag processor cannot read " + "\n".join(errors))
            return set(names) <= self._dag_ids()

        wait_for(there, timeout_s, f"the Dags {', '.join(names)} did not appear")

    def _dag_ids(self) -> set[str]:
        answer = self.http.get("/api/v2/dags", params={"limit": 100})
        return {dag["dag_id"] for dag in answer.json().get("dags", [])} if answer.is_success else set()

    def import_errors(self) -> list[str]:
        """What the Dag processor could not read."""
        answer = self.http.get("/api/v2/importErrors")
        if not answer.is_success:
            return []
        return [f"{e['filename']}: {e['stack_trace'][-400:]}" for e in answer.json().get("import_errors", [])]

    def trigger(self, dag_id: str, conf: dict[str, Any] | None = None, logical_date: str | None = None) -> str:
        """Unpause a Dag and start a run; returns the run's id."""
        self._ask("PATCH", f"/api/v2/dags/{dag_id}", json={"is_paused": False})
        run_id = f"manual__{utcnow().isoformat()}_{token_hex(4)}"  # ours, so that asking twice starts one run
        body = {"dag_run_id": run_id, "logical_date": logical_date, "conf": conf or {}}
        answer = self._ask("POST", f"/api/v2/dags/{dag_id}/dagRuns", json=body, known=(409,))
        if (
            answer.status_code == 409
            and self._ask("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}", known=(404,)).status_code == 404
        ):
            raise NotReady(f"Airflow did not take a run of {dag_id}: {answer.text[:500]}")
        return run_id

    def run_state(self, dag_id: str, run_id: str) -> str:
        """A run's state."""
        return str(self._ask("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}").json()["state"])

    def tasks(self, dag_id: str, run_id: str) -> list[tuple[str, int, str]]:
        """A run's tasks as (task id, map index, state)."""
        rows = self._ask("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances", params={"limit": 200}).json()[
            "task_instances"
        ]
        return [(row["task_id"], row["map_index"], row["state"] or "none") for row in rows]

    def clear(self, dag_id: str, run_id: str, task_ids: list[str]) -> None:
        """Clear tasks of a run, and what comes after them, so that they run again."""
        body = {"dry_run": False, "dag_run_id": run_id, "task_ids": task_ids, "only_failed": False,
                "include_downstream": True, "reset_dag_runs": True}  # fmt: skip
        self._ask("POST", f"/api/v2/dags/{dag_id}/clearTaskInstances", json=body)

    def _ask(self, method: str, path: str, known: tuple[int, ...] = (), **request: Any) -> httpx.Response:
        asking = Retrying(
            retry=retry_if_result(lambda answer: answer.status_code >= 500) | retry_if_exception_type(httpx.TransportError),
            stop=stop_after_delay(PATIENCE_S),
            wait=wait_exponential(0.2, max=5),
            retry_error_callback=lambda state: state.outcome and state.outcome.result(),  # the last answer, with its words
        )
        answer = asking(self.http.request, method, path, **request)
        if not answer.is_success and answer.status_code not in known:
            raise NotReady(f"Airflow answered {method} {path} with {answer.status_code}: {answer.text[:500]}")
        return answer


def wait_for(condition: Callable[[], bool], timeout_s: float, what: str, every_s: float = 0.5) -> None:
    """Look until the condition holds.

    Raises:
        NotReady: it did not hold in time.
    """
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            raise NotReady(f"{what} within {timeout_s:.0f} seconds")
        time.sleep(every_s)
