"""Reading other people's pages: politely, small, and never the house's own network."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest

from overnight.services.settings import ServiceError
from overnight.services.web import MAX_BYTES, USER_AGENT, NotAllowed, Page, Web
from overnight.workflows._steps import competitor_scan


class Site(BaseHTTPRequestHandler):
    """A site with a robots.txt, pages that move, one that is too large, one that is broken."""

    seen: list[tuple[str, str]]
    more_moves: ClassVar[dict[str, str]] = {}
    kind, cookie = "text/html; charset=utf-8", ""
    cookies: list[str | None]
    robots = (200, "User-agent: *\nDisallow: /private/\n\nUser-agent: OvernightScan\nDisallow: /ours/\n")

    def do_GET(self) -> None:
        path = "/" + self.path.partition("://")[2].partition("/")[2] if "://" in self.path else self.path
        self.seen.append((path, self.headers.get("User-Agent", "")))
        answers: dict[str, tuple[int, str]] = {"/robots.txt": self.robots, "/page": (200, "<p>words</p>"), "/broken": (500, ""),
                                               "/large": (200, "x" * (MAX_BYTES + 1)), "/rules": self.robots}  # fmt: skip
        moves = {
            "/moved": "/page",
            "/round": "/round",
            **self.more_moves,
            "/inside": "http://127.0.0.1:9/secret",
            "/to-private": "/ours/x",
            "/odd": "http://[x",
        }
        if path in moves:
            self.send_response(302)
            self.send_header("Location", moves[path])
            self.end_headers()
            return
        status, text = answers.get(path, (404, ""))
        self.send_response(status)
        self.cookies.append(self.headers.get("Cookie"))
        if self.cookie:
            self.send_header("Set-Cookie", self.cookie)
        self.send_header("Content-Type", self.kind)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Site]]:
    """The site, reached as the web is reached through a proxy."""
    kind = type("OneSite", (Site,), {"seen": [], "cookies": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    proxy = {"conn_type": "generic", "extra": {"proxy": f"http://127.0.0.1:{server.server_port}", "per_second": 500}}
    monkeypatch.setenv("AIRFLOW_CONN_OVERNIGHT_WEB", json.dumps(proxy))
    yield kind
    server.shutdown()


def test_robots_is_asked_once_and_kept_to_under_our_own_name(site: type[Site]) -> None:
    """The rules for our name win over those for all; a redirect is asked about, too."""
    with Web() as web:
        assert web.read("http://a.example/page").text == "<p>words</p>"
        assert web.read("http://a.example/moved").url == "http://a.example/page"
        for url in ("http://a.example/ours/x", "http://a.example/to-private"):
            with pytest.raises(NotAllowed, match="robots.txt"):
                web.read(url)
    assert [path for path, _ in site.seen].count("/robots.txt") == 1
    assert not [path for path, _ in site.seen if path.startswith("/ours")]
    assert {agent for _, agent in site.seen} == {USER_AGENT}


def test_robots_that_moved_is_read_where_it_is(site: type[Site]) -> None:
    """RFC 9309, 2.3.1.2: at least five redirects; one that goes in a circle counts as one that is not there."""
    site.more_moves = {"/robots.txt": "/1", "/1": "/2", "/2": "/3", "/3": "/4", "/4": "/rules"}
    with Web() as web:
        with pytest.raises(NotAllowed, match="robots.txt"):
            web.read("http://a.example/ours/x")
        site.more_moves = {"/robots.txt": "/robots.txt"}
        assert web.read("http://b.example/page").text == "<p>words</p>"


def test_without_a_readable_robots_nothing_is_read_and_without_one_everything_may_be(site: type[Site]) -> None:
    """RFC 9309: unreachable is a no, not there is a yes."""
    site.robots = (503, "")
    with Web() as web, pytest.raises(ServiceError, match=r"robots\.txt cannot be read"):
        web.read("http://b.example/page")
    site.robots = (404, "")
    with Web() as web:
        assert web.read("http://b.example/page").status == 200


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/large", "larger than"),
        ("/broken", "answers with 500"),
        ("/gone", "answers with 404"),
        ("/round", "redirects"),
        ("/odd", "is none"),
    ],
)
def test_a_page_that_cannot_be_read_says_why(site: type[Site], path: str, words: str) -> None:
    """Each in words for the review."""
    with Web() as web, pytest.raises(ServiceError, match=words):
        web.read(f"http://c.example{path}")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080/admin", "http://localhost/", "http://10.0.0.5/", "http://169.254.169.254/latest/meta-data", "http://[::1]/", "http://[64:ff9b::7f00:1]/", "http://[2002:7f00:1::]/", "http://224.0.0.1/", "http://1.1.1.1:22/",
            "file:///etc/passwd", "ftp://a.example/x", "gopher://x"],
)  # fmt: skip
def test_a_row_cannot_make_us_read_the_houses_own_network(url: str) -> None:
    """Without a proxy, which would keep that itself: private, local and link-local addresses are refused before a byte is sent."""
    with Web() as web, pytest.raises(NotAllowed):
        web.read(url)


def test_offers_are_read_from_what_a_page_says_of_itself() -> None:
    """Lists, graphs and single products; a broken script and a page without any are no error."""
    from overnight.services.web import Page

    product = {"@type": ["Product", "Thing"], "name": "Tent", "sku": "t1",
               "offers": [{"price": "1.299,00", "priceCurrency": "EUR", "availability": "https://schema.org/OutOfStock"}]}  # fmt: skip
    listed = {"@graph": [{"@type": "ItemList", "itemListElement": [{"@type": "ListItem", "item": product}]}]}
    text = f'<html><script type="application/ld+json">{json.dumps(listed)}</script><script type="application/ld+json">{{broken</script></html>'
    (offer,) = competitor_scan.offers(Page("http://x.example/t", 200, text))
    assert (offer["title"], offer["price"], offer["currency"], offer["available"]) == ("Tent", 1299.0, "EUR", False)
    assert list(competitor_scan.offers(Page("http://x.example/t", 200, "<p>no data</p>"))) == []
    assert list(competitor_scan.offers(Page("http://x.example/t", 200, ""))) == []


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        ([10, 20, 30, 40], [0, 0, 0, 0], "every price is nought"),
        ([10, 20, 30, 40, 50], [10], "most products are gone at once"),
        ([10, 20, 30, 40], [None, None, None, None], "no price can be read any more"),
        ([10, 20, 30, 40], [10, 20, 30, 41], ""),
    ],
)
def test_a_reading_that_cannot_be_right_is_called_so(before: list[Any], now: list[Any], said: str) -> None:
    """A block, a decoy or a new design must not look like a price war."""
    from overnight.validation import limits

    def pages(prices: list[Any]) -> dict[str, Any]:
        made = [{"id": str(n), "title": f"T{n}", "price": p, "currency": "EUR", "available": True} for n, p in enumerate(prices)]
        return {"pages": [{"url": "u", "error": "", "offers": made, "text": [], "at": "t"}]}

    assert competitor_scan._trap(pages(before), pages(now), limits.of("competitors")) == said


def test_a_jump_or_another_currency_is_doubtful_and_a_small_change_is_none() -> None:
    """Below the threshold nothing is told, unless it crosses our own price."""
    from overnight.validation import limits
    from overnight.workflows._steps import matching

    limit = limits.of("competitors")
    ours = matching.read_catalogue([{"sku": "1", "title": "Acme Tent AT900", "price": "100", "map_price": ""}])

    def changes(was: float, now: float, currency: str = "EUR", title: str = "Other Tent") -> list[dict[str, Any]]:
        def one(price: float, money: str) -> dict[str, Any]:
            offer = {"id": "1", "title": title, "price": price, "currency": money, "available": True, "url": "u"}
            return {"url": "u", "error": "", "offers": [offer], "text": [], "at": "t"}

        return list(competitor_scan._offers_compared(one(was, "EUR"), one(now, currency), ours, limit))

    assert changes(100, 97) == []
    assert changes(100, 90)[0]["type"] == "price_down"
    assert changes(100, 10)[0]["doubtful"].startswith("a jump")
    assert changes(100, 80, "USD")[0]["doubtful"] == "the currency changed"
    assert changes(101, 99, title="Acme Tent AT900")[0]["match"] == "sure"


@pytest.mark.parametrize(
    ("stated", "price"),
    [
        ({"price": 0, "priceCurrency": "EUR"}, 0.0),
        ({"price": "12.995"}, 12.995),
        ({"price": "NaN"}, None),
        ({"price": "Infinity"}, None),
        ({"price": "1_000"}, 1.0),
        ({"price": 1299}, 1299.0),
        ({"priceSpecification": {"price": "49.00", "priceCurrency": "EUR"}}, 49.0),
        ({"priceSpecification": [{"price": 49, "priceCurrency": "EUR"}]}, 49.0),
        ({"@type": "AggregateOffer", "lowPrice": "5", "highPrice": "9"}, 5.0),
        ({"@type": "AggregateOffer", "offers": [{"price": 7, "availability": "http://schema.org/InStock"}]}, 7.0),
        ({}, None),
    ],
)
def test_a_price_is_read_wherever_schema_org_lets_it_stand(stated: dict[str, Any], price: float | None) -> None:
    """WooCommerce writes a specification, a shop with variants an aggregate; nought is a price, and a sign that something is wrong."""
    (offer,) = competitor_scan._offers({"@type": "Product", "name": "Tent", "sku": "t", "offers": stated}, "http://x.example/t")
    assert offer["price"] == price


def test_each_variant_of_a_group_is_an_offer() -> None:
    """Shopify's own markup: the group has no price, its variants have."""
    variants = [{"@type": "Product", "sku": f"t{n}", "offers": {"price": 10 + n, "priceCurrency": "EUR"}} for n in range(2)]
    group = {"@type": "ProductGroup", "name": "Tent", "hasVariant": variants}
    found = list(competitor_scan._offers(group, "http://x.example/t"))
    assert [(offer["id"], offer["title"], offer["price"]) for offer in found] == [("t0", "Tent", 10.0), ("t1", "Tent", 11.0)]


def test_a_price_that_creeps_is_told_once_it_has_come_far_enough() -> None:
    """Four per cent a night is no change on any night, and twenty in a week: it is compared with the last one that was told."""
    from overnight.validation import limits
    from overnight.workflows._steps import matching

    limit, ours = limits.of("competitors"), matching.read_catalogue([])

    def page(price: float) -> dict[str, Any]:
        offer = {"id": "1", "title": "Tent", "price": price, "currency": "EUR", "available": True, "url": "u"}
        return {"url": "u", "error": "", "offers": [offer], "text": [], "at": "t"}

    before, told = page(100.0), []
    for price in (96.0, 92.2, 88.5, 85.0, 81.6):
        now = page(price)
        told += [(one["before"], one["after"]) for one in competitor_scan._offers_compared(before, now, ours, limit)]
        before = now
    assert told == [("100.00", "92.20"), ("92.20", "85.00")]
    gone = page(0.0)
    gone["offers"][0]["price"] = None  # one night on which it cannot be read
    assert list(competitor_scan._offers_compared(before, gone, ours, limit)) == []
    (one,) = competitor_scan._offers_compared(gone, page(60.0), ours, limit)
    assert (one["before"], one["after"]) == ("85.00", "60.00")
    assert matching.read_catalogue([{"sku": "1", "title": "T", "price": "1.299", "map_price": ""}]).products["1"].price == 1299


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://www.amazon.de/dp/B000", False), ("https://amazon.co.uk/x", False), ("https://amzn.to/3x", False), ("https://a.co/d/1", False),
        ("https://amazonia-tents.example/x", True), ("https://north-trail.example/amazon.de", True),
    ],
)  # fmt: skip
def test_amazons_own_pages_are_refused_in_the_queue(url: str, allowed: bool) -> None:
    """Its terms forbid it, and what is at stake is the brand's own account."""
    from overnight.workflows.competitor_scan import Competitor

    row = {"competitor_id": "c", "name": "North Trail", "urls": url}
    if allowed:
        Competitor.model_validate(row)
    else:
        with pytest.raises(ValueError, match="Use a licensed feed"):
            Competitor.model_validate(row)


@pytest.mark.parametrize("charset", ["hex", "zlib", "rot13", "nonsense", "undefined", "punycode", "idna"])
def test_a_page_that_names_no_charset_of_texts_is_read_all_the_same(site: type[Site], charset: str) -> None:
    """Python knows codecs that make no text of bytes: one page stopped the scan of all competitors, every night."""
    site.kind = f"text/html; charset={charset}"
    with Web() as web:
        assert web.read("http://a.example/page").text == "<p>words</p>"


def test_nobody_knows_us_again_by_a_cookie(site: type[Site]) -> None:
    """We carry none."""
    site.cookie = "visitor=42"
    with Web() as web:
        web.read("http://a.example/page")
        web.read("http://a.example/page")
    assert site.cookies == [None] * len(site.cookies)


def test_data_that_nests_without_end_is_no_offer_and_no_crash() -> None:
    """Two hundred thousand brackets."""
    page = Page("http://x.example", 200, f'<script type="application/ld+json">{"[" * 200_000}</script>')
    assert list(competitor_scan.offers(page)) == []
    huge = {"@type": "Product", "name": "Tent", "offers": {"price": "9" * 400}}
    page = Page("http://x.example", 200, f'<script type="application/ld+json">{json.dumps(huge)}</script>')
    assert [offer["price"] for offer in competitor_scan.offers(page)] == [None]
