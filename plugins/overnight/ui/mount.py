"""How our pages hang in Airflow's web server. Every Airflow process imports this; only the web server builds the app."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

PREFIX = "/overnight"
Scope = MutableMapping[str, Any]


class LazyApp:
    """An ASGI app that is built on its first request: schedulers, triggerers and workers never load a web framework."""

    def __init__(self) -> None:
        self._app: Any = None

    async def __call__(self, scope: Scope, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
        """Pass the request on."""
        if self._app is None:
            from overnight.ui.app import build_app

            self._app = build_app()
        await self._app(scope, receive, send)


def fastapi_apps() -> list[dict[str, Any]]:
    """For AirflowPlugin.fastapi_apps. Airflow adds no authorisation to these: each route brings its own."""
    return [{"app": LazyApp(), "url_prefix": PREFIX, "name": "Overnight"}]


def external_views() -> list[dict[str, Any]]:
    """For AirflowPlugin.external_views: the entry in Airflow's navigation."""
    return [{"name": "Overnight", "href": f"{PREFIX}/", "destination": "nav", "url_route": "overnight"}]
