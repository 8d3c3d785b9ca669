"""Every route asks who is there; nothing on a page becomes markup; no other site can decide."""

import gc
import re
from pathlib import Path
from typing import Any

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from overnight.ledger.connect import Ledger
from overnight.ui import access, app, mount
from tests.conftest import Sandbox
from tests.support.night import Night, queue_file
from tests.support.visitors import HOME, Guest, client

HOSTILE = '<script>alert(1)</script><img src=x onerror=alert(2)>=HYPERLINK("x") \u202eabc {{ 7*7 }} **bold**'


READS = {"/audit/verify"}
"""Posts that change nothing: the chains are read again."""


def test_every_route_asks_airflow_who_is_there_and_what_they_may_do() -> None:
    """Airflow adds no authorisation to plugin apps: a route without its own is open to the world. One that names a night asks
    whether it may be seen, one that changes something whether it may be changed, and whether our own page asks."""
    routes = [route for route in app.build_app().routes if isinstance(route, APIRoute)]
    assert len(routes) >= 35
    for route in routes:
        asked = calls(route.dependant)
        assert access.logged_in in asked, route.path
        assert access.visitor in asked, route.path
        if "{night_id}" in route.path:
            assert access.seen_night in asked, route.path
        if "{workflow}" in route.path:
            assert access.seen_workflow in asked, route.path
        if route.methods - {"GET"}:
            assert access.from_our_pages in asked, route.path
            assert {access.decided_night, access.admin} & asked or route.path in READS, route.path


def calls(dependant: Dependant) -> set[Any]:
    """Everything a route depends on, however deep."""
    return {dependant.call}.union(*(calls(one) for one in dependant.dependencies))


def test_the_first_request_builds_the_app_and_takes_what_is_loaded_out_of_the_garbage_collector() -> None:
    """No later request waits for a look through all that Airflow has loaded; nothing is built before somebody asks."""
    gc.unfreeze()
    made = mount.LazyApp()
    assert gc.get_freeze_count() == 0
    try:
        assert TestClient(made).get("/static/none.css").status_code == 404
        frozen = gc.get_freeze_count()
        assert TestClient(made).get("/static/none.css").status_code == 404
        assert 100_000 < gc.get_freeze_count() <= frozen  # what is frozen may still be let go
    finally:
        gc.unfreeze()


@pytest.fixture
def night(sqlite_ledger: Ledger, queue: Path, vendors: Sandbox) -> Night:
    body = HOSTILE.replace('"', '""')
    queue_file(queue, "review_sentiment", "a.csv", f'review_id,sku,rating,title,body\nr1,S,1,Bad,"Awful, it burned me. {body}"\n')
    made = Night(sqlite_ledger, "review_sentiment")
    made.run()
    return made


def test_nobody_sees_nothing(night: Night) -> None:
    """Without a login every page answers 401 to a program."""
    anonymous = client(None, night.ledger, night.clock)
    for path in ("/", "/review/1"):
        assert anonymous.get(path).status_code == 401
    assert anonymous.post("/review/1/decide", headers=HOME).status_code == 401


def test_hostile_text_stays_text(night: Night) -> None:
    """From the queue through the answer to the page: escaped, no script, no template, no style from data."""
    answer = client(Guest("ada"), night.ledger, night.clock).get("/review/1")
    assert answer.status_code == 200
    assert "<script>" not in answer.text
    assert answer.text.count("<script") == 1  # our own file
    assert "<img" not in answer.text
    assert "&lt;script&gt;alert(1)" in answer.text
    assert "{{ 7*7 }}" in answer.text
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert len(answer.content) < 300_000


def test_a_viewer_reads_and_may_not_decide(night: Night) -> None:
    """No buttons, and a refusal for those who post without them."""
    viewer = client(Guest("vic", decides=False), night.ledger, night.clock)
    assert 'name="decision"' not in viewer.get("/review/1").text
    posted = viewer.post("/review/1/decide", data={"item_id": "1", "decision": "approve"}, headers=HOME)
    assert posted.status_code == 403


@pytest.mark.parametrize("headers", [{}, {"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}])
def test_another_sites_page_cannot_decide(night: Night, headers: dict[str, str]) -> None:
    """A reviewer's cookie is not enough: the request must come from our own page."""
    reviewer = client(Guest("ada"), night.ledger, night.clock)
    posted = reviewer.post("/review/1/decide", data={"item_id": "1", "decision": "approve"}, headers=headers)
    assert posted.status_code == 403


def test_a_decision_comes_back_to_the_page_and_shows_who_and_what(night: Night) -> None:
    """Post, redirect, read."""
    reviewer = client(Guest("ada"), night.ledger, night.clock)
    posted = reviewer.post("/review/1/decide", data={"item_id": "1", "decision": "approve"}, headers=HOME)
    assert posted.status_code == 303
    assert "Approved by Ada Byron" in reviewer.get("/review/1").text
    refused = reviewer.post("/review/1/decide", data={"item_id": "99", "decision": "approve"}, headers=HOME)
    assert refused.status_code == 409
    assert "Nothing was decided" in refused.text


def test_a_night_that_is_not_there_is_a_404(night: Night) -> None:
    """Whether it never was or may not be seen: the same words."""
    assert client(Guest("ada"), night.ledger, night.clock).get("/review/999").status_code == 404


def test_the_audit_page_shows_the_week_a_refusal_and_the_launch_gate(night: Night) -> None:
    """What ran, who decided, what was denied, how far each workflow is; and when the log was verified."""
    reviewer = client(Guest("ada"), night.ledger, night.clock)
    for item in ("1", "99"):
        reviewer.post("/review/1/decide", data={"item_id": item, "decision": "approve"}, headers=HOME)
    page = reviewer.get("/audit/week")
    assert page.status_code == 200
    for words in (
        "Audit: the last seven days", "The log was not verified yet", "<td>review_sentiment</td>", "<td>Ada Byron</td>",
        "refuse item 99", "launch workflow review_sentiment: nothing → live", "its first night",
    ):  # fmt: skip
        assert words in page.text, words


def test_every_region_that_scrolls_is_reached_by_the_keyboard_and_has_a_name() -> None:
    """In the templates themselves: whether one scrolls depends on the text in it, so a browser sees it on some days only."""
    from overnight.ui import app

    for path in (Path(app.__file__).parent / "templates").glob("*.html"):
        for region in re.findall(r'<div class="scroll"[^>]*>', path.read_text()):
            assert 'tabindex="0"' in region, path.name
            assert 'role="region"' in region, path.name
            assert re.search(r'aria-label="[^"]+"', region), path.name
