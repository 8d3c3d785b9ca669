"""The pages inside the Airflow UI. They read the ledger and write decisions; they know no vendor and run no task."""

from typing import Any

from fastapi import Depends, FastAPI, Request, Response
from fastapi.exception_handlers import http_exception_handler
from fastapi.responses import PlainTextResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from overnight.ui.access import NotLoggedIn, logged_in, login_url
from overnight.ui.render import STATIC, guarded, told
from overnight.ui.routes import api, audit, money, nights, quality, review, tonight

DESCRIPTION = "What Overnight's pages show, as JSON; with Airflow's own login and permissions on every path."


def build_app() -> FastAPI:
    """The app that `mount.py` hangs under /overnight."""
    app = FastAPI(title="Overnight", version="1", description=DESCRIPTION, docs_url=None, redoc_url=None, openapi_url=None)
    app.add_exception_handler(NotLoggedIn, _to_login)
    app.add_exception_handler(HTTPException, _told)
    app.middleware("http")(guarded)
    for room in (tonight, nights, review, quality, money, audit, api):
        app.include_router(room.router, dependencies=[Depends(logged_in)])
    app.mount("/static", _Kept(directory=STATIC))  # our own style and script: no data, so no login
    return app


class _Kept(StaticFiles):
    """Files whose address holds their hash: a browser need not ask again."""

    def file_response(self, *args: object, **kwargs: object) -> Response:
        response = super().file_response(*args, **kwargs)  # type: ignore[arg-type]
        response.headers["cache-control"] = "public, max-age=31536000, immutable"
        return response


async def _to_login(request: Request, _error: Exception) -> Response:
    if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
        return RedirectResponse(login_url(request), status_code=303)
    return PlainTextResponse("Not logged in.", status_code=401)


async def _told(request: Request, error: Any) -> Response:
    """A refusal in words: a page for a browser, JSON for a script."""
    if "text/html" not in request.headers.get("accept", ""):
        return await http_exception_handler(request, error)
    title = {404: "Not there", 403: "Not allowed"}.get(error.status_code, "That did not work")
    return told(request, title, str(error.detail), error.status_code)
