"""Notion through its community SDK, at a pace of three requests a second.

Limits (developers.notion.com/reference/request-limits): 2,000 characters a text run, 100 elements an array, 100 blocks an
append. The SDK waits out a 429 by its Retry-After; a POST whose answer is lost is not sent again by itself.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from overnight.services import numbers
from overnight.services.pace import Pace
from overnight.services.settings import Ambiguous, ServiceError, Settings, of

CONN_ID = "overnight_notion"
MAX_RUN, MAX_RUNS, MAX_BLOCKS, PAGE = 2_000, 100, 100, 100

Body = dict[str, Any]
log = logging.getLogger("overnight.notion")
"""Our own: the SDK's would gain a handler with each client."""


class Notion:
    """One client of one integration token; `host` of the connection is a stand-in's address, empty for the real one."""

    def __init__(self, settings: Settings) -> None:
        from notion_client import Client
        from notion_client.client import RetryOptions

        self.settings = settings
        options: Body = {"auth": settings.password, "timeout_ms": 60_000, "retry": RetryOptions(max_retries=5),
                         "logger": log, "log_level": logging.ERROR}  # fmt: skip
        if settings.host:
            options["base_url"] = settings.host
        self.client = Client(**options)
        # The average may be three a second; a little under it, counted over ten seconds.
        self.pace = Pace(
            f"notion {settings.host} {settings.password}", int(settings.number("requests_per_second", 2.8) * 10), 10.0
        )

    def properties(self, source: str) -> Body:
        """A data source's properties: name → its type and settings."""
        found: Body = self._call("GET", f"data_sources/{source}")["properties"]
        return found

    def add_properties(self, source: str, properties: Mapping[str, Body]) -> None:
        """Add properties to a data source, or options to its selects."""
        self._call("PATCH", f"data_sources/{source}", {"properties": dict(properties)})

    def pages(self, source: str, wanted: Body | None = None, *, in_trash: bool = False) -> Iterator[Body]:
        """Every page of a data source that a filter holds for."""
        body: Body = {"page_size": PAGE}
        if wanted:
            body["filter"] = wanted
        if in_trash:
            body["in_trash"] = True
        while True:
            answer = self._call("POST", f"data_sources/{source}/query", body, reads=True)
            yield from answer["results"]
            if not answer.get("has_more"):
                return
            body["start_cursor"] = answer["next_cursor"]

    def create(self, source: str, properties: Body, children: Sequence[Body]) -> Body:
        """A page with its properties and its first blocks; the rest of the blocks follows in appends."""
        first, rest = list(children[:MAX_BLOCKS]), children[MAX_BLOCKS:]
        parent = {"type": "data_source_id", "data_source_id": source}
        made = self._call("POST", "pages", {"parent": parent, "properties": properties, "children": first})
        self.append(made["id"], rest)
        return made

    def append(self, page: str, children: Sequence[Body]) -> None:
        """Blocks at the end of a page, a hundred at a time."""
        for start in range(0, len(children), MAX_BLOCKS):
            self._call("PATCH", f"blocks/{page}/children", {"children": list(children[start : start + MAX_BLOCKS])})

    def update(self, page: str, properties: Body | None = None, *, in_trash: bool | None = None) -> None:
        """Change some of a page's properties, or take it out of the trash."""
        body: Body = {"properties": properties} if properties else {}
        if in_trash is not None:
            body["in_trash"] = in_trash
        self._call("PATCH", f"pages/{page}", body)

    def blocks(self, page: str) -> list[Body]:
        """All blocks of a page."""
        found: list[Body] = []
        query: Body = {"page_size": PAGE}
        while True:
            answer = self._call("GET", f"blocks/{page}/children", query=query)
            found += answer["results"]
            if not answer.get("has_more"):
                return found
            query["start_cursor"] = answer["next_cursor"]

    def _call(self, method: str, path: str, body: Body | None = None, *, query: Body | None = None, reads: bool = False) -> Body:
        import httpx
        from notion_client.errors import APIResponseError, NotionClientErrorBase

        safe = reads or method == "GET"
        self.pace.wait()
        try:
            answer: Body = self.client.request(path=path, method=method, body=body, query=query)
        except APIResponseError as error:
            kind = Ambiguous if error.status >= 500 and not safe else ServiceError
            raise kind(_words(self.settings.conn_id, error.status, str(error))) from error
        except (NotionClientErrorBase, httpx.HTTPError) as error:
            kind = ServiceError if safe else Ambiguous
            raise kind(
                f"Notion did not answer a {method} of {path.split('/', maxsplit=1)[0]} ({type(error).__name__})."
            ) from error
        return answer


def _words(conn_id: str, status: int, message: str) -> str:
    hint = {
        401: f" Put the integration's token into connection {conn_id!r} as its password.",
        404: " Share the database with the integration (⋯ → Connections), and check the id in the connection's extra.",
    }.get(status, "")  # fmt: skip
    return f"Notion refused ({status}): {message[:300]}{hint}"


def runs(text: str) -> list[Body]:
    """A text as runs of at most 2,000 characters, as Notion counts them (UTF-16 units)."""
    made: list[str] = []
    part: list[str] = []
    used = 0
    for char in text:
        units = 2 if ord(char) > 0xFFFF else 1
        if used + units > MAX_RUN:
            made.append("".join(part))
            part, used = [], 0
        part.append(char)
        used += units
    if part:
        made.append("".join(part))
    return [{"type": "text", "text": {"content": piece}} for piece in made[:MAX_RUNS]]


def plain(value: Body) -> str:  # noqa: PLR0911 - a table of types
    """A property's value as text, whatever its type."""
    kind = value.get("type", "")
    inner = value.get(kind)
    if kind in ("title", "rich_text"):
        return "".join(run.get("plain_text", "") for run in inner or [])
    if kind in ("select", "status"):
        return str((inner or {}).get("name") or "")
    if kind == "multi_select":
        return "|".join(option["name"] for option in inner or [])
    if kind == "checkbox":
        return "true" if inner else "false"
    if kind == "date":
        return str((inner or {}).get("start") or "")
    if kind == "number":
        return "" if inner is None else numbers.written(inner)
    return "" if inner is None else str(inner)


def connect() -> Notion:
    """The client of the connection `overnight_notion`."""
    return Notion(of(CONN_ID))
