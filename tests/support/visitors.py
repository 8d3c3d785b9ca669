"""Visitors of the pages, without an Airflow: who they are and what they may do is the test's to say."""

from collections.abc import Callable, Mapping
from datetime import datetime

from fastapi.testclient import TestClient
from sqlalchemy import Connection

from overnight.ledger import nights
from overnight.ledger.connect import Ledger
from overnight.ui import access, app, given, taking
from overnight.ui.access import Visitor

HOME = {"sec-fetch-site": "same-origin"}
"""What a browser says of a form on our own page."""


class Guest(Visitor):
    """A visitor whose rights are given."""

    def __init__(self, login: str, *, decides: bool = True, reads: bool = True, admin: bool = False, audits: bool = True) -> None:
        self.login, self.decides, self.reads, self.admin, self.reads_log = login, decides, reads, admin, audits

    def may_read(self, workflow: str) -> bool:
        return self.reads

    def may_decide(self, workflow: str) -> bool:
        return self.decides

    def may_audit(self, workflow: str) -> bool:
        return self.reads_log

    @property
    def is_admin(self) -> bool:  # type: ignore[override]
        return self.admin


def client(guest: Guest | None, ledger: Ledger, now: Callable[[], datetime]) -> TestClient:
    """Our app over a ledger at a time, with this visitor at the door."""
    made = app.build_app()
    made.dependency_overrides[given.books] = lambda: ledger
    made.dependency_overrides[given.clock] = now
    if guest is not None:
        made.dependency_overrides[access.logged_in] = lambda: None
        made.dependency_overrides[access.visitor] = lambda: guest
    return TestClient(made, follow_redirects=False)


def press(conn: Connection, night_id: int, item_id: int | None, form: Mapping[str, str], *, who: str, now: datetime) -> str:
    """One form of the review page, as it comes in; returns what the page says."""
    fields = {name: [value] for name, value in form.items()} | {"item_id": [str(item_id or "")]}
    return taking.one(conn, nights.get(conn, night_id), fields, who=Guest(who), now=now)
