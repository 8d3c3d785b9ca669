"""The list of nights."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from overnight.ui.access import Who
from overnight.ui.given import Books
from overnight.ui.render import page
from overnight.ui.shows import nights as shows

router = APIRouter()


@router.get("/", response_class=HTMLResponse)
def nights(request: Request, who: Who, books: Books) -> HTMLResponse:
    """Every night the visitor may see, newest first."""
    names = who.workflows()
    with books.read() as conn:
        shown = shows.listed(conn, names)
        loose = [alert for alert in shows.loose_alerts(conn) if alert["workflow"] in names]
    return page(request, "nights.html", nights=shown, loose=loose, who=who)
