"""The steps in code of competitor_scan: read pages, keep them, compare them with the last ones; rank; make the digest's table.

A night's reading is kept under its label: run again, it is compared anew and not read again.
"""

import csv
import hashlib
import json
import logging
import re
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from overnight.brand import data_dir
from overnight.services.settings import ServiceError
from overnight.services.web import Page, Web
from overnight.validation import limits
from overnight.workflow import Computed, Finding, NightFacts, Severity, StepRow
from overnight.workflows._steps import matching
from overnight.workflows._steps.matching import Catalogue

log = logging.getLogger("overnight.competitor_scan")
_TEXT_LINES = 400
_OUT = ("outofstock", "soldout", "discontinued")


def gather(rows: Sequence[StepRow], facts: NightFacts) -> list[Computed]:
    """Read every competitor's pages and say what has changed since the last night that read them."""
    folder, limit = data_dir(facts.workflow), limits.of("competitors")
    catalogue = _catalogue(folder / "catalogue.csv")
    with Web() as web:
        return [_one(row, facts, folder, catalogue, limit, web) for row in rows]


def _catalogue(path: Path) -> Catalogue:
    if not path.exists():
        return Catalogue(())
    with path.open(encoding="utf-8-sig", newline="") as file:
        return matching.read_catalogue(csv.DictReader(file))


def _one(row: StepRow, facts: NightFacts, folder: Path, catalogue: Catalogue, limit: Mapping[str, Any], web: Web) -> Computed:
    place = folder / "snapshots" / re.sub(r"[^\w-]+", "-", str(row.item["name"]).lower())
    urls = list(row.item["urls"])
    kept = _kept(place, facts.night)  # its pages so far tonight: a row may have a second one for more of them
    fresh = _read([url for url in urls if url not in kept], facts.now, web)
    kept |= fresh
    now: dict[str, Any] = {"v": 1, "pages": [kept[url] for url in urls]}
    _keep(place, facts.night, kept)
    good = [page for page in now["pages"] if not page["error"]]
    if not good:
        return Computed(row.item_id, None, error="none of its pages could be read: " + _errors(now)[:300], retryable=True)
    before = _last_before(place, facts.night, set(urls))
    changes = list(_compare(before, now, catalogue, limit))
    _keep(place, facts.night, kept)  # with the price that each offer was last told of at
    trap = _trap(before, now, limit)
    for change in changes:
        change["doubtful"] = change.get("doubtful") or trap
    ranked = sorted(changes, key=lambda c: (bool(c["doubtful"]), -limit["weights"].get(c["type"], 0)))
    shown = [{**change, "number": n} for n, change in enumerate(ranked[: limit["changes_per_competitor"]], start=1)]
    offers = [offer for page in good for offer in page["offers"]]
    kinds = [catalogue.match(offer["title"], limit["sure_score"]).certainty for offer in offers]
    return Computed(
        row.item_id,
        {
            "pages": len(good),
            "offers": len(offers),
            "without_a_price": sum(offer["price"] is None for offer in offers),
            "baseline": before is None,
            "changes": shown,
            "not_shown": len(changes) - len(shown),
            "matches": {kind: kinds.count(kind) for kind in ("sure", "possible", "none")},
            "unreadable": _errors(now),
        },
        tuple(_findings(now, trap)),
    )


def _findings(now: Mapping[str, Any], trap: str) -> Iterator[Finding]:
    if trap:
        yield Finding("reading", Severity.WARN, f"The reading looks wrong: {trap}.", "changes")
    for page in now["pages"]:
        if page["error"]:
            yield Finding("reading", Severity.WARN, "A page could not be read.", "pages", f"{page['url']}: {page['error']}")


def _errors(now: Mapping[str, Any]) -> str:
    return "; ".join(f"{page['url']}: {page['error']}" for page in now["pages"] if page["error"])


def _read(urls: Sequence[str], now: datetime, web: Web) -> dict[str, dict[str, Any]]:
    pages: list[dict[str, Any]] = []
    for url in urls:
        try:
            page = web.read(url)
            pages.append({"url": url, "error": "", "offers": list(offers(page)), "text": text_of(page), "at": now.isoformat(),
                          "hash": hashlib.sha256(page.text.encode()).hexdigest()})  # fmt: skip
        except ServiceError as trouble:
            pages.append(_unread(url, str(trouble)[:200], now))
        except Exception as odd:  # what strangers write into a page must not keep the others' from being read
            log.warning("%s could not be understood", url, exc_info=True)
            pages.append(_unread(url, f"it could not be understood ({type(odd).__name__})", now))
    return {page["url"]: page for page in pages}


def _unread(url: str, error: str, now: datetime) -> dict[str, Any]:
    return {"url": url, "error": error, "offers": [], "text": [], "at": now.isoformat(), "hash": ""}


def offers(page: Page) -> Iterator[dict[str, Any]]:
    """The offers a page states about itself, in schema.org's JSON-LD."""
    from lxml import html

    try:
        tree = html.fromstring(page.text)
    except (ValueError, html.etree.ParserError):
        return
    for script in tree.iterfind(".//script"):
        if script.get("type") == "application/ld+json":
            yield from _offers(_loaded(script.text or ""), page.url)


def _loaded(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _offers(data: Any, url: str, depth: int = 0) -> Iterator[dict[str, Any]]:
    if depth > 6:
        return
    if isinstance(data, list):
        for part in data:
            yield from _offers(part, url, depth + 1)
    elif isinstance(data, dict):
        if isinstance(data.get("hasVariant"), list):  # a ProductGroup: each of its variants has a price of its own
            for variant in data["hasVariant"]:
                if isinstance(variant, dict):
                    yield from _offers({"name": data.get("name"), "@type": "Product", **variant}, url, depth + 1)
            return
        if "Product" in str(data.get("@type", "")) and data.get("name"):
            yield _offer(data, url)
            return
        for key in ("@graph", "itemListElement", "item", "mainEntity"):
            if key in data:
                yield from _offers(data[key], url, depth + 1)


def _offer(data: Mapping[str, Any], url: str) -> dict[str, Any]:
    stated = _first(data.get("offers"))
    listed = _first(stated.get("offers"))  # of an AggregateOffer
    places = (stated, _first(stated.get("priceSpecification")), listed, _first(listed.get("priceSpecification")))
    figures = [place[name] for place in places for name in ("price", "lowPrice", "minPrice") if place.get(name) not in (None, "")]
    price = matching.stated(str(figures[0])) if figures else None
    state = str(stated.get("availability") or listed.get("availability") or "").rpartition("/")[2].lower()
    currency = next((place["priceCurrency"] for place in places if place.get("priceCurrency")), "")
    return {
        "id": str(data.get("sku") or data.get("productID") or data.get("mpn") or data["name"])[:120],
        "title": str(data["name"])[:300],
        "price": price,
        "currency": str(currency)[:8],
        "available": state not in _OUT,
        "url": str(data.get("url") or url)[:500],
    }


def _first(stated: Any) -> Mapping[str, Any]:
    """What schema.org lets be one or a list of them."""
    one = stated[0] if isinstance(stated, list) and stated else stated
    return one if isinstance(one, dict) else {}


def text_of(page: Page) -> list[str]:
    """The page's own words, without menus and adverts."""
    import trafilatura

    made = trafilatura.extract(page.text, include_comments=False, include_tables=True) or ""
    return [line.strip() for line in made.splitlines() if line.strip()][:_TEXT_LINES]


def _kept(place: Path, night: str) -> dict[str, dict[str, Any]]:
    path = place / f"{night}.json"
    return {page["url"]: page for page in json.loads(path.read_text(encoding="utf-8"))["pages"]} if path.exists() else {}


def _keep(place: Path, night: str, pages: Mapping[str, Any]) -> None:
    path = place / f"{night}.json"
    place.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps({"v": 1, "pages": list(pages.values())}, ensure_ascii=False), encoding="utf-8")
    partial.replace(path)


def _last_before(place: Path, night: str, urls: Set[str]) -> dict[str, Any] | None:
    """The newest earlier reading of these pages; one that could not be read then is taken from the one before it."""
    made: dict[str, Any] = {}
    for path in sorted(place.glob("*.json")):
        if _order(path.stem) < _order(night):
            for page in json.loads(path.read_text(encoding="utf-8"))["pages"]:
                if not page["error"] and page["url"] in urls:
                    made[page["url"]] = page
    return {"pages": list(made.values())} if made else None


def _order(label: str) -> tuple[str, int]:
    """2026-11-23-2 is the second night of its date."""
    return label[:10], int(label[11:] or 1) if label[11:].isdigit() or not label[11:] else 0


def _compare(
    before: Mapping[str, Any] | None, now: Mapping[str, Any], catalogue: Catalogue, limit: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    earlier = {page["url"]: page for page in before["pages"]} if before else {}
    for page in now["pages"]:
        if page["error"]:
            continue
        if page["url"] not in earlier:
            yield from _first_look(page, catalogue, limit)
            continue
        yield from _offers_compared(earlier[page["url"]], page, catalogue, limit)
        yield from _text_compared(earlier[page["url"]], page)


def _first_look(page: Mapping[str, Any], catalogue: Catalogue, limit: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Nothing to compare with yet: sure matches that are well below our price, and any below the minimum advertised one."""
    for offer in page["offers"]:
        found = Found.of(offer, catalogue, limit)
        yield from found.breach(page)
        if found.sure and found.ours and offer["price"] and offer["price"] <= found.ours * (1 - limit["price_gap"]):
            pct = offer["price"] / found.ours - 1
            yield found.change("price_below_ours", page, f"ours {found.ours:.2f}", f"{offer['price']:.2f}", pct)


def _offers_compared(
    old: Mapping[str, Any], page: Mapping[str, Any], catalogue: Catalogue, limit: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    were, are = ({offer["id"]: offer for offer in one["offers"]} for one in (old, page))
    for offer_id, offer in are.items():
        found, was = Found.of(offer, catalogue, limit), were.get(offer_id)
        yield from found.breach(page)
        if was is None:
            yield found.change("new_product", page, "", _priced(offer))
            continue
        yield from _price_compared(found, was, offer, page, limit)
        if was["available"] != offer["available"]:
            words = ("in stock", "out of stock") if was["available"] else ("out of stock", "in stock")
            yield found.change("out_of_stock" if was["available"] else "back_in_stock", page, *words)
        if was["title"] != offer["title"]:
            yield found.change("title_changed", page, was["title"], offer["title"])
    for offer_id, was in were.items():
        if offer_id not in are:
            yield Found.of(was, catalogue, limit).change("removed_product", page, _priced(was), "")


def _price_compared(
    found: "Found", was: Mapping[str, Any], offer: dict[str, Any], page: Mapping[str, Any], limit: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    told = was.get("told") or was["price"]  # the last one that somebody read of: a price that creeps is a change at last
    offer["told"] = told  # also where tonight's cannot be read
    if not told or not offer["price"] or told == offer["price"]:
        return
    pct = offer["price"] / told - 1
    crosses = found.sure and found.ours is not None and (told < found.ours) != (offer["price"] < found.ours)
    if abs(pct) < limit["price_change"] and not crosses:
        return
    offer["told"] = offer["price"]
    doubt = "the currency changed" if was["currency"] != offer["currency"] else ""
    doubt = doubt or ("a jump too large to be sure of" if abs(pct) > limit["jump"] else "")
    kind = "price_down" if pct < 0 else "price_up"
    yield found.change(kind, page, f"{told:.2f}", f"{offer['price']:.2f}", pct) | {"doubtful": doubt}


def _text_compared(old: Mapping[str, Any], page: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    gone = [line for line in old["text"] if line not in set(page["text"])]
    new = [line for line in page["text"] if line not in set(old["text"])]
    if not old["offers"] and (gone or new):
        yield {
            "type": "text_changed",
            "title": page["url"][:200],
            "before": " / ".join(gone)[:500],
            "after": " / ".join(new)[:500],
            "pct": None,
            "sku": None,
            "match": "none",
            "our_price": None,
            "url": page["url"],
            "observed_at": page["at"],
            "doubtful": "",
        }


def _priced(offer: Mapping[str, Any]) -> str:
    return f"{offer['price']:.2f}" if offer["price"] else "no price"


def _trap(before: Mapping[str, Any] | None, now: Mapping[str, Any], limit: Mapping[str, Any]) -> str:
    """Why a whole reading may be wrong, or nothing."""
    are = [offer for page in now["pages"] for offer in page["offers"]]
    were = [offer for page in before["pages"] for offer in page["offers"]] if before else []
    priced = [offer for offer in are if offer["price"] is not None]
    if priced and not any(offer["price"] for offer in priced):
        return "every price is nought"
    if len(are) > 3 and not priced and any(offer["price"] for offer in were):
        return "no price can be read any more"
    if len(are) > 3 and not any(offer["available"] for offer in are) and any(offer["available"] for offer in were):
        return "everything is out of stock at once"
    gone = {offer["id"] for offer in were} - {offer["id"] for offer in are}
    if len(were) > 3 and len(gone) / len(were) > limit["vanished"]:
        return "most products are gone at once"
    return ""


@dataclass(frozen=True, slots=True)
class Found:
    """An offer and our product that it may be."""

    offer: Mapping[str, Any]
    match: matching.Match
    ours: float | None
    map_price: float | None

    @classmethod
    def of(cls, offer: Mapping[str, Any], catalogue: Catalogue, limit: Mapping[str, Any]) -> "Found":
        """The offer with its match."""
        match = catalogue.match(str(offer["title"]), limit["sure_score"])
        own = catalogue.products.get(match.sku or "")
        if own and own.currency and offer["currency"] and own.currency != offer["currency"].strip().upper():
            own = None  # another currency: nothing of it can be held against our price
        return cls(offer, match, own.price if own else None, own.map_price if own else None)

    @property
    def sure(self) -> bool:
        """Whether it is our product beyond doubt."""
        return self.match.certainty == "sure"

    def change(self, kind: str, page: Mapping[str, Any], before: str, after: str, pct: float | None = None) -> dict[str, Any]:
        """One change of this offer."""
        return {
            "type": kind, "title": self.offer["title"][:200], "before": before[:300], "after": after[:300],
            "pct": round(pct, 4) if pct is not None else None, "sku": self.match.sku, "match": self.match.certainty,
            "our_price": self.ours if self.sure else None, "url": self.offer["url"], "observed_at": page["at"], "doubtful": "",
        }  # fmt: skip

    def breach(self, page: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The minimum advertised price, broken on a sure match."""
        if self.sure and self.map_price and self.offer["price"] and self.offer["price"] < self.map_price:
            yield self.change("map_breach", page, f"MAP {self.map_price:.2f}", f"{self.offer['price']:.2f}")


_RELEVANCE = {"low": 0.5, "normal": 1.0, "high": 2.0}


def rank(rows: Sequence[StepRow], _facts: NightFacts) -> list[Computed]:
    """Which competitor's changes matter most: weights by kind, certainty and relevance, in code."""
    weights = limits.of("competitors")["weights"]

    def score(row: StepRow) -> float:
        changes = row.outputs["gather"]["changes"]
        total = sum(
            weights.get(c["type"], 0) * (1.0 if c["match"] == "sure" else 0.5) * (0.2 if c["doubtful"] else 1) for c in changes
        )
        return round(float(total) * _RELEVANCE[row.item["relevance"]], 2)

    order = sorted(rows, key=lambda row: (-score(row), row.item_id))
    return [Computed(row.item_id, {"rank": place, "score": score(row)}) for place, row in enumerate(order, start=1)]


def leadership(rows: Sequence[StepRow], facts: NightFacts) -> dict[str, Any] | None:
    """What the leadership digest is asked about: the ten that matter most, with their changes and what was made of them."""
    if not rows:
        return None
    first = sorted(rows, key=lambda row: row.outputs["rank"]["rank"])[:10]
    return {
        "name": "Leadership digest",
        "night": facts.night,
        "competitors": [
            {
                "name": row.item["name"], "rank": row.outputs["rank"]["rank"], "headline": row.outputs["analyse"]["headline"],
                "changes": [
                    {k: c[k] for k in ("type", "title", "before", "after", "pct", "match", "doubtful")}
                    for c in row.outputs["gather"]["changes"][:6]
                ],
            }
            for row in first
        ],
    }  # fmt: skip
