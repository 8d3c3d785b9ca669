"""What nights cost and what they were worth."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse

from overnight.ui.access import Who
from overnight.ui.given import Books, Now
from overnight.ui.render import page, picture
from overnight.ui.routes.quality import Theme
from overnight.ui.shows import money as shows
from overnight.ui.shows.shape import title

router = APIRouter(prefix="/money", include_in_schema=False)
Days = Annotated[int, Query(ge=1, le=366)]


@router.get("", response_class=HTMLResponse)
def money(request: Request, who: Who, books: Books, now: Now, days: Days = 28) -> HTMLResponse:
    """Cost an output and an approved one, what batches, caches and packing saved, budgets, and the baseline."""
    with books.read() as conn:
        shown = shows.money(conn, who.workflows(), days, now=now)
    return page(request, "money.html", shown=shown, periods=shows.PERIODS, who=who)


@router.get("/cost.svg")
def chart(who: Who, books: Books, now: Now, days: Days = 28, theme: Theme = "light") -> Response:
    """Cost by day and workflow as a picture."""
    from overnight.ui import charts

    names = who.workflows()
    with books.read() as conn:
        found = shows.series(conn, names, days, now=now)
    return picture(charts.stacked(found, {name: title(name) for name in names}, theme), charts.POLICY)
