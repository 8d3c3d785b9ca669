"""The local server: the three vendors and the three review services under one address, each below a prefix of its own.

http://127.0.0.1:PORT/anthropic, /openai/v1 and /gemini are what a connection's host says.
"""

import asyncio
import random
import time
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from overnight.sandbox import (
    airtable_api,
    anthropic_api,
    control,
    gemini_api,
    google_api,
    gullible,
    notion_api,
    openai_api,
    shops,
)
from overnight.sandbox.desk import Desk
from overnight.sandbox.profiles import PROFILES, Dropped, Fault
from overnight.sandbox.store import Pace, Store

HUNG_S = 3_600.0
_NOT_VENDORS = ("/health", "/control", "/google", "/notion", "/airtable")
"""Paths that a fault profile (of the vendors) does not touch; the review services have manners of their own."""
CREATES = ("/v1/messages/batches", "/v1/batches", ":batchGenerateContent")


def hosts(base: str) -> dict[str, str]:
    """What each vendor's connection says as its host."""
    return {"anthropic": f"{base}/anthropic", "openai": f"{base}/openai/v1", "gemini": f"{base}/gemini"}


def services(base: str) -> dict[str, str]:
    """The addresses of the three services in which people queue and review."""
    return {"google": f"{base}/google", "notion": f"{base}/notion", "airtable": f"{base}/airtable"}


def make_app(store: Store) -> Starlette:
    """The ASGI app over one store."""
    desk = Desk(store)
    app = Starlette(
        routes=[
            Route("/health", _health),
            Route("/control/misbehave", _misbehave, methods=["POST"]),
            Route("/control/behave", _behave, methods=["POST"]),
            Route("/control/gullible", gullible.believe, methods=["POST"]),
            Route("/control/shops", shops.turn_the_day, methods=["POST"]),
            _mount("/anthropic", anthropic_api.ROUTES, store, anthropic_api.Refusal, _anthropic_error),
            _mount("/openai", openai_api.ROUTES, store, openai_api.Refusal, _openai_error),
            _mount("/gemini", gemini_api.ROUTES, store, gemini_api.Refusal, _gemini_error),
            *(_at_desk(name, module.ROUTES, desk, {module.Refusal: module.on_refusal}) for name, module in _SERVICES.items()),
            _at_desk("control/desk", control.ROUTES, desk, {}),
        ]
    )
    app.state.store, app.state.shops = store, shops.Shops()
    app.add_middleware(shops.AtTheirHosts, shops=app.state.shops)
    return app


_SERVICES: dict[str, Any] = {"google": google_api, "notion": notion_api, "airtable": airtable_api}


def _at_desk(prefix: str, routes: list[Route], desk: Desk, handlers: Any) -> Mount:
    app = Starlette(routes=routes, exception_handlers=handlers)
    app.state.desk = desk
    return Mount(f"/{prefix}", app=app)


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


class Faulty:
    """ASGI middleware: the faults of the profile that are not about a batch's content."""

    def __init__(self, app: Any, fault: Fault) -> None:
        self.app, self.fault = app, fault
        self.first_create_at: float | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass the call on, or fail it in the profile's way."""
        path = scope.get("path", "")
        if scope["type"] != "http" or path.startswith(_NOT_VENDORS):
            await self.app(scope, receive, send)
            return
        method, profile, fault = scope["method"], self.fault.profile, self.fault
        create = method == "POST" and path.endswith(CREATES)
        kind = f"{method} {'create' if create else path}"
        if refusal := self._refusal(kind, path, create=create):
            await refusal(scope, receive, send)
        elif method == "GET" and fault.strikes(profile.hung, f"hung {kind}"):
            await asyncio.sleep(HUNG_S)
        elif create and fault.strikes(profile.lost_creates, "lost"):
            await self.app(scope, receive, _swallow)
            await drop(send)
        elif method == "POST" and fault.strikes(profile.broken_after, f"after {kind}"):
            await self.app(scope, receive, _swallow)
            await _unwell(path)(scope, receive, send)
        else:
            await asyncio.sleep(fault.profile.slow_s * random.Random(f"{fault.seed} {kind}").random())
            await self.app(scope, receive, send)

    def _refusal(self, kind: str, path: str, *, create: bool) -> Any:
        """A call that is turned away at the door, if it is."""
        profile, now = self.fault.profile, time.monotonic()
        if create and self.first_create_at is None:
            self.first_create_at = now
            return None  # the night begins well
        if self.first_create_at is not None and now < self.first_create_at + profile.refused_key_s:
            return _refused_key(path)
        if self.fault.strikes(profile.busy, f"busy {kind}"):
            return _busy(path)
        return _unwell(path) if self.fault.strikes(profile.broken, f"broken {kind}") else None


def _refused_key(path: str) -> Response:
    if path.startswith("/anthropic"):
        return anthropic_api.error(401, "authentication_error", "invalid x-api-key")
    if path.startswith("/openai"):
        return openai_api.error(401, "Incorrect API key provided.", "invalid_api_key", None)
    return gemini_api.error(400, "API key not valid. Please pass a valid API key.", "API_KEY_INVALID")


def _busy(path: str) -> Response:
    if path.startswith("/anthropic"):
        answer = anthropic_api.error(429, "rate_limit_error", "This request would exceed your rate limit.")
    elif path.startswith("/openai"):
        answer = openai_api.error(429, "Rate limit reached.", "rate_limit_exceeded", None)
    else:
        answer = gemini_api.error(429, "Resource has been exhausted.")
    answer.headers["retry-after"] = "1"
    return answer


def _unwell(path: str) -> Response:
    if path.startswith("/anthropic"):
        return anthropic_api.error(529, "overloaded_error", "Overloaded")
    if path.startswith("/openai"):
        return openai_api.error(500, "The server had an error.", "server_error", None)
    return gemini_api.error(503, "The service is currently unavailable.")


async def drop(send: Any) -> None:
    """Close the connection in the middle of an answer (an error before its first byte would be answered with a 500)."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1000000")]})
    raise Dropped


async def _swallow(_message: Any) -> None:
    """An answer that nobody hears."""


def serve(
    port: int, state: Path | None, pace: Pace, seed: int = 0, host: str = "127.0.0.1", profile: str = "none"
) -> None:  # fmt: skip
    """Run until told to stop. Without a state file everything is forgotten at the end."""
    import uvicorn

    store = Store(state or ":memory:", pace, seed, PROFILES[profile])
    app = Faulty(NotedCalls(make_app(store), store), store.fault)
    # An answer that is dropped on purpose is an error to the server's log, which is no place for a rehearsal's noise.
    uvicorn.run(app, host=host, port=port, log_level="critical" if profile != "none" else "warning")
