"""What a reviewer writes: read by the rules like a model's words, taken whole, and never overwritten or approved over."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from overnight.ledger import measures, reviews
from overnight.ledger.audit import Actor
from overnight.ledger.connect import Ledger
from overnight.ledger.reviews import DecisionRefused
from overnight.ledger.tables import night_items
from overnight.review import exhibit, table
from overnight.services import google
from overnight.workflow import workflow
from tests.review.test_refusals import Book
from tests.support.desk import Desk
from tests.support.project import Project
from tests.support.reviewed import NOW, bring_home, draft, entries, shown
from tests.support.visitors import press
from tests.workflows.good import GOOD


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OVERNIGHT_REVIEW_DIR", str(tmp_path / "review"))
    return tmp_path / "review"


MAIN = sorted({name: (item, answer) for (name, _), (item, answer) in GOOD.items()}.items())


@pytest.mark.parametrize("name", [name for name, _ in MAIN])
def test_no_two_columns_of_a_review_are_called_the_same(name: str, sqlite_ledger: Ledger) -> None:
    """A row is read by its headers: the model's own "reason" would be taken for the reviewer's."""
    answers = [answer for (whose, _), (_, answer) in GOOD.items() if whose == name]
    item = dict(next(item for (whose, _), (item, _) in GOOD.items() if whose == name))
    _, night = shown(sqlite_ledger, "page", answers, workflow=name, inputs=[item] * len(answers))
    with sqlite_ledger.read() as conn:
        columns = [column.name for column in table.columns(exhibit.build(conn, night), document=True)]
    assert len(columns) == len(set(columns)), sorted(columns)


def test_a_return_is_approved_in_a_workbook_whatever_reason_the_model_gave(sqlite_ledger: Ledger, folder: Path) -> None:
    """Both columns were called "reason": every row was refused with the model's word in the reviewer's name."""
    item, answer = next(pair for (name, _), pair in GOOD.items() if name == "returns_triage")
    _, night = shown(sqlite_ledger, "xlsx", [answer], workflow="returns_triage", inputs=[item])
    Book(folder).fill(0, decision="approve")
    assert bring_home(sqlite_ledger) == {"approve": 1}
    assert [one["state"] for one in entries(sqlite_ledger, night)] == ["approved"]


@pytest.mark.parametrize(("who", "taken"), [("emil", False), ("chidi", True)])
def test_an_edit_that_says_what_a_rule_forbids_needs_a_named_approver(
    who: str, taken: bool, sqlite_ledger: Ledger, project: Project
) -> None:
    """A yes to the draft is no yes to a claim that came after it; a harmless edit is anybody's."""
    project.policy("shopify_pages", lambda policy: policy["approval"].update(approvers=["chidi"], owners=["Ada Byron"]))
    item, answer = next(pair for (name, _), pair in GOOD.items() if name == "shopify_pages")
    _, night = shown(sqlite_ledger, "page", [answer] * 2, workflow="shopify_pages", inputs=[item] * 2)
    first, second = entries(sqlite_ledger, night)

    def edit(one: Any, **texts: str) -> str:
        form = {"decision": "edit", "output_hash": one["output_hash"], **{f"edited.{name}": text for name, text in texts.items()}}
        with sqlite_ledger.write() as conn:
            return press(conn, night["id"], one["id"], form, who=who, now=NOW)

    claim = {"seo_description": "A clinically proven tent for two people, now half price."}
    if taken:
        edit(first, **claim)
    else:
        with pytest.raises(DecisionRefused, match="Your version: .*certificate.*needs"):
            edit(first, **claim)
    edit(second, seo_description="A light tent for two people, easy to carry.")
    assert bring_home(sqlite_ledger) == {"edit": 2 if taken else 1}


def test_a_text_that_is_emptied_is_an_edit(sqlite_ledger: Ledger) -> None:
    """What she deleted was delivered all the same."""
    _, night = shown(sqlite_ledger, "page", [draft(1)])
    (item,) = entries(sqlite_ledger, night)
    form = {
        "decision": "edit",
        "output_hash": item["output_hash"],
        "edited.image_brief": "",
        "edited.title": item["output"]["title"],
    }
    with sqlite_ledger.write() as conn:
        press(conn, night["id"], item["id"], form, who="ada", now=NOW)
    assert bring_home(sqlite_ledger) == {"edit": 1}
    assert entries(sqlite_ledger, night)[0]["output"]["image_brief"] == ""


def test_all_at_once_approves_no_row_in_which_somebody_began_to_write(
    sqlite_ledger: Ledger, folder: Path, project: Project
) -> None:
    """She wrote her own title and forgot the decision: the model's would have gone out."""
    project.policy("blog_drafts", lambda policy: policy["approval"].update(bulk=True))
    _, night = shown(sqlite_ledger, "xlsx", [draft(n) for n in range(3)])
    book = Book(folder)
    book.fill(1, **{"title: your version": "An hour's work"})
    book.fill(0, decision="approve")
    assert bring_home(sqlite_ledger) == {"approve": 2}
    assert sorted(one["state"] for one in entries(sqlite_ledger, night)) == ["approved", "approved", "in_review"]
    assert any("chose no decision" in said for said in book.words())


def test_a_row_that_was_sent_back_is_told_so_also_when_its_item_is_in_the_next_night(sqlite_ledger: Ledger, folder: Path) -> None:
    """It was told "Nothing was decided", and the log had a refusal in her name."""
    _, night = shown(sqlite_ledger, "xlsx", [draft(1)])
    book = Book(folder)
    book.fill(0, decision="rework", reason="Too long", note="Half of it.")
    assert bring_home(sqlite_ledger) == {"rework": 1}
    (item,) = entries(sqlite_ledger, night)
    from overnight.ledger import transitions
    from overnight.ledger.states import ItemState
    from tests.support.reviewed import stage

    _, later = stage(sqlite_ledger, "page", [draft(2)], run_id="manual__2", night="2026-11-24")
    with sqlite_ledger.write() as conn:
        actor = Actor("agent", "blog_drafts")
        transitions.move(
            conn, "item", [item["id"]], ItemState.LOCKED, night_id=later["id"], workflow="blog_drafts", actor=actor, now=NOW
        )
    assert bring_home(sqlite_ledger) == {}
    assert any(said.startswith("Sent back") and "by Ada Byron" in said for said in book.words())


def test_what_failed_and_was_sent_back_is_no_rework_of_a_draft(sqlite_ledger: Ledger) -> None:
    """A vendor's bad night was a drift alarm, and froze the prompt."""
    _, night = shown(sqlite_ledger, "page", [draft(n) for n in range(3)])
    first, second, _ = entries(sqlite_ledger, night)
    row = {"decision": "rework", "reviewer": "ada", "surface": "page", "reason_code": "too_long", "note": "again"}
    with sqlite_ledger.write() as conn:
        for item in (first, second):
            reviews.decide(conn, night["id"], item["id"], dict(row), actor=Actor("human", "ada"), now=NOW)
        failed = (night_items.c.night_id == night["id"]) & (night_items.c.item_id == first["id"])
        conn.execute(update(night_items).where(failed).values(outcome="failed"))
        assert measures.take(conn, night)["rework"] == 1


def test_a_tab_that_a_person_hid_keeps_what_stands_in_it(desk: Desk, sqlite_ledger: Ledger) -> None:
    """Hidden was taken for half made: a row that was deleted emptied everybody's cells."""
    shown(sqlite_ledger, "sheets", [draft(0), draft(1)])
    (doc,) = [d for d in desk.dump("spreadsheet") if d["id"] == "overnight-sheet"]
    tab = next(s for s in doc["sheets"] if s["properties"]["title"].startswith("blog_drafts"))
    header = tab["rows"][0]
    tab["rows"][1][header.index("ref")], kept = tab["rows"][1][header.index("ref")], list(tab["rows"][1])
    row = [*kept, *[""] * (len(header) - len(kept))]
    row[header.index("title: your version")] = "An hour's work"
    tab["rows"] = [header, row]
    tab["properties"]["hidden"] = True
    desk.make("spreadsheet", id="overnight-sheet", whole=doc)
    bring_home(sqlite_ledger)
    rows = desk.tab("blog_drafts 2026-11-23")
    assert [one.get("title: your version", "") for one in rows] == ["An hour's work", ""]
    assert len(rows) == 2, "and the row that was deleted is back"


def test_a_draft_that_comes_back_as_it_was_takes_over_no_decision_of_the_last_night(desk: Desk, sqlite_ledger: Ledger) -> None:
    """The record was found by its ref alone: last night's rework was taken again, in a person's name, with nobody looking."""
    shown(sqlite_ledger, "airtable", [draft(1)])
    desk.write("airtable", "1-", {"decision": "rework", "reason": "Too long", "note": "Half of it.", "reviewer": "ada"})
    assert bring_home(sqlite_ledger) == {"rework": 1}
    _, later = shown(sqlite_ledger, "airtable", [draft(1)], run_id="manual__2", night="2026-11-24")
    (item,) = entries(sqlite_ledger, later)
    base = next(one for one in desk.dump("airtable_base") if any(t["name"] == "review blog_drafts" for t in one["tables"]))
    records = next(t for t in base["tables"] if t["name"] == "review blog_drafts")["records"]
    assert [(r["fields"]["night"], r["fields"].get("decision")) for r in records] == [
        ("2026-11-23", "rework"),
        ("2026-11-24", None),
    ]
    assert bring_home(sqlite_ledger) == {}
    assert item["state"] == "in_review"


@pytest.mark.parametrize(
    ("element", "words"),
    [
        ({"textRun": {"content": "cheap", "suggestedDeletionIds": ["s1"]}}, "holds suggestions"),
        ({"textRun": {"content": "fine", "suggestedInsertionIds": ["s1"]}}, "holds suggestions"),
        ({"inlineObjectElement": {"inlineObjectId": "x"}}, "holds a inline object"),
    ],
)
def test_a_document_whose_text_is_not_settled_is_not_read(element: dict[str, Any], words: str, desk: Desk) -> None:
    """Suggested and deleted words stood side by side in what was delivered."""
    client = google.connect()
    paragraph = {"paragraph": {"elements": [{"textRun": {"content": "We sell "}}, element]}}
    client._call = lambda *_: {"body": {"content": [{"sectionBreak": {}}, paragraph]}}  # type: ignore[method-assign]
    with pytest.raises(google.Unclear, match=words):
        client.read_document("x")


def test_a_title_is_the_rows_id_where_its_texts_were_removed() -> None:
    """Retention cleared one item of a night that waits for another: no decision of that surface came home any more."""
    for name in ("blog_drafts", "review_sentiment"):
        assert exhibit.title_of({"input": {}, "key": "b7"}, workflow(name)) == "b7"
