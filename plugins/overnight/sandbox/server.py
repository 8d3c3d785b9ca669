"""The local vendor's web server: three APIs under one address, each below a prefix of its own.

http://127.0.0.1:PORT/anthropic, /openai/v1 and /gemini are what a connection's host says.
"""

from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from overnight.sandbox import anthropic_api, gemini_api, openai_api
from overnight.sandbox.store import Pace, Store


def hosts(base: str) -> dict[str, str]:
    """What each vendor's connection says as its host."""
    return {"anthropic": f"{base}/anthropic", "openai": f"{base}/openai/v1", "gemini": f"{base}/gemini"}


def make_app(store: Store) -> Starlette:
    """The ASGI app over one store."""
    app = Starlette(
        routes=[
            Route("/health", _health),
            Route("/control/misbehave", _misbehave, methods=["POST"]),
            Route("/control/behave", _behave, methods=["POST"]),
            _mount("/anthropic", anthropic_api.ROUTES, store, anthropic_api.Refusal, _anthropic_error),
            _mount("/openai", openai_api.ROUTES, store, openai_api.Refusal, _openai_error),
            _mount("/gemini", gemini_api.ROUTES, store, gemini_api.Refusal, _gemini_error),
        ]
    )
    app.state.store = store
    return app


def _mount(prefix: str, routes: list[Route], store: Store, refusal: type[Exception], handler: Any) -> Mount:
    app = Starlette(routes=routes, exception_handlers={refusal: handler})
    app.state.store = store
    return Mount(prefix, app=app)


async def _health(_request: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def _misbehave(request: Request) -> Response:
    """POST {"vendor": "openai" or "*", "match": text in the request's body, "outcome": one of store.OUTCOMES}."""
    order = await request.json()
    try:
        request.app.state.store.order(str(order.get("vendor", "*")), str(order["match"]), str(order["outcome"]))
    except (KeyError, ValueError) as wrong:
        return JSONResponse({"error": str(wrong)}, 400)
    return JSONResponse({"status": "ordered"})


async def _behave(request: Request) -> Response:
    """POST: forget every order to misbehave."""
    request.app.state.store.forget_orders()
    return JSONResponse({"status": "ok"})


async def _anthropic_error(_request: Request, refusal: Any) -> Response:
    return anthropic_api.error(refusal.status, refusal.kind, refusal.message)


async def _openai_error(_request: Request, refusal: Any) -> Response:
    return openai_api.error(refusal.status, refusal.message, refusal.code, refusal.param)


async def _gemini_error(_request: Request, refusal: Any) -> Response:
    return gemini_api.error(refusal.status, refusal.message, refusal.reason)


class NotedCalls:
    """ASGI middleware: a record of every call, for tests and for the curious. Never a body, never a key."""

    def __init__(self, app: Any, store: Store) -> None:
        self.app, self.store = app, store

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass the call on and note its method, path and status."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def noting(message: Any) -> None:
            if message["type"] == "http.response.start":
                self.store.note_call(scope["method"], scope["path"], message["status"])
            await send(message)

        await self.app(scope, receive, noting)


def serve(port: int, state: Path | None, pace: Pace, seed: int = 0, host: str = "127.0.0.1") -> None:
    """Run until told to stop. Without a state file everything is forgotten at the end."""
    import uvicorn

    store = Store(state or ":memory:", pace, seed)
    uvicorn.run(NotedCalls(make_app(store), store), host=host, port=port, log_level="warning")
