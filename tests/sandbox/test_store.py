"""What the local vendor keeps of an upload that comes in several chunks."""

import sqlite3
from contextlib import closing
from pathlib import Path

from overnight.sandbox.store import Store


def test_a_chunk_that_is_sent_again_is_not_taken_twice(tmp_path: Path) -> None:
    """A client that lost an answer sends its chunk again, or a longer one from the same place: the file is whole, and once."""
    store = Store(tmp_path / "vendor.db")
    store.add_file("gemini", "f", "night.jsonl", "upload", "application/jsonl", b"")
    for offset, chunk in ((0, b"abc"), (0, b"abc"), (3, b"def"), (3, b"defgh"), (0, b"abcdefgh")):
        store.append_file("gemini", "f", chunk, offset)
    found = Store(tmp_path / "vendor.db").file("gemini", "f")
    assert found is not None
    assert found["content"] == b"abcdefgh"
    assert [row["content"] for row in store.files("gemini")] == [b"abcdefgh"]


def test_a_deleted_upload_leaves_nothing(tmp_path: Path) -> None:
    """Its chunks go with it, and one that comes late finds nothing to go to."""
    store = Store(tmp_path / "vendor.db")
    store.add_file("gemini", "f", "night.jsonl", "upload", "application/jsonl", b"")
    store.append_file("gemini", "f", b"abc", 0)
    assert store.delete_file("gemini", "f")
    assert store.file("gemini", "f") is None
    assert not store.delete_file("gemini", "f")
    store.append_file("gemini", "f", b"x", 0)
    assert store.file("gemini", "f") is None
    with closing(sqlite3.connect(tmp_path / "vendor.db")) as db:
        assert db.execute("SELECT count(*) FROM parts").fetchone() == (0,)
