"""The pages inside the Airflow UI. They read the ledger and write decisions; they know no vendor and run no task."""

from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import PlainTextResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles

from overnight.ui.access import NotLoggedIn, logged_in, login_url
from overnight.ui.render import STATIC, guarded
from overnight.ui.routes import audit, nights, review


def build_app() -> FastAPI:
    """The app that `mount.py` hangs under /overnight."""
    app = FastAPI(title="Overnight", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_exception_handler(NotLoggedIn, _to_login)
    app.middleware("http")(guarded)
    for room in (nights, review, audit):
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
