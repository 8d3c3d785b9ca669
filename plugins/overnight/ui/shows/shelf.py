"""A night's review as plain data: what a script or another surface reads, the same as the page shows."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import AwareDatetime
from sqlalchemy import Connection

from overnight.ledger.nights import Night
from overnight.ui.shows import review
from overnight.ui.shows.shape import Shown


class Field(Shown):
    """One field of an answer: what stands there today, what is proposed, whether people may edit it."""

    name: str
    before: str
    after: str
    editable: bool


class Finding(Shown):
    """What a rule noticed."""

    rule: str
    severity: str
    field: str | None
    message: str
    evidence: str | None


class Decided(Shown):
    """The decision that stands."""

    decision: str
    reviewer: str
    reason_code: str | None
    note: str | None
    edited: dict[str, Any] | None
    decided_at: AwareDatetime
    collected: bool


class Item(Shown):
    """One thing to decide. `output_hash` goes back with the decision: it says which version was looked at."""

    id: int
    key: str
    title: str
    bucket: str
    state: str
    asked: dict[str, str]
    fields: tuple[Field, ...]
    findings: tuple[Finding, ...]
    output_hash: str
    says_yes: str  # whose yes it needs; "" is any reviewer's
    first_yeses: tuple[str, ...]
    holder: str | None
    may_change: bool
    decision: Decided | None


class Page(Shown):
    """One page of a night's review."""

    night_id: int
    workflow: str
    night: str
    left: int
    total: int
    page: int
    pages: int
    minutes: float  # what is left will take
    buckets: dict[str, int]
    items: tuple[Item, ...]


def page(
    conn: Connection, night: Night, person: str, *, number: int, bucket: str, only_open: bool, now: datetime
) -> Page:  # fmt: skip
    """One page, riskiest first."""
    shown = review.listed(conn, night, person, view="grid", page=number, bucket=bucket, only_open=only_open, now=now,
                          whole=True)  # fmt: skip
    return Page(
        night_id=night["id"], workflow=night["workflow"], night=night["night"], left=shown["left"], total=shown["total"],
        page=shown["page"], pages=shown["pages"], minutes=shown["pace"]["minutes"],
        buckets={one["name"]: one["count"] for one in shown["buckets"]}, items=tuple(_item(one) for one in shown["entries"]),
    )  # fmt: skip


def single(conn: Connection, night: Night, item_id: int, person: str, *, now: datetime) -> Item | None:
    """One item; None where it is not of this review."""
    shown = review.single(conn, night, item_id, person, now=now, whole=True)
    return None if shown is None else _item(shown["entry"])


def _item(entry: Mapping[str, Any]) -> Item:
    same = {key: entry[key] for key in ("id", "key", "title", "bucket", "state", "output_hash", "holder", "may_change")}
    return Item(
        **same, asked=dict(entry["input"]), says_yes=entry["whose"], first_yeses=tuple(entry["firsts"]),
        fields=tuple(Field(name=one.name, before=one.before, after=one.text, editable=one.editable) for one in entry["fields"]),
        findings=tuple(_findings(entry["findings"])), decision=_decided(entry["decision"]),
    )  # fmt: skip


def _findings(rows: Sequence[Mapping[Any, Any]]) -> Sequence[Finding]:
    return [Finding(**{key: row[key] for key in Finding.model_fields}) for row in rows]


def _decided(row: Mapping[Any, Any] | None) -> Decided | None:
    if row is None:
        return None
    plain = {key: row[key] for key in Decided.model_fields if key != "collected"}
    return Decided(**plain, collected=row["collected_at"] is not None)
