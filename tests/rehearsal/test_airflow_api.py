"""A busy API server is asked again, and asking again starts one run."""

import json

import pytest

from overnight.rehearsal.airflow_api import AirflowApi, NotReady
from tests.support.listener import listening


def test_a_server_error_is_asked_again_and_the_run_keeps_its_id() -> None:
    """A 500 on both requests, and an answer that was lost after the run was made: one run id in all of them."""
    with listening() as (server, port):
        server.answers = [(500, {}), (200, {}), (503, {}), (409, {"detail": "it is there"}), (200, {"state": "queued"})]
        run_id = AirflowApi(f"http://127.0.0.1:{port}", "u", "p").trigger("night")
    methods = [method for method, _, _ in server.heard]
    assert methods == ["PATCH", "PATCH", "POST", "POST", "GET"]
    assert {body["dag_run_id"] for method, _, body in server.heard if method == "POST"} == {run_id}
    assert server.heard[-1][1].endswith(f"/dagRuns/{run_id}")


def test_a_conflict_with_another_run_is_an_error_with_the_servers_words() -> None:
    """Airflow refuses a second run of one logical date with a 409 too; our run is not there then."""
    with listening() as (server, port):
        server.answers = [(200, {}), (409, {"detail": "this date has a run"}), (404, {})]
        with pytest.raises(NotReady, match="did not take a run of night.*this date has a run"):
            AirflowApi(f"http://127.0.0.1:{port}", "u", "p").trigger("night", logical_date="2026-01-01T00:00:00Z")


def test_a_refusal_is_not_asked_again() -> None:
    """A 403 stays one: the second answer would be the same."""
    with listening() as (server, port):
        server.answers = [(403, {"detail": "no"})]
        with pytest.raises(NotReady, match=r"403.*" + json.dumps({"detail": "no"}).replace("{", r"\{").replace("}", r"\}")):
            AirflowApi(f"http://127.0.0.1:{port}", "u", "p").trigger("night")
    assert len(server.heard) == 1
