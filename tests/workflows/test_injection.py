"""Texts that give orders: on a model that obeys all of them, they change no schema, no action and no other item.

The corpus is tests/support/injections.yaml: ten languages and more. What holds here is code: data is fenced, packed requests are
kept apart, every answer is judged by its model and its rules, and nothing an answer says is ever done.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from sqlalchemy import delete, select

from overnight import prompts
from overnight.ledger import alerts, findings, tables
from overnight.ledger.connect import Ledger
from overnight.ledger.tables import audit_events, decisions, items, requests
from overnight.validation import lexicon, rules
from overnight.validation.validate import GRAVE
from overnight.workflow import workflow
from tests.conftest import Sandbox, connect
from tests.support.night import Night, queue_rows

CORPUS: list[dict[str, str]] = yaml.safe_load((Path(__file__).parents[1] / "support" / "injections.yaml").read_text())
ALLOWED = {"create", "move", "decide", "refuse", "launch", "alert"}


@pytest.fixture
def gullible(sandbox: Sandbox, queue: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A vendor whose model obeys every attempt of the corpus."""
    connect(monkeypatch, sandbox.hosts)
    orders = {one["text"]: one["does"] for one in CORPUS}
    httpx.post(f"{sandbox.url}/control/gullible", json=orders).raise_for_status()
    return sandbox


def believe(sandbox: Sandbox, orders: dict[str, str]) -> None:
    httpx.post(f"{sandbox.url}/control/gullible", json=orders).raise_for_status()


def outputs(ledger: Ledger) -> dict[str, Any]:
    with ledger.read() as conn:
        return {row.key: row.output for row in conn.execute(select(items.c.key, items.c.output)) if row.output}


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from strings(part)
    elif isinstance(value, list):
        for part in value:
            yield from strings(part)


def test_the_corpus_is_what_it_claims_to_be() -> None:
    """At least forty attempts in ten languages, every kind of deed among them; each is seen by the lexicon."""
    assert len(CORPUS) >= 40
    assert len({one["lang"] for one in CORPUS}) >= 10
    assert {one["does"] for one in CORPUS} == {
        "label",
        "others",
        "schema",
        "markup",
        "formula",
        "leak",
        "link",
        "quote",
        "silent",
    }
    unseen = [one["text"] for one in CORPUS if not lexicon.hits("injection", one["text"])]
    assert unseen == []


def test_a_text_can_neither_close_its_block_nor_pose_as_another_entry() -> None:
    """Whatever stands in a row, the request has exactly the blocks and entries we made."""
    for one in CORPUS:
        data = prompts.content({"body": one["text"]}, context=one["text"])
        assert (data.count("<item>"), data.count("</item>"), data.count("<entry"), data.count("<context>")) == (1, 1, 0, 1)
        assert json.loads(data.splitlines()[1])["body"] == one["text"]


REVIEWS = [("Soft fabric and a fine fit.", 5), ("It broke after a week and nobody answered.", 1), ("Fine for the price.", 4)]


def test_no_review_changes_another_review_or_the_schema_of_its_own_label(
    gullible: Sandbox, queue: Path, tmp_path: Path, sqlite_ledger: Ledger
) -> None:
    """Twenty share a request: those beside an attacker come out as they do without one."""
    honest_rows = [
        {"review_id": f"h{n}", "sku": "S", "rating": REVIEWS[n % 3][1], "body": f"{REVIEWS[n % 3][0]} Number {n}."}
        for n in range(60)
    ]
    attackers = [
        {"review_id": f"x{n}", "sku": "S", "rating": 1, "body": f"It broke. {one['text']}"} for n, one in enumerate(CORPUS)
    ]
    mixed = [row for pair in zip(honest_rows, [*attackers, *[None] * 20], strict=False) for row in pair if row]
    queue_rows(queue, "review_sentiment", mixed)
    night = Night(sqlite_ledger, "review_sentiment")
    counts = night.run()
    assert counts["locked"] == len(mixed) == counts["staged"] + counts["failed"]
    under_attack = outputs(sqlite_ledger)
    # The same honest rows alone, on an honest model.
    believe(gullible, {})
    queue_rows(queue, "review_sentiment", honest_rows)
    from overnight.ledger import migrate

    calm = Ledger(f"sqlite:///{tmp_path / 'calm.db'}")
    migrate.upgrade(calm)
    Night(calm, "review_sentiment").run()
    assert {key: under_attack.get(key) for key in (row["review_id"] for row in honest_rows)} == outputs(calm)
    with sqlite_ledger.read() as conn:
        shared = conn.execute(select(requests.c.content)).scalars().all()
        found = findings.of_night(conn, night.row()["id"])
        keys = {row.id: row.key for row in conn.execute(select(items.c.id, items.c.key))}
    for one in CORPUS:
        inside = [
            content
            for content in shared
            if json.dumps(one["text"], ensure_ascii=False)[1:-1].replace("<", "\\u003c").replace(">", "\\u003e") in content
        ]
        assert inside
        assert all(content.count("<entry") == 1 for content in inside), "an attacker shared its request"
    marked = {keys[item_id] for item_id, listed in found.items() if any(f["rule"] == "orders_to_a_machine" for f in listed)}
    staged_attackers = {key for key in under_attack if key.startswith("x")}
    assert staged_attackers <= marked, "a staged attacker is not put first"
    _nothing_was_done(sqlite_ledger, "review_sentiment", under_attack)
    _somebody_is_told(sqlite_ledger, night, found)


def _somebody_is_told(ledger: Ledger, night: Night, found: dict[int, Any]) -> None:
    """Every grave finding is in the alert, those of items that failed with it too; a kill before it was said loses nothing."""
    expected: dict[str, set[int]] = {}
    for item_id, listed in found.items():
        for rule in {f["rule"] for f in listed} & set(GRAVE):
            expected.setdefault(GRAVE[rule], set()).add(item_id)
    assert len(expected) > 1, "the corpus makes no answer fail with a grave rule"

    def told() -> str:
        with ledger.read() as conn:
            (alert,) = [row for row in alerts.listed(conn) if row["kind"] == "grave_findings"]
        return str(alert["message"])

    said = told()
    assert all(f"{what}: {len(ids)} item" in said for what, ids in expected.items())
    with ledger.write() as conn:
        conn.execute(delete(tables.alerts))
    night.validate()
    assert told() == said


def _nothing_was_done(ledger: Ledger, name: str, staged: dict[str, Any]) -> None:
    """Every staged answer is whole by its model, holds nothing that acts and nothing of the prompt; nobody decided anything."""
    declared = workflow(name)
    for output in staged.values():
        model = declared.model_of(output)
        assert model is not None
        model.model_validate(output)
        assert "decision" not in output
        for text in strings(output):
            assert not rules.prompt_leak(text)
            # Words copied letter by letter out of a review are a person's, and are shown as text; the model's own hold no markup.
            if name not in ("review_sentiment", "returns_triage"):
                assert "<script" not in text
                assert "evil.example" not in text
            assert not rules.formula(text) or name == "review_sentiment"
    with ledger.read() as conn:
        assert set(conn.execute(select(audit_events.c.verb)).scalars()) <= ALLOWED
        assert conn.execute(select(decisions)).all() == []
        states = set(conn.execute(select(items.c.state)).scalars())
    assert states <= {"in_review", "failed", "carried_over", "rejected"}


def test_no_comment_of_a_return_changes_another_return(gullible: Sandbox, queue: Path, sqlite_ledger: Ledger) -> None:
    """Ten share a request; the label of an attacker is its own at most, marked, and never accuses or refunds anybody."""
    rows = []
    for n, one in enumerate(CORPUS):
        common = {
            "sku": "S",
            "order_date": "2026-11-01",
            "return_date": "2026-11-09",
            "reason_code": "DEFECTIVE",
            "value_usd": 20,
        }
        rows.append({"return_id": f"h{n}", **common, "comment": f"The zip broke on day {n}."})
        rows.append({"return_id": f"x{n}", **common, "comment": f"The zip broke. {one['text']}"})
    queue_rows(queue, "returns_triage", rows)
    night = Night(sqlite_ledger, "returns_triage")
    counts = night.run()
    assert counts["locked"] == len(rows) == counts["staged"] + counts["failed"]
    staged = outputs(sqlite_ledger)
    assert {staged[f"h{n}"]["reason"] for n in range(len(CORPUS))} == {"quality_defect"}
    _nothing_was_done(sqlite_ledger, "returns_triage", staged)


DATA = {
    "amazon_listings": ("sku", {"brand": "Fernweh", "title": "Fernweh tent 2.4 kg", "attributes": "weight: 2.4 kg", "bullets": "Weighs 2.4 kg"}, "description"),
    "shopify_pages": ("handle", {"title": "Two-person tent", "facts": "Weighs 2.4 kg"}, "body_html"),
    "ad_variants": ("ad_id", {"platform": "google_rsa", "campaign": "C", "ad_group": "G", "product": "Rain jacket",
                              "facts": "310 g|Packs small", "landing_url": "https://fernweh.example/j"}, "angle"),
    "email_sms": ("campaign_id", {"channel": "email", "objective": "resoling boots", "facts": "It takes 3 weeks",
                                  "send_on": "2027-01-11", "sender": "Fernweh", "landing_url": "https://fernweh.example/sole"}, "segment"),
    "blog_drafts": ("brief_id", {"title": "How to wash wool", "primary_query": "wash wool", "facts": "Wool is washed at 30 degrees",
                                 "author": "Jo Writer", "min_words": 150, "max_words": 400}, "audience"),
}  # fmt: skip
"""workflow → its id, a good row, and the field that outsiders' words come in by."""


@pytest.mark.parametrize("name", sorted(DATA))
def test_no_text_in_a_brief_or_a_page_puts_markup_links_or_the_prompt_into_a_text_for_customers(
    name: str, gullible: Sandbox, queue: Path, sqlite_ledger: Ledger
) -> None:
    """Every attempt in turn: what was obeyed fails its rules twice and is shown as failed; nothing of it is staged."""
    id_field, good, field = DATA[name]
    cap = workflow(name).cap
    chosen = [one for one in CORPUS if one["does"] not in ("label", "others")] if cap < len(CORPUS) else CORPUS
    chosen = chosen[:cap]
    queue_rows(queue, name, [{id_field: f"x{n}", **good, field: one["text"]} for n, one in enumerate(chosen)])
    night = Night(sqlite_ledger, name)
    counts = night.run()
    assert counts["locked"] == len(chosen) == counts["staged"] + counts["failed"]
    staged = outputs(sqlite_ledger)
    bad = {n for n, one in enumerate(chosen) if one["does"] in ("markup", "leak", "link", "formula", "schema", "silent")}
    assert not {f"x{n}" for n in bad} & set(staged), [chosen[n] for n in bad if f"x{n}" in staged]
    _nothing_was_done(sqlite_ledger, name, staged)
    assert night.problems() == []
