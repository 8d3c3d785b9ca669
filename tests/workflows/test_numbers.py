"""What is computed in code and not by a model: stock figures, segments, matches, mentions, movers. Each beside another reckoning."""

import csv
import random
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from overnight import rates
from overnight.validation import limits, sms
from overnight.workflow import NightFacts, NightRow, StepRow
from overnight.workflows._digests import ai_visibility as visibility_digest
from overnight.workflows._digests import returns_triage as returns_digest
from overnight.workflows._digests import review_sentiment as sentiment_digest
from overnight.workflows._steps import ai_visibility, matching
from overnight.workflows.ad_variants import near
from overnight.workflows.returns_triage import mapped

DATA = Path(__file__).parents[3] / "shared" / "data"
NOW = datetime(2026, 11, 23, 16, tzinfo=UTC)


def needs(name: str) -> Path:
    """A file of real data, which is not the project's to ship."""
    path = DATA / name
    if not path.exists():
        pytest.skip(f"the real data is not here: {name}")
    return path


@pytest.mark.parametrize(
    ("text", "encoding", "units", "segments"),
    [
        ("", "GSM-7", 0, 0), ("a" * 160, "GSM-7", 160, 1), ("a" * 161, "GSM-7", 161, 2), ("a" * 306, "GSM-7", 306, 2), ("a" * 307, "GSM-7", 307, 3),
        ("€" * 80, "GSM-7", 160, 1), ("€" * 81, "GSM-7", 162, 2), ("a" * 152 + "€" + "a" * 8, "GSM-7", 162, 2),
        ("ä ö ü ß é", "GSM-7", 9, 1), ("ç", "UCS-2", 1, 1), ("“" + "a" * 69, "UCS-2", 70, 1), ("“" + "a" * 70, "UCS-2", 71, 2),
        ("😀" * 35, "UCS-2", 70, 1), ("😀" * 36, "UCS-2", 72, 2), ("a" * 66 + "😀" + "a" * 66, "UCS-2", 134, 3),
    ],
)  # fmt: skip
def test_a_text_message_is_billed_as_the_standard_says(text: str, encoding: str, units: int, segments: int) -> None:
    """GSM 03.38 and UCS-2; an extension sign counts two, and no sign is cut in two."""
    assert sms.size(text) == sms.Size(encoding, units, segments)


def test_a_match_that_is_called_sure_is_one_on_a_real_shop_and_its_competitor() -> None:
    """1,081 products, 1,092 offers, the true matches beside them: not one sure match is wrong, and enough are found."""
    shop = list(csv.DictReader(needs("catalog_electronics_abt.csv").open(encoding="utf-8")))
    offers = list(csv.DictReader(needs("competitor_offers_buy.csv").open(encoding="utf-8")))
    truth = {
        (r["sku"], r["offer_id"]) for r in csv.DictReader(needs("competitor_match_truth_abt_buy.csv").open(encoding="utf-8"))
    }
    catalogue = matching.read_catalogue(shop)
    found = {offer["offer_id"]: catalogue.match(offer["title"], limits.of("competitors")["sure_score"]) for offer in offers}
    sure = {(match.sku, offer_id) for offer_id, match in found.items() if match.certainty == "sure"}
    wrong = sure - truth
    assert wrong == set(), [(catalogue.products[str(sku)].title, offer_id) for sku, offer_id in wrong]
    assert len(sure) / len(truth) > 0.3
    assert Counter(match.certainty for match in found.values()).total() == len(offers)


def test_a_match_needs_brand_model_and_colour() -> None:
    """One thing missing or different makes it possible at most."""
    catalogue = matching.read_catalogue(
        [{"sku": "1", "title": "Sony Turntable Black - PSLX350H", "price": "$99.50", "map_price": ""}]
    )
    assert catalogue.products["1"].price == 99.5
    assert catalogue.match("Sony PSLX350H Belt Turntable", 0.5).certainty == "sure"
    assert catalogue.match("Sony PSLX350H Belt Turntable White", 0.5).certainty == "possible"
    assert catalogue.match("Case for Sony PSLX350H Turntable", 0.5).certainty == "possible"
    assert catalogue.match("Sony Turntable Black", 0.5).certainty == "possible"
    assert catalogue.match("Sony Turntable PSLX350H PSLX300", 0.5).certainty == "sure"
    assert catalogue.match("Bose Speaker AM53BK", 0.5).certainty == "none"


def reply(text: str, *sources: str) -> dict[str, Any]:
    return {"answer": text, "sources": list(sources)}


def test_mentions_order_and_citations_are_found_in_code() -> None:
    """Aliases as whole words, a namesake only beside its words, own pages told from others."""
    outputs = {
        "ask_openai_1": reply("Alpenkraft first, then Fernweh. See https://www.fernweh.example/tents, please.", "https://north-trail.example/a"),
        "ask_openai_2": reply("I had Fernwehs as a child and drift along."),
        "ask_gemini_1": reply("Drift makes a good tent. NorthTrail too. fernweh outfitters repairs."),
    }  # fmt: skip
    row = StepRow(1, "q", {"prompt": "Which?"}, outputs)
    (found,) = ai_visibility.find([row], NightFacts("ai_visibility", "n", NOW))
    output = found.output or {}
    assert (output["answers"], output["mentioned"], output["first_position"]) == (3, 2, 2.5)
    assert output["by_engine"] == {"gemini": "1 of 1", "openai": "1 of 2"}
    assert output["rivals"] == {"North Trail": 1, "Alpenkraft": 1, "Summit & Co": 0, "Drift": 1}
    assert [(c["domain"], c["own"]) for c in output["citations"]] == [("fernweh.example", True), ("north-trail.example", False)]
    (nobody,) = ai_visibility.find([StepRow(1, "q", {"prompt": "Which?"}, {})], NightFacts("ai_visibility", "n", NOW))
    assert nobody.output is None
    assert nobody.retryable


def test_an_interval_is_wilsons_and_a_move_must_leave_it() -> None:
    """Reckoned against known values: 30 % of 100 is 22 to 40 %; 8 of 10 against 5 of 10 is chance, 80 of 100 is none."""
    assert rates.wilson(30, 100) == pytest.approx((0.2189, 0.3958), abs=0.0005)
    assert rates.wilson(0, 0) == (0.0, 1.0)
    assert not rates.apart((8, 10), (5, 10))
    assert rates.apart((80, 100), (50, 100))
    assert not rates.apart((3, 0), (50, 100))


def test_a_mover_is_a_pair_whose_share_left_chance_behind() -> None:
    """SKU and reason against 28 days; one return more is no news."""
    past = [{"night": "x", "_pairs": {"A · size_fit": 5, "B · price": 20}, "_returns": {"all": 400}}]
    found = returns_digest.movers({"A · size_fit": 12, "B · price": 3}, 60, past)
    assert [row["what"] for row in found] == ["A · size_fit"]
    assert returns_digest.movers({"A · size_fit": 2}, 60, past) == []
    counts = {"all engines": [80, 100]}
    assert visibility_digest.moves(counts, [{"_counts": {"all engines": [50, 100]}}])[0]["what"] == "all engines"
    assert visibility_digest.moves(counts, [{"_counts": {"all engines": [78, 100]}}]) == []
    assert sentiment_digest.rising({"fit_size": 30}, 100, [{"_complaints": {"fit_size": 10}, "_reviews": {"all": 100}}])
    assert not sentiment_digest.rising({"fit_size": 12}, 100, [{"_complaints": {"fit_size": 10}, "_reviews": {"all": 100}}])


def test_every_channels_codes_map_into_one_taxonomy() -> None:
    """Handles and enums, old and new, with or without the newer prefix; an unknown code says nothing."""
    assert mapped("too-tight") == mapped("APPAREL_TOO_SMALL") == ("size_fit",)
    assert mapped("CR-DEFECTIVE")[0] == "quality_defect"
    assert mapped("UNDELIVERABLE_REFUSED") == ("late_or_undelivered",)
    assert mapped("") == mapped("no-such-code") == ()


def test_near_duplicates_are_found_within_a_platform_and_campaign_only() -> None:
    """The later one names the earlier ones; word order does not hide it."""
    rows = [(1, "g", "rain jacket for the city"), (2, "g", "for the city rain jacket"), (3, "h", "rain jacket for the city"),
            (4, "g", "boots that can be resoled")]  # fmt: skip
    assert near(rows) == {2: [1]}


def test_a_digest_reconciles_to_its_rows() -> None:
    """No row is lost or counted twice between the answers and the page."""
    given = {"sku": "A", "value_usd": 10.0}
    made = {"reason": "price", "owner": "customer", "fixable_by": "none", "urgency": "routine"}
    summary, buckets = returns_digest.digest([NightRow(n, given, made) for n in range(7)], sample=2, seed="s")
    assert (summary["returns"], sum(summary["reasons"].values()), summary["value_usd"]) == (7, 7, 70.0)
    assert Counter(buckets.values()) == {"covered": 5, "sample": 2}
    assert date.fromisoformat("2026-11-23")


def test_on_nights_of_one_and_the_same_shop_nothing_moves() -> None:
    """Twenty nights and their 28 days drawn from one distribution: what the pages call a move is none, on nearly all of them."""
    dice = random.Random(7)
    pairs = [f"S{n} · {reason}" for n in range(60) for reason in ("size_fit", "quality_defect", "changed_mind")]
    weights = [1 / (1 + n % 37) for n in range(len(pairs))]
    aspects = [f"a{n}" for n in range(15)]

    def returns(count: int) -> dict[str, int]:
        return dict(Counter(dice.choices(pairs, weights, k=count)))

    def reviews(count: int) -> dict[str, int]:
        return {aspect: sum(dice.random() < 0.08 for _ in range(count)) for aspect in aspects}

    moved, rose, seen = 0, 0, 0
    for _ in range(20):
        past = [{"_pairs": returns(4200), "_returns": {"all": 4200}, "_complaints": reviews(5600), "_reviews": {"all": 5600}}]
        moved += len(returns_digest.movers(returns(150), 150, past))
        rose += len(sentiment_digest.rising(reviews(200), 200, past))
        agreeing = sum(dice.random() < 0.4 for _ in range(60))
        before = sum(dice.random() < 0.4 for _ in range(28 * 60))
        counts = {f"engine {n}": [3 * agreeing, 180] for n in range(4)}
        seen += bool(visibility_digest.moves(counts, [{"_counts": {name: [3 * before, 28 * 180] for name in counts}}], 60))
    assert moved <= 3
    assert rose <= 3
    assert seen <= 2


def test_what_really_moved_is_still_told() -> None:
    """A batch with a fault: ten of a hundred and fifty where two were usual."""
    past = [{"_pairs": {"A · quality_defect": 56, "B · size_fit": 4144}, "_returns": {"all": 4200}}]
    (move,) = returns_digest.movers({"A · quality_defect": 12, "B · size_fit": 138}, 150, past)[:1]
    assert move["what"] == "A · quality_defect"
    counts = {"all engines": [150, 180]}
    assert visibility_digest.moves(counts, [{"_counts": {"all engines": [2016, 5040]}}], 60)
