"""Who may see and who may decide: Airflow's own login and its auth manager, asked on every route.

| role | is whoever Airflow lets | and may |
| --- | --- | --- |
| viewer | read a workflow's Dag | see its pages; its audit log with read access to the Dag's audit log |
| reviewer | change a workflow's Dag | decide on its items |
| approver | the same, and its policy names them (or a role of theirs in team.yaml) | say the yes that T2 and T3 need |
| admin | change the deployment's connections | throw and re-arm the kill switches |

A request that changes something must come from our own pages (same origin) or carry a token of its own: a foreign page cannot
decide in a reviewer's name.
"""

from functools import cached_property
from typing import Annotated, Any
from urllib.parse import urlsplit

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import ConnectionDetails, DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import get_user
from fastapi import Depends, HTTPException, Request

from overnight.governance import policy as policies
from overnight.ledger import nights
from overnight.ledger.nights import Night
from overnight.settings import SettingsError
from overnight.team import team
from overnight.ui.given import Books
from overnight.workflow import SHARED_DAGS, workflow_names


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


class Visitor:
    """Who is there, and what Airflow's auth manager lets them do."""

    def __init__(self, user: Any) -> None:
        self._user = user
        self.login = str(user.get_name())

    def may_read(self, workflow: str) -> bool:
        """Whether they may see a workflow's nights."""
        return bool(get_auth_manager().is_authorized_dag(method="GET", user=self._user, details=DagDetails(id=workflow)))

    def may_decide(self, workflow: str) -> bool:
        """Whether they may decide on a workflow's items."""
        return bool(get_auth_manager().is_authorized_dag(method="PUT", user=self._user, details=DagDetails(id=workflow)))

    def may_audit(self, workflow: str) -> bool:
        """Whether they may read a workflow's audit log."""
        manager, details = get_auth_manager(), DagDetails(id=workflow)
        entity = DagAccessEntity.AUDIT_LOG
        return bool(manager.is_authorized_dag(method="GET", user=self._user, access_entity=entity, details=details))

    @cached_property
    def is_admin(self) -> bool:
        """Whether they may throw the kill switches: whoever may change the deployment's connections."""
        return bool(get_auth_manager().is_authorized_connection(method="PUT", user=self._user, details=ConnectionDetails()))

    def approves(self, workflow: str) -> bool:
        """Whether a workflow's policy names them, or a role of theirs, for the yes that T2 and T3 need."""
        try:
            approval = policies.load(workflow)[0].approval
            return team().is_one_of(self.login, (*approval.approvers, *approval.owners))
        except (policies.PolicyError, SettingsError):
            return False

    def role(self, workflow: str) -> str:
        """viewer, reviewer or approver of a workflow; "" for one they may not see."""
        if not self.may_read(workflow):
            return ""
        if not self.may_decide(workflow):
            return "viewer"
        return "approver" if self.approves(workflow) else "reviewer"

    def audits(self) -> list[str]:
        """The workflows whose audit log they may read."""
        return [name for name in (*workflow_names(), *SHARED_DAGS) if self.may_read(name) and self.may_audit(name)]

    def workflows(self) -> list[str]:
        """The workflows they may see."""
        return [name for name in workflow_names() if self.may_read(name)]

    def hears_of(self) -> list[str]:
        """The workflows they may see, and the Dags that serve all of them (the morning's collecting, the watchdog)."""
        shared = [name for name in SHARED_DAGS if self.may_read(name)]
        return [*self.workflows(), *shared]

    @property
    def name(self) -> str:
        """The person, as decisions name them."""
        try:
            return team().who(self.login)
        except SettingsError:
            return self.login


def visitor(user: Annotated[Any, Depends(logged_in)]) -> Visitor:
    """The visitor of this request."""
    return Visitor(user)


Who = Annotated[Visitor, Depends(visitor)]


def seen_night(night_id: int, who: Who, books: Books) -> Night:
    """The night of this address, if the visitor may see it; one that is not theirs is not there."""
    with books.read() as conn:
        night = nights.find(conn, night_id)
    if night is None or not who.may_read(night["workflow"]):
        raise HTTPException(404, "There is no such night, or you may not see it.")
    return night


Seen = Annotated[Night, Depends(seen_night)]


def decided_night(night: Seen, who: Who) -> Night:
    """The night of this address, if the visitor may decide in it."""
    if not who.may_decide(night["workflow"]):
        raise HTTPException(403, "You may read this review, but not decide. Ask for write access to its Dag.")
    return night


Decides = Annotated[Night, Depends(decided_night)]


def admin(who: Who) -> Visitor:
    """The visitor, if they are an admin."""
    if not who.is_admin:
        raise HTTPException(
            403, "Only an admin of this Airflow may do this: whoever may change its connections. Nothing was changed."
        )
    return who


Admin = Annotated[Visitor, Depends(admin)]


def seen_workflow(workflow: str, who: Who) -> str:
    """The workflow of this address, if the visitor may see it."""
    if workflow not in workflow_names() or not who.may_read(workflow):
        raise HTTPException(404, "There is no such workflow, or you may not see it.")
    return workflow


SeenWorkflow = Annotated[str, Depends(seen_workflow)]


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
