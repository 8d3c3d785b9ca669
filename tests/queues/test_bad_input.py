"""Bad input gets a clear answer beside the row or the file, loses nothing, and does not stop the good rows."""

import csv
from pathlib import Path

import pytest
from sqlalchemy import text

from overnight.ledger import overview, retention
from overnight.ledger import queue as queue_rows
from overnight.ledger.audit import Actor
from overnight.ledger.connect import Ledger
from overnight.queues import cells
from tests.conftest import Sandbox
from tests.support.night import Night, queue_file

HEADER = "review_id,source,sku,rating,title,body,department,class\n"
GOOD = "r1,store,S1,5,Nice,Lovely and warm,Tops,Knits\n"


@pytest.fixture
def night(sqlite_ledger: Ledger, queue: Path, vendors: Sandbox) -> Night:
    made = Night(sqlite_ledger, "review_sentiment")
    made.check()
    return made


def status(queue: Path, name: str = "a") -> list[dict[str, str]]:
    with (queue / "review_sentiment" / f"{name}.status.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_missing_column_is_named_and_no_row_of_that_file_is_taken(night: Night, queue: Path) -> None:
    """The good file beside it runs."""
    queue_file(queue, "review_sentiment", "a.csv", "review_id,sku,rating\nr9,S,5\n")
    queue_file(queue, "review_sentiment", "b.csv", HEADER + GOOD)
    night.drain()
    (answer,) = status(queue)
    assert answer["row"] == "file"
    assert answer["status"] == "rejected"
    assert answer["message"].startswith("Missing column: body. The file has review_id, sku, rating.")
    assert [row["status"] for row in status(queue, "b")] == ["locked"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"  \n\n", "empty"),
        (HEADER.encode(), "no rows"),
        (HEADER.encode("utf-16"), "UTF-16"),
        (b"review_id,review_id,sku,rating,body\n", "stand twice: review_id"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(night: Night, queue: Path, content: bytes, words: str) -> None:
    """Empty, header only, another encoding, a column twice: one line beside the file."""
    queue_file(queue, "review_sentiment", "a.csv", content)
    assert list(night.drain()) == []
    (answer,) = status(queue)
    assert words in answer["message"]


def test_a_row_that_is_not_utf8_is_rejected_and_the_others_run(night: Night, queue: Path) -> None:
    """One bad byte costs one row."""
    bad = "r2,store,S1,5,Sch\xf6n,Sehr warm,Tops,Knits\n".encode("latin-1")
    queue_file(queue, "review_sentiment", "a.csv", HEADER.encode() + GOOD.encode() + bad + GOOD.replace("r1", "r3").encode())
    night.drain()
    answers = {row["id"]: row for row in status(queue)}
    assert answers["r2"]["message"].startswith("Not valid UTF-8 in title.")
    assert answers["r1"]["status"] == answers["r3"]["status"] == "locked"


def test_a_repeated_id_is_rejected_and_points_at_the_first(night: Night, queue: Path) -> None:
    """The first row of an id runs; a second one would be paid for twice."""
    queue_file(queue, "review_sentiment", "a.csv", HEADER + GOOD + GOOD.replace("Nice", "Other"))
    night.drain()
    first, second = status(queue)
    assert first["status"] == "locked"
    assert second["status"] == "rejected"
    assert "stands already at a.csv:2" in second["message"]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("r2,store,S1,9,Nice,Warm,,\n", "rating: Input should be less than or equal to 5 (got '9')"),
        ("r2,store,S1,five,Nice,Warm,,\n", "rating: Input should be a valid integer"),
        (f"r2,store,S1,5,Nice,{'x' * 5001},,\n", "body: String should have at most 5000 characters (got 5001 characters)"),
        ("r2,store,S1,5,Nice,,,\n", "body: Field required"),
        (",store,S1,5,Nice,Warm,,\n", "No id: the column review_id is empty"),
        ("r2,store,S1,5,Nice,Warm,,,extra\n", "The row has 9 cells, the header 8"),
    ],
)
def test_a_row_over_the_models_limits_is_told_what_we_got_and_what_we_allow(
    night: Night, queue: Path, row: str, words: str
) -> None:
    """Column, value, limit; the good row beside it runs."""
    queue_file(queue, "review_sentiment", "a.csv", HEADER + GOOD + row)
    night.drain()
    good, bad = status(queue)
    assert good["status"] == "locked"
    assert bad["status"] == "rejected"
    assert words in bad["message"]


def test_urgent_work_is_refused_with_a_pointer(night: Night, queue: Path) -> None:
    """A customer who waits is not an overnight task."""
    text = HEADER.replace("class", "class,priority") + GOOD.replace("\n", ",urgent\n")
    queue_file(queue, "review_sentiment", "a.csv", text)
    night.drain()
    assert "real-time lane" in status(queue)[0]["message"]


def test_ten_thousand_rows_over_the_cap_are_told_their_place_and_wait(night: Night, queue: Path) -> None:
    """5,000 are locked, 10,000 are carried over with their place in line, none is lost, and they go first tomorrow."""
    rows = "".join(f"r{n},store,S{n % 50},5,Nice,Warm and soft number {n},Tops,Knits\n" for n in range(15_000))
    queue_file(queue, "review_sentiment", "a.csv", HEADER + rows)
    night.drain()
    answers = status(queue)
    assert [row["status"] for row in answers].count("locked") == 5_000
    assert [row["status"] for row in answers].count("carried_over") == 10_000
    assert answers[5_000]["message"] == "over tonight's cap of 5000; place 1 in line for the next night"
    assert answers[-1]["message"].startswith("over tonight's cap of 5000; place 10000 in line")
    with night.ledger.read() as conn:
        assert overview.outcomes(conn, night.row()["id"])["locked"] == 5_000
        assert len(queue_rows.waiting(conn, "review_sentiment")) == 10_000


def test_a_folder_an_endless_cell_and_a_shouted_ending_do_not_stop_the_others(night: Night, queue: Path) -> None:
    """One bad file never ends the drain for all."""
    (queue / "review_sentiment" / "z.csv").mkdir()
    queue_file(queue, "review_sentiment", "a.csv", HEADER + 'r1,store,S1,5,"' + "x" * 10_000_001)
    queue_file(queue, "review_sentiment", "B.CSV", HEADER + GOOD)
    night.drain()
    assert "cannot be read" in status(queue)[0]["message"]
    assert status(queue, "B")[0]["status"] == "locked"


def test_semicolons_tabs_a_byte_order_mark_and_quoted_line_breaks_are_read(night: Night, queue: Path) -> None:
    """What spreadsheets really write."""
    queue_file(queue, "review_sentiment", "a.csv", "\ufeff" + (HEADER + GOOD).replace(",", ";"))
    queue_file(queue, "review_sentiment", "b.csv", (HEADER + GOOD.replace("r1", "r2")).replace(",", "\t"))
    queue_file(queue, "review_sentiment", "c.csv", HEADER + 'r3,store,S1,5,"Nice, really","Two\nlines",Tops,Knits\n')
    night.drain()
    assert [row["status"] for name in "abc" for row in status(queue, name)] == ["locked"] * 3


def test_an_answer_can_never_become_a_formula(night: Night, queue: Path) -> None:
    """An id that starts with = is written back as text."""
    queue_file(queue, "review_sentiment", "a.csv", HEADER + '"=HYPERLINK(""http://x"")",store,S1,5,Nice,Warm,,\n')
    night.drain()
    assert status(queue)[0]["id"].startswith("'=")


def test_a_row_that_ran_is_not_bought_again_and_a_changed_one_is(night: Night, queue: Path) -> None:
    """The same file on the next evening: unchanged rows are known, an edited one is new."""
    queue_file(queue, "review_sentiment", "a.csv", HEADER + GOOD + GOOD.replace("r1", "r2"))
    night.drain()
    for batch_id in night.planned:
        night.batch(batch_id)
    night.validate()
    night.export()
    queue_file(queue, "review_sentiment", "a.csv", HEADER + GOOD + GOOD.replace("r1", "r2").replace("warm", "cold"))
    second = Night(night.ledger, "review_sentiment", run_id="manual__2", now=night.now)
    second.check()
    second.drain()
    first_row, edited = status(queue)
    assert first_row["status"] == "in_review"
    assert edited["status"] == "locked"
    assert second.problems() == []


def test_draining_again_says_the_same_and_locks_nothing_more(night: Night, queue: Path) -> None:
    """A killed drain is run again: one lock, the same words, and late rows go to the next night."""
    queue_file(queue, "review_sentiment", "a.csv", HEADER + GOOD)
    planned, before = night.drain(), status(queue)
    queue_file(queue, "review_sentiment", "late.csv", HEADER + GOOD.replace("r1", "r7"))
    assert night.drain() == planned
    assert status(queue) == before
    assert status(queue, "late")[0]["status"] == "waiting"


def test_a_row_changed_while_it_waits_replaces_its_older_self(night: Night, queue: Path) -> None:
    """Only the newest version of a row over the cap is bought."""
    rows = "".join(f"r{n},store,S1,5,Nice,Warm {n},Tops,Knits\n" for n in range(5_001))
    queue_file(queue, "review_sentiment", "a.csv", HEADER + rows)
    night.drain()
    queue_file(queue, "review_sentiment", "a.csv", HEADER + "r5000,store,S1,1,Bad,Cold after all,Tops,Knits\n")
    with night.ledger.write() as conn:
        conn.execute(text("UPDATE nights SET state='closed'"))
    second = Night(night.ledger, "review_sentiment", run_id="manual__2", now=night.now)
    second.check()
    second.drain()
    with night.ledger.read() as conn:
        versions = queue_rows.known_rows(conn, "review_sentiment", "csv", ["r5000"])["r5000"]
    assert [version["state"] for version in versions] == ["rejected", "locked"]


def again(night: Night, number: int) -> Night:
    """The next evening's night, drained."""
    with night.ledger.write() as conn:
        conn.execute(text("UPDATE nights SET state = 'closed'"))
    made = Night(night.ledger, "review_sentiment", run_id=f"manual__{number}", now=night.now)
    made.check()
    made.drain()
    return made


def versions(night: Night, key: str) -> list[tuple[str, str]]:
    with night.ledger.read() as conn:
        known = queue_rows.known_rows(conn, "review_sentiment", "csv", [key])[key]
        inputs = {item["id"]: item["input"]["body"] for item in queue_rows.by_ids(conn, [row["id"] for row in known])}
    return [(inputs[row["id"]], row["state"]) for row in known]


@pytest.fixture
def waits_over_the_cap(night: Night, queue: Path) -> Night:
    """r5000 waits with its first text."""
    rows = "".join(f"r{n},store,S1,5,Nice,Warm {n},Tops,Knits\n" for n in range(5_001))
    queue_file(queue, "review_sentiment", "a.csv", HEADER + rows)
    night.drain()
    return night


def test_a_row_that_is_changed_back_is_bought_as_it_stands(waits_over_the_cap: Night, queue: Path) -> None:
    """Edited and edited back while it waits: the version in the sheet runs, the one in between does not."""
    night, cap = waits_over_the_cap, "UPDATE items SET priority = -1 WHERE key = 'r5000'"
    first, second = (f"r5000,store,S1,5,Nice,{body},Tops,Knits\n" for body in ("Warm 5000", "Cold after all"))
    others = "".join(f"x{n},store,S1,5,Nice,Fine {n},Tops,Knits\n" for n in range(5_000))
    queue_file(queue, "review_sentiment", "a.csv", HEADER + others + second)
    with night.ledger.write() as conn:
        conn.execute(text(cap))
    between = again(night, 2)
    assert dict(versions(between, "r5000"))["Warm 5000"] == "rejected"
    with between.ledger.write() as conn:  # retention has removed its texts since
        old = conn.execute(text("SELECT id FROM items WHERE key = 'r5000' AND state = 'rejected'")).scalar_one()
        retention.clear_items(conn, [old], actor=Actor("system", "retention"), now=between.now)
    queue_file(queue, "review_sentiment", "a.csv", HEADER + first)
    third = again(between, 3)
    assert dict(versions(third, "r5000")) == {"Warm 5000": "locked", "Cold after all": "rejected"}
    (told,) = status(queue)
    assert told["status"] == "locked"


@pytest.mark.parametrize(
    "bad", ["r5000,store,S1,9,Nice,Too many stars,Tops,Knits\n", "r5000,store,S1,,Nice,No stars,Tops,Knits\n"]
)
def test_a_row_that_is_changed_into_a_bad_one_is_not_bought_as_it_was(bad: str, waits_over_the_cap: Night, queue: Path) -> None:
    """Its person is told that nothing was taken, and nothing is."""
    queue_file(queue, "review_sentiment", "a.csv", HEADER + bad)
    second = again(waits_over_the_cap, 2)
    assert [state for _, state in versions(second, "r5000")] == ["rejected", "rejected"]
    (told,) = status(queue)
    assert told["status"] == "rejected"


def test_half_a_character_in_a_cell_is_that_rows_trouble_alone() -> None:
    """A service's JSON may hold a lone surrogate, and a table an id of a thousand characters: the ledger takes both as refused."""
    row = cells.row("r" * 900, {"id": "r1", "body": "torn \ud83d"})
    assert row.problem is not None
    assert "body" in row.problem
    assert row.fields["body"] == "torn ?"
    assert len(row.ref) <= 400
    assert cells.row("row 2", {"id": "r2", "body": "whole \U0001f9f5"}).problem is None
