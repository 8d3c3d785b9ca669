"""What nobody gave is no offer, no rating and no certificate, however it is written; what was given is right in German, too."""

from typing import Any

import pytest

from overnight.validation import promises, rules
from overnight.workflow import Severity
from overnight.workflows._steps import ai_visibility
from tests.workflows.good import BODY, TEXTED, TEXTING, found

FAIL, ESCALATE = Severity.FAIL, Severity.ESCALATE


def ad(text: str, **item: Any) -> Severity | None:
    said = found("ad_variants", item, {"primary_texts": [text]})
    return said.get("offer_is_the_rows")


@pytest.mark.parametrize(
    "text",
    ["Half off this week.", "Twenty percent off.", "Buy one, get one free.", "Free shipping on every jacket.", "Free returns.", "Two for one.",
     "Reduced: our rain jackets.", "The winter sale is on now.", "Zum halben Preis.", "Versandkostenfrei.", "Kauf 2, zahl 1", "Free gift inside.",
     "2-for-1 today", "2for1", "BOGOF", "Sixty-five percent off."],
)  # fmt: skip
def test_an_offer_in_words_that_nobody_made_fails(text: str) -> None:
    """No figure stands in it: it would have gone out with one yes for all."""
    assert ad(text) is FAIL
    sms = {**TEXTED, "sms_text": f"Fernweh: {text} https://fernweh.example/sole Reply STOP to opt out"}
    assert found("email_sms", good=(TEXTING, sms)).get("offer_is_the_briefs") is FAIL


@pytest.mark.parametrize(
    ("text", "offer"),
    [("Half off this week.", "Half price on all jackets"), ("Twenty percent off.", "20% off"), ("Now free delivery.", "Free shipping"),
     ("Two for one.", "3 for 2 on jackets"), ("Versandkostenfrei.", "free delivery over 0 EUR"), ("The Winter Sale is on: 20 % off", "Winter Sale, 20 % off"),
     ("Our sale ends on 6 December", "Sale ends Sunday, 2026-12-06"), ("Free shipping over €50", "Shipping is free over €50"),
     ("Free delivery", "No shipping costs"), ("thirty-five percent off", "35 % off")],
)  # fmt: skip
def test_an_offer_that_was_made_may_be_said_in_other_words(text: str, offer: str) -> None:
    """Which of its kind it is, a person still reads: it escalates as every offer does."""
    assert ad(text, offer=offer) is None


@pytest.mark.parametrize(
    "text", ["A reduced weight", "free of doubt", "returns to shape", "one for you", "the salesman", "a gift of rain"]
)
def test_ordinary_words_are_no_offer(text: str) -> None:
    """A good answer that fails is paid for twice."""
    assert promises.offers(text) == set()


def test_a_price_keeps_its_currency() -> None:
    """Was €249, now €199 is no $199."""
    item = {"facts": ["Was €249, now €199"], "offer": "€50 off"}
    assert ad("Now $199 instead of $249.", **item) is FAIL
    assert ad("£50 off.", **item) is FAIL
    assert ad("Now 199 EUR instead of 249 Euro: 50,- off.", **item) is None
    assert ad("Now 50 € off.", offer="50,- off") is None


@pytest.mark.parametrize(
    ("text", "fails"),
    [("bis 6.12.", False), ("bis 06.12.2026", False), ("bis 07.12.2026", True), ("3.000 mm", False), ("3000 mm", False), ("3.500 mm", True),
     ("IPX4", False), ("IPX8", True), ("IP-X4 and UPF50", True), ("UPF50 and ISO9001", True), ("3-in-1", False), ("IPX4. Rated 4.8. Go", False),
     ("Top-3 and pre-3", False), ("tent for 3.\n4. Fine", False)],
)  # fmt: skip
def test_figures_are_read_as_germans_and_engineers_write_them(text: str, fails: bool) -> None:
    """A day by its number, a thousand by its point, a rating with its letters."""
    item = {"offer_ends": "2026-12-06", "facts": ["3000 mm", "IPX 4", "3 in 1", "4.8 stars", "4 people"], "offer": "20% off"}
    assert (ad(text, **item) is FAIL) is fails


@pytest.mark.parametrize(
    ("name", "given", "answer"),
    [
        ("blog_drafts", {"facts": ["Our wool is certified by RWS, certificate 2231"]}, {"body_markdown": BODY + " It is certified by {}."}),
        ("shopify_pages", {"facts": ["Certified by RWS"]}, {"seo_description": "A tent for two people, certified by {}."}),
        ("ad_variants", {"facts": ["Certified by RWS"]}, {"primary_texts": ["Certified by {}."]}),
        ("email_sms", {"facts": ["Certified by RWS"]}, {"subject": "Soles certified by {}"}),
    ],
)  # fmt: skip
def test_a_certificate_that_was_given_is_a_persons_to_approve_and_another_fails(
    name: str, given: dict[str, Any], answer: dict[str, Any]
) -> None:
    """A true one could never be written."""

    def by(whom: str) -> dict[str, Any]:
        ((field, said),) = answer.items()
        return {field: [text.format(whom) for text in said] if isinstance(said, list) else said.format(whom)}

    step = "draft" if name == "blog_drafts" else ""
    assert found(name, given, by("RWS"), step).get("claims") is ESCALATE
    assert found(name, given, by("OEKO-TEX"), step).get("claims") is FAIL


@pytest.mark.parametrize(
    "words", ["100% guarantee of fit", "or we refund you in full", "with a 2 year warranty", "a risk free trial"]
)
def test_amazon_takes_no_guarantee_and_no_refund(words: str) -> None:
    """Domain 7.2: none, in any words."""
    bullets = [f"Trust: {words}", "Doors: one on each side of the tent", "Seams: taped and easy to reseal"]
    assert found("amazon_listings", {}, {"bullets": bullets}).get("prohibited") is FAIL


@pytest.mark.parametrize(
    ("attribute", "name", "fails"),
    [
        ("Size: S, M, L", "Fernweh Jacket, Size M", True),
        ("Colour: Ink, Fern", "Fernweh Jacket Ink", True),
        ("Size: M", "Fernweh Men's Jacket", False),
    ],
)
def test_a_parents_title_names_none_of_its_childrens_values(attribute: str, name: str, fails: bool) -> None:
    """A parent has them all, and writes them with a capital."""
    said = found("amazon_listings", {"role": "parent", "attributes": [attribute]}, {"item_name": name})
    assert (said.get("variation") is FAIL) is fails


@pytest.mark.parametrize(
    ("address", "fails"),
    [("bit.ly/x1", True), ("www.evil.example", True), ("fernweh-shop.xyz/hh", True), ("See evil.com", True), ("evil.co.uk", True), ("www.fernweh.example.", False), ("Node.js/React", False), ("done.It is", False), ("fernweh.example/sole", False), ("www.fernweh.example", False),
     ("24/7", False), ("size 36/38", False), ("and/or", False)],
)  # fmt: skip
def test_an_address_without_its_https_is_one_all_the_same(address: str, fails: bool) -> None:
    """Phones make a link of it."""
    sms = {**TEXTED, "sms_text": f"Fernweh: look {address} https://fernweh.example/sole Reply STOP to opt out"}
    assert (found("email_sms", good=(TEXTING, sms)).get("links") is FAIL) is fails


@pytest.mark.parametrize(
    "text",
    [
        "Jetzt nur 249 €.",
        "Versandkostenfrei.",
        "Auf Lager.",
        "Free UK delivery.",
        "Free returns.",
        "Delivered in two days.",
        "On sale.",
        "Half the price.",
    ],
)
def test_what_changes_stands_on_no_product_page(text: str) -> None:
    """Price, stock and delivery, in English and German."""
    body = f"<p>A tent for two people that weighs little. {text}</p>"
    assert found("shopify_pages", {}, {"description_html": body}).get("nothing_that_changes") is FAIL


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("It costs $249.99, while the regulator fined it. It is light.", ["It costs $249.99, while the regulator fined it.", "It is light."]),
        ("Approx. 1 in 5 was recalled after a fire.", ["Approx. 1 in 5 was recalled after a fire."]),
        ("See https://x.example/a.html for it! Yes.", ["See https://x.example/a.html for it!", "Yes."]),
        ("Sold in the U.S. and here, e.g. in Kiel", ["Sold in the U.S. and here, e.g. in Kiel"]),
        ("One\nTwo... Three", ["One", "Two...", "Three"]),
    ],
)  # fmt: skip
def test_a_sentence_is_whole(text: str, sentences: list[str]) -> None:
    """Half of one is another statement: the judge reads a price nobody named, and misses the harm behind it."""
    assert [match.group(0).strip() for match in ai_visibility._SENTENCE.finditer(text)] == sentences


def test_a_digest_may_say_in_per_cent_what_was_computed() -> None:
    """-0.1747 is 17 %, or 17.5 %."""
    change = {
        "type": "price_down",
        "title": "Grat boot",
        "before": "229.00",
        "after": "189.00",
        "pct": -0.1747,
        "match": "sure",
        "doubtful": "",
    }
    item = {"competitors": [{"name": "North Trail", "rank": 1, "headline": "Boots fell", "changes": [change]}]}
    for said, rule in (("17 %", None), ("17.5 %", None), ("18 %", FAIL)):
        line = {"competitor": "North Trail", "line": f"The Grat boot is {said} down, to 189.00."}
        assert (
            found("competitor_scan", item, {"headline": "Boots fell", "lines": [line]}, "digest").get("only_known_names") is rule
        )


def test_a_thousand_is_read_as_it_was_given() -> None:
    """3.000 is three thousand where that was given, and three where three was."""
    assert rules.thousands("3.000 mm", {"3000"}) == "3000 mm"
    assert rules.thousands("3.000 kg", {"3"}) == "3.000 kg"
    assert rules.thousands("1.234.567", {"1234567"}) == "1234567"


OFFER = {
    "offer": "15% off all boots", "terms": "with code BOOT15, on orders over 50 EUR", "send_on": "2027-01-20", "offer_ends": "2027-01-31",
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "fails"),
    [
        ("15% off your boots until 31 January with code BOOT15", False),
        ("15 % off, until January 31, on orders over €50", False),
        ("15 percent off until 2027-01-31: code BOOT15", False),
        ("31% off your boots", True),  # a number that is a day in the brief
        ("20% off your boots", True),
        ("15% off until 31 December", True),
        ("15 EUR off your boots", True),
        ("50% off orders over 15 EUR", True),
        ("15% off with code WINTER15", True),
        ("15% off, code BOOT31", True),
        ("31 Euro Rabatt", True),
        ("15 Prozent ab 50 EUR bis 31. Januar", False),
        ("bis 31. Dezember 15 %", True),
        ("15% off until 2027-31-01", False),  # no day at all; and no crash
    ],
)
def test_an_offer_is_the_briefs_as_what_it_is_there(text: str, fails: bool) -> None:
    """A percentage is no date, a sum no percentage, a month no other month; a code is copied letter by letter."""
    said = {**TEXTED, "sms_text": f"Fernweh: {text}. https://fernweh.example/sole Reply STOP to opt out"}
    item = {**TEXTING, **OFFER}
    rule = found("email_sms", good=(item, said)).get("offer_is_the_briefs")
    assert (rule is FAIL) is fails, rule


def test_an_ads_figures_keep_their_kind() -> None:
    """Thirty nights make no thirty per cent."""
    item = {"offer": "20% off orders over 50 EUR", "facts": ["30 nights to try it", "310 g"], "offer_ends": "2027-01-31"}
    for text, fails in (
        ("20% off over 50 EUR", False),
        ("50% off over 20 EUR", True),
        ("30% off tonight", True),
        ("30 nights", False),
    ):
        said = found("ad_variants", item, {"headlines": ["Rain jacket for the city", text, "Packs into its own pocket"]})
        assert (said.get("offer_is_the_rows") is FAIL) is fails, text
