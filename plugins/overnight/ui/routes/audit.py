"""The audit log."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from overnight.ui.access import Who
from overnight.ui.given import Books, Now
from overnight.ui.render import page
from overnight.ui.shows import audit as shows

router = APIRouter()


@router.get("/audit", response_class=HTMLResponse)
def audit(request: Request, who: Who, books: Books, now: Now) -> HTMLResponse:
    """The last seven days of the workflows the visitor may see: what ran, was denied, was decided; the log verified."""
    with books.read() as conn:
        shown = shows.week(conn, who.workflows(), now=now)
    return page(request, "audit.html", **shown, who=who)
