"""Templates, the headers of every answer, and the files a browser loads from us: nothing comes from anywhere else."""

from collections.abc import Awaitable, Callable
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from fastapi import Request, Response
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

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


def page(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """One page. `root` is where we are mounted."""
    text = _templates.get_template(template).render(root=root(request), here=request.url.path, **values)
    return HTMLResponse(text, status_code=status)


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
