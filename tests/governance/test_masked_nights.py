"""Masking at the vendor's end: nothing personal reaches its request log, and what comes back is put right."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from overnight.batches import judge
from overnight.batches.vendor import Result, Verdict
from overnight.governance.policy import DataAccess, Policy
from overnight.ledger.connect import Ledger
from overnight.ledger.tables import items, request_items
from overnight.workflow import workflow
from tests.conftest import Sandbox
from tests.support.night import Night, queue_rows
from tests.support.people_data import PLAIN, people

PEOPLE = list(people())


def sent(sandbox: Sandbox) -> str:
    """All that any request of any batch told the vendor, as text."""
    with closing(sqlite3.connect(sandbox.state)) as db:
        bodies = [json.loads(body) for (body,) in db.execute("SELECT body FROM requests")]
    return "\n".join(_texts(bodies))


def _texts(thing: Any) -> list[str]:
    if isinstance(thing, str):
        return [thing]
    parts = thing.values() if isinstance(thing, dict) else thing if isinstance(thing, list) else ()
    return [text for part in parts for text in _texts(part)]


def test_nothing_of_250_customers_reaches_the_vendor_and_every_quote_is_in_the_customers_own_words(
    sqlite_ledger: Ledger, queue: Path, connected: Sandbox
) -> None:
    """Returns in five languages: the request log holds no name, mail, phone, card or order; the quotes are verbatim."""
    part = PEOPLE[::2]
    rows = [
        {"return_id": f"r{n}", "sku": "S-1", "order_date": "2026-11-01", "return_date": "2026-11-10", "reason_code": "DEFECTIVE",
         "comment": f"The seam tore. {person.text.replace(person.address, 'here')}", "customer_name": person.name}
        for n, person in enumerate(part)
    ]  # fmt: skip
    queue_rows(queue, "returns_triage", rows)
    night = Night(sqlite_ledger, "returns_triage")
    night.run()
    # One of them has a dangerous word in an invented address: a person reads that one today.
    assert night.counts["staged"] == night.counts["locked"] >= len(part) - 2, night.why()[:5]
    log = sent(connected).casefold()
    assert "[name_1]" in log
    for person in part:
        for secret in person.secrets:
            if secret != person.address:
                assert secret.casefold() not in log, secret
        assert person.name.casefold() not in log
    with sqlite_ledger.read() as conn:
        outputs = conn.execute(select(items.c.input, items.c.output).where(items.c.output.is_not(None))).all()
        kept = conn.execute(select(request_items.c.masks)).scalars().all()
    assert all(masks for masks in kept)
    assert all(row.output["evidence_quote"] in row.input["comment"] for row in outputs)
    assert "[NAME" not in json.dumps([row.output for row in outputs])
    assert night.problems() == []


def test_two_customers_who_write_the_same_under_two_names_get_their_own_names_back(
    sqlite_ledger: Ledger, queue: Path, connected: Sandbox
) -> None:
    """Masked, their texts are the same: an answer that is used again would carry the other one's name."""
    said = "This is {} and I love it, warm and light."
    rows = [
        {"review_id": f"r{n}", "sku": "S", "rating": "5", "body": said.format(name), "author": name}
        for n, name in enumerate(("Ada Byron", "Eva Perez", "Ada Byron"))
    ]
    queue_rows(queue, "review_sentiment", rows)
    night = Night(sqlite_ledger, "review_sentiment")
    night.run()
    with sqlite_ledger.read() as conn:
        found = conn.execute(select(items.c.input, items.c.output)).all()
    for row in found:
        quotes = json.dumps(row.output, ensure_ascii=False)
        assert "[NAME" not in quotes
        other = "Eva" if row.input["author"] == "Ada Byron" else "Ada"
        assert other not in quotes
    assert "Ada" not in sent(connected)


def test_a_row_that_names_somebody_goes_to_no_vendor_where_the_policy_withholds_it(
    sqlite_ledger: Ledger, queue: Path, connected: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rejected at the lock, with the column and the way out; the others go."""
    from overnight import tasks
    from overnight.governance import policy as policies

    loaded, digest = policies.load("review_sentiment")
    strict = loaded.model_copy(update={"data_access": loaded.data_access.model_copy(update={"undeclared_names": "withhold"})})
    monkeypatch.setattr(tasks.policies, "load", lambda name: (strict, digest))
    rows = [
        {"review_id": "a", "sku": "S", "rating": "5", "body": "Warm and light.", "author": ""},
        {"review_id": "b", "sku": "S", "rating": "2", "body": "Ask Mrs. Miller about the zip.", "author": ""},
        {"review_id": "c", "sku": "S", "rating": "5", "body": "Thanks, Ada Byron", "author": "Ada Byron"},
    ]
    queue_rows(queue, "review_sentiment", rows)
    night = Night(sqlite_ledger, "review_sentiment")
    assert night.run()["staged"] == 2
    with sqlite_ledger.read() as conn:
        message = conn.execute(select(items.c.message).where(items.c.key == "b")).scalar_one()
    assert message.startswith("Somebody seems to be named in body.")
    assert "Miller" not in sent(connected)


def test_an_invented_placeholder_is_no_good_answer() -> None:
    """It would stand in a customer's mail; the item is asked again with the check's words."""
    declared = workflow("review_sentiment")
    item = {"review_id": "r", "sku": "S", "rating": 5, "body": "I love it, says Ada.", "author": "Ada"}
    answer = {
        "overall": "positive",
        "score": 0.9,
        "aspects": [],
        "issue_type": "none",
        "severity": "none",
        "summary": "[NAME_7] is happy.",
    }
    whole = json.dumps({"answers": [{"number": 1, "answer": answer}]})
    (one,) = judge.entries(declared, [item], Result("c", Verdict.SUCCEEDED, whole), [{"[NAME_1]": "Ada"}])
    assert one.state == "rule_failed"
    assert "[NAME_7] stands for nothing that was sent" in (one.error or "")


@pytest.mark.parametrize("language", sorted(PLAIN))
def test_what_names_nobody_is_sent_as_it_is(language: str) -> None:
    """A policy that withholds does not withhold everything."""
    access = DataAccess(undeclared_names="withhold")
    assert [access.keeps_back({"body": text}) for text in PLAIN[language]] == [None] * len(PLAIN[language])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"personal": ["name"]}, "name: given a class, but not among the fields"),
        ({"order_number": "(["}, "is no regular expression"), ({"patterns": ["ssn"]}, "Input should be 'email', 'phone'"),
        ({"vendors": {"openai": ["secret"]}}, "Input should be 'public', 'internal' or 'personal'"),
    ],
)  # fmt: skip
def test_a_data_layer_with_a_mistake_in_it_allows_nothing(change: dict[str, Any], words: str) -> None:
    """Refused when it is read, with the place."""
    with pytest.raises(ValueError, match=words):
        Policy.model_validate({"version": 1, "agent": "x", "owner": "y", "data_access": {"fields": ["body"], **change}})


def test_a_vendor_that_may_see_personal_data_sees_it_and_the_others_do_not() -> None:
    """Which vendor may see which class is the policy's to say."""
    access = DataAccess.model_validate({
        "fields": ["name"], "personal": ["name"], "vendors": {"anthropic": ["public", "personal"], "openai": ["public"]},
    })  # fmt: skip
    assert access.hidden_from("anthropic") == ()
    assert access.hidden_from("openai") == ("name",)
    assert access.hidden_from("gemini") == ("name",)
