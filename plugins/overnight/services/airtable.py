"""Airtable through pyairtable, at a pace of five requests a second and base, ten records a call.

pyairtable's own retries would send a POST again whose answer was lost; here only a 429 is waited out (30 s, as Airtable asks)
and a connection that was never made is tried again.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from overnight.services.pace import Pace
from overnight.services.settings import Ambiguous, ServiceError, Settings, of

CONN_ID = "overnight_airtable"
MAX_RECORDS, MAX_TEXT = 10, 100_000

Body = dict[str, Any]


class Airtable:
    """One client of one token; `host` of the connection is a stand-in's address, empty for the real one."""

    def __init__(self, settings: Settings) -> None:
        from pyairtable import Api, retry_strategy

        self.settings = settings
        wait_s = settings.number("retry_seconds", 30)
        strategy = retry_strategy(total=10, connect=3, read=0, other=0, status=3, backoff_factor=wait_s, raise_on_status=False)
        options: Body = {"retry_strategy": strategy, "timeout": (10, 60)}
        if settings.host:
            options["endpoint_url"] = settings.host
        self.api = Api(settings.password, **options)
        self.pace = Pace(f"airtable {settings.host} {settings.password}", int(settings.number("requests_per_second", 5)), 1.0)

    def tables(self, base: str) -> dict[str, Body]:
        """A base's tables by name, with their fields."""
        found = self._call("GET", self.api.build_url("meta", "bases", base, "tables"))
        return {table["name"]: table for table in found["tables"]}

    def make_table(self, base: str, name: str, fields: Sequence[Body]) -> None:
        """A table with its fields."""
        self._call("POST", self.api.build_url("meta", "bases", base, "tables"), {"name": name, "fields": list(fields)})

    def add_field(self, base: str, table_id: str, field: Body) -> None:
        """One more field of a table."""
        self._call("POST", self.api.build_url("meta", "bases", base, "tables", table_id, "fields"), field)

    def records(self, base: str, table: str, where: Mapping[str, str] | None = None) -> list[Body]:
        """Every record of a table, or those whose field has a value."""
        found: list[Body] = []
        body: Body = {"pageSize": 100}
        for name, value in (where or {}).items():
            body["filterByFormula"] = f"{{{name}}}='{_quoted(value)}'"
        while True:
            answer = self._call("POST", self.api.build_url(base, table, "listRecords"), body, reads=True)
            found += answer["records"]
            if not answer.get("offset"):
                return found
            body["offset"] = answer["offset"]

    def update(self, base: str, table: str, rows: Sequence[tuple[str, Body]]) -> list[Body]:
        """Change fields of records, ten at a time; fields that are not named stay as they are."""
        return self._write("PATCH", base, table, [{"id": record_id, "fields": fields} for record_id, fields in rows])

    def upsert(self, base: str, table: str, rows: Sequence[Body], keys: Sequence[str]) -> list[Body]:
        """Records by key fields: made where none has them, changed where one has. Sent twice, it is made once."""
        more = {"performUpsert": {"fieldsToMergeOn": list(keys)}}
        return self._write("PATCH", base, table, [{"fields": row} for row in rows], more)

    def _write(self, method: str, base: str, table: str, records: Sequence[Body], more: Body | None = None) -> list[Body]:
        done: list[Body] = []
        for start in range(0, len(records), MAX_RECORDS):
            body = {"records": list(records[start : start + MAX_RECORDS]), "typecast": True, **(more or {})}
            done += self._call(method, self.api.build_url(base, table), body)["records"]
        return done

    def _call(self, method: str, url: Any, body: Body | None = None, *, reads: bool = False) -> Body:
        import requests

        safe = reads or method == "GET"
        self.pace.wait()
        try:
            answer: Body = self.api.request(method, url, json=body)
        except requests.HTTPError as error:
            status = error.response.status_code if error.response is not None else 0
            kind = Ambiguous if status >= 500 and not safe else ServiceError
            raise kind(_words(self.settings.conn_id, status, _reason(error))) from error
        except requests.RequestException as error:
            kind = ServiceError if safe else Ambiguous
            raise kind(f"Airtable did not answer a {method} ({type(error).__name__}).") from error
        return answer


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "\\'")


def _reason(error: Any) -> str:
    try:
        found = error.response.json().get("error")
    except (AttributeError, ValueError):
        return "no reason given"
    return str(found.get("message") or found.get("type")) if isinstance(found, dict) else str(found)


def _words(conn_id: str, status: int, message: str) -> str:
    hint = {
        401: f" Put a personal access token into connection {conn_id!r} as its password.",
        403: " The token needs data.records:read, data.records:write, schema.bases:read and schema.bases:write on this base.",
    }.get(status, "")  # fmt: skip
    return f"Airtable refused ({status}): {message[:300]}{hint}"


def connect() -> Airtable:
    """The client of the connection `overnight_airtable`."""
    return Airtable(of(CONN_ID))
