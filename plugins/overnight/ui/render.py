"""Templates, the headers of every answer, and the files a browser loads from us: nothing comes from anywhere else."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import Request, Response
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from overnight.brand import brand
from overnight.ui.mount import PREFIX

HERE = Path(__file__).parent
STATIC = HERE / "static"
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'self'"
)
"""No script and no style stands in a page: what a queue or a model wrote cannot become one."""


@lru_cache(maxsize=16)
def asset(name: str) -> str:
    """A file's name with its contents' hash: a browser keeps it until it changes."""
    return f"{name}?{sha256((STATIC / name).read_bytes()).hexdigest()[:12]}"


_templates = Environment(
    loader=FileSystemLoader(HERE / "templates"),
    autoescape=select_autoescape(default=True, default_for_string=True),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.globals["asset"] = asset


def _when(at: datetime | None, style: str = "%a %d %b %H:%M") -> str:
    """An instant on the brand's own clock."""
    return "–" if at is None else at.astimezone(ZoneInfo(brand().timezone)).strftime(style)


def _usd(value: Any) -> str:
    """Dollars; four places where cents would say nothing."""
    if value is None:
        return "–"
    return f"${value:,.2f}" if abs(value) >= 1 or not value else f"${value:.4f}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value * 100:.0f} %"


def _number(value: Any, places: int = 0) -> str:
    return "–" if value is None else f"{value:,.{places}f}"


_templates.filters |= {"when": _when, "usd": _usd, "percent": _percent, "number": _number}


def page(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """One page. `root` is where we are mounted."""
    mounted = root(request)
    text = _templates.get_template(template).render(
        root=mounted, airflow=mounted.removesuffix(PREFIX), here=request.url.path, **values
    )  # fmt: skip
    return HTMLResponse(text, status_code=status)


def told(request: Request, title: str, words: str, status: int) -> HTMLResponse:
    """A page with one sentence, which needs nobody to be logged in."""
    text = _templates.get_template("told.html").render(root=root(request), title=title, words=words)
    return HTMLResponse(text, status_code=status)


def picture(svg: bytes, policy: str) -> Response:
    """An SVG picture with a policy of its own; kept for a minute, for a page asks again when its theme changes."""
    return Response(
        svg, media_type="image/svg+xml", headers={"content-security-policy": policy, "cache-control": "private, max-age=60"}
    )


def root(request: Request) -> str:
    """The path our pages are mounted at."""
    return str(request.scope.get("root_path", ""))


async def guarded(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """Headers on every answer: nothing may load from anywhere else, no other site may frame us, nothing is kept."""
    response = await call_next(request)
    response.headers.setdefault("content-security-policy", POLICY)
    response.headers["x-content-type-options"] = "nosniff"
    response.headers["referrer-policy"] = "same-origin"
    response.headers.setdefault("cache-control", "no-store")
    return response
