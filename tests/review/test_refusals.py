"""What cannot be taken is refused beside the row, in words for the reviewer; nothing is decided and nothing is overwritten."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook

from overnight.ledger import exhibits, reviews, verify
from overnight.ledger.connect import Ledger
from overnight.review.collect import CollectFailed
from tests.support.desk import Desk
from tests.support.reviewed import NOW, bring_home, draft, entries, shown

END = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)  # 13:00 in Berlin: the review block is over


class Book:
    """A reviewer at a workbook: the same rules hold on every surface, this one needs no server."""

    def __init__(self, folder: Path) -> None:
        (self.path,) = folder.rglob("*.xlsx")

    def fill(self, line: int, **cells: str) -> None:
        book = load_workbook(self.path)
        sheet = book.worksheets[0]
        at = {cell.value: cell.column for cell in sheet[1]}
        for name, value in {"reviewer": "ada", **cells}.items():
            sheet.cell(line + 2, at[name.replace("_", " ")], value)
        book.save(self.path)

    def copy(self, line: int) -> None:
        book = load_workbook(self.path)
        sheet = book.worksheets[0]
        sheet.append([cell.value for cell in sheet[line + 2]])
        book.save(self.path)

    def words(self) -> list[str]:
        import csv

        answers = self.path.with_suffix(".answers.csv")
        return [row["overnight says"] for row in csv.DictReader(answers.open(encoding="utf-8-sig"))] if answers.exists() else []


@pytest.fixture
def night(sqlite_ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("OVERNIGHT_REVIEW_DIR", str(tmp_path / "review"))
    _, made = shown(sqlite_ledger, "xlsx", [draft(n) for n in range(4)])
    return made


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ({"decision": "aprove"}, "'aprove' is no decision; write approve, edit or rework"),
        ({"decision": "approve", "reviewer": ""}, "Who decided?"),
        ({"decision": "rework", "note": "no reason"}, "A rework needs a reason and a note"),
        ({"decision": "rework", "reason": "Because", "note": "x"}, "'Because' is no reason"),
        ({"decision": "rework", "reason": "Too long"}, "A rework needs a reason and a note"),
        ({"decision": "edit"}, "No edit found"),
        ({"decision": "edit", "slug: your version": "Not A Slug"}, "Your edit does not fit: slug"),
        ({"decision": "approve", "title: your version": "Mine"}, "You wrote your own version of title, but chose approve"),
        ({"decision": "approve", "title": "Changed by hand"}, "Cells that Overnight wrote were changed in this row"),
        ({"decision": "approve", "ref": "1-00000000"}, "This is not a row of this night"),
    ],
)
def test_a_row_that_cannot_be_taken_says_why_and_decides_nothing(
    sqlite_ledger: Ledger, tmp_path: Path, night: Any, cells: dict[str, str], words: str
) -> None:
    """Unknown words, missing reasons, no reviewer, edits off the model, changed cells, another version's ref."""
    book = Book(tmp_path / "review")
    book.fill(0, **cells)
    assert bring_home(sqlite_ledger) == {"refused": 1}
    assert [item["state"] for item in entries(sqlite_ledger, night)] == ["in_review"] * 4
    assert any(words in said for said in book.words()), book.words()
    with sqlite_ledger.read() as conn:
        assert verify.problems(conn) == []


def test_a_row_that_stands_twice_counts_once_when_both_say_the_same_and_not_at_all_when_they_do_not(
    sqlite_ledger: Ledger, tmp_path: Path, night: Any
) -> None:
    """Copies agree or are refused."""
    book = Book(tmp_path / "review")
    book.fill(0, decision="approve")
    book.copy(0)
    book.fill(1, decision="approve")
    book.copy(1)
    book.fill(5, decision="rework", reason="Too long", note="half of it")
    assert bring_home(sqlite_ledger) == {"approve": 1, "refused": 2}
    assert any("This row stands twice" in said for said in book.words())


def test_what_went_on_its_way_is_not_changed_by_a_later_word(sqlite_ledger: Ledger, tmp_path: Path, night: Any) -> None:
    """The row is told who decided what, and when."""
    book = Book(tmp_path / "review")
    book.fill(0, decision="approve")
    bring_home(sqlite_ledger)
    book.fill(0, decision="rework", reason="Too long", note="on second thoughts")
    assert bring_home(sqlite_ledger) == {"refused": 1}
    assert any("It was approved by Ada Byron" in said and "not taken" in said for said in book.words())
    assert entries(sqlite_ledger, night)[0]["state"] == "approved"


def test_the_undecided_are_told_that_they_wait_when_the_block_is_over(sqlite_ledger: Ledger, tmp_path: Path, night: Any) -> None:
    """Never approved; looked for again the next morning."""
    book = Book(tmp_path / "review")
    bring_home(sqlite_ledger)
    assert book.words() == []
    bring_home(sqlite_ledger, END)
    assert len(book.words()) == 4
    assert all("No decision yet: it waits" in said for said in book.words())
    assert {item["state"] for item in entries(sqlite_ledger, night)} == {"in_review"}
    with sqlite_ledger.read() as conn:
        assert [n["id"] for n in exhibits.in_review(conn, "xlsx", END.replace(year=2027))] == [night["id"]]


def test_a_large_edit_counts_as_rework_in_the_metrics_and_its_diff_is_kept(
    sqlite_ledger: Ledger, tmp_path: Path, night: Any
) -> None:
    """More than 30 % of the characters is a rewrite in disguise; a small edit is an edit."""
    book = Book(tmp_path / "review")
    book.fill(0, decision="edit", **{"title: your version": "A title of mine"})
    book.fill(1, decision="edit", **{"body markdown: your version": "## Mine\n\n" + "Quite another text altogether. " * 14})
    assert bring_home(sqlite_ledger) == {"edit": 2}
    with sqlite_ledger.read() as conn:
        small, large = [reviews.effective(conn, night["id"])[item["id"]] for item in entries(sqlite_ledger, night)[:2]]
    assert (small["heavy"], large["heavy"]) == (False, True)
    assert 0 < small["edit_share"] < 0.3 < large["edit_share"]
    assert "-Draft number 0" in small["edit_diff"]
    assert "+A title of mine" in small["edit_diff"]


def test_sent_back_as_often_as_may_be_an_item_is_a_persons_to_write(sqlite_ledger: Ledger, tmp_path: Path, night: Any) -> None:
    """No further draft is bought; the reviewer's own version ends it."""
    from sqlalchemy import update

    from overnight.ledger.tables import items

    book = Book(tmp_path / "review")
    with sqlite_ledger.write() as conn:
        conn.execute(update(items).values(rounds=3))
    book.fill(0, decision="rework", reason="Too long", note="again")
    assert bring_home(sqlite_ledger) == {"rework": 1}
    item = entries(sqlite_ledger, night)[0]
    assert item["state"] == "failed"
    assert "A person writes it" in item["message"]
    with sqlite_ledger.read() as conn:
        from overnight.ledger import queue

        assert queue.waiting(conn, "blog_drafts") == []
    assert bring_home(sqlite_ledger) == {"refused": 1}, "the same word again buys nothing and is told so"
    assert any("sent back as often as may be: write it yourself" in said for said in book.words())
    book.fill(0, decision="edit", **{"title: your version": "Written by hand"})
    assert bring_home(sqlite_ledger) == {"edit": 1}
    assert (item := entries(sqlite_ledger, night)[0])["state"] == "edited"
    assert item["output"]["title"] == "Written by hand"
    with sqlite_ledger.read() as conn:
        assert verify.problems(conn) == []


def test_a_failed_draft_that_was_sent_back_as_often_as_may_be_is_a_persons_to_write(
    sqlite_ledger: Ledger, tmp_path: Path, night: Any
) -> None:
    """Its last draft failed a check instead of a reviewer: nobody buys another, and it is not lost either."""
    from sqlalchemy import update

    from overnight.ledger.tables import items

    book = Book(tmp_path / "review")
    first = entries(sqlite_ledger, night)[0]
    with sqlite_ledger.write() as conn:
        conn.execute(update(items).where(items.c.id == first["id"]).values(rounds=3, state="failed", bucket="failed"))
    book.fill(0, decision="rework", reason="Too long", note="again")
    assert bring_home(sqlite_ledger) == {"rework": 1}
    (item,) = [one for one in entries(sqlite_ledger, night) if one["id"] == first["id"]]
    assert (item["state"], item["bucket"]) == ("failed", "by_hand")
    assert "A person writes it" in item["message"]
    book.fill(0, decision="edit", **{"title: your version": "Written by hand"})
    assert bring_home(sqlite_ledger) == {"edit": 1}
    (item,) = [one for one in entries(sqlite_ledger, night) if one["id"] == first["id"]]
    assert (item["state"], item["output"]["title"]) == ("edited", "Written by hand")


def test_what_leaves_the_night_or_the_checklist_changes_no_other_row(
    sqlite_ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one row with a column of its own goes into the next night, and the checklist gets a line: the rest is still decided."""
    from sqlalchemy import update

    from overnight import prompts
    from overnight.ledger.tables import items

    monkeypatch.setenv("OVERNIGHT_REVIEW_DIR", str(tmp_path / "review"))
    _, night = shown(sqlite_ledger, "xlsx", [draft(0), draft(1), {**draft(2), "aside": "only here"}])
    book = Book(tmp_path / "review")
    last = entries(sqlite_ledger, night)[-1]
    with sqlite_ledger.write() as conn:
        conn.execute(update(items).where(items.c.id == last["id"]).values(night_id=None, state="locked"))
    standing = prompts.checklist
    monkeypatch.setattr(prompts, "checklist", lambda declared: (*standing(declared), "one more line"))
    book.fill(0, decision="approve")
    assert bring_home(sqlite_ledger) == {"approve": 1}


def test_a_refusal_in_a_second_workbook_is_on_record_once(sqlite_ledger: Ledger, tmp_path: Path, night: Any) -> None:
    """A row that somebody deleted comes back in a workbook of its own; what is said there is not said anew at every look."""
    book = load_workbook(Book(tmp_path / "review").path)
    book.worksheets[0].delete_rows(2)
    book.save(Book(tmp_path / "review").path)
    bring_home(sqlite_ledger)
    (more,) = (tmp_path / "review").rglob("*(more).xlsx")
    second = load_workbook(more)
    at = {cell.value: cell.column for cell in second.worksheets[0][1]}
    second.worksheets[0].cell(2, at["decision"], "aprove")
    second.worksheets[0].cell(2, at["reviewer"], "ada")
    second.save(more)
    for _ in range(3):
        assert bring_home(sqlite_ledger) == {"refused": 1}
    with sqlite_ledger.read() as conn:
        refused = conn.exec_driver_sql("SELECT count(*) FROM audit_events WHERE verb = 'refuse'").scalar()
    assert refused == 1


def test_all_that_is_ready_is_approved_at_once_only_where_the_policy_allows_it(
    sqlite_ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """blog_drafts does not allow it; with a policy that does, one row speaks for the ready ones and for no other."""
    from overnight.review import exhibit

    monkeypatch.setenv("OVERNIGHT_REVIEW_DIR", str(tmp_path / "review"))
    with sqlite_ledger.read() as conn:
        assert exhibit.bulk_allowed(conn, "blog_drafts") is False
    monkeypatch.setattr(exhibit, "bulk_allowed", lambda *_: True)
    _, night = shown(sqlite_ledger, "xlsx", [draft(n) for n in range(4)], buckets=["warning", "ready", "ready", "ready"])
    book = Book(tmp_path / "review")
    book.fill(2, decision="rework", reason="Too long", note="this one not")
    book.fill(0, decision="approve")  # the row "all that is ready" stands first
    assert bring_home(sqlite_ledger) == {"approve": 2, "rework": 1}
    assert [item["state"] for item in entries(sqlite_ledger, night)] == ["in_review", "rework", "approved", "approved"]
    monkeypatch.setattr(exhibit, "bulk_allowed", lambda *_: False)  # its quality drifts since
    assert bring_home(sqlite_ledger) == {}, "what was decided and stands there still is nobody's mistake"
    assert any("stays approved" in said for said in book.words())


@pytest.fixture
def sheets(desk: Desk, sqlite_ledger: Ledger) -> Any:
    _, made = shown(sqlite_ledger, "sheets", [draft(0, words="=1+1"), {**draft(1), "title": "=HYPERLINK(1)"}])
    return made


def test_no_text_becomes_a_formula_and_our_columns_are_protected(desk: Desk, sheets: Any) -> None:
    """RAW and never USER_ENTERED: what starts with = + - @ stays what it is."""
    assert [row["title"] for row in desk.tab("blog_drafts 2026-11-23")] == ["Draft number 0", "=HYPERLINK(1)"]
    (doc,) = [d for d in desk.dump("spreadsheet") if d["id"] == "overnight-sheet"]
    tab = doc["sheets"][-1]
    names, rules = tab["rows"][0], tab["rules"]
    protected = {rule["protectedRange"]["range"].get("startColumnIndex") for rule in rules["addProtectedRange"]}
    theirs = {"decision", "reason", "note", "reviewer"}
    assert {names[n] for n in protected if n is not None}.isdisjoint(theirs)
    assert {"title", "overnight says", "ref"} <= {names[n] for n in protected if n is not None}
    assert {view["filter"]["title"] for view in rules["addFilterView"]} == {"Exceptions", "Still to decide"}
    drop_downs = [rule["rule"]["condition"]["type"] for rule in rules["setDataValidation"]]
    assert drop_downs.count("ONE_OF_LIST") == 2


def test_a_renamed_header_stops_that_tab_alone_with_words_and_an_alert(desk: Desk, sqlite_ledger: Ledger, sheets: Any) -> None:
    """The other night's decisions go home; what to do stands in the alert."""
    _, other = shown(sqlite_ledger, "sheets", [draft(7)], run_id="manual__2", night="2026-11-22")
    from overnight.rehearsal.desk import decide

    decide(desk.sandbox.url, "sheets", "2026-11-22", {"approve": 1}, editable="title")
    (doc,) = [d for d in desk.dump("spreadsheet") if d["id"] == "overnight-sheet"]
    tab = next(s for s in doc["sheets"] if s["properties"]["title"] == "blog_drafts 2026-11-23")
    tab["rows"][0][tab["rows"][0].index("decision")] = "my decision"
    desk.make("spreadsheet", id="overnight-sheet", whole=doc)
    with pytest.raises(CollectFailed, match="has no column decision: somebody renamed or deleted it"):
        bring_home(sqlite_ledger)
    assert entries(sqlite_ledger, other)[0]["state"] == "approved"
    from overnight.ledger import alerts

    with sqlite_ledger.read() as conn:
        (alert,) = alerts.of_run(conn, "blog_drafts", "manual__1")
    assert alert["kind"] == "surface_broken"
    assert alert["raised_at"] == NOW


def test_an_edit_in_the_document_of_a_long_draft_comes_home(
    desk: Desk, sqlite_ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One document a draft, linked from the sheet; what was changed there is the reviewer's version."""
    import json

    from overnight.rehearsal.desk import decide

    conn = desk.connections["overnight_sheets"]
    conn["extra"]["documents_folder"] = "overnight-drafts"
    monkeypatch.setenv("AIRFLOW_CONN_OVERNIGHT_SHEETS", json.dumps(conn))
    _, night = shown(sqlite_ledger, "sheets", [draft(0), draft(1)])
    first = desk.tab("blog_drafts 2026-11-23")[0]
    document = first["document"].split("/d/")[1].split("/")[0]
    (doc,) = [d for d in desk.dump("document") if d["id"] == document]
    assert doc["text"] == draft(0)["body_markdown"]
    desk.make("document", id=document, text=doc["text"] + "\n\nA closing line of my own.")
    decide(desk.sandbox.url, "sheets", "blog_drafts", {"approve": 1}, editable="title")
    assert bring_home(sqlite_ledger) == {"refused": 1}, "approve beside a changed document is a contradiction"
    desk.write("sheets", "1-", {"decision": "edit"})
    assert bring_home(sqlite_ledger) == {"edit": 1}
    edited = entries(sqlite_ledger, night)[0]
    assert edited["output"]["body_markdown"].endswith("A closing line of my own.")
