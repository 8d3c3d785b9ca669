"""The local Sheets, Notion and Airtable answer as the real ones do: shapes, limits, refusals, and recorded traffic where it is."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from overnight.rehearsal.desk import BASE, SHEET, SOURCE
from overnight.sandbox.server import services
from overnight.services import airtable, google, notion
from overnight.services.settings import Ambiguous, ServiceError
from tests.conftest import PROJECT
from tests.support.desk import Desk

RECORDED = PROJECT.parent / "shared" / "recorded"


@pytest.fixture
def sheets(desk: Desk) -> google.Google:
    return google.connect()


def raw(desk: Desk, method: str, path: str, token: str, **more: Any) -> httpx.Response:
    headers = {"authorization": f"Bearer {token}", "notion-version": "2025-09-03"}
    return httpx.request(method, f"{desk.sandbox.url}{path}", headers=headers, timeout=10, **more)


def test_a_batch_of_changes_is_applied_whole_or_not_at_all(desk: Desk, sheets: google.Google) -> None:
    """The second request is refused, so the first did not happen either; the words name the request."""
    add = {"addSheet": {"properties": {"sheetId": 7, "title": "seven"}}}
    with pytest.raises(google.Refused, match=r"requests\[1\].*already exists"):
        sheets.change(SHEET, [add, add])
    assert 7 not in sheets.sheet_ids(SHEET)


def test_values_come_back_without_what_is_empty_at_the_ends_and_null_leaves_a_cell(desk: Desk, sheets: google.Google) -> None:
    """Ragged rows, inner blanks kept; a formula's sign stays text."""
    sheets.change(SHEET, [{"addSheet": {"properties": {"sheetId": 7, "title": "seven"}}}])
    sheets.write_rows(SHEET, 7, 0, [["A1", "", "C1", ""], ["", ""], ["=1+1"]])
    assert sheets.read_tabs(SHEET, [7])[0] == [["A1", "", "C1"], [], ["=1+1"]]


def test_metadata_stays_with_its_column_when_people_insert_columns(desk: Desk, sheets: google.Google) -> None:
    """What we say follows its column."""
    place = {"sheetId": 7, "dimension": "COLUMNS", "startIndex": 1, "endIndex": 2}
    sheets.change(SHEET, [
        {"addSheet": {"properties": {"sheetId": 7, "title": "seven"}}},
        {"createDeveloperMetadata": {"developerMetadata": {"metadataKey": "overnight", "metadataValue": "x", "visibility": "DOCUMENT",
                                                           "location": {"dimensionRange": place}}}},
        {"insertDimension": {"range": {"sheetId": 7, "dimension": "COLUMNS", "startIndex": 0, "endIndex": 1}}},
    ])  # fmt: skip
    sheets.write_columns(SHEET, [("x", ["head", None, "third"])])
    assert sheets.read_tabs(SHEET, [7])[0] == [["", "", "head"], [], ["", "", "third"]]


def test_a_file_that_is_not_shared_and_one_that_is_not_there_are_told_apart(desk: Desk, sheets: google.Google) -> None:
    """403 and 404, in the service's words, with what to do."""
    desk.make("spreadsheet", id="private", tabs={"a": [["x"]]}, shared=["somebody@else"])
    with pytest.raises(google.Refused, match="The caller does not have permission.*Share the file"):
        sheets.sheet_ids("private")
    with pytest.raises(google.Refused, match="Requested entity was not found.*id in the connection"):
        sheets.sheet_ids("nowhere")


def test_sixty_reads_a_minute_and_no_more(desk: Desk, sheets: google.Google) -> None:
    """The sixty-first is a 429 in Google's own shape."""
    desk.manners(quota=1.0)
    sheets.sheet_ids(SHEET)
    token = next(t for t in desk.sandbox_tokens())
    answers = [raw(desk, "GET", f"/google/v4/spreadsheets/{SHEET}", token) for _ in range(61)]
    assert [a.status_code for a in answers].count(429) >= 1
    error = answers[-1].json()["error"]
    assert (error["code"], error["status"]) == (429, "RESOURCE_EXHAUSTED")
    assert "Read requests per minute per user" in error["message"]


def test_a_cell_of_more_than_fifty_thousand_characters_is_refused(desk: Desk, sheets: google.Google) -> None:
    """As the real service refuses it."""
    sheets.change(SHEET, [{"addSheet": {"properties": {"sheetId": 7, "title": "seven"}}}])
    with pytest.raises(google.Refused, match="maximum of 50000 characters"):
        sheets.write_rows(SHEET, 7, 0, [["x" * 50_001]])


def test_notion_refuses_long_runs_many_blocks_and_unknown_properties(desk: Desk) -> None:
    """2,000 characters a run, 100 blocks an append; our client cuts before that."""
    client = notion.connect()
    long = {"type": "paragraph", "paragraph": {"rich_text": [{"text": {"content": "x" * 2_001}}]}}
    for children, words in (
        ([long], "should be ≤ `2000`"),
        ([{"type": "paragraph", "paragraph": {"rich_text": []}}] * 101, "≤ `100`"),
    ):
        body = {"parent": {"data_source_id": SOURCE}, "properties": {}, "children": children}
        answer = raw(desk, "POST", "/notion/v1/pages", "ntn_x", json=body)
        assert answer.status_code == 400
        assert words in answer.json()["message"]
    text = "ä𝄞" * 3_000
    page = client.create(SOURCE, {"Item": {"title": notion.runs("t")}}, [
        {"type": "paragraph", "paragraph": {"rich_text": notion.runs(text)}}, *[{"type": "paragraph", "paragraph": {"rich_text": []}}] * 250,
    ])  # fmt: skip
    blocks = client.blocks(page["id"])
    assert len(blocks) == 251
    assert "".join(run["plain_text"] for run in blocks[0]["paragraph"]["rich_text"]) == text
    with pytest.raises(ServiceError, match="nothing is not a property that exists"):
        client.update(page["id"], {"nothing": {"rich_text": []}})


def test_notion_says_when_to_come_back_and_lists_a_hundred_at_a_time(desk: Desk) -> None:
    """429 with Retry-After; a query goes on by its cursor."""
    client = notion.connect()
    for n in range(105):
        client.create(SOURCE, {"Item": {"title": notion.runs(f"page {n}")}}, [])
    assert len(list(client.pages(SOURCE))) == 105
    desk.manners(quota=1.0)
    answers = [raw(desk, "GET", f"/notion/v1/data_sources/{SOURCE}", "ntn_x") for _ in range(31)]
    assert answers[-1].status_code == 429
    assert answers[-1].json()["code"] == "rate_limited"
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 11


def test_airtable_takes_ten_records_knows_its_fields_and_upserts_by_a_key(desk: Desk) -> None:
    """Eleven are refused, an unknown field too; an upsert that is sent twice makes one record."""
    client = airtable.connect()
    client.make_table(BASE, "t", [{"name": "ref", "type": "singleLineText"}, {"name": "n", "type": "multilineText"}])
    many = raw(desk, "POST", f"/airtable/v0/{BASE}/t", "patX", json={"records": [{"fields": {}}] * 11})
    assert many.status_code == 422
    with pytest.raises(ServiceError, match='Unknown field name: "zz"'):
        client.upsert(BASE, "t", [{"ref": "a", "zz": "1"}], "ref")
    rows = [{"ref": f"r{n}", "n": "1"} for n in range(23)]
    client.upsert(BASE, "t", rows, ("ref",))
    client.upsert(BASE, "t", rows, ("ref",))
    assert len(client.records(BASE, "t")) == 23
    assert [r["fields"]["ref"] for r in client.records(BASE, "t", {"ref": "r7"})] == ["r7"]


@pytest.mark.parametrize(("service", "words"), [("notion", "Notion is unavailable"), ("airtable", "temporarily unavailable")])
def test_a_write_whose_answer_is_lost_is_ambiguous_and_was_done(desk: Desk, service: str, words: str) -> None:
    """Look before you write again: it stands there."""
    desk.manners(quota=0)
    if service == "notion":
        desk.manners(lost=1.0)
        with pytest.raises(Ambiguous, match=words):
            notion.connect().create(SOURCE, {"Item": {"title": notion.runs("once")}}, [])
        desk.manners(lost=0)
        assert len(list(notion.connect().pages(SOURCE))) == 1
        return
    client = airtable.connect()
    client.make_table(BASE, "t", [{"name": "ref", "type": "singleLineText"}])
    desk.manners(lost=1.0)
    with pytest.raises(Ambiguous, match=words):
        client.upsert(BASE, "t", [{"ref": "a"}], "ref")
    desk.manners(lost=0)
    assert len(client.records(BASE, "t")) == 1


def test_a_refused_key_is_said_with_the_connection_to_mend(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """401, in each service's words; nothing of the key is in them."""
    for name, module in (("notion", notion), ("airtable", airtable)):
        conn = json.loads(json.dumps(desk.connections[f"overnight_{name}"]))
        conn["password"] = "wrong-secret"
        monkeypatch.setenv(f"AIRFLOW_CONN_OVERNIGHT_{name.upper()}", json.dumps(conn))
        with pytest.raises(ServiceError, match=f"overnight_{name}") as refused:
            if module is notion:
                notion.connect().properties(SOURCE)
            else:
                airtable.connect().tables(BASE)
        assert "wrong-secret" not in str(refused.value)


def test_a_key_file_that_is_none_is_said_and_not_repeated(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the check, with the connection to mend."""
    from overnight.review.surface import surface

    conn = {
        "conn_type": "google_cloud_platform",
        "extra": {**desk.connections["overnight_sheets"]["extra"], "keyfile_dict": "sEcReT"},
    }
    monkeypatch.setenv("AIRFLOW_CONN_OVERNIGHT_SHEETS", json.dumps(conn))
    said = surface("sheets").check("blog_drafts") or ""
    assert "the connection 'overnight_sheets' cannot be used" in said
    assert "sEcReT" not in said


def shape(value: Any) -> Any:
    """The keys of an answer, not its values."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    return [shape(value[0])] if isinstance(value, list) and value else type(value).__name__


def recorded(path: str, method: str, suffix: str) -> Any:
    file = RECORDED / path
    if not file.exists():
        pytest.skip("recorded traffic of the real services is not in this checkout")
    for one in json.loads(file.read_text())["interactions"]:
        if one["method"] == method and one["uri"].split("?")[0].endswith(suffix) and one["status"] == 200:
            return one["response_json"]
    raise AssertionError(f"nothing like {method} …{suffix} in {path}")


def missing(real: Any, ours: Any, where: str = "") -> list[str]:
    """Keys that the real service answers with and ours does not (colours, themes and users' faces aside)."""
    if isinstance(real, dict) and isinstance(ours, dict):
        left = [
            f"{where}.{key}" for key in real if key not in ours and key not in ("request_id", "defaultFormat", "spreadsheetTheme")
        ]
        return left + [m for key in real if key in ours for m in missing(real[key], ours[key], f"{where}.{key}")]
    if isinstance(real, list) and isinstance(ours, list) and real and ours:
        return missing(real[0], ours[0], f"{where}[]")
    return []


def test_answers_have_every_key_of_the_recorded_ones(desk: Desk, sheets: google.Google) -> None:
    """Spreadsheet, page of a data source's query, data source, records and tables."""
    base = services(desk.sandbox.url)
    assert base
    sheets.sheet_ids(SHEET)
    token = next(t for t in desk.sandbox_tokens())
    notion.connect().create(
        SOURCE, {"Item": {"title": notion.runs("t")}}, [{"type": "paragraph", "paragraph": {"rich_text": notion.runs("p")}}]
    )
    airtable.connect().make_table(BASE, "t", [{"name": "ref", "type": "singleLineText"}])
    airtable.connect().upsert(BASE, "t", [{"ref": "a"}], "ref")
    real = recorded("google_sheets/gspread/ClientTest.test_create.json", "GET", "")
    ours = raw(desk, "GET", f"/google/v4/spreadsheets/{SHEET}", token).json()
    if "spreadsheetId" in real:
        assert missing(real, ours) == []
    page = recorded("notion/notion-sdk-py/test_pages_retrieve.json", "POST", "/v1/pages")
    mine = raw(desk, "POST", f"/notion/v1/data_sources/{SOURCE}/query", "ntn_x", json={}).json()
    assert [m for m in missing(page, mine["results"][0]) if not m.startswith((".properties", ".parent"))] == []
    source = recorded("notion/notion-sdk-py/test_data_sources_create.json", "POST", "/v1/data_sources")
    assert set(source) - set(raw(desk, "GET", f"/notion/v1/data_sources/{SOURCE}", "ntn_x").json()) <= {
        "cover", "icon", "created_by", "last_edited_by", "is_inline", "parent", "database_parent", "public_url",
    }  # fmt: skip
    tables = recorded("airtable/grouparoo/with-meta-access_client.json", "GET", "/tables")
    found = raw(desk, "GET", f"/airtable/v0/meta/bases/{BASE}/tables", "patX").json()
    assert [m for m in missing(tables, found) if "options" not in m and "description" not in m] == []
    assert Path(RECORDED).exists()
