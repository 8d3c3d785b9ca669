"""The parts of Notion's API (version 2025-09-03) that Overnight meets: data sources, their pages, and the blocks in a page.

Shapes follow recorded answers of the real service; limits are its own: 3 requests a second on average, 2,000 characters a
text run, 100 elements an array, 100 rows a page of a list.
"""

import re
import uuid
from collections.abc import Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from overnight.sandbox.desk import Desk, size, stamp

PER_SECOND, WINDOW_S = 3, 10.0
MAX_RUN, MAX_ARRAY, PAGE = 2_000, 100, 100
MAX_BODY = 500_000
_ANNOTATIONS = {"bold": False, "italic": False, "strikethrough": False, "underline": False, "code": False, "color": "default"}
_TEXTS = ("title", "rich_text")
_BLOCKS = ("paragraph", "heading_1", "heading_2", "heading_3", "bulleted_list_item", "to_do", "divider", "callout")
BOT = "0b07b07b-0000-4000-8000-000000000000"


class Refusal(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, code: str, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.retry_after = status, code, message, retry_after


def error(status: int, code: str, message: str, retry_after: int | None = None) -> Response:
    """Notion's error body."""
    body = {"object": "error", "status": status, "code": code, "message": message, "request_id": str(uuid.uuid4())}
    return JSONResponse(body, status, headers={"retry-after": str(retry_after)} if retry_after is not None else None)


async def on_refusal(_request: Request, refusal: Any) -> Response:
    """A refusal as Notion answers it."""
    return error(refusal.status, refusal.code, refusal.message, refusal.retry_after)


def _invalid(message: str) -> Refusal:
    return Refusal(400, "validation_error", message)


async def api(request: Request) -> Response:
    """Every call: who calls, is there room; then what was asked."""
    body = await request.json() if await request.body() else {}
    return await run_in_threadpool(_answer, request.app.state.desk, request, body)


def _answer(desk: Desk, request: Request, body: dict[str, Any]) -> Response:
    path = request.url.path.partition("/notion/v1/")[2].strip("/")
    with desk.lock:
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not bearer.startswith(("ntn_", "secret_")):
            raise Refusal(401, "unauthorized", "API token is invalid.")
        if request.headers.get("notion-version") is None:
            raise Refusal(400, "missing_version", "Notion-Version header should be defined, but was missing.")
        if desk.strikes("busy") or desk.over_quota(f"notion {bearer}", int(PER_SECOND * WINDOW_S), WINDOW_S):
            raise Refusal(429, "rate_limited", "You have been rate limited. Please try again in a few minutes.",
                          desk.again_in(f"notion {bearer}", WINDOW_S))  # fmt: skip
        if desk.strikes("broken"):
            raise Refusal(503, "service_unavailable", "Notion is unavailable, please try again later.")
        if size(body) > MAX_BODY:
            raise Refusal(413, "validation_error", "Request body is larger than 500KB.")
        answer = _dispatch(desk, request, path, body)
        if request.method != "GET" and not path.endswith("/query") and desk.strikes("lost"):
            raise Refusal(503, "service_unavailable", "Notion is unavailable, please try again later.")
    return JSONResponse({**answer, "request_id": str(uuid.uuid4())})


def _dispatch(desk: Desk, request: Request, path: str, body: dict[str, Any]) -> dict[str, Any]:  # noqa: PLR0911 - a table of routes
    parts, method = path.split("/"), request.method
    match (method, *parts):
        case ("GET", "users", "me"):
            return {"object": "user", "id": BOT, "type": "bot", "name": "Overnight", "bot": {}}
        case ("GET", "data_sources", source_id):
            return _shown_source(_source(desk, source_id))
        case ("PATCH", "data_sources", source_id):
            return _change_source(desk, _source(desk, source_id), body)
        case ("POST", "data_sources", source_id, "query"):
            desk.let_people_work(_id(source_id))
            return _query(desk, _source(desk, source_id), body)
        case ("POST", "pages"):
            return _create_page(desk, body)
        case ("GET", "pages", page_id):
            return _shown_page(_page(desk, page_id))
        case ("PATCH", "pages", page_id):
            page = _page(desk, page_id)
            desk.let_people_work(page["source"])
            return _change_page(desk, _page(desk, page_id), body)
        case ("GET", "blocks", page_id, "children"):
            desk.let_people_work(_page(desk, page_id)["source"])
            return _listed(_page(desk, page_id)["blocks"], request.query_params, "block")
        case ("PATCH", "blocks", page_id, "children"):
            return _append(desk, _page(desk, page_id), body)
    raise Refusal(400, "invalid_request_url", "Invalid request URL.")


def _id(text: str) -> str:
    plain = text.replace("-", "")
    if not re.fullmatch("[0-9a-f]{32}", plain):
        raise _invalid(f'path failed validation: path.id should be a valid uuid, instead was `"{text}"`.')
    return str(uuid.UUID(plain))


def _source(desk: Desk, source_id: str) -> dict[str, Any]:
    found = desk.get("notion_source", _id(source_id))
    if found is None:
        raise Refusal(
            404, "object_not_found", f"Could not find data_source with ID: {_id(source_id)}. Make sure the relevant pages and "
            "databases are shared with your integration.",
        )  # fmt: skip
    return found


def _page(desk: Desk, page_id: str) -> dict[str, Any]:
    found = desk.get("notion_page", _id(page_id))
    if found is None:
        raise Refusal(
            404, "object_not_found", f"Could not find page with ID: {_id(page_id)}. Make sure the relevant pages and databases "
            "are shared with your integration.",
        )  # fmt: skip
    return found


def make_source(desk: Desk, source_id: str, title: str, properties: dict[str, Any]) -> dict[str, Any]:
    """A data source, as a person makes it by hand: property name → its type's settings, e.g. {"Name": {"title": {}}}."""
    source: dict[str, Any] = {"id": _id(source_id), "title": title, "made": stamp(), "properties": {}}
    for name, settings in properties.items():
        source["properties"][name] = _property(name, settings)
    return desk.put("notion_source", source["id"], source)


def _property(name: str, settings: dict[str, Any]) -> dict[str, Any]:
    kind = settings.get("type") or next(iter(settings))
    made = {"id": "title" if kind == "title" else uuid.uuid4().hex[:4], "name": name, "description": None, "type": kind}
    given = settings.get(kind) or {}
    if kind in ("select", "multi_select"):
        given = {"options": [_option(option) for option in given.get("options", [])]}
    return {**made, kind: given}


def _option(option: dict[str, Any]) -> dict[str, Any]:
    if "," in option["name"]:
        raise _invalid("body failed validation: select option names cannot contain commas.")
    return {"id": uuid.uuid4().hex[:8], "name": option["name"], "color": option.get("color", "default"), "description": None}


def _shown_source(source: dict[str, Any]) -> dict[str, Any]:
    return {
        "object": "data_source", "id": source["id"], "created_time": source["made"], "last_edited_time": source["made"],
        "title": [run(source["title"])], "description": [], "properties": source["properties"], "in_trash": False,
        "archived": False, "url": f"https://app.notion.com/p/{source['id'].replace('-', '')}",
    }  # fmt: skip


def _change_source(desk: Desk, source: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    for name, settings in (body.get("properties") or {}).items():
        if settings is None:
            source["properties"].pop(name, None)
            continue
        kind = settings.get("type") or next(iter(settings))
        known = source["properties"].get(name)
        if known is not None and known["type"] == kind == "select":
            # The options that are named stay or are made; those that are not named go.
            there = {option["name"]: option for option in known["select"]["options"]}
            named = settings["select"].get("options", [])
            known["select"]["options"] = [there.get(option["name"]) or _option(option) for option in named]
        else:
            source["properties"][name] = _property(name, settings)
    desk.put("notion_source", source["id"], source)
    return _shown_source(source)


def run(text: str) -> dict[str, Any]:
    return {"type": "text", "text": {"content": text, "link": None}, "annotations": dict(_ANNOTATIONS), "plain_text": text,
            "href": None}  # fmt: skip


def _runs(given: list[dict[str, Any]], where: str) -> list[dict[str, Any]]:
    if len(given) > MAX_ARRAY:
        raise _invalid(f"body failed validation: body.{where}.length should be ≤ `100`, instead was `{len(given)}`.")
    made = []
    for n, one in enumerate(given):
        content = one.get("text", {}).get("content", "")
        if len(content.encode("utf-16-le")) // 2 > MAX_RUN:
            raise _invalid(
                f"body failed validation: body.{where}[{n}].text.content.length should be ≤ `2000`, instead was `{len(content)}`."
            )
        if content:
            made.append({**run(content), "annotations": {**_ANNOTATIONS, **one.get("annotations", {})}})
    return made


def _value(source: dict[str, Any], name: str, given: dict[str, Any]) -> dict[str, Any]:
    """A property's value as it is kept and shown."""
    known = source["properties"].get(name)
    if known is None:
        raise _invalid(f"{name} is not a property that exists.")
    kind = known["type"]
    value = given.get(kind, given) if isinstance(given, dict) else given
    if kind in _TEXTS:
        value = _runs(value, f"properties.{name}.{kind}")
    elif kind == "select" and value is not None:
        options = known["select"]["options"]
        option = next((o for o in options if o["name"] == value.get("name")), None)
        if option is None:
            option = _option(value)
            options.append(option)
        value = {k: option[k] for k in ("id", "name", "color")}
    elif kind not in ("select", "number", "checkbox", "url", "date", "email"):
        raise _invalid(f"{name} is expected to be {kind}.")
    return {"id": known["id"], "type": kind, kind: value}


def _empty(source: dict[str, Any]) -> dict[str, Any]:
    blank: dict[str, Any] = {"checkbox": False, "title": [], "rich_text": [], "multi_select": [], "people": []}
    return {
        name: {"id": p["id"], "type": p["type"], p["type"]: blank.get(p["type"])}
        for name, p in source["properties"].items()
        if p["type"] not in ("last_edited_time", "created_time", "last_edited_by", "created_by")
    }


def _create_page(desk: Desk, body: dict[str, Any]) -> dict[str, Any]:
    parent = body.get("parent", {})
    if "data_source_id" not in parent:
        raise _invalid("body failed validation: body.parent.data_source_id should be defined, instead was `undefined`.")
    source = _source(desk, parent["data_source_id"])
    return _shown_page(make_page(desk, source, body.get("properties", {}), body.get("children", []), BOT))


def make_page(
    desk: Desk, source: dict[str, Any], properties: dict[str, Any], children: list[dict[str, Any]], by: str
) -> dict[str, Any]:
    """A page in a data source."""
    values = _empty(source) | {name: _value(source, name, given) for name, given in properties.items()}
    page_id = str(uuid.uuid4())
    page = {"id": page_id, "source": source["id"], "made": stamp(), "edited": stamp(), "by": by, "in_trash": False,
            "properties": values, "blocks": _blocks(children, page_id)}  # fmt: skip
    desk.put("notion_source", source["id"], source)  # a new option of a select may have come with it
    return desk.put("notion_page", page_id, page)


def _shown_page(page: dict[str, Any]) -> dict[str, Any]:
    user, plain = {"object": "user", "id": page["by"]}, page["id"].replace("-", "")
    system = {
        "last_edited_time": {"id": "le", "type": "last_edited_time", "last_edited_time": page["edited"]},
    }  # fmt: skip
    return {
        "object": "page", "id": page["id"], "created_time": page["made"], "last_edited_time": page["edited"],
        "created_by": {"object": "user", "id": BOT}, "last_edited_by": user, "cover": None, "icon": None,
        "parent": {"type": "data_source_id", "data_source_id": page["source"]}, "in_trash": page["in_trash"],
        "is_archived": page["in_trash"], "archived": page["in_trash"], "is_locked": False,
        "properties": {**page["properties"], **(system if "Last edited time" in page["properties"] else {})},
        "url": f"https://app.notion.com/p/{plain}", "public_url": None,
    }  # fmt: skip


def _change_page(desk: Desk, page: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    if page["in_trash"] and body.get("in_trash", body.get("archived")) is not False:
        raise _invalid("Can't edit block that is archived. You must unarchive the block before editing.")
    change_page(desk, page, body, BOT)
    return _shown_page(page)


def change_page(desk: Desk, page: dict[str, Any], body: dict[str, Any], by: str) -> None:
    """Change a page's properties, or put it in the trash and take it out again."""
    source = _source(desk, page["source"])
    values = {name: _value(source, name, given) for name, given in (body.get("properties") or {}).items()}
    page["properties"] |= values
    if "in_trash" in body or "archived" in body:
        page["in_trash"] = bool(body.get("in_trash", body.get("archived")))
    page["edited"], page["by"] = stamp(), by
    desk.put("notion_source", source["id"], source)
    desk.put("notion_page", page["id"], page)


def _blocks(children: list[dict[str, Any]], page_id: str) -> list[dict[str, Any]]:
    if len(children) > MAX_ARRAY:
        raise _invalid(f"body failed validation: body.children.length should be ≤ `100`, instead was `{len(children)}`.")
    made = []
    for n, child in enumerate(children):
        kind = child.get("type") or next((name for name in _BLOCKS if name in child), "unsupported")
        if kind not in _BLOCKS:
            raise _invalid(f"body failed validation: body.children[{n}] should be a block, instead was `{kind}`.")
        given = child.get(kind, {})
        body = {**given, "color": "default"}
        if "rich_text" in given:
            body["rich_text"] = _runs(given["rich_text"], f"children[{n}].{kind}.rich_text")
        made.append({
            "object": "block", "id": str(uuid.uuid4()), "parent": {"type": "page_id", "page_id": page_id},
            "created_time": stamp(),
            "last_edited_time": stamp(), "has_children": False, "in_trash": False, "archived": False, "type": kind, kind: body,
        })  # fmt: skip
    return made


def _append(desk: Desk, page: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    made = _blocks(body.get("children", []), page["id"])
    page["blocks"] += made
    page["edited"], page["by"] = stamp(), BOT
    desk.put("notion_page", page["id"], page)
    return {"object": "list", "results": made, "next_cursor": None, "has_more": False, "type": "block", "block": {}}


def _listed(rows: list[dict[str, Any]], query: Any, kind: str) -> dict[str, Any]:
    """One page of a list; the cursor is the id of the row the next page begins with."""
    count = min(int(query.get("page_size") or PAGE), PAGE)
    cursor, ids = query.get("start_cursor"), [row["id"] for row in rows]
    if cursor and cursor not in ids:
        raise _invalid(f"The start_cursor provided is invalid: {cursor}")
    start = ids.index(cursor) if cursor else 0
    more = start + count < len(rows)
    return {"object": "list", "results": rows[start : start + count], "next_cursor": ids[start + count] if more else None,
            "has_more": more, "type": kind, kind: {}}  # fmt: skip


def _query(desk: Desk, source: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    pages = [p for p in desk.all("notion_page") if p["source"] == source["id"] and p["in_trash"] is bool(body.get("in_trash"))]
    wanted = body.get("filter")
    if wanted:
        pages = [page for page in pages if _holds(source, page, wanted)]
    return _listed([_shown_page(page) for page in pages], body, "page_or_data_source")


def _holds(source: dict[str, Any], page: dict[str, Any], wanted: dict[str, Any]) -> bool:
    if "and" in wanted:
        return all(_holds(source, page, part) for part in wanted["and"])
    if "or" in wanted:
        return any(_holds(source, page, part) for part in wanted["or"])
    name = wanted.get("property", "")
    known = source["properties"].get(name)
    if known is None:
        raise _invalid(f"Could not find property with name or id: {name}")
    kind = next((k for k in wanted if k != "property"), "")
    if kind != known["type"]:
        raise _invalid(f"database property {known['type']} does not match filter {kind}")
    value, test = plain(page["properties"].get(name, {})), wanted[kind]
    checks: dict[str, Callable[[Any], bool]] = {
        "equals": lambda than: bool(value == than), "does_not_equal": lambda than: bool(value != than),
        "is_empty": lambda _: value in ("", None), "is_not_empty": lambda _: value not in ("", None),
        "starts_with": lambda than: str(value).startswith(than), "contains": lambda than: than in str(value),
    }  # fmt: skip
    (how, than), *more = test.items()
    if more or how not in checks:
        raise _invalid(f"body failed validation: body.filter.{kind} is not a condition this property knows.")
    return checks[how](than)


def plain(value: dict[str, Any]) -> Any:
    """A property's value as a filter compares it."""
    kind = value.get("type", "")
    inner = value.get(kind)
    if kind in _TEXTS:
        return "".join(run["plain_text"] for run in inner or [])
    return (inner or {}).get("name") if kind == "select" else inner


ROUTES = [Route("/v1/{path:path}", api, methods=["GET", "POST", "PATCH", "DELETE"])]
