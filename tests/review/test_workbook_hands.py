"""What people do at a workbook that nobody planned: they leave cells empty, think twice, save what is not theirs."""

from pathlib import Path

import pytest
from openpyxl import load_workbook

from overnight.ledger import alerts, audit, exhibits, reviews
from overnight.ledger.connect import Ledger
from overnight.review.collect import CollectFailed
from tests.review.test_refusals import Book
from tests.support.project import Project
from tests.support.reviewed import bring_home, draft, entries, shown


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OVERNIGHT_REVIEW_DIR", str(tmp_path / "review"))
    return tmp_path / "review"


def saved_by(path: Path, person: str) -> None:
    book = load_workbook(path)
    book.properties.lastModifiedBy = person
    book.save(path)


@pytest.mark.parametrize("tier", ["T2", "T3"])
def test_a_file_that_a_named_approver_saved_last_is_not_their_yes(sqlite_ledger: Ledger, folder: Path, tier: str) -> None:
    """Somebody else wrote "approve" and no name; Ben opened the file for something else. He has decided nothing."""
    _, night = shown(sqlite_ledger, "xlsx", [draft(1)], tiers=[tier])
    book = Book(folder)
    book.fill(0, decision="approve", reviewer="")
    saved_by(book.path, "Ben Okafor")
    assert bring_home(sqlite_ledger) == {"refused": 1}
    assert any("write your name as the reviewer" in said for said in book.words())
    with sqlite_ledger.read() as conn:
        assert reviews.waiting_for_a_second(conn, night["id"]) == {}
    book.fill(0, reviewer="ben")
    assert bring_home(sqlite_ledger) == ({"approve": 1} if tier == "T2" else {})


def test_where_one_reviewer_is_enough_the_file_says_who_it_was(sqlite_ledger: Ledger, folder: Path) -> None:
    """A name in each of a hundred rows is nobody's idea of a morning."""
    _, night = shown(sqlite_ledger, "xlsx", [draft(1)], tiers=["T1"])
    book = Book(folder)
    book.fill(0, decision="approve", reviewer="")
    saved_by(book.path, "Emil Sand")
    assert bring_home(sqlite_ledger) == {"approve": 1}
    with sqlite_ledger.read() as conn:
        assert [row["reviewer"] for row in reviews.effective(conn, night["id"]).values()] == ["Emil Sand"]


@pytest.mark.parametrize("now_says", ["", "rework"])
def test_a_first_yes_that_was_taken_out_of_its_row_is_no_half_of_a_later_one(
    sqlite_ledger: Ledger, folder: Path, now_says: str
) -> None:
    """She cleared the cells again: the next person's yes is the first one."""
    _, night = shown(sqlite_ledger, "xlsx", [draft(1)], tiers=["T3"])
    (item,) = entries(sqlite_ledger, night)
    book = Book(folder)
    book.fill(0, decision="approve", reviewer="emil")
    assert bring_home(sqlite_ledger) == {}
    book.fill(0, decision=now_says, reviewer="emil" if now_says else "", note="no note, no reason" if now_says else "")
    bring_home(sqlite_ledger)
    with sqlite_ledger.read() as conn:
        assert reviews.waiting_for_a_second(conn, night["id"]) == {}
        assert [event["verb"] for event in audit.of_object(conn, "item", str(item["id"]))].count("undo") == 1
    book.fill(0, decision="approve", reviewer="ben", note="")
    assert bring_home(sqlite_ledger) == {}
    with sqlite_ledger.read() as conn:
        assert reviews.waiting_for_a_second(conn, night["id"]) == {item["id"]: ["Ben Okafor"]}


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ({"decision": "edit", "title: your version": "Half of the ti"}, {"title: your version": "The whole title that I meant"}),
        ({"decision": "edit", "title: your version": "A title"}, {"slug: your version": "another-slug"}),
        ({"decision": "rework", "reason": "Too long", "note": "half of it"}, {"note": "a third of it"}),
        ({"decision": "approve"}, {"title: your version": "On second thoughts, this title"}),
    ],
)
def test_words_that_come_after_the_decision_was_taken_are_refused_and_not_dropped(
    sqlite_ledger: Ledger, folder: Path, first: dict[str, str], then: dict[str, str]
) -> None:
    """She wrote on while the morning collected: the row says that the rest was not taken."""
    shown(sqlite_ledger, "xlsx", [draft(1)])
    book = Book(folder)
    book.fill(0, **first)
    assert bring_home(sqlite_ledger) == {first["decision"]: 1}
    assert bring_home(sqlite_ledger) == {}
    book.fill(0, **then)
    assert bring_home(sqlite_ledger) == {"refused": 1}
    assert any("Your change was not taken" in said for said in book.words())


@pytest.mark.parametrize("wrote", ["#NAME?", "#ERROR!", "  #REF!"])
def test_what_a_spreadsheet_made_of_a_text_is_nobodys_words(sqlite_ledger: Ledger, folder: Path, wrote: str) -> None:
    """ "- shorter, please" became a formula's error: as an edit it would be delivered, as a note be written from."""
    shown(sqlite_ledger, "xlsx", [draft(1), draft(2)])
    book = Book(folder)
    book.fill(0, decision="edit", **{"title: your version": wrote})
    book.fill(1, decision="rework", reason="Too long", note=wrote)
    assert bring_home(sqlite_ledger) == {"refused": 2}
    assert sum("is a spreadsheet's error" in said for said in book.words()) == 2


def test_an_item_that_was_kept_out_of_all_that_is_ready_is_not_approved_when_its_cell_is_cleared(
    sqlite_ledger: Ledger, folder: Path, project: Project
) -> None:
    """The word beside all that is ready was spoken once: she cleared a cell to think, and approved nothing by it."""
    project.policy("blog_drafts", lambda policy: policy["approval"].update(bulk=True))
    _, night = shown(sqlite_ledger, "xlsx", [draft(n) for n in range(4)])
    book = Book(folder)
    book.fill(0, decision="approve")  # the row "all that is ready" stands first
    for line in (1, 2):
        book.fill(line, decision="rework")  # no reason and no note: refused
    assert bring_home(sqlite_ledger) == {"approve": 2, "refused": 2}
    assert any("2 ready left to decide" in said for said in book.words())
    with sqlite_ledger.write() as conn:  # as if the answers could not have been written
        conn.exec_driver_sql("UPDATE exhibits SET said = NULL")
    book.path.with_suffix(".answers.csv").unlink()
    for line in (1, 2):
        book.fill(line, decision="", reviewer="")
    assert bring_home(sqlite_ledger) == {}
    assert sorted(one["state"] for one in entries(sqlite_ledger, night)) == ["approved", "approved", "in_review", "in_review"]
    book.fill(1, decision="approve")
    assert bring_home(sqlite_ledger) == {"approve": 1}


@pytest.mark.parametrize("written", ["ref;item;overnight says\n1;x;y\n", "ref,item,overnight says\n1,x,\xe4\n"])
def test_an_answers_file_that_excel_saved_anew_stops_no_morning(sqlite_ledger: Ledger, folder: Path, written: str) -> None:
    """A column was made wider: semicolons, or a code page. What people decided still comes home, and the answers are made anew."""
    shown(sqlite_ledger, "xlsx", [draft(1), draft(2)])
    book = Book(folder)
    book.fill(0, decision="aprove")
    assert bring_home(sqlite_ledger) == {"refused": 1}
    book.path.with_suffix(".answers.csv").write_bytes(written.encode("latin-1"))
    book.fill(1, decision="approve")
    assert bring_home(sqlite_ledger) == {"approve": 1, "refused": 1}
    assert any("is no decision" in said for said in book.words())


def test_a_row_that_comes_back_leaves_the_others_as_they_were_shown(sqlite_ledger: Ledger, folder: Path) -> None:
    """One row was deleted after an item had moved on: the rows that stood all the time are not called changed by it."""
    _, night = shown(sqlite_ledger, "xlsx", [draft(n) for n in range(3)])
    with sqlite_ledger.read() as conn:
        before = {ref: row["shown_hash"] for ref, row in exhibits.of_night(conn, night["id"]).items()}
    book = Book(folder)
    workbook = load_workbook(book.path)
    gone = workbook.worksheets[0].cell(2, 1).value
    workbook.worksheets[0].delete_rows(2)
    workbook.save(book.path)
    with sqlite_ledger.write() as conn:  # as if our words had been made in another way since
        from sqlalchemy import update

        from overnight.ledger.review_tables import exhibits as table

        conn.execute(update(table).where(table.c.ref != gone).values(shown_hash="a" * 64))
    bring_home(sqlite_ledger)
    with sqlite_ledger.read() as conn:
        after = {ref: row["shown_hash"] for ref, row in exhibits.of_night(conn, night["id"]).items()}
    assert after == {ref: before[ref] if ref == gone else "a" * 64 for ref in before}


def test_a_surface_that_cannot_be_read_at_all_is_one_trouble_and_not_one_of_each_night(
    sqlite_ledger: Ledger, folder: Path
) -> None:
    """A week of nights is in review there; the key was changed once."""
    for number in range(3):
        shown(sqlite_ledger, "xlsx", [draft(number)], run_id=f"manual__{number}", night=f"2026-11-{20 + number}")
    for path in folder.rglob("*.xlsx"):
        path.write_bytes(b"no workbook")
    for _ in range(2):
        with pytest.raises(CollectFailed):
            bring_home(sqlite_ledger)
    with sqlite_ledger.read() as conn:
        (alert,) = alerts.listed(conn)
    assert (alert["kind"], alert["workflow"], alert["seen"]) == ("surface_broken", "morning_review", 2)
