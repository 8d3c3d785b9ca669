"""Every page in a real Chromium against a real Airflow: light, dark, phone; axe-core; what is loaded; who is let in."""

import os
from pathlib import Path
from typing import Any

import pytest

from tests.support.airflow import Running
from tests.support.browser import DESK, PHONE, Watched, log_in, violations

pytestmark = [pytest.mark.airflow, pytest.mark.browser]
MOST_BYTES = 300_000
LOOKS = {
    "light": {"viewport": DESK, "color_scheme": "light"},
    "dark": {"viewport": DESK, "color_scheme": "dark"},
    "phone": {"viewport": PHONE, "color_scheme": "light"},
}
PAGES = {
    "tonight": "/", "review": "/review", "review-list": "/review/{blog_drafts}", "review-digest": "/review/{review_sentiment}",
    "review-grid": "/review/{shopify_pages}?view=grid", "review-item": "/review/{shopify_pages}/next", "quality": "/quality",
    "quality-workflow": "/quality/amazon_listings", "money": "/money", "audit": "/audit", "audit-week": "/audit/week",
    "nights": "/nights", "night": "/night/{blog_drafts}", "api": "/api",
}  # fmt: skip


def address(running: Running, path: str) -> str:
    return running.pages + path.format(**{name: running.night(name)["id"] for name in running.runs})


@pytest.mark.parametrize("look", LOOKS)
def test_every_page_is_whole_light_and_open_to_all(running: Running, browser: Any, look: str) -> None:
    """No error on the console (so nothing that the policy had to stop), nothing from another host, under 300 KB with its pictures
    and without a cache, no violation of WCAG 2 AA, nothing to push sideways. With OVERNIGHT_PICTURES the pages are kept as pictures.
    """
    found: dict[str, Any] = {}
    kept = os.environ.get("OVERNIGHT_PICTURES")
    page = log_in(browser, running, "admin", **LOOKS[look])
    state = page.context.storage_state()
    for name, path in PAGES.items():
        fresh = browser.new_context(**LOOKS[look], storage_state=state).new_page()
        watched = Watched(fresh)
        fresh.goto(address(running, path))
        sideways = fresh.evaluate("document.documentElement.scrollWidth > innerWidth")
        bad = [*watched.errors, *violations(fresh), *(["it is wider than the screen"] if sideways else [])]
        bad += [f"asked {host}" for host in watched.hosts if host != running.url.split("/")[2]]
        bad += [f"{watched.bytes} bytes"] if not 2_000 < watched.bytes < MOST_BYTES else []
        if bad:
            found[name] = bad
        if kept:
            fresh.screenshot(path=Path(kept) / f"{name}-{look}.png", full_page=name in ("tonight", "quality-workflow", "night"))
        fresh.context.close()
    assert found == {}


def test_the_pages_stand_in_airflows_own_frame(running: Running, browser: Any) -> None:
    """In its navigation, inside its page, in its dark; and a night beside the Dag run it belongs to."""
    page = log_in(browser, running, "admin", **LOOKS["dark"])
    page.goto(f"{running.url}/plugin/overnight-tonight")
    frame = page.frame_locator("iframe")
    frame.get_by_role("heading", name="Tonight").wait_for(timeout=30_000)
    if kept := os.environ.get("OVERNIGHT_PICTURES"):
        page.screenshot(path=Path(kept) / "airflow-tonight.png")
    night = running.night("shopify_pages")
    page.goto(f"{running.url}/dags/shopify_pages/runs/{night['run_id'].replace('+', '%2B')}/plugin/overnight-night")
    frame.get_by_role("heading", name="The corridor").wait_for(timeout=30_000)
    if kept:
        page.screenshot(path=Path(kept) / "airflow-night.png")
    assert frame.get_by_role("link", name="Airflow's run and logs").get_attribute("target") == "_top"


def test_a_viewer_is_refused_and_a_stranger_sees_nothing(running: Running, browser: Any) -> None:
    """A viewer's own request to decide, from our own page, is a 403; a stranger is led to the login from every page."""
    viewer = log_in(browser, running, "viewer")
    night_id = running.night("blog_drafts")["id"]
    viewer.goto(f"{running.pages}/review/{night_id}")
    posted = "fetch(`${location.pathname}/decide`, {method: 'POST', body: new URLSearchParams({item_id: '1', decision: 'approve'})}).then((a) => a.status)"
    assert viewer.evaluate(posted) == 403
    assert viewer.locator("text=Stop something").count() == 0
    stranger = browser.new_context().new_page()
    for path in PAGES.values():
        stranger.goto(address(running, path))
        assert "/auth/login" in stranger.url, path
        assert "Draft" not in stranger.content()


def test_the_same_numbers_come_as_json_with_airflows_own_token(running: Running) -> None:
    """A script's token opens the API; the corridor's counts add up to what was locked."""
    night_id = running.night("shopify_pages")["id"]
    told = running.api.http.get(f"/overnight/api/nights/{night_id}").json()
    assert sum(stage["count"] for stage in [*told["stages"], *told["aside"]]) == told["line"]["locked"] == 34
    assert running.api.http.get("/overnight/api/me").json()["admin"] is True
    lines = {line["workflow"]: line for line in running.api.http.get("/overnight/api/tonight").json()["lines"]}
    assert lines["email_sms"]["state"] == "waits for the lock", "the look ahead ran as a task of its Dag"
    assert lines["email_sms"]["locked"] > 0
    assert lines["email_sms"]["troubles"] == []
