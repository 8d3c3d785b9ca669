"""The audit log: search, the week's digest, and whether the chains hold."""

from datetime import UTC, date, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse

from overnight.ledger.audit_search import Filter
from overnight.ledger.connect import Ledger
from overnight.ui.access import OwnPages, Who
from overnight.ui.given import Books, Now
from overnight.ui.render import page
from overnight.ui.shows import audit as shows

router = APIRouter(prefix="/audit", include_in_schema=False)
Day = Annotated[str, Query(pattern=r"^(\d{4}-\d\d-\d\d)?$")]
Word = Annotated[str, Query(max_length=250)]


def wanted(
    workflow: Word = "", actor: Word = "", verb: Word = "", object_type: Word = "", object_id: Word = "", run_id: Word = "",
    first_day: Day = "", last_day: Day = "", notable: bool = True,
) -> Filter:  # fmt: skip
    """What a search looks for. `notable`: without what nights write by the thousand (creates and moves)."""
    # Who names a thing, a run or a verb wants to see all that happened to it.
    named = bool(object_id or run_id or verb)
    return Filter(workflow, actor.strip(), verb.strip(), object_type, object_id.strip(), run_id.strip(), first_day, last_day,
                  notable and not named)  # fmt: skip


Wanted = Annotated[Filter, Depends(wanted)]


@router.get("", response_class=HTMLResponse)
def log(request: Request, who: Who, books: Books, wanted: Wanted, before: int | None = None) -> HTMLResponse:
    """Every event of the workflows whose log the visitor may read, newest first."""
    return _log(request, who, books, wanted, before, None)


@router.post("/verify", response_class=HTMLResponse, dependencies=[OwnPages])
async def verify(request: Request, who: Who, books: Books, now: Now) -> HTMLResponse:
    """Hold the chains of the chosen workflow and days to their links, and say where they do not hold."""
    form = await request.form()
    names = who.audits()
    chosen = str(form.get("workflow") or "")
    first, last = days_of(str(form.get("first_day") or ""), str(form.get("last_day") or ""), now)
    found = await run_in_threadpool(verified, books, [chosen] if chosen in names else names, first, last)
    return await run_in_threadpool(_log, request, who, books, Filter(workflow=chosen, notable=True), None, found)


def verified(books: Ledger, names: list[str], first: date, last: date) -> shows.Verified:
    """The chains of these workflows and days, held to their links."""
    with books.read() as conn:
        return shows.verify(conn, names, first, last)


def days_of(first: str, last: str, now: datetime) -> tuple[date, date]:
    """The days asked for; the last seven where they are none."""
    try:
        end = date.fromisoformat(last) if last else now.astimezone(UTC).date()
        return (date.fromisoformat(first) if first else end - timedelta(days=6)), end
    except ValueError:
        end = now.astimezone(UTC).date()
        return end - timedelta(days=6), end


@router.get("/week", response_class=HTMLResponse)
def week(request: Request, who: Who, books: Books, now: Now) -> HTMLResponse:
    """The last seven days: what ran, was denied, was decided; when the whole log was verified; the launch gate."""
    with books.read() as conn:
        shown = shows.week(conn, who.audits(), now=now)
    return page(request, "audit_week.html", **shown, who=who)


def _log(
    request: Request, who: Who, books: Books, wanted: Filter, before: int | None, found: shows.Verified | None
) -> HTMLResponse:
    names = who.audits()
    with books.read() as conn:
        shown = shows.search(conn, names, wanted, before=before)
    query = {key: value for key in Filter.__slots__ if (value := getattr(wanted, key)) and key != "notable"}
    return page(request, "audit.html", shown=shown, wanted=wanted, query=query, verified=found, names=names, who=who)
