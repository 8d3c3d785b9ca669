"""Google Sheets, Docs and Drive through Airflow's own hook: its credentials, its retries, our pace.

Limits (developers.google.com/sheets/api/limits): 60 reads and 60 writes a minute and user, about 2 MB a request advised;
50,000 characters a cell.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

from overnight.services.pace import Pace
from overnight.services.settings import ServiceError, Settings, of

CONN_ID = "overnight_sheets"
MAX_CELL = 50_000
MAX_REQUEST_BYTES = 1_800_000
SCOPES = (
    "https://www.googleapis.com/auth/spreadsheets,https://www.googleapis.com/auth/drive,https://www.googleapis.com/auth/documents"
)

Body = dict[str, Any]


class Unclear(ServiceError):
    """A document's text is not settled; the words say what its writer can do."""


def _spoken(kind: str) -> str:
    """`inlineObjectElement` as people say it."""
    return re.sub(r"([A-Z])", lambda match: f" {match[1].lower()}", kind).removesuffix(" element")


class Google:
    """One authorised client; the endpoint of a stand-in is read from the connection's extra (`api_endpoint`)."""

    def __init__(self, settings: Settings) -> None:
        from airflow.providers.google.suite.hooks.sheets import GSheetsHook

        self.settings = settings
        endpoint = settings.extra.get("api_endpoint") or None
        self.hook = GSheetsHook(gcp_conn_id=settings.conn_id, api_endpoint=endpoint)
        per_minute = int(settings.number("requests_per_minute", 55))  # a little under the 60 that are counted
        who = f"google {settings.conn_id} {endpoint}"
        self.reads, self.writes = Pace(f"{who} reads", per_minute, 60.0), Pace(f"{who} writes", per_minute, 60.0)
        self._services: dict[str, Any] = {}

    def sheet_ids(self, spreadsheet: str) -> dict[int, Body]:
        """A spreadsheet's tabs by their id."""
        found = self._call(self.reads, self._sheets().get(spreadsheetId=spreadsheet, fields="sheets.properties"))
        return {sheet["properties"]["sheetId"]: sheet for sheet in found.get("sheets", [])}

    def marked(self, spreadsheet: str, sheet_id: int) -> set[str]:
        """The metadata that columns of a tab carry for us. A tab's own answer has only what belongs to the tab as a whole."""
        body = {"dataFilters": [{"developerMetadataLookup": {"metadataKey": METADATA}}]}
        search = self._sheets().developerMetadata().search(spreadsheetId=spreadsheet, body=body)
        found = [one["developerMetadata"] for one in self._call(self.reads, search).get("matchedDeveloperMetadata", [])]
        here = [one for one in found if one.get("location", {}).get("dimensionRange", {}).get("sheetId", 0) == sheet_id]
        return {one.get("metadataValue", "") for one in here}

    def touch(self, spreadsheet: str) -> None:
        """A write that changes nothing (the title becomes what it is): it is refused where we may only read."""
        found = self._call(self.reads, self._sheets().get(spreadsheetId=spreadsheet, fields="properties.title"))
        title = {"title": found["properties"]["title"]}
        self.change(spreadsheet, [{"updateSpreadsheetProperties": {"properties": title, "fields": "title"}}])

    def change(self, spreadsheet: str, requests: Sequence[Body]) -> Body:
        """A batch of changes, applied whole or not at all."""
        body = {"requests": list(requests)}
        return self._call(self.writes, self._sheets().batchUpdate(spreadsheetId=spreadsheet, body=body))

    def read_tabs(self, spreadsheet: str, sheet_ids: Sequence[int]) -> list[list[list[str]]]:
        """All cells of several tabs in one call, whatever their titles are now."""
        body = {"dataFilters": [{"gridRange": {"sheetId": sheet_id}} for sheet_id in sheet_ids], "majorDimension": "ROWS"}
        values = self._sheets().values()
        found = self._call(self.reads, values.batchGetByDataFilter(spreadsheetId=spreadsheet, body=body))
        return [part["valueRange"].get("values", []) for part in found.get("valueRanges", [])]

    def write_rows(self, spreadsheet: str, sheet_id: int, first_row: int, rows: Sequence[Sequence[str]]) -> None:
        """Put rows into a tab, as text and never as formulas."""
        where = {"gridRange": {"sheetId": sheet_id, "startRowIndex": first_row}}
        self._write(spreadsheet, [{"dataFilter": where, "majorDimension": "ROWS", "values": [list(row) for row in rows]}])

    def append_rows(self, spreadsheet: str, sheet_id: int, rows: Sequence[Sequence[str]]) -> None:
        """Put rows below whatever stands there at that moment: the place is Google's to find, so nothing is written over."""
        cells = [{"values": [{"userEnteredValue": {"stringValue": cell}} if cell else {} for cell in row]} for row in rows]
        self.change(spreadsheet, [{"appendCells": {"sheetId": sheet_id, "rows": cells, "fields": "userEnteredValue"}}])

    def write_columns(self, spreadsheet: str, columns: Sequence[tuple[str, Sequence[str | None]]]) -> None:
        """Fill columns that carry our metadata, wherever people have moved them to; None leaves a cell as it is.

        Args:
            columns: the metadata's value, and the cells from the first row down.
        """
        data = [
            {
                "dataFilter": {"developerMetadataLookup": {"metadataKey": METADATA, "metadataValue": value}},
                "majorDimension": "COLUMNS", "values": [list(cells)],
            }
            for value, cells in columns
        ]  # fmt: skip
        self._write(spreadsheet, data)

    def _write(self, spreadsheet: str, data: list[Body]) -> None:
        body = {"valueInputOption": "RAW", "data": data}
        self._call(self.writes, self._sheets().values().batchUpdateByDataFilter(spreadsheetId=spreadsheet, body=body))

    def make_document(self, name: str, text: str, folder: str) -> tuple[str, str]:
        """A document with a text in it, in a folder that people see; returns its id and its address."""
        body = {"name": name, "mimeType": "application/vnd.google-apps.document", "parents": [folder]}
        files = self._service("drive", "v3").files()
        made = self._call(self.writes, files.create(body=body, fields="id,webViewLink", supportsAllDrives=True))
        insert = {"insertText": {"location": {"index": 1}, "text": text}}
        documents = self._service("docs", "v1").documents()
        self._call(self.writes, documents.batchUpdate(documentId=made["id"], body={"requests": [insert]}))
        return made["id"], made.get("webViewLink") or f"https://docs.google.com/document/d/{made['id']}/edit"

    def read_document(self, document: str) -> str:
        """A document's text.

        Raises:
            Unclear: it holds what is no plain text, or suggestions that nobody accepted or rejected: its text is not settled.
        """
        found = self._call(self.reads, self._service("docs", "v1").documents().get(documentId=document))
        runs = []
        for part in found.get("body", {}).get("content", []):
            if strange := {*part} - {"paragraph", "startIndex", "endIndex", "sectionBreak"}:
                raise Unclear(f"holds a {_spoken(min(strange))}, which no text can carry. Write it as text")
            if part.get("paragraph", {}).get("bullet"):
                raise Unclear("holds a list made by the editor, whose signs are no text. Write the signs (- or 1.) yourself")
            for element in part.get("paragraph", {}).get("elements", []):
                run = element.get("textRun")
                if run is None:
                    kind = min({*element} - {"startIndex", "endIndex"}, default="part")
                    raise Unclear(f"holds a {_spoken(kind)}, which no text can carry. Write it as text")
                if run.get("suggestedInsertionIds") or run.get("suggestedDeletionIds"):
                    raise Unclear("holds suggestions. Accept or reject each of them first")
                runs.append(run.get("content", ""))
        return "".join(runs).rstrip("\n")

    def _sheets(self) -> Any:
        if "sheets" not in self._services:
            self._services["sheets"] = self._made(self.hook.get_conn)
        return self._services["sheets"].spreadsheets()

    def _service(self, name: str, version: str) -> Any:
        if name not in self._services:
            from googleapiclient.discovery import build

            endpoint = self.settings.extra.get("api_endpoint")
            options = {"api_endpoint": f"{endpoint}/drive/v3/" if name == "drive" else endpoint} if endpoint else None
            self._services[name] = self._made(lambda: build(
                name, version, credentials=self.hook.get_credentials(), cache_discovery=False, client_options=options
            ))  # fmt: skip
        return self._services[name]

    def _made(self, make: Callable[[], Any]) -> Any:
        """A client, or the words for a connection of which none can be made; what is wrong with a key is not repeated."""
        try:
            return make()
        except Exception as trouble:  # the hook, the key file's parser and the discovery each raise their own
            kind = type(trouble).__name__
            raise ServiceError(
                f"the connection {self.settings.conn_id!r} cannot be used ({kind}): its extra needs keyfile_dict as Google "
                "hands it out, and scope (docs/how-to/sheets.md)."
            ) from None

    def _call(self, pace: Pace, request: Any) -> Body:
        from google.auth.exceptions import GoogleAuthError
        from googleapiclient.errors import HttpError
        from httplib2 import HttpLib2Error

        pace.wait()
        try:
            answer: Body = request.execute(num_retries=self.hook.num_retries)
        except HttpError as error:
            raise Refused(error.resp.status, _reason(error)) from error
        except GoogleAuthError as error:
            raise ServiceError(f"Google does not accept the key of connection {self.settings.conn_id!r}: {error}") from error
        except (OSError, HttpLib2Error) as error:
            raise ServiceError(f"Google does not answer ({type(error).__name__}). It is tried again.") from error
        return answer


METADATA = "overnight"
"""The key of the developer metadata by which we know our own columns."""


class Refused(ServiceError):
    """Google's own words for a call it refused."""

    def __init__(self, status: int, reason: str) -> None:
        hint = {
            403: " Share the file with the service account's address (Editor).",
            404: " Is the id in the connection's extra right?",
        }.get(status, "")  # fmt: skip
        super().__init__(f"Google refused ({status}): {reason}.{hint}")
        self.status, self.reason = status, reason


def _reason(error: Any) -> str:
    return str(getattr(error, "reason", "") or error)[:300]


def connect() -> Google:
    """The client of the connection `overnight_sheets`."""
    return Google(of(CONN_ID))
