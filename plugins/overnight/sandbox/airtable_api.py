"""The parts of Airtable's Web API that Overnight meets: tables, their fields, and records ten at a time.

Shapes and error bodies follow recorded answers of the real service; limits are its own: 5 requests a second and base (a
client that goes over waits 30 s), 10 records a write, 100 records a page, 100,000 characters a long text.
"""

import random
import re
import string
from typing import Any
from urllib.parse import unquote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from overnight.sandbox.desk import Desk, stamp

PER_SECOND, RECORDS, PAGE, MAX_TEXT, PENALTY_S = 5, 10, 100, 100_000, 30
_EQUALS = re.compile(r"^\{(?P<field>[^}]+)\}\s*=\s*(['\"])(?P<value>.*)\2$", re.DOTALL)
_NO_ACCESS = (
    "Invalid permissions, or the requested model was not found. Check that both your user and your token have the required "
    "permissions, and that the model names and/or ids are correct."
)
_COMPUTED = ("autoNumber", "createdTime", "lastModifiedTime", "lastModifiedBy", "createdBy")


class Refusal(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, kind: str, message: str | None = None) -> None:
        super().__init__(message or kind)
        self.status, self.kind, self.message = status, kind, message


def error(status: int, kind: str, message: str | None = None) -> Response:
    """Airtable's error body: some errors are a word, most a type and a message."""
    if message is None:
        return JSONResponse({"error": kind}, status)
    if status == 429:
        return JSONResponse({"errors": [{"error": kind, "message": message}]}, status)
    return JSONResponse({"error": {"type": kind, "message": message}}, status)


async def on_refusal(_request: Request, refusal: Any) -> Response:
    """A refusal as Airtable answers it."""
    return error(refusal.status, refusal.kind, refusal.message)


async def api(request: Request) -> Response:
    """Every call: who calls, is there room; then what was asked."""
    body = await request.json() if await request.body() else {}
    return await run_in_threadpool(_answer, request.app.state.desk, request, body)


def _answer(desk: Desk, request: Request, body: dict[str, Any]) -> Response:
    raw = request.scope.get("raw_path", b"").decode().partition("?")[0].partition("/airtable/v0/")[2].strip("/")
    parts = [unquote(part) for part in raw.split("/")]
    with desk.lock:
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not bearer.startswith("pat"):
            raise Refusal(401, "AUTHENTICATION_REQUIRED", "Authentication required")
        base = parts[2] if parts[0] == "meta" and len(parts) > 2 else parts[0]
        if desk.strikes("busy") or desk.over_quota(f"airtable {base}", PER_SECOND, 1.0):
            raise Refusal(429, "RATE_LIMIT_REACHED", "Rate limit exceeded. Please try again later")
        if desk.strikes("broken"):
            raise Refusal(503, "SERVICE_UNAVAILABLE", "The service is temporarily unavailable. Please retry shortly.")
        answer = _dispatch(desk, request, parts, body)
        if request.method != "GET" and desk.strikes("lost"):
            raise Refusal(503, "SERVICE_UNAVAILABLE", "The service is temporarily unavailable. Please retry shortly.")
    return JSONResponse(answer)


def _dispatch(desk: Desk, request: Request, parts: list[str], body: dict[str, Any]) -> dict[str, Any]:  # noqa: PLR0911 - a table of routes
    match (request.method, *parts):
        case ("GET", "meta", "whoami"):
            return {"id": "usrOvernight000001", "scopes": ["data.records:read", "data.records:write", "schema.bases:write"]}
        case ("GET", "meta", "bases", base_id, "tables"):
            return {"tables": [_shown_table(table) for table in _base(desk, base_id)["tables"]]}
        case ("POST", "meta", "bases", base_id, "tables"):
            return _shown_table(make_table(desk, base_id, body["name"], body.get("fields", [])))
        case ("POST", "meta", "bases", base_id, "tables", table_id, "fields"):
            return _add_field(desk, _base(desk, base_id), table_id, body)
        case ("GET", base_id, table_id):
            desk.let_people_work(base_id)
            return _list(_table(_base(desk, base_id), table_id), request.query_params)
        case ("POST", base_id, table_id, "listRecords"):
            desk.let_people_work(base_id)
            return _list(_table(_base(desk, base_id), table_id), body)
        case ("GET", base_id, table_id, record_id):
            return _shown(_record(_table(_base(desk, base_id), table_id), record_id))
        case ("POST", base_id, table_id):
            base = _base(desk, base_id)
            return _create(desk, base, _table(base, table_id), body)
        case ("PATCH", base_id, table_id):
            desk.let_people_work(base_id)
            base = _base(desk, base_id)
            return _update(desk, base, _table(base, table_id), body)
    raise Refusal(404, "NOT_FOUND")


def _base(desk: Desk, base_id: str) -> dict[str, Any]:
    found = desk.get("airtable_base", base_id)
    if found is None:
        raise Refusal(403, "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND", _NO_ACCESS)
    return found


def _table(base: dict[str, Any], name: str) -> dict[str, Any]:
    for table in base["tables"]:
        if name in (table["id"], table["name"]):
            found: dict[str, Any] = table
            return found
    raise Refusal(403, "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND", _NO_ACCESS)


def _record(table: dict[str, Any], record_id: str) -> dict[str, Any]:
    found = next((r for r in table["records"] if r["id"] == record_id), None)
    if found is None:
        raise Refusal(404, "MODEL_ID_NOT_FOUND", "Record not found")
    return dict(found)


def new_id(prefix: str) -> str:
    """An id in Airtable's manner: three letters and fourteen more."""
    return prefix + "".join(random.choices(string.ascii_letters + string.digits, k=14))


def make_base(desk: Desk, base_id: str) -> dict[str, Any]:
    """An empty base, as a person makes it by hand."""
    return desk.put("airtable_base", base_id, {"id": base_id, "tables": []})


def make_table(desk: Desk, base_id: str, name: str, fields: list[dict[str, Any]]) -> dict[str, Any]:
    """A table with its fields."""
    base = _base(desk, base_id)
    if any(table["name"] == name for table in base["tables"]):
        raise Refusal(422, "DUPLICATE_TABLE_NAME", f'A table with the name "{name}" already exists.')
    if not fields:
        raise Refusal(422, "INVALID_REQUEST_UNKNOWN", "A table needs at least one field.")
    table: dict[str, Any] = {"id": new_id("tbl"), "name": name, "fields": [_field(f) for f in fields], "records": []}
    base["tables"].append(table)
    desk.put("airtable_base", base_id, base)
    return table


def _field(given: dict[str, Any]) -> dict[str, Any]:
    made = {"id": new_id("fld"), "name": given["name"], "type": given["type"]}
    if given["type"] in ("singleSelect", "multipleSelects"):
        made["options"] = {"choices": [{"id": new_id("sel"), "name": c["name"]} for c in given["options"]["choices"]]}
    elif given["type"] == "checkbox" and "options" not in given:
        raise Refusal(422, "INVALID_FIELD_TYPE_OPTIONS_FOR_CREATE", "Creating checkbox fields requires options: icon and color.")
    return made


def _add_field(desk: Desk, base: dict[str, Any], table_id: str, body: dict[str, Any]) -> dict[str, Any]:
    table = _table(base, table_id)
    if any(field["name"] == body["name"] for field in table["fields"]):
        raise Refusal(422, "DUPLICATE_OR_EMPTY_FIELD_NAME", f'Field "{body["name"]}" already exists.')
    table["fields"].append(_field(body))
    desk.put("airtable_base", base["id"], base)
    made: dict[str, Any] = table["fields"][-1]
    return made


def _shown_table(table: dict[str, Any]) -> dict[str, Any]:
    views = [{"id": "viw" + table["id"][3:], "name": "Grid view", "type": "grid"}]
    return {"id": table["id"], "name": table["name"], "primaryFieldId": table["fields"][0]["id"], "fields": table["fields"],
            "views": views}  # fmt: skip


def _shown(record: dict[str, Any]) -> dict[str, Any]:
    """A record: fields that are empty are left out."""
    filled = {name: value for name, value in record["fields"].items() if value not in (None, "", False, [])}
    return {"id": record["id"], "createdTime": record["createdTime"], "fields": filled}


def _list(table: dict[str, Any], query: Any) -> dict[str, Any]:
    records = table["records"]
    if formula := query.get("filterByFormula"):
        records = [record for record in records if _matches(table, record, formula)]
    count = min(int(query.get("pageSize") or PAGE), PAGE)
    start = int(str(query.get("offset") or "itr/0").rpartition("/")[2])
    answer: dict[str, Any] = {"records": [_shown(record) for record in records[start : start + count]]}
    if start + count < len(records):
        answer["offset"] = f"itr{table['id'][3:]}/{start + count}"
    return answer


def _matches(table: dict[str, Any], record: dict[str, Any], formula: str) -> bool:
    found = _EQUALS.match(formula.strip())
    if found is None or found["field"] not in {field["name"] for field in table["fields"]}:
        raise Refusal(422, "INVALID_FILTER_BY_FORMULA", "The formula for filtering records is invalid: Unknown field names")
    value = found["value"].replace("\\'", "'").replace('\\"', '"')
    return str(record["fields"].get(found["field"], "")) == value


def _values(table: dict[str, Any], given: dict[str, Any], *, typecast: bool) -> dict[str, Any]:
    fields = {field["name"]: field for field in table["fields"]} | {field["id"]: field for field in table["fields"]}
    values = {}
    for name, value in given.items():
        field = fields.get(name)
        if field is None:
            raise Refusal(422, "UNKNOWN_FIELD_NAME", f'Unknown field name: "{name}"')
        values[field["name"]] = _checked(field, value, typecast=typecast)
    return values


def _checked(field: dict[str, Any], value: Any, *, typecast: bool) -> Any:
    if field["type"] in _COMPUTED:
        raise Refusal(
            422, "INVALID_VALUE_FOR_COLUMN", f'Field "{field["name"]}" cannot accept a value because the field is computed'
        )  # fmt: skip
    if value is None:
        return None
    if field["type"] == "singleSelect":
        choices = field["options"]["choices"]
        if value and value not in {choice["name"] for choice in choices}:
            if not typecast:
                raise Refusal(
                    422, "INVALID_MULTIPLE_CHOICE_OPTIONS", f'Insufficient permissions to create new select option ""{value}""'
                )  # fmt: skip
            choices.append({"id": new_id("sel"), "name": value})
        return value
    wanted = {"checkbox": bool, "number": int | float}.get(field["type"], str)
    if not isinstance(value, wanted) or (isinstance(value, str) and len(value) > MAX_TEXT):
        raise Refusal(422, "INVALID_VALUE_FOR_COLUMN", f'Field "{field["name"]}" cannot accept the provided value')
    return value


def _few(body: dict[str, Any]) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = body.get("records", [])
    if not 0 < len(records) <= RECORDS:
        raise Refusal(422, "INVALID_RECORDS", f"You have provided {len(records)} records; 1 to {RECORDS} are allowed.")
    return records


def _create(desk: Desk, base: dict[str, Any], table: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    given = [_values(table, record.get("fields", {}), typecast=bool(body.get("typecast"))) for record in _few(body)]
    made = [{"id": new_id("rec"), "createdTime": stamp(), "fields": fields} for fields in given]
    table["records"] += made
    desk.put("airtable_base", base["id"], base)
    return {"records": [_shown(record) for record in made]}


def _upsert(desk: Desk, base: dict[str, Any], table: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    """Records by key fields: none has the key: made; one has: changed; several have: all is refused."""
    keys, plan = body["performUpsert"]["fieldsToMergeOn"], []
    for record in _few(body):
        values = _values(table, record["fields"], typecast=bool(body.get("typecast")))
        same = [known for known in table["records"] if all(known["fields"].get(key) == values.get(key) for key in keys)]
        if len(same) > 1:
            raise Refusal(422, "INVALID_REQUEST_UNKNOWN", "Cannot upsert: several records match the fields to merge on.")
        plan.append((same[0] if same else None, values))
    created, changed = [], []
    for same_key, values in plan:
        known = same_key or {"id": new_id("rec"), "createdTime": stamp(), "fields": {}}
        if same_key is None:
            table["records"].append(known)
            created.append(known)
        known["fields"] = {name: value for name, value in {**known["fields"], **values}.items() if value is not None}
        changed.append(known)
    desk.put("airtable_base", base["id"], base)
    ids = [record["id"] for record in created]
    others = [record["id"] for record in changed if record["id"] not in ids]
    return {"records": [_shown(record) for record in changed], "createdRecords": ids, "updatedRecords": others}


def _update(desk: Desk, base: dict[str, Any], table: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    if "performUpsert" in body:
        return _upsert(desk, base, table, body)
    by_id = {record["id"]: record for record in table["records"]}
    changes = []
    for record in _few(body):
        if record.get("id") not in by_id:
            raise Refusal(404, "MODEL_ID_NOT_FOUND", "Record not found")
        changes.append((by_id[record["id"]], _values(table, record["fields"], typecast=bool(body.get("typecast")))))
    for known, values in changes:  # all or none
        known["fields"] = {name: value for name, value in {**known["fields"], **values}.items() if value is not None}
    desk.put("airtable_base", base["id"], base)
    return {"records": [_shown(record) for record, _ in changes]}


ROUTES = [Route("/v0/{path:path}", api, methods=["GET", "POST", "PATCH", "DELETE"])]
