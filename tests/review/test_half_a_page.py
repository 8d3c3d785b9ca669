"""A page that was begun and not finished: Notion takes a long draft in parts, and a task may die between two of them."""

import pytest

from overnight.ledger.connect import Ledger
from overnight.review.export import export
from overnight.services import notion
from overnight.services.notion import Notion
from tests.support.desk import SOURCE, Desk
from tests.support.reviewed import draft, stage


def test_a_page_is_shown_with_all_of_its_draft_or_not_at_all(
    desk: Desk, sqlite_ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cut draft would be read as the reviewer's own shorter version."""
    long = {**draft(0), "body_markdown": "\n".join(f"Paragraph {n} of a long draft." for n in range(260))}
    task, night = stage(sqlite_ledger, "notion", [long])
    whole = Notion.append
    parts = iter([True])

    def dies(self: Notion, page: str, children: list[notion.Body]) -> None:
        if next(parts, False):
            whole(self, page, children[: notion.MAX_BLOCKS])
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Notion, "append", dies)
        with pytest.raises(KeyboardInterrupt):
            export(sqlite_ledger, task, now=night["opened_at"])
    client = notion.connect()
    (begun,) = client.pages(SOURCE)
    assert len(client.blocks(begun["id"])) == 200
    export(sqlite_ledger, task, now=night["opened_at"])
    (page,) = client.pages(SOURCE)
    texts = ["".join(run["plain_text"] for run in block[block["type"]]["rich_text"]) for block in client.blocks(page["id"])]
    assert [text for text in texts if text.startswith("Paragraph")] == long["body_markdown"].split("\n")
    assert notion.plain(page["properties"]["stage"]) == "in review"
