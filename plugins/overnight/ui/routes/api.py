"""The same numbers as JSON, for scripts and dashboards: `/overnight/api`, with Airflow's own tokens and the same rights."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from overnight.ledger.errors import AlreadyThere
from overnight.ui import taking
from overnight.ui.access import Decides, OwnPages, Seen, SeenWorkflow, Who
from overnight.ui.given import Books, Now
from overnight.ui.render import page as render
from overnight.ui.render import root
from overnight.ui.routes import audit as audit_routes
from overnight.ui.routes.money import Days
from overnight.ui.shows import audit, money, nights, quality, review, shelf, tonight
from overnight.ui.shows.shape import Shown

router = APIRouter(prefix="/api")
Text = Annotated[str, Field(max_length=50_000)]


class Me(Shown):
    """Who is asking, and as what: viewer, reviewer or approver of each workflow they may see."""

    login: str
    name: str
    admin: bool
    roles: dict[str, str]


class Decision(BaseModel):
    """One decision on one item."""

    model_config = ConfigDict(extra="forbid")

    item_id: int = Field(ge=1)
    output_hash: str = Field(max_length=64, description="the version that was looked at, as the item showed it")
    decision: Literal["approve", "edit", "rework"]
    reason_code: str = Field("", max_length=64, description="why it is sent back, or what an edit mends")
    note: str = Field("", max_length=4000)
    edited: dict[str, Text] = Field(default_factory=dict, description="field → your version of it, with `edit`")
    checklist: list[str] = Field(default_factory=list, max_length=50)


class Decisions(BaseModel):
    """Up to 500 of them, each taken or refused by itself."""

    model_config = ConfigDict(extra="forbid")

    decisions: list[Decision] = Field(min_length=1, max_length=taking.MOST_AT_ONCE)


class Taken(Shown):
    """What became of one decision, in words."""

    item_id: int
    taken: bool
    said: str


class Outcome(Shown):
    """What became of all of them, and how many items are left to decide."""

    taken: int
    refused: int
    left: int
    results: tuple[Taken, ...]


@router.get("", response_class=HTMLResponse, include_in_schema=False)
def described(request: Request, who: Who) -> HTMLResponse:
    """What there is, from the OpenAPI description itself."""
    return render(request, "api.html", operations=operations(request.app.openapi()), who=who)


@router.get("/openapi.json", include_in_schema=False)
def schema(request: Request, who: Who) -> Response:
    """The OpenAPI description."""
    told = request.app.openapi()
    return JSONResponse({**told, "servers": [{"url": root(request) or "/"}]})


@router.get("/me")
def me(who: Who) -> Me:
    """Who is asking, and what they may do."""
    return Me(login=who.login, name=who.name, admin=who.is_admin, roles={name: who.role(name) for name in who.workflows()})


@router.get("/tonight")
def get_tonight(who: Who, books: Books, now: Now) -> tonight.Tonight:
    """What will run tonight, what is ready this morning, are the five metrics in range."""
    with books.read() as conn:
        return tonight.look(conn, who.workflows(), who.hears_of(), now=now)


@router.get("/nights")
def get_nights(who: Who, books: Books, before: int | None = None) -> list[nights.Line]:
    """The last fifty nights, newest first; `before` a night's id, the fifty older ones."""
    with books.read() as conn:
        return nights.listed(conn, who.workflows(), before=before)


@router.get("/nights/{night_id}")
def get_night(night: Seen, who: Who, books: Books, now: Now) -> nights.Corridor:
    """One night: who stands where, each batch at its vendor, what happened when."""
    with books.read() as conn:
        return nights.one(conn, night, now=now)


@router.get("/reviews")
def get_reviews(who: Who, books: Books) -> list[review.Waiting]:
    """The nights in which something waits for a decision."""
    with books.read() as conn:
        return review.waiting(conn, who.workflows())


@router.get("/reviews/{night_id}")
def get_review(
    night: Seen, who: Who, books: Books, now: Now, page: Annotated[int, Query(ge=1)] = 1, bucket: str = "", waits: bool = False
) -> shelf.Page:
    """A page of a night's review, a hundred items, riskiest first; `waits`: only what is open."""
    with books.read() as conn:
        return shelf.page(conn, night, who.name, number=page, bucket=bucket, only_open=waits, now=now)


@router.get("/reviews/{night_id}/items/{item_id}")
def get_item(night: Seen, item_id: int, who: Who, books: Books, now: Now) -> shelf.Item:
    """One item of a review."""
    with books.read() as conn:
        found = shelf.single(conn, night, item_id, who.name, now=now)
    if found is None:
        raise HTTPException(404, "There is no such item in this review.")
    return found


@router.post("/reviews/{night_id}/decisions", dependencies=[OwnPages])
def post_decisions(night: Decides, asked: Decisions, who: Who, books: Books, now: Now) -> Outcome:
    """Decide items, each by itself: one that is refused keeps no other from being taken, and changes nothing.

    The same rules hold as on the page: whose yes is due, what a colleague has open, which version was looked at.
    """
    given = [one.model_dump() for one in asked.decisions]
    try:
        results, left = taking.each(books, night, given, who=who, now=now)
    except AlreadyThere as error:
        raise HTTPException(409, taking.SAME_MOMENT) from error
    said = tuple(Taken(item_id=item_id, taken=taken, said=words) for item_id, taken, words in results)
    count = sum(one.taken for one in said)
    return Outcome(taken=count, refused=len(said) - count, left=left, results=said)


@router.get("/quality")
def get_quality(who: Who, books: Books) -> list[quality.Summary]:
    """The five metrics of every measured workflow over its last seven nights, beside their healthy ranges."""
    with books.read() as conn:
        return quality.summaries(conn, who.workflows())


@router.get("/quality/{workflow}")
def get_quality_of(workflow: SeenWorkflow, who: Who, books: Books, now: Now) -> quality.Detail:
    """One workflow by night, prompt version and reviewer, with its control charts as numbers."""
    with books.read() as conn:
        found = quality.detail(conn, workflow, now=now)
    if found is None:
        raise HTTPException(404, "Nothing of this workflow was measured yet: its first review has to end.")
    return found


@router.get("/money")
def get_money(who: Who, books: Books, now: Now, days: Days = 28) -> money.Money:
    """What the nights of the last days cost and saved, in USD, and what they were worth beside an entered baseline."""
    with books.read() as conn:
        return money.money(conn, who.workflows(), days, now=now)


@router.get("/audit")
def get_audit(who: Who, books: Books, wanted: audit_routes.Wanted, before: int | None = None) -> audit.Found:
    """The audit log, newest first, a hundred rows a page; `before` the last page's `older`."""
    with books.read() as conn:
        return audit.search(conn, who.audits(), wanted, before=before)


@router.get("/audit/verified")
def get_verified(
    who: Who, books: Books, now: Now, workflow: audit_routes.Word = "", first_day: audit_routes.Day = "",
    last_day: audit_routes.Day = "",
) -> audit.Verified:  # fmt: skip
    """Hold the chains of a workflow (or of all) and of some days, 31 at most, to their links."""
    names = who.audits()
    first, last = audit_routes.days_of(first_day, last_day, now)
    return audit_routes.verified(books, [name for name in names if workflow in ("", name)], first, last)


def operations(told: dict[str, Any]) -> list[dict[str, Any]]:
    """The description's operations, in order, as the page shows them."""
    return [_shown(method, path, one) for path, methods in told["paths"].items() for method, one in methods.items()]


def _shown(method: str, path: str, one: dict[str, Any]) -> dict[str, Any]:
    body = one.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    answer = one["responses"]["200"].get("content", {}).get("application/json", {}).get("schema", {})
    return {
        "method": method.upper(), "path": path, "description": one.get("description", ""), "sends": _name(body),
        "answers": _name(answer.get("items", answer)), "many": "items" in answer,
        "parameters": [_parameter(parameter) for parameter in one.get("parameters", [])],
    }  # fmt: skip


def _name(schema: dict[str, Any]) -> str:
    return str(schema.get("$ref", "")).rpartition("/")[2]


def _parameter(one: dict[str, Any]) -> dict[str, Any]:
    schema = one["schema"]
    kind = schema.get("type") or " or ".join(part.get("type", "") for part in schema.get("anyOf", []))
    return {"name": one["name"], "where": one["in"], "kind": kind, "pattern": schema.get("pattern", ""),
            "default": schema.get("default", ""), "required": one.get("required", False)}  # fmt: skip
