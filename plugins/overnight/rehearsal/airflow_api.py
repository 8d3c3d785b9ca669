"""Airflow's own REST API, as the rehearsal uses it: logged in like anybody else."""

import time
from collections.abc import Callable
from typing import Any

import httpx


class NotReady(RuntimeError):
    """Something did not come up in time; the words say what."""


class AirflowApi:
    """One logged-in client."""

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
        self.http.patch(f"/api/v2/dags/{dag_id}", json={"is_paused": False}).raise_for_status()
        body = {"logical_date": logical_date, "conf": conf or {}}
        answer = self.http.post(f"/api/v2/dags/{dag_id}/dagRuns", json=body)
        if not answer.is_success:
            raise NotReady(f"Airflow did not take a run of {dag_id}: {answer.status_code} {answer.text[:500]}")
        return str(answer.json()["dag_run_id"])

    def run_state(self, dag_id: str, run_id: str) -> str:
        """A run's state."""
        return str(self.http.get(f"/api/v2/dags/{dag_id}/dagRuns/{run_id}").raise_for_status().json()["state"])

    def tasks(self, dag_id: str, run_id: str) -> list[tuple[str, int, str]]:
        """A run's tasks as (task id, map index, state)."""
        answer = self.http.get(f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances", params={"limit": 200})
        rows = answer.raise_for_status().json()["task_instances"]
        return [(row["task_id"], row["map_index"], row["state"] or "none") for row in rows]

    def clear(self, dag_id: str, run_id: str, task_ids: list[str]) -> None:
        """Clear tasks of a run, and what comes after them, so that they run again."""
        body = {"dry_run": False, "dag_run_id": run_id, "task_ids": task_ids, "only_failed": False,
                "include_downstream": True, "reset_dag_runs": True}  # fmt: skip
        self.http.post(f"/api/v2/dags/{dag_id}/clearTaskInstances", json=body).raise_for_status()


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
