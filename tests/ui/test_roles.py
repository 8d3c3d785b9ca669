"""Viewer, reviewer, approver, admin: every route walked by each of them, with Airflow's own SimpleAuthManager at the door."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from airflow.api_fastapi.app import _AuthManagerState, create_auth_manager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from overnight.ledger import switches
from overnight.ledger.connect import Ledger
from overnight.ui import access, app, given
from tests.support.reviewed import NOW, draft, entries, shown
from tests.support.visitors import HOME

ROLES = {"vic": "viewer", "chidi": "user", "ben": "user", "olga": "op", "ada": "admin", "nora": None}


@pytest.fixture
def manager() -> Iterator[None]:
    """Airflow's SimpleAuthManager, as an API server makes it."""
    before = _AuthManagerState.instance
    _AuthManagerState.instance = None
    create_auth_manager()
    yield
    _AuthManagerState.instance = before


class House:
    """Our app with a night in review, and a door at which Airflow says who may what."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        _, self.night = shown(ledger, "page", [draft(0), draft(1)], tiers=["T1", "T2"])
        self.items = entries(ledger, self.night)

    def as_(self, login: str | None) -> TestClient:
        made = app.build_app()
        made.dependency_overrides[given.books] = lambda: self.ledger
        made.dependency_overrides[given.clock] = lambda: NOW
        if login is not None:
            user = SimpleAuthManagerUser(username=login, role=ROLES[login])
            made.dependency_overrides[access.logged_in] = lambda: user
        return TestClient(made, follow_redirects=False)

    def path(self, template: str) -> str:
        known = {"night_id": self.night["id"], "item_id": self.items[0]["id"], "workflow": "blog_drafts", "metric": "as_is",
                 "run_id": "manual__1"}  # fmt: skip
        return re.sub(r"\{(\w+)\}", lambda m: str(known[m.group(1)]), template)

    def decide(self, login: str, place: int) -> Any:
        item = self.items[place]
        form = {"item_id": str(item["id"]), "output_hash": item["output_hash"], "decision": "approve"}
        headers = {**HOME, "accept": "application/json"}
        return self.as_(login).post(f"/review/{self.night['id']}/decide", data=form, headers=headers)


@pytest.fixture
def house(sqlite_ledger: Ledger, manager: None) -> House:
    return House(sqlite_ledger)


ROUTES = [(route.path, method) for route in app.build_app().routes if isinstance(route, APIRoute) for method in route.methods]


@pytest.mark.parametrize(("path", "method"), ROUTES, ids=[f"{method} {path}" for path, method in ROUTES])
def test_every_route_for_every_role(house: House, path: str, method: str) -> None:
    """Nobody: 401 everywhere. Without a role: no night, no workflow. A viewer changes nothing. Only an admin throws a switch."""
    where = house.path(path)

    def ask(login: str | None) -> int:
        return house.as_(login).request(method, where, headers=HOME).status_code

    assert ask(None) == 401
    if "{night_id}" in path or "{workflow}" in path:
        assert ask("nora") == 404
    if method == "POST" and "{night_id}" in path:
        assert ask("vic") == 403
        assert ask("chidi") not in (401, 403, 500)
    elif path == "/switch":
        assert [ask(login) for login in ("vic", "chidi", "ben")] == [403] * 3
        assert [ask(login) for login in ("olga", "ada")] == [422] * 2, "nothing was named to be stopped"
    else:
        assert ask("vic") in (200, 303, 404 if "quality/{workflow}" in path else 200)


@pytest.mark.parametrize(("path", "method"), ROUTES, ids=[f"{method} {path}" for path, method in ROUTES])
def test_a_person_without_a_role_sees_nothing_of_any_workflow(house: House, path: str, method: str) -> None:
    """No page and no JSON holds a word of a night or of an item."""
    text = house.as_("nora").request(method, house.path(path), headers=HOME).text
    assert "Draft number" not in text
    assert "manual__1" not in text.replace(house.path(path), "")


def test_the_roles_are_what_airflow_and_the_policy_say(house: House) -> None:
    """A named approver is a reviewer whom the policy names; the JSON says it, and whose yes counts is held to it."""
    told = {login: house.as_(login).get("/api/me").json() for login in ROLES}
    assert {login: one["roles"].get("blog_drafts") for login, one in told.items()} == {
        "vic": "viewer", "chidi": "reviewer", "ben": "approver", "olga": "reviewer", "ada": "approver", "nora": None,
    }  # fmt: skip
    assert {login for login, one in told.items() if one["admin"]} == {"olga", "ada"}
    refused = house.decide("chidi", 1)
    assert (refused.status_code, "Ben Okafor" in refused.json()["error"]) == (409, True)
    assert house.decide("ben", 1).status_code == 200
    assert house.decide("chidi", 0).status_code == 200


def test_an_admin_stops_everything_and_lets_it_go_on_with_a_reason_on_record(house: House) -> None:
    """The switch is in the ledger at once, in the admin's own name; no reason, no switch."""
    ada = house.as_("ada")
    assert ada.post("/switch", data={"scope": "*", "reason": " "}, headers=HOME).status_code == 422
    assert ada.post("/switch", data={"scope": "no_workflow", "reason": "why"}, headers=HOME).status_code == 422
    assert ada.post("/switch", data={"scope": "*", "reason": "a wrong price list"}, headers=HOME).status_code == 303
    with house.ledger.read() as conn:
        (engaged,) = switches.all_engaged(conn)
    assert (engaged["by"], engaged["reason"]) == ("Ada Byron", "a wrong price list")
    page = house.as_("vic").get("/").text
    assert "a wrong price list" in page
    assert "Re-arm" not in page
    assert "Re-arm" in ada.get("/").text
    ada.post("/switch", data={"scope": "*", "engage": "false", "reason": "mended"}, headers=HOME)
    with house.ledger.read() as conn:
        assert switches.all_engaged(conn) == []
    assert "a wrong price list" in ada.get("/audit?verb=kill_switch_engaged").text


def test_another_sites_page_throws_no_switch(house: House) -> None:
    """An admin's cookie is not enough."""
    for headers in ({}, {"sec-fetch-site": "cross-site"}):
        assert house.as_("ada").post("/switch", data={"scope": "*", "reason": "x"}, headers=headers).status_code == 403
