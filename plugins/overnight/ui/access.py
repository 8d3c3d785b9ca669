"""Who may see and who may decide: Airflow's own login and its auth manager, asked on every route.

Reading a workflow's pages needs read access to its Dag, deciding needs write access. A request that changes something must
come from our own pages (same origin) or carry a token of its own: a foreign page cannot decide in a reviewer's name.
"""

from typing import Annotated, Any
from urllib.parse import urlsplit

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagDetails
from airflow.api_fastapi.core_api.security import get_user
from fastapi import Depends, HTTPException, Request


class NotLoggedIn(Exception):
    """Nobody is logged in; a browser is sent to Airflow's login."""


async def logged_in(request: Request) -> Any:
    """The user of this request.

    Raises:
        NotLoggedIn: there is none, or the login is over.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    try:
        if scheme.lower() == "bearer" and token:
            from airflow.api_fastapi.core_api.security import resolve_user_from_token

            return await resolve_user_from_token(token)
        return await get_user(request, None, None)
    except HTTPException as error:
        raise NotLoggedIn from error


User = Annotated[Any, Depends(logged_in)]


def may_read(user: Any, workflow: str) -> bool:
    """Whether the user may see a workflow's nights."""
    return bool(get_auth_manager().is_authorized_dag(method="GET", user=user, details=DagDetails(id=workflow)))


def may_decide(user: Any, workflow: str) -> bool:
    """Whether the user may decide on a workflow's items."""
    return bool(get_auth_manager().is_authorized_dag(method="PUT", user=user, details=DagDetails(id=workflow)))


def from_our_pages(request: Request) -> None:
    """Refuse a change that another site's page asks for (CSRF)."""
    # A bearer token is sent on purpose; Basic, which a proxy may ask for, is added by the browser itself.
    if request.headers.get("authorization", "").lower().startswith("bearer "):
        return
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    same = site == "same-origin" if site else bool(origin) and urlsplit(origin or "").netloc == request.url.netloc
    if not same:
        raise HTTPException(403, "This change did not come from Overnight's own page. Nothing was decided.")


OwnPages = Depends(from_our_pages)


def login_url(request: Request) -> str:
    """Airflow's login, which comes back to the page that was asked for."""
    return str(get_auth_manager().get_url_login(next_url=str(request.url)))
