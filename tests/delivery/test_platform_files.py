"""The files that platforms import: their columns, their limits, read back by somebody else's reader, and nothing else touched."""

import csv
import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from overnight.delivery import tables
from overnight.delivery.target import Approved, target
from overnight.queues import shopify_export
from overnight.validation import limits
from overnight.workflow import workflow, workflow_names
from tests.workflows.good import AD, CAMPAIGN, COPY, LISTED, LISTING, MAIL, META, PAGE, PAGED, TEXTED, TEXTING


def approved(key: str, given: dict[str, Any], made: dict[str, Any]) -> Approved:
    return Approved(key, given, made, "approve", "ada", datetime(2026, 11, 24, tzinfo=UTC), "2026-11-23", "v", "h")


def frame(content: bytes, **how: Any) -> pd.DataFrame:
    """The file as pandas reads it: an independent reader."""
    return pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False, **how)


def page(**changes: Any) -> dict[str, Any]:
    row = workflow("shopify_pages").item.model_validate(PAGE).model_dump(mode="json")
    return {**row, **changes}


def test_shopifys_file_holds_the_keys_and_the_changed_columns_alone() -> None:
    """What did not change in any product has no column: an import cannot touch it."""
    (made,) = target("shopify_csv").files("shopify_pages", [approved("tent", page(), PAGED)]).values()
    table = frame(made)
    assert list(table.columns) == ["Handle", "Title", "Body (HTML)", "SEO Title", "SEO Description", "Image Alt Text", "Tags"]
    assert table.loc[0, "Tags"] == "tents, hiking"
    assert table.loc[0, "Body (HTML)"] == PAGED["description_html"]
    same = {**PAGED, "description_html": "<p>Weighs 2.4 kg.</p>", "tags_add": [], "image_alt": ""}
    (made,) = target("shopify_csv").files("shopify_pages", [approved("tent", page(), same)]).values()
    assert list(frame(made).columns) == ["Handle", "Title", "SEO Title", "SEO Description"]


def test_what_a_person_edited_is_sanitised_like_what_a_model_wrote() -> None:
    """An edit is held to no rule: the file still holds the allowed tags only."""
    bad = {**PAGED, "description_html": "<p onclick='x()'>Fine</p><script>alert(1)</script>"}
    (made,) = target("shopify_csv").files("shopify_pages", [approved("tent", page(), bad)]).values()
    assert frame(made).loc[0, "Body (HTML)"] == "<p>Fine</p>"


def test_amazons_file_is_a_partial_update_in_its_own_columns() -> None:
    """Template line, labels, attribute names, one row a SKU; a column that did not change is empty; one file a marketplace."""
    row = workflow("amazon_listings").item.model_validate(LISTING).model_dump(mode="json")
    german = approved("S2", {**row, "marketplace": "DE"}, LISTED)
    unchanged = approved("S3", {**row, "search_terms": LISTED["search_terms"], "bullets": LISTED["bullets"]}, LISTED)
    made = target("amazon_flat_file").files("amazon_listings", [approved("S1", row, LISTED), german, unchanged])
    assert sorted(made) == ["amazon_flat_file_DE.txt", "amazon_flat_file_US.txt"]
    lines = list(csv.reader(io.StringIO(made["amazon_flat_file_US.txt"].decode()), delimiter="\t"))
    assert lines[0][0].startswith("TemplateType=")
    assert len(lines[1]) == len(lines[2]) == 12
    table = frame(made["amazon_flat_file_US.txt"], sep="\t", skiprows=2)
    assert list(table["item_sku"]) == ["S1", "S3"]
    assert set(table["update_delete"]) == {"PartialUpdate"}
    assert table.loc[0, "bullet_point1"] == LISTED["bullets"][0]
    assert (table.loc[1, "generic_keywords"], table.loc[1, "bullet_point1"]) == ("", "")
    limit = limits.of("amazon")
    assert table["item_name"].str.len().max() <= limit["title_chars"]
    assert table["generic_keywords"].map(lambda text: len(text.encode())).max() <= limit["search_terms_bytes"]


def test_google_and_meta_get_paused_ads_within_their_columns() -> None:
    """Each platform's variants in a file of their own; nothing goes live by an import."""
    row = workflow("ad_variants").item.model_validate(AD).model_dump(mode="json")
    pmax = {**COPY, "long_headlines": ["A rain jacket that packs into its pocket"]}
    items = [approved("a1", row, COPY), approved("a2", {**row, "platform": "google_pmax"}, pmax)]
    items += [approved("a3", {**row, "platform": "meta_feed"}, META)]
    google = target("google_ads_editor").files("ad_variants", items)
    search, groups = frame(google["google_ads_search.csv"]), frame(google["google_ads_pmax.csv"])
    assert list(search["Headline 3"]) == [COPY["headlines"][2]]
    assert (search.loc[0, "Ad type"], search.loc[0, "Ad status"], groups.loc[0, "Asset group status"]) == (
        "Responsive search ad", "Paused", "Paused",
    )  # fmt: skip
    assert groups.loc[0, "Long headline 1"] == pmax["long_headlines"][0]
    most = limits.of("ads", "google_rsa")["headlines"][2]
    assert max(len(search.loc[0, f"Headline {n}"]) for n in range(1, 16)) <= most
    (meta,) = target("meta_ads_csv").files("ad_variants", items).values()
    table = frame(meta)
    assert (table.loc[0, "Ad Status"], table.loc[0, "Body"], table.loc[0, "Call to Action"]) == (
        "PAUSED",
        META["primary_texts"][0],
        "SHOP_NOW",
    )
    assert target("meta_ads_csv").files("ad_variants", items[:2]) == {}


def test_klaviyo_gets_a_file_a_channel_with_the_segments_counted() -> None:
    """E-mail with its HTML and its plain text, SMS with what it is billed as."""
    item = workflow("email_sms").item
    mail = approved("c1", item.model_validate(CAMPAIGN).model_dump(mode="json"), MAIL)
    text = approved("c2", item.model_validate(TEXTING).model_dump(mode="json"), TEXTED)
    made = target("klaviyo_csv").files("email_sms", [mail, text])
    email, sms = frame(made["klaviyo_email.csv"]), frame(made["klaviyo_sms.csv"])
    assert (email.loc[0, "subject_line"], email.loc[0, "html"]) == (MAIL["subject"], MAIL["body_html"])
    assert (sms.loc[0, "body"], sms.loc[0, "encoding"], sms.loc[0, "segments"]) == (TEXTED["sms_text"], "GSM-7", "1")


@pytest.mark.parametrize("name", ["shopify_csv", "amazon_flat_file", "google_ads_editor", "meta_ads_csv", "klaviyo_csv"])
def test_no_cell_of_an_import_file_becomes_a_formula(name: str) -> None:
    """Somebody opens the file before it is imported, and may have edited a text into one."""
    evil = '=HYPERLINK("http://x","y")'
    cases = {
        "shopify_csv": (page(), {**PAGED, "seo_title": evil}), "amazon_flat_file": (LISTING, {**LISTED, "item_name": evil}),
        "google_ads_editor": (AD, {**COPY, "headlines": [evil]}), "meta_ads_csv": ({**AD, "platform": "meta_feed"}, {**META, "primary_texts": [evil]}),
        "klaviyo_csv": (CAMPAIGN, {**MAIL, "subject": evil}),
    }  # fmt: skip
    given, made = cases[name]
    for content in target(name).files("x", [approved("k", given, made)]).values():
        delimiter = "\t" if name == "amazon_flat_file" else ","
        cells = [cell for row in csv.reader(io.StringIO(content.decode()), delimiter=delimiter) for cell in row]
        assert evil not in cells
        assert f"'{evil}" in cells


@pytest.mark.parametrize(
    ("text", "formula"),
    [
        ("-20 % on all tents", False), ("+49 30 1234567", False), ("-€5 with code WARM5", False), ("- 3 for 2 (this week)", False),
        ("-2+3+cmd|' /C calc'!A0", True), ("+1=2", True), ("-1+SUM(A1:A9)", True), ("-sheet!A1", True), ('-1-HYPERLINK ("x")', True),
        ("+1 & WEBSERVICE (A1)", True), ("-20 % on all tents (today!)", False), ("@home", True),
        ("=1", True), ("\t=1", True), ("-3*'other file'!A1", True),
    ],
)  # fmt: skip
def test_what_was_approved_is_what_the_platform_gets(text: str, formula: bool) -> None:
    """A discount is no formula: an apostrophe before it would go to every customer, and be one more character of an SMS."""
    (line,) = csv.reader(io.StringIO(tables.write(["body"], [{"body": text}]).decode().partition("\n")[2]))
    assert line == [f"'{text}" if formula else text]


@pytest.mark.parametrize("name", workflow_names())
def test_the_same_items_always_make_the_same_bytes(name: str) -> None:
    """A delivery that is killed and run again is checked byte by byte against what is there."""
    from tests.workflows.good import GOOD

    declared = workflow(name)
    given, made = GOOD.get((name, declared.main), ({}, {}))
    items = [approved("k", {**given, "platform": given.get("platform", "google_rsa")}, made)] if given else []
    for wanted in declared.targets:
        assert target(wanted).files(name, items) == target(wanted).files(name, items)


def test_a_shopify_export_becomes_a_row_a_product_with_its_options(tmp_path: Path) -> None:
    """The rows of variants and images are no products; their values are gathered; a file of another kind is refused."""
    export = tmp_path / "export.csv"
    export.write_text(
        "Handle,Title,Body (HTML),Tags,Option1 Name,Option1 Value,SEO Title\n"
        'tent,Tent,<p>A</p>,"tents, camping",Colour,Moss,Old\n'
        "tent,,,,,Sand,\nlamp,Lamp,,,Title,Default Title,\n"
    )
    assert shopify_export.convert(export, tmp_path / "queue.csv") == 2
    rows = list(csv.DictReader((tmp_path / "queue.csv").open()))
    assert (rows[0]["options"], rows[0]["tags"], rows[0]["seo_title"]) == ("Colour: Moss, Sand", "tents|camping", "Old")
    assert rows[1]["options"] == ""
    export.write_text("a,b\n1,2\n")
    with pytest.raises(shopify_export.NotAnExport, match="has no columns Handle and Title"):
        shopify_export.convert(export, tmp_path / "other.csv")
