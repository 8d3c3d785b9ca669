"""A real Airflow API server alone, with our plugin in it and a ledger of the benchmark's: what our pages are measured on."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from overnight.rehearsal import home as homes
from overnight.rehearsal import night as rehearsal
from overnight.rehearsal import processes
from overnight.rehearsal.home import Home
from overnight.sandbox.server import hosts

HEALTH = "/api/v2/monitor/health"


@contextmanager
def serving(
    folder: Path, ledger_url: str, *, dags: Path | None = None, prepare: Sequence[Sequence[str]] = ()
) -> Iterator[httpx.Client]:
    """A client that is logged in as an admin, for as long as the server runs.

    Args:
        dags: a Dag folder of the benchmark's own.
        prepare: commands of Python that run against Airflow's database before the server starts.
    """
    home = Home(folder / "home")
    env = homes.make(home, hosts("http://127.0.0.1:9"), 9, None)
    env |= (
        {"AIRFLOW_CONN_OVERNIGHT_LEDGER": ledger_url.replace("postgresql+psycopg", "postgres")}
        if "postgres" in ledger_url
        else {}
    )
    env |= {"AIRFLOW__CORE__DAGS_FOLDER": str(dags)} if dags else {}
    env |= {"AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING"}
    before = dict(os.environ)
    try:
        for command in (("-m", "airflow", "db", "migrate"), *prepare):
            assert processes.run(home, "prepare", processes.python(*command), env) == 0, (home.logs / "prepare.log").read_text()[
                -2000:
            ]
        rehearsal.start_component(home, "api-server", env)
        with httpx.Client(base_url=env["OVERNIGHT_URL"], timeout=60, trust_env=False) as client:
            _wait(client)
            answer = client.post("/auth/token", json={"username": "admin", "password": home.passwords()["admin"]})
            client.headers["authorization"] = f"Bearer {answer.json()['access_token']}"
            yield client
    finally:
        processes.stop_all(home)
        os.environ.clear()
        os.environ.update(before)


def _wait(client: httpx.Client) -> None:
    end = time.monotonic() + 120
    while True:
        try:
            if client.get(HEALTH).is_success:
                return
        except httpx.HTTPError:
            pass
        assert time.monotonic() < end, "the API server did not start"
        time.sleep(0.2)
