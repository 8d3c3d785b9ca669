"""A real headless Chromium: started, logged in, and asked whether a page is whole."""

import shutil
from collections.abc import Iterator
from typing import Any

from tests.support.airflow import Running

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1200, "height": 1000}


def chromium() -> Iterator[Any]:
    """A browser, for a fixture."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield made
        made.close()


def log_in(browser: Any, running: Running, user: str, **context: Any) -> Any:
    """A page of a context of its own, logged in through Airflow's own form."""
    page = browser.new_context(**{"viewport": DESK, **context}).new_page()
    page.goto(f"{running.pages}/")
    page.fill("input[name=username]", user)
    page.fill("input[name=password]", running.home.passwords()[user])
    page.click("button[type=submit]")
    page.wait_for_url("**/overnight/")
    return page


class Watched:
    """What a page did while it was watched: errors on its console, addresses it asked, bytes it loaded."""

    def __init__(self, page: Any) -> None:
        self.errors: list[str] = []
        self.hosts: set[str] = set()
        self._finished: list[Any] = []
        page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("dialog", lambda dialog: (self.errors.append(f"a dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: self.hosts.add(request.url.split("/")[2] if "//" in request.url else request.url[:20]))
        page.on("requestfinished", self._kept)

    def _kept(self, request: Any) -> None:
        self._finished.append(request)

    @property
    def bytes(self) -> int:
        """What was loaded over the wire: bodies as they were sent, and headers."""
        sizes = [request.sizes() for request in self._finished]
        return sum(one["responseBodySize"] + one["responseHeadersSize"] for one in sizes)


def violations(page: Any) -> list[str]:
    """What axe-core finds wrong with a page, WCAG 2 A and AA."""
    from pathlib import Path

    import axe_playwright_python

    # By the debugger, and not as a script of the page: its policy lets none but our own in.
    engine = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
    page.evaluate(engine)
    found = page.evaluate("axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa']})")
    assert len(found["passes"]) > 5, "the engine looked at nothing"
    return [f"{one['id']}: {one['nodes'][0]['html'][:160]} ({len(one['nodes'])})" for one in found["violations"]]
