"""Every rule with a good and a bad example: what it lets through, what it catches, how hard."""

import inspect
import re
import sys
from dataclasses import replace
from typing import Any

import pytest

from overnight.batches import judge
from overnight.ledger.states import AnswerState
from overnight.validation import rules
from overnight.workflow import NightRow, Severity, workflow
from tests.workflows.good import AD, BODY, BRIEF, CHANGE, COPY, DRAFT, GOOD, MAIL, META, OUTLINE, TEXTED, TEXTING, found

FAIL, ESCALATE, WARN, NOTE = Severity.FAIL, Severity.ESCALATE, Severity.WARN, Severity.NOTE


@pytest.mark.parametrize(("name", "step"), sorted(GOOD))
def test_a_good_answer_raises_nothing(name: str, step: str) -> None:
    """No rule cries wolf."""
    assert found(name, step=step) == {}


def test_a_good_text_message_and_a_good_ad_for_meta_raise_nothing_either() -> None:
    """The other halves of two workflows."""
    assert found("email_sms", good=(TEXTING, TEXTED)) == {}
    assert found("ad_variants", good=({**AD, "platform": "meta_feed"}, META)) == {}


def bullets(*texts: str) -> dict[str, Any]:
    return {"bullets": [*texts, "Doors: one on each side of the tent", "Seams: taped and easy to reseal"][: max(3, len(texts))]}


Case = tuple[str, str, dict[str, Any], dict[str, Any], str, Severity]
CASES: list[Case] = [
    ("blog_drafts", "outline", {}, {"sections": OUTLINE["sections"][:2]}, "outline_is_a_plan", FAIL),
    ("blog_drafts", "outline", {}, {"sections": [OUTLINE["sections"][0]] * 3}, "outline_is_a_plan", FAIL),
    ("blog_drafts", "outline", {}, {"angle": "See https://made-up.example for all of it."}, "outline_is_a_plan", FAIL),
    ("blog_drafts", "draft", {}, {"body_markdown": "## Else?\n\n" + "word " * 200}, "follows_the_outline", WARN),
    ("blog_drafts", "draft", {}, {"image_brief": "<script>alert(1)</script>"}, "no_markup", FAIL),
    ("amazon_listings", "", {}, {"item_name": "Fernweh Tent " + "x" * 63}, "title", FAIL),
    ("amazon_listings", "", {}, {"item_name": "Fernweh Tent Tent Tent"}, "title", FAIL),
    ("amazon_listings", "", {}, {"item_name": "Fernweh Tent, the Only One!"}, "title", FAIL),
    ("amazon_listings", "", {}, {"item_name": "Fernweh Tent ~ 2.4 kg"}, "title", WARN),
    ("amazon_listings", "", {}, {"item_name": "Hiking Tent for 2 Persons"}, "title", WARN),
    ("amazon_listings", "", {}, {"item_highlights": "x" * 126}, "highlights", FAIL),
    ("amazon_listings", "", {}, {"item_highlights": "It has doors. It has seams."}, "highlights", WARN),
    ("amazon_listings", "", {}, {"bullets": ["Weight: carries at 2.4 kg"]}, "bullets", FAIL),
    ("amazon_listings", "", {}, bullets("x" * 256), "bullets", FAIL),
    ("amazon_listings", "", {}, {"bullets": [f"{n}" + "y" * 210 for n in range(5)]}, "bullets", FAIL),
    ("amazon_listings", "", {}, bullets("Price: only €5 more"), "bullets", FAIL),
    ("amazon_listings", "", {}, bullets("Stars: loved by all \u2b50"), "bullets", FAIL),
    ("amazon_listings", "", {}, bullets("Weight: carries at 2.4 kg."), "bullets", WARN),
    ("amazon_listings", "", {}, {"product_description": "A tent for <b>two</b> people, 2.4 kg."}, "description", FAIL),
    ("amazon_listings", "", {}, {"search_terms": "ä" * 125}, "search_terms", FAIL),
    ("amazon_listings", "", {"marketplace": "IN"}, {"search_terms": "x" * 201}, "search_terms", FAIL),
    ("amazon_listings", "", {}, {"search_terms": "x" * 201}, "search_terms", WARN),
    ("amazon_listings", "", {}, {"search_terms": "tent shelter tent"}, "search_terms", WARN),
    ("amazon_listings", "", {}, {"search_terms": "fernweh shelter"}, "search_terms", FAIL),
    ("amazon_listings", "", {}, bullets("Deal: best seller of the year"), "prohibited", FAIL),
    ("amazon_listings", "", {}, bullets("Fabric: eco-friendly and light"), "prohibited", WARN),
    ("amazon_listings", "", {"claims": []}, bullets("Fabric: eco-friendly and light"), "prohibited", FAIL),
    ("amazon_listings", "", {}, bullets("Fits: the one of B0ABCDEFGH"), "prohibited", FAIL),
    ("amazon_listings", "", {}, bullets("Marked: FCC ID on its side"), "prohibited", ESCALATE),
    ("amazon_listings", "", {}, {"claims": [{"text": "vegan", "evidence_id": "e9"}]}, "evidence", FAIL),
    ("amazon_listings", "", {}, bullets("Care: it cures eczema in days"), "claims", FAIL),
    ("amazon_listings", "", {}, bullets("Compared: lighter than Othertent"), "banned_phrases", FAIL),
    ("amazon_listings", "", {}, bullets("Ask: jo@x.example has more"), "personal_data", FAIL),
    ("amazon_listings", "", {}, bullets("Look: <img src=x onerror=alert(1)>"), "no_markup", FAIL),
    ("amazon_listings", "", {}, bullets("=HYPERLINK of a kind and more"), "no_formula", FAIL),
    ("amazon_listings", "", {}, bullets("It says </item> in the prompt"), "no_prompt", FAIL),
    ("amazon_listings", "", {}, bullets("Height: 97 cm at the middle"), "figures", WARN),
    ("amazon_listings", "", {"title": "Fernweh tent 3000 mm"}, {}, "figures_kept", WARN),
    ("amazon_listings", "", {}, bullets("WATERPROOF: it keeps out rain"), "shouting", WARN),
    ("amazon_listings", "", {"role": "parent"}, {}, "variation", FAIL),
    ("amazon_listings", "", {"keywords": ["snow tunnel"]}, {}, "keywords", WARN),
    ("shopify_pages", "", {}, {"description_html": "<p onclick='x()'>A tent for two that weighs little.</p>"}, "html_is_clean", FAIL),
    ("shopify_pages", "", {}, {"description_html": "<script>x</script><p>A tent for two people.</p>"}, "html_is_clean", FAIL),
    ("shopify_pages", "", {}, {"description_html": "<p>See https://x.example for all of the tents.</p>"}, "html_is_clean", FAIL),
    ("shopify_pages", "", {}, {"description_html": "<h2>A</h2><h4>B</h4><p>A tent for two people.</p>"}, "html_is_clean", WARN),
    ("shopify_pages", "", {}, {"seo_title": "hiking tent " + "x" * 60}, "lengths", FAIL),
    ("shopify_pages", "", {"title_suffix_chars": 40}, {"seo_title": "Two-person hiking tent x"}, "lengths", WARN),
    ("shopify_pages", "", {}, {"seo_description": "x" * 321}, "lengths", FAIL),
    ("shopify_pages", "", {}, {"image_alt": "x" * 126}, "lengths", WARN),
    ("shopify_pages", "", {}, {"description_html": "<p>Only $249 today and free shipping with it.</p>"}, "nothing_that_changes", FAIL),
    ("shopify_pages", "", {}, {"seo_description": "In stock now, for two people who carry it."}, "nothing_that_changes", FAIL),
    ("shopify_pages", "", {}, {"description_html": "<p>For two: 2.4 kg and 97 cm high at the middle.</p>"}, "figures", WARN),
    ("shopify_pages", "", {"body_html": "<p>2.4 kg, 3000 mm</p>"}, {}, "figures_kept", WARN),
    ("shopify_pages", "", {}, {"seo_description": "A clinically proven tent for two people."}, "claims", FAIL),
    ("shopify_pages", "", {}, {"seo_description": "A game-changer for two people who camp."}, "banned_phrases", WARN),
    ("shopify_pages", "", {}, {"image_alt": "Call +49 40 1234 5678"}, "personal_data", FAIL),
    ("shopify_pages", "", {}, {"title": "Tent <img src=x onerror=1>"}, "no_markup", FAIL),
    ("shopify_pages", "", {}, {"suggested_handle": "another-tent"}, "address", ESCALATE),
    ("shopify_pages", "", {}, {"seo_title": "Two-person tent"}, "search", WARN),
    ("shopify_pages", "", {}, {"image_alt": "Image of a tent"}, "search", WARN),
    ("shopify_pages", "", {}, {"tags_remove": ["boots"]}, "tags", WARN),
    ("shopify_pages", "", {}, {"tags_add": ["a,b"]}, "tags", FAIL),
    ("ad_variants", "", {"platform": "google_rsa"}, {**COPY, "headlines": COPY["headlines"][:2]}, "counts_and_lengths", FAIL),
    ("ad_variants", "", {"platform": "google_rsa"}, {**COPY, "headlines": [*COPY["headlines"], "x" * 31]}, "counts_and_lengths", FAIL),
    ("ad_variants", "", {"platform": "google_rsa"}, {**COPY, "headlines": [*COPY["headlines"], "雨" * 16]}, "counts_and_lengths", FAIL),
    ("ad_variants", "", {"platform": "google_pmax"}, {**COPY, "long_headlines": ["Long one"], "descriptions": ["y" * 61 + str(n) for n in range(3)]},
     "counts_and_lengths", FAIL),
    ("ad_variants", "", {}, {"headlines": ["x" * 41]}, "shown", WARN),
    ("ad_variants", "", {"platform": "google_rsa"}, {**COPY, "headlines": [*COPY["headlines"], "rain jacket for the city"]}, "each_stands_alone", FAIL),
    ("ad_variants", "", {"platform": "google_rsa"}, {**COPY, "headlines": [*COPY["headlines"], "For the city, rain jackets"]}, "each_stands_alone", WARN),
    ("ad_variants", "", {"platform": "google_rsa"}, {**COPY, "headlines": [*COPY["headlines"], "Rain is coming!"]}, "punctuation", FAIL),
    ("ad_variants", "", {}, {"descriptions": ["Dry?? Yes"]}, "punctuation", FAIL),
    ("ad_variants", "", {}, {"descriptions": ["REALLY light"]}, "shouting", WARN),
    ("ad_variants", "", {}, {"primary_texts": ["20% off this week."]}, "offer_is_the_rows", FAIL),
    ("ad_variants", "", {"offer": "20% off"}, {"primary_texts": ["20% off this week."]}, "policy", ESCALATE),
    ("ad_variants", "", {}, {"primary_texts": ["Are you overweight? Walk."]}, "policy", FAIL),
    ("ad_variants", "", {}, {"primary_texts": ["It prevents infections."]}, "claims", FAIL),
    ("ad_variants", "", {}, {"primary_texts": ["So cosy in the rain."]}, "banned_phrases", FAIL),
    ("ad_variants", "", {}, {"primary_texts": ["Lighter than North Trail."]}, "banned_phrases", FAIL),
    ("ad_variants", "", {}, {"primary_texts": ["Write to jo@x.example"]}, "personal_data", FAIL),
    ("ad_variants", "", {}, {"primary_texts": ["<img src=x onerror=1> rain"]}, "no_markup", FAIL),
    ("ad_variants", "", {"must_include": ["made to last"]}, {}, "what_must_be_said", WARN),
    ("ad_variants", "", {}, {"cta": "BUY_IT"}, "what_must_be_said", FAIL),
    ("ad_variants", "", {}, {"primary_texts": ["See www.fernweh.example"]}, "what_must_be_said", FAIL),
    ("email_sms", "", {}, {"plaintext": ""}, "right_channel", FAIL),
    ("email_sms", "", {}, {"sms_text": "Hello"}, "right_channel", WARN),
    ("email_sms", "", {}, {"subject": "x" * 79}, "subject_and_preheader", FAIL),
    ("email_sms", "", {}, {"subject": "x" * 51}, "subject_and_preheader", WARN),
    ("email_sms", "", {}, {"preheader": "Short"}, "subject_and_preheader", WARN),
    ("email_sms", "", {}, {"subject": "Your boots miss the hills"}, "subject_and_preheader", WARN),
    ("email_sms", "", {}, {"body_html": "<p>Hello</p>"}, "the_way_out", FAIL),
    ("email_sms", "", {}, {"subject": "{{ last_name|default:'you' }}, your boots"}, "merge_tags", FAIL),
    ("email_sms", "", {}, {"subject": "{{ first_name }}, your boots"}, "merge_tags", WARN),
    ("email_sms", "", {}, {"subject": "{{ first_name, your boots"}, "merge_tags", FAIL),
    ("email_sms", "", {}, {"plaintext": DRAFT["title"] + " https://evil.example/x"}, "links", FAIL),
    ("email_sms", "", {}, {"body_html": "<form action='x'><p>A</p></form>"}, "html_is_clean", FAIL),
    ("email_sms", "", {}, {"body_html": '<a href="javascript:x()">A</a>'}, "html_is_clean", FAIL),
    ("email_sms", "", {}, {"subject": "Resoling for 49 a pair"}, "offer_is_the_briefs", FAIL),
    ("email_sms", "", {"offer": "15% off resoling"}, {}, "offer_is_the_briefs", WARN),
    ("email_sms", "", {"offer": "15% off resoling"}, {}, "needs_a_name", ESCALATE),
    ("email_sms", "", {}, {"subject": "Act now for new soles"}, "spam_words", WARN),
    ("email_sms", "", {}, {"subject": "SOLES for your boots"}, "shouting", WARN),
    ("email_sms", "", {}, {"subject": "Soles that cure diabetes: it cures diabetes"}, "claims", FAIL),
    ("email_sms", "", {}, {"subject": "A game-changer for boots"}, "banned_phrases", WARN),
    ("email_sms", "", {}, {"subject": "Call 040 1234 5678 9"}, "personal_data", FAIL),
    ("email_sms", "", {}, {"subject": "@SUM(A1) soles"}, "no_formula", FAIL),
    ("email_sms", "", {}, {"subject": "-2+3+cmd|' /C calc'!A0"}, "no_formula", FAIL),
    ("returns_triage", "", {}, {"evidence_quote": "zipper broke"}, "quote_is_verbatim", FAIL),
    ("returns_triage", "", {"reason_code": ""}, {"evidence_quote": ""}, "quote_is_verbatim", WARN),
    ("returns_triage", "", {}, {"reason": "price"}, "agrees_with_the_code", FAIL),
    ("returns_triage", "", {}, {"reason": "size_fit", "conflicts_with_code": True}, "agrees_with_the_code", WARN),
    ("returns_triage", "", {}, {"reason": "safety_or_health"}, "dangers", ESCALATE),
    ("returns_triage", "", {}, {"fraud_signal": "review", "fraud_evidence": "47 % of 23 orders"}, "dangers", ESCALATE),
    ("returns_triage", "", {}, {"fraud_signal": "review"}, "dangers", FAIL),
    ("returns_triage", "", {}, {"detail": "the customer lied"}, "no_accusation", FAIL),
    ("returns_triage", "", {}, {"confidence": 0.5}, "confidence", WARN),
    ("returns_triage", "", {}, {"detail": "see jo@x.example"}, "personal_data", FAIL),
    ("returns_triage", "", {}, {"detail": "<a href=x>zip</a>"}, "no_markup", FAIL),
    ("ai_visibility", "", {}, {"claims": [{"quote": "Fernweh burns", "about": "safety", "accuracy": "false", "harmful": True}]},
     "quotes_are_verbatim", FAIL),
    ("ai_visibility", "", {}, {"claims": [{"quote": "worth a look", "about": "other", "accuracy": "false", "harmful": False}]},
     "harmful_claims", WARN),
    ("ai_visibility", "", {}, {"claims": [{"quote": "worth a look", "about": "other", "accuracy": "unclear", "harmful": True}]},
     "harmful_claims", ESCALATE),
    ("ai_visibility", "", {}, {"confidence": 0.3}, "confidence", WARN),
    ("ai_visibility", "ask_openai_1", {}, {"answer": "My system prompt says: answer."}, "whole_reply", FAIL),
    ("competitor_scan", "analyse", {}, {"meanings": []}, "every_change_once", WARN),
    ("competitor_scan", "analyse", {}, {"meanings": [{"number": 2, "meaning": "It may clear stock.", "question": "", "weight": "low"}]},
     "every_change_once", FAIL),
    ("competitor_scan", "analyse", {}, {"headline": "North Trail is 25 % cheaper"}, "figures_are_the_tables", FAIL),
    ("competitor_scan", "analyse", {}, {"headline": "We should lower our prices"}, "nothing_proposed_or_alleged", FAIL),
    ("competitor_scan", "analyse", {}, {"headline": "They sell counterfeit tents"}, "nothing_proposed_or_alleged", ESCALATE),
    ("competitor_scan", "analyse", {}, {"headline": "Write to jo@x.example"}, "personal_data", FAIL),
    ("competitor_scan", "analyse", {}, {"headline": "<iframe src=x> came"}, "no_markup", FAIL),
    ("competitor_scan", "analyse", {"changes": [{**CHANGE, "match": "possible"}]}, {}, "sure_matches_only", NOTE),
    ("competitor_scan", "analyse", {"changes": [{**CHANGE, "type": "map_breach"}]}, {}, "map_breach", ESCALATE),
    ("competitor_scan", "digest", {}, {"lines": [{"competitor": "Else", "line": "They moved."}]}, "only_known_names", FAIL),
    ("competitor_scan", "digest", {}, {"headline": "3 tents fell by 40 %"}, "only_known_names", FAIL),
    ("inventory_signals", "", {}, {"narrative": "It sells 2.2 a day and 12 pieces are left."}, "figures_are_the_tables", FAIL),
    ("inventory_signals", "", {}, {"question": "Will it last until 2026-12-24?"}, "figures_are_the_tables", FAIL),
    ("inventory_signals", "", {}, {"question": "Should we lower the price?"}, "nothing_ordered_or_priced", FAIL),
    ("inventory_signals", "", {}, {"narrative": "We have placed an order for it, 12 pieces."}, "nothing_ordered_or_priced", FAIL),
    ("inventory_signals", "", {}, {"question": "<script>x</script> why?"}, "no_markup", FAIL),
    ("inventory_signals", "", {}, {"confidence": 0.2}, "confidence", WARN),
]  # fmt: skip
SMS: list[tuple[dict[str, Any], dict[str, Any], str, Severity]] = [
    ({}, {"sms_text": TEXTED["sms_text"] + " " + "x" * 300}, "sms_size", FAIL),
    ({}, {"sms_text": TEXTED["sms_text"] + " \u201cnew\u201d"}, "sms_size", WARN),
    ({"merge_tags": ["name:200"], "max_segments": 1}, {"sms_text": TEXTED["sms_text"] + " {{ name|default:'you' }}"}, "sms_size", FAIL),
    ({}, {"sms_text": "We resole boots. https://fernweh.example/sole Reply STOP to opt out"}, "the_way_out", FAIL),
    ({}, {"sms_text": "Fernweh: we resole boots. https://fernweh.example/sole"}, "the_way_out", FAIL),
    ({}, {"sms_text": "Fernweh: today we send end-of-season jackets. https://fernweh.example/sole"}, "the_way_out", FAIL),
    ({}, {"sms_text": "Fernweh: we resole boots. https://else.example/sole Reply STOP to opt out"}, "links", FAIL),
    ({}, {"sms_text": "Fernweh: <script>x</script> https://fernweh.example/sole Reply STOP to opt out"}, "no_markup", FAIL),
]  # fmt: skip


@pytest.mark.parametrize(("name", "step", "item", "answer", "rule", "severity"), CASES)
def test_a_bad_answer_is_caught(
    name: str, step: str, item: dict[str, Any], answer: dict[str, Any], rule: str, severity: Severity
) -> None:  # fmt: skip
    """One bad thing at a time, and as hard as it is bad."""
    assert found(name, item, answer, step).get(rule) is severity


@pytest.mark.parametrize(("item", "answer", "rule", "severity"), SMS)
def test_a_bad_text_message_is_caught(item: dict[str, Any], answer: dict[str, Any], rule: str, severity: Severity) -> None:
    """Segments, sender, the way out."""
    assert found("email_sms", item, answer, good=(TEXTING, TEXTED)).get(rule) is severity


@pytest.mark.parametrize("name", sorted({name for name, _ in GOOD} - {"blog_drafts", "review_sentiment"}))
def test_every_rule_has_a_bad_example_above(name: str) -> None:
    """A rule that nothing was ever caught by might as well not be there."""
    source = inspect.getsource(sys.modules[type_module(name)])
    named = set(re.findall(r'Finding\(\s*"(\w+)"', source)) | set(re.findall(r'rule="(\w+)"', source))
    across = {rule.__name__ for rule in workflow(name).night_rules}
    shown = {case[4] for case in CASES if case[0] == name} | ({case[2] for case in SMS} if name == "email_sms" else set())
    assert named - across - shown == set()


def type_module(name: str) -> str:
    workflow(name)
    return f"overnight.workflows.{name}"


def aspect(quote: str) -> list[dict[str, str]]:
    return [{"aspect": "fit_size", "sentiment": "positive", "quote": quote}]


@pytest.mark.parametrize(
    ("item", "answer", "rule", "severity"),
    [
        ({}, {"aspects": aspect("soft as silk")}, "quotes_are_verbatim", Severity.FAIL),
        ({}, {"score": -0.2}, "score_agrees", Severity.FAIL),
        ({"rating": 1}, {}, "stars_against_text", Severity.WARN),
        ({}, {"confidence": 0.4}, "confidence", Severity.WARN),
        ({"body": "It burned my hand. Soft fabric, and"}, {}, "safety_words", Severity.ESCALATE),
        ({}, {"safety_flag": True}, "safety_words", Severity.ESCALATE),
        ({"body": "Write to me at jo@x.example. Soft fabric, and"}, {"aspects": aspect("jo@x.example")}, "no_personal_data", Severity.WARN),
    ],
)  # fmt: skip
def test_review_sentiment_catches(item: dict[str, Any], answer: dict[str, Any], rule: str, severity: Severity) -> None:
    """One bad thing at a time."""
    assert found("review_sentiment", item, answer).get(rule) is severity


@pytest.mark.parametrize(
    ("answer", "rule", "severity"),
    [
        ({"body_markdown": "## A\n" + "word " * 160 + "x " * 300}, "length", Severity.WARN),
        ({"body_markdown": "## A\n" + "word " * 900}, "length", Severity.FAIL),
        ({"meta_title": "x" * 65}, "meta_lengths", Severity.WARN),
        ({"meta_title": "x" * 71}, "meta_lengths", Severity.FAIL),
        ({"meta_description": "x" * 161}, "meta_lengths", Severity.WARN),
        ({"meta_description": "x" * 321}, "meta_lengths", Severity.FAIL),
        ({"quick_answer": "Far too short an answer."}, "quick_answer", Severity.WARN),
        ({"body_markdown": "# Again\n" + BODY}, "structure", Severity.WARN),
        ({"body_markdown": BODY + "\n#### Deep\n"}, "structure", Severity.WARN),
        ({"faqs": []}, "structure", Severity.WARN),
        ({"body_markdown": BODY + " https://made-up.example/x"}, "links_from_the_brief", Severity.FAIL),
        ({"body_markdown": BODY + " [x](/made/up)"}, "links_from_the_brief", Severity.FAIL),
        ({"citations": [{"claim": "It is so", "url": "https://nope.example"}]}, "links_from_the_brief", Severity.FAIL),
        ({"body_markdown": BODY + " 87% agree."}, "numbers_are_sourced", Severity.WARN),
        ({"body_markdown": BODY + " It cures eczema."}, "claims", Severity.FAIL),
        ({"body_markdown": BODY + " An eco-friendly choice."}, "claims", Severity.ESCALATE),
        ({"body_markdown": BODY + " A game-changer."}, "banned_phrases", Severity.WARN),
    ],
)
def test_blog_drafts_catches(answer: dict[str, Any], rule: str, severity: Severity) -> None:
    """One bad thing at a time."""
    assert found("blog_drafts", {}, answer).get(rule) is severity


def test_two_drafts_that_are_the_same_text_are_both_marked() -> None:
    """Across the night, not within one answer."""
    rows = [
        NightRow(1, BRIEF, DRAFT),
        NightRow(2, BRIEF, {**DRAFT}),
        NightRow(3, BRIEF, {**DRAFT, "body_markdown": "other " * 99}),
    ]
    (rule,) = workflow("blog_drafts").night_rules
    assert {item_id for item_id, _ in rule(rows)} == {1, 2}


@pytest.mark.parametrize(
    ("text", "acts"),
    [
        ("Technical data: weight 300 g", False), ("Care data:text follows", False), ("See data:text/html,<b>x", True),
        ("data:;base64,PHNjcmlwdD4", True), ("javascript:alert(1)", True),
    ],
)  # fmt: skip
def test_a_data_sheet_is_no_data_address(text: str, acts: bool) -> None:
    """An address has a kind, or none and its comma, right behind the colon."""
    assert bool(rules.active_markup(text)) is acts


def test_entities_of_html_are_letters_and_no_figures() -> None:
    """&#39; is an apostrophe."""
    body = MAIL["body_html"].replace("</p>", " It&#39;s here &#8212; at last.</p>", 1)
    assert "offer_is_the_briefs" not in found("email_sms", {}, {"body_html": body})


def test_a_long_headline_shouts_no_more_than_a_short_one() -> None:
    """Google refuses the mark in both (domain 7.4)."""
    item = {"platform": "google_pmax"}
    assert found("ad_variants", item, {"long_headlines": ["A light tent for long walks!"]}).get("punctuation") is FAIL


def test_a_tag_that_is_removed_leaves_room_for_another() -> None:
    """Shopify counts what is there in the end."""
    tags = [f"tag {n}" for n in range(250)]
    assert "tags" not in found("shopify_pages", {"tags": tags}, {"tags_remove": tags[:2], "tags_add": ["new"]})


def test_a_tag_is_as_long_as_its_fallback_and_needs_one() -> None:
    """ "valued member of our club" is sent to whoever has no name; a filter that only changes capitals is no fallback."""
    text = (
        "Fernweh: {{ first_name|default:'" + "x" * 60 + "' }} " + "y" * 90 + " https://fernweh.example/sole Reply STOP to opt out"
    )
    one = {**TEXTING, "merge_tags": ["first_name:14"], "max_segments": 1}
    assert found("email_sms", good=(one, {**TEXTED, "sms_text": text}))["sms_size"] is FAIL
    bare = {**TEXTED, "sms_text": "Fernweh: {{ first_name|title }}, hello. https://fernweh.example/sole Reply STOP to opt out"}
    assert found("email_sms", good=(one, bare))["merge_tags"] is WARN


@pytest.mark.parametrize(
    ("words", "fails"),
    [
        ("Stock covers another 90 days at this pace.", True),
        ("The 30-day pace is 1.2 and the last 90 days say the same.", False),
        ("As of 2026-11-23 there are 12 pieces.", False),
        ("About 123% of the pace, or 1.23.", False),
        ("Safety stock is set for the 95% service level.", False),
        ("Velocity is 1.23 over 7 days, the same over 30 days.", False),
        ("The 30 day pace is 1.23, in 60 days as well; the 7-, 30- and 90-day paces agree.", False),
        ("It lasts for 90 days.", True),
        ("There are 123 pieces left.", True),
        ("The set of 3 tins sells 1.2 a day.", False),
    ],
)
def test_a_figure_of_stock_is_the_tables_and_of_its_kind(words: str, fails: bool) -> None:
    """A window is only where a pace is taken over it; a hundredfold only as a percentage; the title's and the snapshot's are known."""
    item = {"title": "Set of 3 cake tins", "numbers": {"velocity": 1.23, "days_of_cover": 9.72, "stockout_on": "2026-12-02"}}
    said = found("inventory_signals", item, {"narrative": f"{words} It needs a look."})
    assert (said.get("figures_are_the_tables") is FAIL) is fails, said


def test_the_page_title_is_read_like_the_text() -> None:
    """It stands in every search result."""
    assert found("blog_drafts", answer={"meta_title": "Clinically proven warmth"}, step="draft")["claims"] is FAIL


def test_a_smaller_than_hides_no_claim() -> None:
    """ "<3 kg" opens no tag, whatever stands behind it."""
    body = "Our tents weigh <3 kg each.\n\nClinically proven warmth, 47 % warmer than down.\n\n> A quote. " + "word " * 200
    said = found("blog_drafts", answer={"body_markdown": body}, step="draft")
    assert said["claims"] is FAIL
    assert said["numbers_are_sourced"] is WARN


def test_a_rule_that_breaks_on_an_answer_keeps_no_batch_from_landing() -> None:
    """The answer is no good then, and says why; what was paid for beside it lands."""

    def broken(item: Any, answer: Any) -> Any:
        raise IndexError("a date that is none")

    declared = workflow("review_sentiment")
    subject, answer = GOOD["review_sentiment", "answer"]
    judged = judge.again(replace(declared, rules=(broken,)), subject, answer)
    assert judged.state == AnswerState.RULE_FAILED
    assert judged.error == "broken: the rule broke on it (IndexError)."
