"""The list of nights, and one night's corridor."""

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from overnight.ui.access import Seen, SeenWorkflow, Who
from overnight.ui.given import Books, Now
from overnight.ui.render import page, root
from overnight.ui.shows import nights as shows

router = APIRouter(include_in_schema=False)


@router.get("/nights", response_class=HTMLResponse)
def nights(request: Request, who: Who, books: Books, before: int | None = None) -> HTMLResponse:
    """Every night the visitor may see, newest first, a page at a time."""
    names = who.workflows()
    with books.read() as conn:
        shown = shows.listed(conn, names, before=before)
        loose = shows.loose_alerts(conn, who.hears_of()) if before is None else []
    return page(request, "nights.html", nights=shown, loose=loose, last=shows.LAST, who=who)


@router.get("/night/{night_id}", response_class=HTMLResponse)
def night(request: Request, night: Seen, who: Who, books: Books, now: Now) -> HTMLResponse:
    """One night: who stands where, each batch at its vendor, what happened when."""
    with books.read() as conn:
        shown = shows.one(conn, night, now=now)
    return page(request, "night.html", shown=shown, who=who)


@router.get("/run/{workflow}/{run_id}")
def of_run(request: Request, workflow: SeenWorkflow, run_id: str, who: Who, books: Books) -> Response:
    """The night of a Dag run: where Airflow's own page of the run leads."""
    with books.read() as conn:
        found = shows.of_run(conn, workflow, run_id)
    if found is None:
        raise HTTPException(404, "This run has opened no night: its check has not succeeded, or it is no workflow's run.")
    return RedirectResponse(f"{root(request)}/night/{found['id']}", status_code=303)
