"""The five metrics, and one workflow's charts."""

from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi.responses import HTMLResponse

from overnight.ui.access import SeenWorkflow, Who
from overnight.ui.given import Books, Now
from overnight.ui.render import page, picture
from overnight.ui.shows import quality as shows

router = APIRouter(prefix="/quality", include_in_schema=False)
Theme = Annotated[str, Query(pattern="^(light|dark)$")]


@router.get("", response_class=HTMLResponse)
def overview(request: Request, who: Who, books: Books) -> HTMLResponse:
    """Every measured workflow's five metrics over its last seven nights."""
    with books.read() as conn:
        summaries = shows.summaries(conn, who.workflows())
    return page(request, "quality.html", summaries=summaries, names=shows.NAMES, who=who)


@router.get("/{workflow}", response_class=HTMLResponse)
def of_workflow(request: Request, workflow: SeenWorkflow, who: Who, books: Books, now: Now) -> HTMLResponse:
    """One workflow: control charts, nights, prompt versions, reviewers, drift, launch state."""
    with books.read() as conn:
        shown = shows.detail(conn, workflow, now=now)
    if shown is None:
        raise HTTPException(404, "Nothing of this workflow was measured yet: its first review has to end.")
    return page(request, "quality_workflow.html", shown=shown, workflow=workflow, names=shows.NAMES, who=who)


@router.get("/{workflow}/{metric}.svg")
def chart(workflow: SeenWorkflow, metric: str, who: Who, books: Books, theme: Theme = "light") -> Response:
    """One control chart as a picture."""
    from overnight.ui import charts

    with books.read() as conn:
        found = shows.chart(conn, workflow, metric)
    if found is None:
        raise HTTPException(404, "There is no such chart.")
    return picture(charts.control(*found, shows.NAMES[metric], theme), charts.POLICY)
