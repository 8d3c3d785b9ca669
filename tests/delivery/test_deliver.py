"""What people approved goes out: all of it, once, whole, with whose yes it was; and nothing else goes."""

import csv
import hashlib
import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from overnight.delivery import deliver as delivering
from overnight.delivery.deliver import DeliveryRefused, deliver
from overnight.ledger import reviews, switches, verify
from overnight.ledger.audit import Actor
from overnight.ledger.connect import Ledger
from tests.support.reviewed import NOW, bring_home, draft, entries, shown


def decide(ledger: Ledger, night: Any, item: Any, decision: str, **more: Any) -> None:
    row = {"decision": decision, "reviewer": "ada", "surface": "page", **more}
    with ledger.write() as conn:
        reviews.decide(conn, night["id"], item["id"], row, actor=Actor("human", "ada"), now=NOW)


@pytest.fixture
def night(ledger: Ledger) -> Any:
    """Four drafts: one approved, one edited, one sent back, one undecided."""
    _, made = shown(ledger, "page", [draft(n) for n in range(4)])
    first, second, third, _ = entries(ledger, made)
    decide(ledger, made, first, "approve")
    decide(ledger, made, second, "edit", edited={**second["output"], "title": '=HYPERLINK("http://x")'})
    decide(ledger, made, third, "rework", reason_code="too_long", note="shorter")
    bring_home(ledger)
    return made


def run(ledger: Ledger, folder: Path) -> dict[str, int]:
    return deliver(ledger, folder, run_id="r", task_id="deliver", now=NOW)


def only_folder(folder: Path) -> Path:
    (found,) = (folder / "blog_drafts").iterdir()
    return found


def test_only_what_is_approved_goes_out_and_only_once(ledger: Ledger, night: Any, tmp_path: Path) -> None:
    """Two items, two Markdown files and one JSON file; a second run hands out nothing."""
    assert run(ledger, tmp_path) == {"blog_drafts": 2}
    assert run(ledger, tmp_path) == {}
    place = only_folder(tmp_path)
    assert sorted(p.name for p in place.iterdir()) == ["draft-0.md", "draft-1.md", "items.json", "manifest.json"]
    assert [i["state"] for i in entries(ledger, night)] == ["delivered", "delivered", "rework", "in_review"]
    with ledger.read() as conn:
        assert verify.problems(conn) == []


def test_the_manifest_names_every_file_every_approver_and_every_text(ledger: Ledger, night: Any, tmp_path: Path) -> None:
    """Hashes agree with the bytes; each item has its approver, its time and the hash of what was approved."""
    run(ledger, tmp_path)
    place = only_folder(tmp_path)
    manifest = json.loads((place / "manifest.json").read_text())
    for name, facts in manifest["files"].items():
        assert hashlib.sha256((place / name).read_bytes()).hexdigest() == facts["sha256"]
    assert {p.name for p in place.iterdir()} == {*manifest["files"], "manifest.json"}
    assert [(i["decision"], i["approver"]) for i in manifest["items"]] == [("approve", "ada"), ("edit", "ada")]
    assert all(i["approved_at"] and len(i["output_sha256"]) == 64 for i in manifest["items"])


def test_markdown_has_front_matter_that_a_reader_reads_back(ledger: Ledger, night: Any, tmp_path: Path) -> None:
    """The edit goes out, not the draft; the body stands below the front matter as it was approved."""
    run(ledger, tmp_path)
    _, head, body = (only_folder(tmp_path) / "draft-1.md").read_text().split("---\n", 2)
    front = yaml.safe_load(head)
    assert front["title"] == '=HYPERLINK("http://x")'
    assert (front["author"], front["approved_by"]) == ("Ada Byron", "ada")
    assert body.strip() == draft(1)["body_markdown"]


def test_no_cell_of_a_csv_becomes_a_formula() -> None:
    """A text that starts like a formula comes with the spreadsheet's own sign for text."""
    from overnight.delivery.target import Approved
    from overnight.delivery.targets.csv import CsvTarget

    texts = ["=1+1", "+a1", "-1", "@x", "\tx", "plain"]
    items = [
        Approved(f"k{n}", {"q": "a"}, {"text": text, "n": -1, "many": [1]}, "approve", "=ada", NOW, "n", "p", "h")
        for n, text in enumerate(texts)
    ]
    (content,) = CsvTarget().files("w", items).values()
    rows = list(csv.DictReader(io.StringIO(content.decode())))
    assert [row["text"] for row in rows] == ["'=1+1", "'+a1", "-1", "'@x", "'\tx", "plain"]
    assert rows[0]["approver"] == "'=ada"
    assert (rows[0]["n"], rows[0]["many"]) == ("-1", "[1]")


class Killed(Exception):
    """The process ends here."""


@pytest.mark.parametrize("step", ["fsync", "rename", "written"])
def test_killed_at_any_step_it_is_finished_the_next_time_whole_and_once(
    sqlite_ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Before the rename nothing is seen; after it the same files stand; the items move once."""
    _, made = shown(sqlite_ledger, "page", [draft(n) for n in range(2)])
    for item in entries(sqlite_ledger, made):
        decide(sqlite_ledger, made, item, "approve")
    bring_home(sqlite_ledger)

    def die(*_: Any, **__: Any) -> Any:
        raise Killed

    with monkeypatch.context() as patched:
        if step == "fsync":
            patched.setattr(os, "fsync", die)
        elif step == "rename":
            patched.setattr(Path, "rename", die)
        else:
            patched.setattr(delivering.deliveries, "written", die)
        with pytest.raises(Killed):
            run(sqlite_ledger, tmp_path)
    visible = (
        [p for p in (tmp_path / "blog_drafts").iterdir() if not p.name.startswith(".")]
        if (tmp_path / "blog_drafts").exists()
        else []
    )
    assert len(visible) == (1 if step == "written" else 0)
    assert run(sqlite_ledger, tmp_path) == {"blog_drafts": 2}
    assert len([p for p in (tmp_path / "blog_drafts").iterdir() if not p.name.startswith(".")]) == 1
    assert run(sqlite_ledger, tmp_path) == {}


def test_a_kill_switch_and_a_policy_keep_it_back_and_lose_nothing(
    sqlite_ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is approved stays approved, and goes out when it may."""
    _, made = shown(sqlite_ledger, "page", [draft(0)])
    decide(sqlite_ledger, made, entries(sqlite_ledger, made)[0], "approve")
    bring_home(sqlite_ledger)
    with sqlite_ledger.write() as conn:
        switches.throw(conn, "blog_drafts", engaged=True, by="ada", reason="wait", now=NOW)
    with pytest.raises(DeliveryRefused, match="kill switch for blog_drafts"):
        run(sqlite_ledger, tmp_path)
    with sqlite_ledger.write() as conn:
        switches.throw(conn, "blog_drafts", engaged=False, by="ada", reason="go", now=NOW)
    from overnight.governance import policy as policies

    allowed, hash_ = policies.load("blog_drafts")
    narrow = allowed.model_copy(update={"action_scope": allowed.action_scope.model_copy(update={"verbs": ()})})
    with monkeypatch.context() as patched:
        patched.setattr(policies, "load", lambda _: (narrow, hash_))
        with pytest.raises(DeliveryRefused, match="does not allow 'write_delivery'"):
            run(sqlite_ledger, tmp_path)
    assert run(sqlite_ledger, tmp_path) == {"blog_drafts": 1}
