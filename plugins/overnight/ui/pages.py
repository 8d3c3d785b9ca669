"""What each page shows, as plain data from the ledger; and how a form becomes a decision."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from overnight import prompts
from overnight.governance import audit_digest, launch
from overnight.ledger import alerts, overview, reviews
from overnight.ledger import findings as ledger_findings
from overnight.ledger import nights as ledger_nights
from overnight.ledger.audit import Actor
from overnight.ledger.errors import LedgerError
from overnight.review import deciding, exhibit, placement, showing, verdict
from overnight.review.reasons import REASONS
from overnight.team import team
from overnight.workflow import Workflow, workflow_if_known

PER_PAGE = 50


def nights(conn: Connection) -> list[dict[str, Any]]:
    """The list of nights with their figures, times in the brand's zone."""
    rows = overview.list_nights(conn)
    return [{**overview.describe(conn, row), "id": row["id"], "title": _title(row["workflow"]), **_local(row)} for row in rows]


def loose_alerts(conn: Connection) -> list[dict[str, Any]]:
    """What kept a night from being opened."""
    return overview.loose_alerts(conn)


def audit(conn: Connection, names: Sequence[str], *, now: datetime) -> dict[str, Any]:
    """The week of these workflows, and how far each is on its way to live."""
    return {
        "digest": audit_digest.digest(conn, now=now, workflows=names, verified=False),
        "verified": alerts.newest(conn, "audit_digest"),
        "launches": [launch.progress(conn, name) for name in names],
    }


def workflow_of(conn: Connection, night_id: int) -> str | None:
    """Whose night it is."""
    try:
        return str(ledger_nights.get(conn, night_id)["workflow"])
    except LedgerError:
        return None


def review(conn: Connection, night_id: int, *, page: int) -> dict[str, Any] | None:
    """One night's review: its digest, its items by risk, their findings, what was decided."""
    if workflow_of(conn, night_id) is None:
        return None
    night = ledger_nights.get(conn, night_id)
    counts = placement.in_page_order(reviews.bucket_counts(conn, night_id))
    shown = [name for name in counts if name != reviews.COVERED]
    pages = max(1, -(-sum(counts[name] for name in shown) // PER_PAGE))
    page = min(max(page, 1), pages)
    rows = reviews.entries(conn, night_id, shown, limit=PER_PAGE, offset=(page - 1) * PER_PAGE)
    found = ledger_findings.of_night(conn, night_id, [row["id"] for row in rows])
    decided = reviews.effective(conn, night_id)
    firsts = reviews.waiting_for_a_second(conn, night_id)
    declared = workflow_if_known(night["workflow"])
    return {
        "night": {
            **overview.describe(conn, night),
            "id": night_id,
            "title": _title(night["workflow"]),
            **_local(night),
        },
        "digest": (night["summary"] or {}).get("digest"),
        "checks": (night["summary"] or {}).get("checks") or [],
        "digest_decision": decided.get(None),
        "checklist": prompts.checklist(declared) if declared else (),
        "minutes": declared.review.minutes if declared else None,
        "buckets": [{"name": n, "title": placement.BUCKETS.get(n, n), "count": c} for n, c in counts.items()],
        "entries": [
            {
                **_entry(row, found.get(row["id"], []), decided.get(row["id"]), declared),
                "whose": exhibit.whose(row),
                "firsts": firsts.get(row["id"], []),
            }
            for row in rows
        ],
        "open": _open(conn, night_id, decided),
        "reasons": REASONS,
        "page": page,
        "pages": pages,
        "bucket_titles": placement.BUCKETS,
    }


def _open(conn: Connection, night_id: int, decided: Mapping[int | None, Any]) -> int:
    ids = {row["id"] for row in reviews.in_review(conn, night_id)}
    return len(ids - {item_id for item_id in decided if item_id is not None})


def _entry(
    row: Mapping[Any, Any],
    findings: list[Mapping[Any, Any]],
    decision: Mapping[Any, Any] | None,
    declared: Workflow | None,
) -> dict[str, Any]:
    title = declared.review.title(row["input"]) if declared else row["key"]
    shown = exhibit.fields(row, declared.review if declared else None)
    return {
        "id": row["id"], "key": row["key"], "title": title, "bucket": row["bucket"], "state": row["state"],
        "input": [(name, showing.text(value)) for name, value in row["input"].items() if value not in ("", None, [])],
        "output": shown, "compared": any(field.before for field in shown),
        "output_hash": row["output_hash"], "findings": findings, "decision": decision, "message": row["message"],
        "rounds": row["rounds"], "previous_note": row["note"],
    }  # fmt: skip


def decide(conn: Connection, night_id: int, item_id: int | None, form: Mapping[str, str], *, actor: Actor, now: datetime) -> str:
    """One form of the review page as a decision; returns the word for the page to say.

    Raises:
        DecisionRefused: with the words for the reviewer.
    """
    edits = {name.removeprefix("edited."): value for name, value in form.items() if name.startswith("edited.")}
    written = verdict.Written(
        decision=form.get("decision", ""), reason=form.get("reason_code", ""), note=form.get("note", ""),
        reviewer=actor.name, edits=edits,
    )  # fmt: skip
    row = reviews.item(conn, item_id) if item_id is not None else None
    decision = verdict.decision(written, row, workflow_if_known(workflow_of(conn, night_id) or ""), surface="page")
    decision["output_hash"] = form.get("output_hash") or None
    return deciding.decide(conn, night_id, item_id, decision, actor=actor, now=now).words


def known_as(user: str) -> str:
    """The person behind a login, as decisions name them."""
    return team().who(user)


def refused(conn: Connection, workflow: str, item_id: str, words: str, *, user: str, now: datetime) -> None:
    """What was denied is on record, too."""
    deciding.refuse(conn, workflow, item_id[:64] or "night", words, reviewer=user, surface="page", now=now)


def _title(name: str) -> str:
    declared = workflow_if_known(name)
    return declared.title if declared else name


def _local(night: Mapping[Any, Any]) -> dict[str, str]:
    tz = ZoneInfo(night["timezone"])
    return {
        f"{name}_local": night[f"{name}_at"].astimezone(tz).strftime("%a %d %b %H:%M")
        for name in ("opened", "cutoff", "due", "exported")
        if night[f"{name}_at"] is not None
    }
