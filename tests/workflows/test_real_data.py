"""Nights on real text: badly written listings, a shop's own export, human-scored reviews, a competitor's offers.

The data is not the project's to ship: each test is skipped, with the reason, where it is absent.
"""

import csv
import html as escaping
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import select

from overnight.brand import data_dir
from overnight.delivery.deliver import deliver
from overnight.ledger import reviews
from overnight.ledger.audit import Actor
from overnight.ledger.connect import Ledger
from overnight.ledger.tables import items
from overnight.queues import shopify_export
from overnight.validation import rules
from tests.conftest import Sandbox
from tests.support.night import Night, queue_rows
from tests.workflows.test_numbers import needs


def outputs(ledger: Ledger) -> dict[str, Any]:
    with ledger.read() as conn:
        return {row.key: row for row in conn.execute(select(items.c.key, items.c.input, items.c.output, items.c.state))}


def test_681_badly_written_listings_are_all_accounted_for(queue: Path, vendors: Sandbox, sqlite_ledger: Ledger) -> None:
    """Nothing is lost; what is staged keeps Amazon's limits to the byte; what cannot be sold so is shown as failed, with words."""
    source = list(csv.DictReader(needs("catalog_amazon_software.csv").open(encoding="utf-8")))
    rows = [
        {"sku": row["asin"], "asin": row["asin"], "brand": (row["manufacturer"] or row["title"].split()[0])[:100], "title": row["title"][:500],
         "description": row["description"][:6000]}
        for row in source
    ]  # fmt: skip
    queue_rows(queue, "amazon_listings", rows)
    night = Night(sqlite_ledger, "amazon_listings", change={"cap": len(rows)})
    real = night.task

    def wide(name: str) -> Any:
        task = real(name)
        scope = task.policy.action_scope.model_copy(update={"max_items": len(rows), "max_usd": Decimal(100)})
        return replace(task, policy=task.policy.model_copy(update={"action_scope": scope}))

    night.task = wide  # type: ignore[method-assign]
    counts = night.run()
    assert counts["locked"] + night.row()["rejected"] == len(rows) == 681
    assert counts["locked"] == counts["staged"] + counts["failed"] + counts["carried_over"]
    assert counts["staged"] > 0.8 * counts["locked"], counts
    for row in outputs(sqlite_ledger).values():
        if row.state != "in_review":
            continue
        made = row.output
        assert len(made["item_name"]) <= 75
        assert sum(len(bullet) for bullet in made["bullets"]) < 1000
        assert len(made["search_terms"].encode()) <= 249
    assert night.problems() == []


def test_a_real_export_comes_back_as_an_import_that_touches_the_changed_columns_alone(
    queue: Path, vendors: Sandbox, sqlite_ledger: Ledger, tmp_path: Path
) -> None:
    """Shopify's own export in, an import file out: keys untouched, unchanged columns absent, every cell what was approved."""
    export = needs("shopify_apparel.csv")
    count = shopify_export.convert(export, queue / "shopify_pages" / "real.csv")
    night = Night(sqlite_ledger, "shopify_pages")
    counts = night.run()
    assert counts["locked"] == count == counts["staged"] + counts["failed"]
    with sqlite_ledger.write() as conn:
        for row in conn.execute(select(items).where(items.c.state == "in_review")).mappings().all():
            yes = {"decision": "approve", "reviewer": "ada", "surface": "page"}
            reviews.decide(conn, night.row()["id"], row["id"], yes, actor=Actor("human", "ada"), now=night.clock())
    night.collect()
    assert deliver(sqlite_ledger, tmp_path / "out", run_id="r", task_id="deliver", now=night.clock()) == {
        "shopify_pages": counts["staged"]
    }
    (file,) = (tmp_path / "out").rglob("shopify_import.csv")
    made = pd.read_csv(file, dtype=str, keep_default_na=False).set_index("Handle")
    before = pd.read_csv(export, dtype=str, keep_default_na=False)
    before = before[before["Title"] != ""].set_index("Handle")
    approved = {row.key: row for row in outputs(sqlite_ledger).values() if row.state == "delivered"}
    assert set(made.index) == set(approved)
    columns = {"Title": "title", "Body (HTML)": "description_html", "SEO Title": "seo_title", "SEO Description": "seo_description",
               "Image Alt Text": "image_alt"}  # fmt: skip
    assert set(made.columns) <= {*columns, "Tags"}
    for column in made.columns:
        differs = [handle for handle in made.index if made.loc[handle, column] != before.loc[handle, column]]
        assert differs or column == "Title", f"{column} is in the file and nothing of it changed"
        for handle in made.index:
            field = columns.get(column)
            if field:
                assert made.loc[handle, column] == approved[handle].output[field]
    for handle in made.index:
        old = {tag.strip() for tag in before.loc[handle, "Tags"].split(",") if tag.strip()}
        assert old <= {tag.strip() for tag in made.loc[handle, "Tags"].split(",")}


def test_labels_are_set_beside_what_twenty_people_scored_and_no_quote_is_invented(
    queue: Path, vendors: Sandbox, sqlite_ledger: Ledger, record_property: Any
) -> None:
    """With the local lexicon this proves the plumbing only: labels arrive at their own rows, quotes are verbatim."""
    source = list(csv.DictReader(needs("review_snippets_human_scored.csv").open(encoding="utf-8")))
    queue_rows(
        queue, "review_sentiment", [{"review_id": r["review_id"], "sku": "S", "rating": 3, "body": r["body"]} for r in source]
    )
    night = Night(sqlite_ledger, "review_sentiment")
    counts = night.run()
    assert counts["locked"] == len(source) == counts["staged"] + counts["failed"]
    human = {row["review_id"]: float(row["human_score"]) for row in source}
    staged = {key: row for key, row in outputs(sqlite_ledger).items() if row.output}
    invented = [
        aspect["quote"]
        for row in staged.values()
        for aspect in row.output["aspects"]
        if not rules.is_verbatim(aspect["quote"], f"{row.input['title']}\n{row.input['body']}")
    ]
    assert invented == []
    pairs = pd.DataFrame([(human[key], row.output["score"]) for key, row in staged.items()], columns=["human", "model"])
    agree = float(((pairs["human"] > 0) == (pairs["model"] > 0))[(pairs["human"].abs() > 0.5) & (pairs["model"] != 0)].mean())
    rank = float(pairs["human"].rank().corr(pairs["model"].rank()))
    record_property(
        "agreement", f"sign {agree:.3f}, rank correlation {rank:.3f} over {len(pairs)} (local lexicon: plumbing only)"
    )
    print(f"\nlocal lexicon, plumbing only: sign agreement {agree:.3f}, rank correlation {rank:.3f}, {len(pairs)} rows")  # noqa: T201
    assert agree > 0.6
    assert rank > 0.3
    assert night.problems() == []


@pytest.fixture
def buy(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The competitor's 1,092 offers as pages of a shop with schema.org data, reached through a proxy; yields its addresses."""
    offers = list(csv.DictReader(needs("competitor_offers_buy.csv").open(encoding="utf-8")))
    pages = [offers[n : n + 100] for n in range(0, len(offers), 100)]

    class Shop(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            place = self.path.rpartition("/")[2]
            text = "User-agent: *\nDisallow:\n" if place == "robots.txt" else page(pages[int(place)])
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    proxy = {"conn_type": "generic", "extra": {"proxy": f"http://127.0.0.1:{server.server_port}", "per_second": 200}}
    monkeypatch.setenv("AIRFLOW_CONN_OVERNIGHT_WEB", json.dumps(proxy))
    yield [f"http://buy.example/page/{n}" for n in range(len(pages))]
    server.shutdown()


def page(offers: list[dict[str, str]]) -> str:
    listed = [
        {"@type": "Product", "sku": o["offer_id"], "name": o["title"], "offers": {"@type": "Offer", "price": o["price"], "priceCurrency": "USD"}}
        for o in offers
    ]  # fmt: skip
    data = json.dumps({"@context": "https://schema.org", "@graph": listed}).replace("</", "<\\/")
    words = "".join(f"<li>{escaping.escape(o['title'])}</li>" for o in offers)
    return f'<html><head><script type="application/ld+json">{data}</script></head><body><ul>{words}</ul></body></html>'


def test_a_real_competitors_offers_are_all_read_and_no_wrong_match_is_called_sure(
    queue: Path, vendors: Sandbox, sqlite_ledger: Ledger, buy: list[str]
) -> None:
    """Every offer is counted once; each change on a sure match is one of the true pairs."""
    truth = {
        (r["sku"], r["offer_id"]) for r in csv.DictReader(needs("competitor_match_truth_abt_buy.csv").open(encoding="utf-8"))
    }
    titles = {o["title"]: o["offer_id"] for o in csv.DictReader(needs("competitor_offers_buy.csv").open(encoding="utf-8"))}
    folder = data_dir("competitor_scan")
    folder.mkdir(parents=True)
    (folder / "catalogue.csv").write_bytes(needs("catalog_electronics_abt.csv").read_bytes())
    queue_rows(queue, "competitor_scan", [{"competitor_id": "buy-1", "name": "Buy", "urls": "|".join(buy)}])
    night = Night(sqlite_ledger, "competitor_scan")
    counts = night.run()
    assert counts == {"locked": 2, "staged": 2, "failed": 0, "carried_over": 0}
    found = outputs(sqlite_ledger)["buy-1"].output
    assert found["offers"] == 1092 == sum(found["matches"].values())
    assert found["matches"]["sure"] > 300
    for change in found["changes"]:
        assert change["match"] != "sure" or (change["sku"], titles[change["title"]]) in truth
    assert len(found["changes"]) + found["not_shown"] > 0
    assert {one["number"] for one in found["meanings"]} == {change["number"] for change in found["changes"]}
    assert night.problems() == []
