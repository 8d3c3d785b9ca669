"""The review page: one item after the other, two people at once, a decision taken back, many at once where the policy lets them."""

import re
from datetime import timedelta
from typing import Any

import pytest

from overnight.ledger import audit, holds, review_line, reviews
from overnight.ledger.connect import Ledger
from tests.support.project import Project
from tests.support.reviewed import NOW, draft, entries, shown
from tests.support.visitors import HOME, Guest, client

JSON = {**HOME, "accept": "application/json"}


class Review:
    """A night of drafts in review, with its pages."""

    def __init__(self, ledger: Ledger, count: int, **facts: Any) -> None:
        self.ledger = ledger
        _, self.night = shown(ledger, "page", [draft(n) for n in range(count)], **facts)
        self.items = entries(ledger, self.night)
        self.path = f"/review/{self.night['id']}"

    def at(self, guest: Guest) -> Any:
        return client(guest, self.ledger, lambda: NOW)

    def hash_of(self, item_id: int) -> str:
        return next(str(item["output_hash"]) for item in self.items if item["id"] == item_id)

    def decide(self, at: Any, item_id: int, decision: str = "approve", headers: dict[str, str] = HOME, **form: str) -> Any:
        data = {"item_id": str(item_id), "decision": decision, "output_hash": self.hash_of(item_id), **form}
        return at.post(f"{self.path}/decide", data=data, headers=headers)

    def decided(self) -> dict[int | None, str]:
        with self.ledger.read() as conn:
            return {item_id: row["decision"] for item_id, row in reviews.effective(conn, self.night["id"]).items()}


def test_a_reviewer_goes_from_item_to_item_and_is_told_when_nothing_is_left(ledger: Ledger) -> None:
    """Riskiest first; each answer leads to the next open one; the end says so."""
    review = Review(ledger, 3)
    ada = review.at(Guest("ada"))
    at = ada.get(f"{review.path}/next").headers["location"]
    seen = []
    while "/item/" in at:
        page = ada.get(at)
        seen.append(int(re.search(r"/item/(\d+)", at).group(1)))  # type: ignore[union-attr]
        assert f"{3 - len(seen) + 1} left to decide" in page.text
        answer = review.decide(ada, seen[-1], then="next")
        at = ada.get(answer.headers["location"]).headers["location"]
    assert seen == [item["id"] for item in review.items]
    assert "Nothing+is+left" in at or "approved" in at
    assert set(review.decided().values()) == {"approve"}


def test_what_the_digest_speaks_for_is_counted_beside_what_is_left(ledger: Ledger) -> None:
    """Sixty staged and two to decide: the list of reviews says where the others are."""
    review = Review(ledger, 5, buckets=["ready", "ready", "covered", "covered", "covered"])
    page = review.at(Guest("ada")).get("/review").text
    assert re.search(r">2 <span[^>]*>and 3 in the digest</span>", page)


def test_two_people_at_once_meet_different_items_and_see_who_has_what(ledger: Ledger) -> None:
    """The second is led past what the first has open, cannot decide it unasked, and can take it over."""
    review = Review(ledger, 2)
    first, second = (item["id"] for item in review.items)
    ada, ben = review.at(Guest("ada")), review.at(Guest("ben"))
    ada.get(f"{review.path}/item/{first}")
    assert ben.get(f"{review.path}/next").headers["location"].endswith(f"/item/{second}")
    assert "Ada Byron</strong> has this open" in ben.get(f"{review.path}/item/{first}").text
    refused = review.decide(ben, first, headers=JSON)
    assert (refused.status_code, refused.json()["error"].startswith("Ada Byron has this item open")) == (409, True)
    assert review.decided() == {}
    ben.post(f"{review.path}/hold", data={"item_id": str(first), "take": "yes"}, headers=HOME)
    assert review.decide(ben, first).status_code == 303
    assert "Ben Okafor" in review.decide(ada, first, headers=JSON).json()["error"]


def test_a_page_that_is_loaded_ahead_holds_nothing_and_a_hold_ends_by_itself(ledger: Ledger) -> None:
    """What is loaded ahead may never be looked at; a closed browser lets go within minutes."""
    review = Review(ledger, 2)
    first, second = (item["id"] for item in review.items)
    ada = review.at(Guest("ada"))
    ada.get(f"{review.path}/item/{first}?ahead=true")
    review.at(Guest("vic", decides=False)).get(f"{review.path}/item/{first}")
    with ledger.read() as conn:
        assert holds.held(conn, review.night["id"], now=NOW) == {}
    ada.get(f"{review.path}/item/{first}")
    with ledger.read() as conn:
        assert {item: row["person"] for item, row in holds.held(conn, review.night["id"], now=NOW).items()} == {
            first: "Ada Byron"
        }
        later = NOW + holds.FOR + timedelta(seconds=1)
        assert holds.held(conn, review.night["id"], now=later) == {}
        assert review_line.next_open(conn, review.night["id"], "Ben Okafor", now=NOW) == second
        assert review_line.next_open(conn, review.night["id"], "Ben Okafor", now=later) == first


def test_a_decision_is_taken_back_until_it_went_on_its_way(ledger: Ledger) -> None:
    """One's own, and only that; the item is open again, and the log knows both."""
    review = Review(ledger, 1)
    (item,) = review.items
    ada, ben = review.at(Guest("ada")), review.at(Guest("ben"))
    review.decide(ada, item["id"])
    undo = {"item_id": str(item["id"])}
    assert "Ada Byron decided this" in ben.post(f"{review.path}/undo", data=undo, headers=JSON).json()["error"]
    assert ada.post(f"{review.path}/undo", data=undo, headers=JSON).json()["left"] == 1
    assert review.decided() == {}
    assert "no decision of yours" in ada.post(f"{review.path}/undo", data=undo, headers=JSON).json()["error"]
    review.decide(ada, item["id"])
    with ledger.write() as conn:
        reviews.collected(conn, [row["id"] for row in reviews.effective(conn, review.night["id"]).values()], NOW)
    assert "went on its way" in ada.post(f"{review.path}/undo", data=undo, headers=JSON).json()["error"]
    with ledger.read() as conn:
        verbs = [event["verb"] for event in audit.of_object(conn, "item", str(item["id"]))]
    assert verbs.count("undo") == 1


def test_the_last_one_is_taken_back_from_wherever_one_is(ledger: Ledger) -> None:
    """The next page was loaded before the decision was made, so it cannot name it: the server knows which was the last."""
    review = Review(ledger, 3)
    ada = review.at(Guest("ada"))
    for item in review.items[:2]:
        review.decide(ada, item["id"])
    taken = ada.post(f"{review.path}/undo", data={"item_id": "last", "then": "item"}, headers=HOME)
    assert taken.headers["location"].partition("?")[0].endswith(f"/item/{review.items[1]['id']}")
    assert set(review.decided()) == {review.items[0]["id"]}
    ada.post(f"{review.path}/undo", data={"item_id": "last"}, headers=JSON)
    assert review.decided() == {}
    refused = ada.post(f"{review.path}/undo", data={"item_id": "last"}, headers=JSON)
    assert (refused.status_code, "no decision of yours" in refused.json()["error"]) == (409, True)


def test_a_first_yes_of_two_is_taken_back_too(ledger: Ledger) -> None:
    """It decided nothing, and is not counted any more when the second comes."""
    review = Review(ledger, 1, tiers=["T3"])
    (item,) = review.items
    emil, dana = review.at(Guest("emil")), review.at(Guest("dana"))
    assert "first yes" in review.decide(emil, item["id"], headers=JSON).json()["said"]
    assert ">Undo</button>" in emil.get(f"{review.path}/item/{item['id']}?ahead=true").text
    told = emil.post(f"{review.path}/undo", data={"item_id": str(item["id"])}, headers=JSON).json()
    assert told["said"] == "taken back: your first yes"
    assert "first yes" in review.decide(dana, item["id"], headers=JSON).json()["said"]


def test_many_are_approved_at_once_only_where_the_policy_lets_them(ledger: Ledger, project: Project) -> None:
    """What is ready and chosen; what needs eyes of its own stays, and the words say why."""
    review = Review(ledger, 3, buckets=["ready", "ready", "warning"])
    chosen = {"chosen": [f"{item['id']}:{item['output_hash']}" for item in review.items]}
    ada = review.at(Guest("ada"))
    project.policy("blog_drafts", lambda policy: policy["approval"].update(bulk=False))
    refused = ada.post(f"{review.path}/decide-many", data=chosen, headers=JSON)
    assert "wants each item looked at" in refused.json()["error"]
    assert 'name="chosen"' not in ada.get(f"{review.path}?view=grid").text
    project.policy("blog_drafts", lambda policy: policy["approval"].update(bulk=True))
    assert ada.get(f"{review.path}?view=grid").text.count('name="chosen"') == 2
    told = ada.post(f"{review.path}/decide-many", data=chosen, headers=JSON).json()
    assert told["said"] == "approved 2; 1 not: Only what is ready can be approved with others; look at this by itself."
    assert told["left"] == 1


def test_an_edit_is_shown_word_by_word_before_and_after_it_is_sent(ledger: Ledger) -> None:
    """What goes and what comes, from the server's own comparison."""
    review = Review(ledger, 1)
    (item,) = review.items
    ada = review.at(Guest("ada"))
    parts = ada.post(f"{review.path}/difference", data={"before": "a warm tent", "after": "a dry tent"}, headers=JSON).json()
    assert parts == [["same", "a "], ["gone", "warm"], ["new", "dry"], ["same", " tent"]]
    assert review.decide(ada, item["id"], "edit", **{"edited.title": "A new title"}).status_code == 303
    page = ada.get(f"{review.path}/item/{item['id']}").text
    assert "<ins>" in page
    assert "Approved with edits by Ada Byron" in page


def test_what_was_written_is_not_lost_with_a_refusal(ledger: Ledger) -> None:
    """Without JavaScript the refusal is a page of its own, and the note stands on it."""
    review = Review(ledger, 1)
    (item,) = review.items
    refused = review.decide(review.at(Guest("ada")), item["id"], "rework", reason_code="", note="A long <b>note</b>.")
    assert refused.status_code == 409
    assert "A long &lt;b&gt;note&lt;/b&gt;." in refused.text
    assert review.decided() == {}


@pytest.mark.parametrize("query", ["?view=list&page=2", "?view=grid", "?view=grid&bucket=warning", "?waits=true"])
def test_every_view_pages_on_the_server(ledger: Ledger, query: str) -> None:
    """Thirty items: no view holds more than its page, and none is too heavy for a phone."""
    review = Review(ledger, 30)
    answer = review.at(Guest("ada")).get(review.path + query)
    assert answer.status_code == 200
    assert len(answer.content) < 300_000
    assert answer.text.count('class="card') <= 25 + 3


def test_an_item_of_another_night_is_not_there(ledger: Ledger) -> None:
    """An address put together by hand shows and changes nothing."""
    review = Review(ledger, 1)
    ada = review.at(Guest("ada"))
    assert ada.get(f"{review.path}/item/999").status_code == 404
    assert ada.get("/review/999/next").status_code == 404
    assert "Nothing was decided" in ada.post(
        f"{review.path}/decide", data={"item_id": "99x", "decision": "approve"}, headers=JSON
    ).json()["error"]  # fmt: skip
