"""The first look: tonight, this morning, the five metrics; and the kill switch."""

from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from overnight.ledger import switches
from overnight.ledger.errors import LedgerError
from overnight.ui.access import Admin, OwnPages, Who
from overnight.ui.given import Books, Now
from overnight.ui.render import page, root
from overnight.ui.shows import tonight as shows
from overnight.workflow import workflow_names

router = APIRouter(include_in_schema=False)


@router.get("/", response_class=HTMLResponse)
def tonight(request: Request, who: Who, books: Books, now: Now) -> HTMLResponse:
    """What will run tonight, what is ready this morning, are the five metrics in range."""
    with books.read() as conn:
        shown = shows.look(conn, who.workflows(), who.hears_of(), now=now)
    return page(request, "tonight.html", shown=shown, who=who)


@router.post("/switch", dependencies=[OwnPages])
def switch(
    request: Request, who: Admin, books: Books, now: Now, reason: Annotated[str, Form(max_length=500)] = "",
    scope: Annotated[str, Form()] = "", engage: Annotated[bool, Form()] = True,
) -> Response:  # fmt: skip
    """Engage or re-arm a kill switch, with a reason, in the admin's own name."""
    if engage and scope != switches.ALL and scope not in workflow_names():
        raise HTTPException(422, f"{scope!r} is no workflow. Nothing was changed.")
    try:
        with books.write() as conn:
            switches.throw(conn, scope, engaged=engage, by=who.name, reason=reason, now=now)
    except LedgerError as refusal:
        return page(request, "refused.html", 422, who=who, words=str(refusal), night_id=None, item_id=None, form={})
    return RedirectResponse(f"{root(request)}/", status_code=303)
