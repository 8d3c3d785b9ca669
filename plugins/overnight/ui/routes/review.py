"""The review: what waits, a night's list and grid, one item at a time, and every way a decision comes in."""

from datetime import datetime
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse

from overnight.ledger import holds, review_line
from overnight.ledger.connect import Ledger
from overnight.ledger.errors import AlreadyThere
from overnight.ledger.nights import Night
from overnight.ledger.reviews import DecisionRefused
from overnight.ui import taking
from overnight.ui.access import Decides, OwnPages, Seen, Visitor, Who
from overnight.ui.given import Books, Now
from overnight.ui.render import page as render
from overnight.ui.render import root
from overnight.ui.shows import review as shows

router = APIRouter(prefix="/review", include_in_schema=False)
SAID_MOST = 300


async def form_of(request: Request) -> dict[str, list[str]]:
    """The form's text fields; a name may come more than once."""
    made: dict[str, list[str]] = {}
    for name, value in (await request.form()).multi_items():
        if isinstance(value, str):
            made.setdefault(name, []).append(value)
    return made


Form = Annotated[dict[str, list[str]], Depends(form_of)]


@router.get("", response_class=HTMLResponse)
def waiting(request: Request, who: Who, books: Books) -> HTMLResponse:
    """Every night in which something waits for a decision."""
    with books.read() as conn:
        nights = shows.waiting(conn, who.workflows())
    return render(request, "waiting.html", nights=nights, who=who)


@router.get("/{night_id}", response_class=HTMLResponse)
def night(
    request: Request, night: Seen, who: Who, books: Books, now: Now,
    view: Annotated[str, Query(pattern="^(list|grid)$")] = "list", page: int = 1, bucket: str = "", waits: bool = False,
    said: str = "", error: str = "",
) -> HTMLResponse:  # fmt: skip
    """A night's review as a list of cards or as a grid."""
    with books.read() as conn:
        shown = shows.listed(
            conn, night, who.name, view=view, page=page, bucket=bucket, only_open=waits, now=now
        )  # fmt: skip
    return _shown(request, night, who, f"review_{view}.html", shown, said, error)


@router.get("/{night_id}/next")
def following(
    request: Request, night: Seen, who: Who, books: Books, now: Now, after: int | None = None, said: str = ""
) -> Response:
    """To the next open item that nobody else has before them; where none is left, back to the list."""
    with books.read() as conn:
        item_id = review_line.next_open(conn, night["id"], who.name, now=now, after=after)
        covered = review_line.covered(conn, [night["id"]]).get(night["id"]) if item_id is None else None
    said = said[:SAID_MOST]
    if item_id is None:
        rest = f"The digest is left: it decides for {covered} more" if covered else "Nothing is left to decide here"
        return _to(request, night, said=said or rest)
    return _to(request, night, f"/item/{item_id}", said=said)


@router.get("/{night_id}/item/{item_id}", response_class=HTMLResponse)
def item(
    request: Request,
    night: Seen,
    item_id: int,
    who: Who,
    books: Books,
    now: Now,
    said: str = "",
    error: str = "",
    ahead: bool = False,
) -> HTMLResponse:
    """One item, large. It is held for whoever may decide on it, unless it is only loaded ahead."""
    if not ahead and who.may_decide(night["workflow"]):
        with books.write() as conn:
            holds.hold(conn, night["id"], item_id, who.name, now=now)
    with books.read() as conn:
        shown = shows.single(conn, night, item_id, who.name, now=now)
    if shown is None:
        raise HTTPException(404, "There is no such item in this review.")
    return _shown(request, night, who, "review_item.html", shown, said, error)


@router.post("/{night_id}/hold", dependencies=[OwnPages])
def hold(request: Request, night: Decides, who: Who, form: Form, books: Books, now: Now) -> Response:
    """Hold an item, renew a hold, or take one over (`take`)."""
    item_id = taking.number(form, "item_id")
    if item_id is None:
        raise HTTPException(422, "Which item? `item_id` is missing.")
    with books.write() as conn:
        other = holds.hold(conn, night["id"], item_id, who.name, now=now, take="take" in form)
    if _wants_json(request):
        return JSONResponse({"holder": other["person"] if other else None})
    return _to(request, night, f"/item/{item_id}")


@router.post("/{night_id}/decide", dependencies=[OwnPages])
async def decide(request: Request, night: Decides, who: Who, form: Form, books: Books, now: Now) -> Response:
    """Take one decision and come back to where the reviewer was, or go on to the next."""
    # The ledger may make us wait for a lock: not on the event loop that all of Airflow's API runs on.
    return await run_in_threadpool(_answer, request, night, who, form, books, now, taking.one)


@router.post("/{night_id}/decide-many", dependencies=[OwnPages])
async def decide_many(request: Request, night: Decides, who: Who, form: Form, books: Books, now: Now) -> Response:
    """Approve the chosen items at once, where the policy lets one decision be for many."""
    return await run_in_threadpool(_answer, request, night, who, form, books, now, taking.many)


@router.post("/{night_id}/undo", dependencies=[OwnPages])
async def undo(request: Request, night: Decides, who: Who, form: Form, books: Books, now: Now) -> Response:
    """Take back one's own decision (`item_id`, or `last`), as long as it has not gone on its way."""
    if form.get("item_id") == ["last"]:
        with books.read() as conn:
            form = {**form, "item_id": [taking.last_of(conn, night, who)]}
    return await run_in_threadpool(_answer, request, night, who, form, books, now, taking.back)


@router.post("/{night_id}/difference", dependencies=[OwnPages])
def difference(night: Decides, who: Who, form: Form) -> JSONResponse:
    """What an edit changes, word by word: pairs of kind (same, gone, new) and text."""
    before, after = (form.get(name, [""])[0] for name in ("before", "after"))
    return JSONResponse(shows.difference(before, after))


def _answer(
    request: Request, night: Night, who: Visitor, form: dict[str, list[str]], ledger: Ledger, now: datetime, take: Any
) -> Response:
    item_id = taking.number(form, "item_id")
    try:
        with ledger.write() as conn:
            said = take(conn, night, form, who=who, now=now)
    except (DecisionRefused, AlreadyThere) as refusal:
        words = str(refusal) if isinstance(refusal, DecisionRefused) else taking.SAME_MOMENT
        with ledger.write() as conn:
            taking.refused(conn, night, item_id, words, who=who, now=now)
        return _refusal(request, night, who, form, item_id, words)
    if _wants_json(request):
        with ledger.read() as conn:
            coming = review_line.next_open(conn, night["id"], who.name, now=now, after=item_id)
            left = review_line.left(conn, [night["id"]]).get(night["id"], 0)
        return JSONResponse({"said": said, "next": coming, "left": left})
    return _back(request, night, form, item_id, said=said)


def _back(request: Request, night: Night, form: dict[str, list[str]], item_id: int | None, **words: str) -> Response:
    """To the next item, to the item, or to the page of the list the form came from."""
    if form.get("then") == ["next"] and "said" in words:
        return _to(request, night, "/next", after=str(item_id or ""), **words)
    if form.get("then") in (["item"], ["next"]) and item_id:
        return _to(request, night, f"/item/{item_id}", **words)
    kept = {name: form[name][0] for name in ("view", "page", "bucket", "waits") if form.get(name, [""])[0]}
    return _to(request, night, anchor=f"#item-{item_id}" if item_id else "", **kept, **words)


def _refusal(
    request: Request, night: Night, who: Visitor, form: dict[str, list[str]], item_id: int | None, words: str
) -> Response:
    if _wants_json(request):
        return JSONResponse({"error": words}, status_code=409)
    return render(request, "refused.html", 409, who=who, words=words, night_id=night["id"], item_id=item_id, form=form)


def _to(request: Request, night: Night, path: str = "", *, anchor: str = "", **query: str) -> Response:
    asked = {name: value[:SAID_MOST] for name, value in query.items() if value}
    where = f"{root(request)}/review/{night['id']}{path}" + (f"?{urlencode(asked)}" if asked else "") + anchor
    return RedirectResponse(where, status_code=303)


def _wants_json(request: Request) -> bool:
    return "application/json" in request.headers.get("accept", "")


def _shown(
    request: Request, night: Night, who: Visitor, template: str, shown: dict[str, Any], said: str, error: str
) -> HTMLResponse:
    may_decide = who.may_decide(night["workflow"])
    return render(request, template, **shown, who=who, may_decide=may_decide, said=said[:SAID_MOST], error=error[:SAID_MOST])
