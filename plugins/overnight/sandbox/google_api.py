"""The parts of Google's APIs that Overnight meets: the token endpoint, Sheets v4, Docs v1 and Drive v3's file creation.

Shapes follow the discovery documents of google-api-python-client and recorded answers; limits are those of the real
services (60 reads and 60 writes a minute and user, 50,000 characters a cell).
"""

import base64
import json
import random
import secrets
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from overnight.sandbox import sheets_grid as grid
from overnight.sandbox.desk import Desk, stamp
from overnight.sandbox.sheets_grid import Invalid

PER_MINUTE = 60
_STATUS = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND",
           429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE"}  # fmt: skip


class Refusal(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


def error(status: int, message: str) -> Response:
    """Google's error body."""
    return JSONResponse({"error": {"code": status, "message": message, "status": _STATUS[status]}}, status)


async def on_refusal(_request: Request, refusal: Any) -> Response:
    """A refusal as Google answers it."""
    return error(refusal.status, refusal.message)


async def token(request: Request) -> Response:
    """POST token_uri: a signed assertion for an access token."""
    form = await request.form()
    if form.get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer":
        return JSONResponse({"error": "unsupported_grant_type", "error_description": "Invalid grant_type"}, 400)
    try:
        claims = json.loads(base64.urlsafe_b64decode(str(form["assertion"]).split(".")[1] + "=="))
        user = str(claims["iss"])
    except (KeyError, IndexError, ValueError):
        return JSONResponse({"error": "invalid_grant", "error_description": "Invalid JWT"}, 400)
    desk: Desk = request.app.state.desk
    made = f"ya29.{secrets.token_urlsafe(24)}"
    with desk.lock:
        desk.put("google_token", made, {"user": user})
    return JSONResponse({"access_token": made, "expires_in": 3599, "token_type": "Bearer"})


async def api(request: Request) -> Response:
    """Every call of the three APIs: who calls, may they, is there room; then what was asked."""
    desk: Desk = request.app.state.desk
    body = await request.json() if request.method in ("POST", "PUT") and await request.body() else {}
    return await run_in_threadpool(_answer, desk, request, body)


def _answer(desk: Desk, request: Request, body: dict[str, Any]) -> Response:
    path = request.url.path.partition("/google")[2]
    with desk.lock:
        user = _user(desk, request)
        writes = request.method != "GET" and not path.endswith(":batchGetByDataFilter")
        _room(desk, user, "Write" if writes else "Read")
        if desk.strikes("broken"):
            raise Refusal(503, "The service is currently unavailable.")
        answer = _dispatch(desk, request, path, body, user)
        if writes and desk.strikes("lost"):
            raise Refusal(503, "The service is currently unavailable.")
    return JSONResponse(_masked(answer, request.query_params.get("fields")))


def _user(desk: Desk, request: Request) -> str:
    bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
    known = desk.get("google_token", bearer)
    if known is None:
        raise Refusal(
            401, "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid "
            "authentication credential.",
        )  # fmt: skip
    return str(known["user"])


def _room(desk: Desk, user: str, kind: str) -> None:
    if desk.strikes("busy") or desk.over_quota(f"google {kind} {user}", PER_MINUTE, 60):
        metric = f"{kind} requests"
        raise Refusal(
            429, f"Quota exceeded for quota metric '{metric}' and limit '{metric} per minute per user' of service "
            "'sheets.googleapis.com' for consumer 'project_number:1'.",
        )  # fmt: skip


def _dispatch(desk: Desk, request: Request, path: str, body: dict[str, Any], user: str) -> dict[str, Any]:
    try:
        if path.startswith("/v4/spreadsheets/"):
            return _sheets(desk, request, path.removeprefix("/v4/spreadsheets/"), body, user)
        if path.startswith("/v1/documents"):
            return _docs(desk, request, path.removeprefix("/v1/documents"), body, user)
        if path == "/drive/v3/files" and request.method == "POST":
            return _create_file(desk, body, user)
    except Invalid as wrong:
        raise Refusal(400, str(wrong)) from wrong
    raise Refusal(404, "Requested entity was not found.")


def _open(desk: Desk, kind: str, doc_id: str, user: str) -> dict[str, Any]:
    doc = desk.get(kind, doc_id)
    if doc is None:
        raise Refusal(404, "Requested entity was not found.")
    if "*" not in doc["shared"] and user not in doc["shared"]:
        raise Refusal(403, "The caller does not have permission")
    return doc


def _sheets(desk: Desk, request: Request, path: str, body: dict[str, Any], user: str) -> dict[str, Any]:
    doc_id, _, rest = path.partition("/")
    doc_id, _, verb = doc_id.partition(":")
    _open(desk, "spreadsheet", doc_id, user)
    desk.let_people_work(doc_id)
    doc = _open(desk, "spreadsheet", doc_id, user)
    if verb == "batchUpdate":
        changed, replies = grid.apply(doc, body.get("requests", []))
        desk.put("spreadsheet", doc_id, changed)
        return {"spreadsheetId": doc_id, "replies": replies}
    if rest == "developerMetadata:search":
        return _search(doc, body)
    if not rest:
        return _spreadsheet(doc)
    answer = _values(doc, request, rest, body)
    if request.method != "GET" and not rest.endswith("batchGetByDataFilter"):
        desk.put("spreadsheet", doc_id, doc)
    return answer


def _spreadsheet(doc: dict[str, Any]) -> dict[str, Any]:
    sheets = [{"properties": sheet["properties"]} for sheet in doc["sheets"]]  # metadata of columns belongs to the grid's data
    url = f"https://docs.google.com/spreadsheets/d/{doc['id']}/edit"
    properties = {"title": doc["title"], "locale": "en_US", "autoRecalc": "ON_CHANGE", "timeZone": "Etc/GMT"}
    return {"spreadsheetId": doc["id"], "properties": properties, "sheets": sheets, "spreadsheetUrl": url}


def _search(doc: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    """developerMetadata:search: each match with the place it has now."""
    found = []
    for wanted in body.get("dataFilters", []):
        for sheet, index, meta in grid.metadata(doc, wanted["developerMetadataLookup"]):
            place = {
                "sheetId": sheet["properties"]["sheetId"],
                "dimension": "COLUMNS",
                "startIndex": index,
                "endIndex": index + 1,
            }
            where = {"locationType": "COLUMN", "dimensionRange": place}
            found.append({"developerMetadata": {**meta, "location": where}, "dataFilters": [wanted]})
    return {"matchedDeveloperMetadata": found} if found else {}


def _values(doc: dict[str, Any], request: Request, rest: str, body: dict[str, Any]) -> dict[str, Any]:
    verb = rest.partition("values")[2]
    query, done = request.query_params, {"spreadsheetId": doc["id"]}
    if request.method == "GET":
        major = query.get("majorDimension", "ROWS").replace("DIMENSION_UNSPECIFIED", "ROWS")
        if verb == ":batchGet":
            return {**done, "valueRanges": [_range(doc, text, major) for text in query.getlist("ranges")]}
        return _range(doc, verb.removeprefix("/"), major)
    if verb == ":batchGetByDataFilter":
        major = body.get("majorDimension", "ROWS")
        return {**done, "valueRanges": [_filtered(doc, wanted, major) for wanted in body.get("dataFilters", [])]}
    if verb == ":batchUpdateByDataFilter":
        return {**done, **_write_all(doc, body, [place for data in body.get("data", []) for place in _placed(doc, data)])}
    if verb == ":batchUpdate":
        return {**done, **_write_all(doc, body, [(*grid.a1(doc, data["range"])[:3], data) for data in body.get("data", [])])}
    if request.method == "PUT":
        raw = query.get("valueInputOption") == "RAW"
        sheet, row, col, *_ = grid.a1(doc, verb.removeprefix("/"))
        count = grid.write(sheet, row, col, _lists(body), body.get("majorDimension") or "ROWS", raw=raw)
        return {**done, "updatedRange": verb.removeprefix("/"), "updatedCells": count}
    raise Refusal(404, "Requested entity was not found.")


def _lists(body: dict[str, Any]) -> list[list[Any]]:
    values = body.get("values", [])
    if not isinstance(values, list):
        what = f"Invalid value at 'data.values' (type.googleapis.com/google.protobuf.ListValue), \"{values}\""
        raise Invalid(what)
    return values


def _range(doc: dict[str, Any], text: str, major: str) -> dict[str, Any]:
    sheet, row, col, end_row, end_col = grid.a1(doc, text)
    size = sheet["properties"]["gridProperties"]
    last = f"{grid.letters((end_col or size['columnCount']) - 1)}{end_row or size['rowCount']}"
    title = sheet["properties"]["title"]
    name = title if title.isalnum() else f"'{title}'"
    answer = {"range": f"{name}!{grid.letters(col)}{row + 1}:{last}", "majorDimension": major}
    values = grid.read(sheet, row, col, end_row, end_col, major)
    return {**answer, "values": values} if values else answer


def _filtered(doc: dict[str, Any], wanted: dict[str, Any], major: str) -> dict[str, Any]:
    if "gridRange" in wanted:
        place = wanted["gridRange"]
        sheet = grid.find(doc, sheet_id=place.get("sheetId", 0))
        title = "'" + sheet["properties"]["title"].replace("'", "''") + "'"
        found = _range(doc, title, major)
        found["values"] = grid.read(
            sheet, place.get("startRowIndex", 0), place.get("startColumnIndex", 0), place.get("endRowIndex"),
            place.get("endColumnIndex"), major,
        )  # fmt: skip
        return {"valueRange": found, "dataFilters": [wanted]}
    return {"valueRange": _range(doc, wanted["a1Range"], major), "dataFilters": [wanted]}


def _placed(doc: dict[str, Any], data: dict[str, Any]) -> list[tuple[dict[str, Any], int, int, dict[str, Any]]]:
    wanted = data["dataFilter"]
    if "developerMetadataLookup" in wanted:
        found = grid.metadata_columns(doc, wanted["developerMetadataLookup"])
        return [(sheet, 0, column, data) for sheet, column in found]
    if "gridRange" in wanted:
        place = wanted["gridRange"]
        sheet = grid.find(doc, sheet_id=place.get("sheetId", 0))
        return [(sheet, place.get("startRowIndex", 0), place.get("startColumnIndex", 0), data)]
    return [(*grid.a1(doc, wanted["a1Range"])[:3], data)]


def _write_all(doc: dict[str, Any], body: dict[str, Any], places: list[Any]) -> dict[str, Any]:
    raw = body.get("valueInputOption") == "RAW"
    if "valueInputOption" not in body:
        raise Invalid("'valueInputOption' is required but not specified")
    counts = [
        grid.write(sheet, row, col, _lists(data), data.get("majorDimension") or "ROWS", raw=raw)
        for sheet, row, col, data in places
    ]
    return {"totalUpdatedCells": sum(counts), "responses": [{"updatedCells": count} for count in counts]}


def _docs(desk: Desk, request: Request, path: str, body: dict[str, Any], user: str) -> dict[str, Any]:
    doc_id, _, verb = path.removeprefix("/").partition(":")
    doc = _open(desk, "document", doc_id, user)
    if verb == "batchUpdate":
        for change in body.get("requests", []):
            _insert_text(doc, change)
        desk.put("document", doc_id, doc)
        return {"documentId": doc_id, "replies": [{} for _ in body.get("requests", [])]}
    desk.let_people_work(doc_id)
    content, at = [], 1
    for line in doc["text"].splitlines(keepends=True) or ["\n"]:
        text = line if line.endswith("\n") else f"{line}\n"
        run = {"startIndex": at, "endIndex": at + len(text), "textRun": {"content": text, "textStyle": {}}}
        content.append({"startIndex": at, "endIndex": at + len(text), "paragraph": {"elements": [run], "paragraphStyle": {}}})
        at += len(text)
    return {"documentId": doc_id, "title": doc["title"], "body": {"content": content}, "revisionId": str(doc["revision"])}


def _insert_text(doc: dict[str, Any], change: dict[str, Any]) -> None:
    wanted = change.get("insertText")
    if wanted is None:
        raise Invalid("Invalid requests[0]: this stand-in knows insertText only")
    at = wanted["location"]["index"] - 1
    if not 0 <= at <= len(doc["text"]):
        raise Invalid("Invalid requests[0].insertText: The insertion index must be inside the bounds of an existing paragraph.")
    doc["text"] = doc["text"][:at] + wanted["text"] + doc["text"][at:]
    doc["revision"] += 1


def _create_file(desk: Desk, body: dict[str, Any], user: str) -> dict[str, Any]:
    for parent in body.get("parents", []):
        if desk.get("folder", parent) is None:
            raise Refusal(404, f"File not found: {parent}.")
    kind = {"document": "document", "spreadsheet": "spreadsheet"}[str(body["mimeType"]).rpartition(".")[2]]
    doc_id = "".join(random.choices("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_", k=44))
    made: dict[str, Any] = {"id": doc_id, "title": body.get("name", "Untitled"), "shared": ["*"], "made": stamp(), "by": user}
    made |= (
        {"text": "", "revision": 1} if kind == "document" else {"sheets": [grid.new_sheet({"sheetId": 0, "title": "Sheet1"}, 0)]}
    )
    desk.put(kind, doc_id, made)
    answer = {"kind": "drive#file", "id": doc_id, "name": made["title"], "mimeType": body["mimeType"]}
    return {**answer, "webViewLink": f"https://docs.google.com/document/d/{doc_id}/edit"}


def _masked(answer: Any, fields: str | None) -> Any:
    """The part of an answer that a `fields` mask asks for: names with commas, one level in brackets or after a slash."""
    if not fields or fields == "*":
        return answer
    kept = {}
    for part in _parts(fields):
        name, _, inner = part.partition("(")
        head, _, tail = name.partition("/")
        head, _, dotted = head.partition(".")
        inner = inner.removesuffix(")") or tail or dotted
        if head in answer:
            value = answer[head]
            kept[head] = [_masked(v, inner) for v in value] if isinstance(value, list) else _masked(value, inner)
    return kept


def _parts(fields: str) -> list[str]:
    parts, depth, start = [], 0, 0
    for n, char in enumerate(fields):
        depth += (char == "(") - (char == ")")
        if char == "," and not depth:
            parts.append(fields[start:n])
            start = n + 1
    return [*parts, fields[start:]]


ROUTES = [
    Route("/token", token, methods=["POST"]),
    Route("/{path:path}", api, methods=["GET", "POST", "PUT"]),
]
