"""Every route asks who is there; nothing on a page becomes markup; no other site can decide."""

import inspect
from pathlib import Path

import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from overnight.ledger.connect import Ledger
from overnight.ui import access, app
from tests.conftest import Sandbox
from tests.support.night import Night, queue_file

HOSTILE = '<script>alert(1)</script><img src=x onerror=alert(2)>=HYPERLINK("x") \u202eabc {{ 7*7 }} **bold**'


def test_every_route_depends_on_airflows_login() -> None:
    """Airflow adds no authorisation to plugin apps: a route without its own is open to the world."""
    routes = [route for route in app.build_app().routes if isinstance(route, APIRoute)]
    assert len(routes) >= 3
    for route in routes:
        asked = [dependency.call for dependency in route.dependant.dependencies]
        assert access.logged_in in asked, route.path
        if "POST" in route.methods:
            assert access.from_our_pages in asked, route.path
            assert "may_decide" in inspect.getsource(app._take), "the rights are asked where the decision is taken"
        else:
            assert "may_read" in inspect.getsource(route.endpoint)


class Person:
    """A logged-in user, as the auth manager gives one."""

    def __init__(self, name: str, *, decides: bool) -> None:
        self.name, self.decides = name, decides

    def get_name(self) -> str:
        return self.name


@pytest.fixture
def night(sqlite_ledger: Ledger, queue: Path, vendors: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Night:
    monkeypatch.setenv("AIRFLOW_CONN_OVERNIGHT_LEDGER", f"sqlite://{sqlite_ledger.url.database}")
    body = HOSTILE.replace('"', '""')
    queue_file(queue, "review_sentiment", "a.csv", f'review_id,sku,rating,title,body\nr1,S,1,Bad,"Awful, it burned me. {body}"\n')
    made = Night(sqlite_ledger, "review_sentiment")
    made.run()
    return made


def client(monkeypatch: pytest.MonkeyPatch, person: Person | None) -> TestClient:
    """Our app with this person at the door; the auth manager's answers are the person's."""
    made = app.build_app()
    if person is not None:
        made.dependency_overrides[access.logged_in] = lambda: person
        monkeypatch.setattr(app, "may_read", lambda user, workflow: True)
        monkeypatch.setattr(app, "may_decide", lambda user, workflow: user.decides)
    return TestClient(made, follow_redirects=False)


def test_nobody_sees_nothing(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a login every page answers 401 to a program."""
    anonymous = client(monkeypatch, None)
    for path in ("/", "/review/1"):
        assert anonymous.get(path).status_code == 401
    assert anonymous.post("/review/1/decide", headers={"sec-fetch-site": "same-origin"}).status_code == 401


def test_hostile_text_stays_text(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the queue through the answer to the page: escaped, no script, no template, no style from data."""
    answer = client(monkeypatch, Person("ada", decides=True)).get("/review/1")
    assert answer.status_code == 200
    assert "<script" not in answer.text
    assert "<img" not in answer.text
    assert "&lt;script&gt;alert(1)" in answer.text
    assert "{{ 7*7 }}" in answer.text
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert len(answer.content) < 300_000


def test_a_viewer_reads_and_may_not_decide(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    """No buttons, and a refusal for those who post without them."""
    viewer = client(monkeypatch, Person("vic", decides=False))
    assert "<button" not in viewer.get("/review/1").text
    posted = viewer.post(
        "/review/1/decide", data={"item_id": "1", "decision": "approve"}, headers={"sec-fetch-site": "same-origin"}
    )
    assert posted.status_code == 403


@pytest.mark.parametrize("headers", [{}, {"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}])
def test_another_sites_page_cannot_decide(night: Night, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]) -> None:
    """A reviewer's cookie is not enough: the request must come from our own page."""
    reviewer = client(monkeypatch, Person("ada", decides=True))
    posted = reviewer.post("/review/1/decide", data={"item_id": "1", "decision": "approve"}, headers=headers)
    assert posted.status_code == 403


def test_a_decision_comes_back_to_the_page_and_shows_who_and_what(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    """Post, redirect, read."""
    reviewer = client(monkeypatch, Person("ada", decides=True))
    home = {"sec-fetch-site": "same-origin"}
    posted = reviewer.post("/review/1/decide", data={"item_id": "1", "decision": "approve"}, headers=home)
    assert posted.status_code == 303
    assert "Approved by Ada Byron" in reviewer.get("/review/1").text
    refused = reviewer.post("/review/1/decide", data={"item_id": "99", "decision": "approve"}, headers=home)
    assert refused.status_code == 409
    assert "Nothing was decided" in refused.text


def test_a_night_that_is_not_there_is_a_404(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it never was or may not be seen: the same words."""
    assert client(monkeypatch, Person("ada", decides=True)).get("/review/999").status_code == 404


def test_the_audit_page_shows_the_week_a_refusal_and_the_launch_gate(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    """What ran, who decided, what was denied, how far each workflow is; and when the log was verified."""
    monkeypatch.setattr("overnight.ui.app.utcnow", night.clock)
    reviewer = client(monkeypatch, Person("ada", decides=True))
    home = {"sec-fetch-site": "same-origin"}
    for item in ("1", "99"):
        reviewer.post("/review/1/decide", data={"item_id": item, "decision": "approve"}, headers=home)
    page = reviewer.get("/audit")
    assert page.status_code == 200
    for words in (
        "Audit: the last seven days", "The log was not verified yet", "<td>review_sentiment</td>", "<td>Ada Byron</td>",
        "refuse item 99", "launch workflow review_sentiment: nothing → live", "its first night",
    ):  # fmt: skip
        assert words in page.text, words
