"""A reviewer with a keyboard, a second one beside them, one without JavaScript: a real Chromium, a real Airflow, a finished night."""

import re
from typing import Any

import pytest

from overnight.ledger import reviews, verify
from tests.support.airflow import Running
from tests.support.browser import PHONE, Watched, log_in

pytestmark = [pytest.mark.airflow, pytest.mark.browser]


def left(page: Any) -> int:
    found = re.match(r"\d+", page.locator("#left").inner_text())
    assert found is not None
    return int(found.group())


def press(page: Any, key: str) -> None:
    """Press a key and wait until the page says what came of it."""
    before = (page.url, page.locator("#said").inner_text())
    page.keyboard.press(key)
    page.wait_for_function(
        "([url, said]) => location.href !== url || document.querySelector('#said')?.textContent !== said "
        "|| !document.querySelector('#error')?.hidden",
        arg=list(before),
    )


def meets_who_has_it(page: Any, review: str, item: str) -> None:
    """A second person is led past an item that somebody has open, sees who has it, and has nothing to press there."""
    page.goto(f"{review}/next")
    assert page.locator("article.one").get_attribute("data-item") != item
    page.goto(f"{review}/item/{item}")
    assert "Ada Byron has this open" in page.locator("article.one").inner_text()
    assert page.locator("button[name=decision]").count() == 0


def approves_the_rest(page: Any) -> None:
    while "/item/" in page.url:
        press(page, "a")
        assert not page.locator("#error").count() or page.locator("#error").is_hidden(), page.locator("#error").inner_text()


def decided(running: Running, night_id: int) -> dict[int | None, Any]:
    with running.ledger.read() as conn:
        return dict(reviews.effective(conn, night_id))


def test_thirty_items_by_keyboard_with_edits_rework_and_undo_beside_a_second_person(running: Running, browser: Any) -> None:
    """a, e, r, z, j, k, ?: edited in place with the difference shown, sent back with a reason, taken back, finished. The second
    person is led past what the first has open, and sees who has it."""
    night_id = running.night("shopify_pages")["id"]
    ada, ben = log_in(browser, running, "admin"), log_in(browser, running, "reviewer")
    watched = Watched(ada)
    ada.goto(f"{running.pages}/review/{night_id}")
    total = left(ada)
    assert total >= 34
    ada.get_by_role("link", name="One at a time").click()
    ada.wait_for_selector("article.one")
    first = ada.locator("article.one").get_attribute("data-item")
    ada.keyboard.press("?")
    assert ada.locator("dialog#keys").is_visible()
    ada.keyboard.press("Escape")

    meets_who_has_it(ben, f"{running.pages}/review/{night_id}", first)

    ada.keyboard.press("j")
    ada.wait_for_function("(id) => document.querySelector('article.one').dataset.item !== id", arg=first)
    ada.keyboard.press("k")
    ada.wait_for_function("(id) => document.querySelector('article.one').dataset.item === id", arg=first)

    press(ada, "a")
    assert "Approved" in ada.locator("#said").inner_text()
    press(ada, "z")
    assert left(ada) == total
    ada.goto(f"{running.pages}/review/{night_id}/item/{first}")
    ada.keyboard.press("e")
    ada.keyboard.press("Control+End")
    ada.keyboard.type(" Dry")
    ada.wait_for_selector("ins:has-text('Dry')")
    press(ada, "Control+Enter")
    assert "Approved with your edits" in ada.locator("#said").inner_text()
    ada.keyboard.press("r")
    ada.locator("details.rework select").select_option("weak_hook")
    ada.locator("details.rework textarea").fill("Start with the rain.")
    press(ada, "Control+Enter")
    assert "Sent back" in ada.locator("#said").inner_text()
    for _ in range(28):
        press(ada, "a")
        assert ada.locator("#error").is_hidden(), ada.locator("#error").inner_text()
    mine = [row for row in decided(running, night_id).values() if row["reviewer"] == "Ada Byron"]
    assert len(mine) >= 30
    assert {row["decision"] for row in mine} == {"approve", "edit", "rework"}

    ben.goto(f"{running.pages}/review/{night_id}/next")
    approves_the_rest(ben)
    approves_the_rest(ada)  # the one that she had open when he came to the end
    remaining = total - len(decided(running, night_id))
    ada.goto(f"{running.pages}/review/{night_id}")
    assert left(ada) == remaining
    assert remaining == 0, "both together came to the end"
    assert watched.errors == []
    with running.ledger.read() as conn:
        assert verify.problems(conn) == []


def test_a_review_is_gone_on_with_where_one_left_it_on_a_phone(running: Running, browser: Any) -> None:
    """On a small screen, with a finger; the decision of before still stands after a new login, and is taken back there."""
    night_id = running.night("blog_drafts")["id"]
    small = {"viewport": PHONE, "has_touch": True, "is_mobile": True}
    phone = log_in(browser, running, "reviewer", **small)
    phone.goto(f"{running.pages}/review/{night_id}/next")
    before, at = left(phone), phone.locator("article.one").get_attribute("data-item")
    phone.get_by_role("button", name="Approve", exact=True).tap()
    phone.wait_for_function("(id) => document.querySelector('article.one')?.dataset.item !== id", arg=at)
    again = log_in(browser, running, "reviewer", **small)
    again.goto(f"{running.pages}/review/{night_id}/next")
    assert left(again) == before - 1
    assert again.locator("article.one").get_attribute("data-item") != at
    assert again.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing to push sideways"
    again.get_by_role("button", name="Undo my last").tap()
    again.wait_for_selector("text=Taken back: it waits for a decision again.")
    assert left(again) == before


def test_without_javascript_every_form_works(running: Running, browser: Any) -> None:
    """Edit and undo by plain forms: the pages need no script, they are only quicker with one."""
    night_id = running.night("blog_drafts")["id"]
    page = log_in(browser, running, "reviewer")
    plain = browser.new_context(java_script_enabled=False, storage_state=page.context.storage_state()).new_page()
    plain.goto(f"{running.pages}/review/{night_id}/next")
    where = plain.url.split("?")[0]
    plain.get_by_text("Edit", exact=True).click()
    plain.locator("textarea[name='edited.title']").fill("A title without a script")
    plain.get_by_role("button", name="Approve with these edits").click()
    plain.wait_for_selector("text=Approved with your edits.")
    plain.goto(where)
    assert plain.locator("ins").count() > 0, "what was changed is shown"
    plain.get_by_role("button", name="Undo", exact=True).click()
    plain.wait_for_selector("text=Taken back: it waits for a decision again.")
    assert decided(running, night_id) == {}
