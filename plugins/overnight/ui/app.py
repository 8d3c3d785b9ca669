"""The pages inside the Airflow UI. They read the ledger and write decisions; they know no vendor and run no task."""

import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, select_autoescape

from overnight.clock import utcnow
from overnight.ledger.audit import Actor
from overnight.ledger.connect import open_ledger
from overnight.ledger.errors import AlreadyThere as IntegrityError
from overnight.ledger.reviews import DecisionRefused
from overnight.ui import pages
from overnight.ui.access import NotLoggedIn, OwnPages, User, login_url, may_decide, may_read
from overnight.workflow import workflow_names

_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=select_autoescape(default=True, default_for_string=True),
    trim_blocks=True,
    lstrip_blocks=True,
)


def build_app() -> FastAPI:
    """The app that `mount.py` hangs under /overnight."""
    app = FastAPI(title="Overnight", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_exception_handler(NotLoggedIn, _to_login)
    app.middleware("http")(_guarded)
    app.get("/", response_class=HTMLResponse)(nights)
    app.get("/audit", response_class=HTMLResponse)(audit)
    app.get("/review/{night_id}", response_class=HTMLResponse)(review)
    app.post("/review/{night_id}/decide", dependencies=[OwnPages])(decide)
    return app


def nights(request: Request, user: User) -> HTMLResponse:
    """Every night the user may see, newest first."""
    with open_ledger().read() as conn:
        shown = [night for night in pages.nights(conn) if may_read(user, night["workflow"])]
        loose = [alert for alert in pages.loose_alerts(conn) if may_read(user, alert["workflow"])]
    return _page(request, "nights.html", nights=shown, loose=loose, user=user.get_name())


def audit(request: Request, user: User) -> HTMLResponse:
    """The last seven days of the workflows the user may see: what ran, was denied, was decided; the log verified."""
    names = [name for name in workflow_names() if may_read(user, name)]
    with open_ledger().read() as conn:
        shown = pages.audit(conn, names, now=utcnow())
    return _page(request, "audit.html", **shown, user=user.get_name())


def review(request: Request, night_id: int, user: User, page: int = 1, said: str = "") -> HTMLResponse:
    """One night, as its reviewers see it."""
    with open_ledger().read() as conn:
        shown = pages.review(conn, night_id, page=page)
    if shown is None or not may_read(user, shown["night"]["workflow"]):
        raise HTTPException(404, "There is no such night, or you may not see it.")
    deciding = may_decide(user, shown["night"]["workflow"])
    return _page(request, "review.html", **shown, user=pages.known_as(user.get_name()), may_decide=deciding, said=said[:300])


async def decide(request: Request, night_id: int, user: User) -> Response:
    """Take one decision from the page's form and come back to where the reviewer was."""
    form = {key: value for key, value in (await request.form()).items() if isinstance(value, str)}
    # The ledger may make us wait for a lock: not on the event loop that all of Airflow's API runs on.
    return await run_in_threadpool(_take, request, night_id, user, form)


def _take(request: Request, night_id: int, user: Any, form: dict[str, str]) -> Response:
    ledger = open_ledger()
    with ledger.read() as conn:
        workflow = pages.workflow_of(conn, night_id)
    if workflow is None or not may_read(user, workflow):
        raise HTTPException(404, "There is no such night, or you may not see it.")
    if not may_decide(user, workflow):
        raise HTTPException(403, "You may read this review, but not decide. Ask for write access to its Dag.")
    try:
        item_id = int(form["item_id"]) if form.get("item_id") else None
        with ledger.write() as conn:
            said = pages.decide(conn, night_id, item_id, form, actor=Actor("human", user.get_name()), now=utcnow())
    except IntegrityError:
        return PlainTextResponse(
            "Somebody decided this at the same moment. Nothing was changed; reload the page.", status_code=409
        )
    except (DecisionRefused, ValueError) as refusal:
        with ledger.write() as conn:
            pages.refused(conn, workflow, form.get("item_id", ""), str(refusal), user=user.get_name(), now=utcnow())
        return PlainTextResponse(f"{refusal}\n\nGo back in your browser; nothing was changed.", status_code=409)
    anchor = f"#item-{item_id}" if item_id else ""
    page = form.get("page", "1")
    where = (
        f"{request.scope.get('root_path', '')}/review/{night_id}?page={page if page.isdigit() else 1}&said={quote(said)}{anchor}"
    )
    return RedirectResponse(where, status_code=303)


def _page(request: Request, template: str, **values: Any) -> HTMLResponse:
    html = _templates.get_template(template).render(root=request.scope.get("root_path", ""), nonce=request.state.nonce, **values)
    return HTMLResponse(html)


async def _guarded(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """Headers on every answer: nothing may load from anywhere, no script runs, no other site may frame us."""
    request.state.nonce = secrets.token_urlsafe(16)
    response = await call_next(request)
    response.headers["content-security-policy"] = (
        f"default-src 'none'; style-src 'nonce-{request.state.nonce}'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'self'"
    )
    response.headers["x-content-type-options"] = "nosniff"
    response.headers["referrer-policy"] = "same-origin"
    response.headers["cache-control"] = "no-store"
    return response


async def _to_login(request: Request, _error: Exception) -> Response:
    if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
        return RedirectResponse(login_url(request), status_code=303)
    return PlainTextResponse("Not logged in.", status_code=401)
