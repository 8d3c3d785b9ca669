"""The places where a rehearsal's people queue and review: made as people make them, and a careful person who decides there.

Everything here goes through the local server's back door, which stands for hands on the real services; Overnight itself
meets those services over their own APIs only.
"""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from overnight.review import table
from overnight.sandbox.server import services

SHEET, FOLDER, SOURCE = "overnight-sheet", "overnight-drafts", "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa"
BASE, QUEUE_BASE = "appReview00000001", "appQueue000000001"
DOCUMENTS = {"sheets": SHEET, "notion": SOURCE, "airtable": BASE}
QUEUES = {"sheets": "sheets", "notion": "notion", "airtable": "airtable", "xlsx": "csv", "page": "csv"}
"""Where the queue is when the review is there."""
REVIEWER = "ada"


def connections(base: str, **extra: Any) -> dict[str, dict[str, Any]]:
    """The three services' Airflow connections, as a team makes them (docs/how-to), with a stand-in's addresses.

    Args:
        base: the local server's address.
        extra: further settings of each connection's extra.
    """
    from overnight.workflow import workflow_names

    urls = services(base)
    google = {
        "keyfile_dict": key_file(f"{urls['google']}/token"), "scope": "https://www.googleapis.com/auth/spreadsheets",
        "api_endpoint": urls["google"], "queue_spreadsheet": SHEET, "review_spreadsheet": SHEET, "documents_folder": FOLDER,
        **extra,
    }  # fmt: skip
    notion = {"review_data_source": SOURCE, "queues": {n: queue_id(n) for n in workflow_names()}, **extra}
    return {
        "overnight_sheets": {"conn_type": "google_cloud_platform", "extra": google},
        "overnight_notion": {"conn_type": "generic", "host": urls["notion"], "password": "ntn_sandbox", "extra": notion},
        "overnight_airtable": {
            "conn_type": "generic", "host": urls["airtable"], "password": "patSandbox",
            "extra": {"review_base": BASE, "queue_base": QUEUE_BASE, **extra},
        },
        "overnight_web": {"conn_type": "generic", "extra": {"proxy": base, "per_second": 50}},
    }  # fmt: skip


def queue_id(workflow: str) -> str:
    """The id of a workflow's queue in Notion: its name, in the shape of an id."""
    return workflow.encode().hex().ljust(32, "0")[:32]


def key_file(token_uri: str) -> str:
    """A service account's key as Google hands it out, with a token endpoint of ours."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return json.dumps({
        "type": "service_account", "project_id": "rehearsal", "private_key_id": "1", "private_key": pem.decode(),
        "client_id": "1", "client_email": "overnight@rehearsal.iam.gserviceaccount.com", "token_uri": token_uri,
    })  # fmt: skip


def fill(base: str, samples: Mapping[str, Path]) -> None:
    """Make the documents, with each workflow's queue in them: what a team does once, and then every day."""
    with httpx.Client(base_url=f"{base}/control/desk", timeout=60) as http:
        rows = {name: list(csv.reader(path.open(encoding="utf-8"))) for name, path in samples.items()}
        _make(http, "folder", FOLDER)
        _make(http, "spreadsheet", SHEET, tabs=rows, title="Overnight")
        _make(http, "notion", SOURCE, properties={"Item": {"title": {}}}, title="Overnight review")
        for name, (header, *lines) in rows.items():
            kinds: dict[str, Any] = {column: {"rich_text": {}} if n else {"title": {}} for n, column in enumerate(header)}
            pages = [{c: cell for c, cell in zip(header, line, strict=False) if cell} for line in lines]
            _make(http, "notion", queue_id(name), properties=kinds, pages=pages, title=f"Queue {name}")
        _make(http, "airtable", BASE)
        _make(http, "airtable", QUEUE_BASE, tables={f"queue {name}": one for name, one in rows.items()})


def _make(http: httpx.Client, kind: str, doc_id: str, **order: Any) -> None:
    http.post("/make", json={"kind": kind, "id": doc_id, **order}).raise_for_status()


def decide(
    base: str, surface: str, workflow: str, decisions: Mapping[str, int], *, editable: str, folder: Path | None = None,
    digest: str = "",
) -> dict[str, int]:  # fmt: skip
    """A careful person decides on the first undecided rows of a workflow's nights; returns how many of each.

    Args:
        decisions: how many to approve, edit and send back.
        editable: the label of the text they edit.
        folder: where the workbooks are (surface xlsx).
        digest: what they decide of the whole night, if anything.
    """
    if surface == "xlsx":
        assert folder is not None  # noqa: S101
        return _decide_in_workbooks(sorted((folder / workflow).glob("*.xlsx")), decisions, editable, digest)
    order = {"service": surface, "document": DOCUMENTS[surface], "name": REVIEWER, "decisions": dict(decisions),
             "editable": [editable], "workflow": workflow, "digest": digest}  # fmt: skip
    answer = httpx.post(f"{base}/control/desk/decide", json=order, timeout=60).raise_for_status()
    done: dict[str, int] = answer.json()["done"]
    return done


def _decide_in_workbooks(paths: Sequence[Path], decisions: Mapping[str, int], editable: str, digest: str) -> dict[str, int]:
    from openpyxl import load_workbook

    done: dict[str, int] = {}
    wanted = [word for word, count in decisions.items() for _ in range(count)]
    for path in paths:
        book = load_workbook(path)
        sheet: Any = book.worksheets[0]
        at = {cell.value: cell.column for cell in sheet[1]}
        for line in range(2, sheet.max_row + 1):
            key, decided = (sheet.cell(line, at[name]).value for name in (table.KEY, table.DECISION))
            if decided or key in ("", None, "ready") or (key == "digest" and not digest) or (key != "digest" and not wanted):
                continue
            word = digest if key == "digest" else wanted.pop(0)
            values = {table.DECISION: word, table.REVIEWER: REVIEWER, table.NOTE: "Please begin with the rain."}
            values |= {table.REASON: "Weak opening"} if word == "rework" else {}
            values |= {f"{editable}{table.YOURS}": "A reviewer's own words"} if word == "edit" else {}
            for name, value in values.items():
                sheet.cell(line, at[name], value)
            done[word] = done.get(word, 0) + 1
        book.save(path)
    return done
