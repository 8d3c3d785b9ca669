"""The stand-in's back door: what people do by hand on the real services, and what a test wants to know. No part of any API."""

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from overnight.sandbox import airtable_api, notion_api, people, sheets_grid
from overnight.sandbox.desk import Desk


async def make(request: Request) -> Response:
    """POST {"kind", "id", …}: a spreadsheet with tabs, a folder, a Notion data source with pages, an Airtable base."""
    order, desk = await request.json(), request.app.state.desk
    try:
        with desk.lock:
            _MAKERS[order["kind"]](desk, order)
    except (KeyError, ValueError) as wrong:
        return JSONResponse({"error": f"{type(wrong).__name__}: {wrong}"}, 400)
    return JSONResponse({"status": "made"})


def _spreadsheet(desk: Desk, order: dict[str, Any]) -> None:
    if "whole" in order:
        desk.put("spreadsheet", order["id"], order["whole"])
        return
    sheets = []
    for number, (title, rows) in enumerate(order.get("tabs", {}).items()):
        sheet = sheets_grid.new_sheet({"sheetId": number, "title": title, "gridProperties": {
            "rowCount": max(1000, len(rows) + 50), "columnCount": max(26, *(len(row) for row in rows), 1)}}, number)  # fmt: skip
        sheets_grid.write(sheet, 0, 0, rows, "ROWS", raw=True)
        sheets.append(sheet)
    shared = order.get("shared", ["*"])
    body = {"id": order["id"], "title": order.get("title", order["id"]), "shared": shared, "sheets": sheets}
    desk.put("spreadsheet", order["id"], body)


def _document(desk: Desk, order: dict[str, Any]) -> None:
    """A document's text, as a person leaves it."""
    desk.put("document", order["id"], {**desk.docs["document"][order["id"]], "text": order["text"]})


def _folder(desk: Desk, order: dict[str, Any]) -> None:
    desk.put("folder", order["id"], {"id": order["id"]})


def _notion(desk: Desk, order: dict[str, Any]) -> None:
    for page in [page for page in desk.all("notion_page") if page["source"].replace("-", "") == order["id"].replace("-", "")]:
        desk.drop("notion_page", page["id"])
    source = notion_api.make_source(desk, order["id"], order.get("title", "Database"), order["properties"])
    for values in order.get("pages", []):
        kinds = {name: p["type"] for name, p in source["properties"].items()}
        properties = {name: {kinds[name]: _runs(text)} for name, text in values.items()}
        notion_api.make_page(desk, source, properties, [], people.NotionHands.person)


def _runs(text: str) -> list[dict[str, Any]]:
    return [{"text": {"content": text[at : at + notion_api.MAX_RUN]}} for at in range(0, len(text), notion_api.MAX_RUN)]


def _airtable(desk: Desk, order: dict[str, Any]) -> None:
    airtable_api.make_base(desk, order["id"])
    for name, rows in order.get("tables", {}).items():
        header, *lines = rows
        fields = [{"name": column, "type": "multilineText" if n else "singleLineText"} for n, column in enumerate(header)]
        table = airtable_api.make_table(desk, order["id"], name, fields)
        table["records"] = [
            {"id": airtable_api.new_id("rec"), "createdTime": "2026-01-01T00:00:00.000Z",
             "fields": {column: cell for column, cell in zip(header, line, strict=False) if cell}}
            for line in lines
        ]  # fmt: skip
    desk.put("airtable_base", order["id"], desk.docs["airtable_base"][order["id"]])


_MAKERS = {"spreadsheet": _spreadsheet, "folder": _folder, "document": _document, "notion": _notion, "airtable": _airtable}


async def manners(request: Request) -> Response:
    """POST some of desk.Manners: how the three services behave from now on."""
    try:
        return JSONResponse(request.app.state.desk.behave(await request.json()))
    except TypeError as wrong:
        return JSONResponse({"error": str(wrong)}, 400)


async def send_in(request: Request) -> Response:
    """POST {"service", "document", "editable", "name", "seed", "chance"}: a person works there from now on; `home` ends it."""
    order, desk = await request.json(), request.app.state.desk
    with desk.lock:
        if order.get("home"):
            desk.people.clear()
        else:
            people.send_in(desk, order["service"], order["document"], order["editable"], name=order["name"],
                           seed=order["seed"], chance=order["chance"])  # fmt: skip
    return JSONResponse({"people": len(desk.people)})


async def decide(request: Request) -> Response:
    """POST {"service", "document", "name", "decisions": {"approve": n, "edit": n, "rework": n}, "editable"}: a careful person
    goes through the open rows from the top, in this order of decisions.
    """
    return JSONResponse(await run_in_threadpool(_decide, request.app.state.desk, await request.json()))


def _decide(desk: Desk, order: dict[str, Any]) -> dict[str, Any]:
    with desk.lock, desk.one_sitting():
        hands = people.HANDS[order["service"]](desk, order["document"], order.get("editable", []))
        person = people.Reviewer(hands, order["name"], int(order.get("seed", 0)))
        done: dict[str, int] = {}
        seen = [(handle, hands.read(handle)) for handle in hands.rows() if _of(hands.night_of(handle), order.get("workflow"))]
        undecided = [(handle, row) for handle, row in seen if not row.get("decision")]
        open_rows = [handle for handle, row in undecided if row.get("id") not in ("digest", "ready")]
        wanted = [word for word, count in order["decisions"].items() for _ in range(count)]
        chosen = list(zip(open_rows, wanted, strict=False))
        if order.get("digest"):
            chosen += [(handle, order["digest"]) for handle, row in undecided if row.get("id") == "digest"]
        for handle, word in chosen:
            edits = {order["editable"][0]: order.get("text", "A reviewer's own words")} if word == "edit" else {}
            person.decide(handle, word, edits)
            done[word] = done.get(word, 0) + 1
        return {"done": done, "open": len(open_rows) - len(wanted)}


def _of(name: str, workflow: str | None) -> bool:
    return workflow is None or workflow in name


async def write(request: Request) -> Response:
    """POST {"service", "document", "ref", "values"}: a person fills in cells of the first row whose ref begins so."""
    order, desk = await request.json(), request.app.state.desk
    with desk.lock:
        hands = people.HANDS[order["service"]](desk, order["document"], [])
        handle = next(h for h in hands.rows() if str(hands.read(h).get("ref")).startswith(order["ref"]))
        hands.write(handle, order["values"])
    return JSONResponse({"status": "written"})


async def work(request: Request) -> Response:
    """POST {"times"}: everybody who was sent in does so many things now."""
    order, desk = await request.json(), request.app.state.desk
    with desk.lock:
        for _ in range(int(order["times"])):
            for person in desk.people:
                person.act()
    return JSONResponse({"status": "done"})


async def reset(request: Request) -> Response:
    """POST: an empty desk, with nobody at it."""
    desk: Desk = request.app.state.desk
    with desk.lock:
        for kind in list(desk.docs):
            for doc_id in [] if kind == "google_token" else list(desk.docs[kind]):
                desk.drop(kind, doc_id)
        desk.people.clear()
        desk.journal.clear()
    return JSONResponse({"status": "empty"})


async def refs(request: Request) -> Response:
    """POST {"service", "document"}: the refs of the rows that people see there."""
    order, desk = await request.json(), request.app.state.desk
    with desk.lock:
        hands = people.HANDS[order["service"]](desk, order["document"], [])
        return JSONResponse({"refs": sorted({str(hands.read(handle).get("ref") or "") for handle in hands.rows()})})


async def journal(request: Request) -> Response:
    """GET what people did so far."""
    return JSONResponse(request.app.state.desk.journal)


async def dump(request: Request) -> Response:
    """GET ?kind=…: every document of a kind, as it is kept."""
    desk: Desk = request.app.state.desk
    with desk.lock:
        return JSONResponse(desk.all(request.query_params["kind"]))


ROUTES = [
    Route("/make", make, methods=["POST"]), Route("/manners", manners, methods=["POST"]),
    Route("/people", send_in, methods=["POST"]), Route("/decide", decide, methods=["POST"]),
    Route("/write", write, methods=["POST"]), Route("/work", work, methods=["POST"]), Route("/reset", reset, methods=["POST"]),
    Route("/refs", refs, methods=["POST"]), Route("/journal", journal), Route("/dump", dump),
]  # fmt: skip
