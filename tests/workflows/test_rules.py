"""Every rule with a good and a bad example: what it lets through, what it catches, how hard."""

import copy
from typing import Any

import pytest

from overnight.validation import lexicon, rules
from overnight.workflow import Severity, workflow

REVIEW = {"review_id": "r", "sku": "S", "rating": 4, "title": "Warm", "body": "Soft fabric,  and a perfect fit."}
LABEL = {
    "overall": "positive", "score": 0.7, "aspects": [{"aspect": "material_feel", "sentiment": "positive", "quote": "Soft fabric, and"}],
    "issue_type": "none", "severity": "none", "safety_flag": False, "competitor_mention": None, "feature_request": None,
    "language": "en", "confidence": 0.9,
}  # fmt: skip
BRIEF = {
    "brief_id": "b", "title": "How to wash wool", "primary_query": "wash wool", "facts": ["Wool is washed at 30 degrees"],
    "sources": ["https://a.example/wool"], "internal_links": ["/care/wool"], "min_words": 150, "max_words": 400, "author": "Jo",
}  # fmt: skip
BODY = (
    "## What heat?\n\nWool is washed at 30 degrees. See [care](/care/wool) and [why](https://a.example/wool).\n\n" + "word " * 200
)
DRAFT = {
    "title": "How to wash wool", "slug": "how-to-wash-wool", "meta_title": "How to wash wool", "meta_description": "What to do, and what not." * 2,
    "quick_answer": " ".join(["plain"] * 45), "body_markdown": BODY, "internal_links": ["/care/wool"], "image_brief": "A sink.",
    "faqs": [{"question": f"Question {n}?", "answer": "An answer long enough."} for n in "abc"],
    "citations": [{"claim": "Wool is washed at 30 degrees", "url": "https://a.example/wool"}],
}  # fmt: skip
GOOD = {"review_sentiment": (REVIEW, LABEL), "blog_drafts": (BRIEF, DRAFT)}


def found(name: str, item: dict[str, Any] | None = None, answer: dict[str, Any] | None = None) -> dict[str, Severity]:
    declared = workflow(name)
    good_item, good_answer = copy.deepcopy(GOOD[name])
    subject = declared.item.model_validate({**good_item, **(item or {})})
    given = declared.answer.model_validate({**good_answer, **(answer or {})})
    return {finding.rule: finding.severity for rule in declared.rules for finding in rule(subject, given)}


@pytest.mark.parametrize("name", sorted(GOOD))
def test_a_good_answer_raises_nothing(name: str) -> None:
    """No rule cries wolf."""
    assert found(name) == {}


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
    from overnight.workflow import NightRow

    rows = [
        NightRow(1, BRIEF, DRAFT),
        NightRow(2, BRIEF, {**DRAFT}),
        NightRow(3, BRIEF, {**DRAFT, "body_markdown": "other " * 99}),
    ]
    (rule,) = workflow("blog_drafts").night_rules
    assert {item_id for item_id, _ in rule(rows)} == {1, 2}


@pytest.mark.parametrize(
    "text",
    ["I burned my hand", "it caught fire", "he got a rash", "allergic reaction", "she nearly choked", "mouldy inside",
     "gave me a shock", "sharp edge", "it overheats", "went to the hospital", "cut my finger", "my dog swallowed it"],
)  # fmt: skip
def test_safety_words_are_found(text: str) -> None:
    """Words of harm, in the forms people write them."""
    assert lexicon.hits("safety", text)


@pytest.mark.parametrize(
    "text", ["sharp looking dress", "I was shocked at how good it is", "burn out at work", "choked up with joy", "fired up"]
)
def test_harmless_uses_of_the_same_words_are_not(text: str) -> None:
    """A digest full of false alarms is not read."""
    assert not lexicon.hits("safety", text)


def test_a_verbatim_quote_may_fold_white_space_and_nothing_else() -> None:
    """A line break is no invention; a corrected misspelling is."""
    assert rules.is_verbatim("soft  and\nwarm", "Really soft and warm.")
    assert not rules.is_verbatim("soft and warm", "sofft and warm")
    assert not rules.is_verbatim("  ", "anything")


def test_numbers_in_addresses_words_and_list_markers_are_no_figures() -> None:
    """Only what the text states."""
    assert rules.numbers("1. First\n2. Second, see https://x.example/2024/a-3 and model X200, 3,5 kg at 30 %") == {"3,5", "30%"}
