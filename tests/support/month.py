"""Nights of a month, each exported, decided, collected and measured: what the pages of quality and money look back on."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from overnight.ledger import reviews
from overnight.ledger.audit import Actor
from overnight.ledger.connect import Ledger
from overnight.quality import measure
from tests.support.reviewed import SYSTEM, bring_home, draft, entries, shown

FIRST = datetime(2026, 10, 1, 6, 30, tzinfo=UTC)  # 08:30 in Berlin
SIZE = 25


def one_night(
    ledger: Ledger,
    number: int,
    as_is: int,
    edit: int = 0,
    *,
    seconds: float = 60,
    size: int = SIZE,
    usd: Decimal = Decimal(0),
    first: datetime = FIRST, workflow: str = "blog_drafts", example: tuple[Any, Any] | None = None,
) -> Any:  # fmt: skip
    """A night of drafts that is exported, decided one after the other, collected and measured at the end of its review."""
    morning = first + timedelta(days=number)
    label = (morning - timedelta(days=1)).date().isoformat()
    outputs = [dict(example[1])] * size if example else [draft(n) for n in range(size)]
    inputs = [dict(example[0])] * size if example else None
    _, night = shown(
        ledger, "page", outputs, workflow=workflow, inputs=inputs, run_id=f"scheduled__{number}", night=label, now=morning,
        buckets=["ready"] * size, usd=usd,
    )  # fmt: skip
    for place, item in enumerate(entries(ledger, night)):
        decision: dict[str, Any] = {"decision": "approve", "reviewer": "Ada Byron", "surface": "page"}
        if place >= as_is + edit:
            decision |= {"decision": "rework", "reason_code": "fact_wrong", "note": "not so"}
        elif place >= as_is:
            decision |= {"decision": "edit", "edited": item["output"], "heavy": False}
        with ledger.write() as conn:
            at = morning + timedelta(seconds=seconds * place)
            reviews.decide(conn, night["id"], item["id"], decision, actor=Actor("human", "ada"), now=at)
    over = measure.review_over_at(night)
    bring_home(ledger, now=over)
    return over, measure.measure(ledger, actor=SYSTEM, now=over)
