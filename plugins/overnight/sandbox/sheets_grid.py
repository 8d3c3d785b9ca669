"""A spreadsheet as data: tabs, cells, columns' metadata; and the changes that people and programs make to it.

Behaves as the Sheets API does where our code can see it: trailing empty cells are not returned, a batch of changes is
applied whole or not at all, metadata on a column stays with the column when columns are inserted, moved or deleted.
"""

import copy
import random
import re
from collections.abc import Iterator
from typing import Any

MAX_CELL = 50_000
_A1 = re.compile(r"^([A-Z]*)(\d*)(?::([A-Z]*)(\d*))?$")


class Invalid(Exception):
    """A request the service refuses with 400 INVALID_ARGUMENT."""


def new_sheet(properties: dict[str, Any], index: int) -> dict[str, Any]:
    """A tab as `addSheet` makes it."""
    grid = {"rowCount": 1000, "columnCount": 26, **properties.get("gridProperties", {})}
    made = {
        "sheetId": properties.get("sheetId", random.randrange(1, 2**31)), "title": properties.get("title") or f"Sheet{index + 1}",
        "index": index, "sheetType": "GRID", "gridProperties": grid,
    }  # fmt: skip
    if properties.get("hidden"):
        made["hidden"] = True
    return {"properties": made, "rows": [], "columns": [[] for _ in range(grid["columnCount"])], "rules": {}}


def find(doc: dict[str, Any], *, sheet_id: int | None = None, title: str | None = None) -> dict[str, Any]:
    """A tab by its id or its title."""
    for sheet in doc["sheets"]:
        if sheet["properties"]["sheetId"] == sheet_id or (title is not None and sheet["properties"]["title"] == title):
            found: dict[str, Any] = sheet
            return found
    raise Invalid(f"No grid with id: {sheet_id}" if title is None else f"Unable to parse range: {title}")


def a1(doc: dict[str, Any], text: str) -> tuple[dict[str, Any], int, int, int | None, int | None]:
    """A range in A1 notation as (tab, first row, first column, end row, end column); ends are exclusive, None is open."""
    title, bang, cells = text.rpartition("!")
    if not bang:
        title, cells = text, ""
    title = title[1:-1].replace("''", "'") if title.startswith("'") else title
    sheet = find(doc, title=title)
    found = _A1.match(cells)
    if cells and found is None:
        raise Invalid(f"Unable to parse range: {text}")
    left, top, right, bottom = found.groups() if found else (None, None, None, None)
    row, col = int(top or 1) - 1, _column(left)
    if ":" not in cells and cells:
        return sheet, row, col, row + 1, col + 1
    return sheet, row, col, int(bottom) if bottom else None, _column(right) + 1 if right else None


def _column(letters: str | None) -> int:
    number = 0
    for letter in letters or "A":
        number = number * 26 + ord(letter) - 64
    return number - 1


def letters(column: int) -> str:
    """A column's letters from its index."""
    name = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        name = chr(65 + rest) + name
    return name


def read(sheet: dict[str, Any], row: int, col: int, end_row: int | None, end_col: int | None, major: str) -> list[list[Any]]:
    """Values of a range, as text, without what is empty at the ends."""
    rows = [[_shown(cell) for cell in line[col:end_col]] for line in sheet["rows"][row:end_row]]
    if major == "COLUMNS":
        width = max((len(line) for line in rows), default=0)
        rows = [[line[c] if c < len(line) else "" for line in rows] for c in range(width)]
    for line in rows:
        while line and line[-1] == "":
            line.pop()
    while rows and not rows[-1]:
        rows.pop()
    return rows


def _shown(cell: Any) -> str:
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    return "" if cell is None else str(cell)


def write(sheet: dict[str, Any], row: int, col: int, values: list[list[Any]], major: str, *, raw: bool) -> int:
    """Put values; null leaves a cell as it is, "" empties it. Returns how many cells were written."""
    lines = values if major != "COLUMNS" else [list(line) for line in _transposed(values)]
    grid, count = sheet["properties"]["gridProperties"], 0
    for r, line in enumerate(lines, start=row):
        for c, value in enumerate(line, start=col):
            if value is None:
                continue
            if r >= grid["rowCount"] or c >= grid["columnCount"]:
                raise Invalid(
                    f"Range ({sheet['properties']['title']}!{letters(c)}{r + 1}) exceeds grid limits. "
                    f"Max rows: {grid['rowCount']}, max columns: {grid['columnCount']}"
                )
            put(sheet, r, c, value, raw=raw)
            count += 1
    return count


def _transposed(values: list[list[Any]]) -> list[list[Any]]:
    width = max((len(line) for line in values), default=0)
    return [[line[n] if n < len(line) else None for line in values] for n in range(width)]


def put(sheet: dict[str, Any], row: int, col: int, value: Any, *, raw: bool = True) -> None:
    """One cell. What is not RAW and starts like a formula becomes one, as in the real service."""
    if isinstance(value, str) and len(value) > MAX_CELL:
        raise Invalid("Your input contains more than the maximum of 50000 characters in a single cell.")
    if isinstance(value, list | dict):
        raise Invalid(f"Invalid value at 'data.values' (type.googleapis.com/google.protobuf.ListValue), \"{value}\"")
    rows = sheet["rows"]
    while len(rows) <= row:
        rows.append([])
    line = rows[row]
    while len(line) <= col:
        line.append(None)
    formula = isinstance(value, str) and value.startswith(("=", "+")) and not raw
    line[col] = "#ERROR!" if formula else (None if value == "" else value)


def metadata_columns(doc: dict[str, Any], lookup: dict[str, Any]) -> list[tuple[dict[str, Any], int]]:
    """The columns whose metadata a lookup matches, as (tab, column), each once."""
    found: list[tuple[dict[str, Any], int]] = []
    for sheet, index, _ in metadata(doc, lookup):
        if (sheet, index) not in found:
            found.append((sheet, index))
    return found


def metadata(doc: dict[str, Any], lookup: dict[str, Any]) -> Iterator[tuple[dict[str, Any], int, dict[str, Any]]]:
    """The metadata that a lookup matches, as (tab, column, metadata)."""
    for sheet in doc["sheets"]:
        for index, metas in enumerate(sheet["columns"]):
            yield from ((sheet, index, meta) for meta in metas if _matches(meta, lookup))


def _matches(meta: dict[str, Any], lookup: dict[str, Any]) -> bool:
    names = ("metadataKey", "metadataValue", "metadataId")
    return all(meta.get(name) == lookup[name] for name in names if name in lookup)


def apply(doc: dict[str, Any], requests: list[dict[str, Any]]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A batch of changes on a copy, so that a refused one changes nothing; returns the new document and the replies."""
    changed = copy.deepcopy(doc)
    replies = []
    for number, request in enumerate(requests):
        (kind, body), *more = request.items()
        handler = _HANDLERS.get(kind)
        if more or handler is None:
            raise Invalid(f"Invalid requests[{number}]: No request set or an unknown one: {kind}")
        try:
            replies.append(handler(changed, body) or {})
        except Invalid as wrong:
            raise Invalid(f"Invalid requests[{number}].{kind}: {wrong}") from wrong
    return changed, replies


def _add_sheet(doc: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    wanted = body.get("properties", {})
    for sheet in doc["sheets"]:
        known = sheet["properties"]
        if known["title"] == wanted.get("title"):
            raise Invalid(f'A sheet with the name "{known["title"]}" already exists. Please enter another name.')
        if known["sheetId"] == wanted.get("sheetId"):
            raise Invalid(f"Sheet with id {known['sheetId']} already exists.")
    made = new_sheet(wanted, len(doc["sheets"]))
    doc["sheets"].append(made)
    return {"addSheet": {"properties": made["properties"]}}


def _properties(doc: dict[str, Any], body: dict[str, Any]) -> None:
    doc["title"] = body["properties"].get("title", doc["title"])


def _delete_sheet(doc: dict[str, Any], body: dict[str, Any]) -> None:
    doc["sheets"].remove(find(doc, sheet_id=body["sheetId"]))


def _sheet_properties(doc: dict[str, Any], body: dict[str, Any]) -> None:
    sheet = find(doc, sheet_id=body["properties"]["sheetId"])["properties"]
    for name in str(body.get("fields", "")).split(","):
        head, _, tail = name.partition(".")
        if not name:
            raise Invalid("At least one field must be listed in 'fields'. (Use '*' to indicate all fields.)")
        if tail:
            sheet.setdefault(head, {})[tail] = body["properties"].get(head, {}).get(tail)
        elif head == "hidden" and not body["properties"].get("hidden"):
            sheet.pop("hidden", None)
        else:
            sheet[head] = body["properties"].get(head)


def _range_rule(name: str) -> Any:
    def keep(doc: dict[str, Any], body: dict[str, Any]) -> dict[str, Any] | None:
        where: dict[str, Any] = body.get("range") or next(
            (part["range"] for part in body.values() if isinstance(part, dict) and "range" in part), {}
        )  # fmt: skip
        sheet = find(doc, sheet_id=where.get("sheetId", 0))
        rules = sheet["rules"].setdefault(name, [])
        rules.append(body)
        if name == "addProtectedRange":
            return {name: {"protectedRange": {**body["protectedRange"], "protectedRangeId": len(rules)}}}
        if name == "addFilterView":
            return {name: {"filter": {**body["filter"], "filterViewId": len(rules)}}}
        return None

    return keep


def _create_metadata(doc: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    wanted = body["developerMetadata"]
    place = wanted["location"].get("dimensionRange")
    if place is None or place.get("dimension") != "COLUMNS":
        raise Invalid("this stand-in keeps metadata of columns only")
    sheet = find(doc, sheet_id=place["sheetId"])
    meta = {k: wanted[k] for k in ("metadataKey", "metadataValue", "visibility") if k in wanted}
    meta["metadataId"] = wanted.get("metadataId", random.randrange(1, 2**31))
    sheet["columns"][place["startIndex"]].append(meta)
    return {"createDeveloperMetadata": {"developerMetadata": {**wanted, **meta}}}


def _append_dimension(doc: dict[str, Any], body: dict[str, Any]) -> None:
    sheet = find(doc, sheet_id=body["sheetId"])
    grid = sheet["properties"]["gridProperties"]
    if body["dimension"] == "ROWS":
        grid["rowCount"] += body["length"]
    else:
        grid["columnCount"] += body["length"]
        sheet["columns"] += [[] for _ in range(body["length"])]


def _append_cells(doc: dict[str, Any], body: dict[str, Any]) -> None:
    sheet = find(doc, sheet_id=body["sheetId"])
    rows = sheet["rows"]
    while rows and not any(cell not in (None, "") for cell in rows[-1]):
        rows.pop()
    for given in body["rows"]:
        values = [cell.get("userEnteredValue", {}).get("stringValue") for cell in given.get("values", [])]
        if any(value is not None and len(value) > MAX_CELL for value in values):
            raise Invalid("Your input contains more than the maximum of 50000 characters in a single cell.")
        rows.append(values)
    grid = sheet["properties"]["gridProperties"]
    grid["rowCount"] = max(grid["rowCount"], len(rows))


def _insert_dimension(doc: dict[str, Any], body: dict[str, Any]) -> None:
    place = body["range"]
    insert(find(doc, sheet_id=place["sheetId"]), place["dimension"], place["startIndex"], place["endIndex"] - place["startIndex"])


def insert(sheet: dict[str, Any], dimension: str, at: int, count: int = 1) -> None:
    """Insert empty rows or columns."""
    grid = sheet["properties"]["gridProperties"]
    if dimension == "ROWS":
        sheet["rows"][at:at] = [[] for _ in range(count)]
        grid["rowCount"] += count
        return
    for line in sheet["rows"]:
        if len(line) > at:
            line[at:at] = [None] * count
    sheet["columns"][at:at] = [[] for _ in range(count)]
    grid["columnCount"] += count


def _delete_dimension(doc: dict[str, Any], body: dict[str, Any]) -> None:
    place = body["range"]
    sheet = find(doc, sheet_id=place["sheetId"])
    start, end = place["startIndex"], place["endIndex"]
    if place["dimension"] == "ROWS":
        del sheet["rows"][start:end]
        sheet["properties"]["gridProperties"]["rowCount"] -= end - start
        return
    for line in sheet["rows"]:
        del line[start:end]
    del sheet["columns"][start:end]
    sheet["properties"]["gridProperties"]["columnCount"] -= end - start


def _nothing(_doc: dict[str, Any], _body: dict[str, Any]) -> None:
    """Looks only: colours, widths, wrapping."""


_HANDLERS: dict[str, Any] = {
    "updateSpreadsheetProperties": _properties,
    "addSheet": _add_sheet, "deleteSheet": _delete_sheet, "updateSheetProperties": _sheet_properties,
    "setDataValidation": _range_rule("setDataValidation"), "addProtectedRange": _range_rule("addProtectedRange"),
    "addFilterView": _range_rule("addFilterView"), "setBasicFilter": _range_rule("setBasicFilter"),
    "addConditionalFormatRule": _nothing, "repeatCell": _nothing, "updateDimensionProperties": _nothing,
    "createDeveloperMetadata": _create_metadata, "appendCells": _append_cells, "appendDimension": _append_dimension,
    "insertDimension": _insert_dimension, "deleteDimension": _delete_dimension,
}  # fmt: skip
