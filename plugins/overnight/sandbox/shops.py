"""Competitors' shops on this machine: pages with schema.org offers, a robots.txt, and prices that move from day to day.

Reached as the real web is reached through a proxy: the local server answers for every host that ends in `.example`.
`POST /control/shops {"day": N}` turns the day: prices, stock and products change by fixed rules.
"""

import html
import json
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

_KINDS = {
    "tents": ("Ridge Tent", 199.0),
    "jackets": ("Shell Jacket", 179.0),
    "boots": ("Grat Boot", 229.0),
    "packs": ("Hut Pack", 129.0),
}
_MODELS = {
    ("north-trail", "tents"): "North Trail Ridge Tent NT900R", ("north-trail", "jackets"): "North Trail Shell Jacket NT510J",
    ("alpenkraft", "boots"): "Alpenkraft Grat Boot AK7750", ("summit-co", "jackets"): "Summit & Co Drizzle Jacket SCJ310",
    ("drift-gear", "packs"): "Drift Hut Pack DG4010", ("polarloft", "jackets"): "Polarloft Down Jacket PL820D",
}  # fmt: skip
ROBOTS = "User-agent: *\nDisallow: /private/\n"


@dataclass(slots=True)
class Shops:
    """What day it is in the shops."""

    day: int = 1


def offers(shop: str, kind: str, day: int) -> list[dict[str, Any]]:
    """A page's products on a day. On day 2 one is cheaper, one gone, one out of stock, one new."""
    name, price = _KINDS[kind]
    first = _MODELS.get((shop, kind), f"{shop.title()} {name} X{len(shop)}00A")
    lines = [
        (first, price),
        *((f"{shop.replace('-', ' ').title()} {name} {letter}{n}2{n}", price + 10 * n) for n, letter in enumerate("KLMN", 1)),
    ]
    made = []
    for n, (title, cost) in enumerate(lines):
        gone = day >= 2 and n == 1
        changed = round(cost * 0.9, 2) if day >= 2 and n == 0 else cost
        if not gone:
            made.append({"id": f"{shop}-{kind}-{n}", "title": title, "price": changed, "available": not (day >= 2 and n == 2)})
    if day >= 2:
        made.append({"id": f"{shop}-{kind}-new", "title": f"{shop.title()} {name} 2027", "price": price + 99, "available": True})
    return made


def page(shop: str, kind: str, day: int) -> str:
    """A product page as shops make them: words for people, the same as data for machines."""
    listed = offers(shop, kind, day)
    data = {
        "@context": "https://schema.org", "@type": "ItemList",
        "itemListElement": [
            {"@type": "Product", "name": one["title"], "sku": one["id"], "offers": {
                "@type": "Offer", "price": f"{one['price']:.2f}", "priceCurrency": "EUR",
                "availability": f"https://schema.org/{'InStock' if one['available'] else 'OutOfStock'}"}}
            for one in listed
        ],
    }  # fmt: skip
    rows = "".join(f"<li>{html.escape(one['title'])}: {one['price']:.2f} EUR</li>" for one in listed)
    return (
        f"<!doctype html><html><head><title>{html.escape(shop)}</title>"
        f'<script type="application/ld+json">{json.dumps(data)}</script></head>'
        f"<body><main><h1>{kind}</h1><ul>{rows}</ul></main></body></html>"
    )


def about(shop: str, day: int) -> str:
    """A page without offers; its words change on day 2."""
    line = "Free delivery from 80 EUR." if day >= 2 else "Free delivery from 50 EUR."
    name = html.escape(shop)
    text = f"<p>We are {name}, and have sold what people need outdoors since 1987, from a small town by a river.</p><p>{line}</p>"
    head = f"<!doctype html><html><head><title>{name}</title></head>"
    return f"{head}<body><main><h1>About us</h1>{text}</main></body></html>"


def answer(host: str, path: str, day: int) -> Response:
    """What a shop answers."""
    shop = host.partition(":")[0].removeprefix("www.").removesuffix(".example")
    place = path.strip("/")
    if place == "robots.txt":
        return PlainTextResponse(ROBOTS)
    if place == "about":
        return HTMLResponse(about(shop, day))
    return HTMLResponse(page(shop, place, day)) if place in _KINDS else HTMLResponse("<h1>Not found</h1>", 404)


class AtTheirHosts:
    """ASGI middleware: calls for a shop's host are the shop's, all others are passed on."""

    def __init__(self, app: Any, shops: Shops) -> None:
        self.app, self.shops = app, shops

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Look at the Host header."""
        host = dict(scope.get("headers") or []).get(b"host", b"").decode("latin-1")
        if scope["type"] == "http" and host.partition(":")[0].endswith(".example"):
            await answer(host, scope["path"], self.shops.day)(scope, receive, send)
            return
        await self.app(scope, receive, send)


async def turn_the_day(request: Request) -> Response:
    """POST {"day": N}."""
    request.app.state.shops.day = int((await request.json())["day"])
    return JSONResponse({"day": request.app.state.shops.day})
