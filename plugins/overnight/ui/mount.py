"""How our pages hang in Airflow's web server. Every Airflow process imports this; only the web server builds the app."""

import gc
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
            # All that is loaded by now lives as long as the server. Looking through it for garbage, as Python would now and then,
            # holds up every request for a quarter of a second; Airflow does the same in its executors and Dag processor.
            gc.collect()
            gc.freeze()
        await self._app(scope, receive, send)


def fastapi_apps() -> list[dict[str, Any]]:
    """For AirflowPlugin.fastapi_apps. Airflow adds no authorisation to these: each route brings its own."""
    return [{"app": LazyApp(), "url_prefix": PREFIX, "name": "Overnight"}]


def external_views() -> list[dict[str, Any]]:
    """For AirflowPlugin.external_views: our pages in Airflow's navigation, and a night beside each Dag run."""
    pages = (("Tonight", "/"), ("Review", "/review"), ("Quality", "/quality"), ("Money", "/money"), ("Audit", "/audit"))
    nav = {"destination": "nav", "category": "Overnight"}
    views: list[dict[str, Any]] = [
        {**nav, "name": name, "href": f"{PREFIX}{path}", "url_route": f"overnight-{name.lower()}"} for name, path in pages
    ]
    # Airflow puts the names of the run into the braces.
    night = {"name": "Night", "href": f"{PREFIX}/run/{{DAG_ID}}/{{RUN_ID}}", "destination": "dag_run"}
    return [*views, {**night, "url_route": "overnight-night"}]
