"""Addresses the local vendor gives out, below the prefix its API hangs under."""

from starlette.requests import Request


def here(request: Request, path: str) -> str:
    """The full address of a path of the API that took this request."""
    return f"{request.url.scheme}://{request.url.netloc}{request.scope.get('root_path', '')}{path}"
