"""For every step of the ten workflows: an input and an answer that no rule has anything against."""

import copy
from typing import Any

from overnight.workflow import Severity, workflow

Example = tuple[dict[str, Any], dict[str, Any]]

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
OUTLINE = {
    "angle": "What the label means and what it does not.", "left_out": [],
    "sections": [{"heading": h, "points": ["Wool is washed at 30 degrees"]} for h in ("What heat?", "Which soap?", "How to dry?")],
}  # fmt: skip
BODY = (
    "## What heat?\n\nWool is washed at 30 degrees. See [care](/care/wool) and [why](https://a.example/wool).\n\n"
    "## Which soap?\n\n" + "word " * 200
)
DRAFT = {
    "title": "How to wash wool", "slug": "how-to-wash-wool", "meta_title": "How to wash wool", "meta_description": "What to do, and what not." * 2,
    "quick_answer": " ".join(["plain"] * 45), "body_markdown": BODY, "internal_links": ["/care/wool"], "image_brief": "A sink.",
    "faqs": [{"question": f"Question {n}?", "answer": "An answer long enough."} for n in "abc"],
    "citations": [{"claim": "Wool is washed at 30 degrees", "url": "https://a.example/wool"}],
}  # fmt: skip
LISTING = {
    "sku": "S1", "brand": "Fernweh", "title": "Fernweh tent 2.4 kg", "role": "child", "attributes": ["weight: 2.4 kg", "size: 2 persons", "colour: Moss"],
    "bullets": ["Weighs 2.4 kg"], "keywords": ["hiking tent"], "claims": ["e1: certificate 77 proves eco-friendly fabric"],
    "banned_terms": ["Othertent"],
}  # fmt: skip
LISTED = {
    "item_name": "Fernweh Hiking Tent for 2 Persons, 2.4 kg, Moss", "item_highlights": "two doors, taped seams, packs small",
    "bullets": ["Weight: carries at 2.4 kg with poles", "Doors: one on each side of the tent", "Seams: taped and easy to reseal"],
    "product_description": "A tent for two people who carry it themselves.<br>It weighs 2.4 kg.", "search_terms": "camping shelter rain",
    "claims": [], "keyword_places": [{"keyword": "hiking tent", "field": "item_name"}], "attribute_gaps": [],
}  # fmt: skip
PAGE = {
    "handle": "tent", "title": "Two-person tent", "body_html": "<p>Weighs 2.4 kg.</p>", "tags": ["tents"], "facts": ["Weighs 2.4 kg"],
    "keywords": ["hiking tent"],
}  # fmt: skip
PAGED = {
    "title": "Two-person tent", "description_html": "<p>For two who carry it: 2.4 kg.</p><h2>Doors</h2><p>" + "plain " * 160 + "</p>",
    "seo_title": "Two-person hiking tent", "seo_description": "A hiking tent for two people who carry it themselves.",
    "image_alt": "A green tent on grass", "tags_add": ["hiking"], "tags_remove": [], "suggested_handle": None,
}  # fmt: skip
AD = {
    "ad_id": "a", "platform": "google_rsa", "campaign": "C", "ad_group": "G", "product": "Rain jacket", "angle": "city rain",
    "facts": ["310 g", "Packs into its pocket"], "landing_url": "https://fernweh.example/j", "must_not_say": ["cosy"],
    "competitors": ["North Trail"],
}  # fmt: skip
COPY = {
    "headlines": ["Rain jacket for the city", "Only 310 g in your bag", "Packs into its own pocket"],
    "long_headlines": [], "descriptions": ["310 g that you forget until it rains.", "It packs into its pocket and stays there."],
    "primary_texts": [], "paths": ["rain", "jackets"], "cta": "", "claims": [],
}  # fmt: skip
META = {
    "headlines": ["Rain jacket for the city"], "long_headlines": [], "descriptions": ["It packs small"],
    "primary_texts": ["310 g in your bag until it rains."], "paths": [], "cta": "SHOP_NOW", "claims": [],
}  # fmt: skip
CAMPAIGN = {
    "campaign_id": "c", "channel": "email", "segment": "boot owners", "objective": "resoling", "facts": ["It takes 3 weeks"],
    "send_on": "2027-01-11", "sender": "Fernweh", "landing_url": "https://fernweh.example/sole", "merge_tags": ["first_name:14"],
    "previous_subjects": ["Your boots miss the hills"],
}  # fmt: skip
_FEET = "{{ organization.full_address }} {% unsubscribe %}"
MAIL = {
    "subject": "Your boots can be resoled", "subject_variants": ["New soles in our workshop"],
    "preheader": "Our workshop takes three weeks, and here is what to know first.",
    "body_html": "<p>Hello {{ first_name|default:'there' }},</p><p>It takes 3 weeks.</p>"
    f'<p><a href="https://fernweh.example/sole">See how</a></p><p>{_FEET}</p>',
    "plaintext": f"Hello, it takes 3 weeks. See https://fernweh.example/sole {_FEET}", "cta_label": "See how", "sms_text": "",
}  # fmt: skip
TEXTING = {**CAMPAIGN, "channel": "sms", "previous_subjects": []}
TEXTED = {
    **dict.fromkeys(("subject", "preheader", "body_html", "plaintext", "cta_label"), ""), "subject_variants": [],
    "sms_text": "Fernweh: we resole boots in 3 weeks. https://fernweh.example/sole Reply STOP to opt out",
}  # fmt: skip
RETURN = {
    "return_id": "r", "sku": "S", "order_date": "2026-11-01", "return_date": "2026-11-09", "reason_code": "DEFECTIVE",
    "comment": "The zip stopped working.", "value_usd": 50,
}  # fmt: skip
TRIAGED = {
    "reason": "quality_defect", "detail": "zip", "owner": "product", "fixable_by": "quality_control", "urgency": "routine",
    "fraud_signal": "none", "fraud_evidence": "", "suggested_disposition": "inspect", "conflicts_with_code": False,
    "evidence_quote": "zip stopped working", "confidence": 0.9,
}  # fmt: skip
QUESTION = {
    "prompt_id": "q",
    "panel": "W1",
    "prompt": "Which tent?",
    "brand": "Fernweh",
    "sentences": ["Fernweh is worth a look."],
}
JUDGED = {
    "sentiment": "positive", "recommended": True, "confidence": 0.9,
    "claims": [{"quote": "Fernweh is worth a look", "about": "other", "accuracy": "unclear", "harmful": False}],
}  # fmt: skip
REPLY = {"answer": "Look at North Trail first, then at Fernweh.", "sources": []}
CHANGE = {
    "number": 1, "type": "price_down", "title": "Ridge Tent NT900R", "before": "199.00", "after": "179.10", "pct": -0.1, "sku": "T", "match": "sure",
    "our_price": 189.0, "url": "http://x.example", "observed_at": "2026-11-23", "doubtful": "",
}  # fmt: skip
CHANGES = {"competitor_id": "c", "name": "North Trail", "urls": ["http://north-trail.example/tents"], "changes": [CHANGE]}
READ = {
    "headline": "North Trail is cheaper on one tent",
    "meanings": [{"number": 1, "meaning": "The price fell from 199.00 to 179.10, which may clear stock.", "question": "Is it so?", "weight": "high"}],
}  # fmt: skip
NIGHT = {
    "name": "Leadership digest",
    "night": "2026-11-23",
    "competitors": [{"name": "North Trail", "rank": 1, "headline": "10 % off"}],
}
LED = {"headline": "A quiet night", "lines": [{"competitor": "North Trail", "line": "One tent fell by 10 %."}], "questions": []}
STOCK = {
    "sku": "S1", "snapshot_at": "2026-11-23T00:00:00Z", "title": "Tent", "available": 12, "lead_time_days": 30, "unit_cost": 10, "signal": "stockout_risk",
    "severity": "warning", "numbers": {"velocity": 1.234, "days_of_cover": 9.72, "stockout_on": "2026-12-02", "suggested_order": 40},
}  # fmt: skip
EXPLAINED = {
    "narrative": "It sells 1.2 a day, so 12 pieces are 9.7 days of cover and end on 2026-12-02.", "drivers": ["supply"],
    "question": "What does the supplier say?", "confidence": 0.9,
}  # fmt: skip

GOOD: dict[tuple[str, str], Example] = {
    ("review_sentiment", "answer"): (REVIEW, LABEL),
    ("blog_drafts", "outline"): (BRIEF, OUTLINE),
    ("blog_drafts", "draft"): ({**BRIEF, "outline": OUTLINE}, DRAFT),
    ("amazon_listings", "rewrite"): (LISTING, LISTED),
    ("shopify_pages", "rewrite"): (PAGE, PAGED),
    ("ad_variants", "write"): (AD, COPY),
    ("ad_variants", "rewrite"): ({**AD, "platform": "meta_feed"}, META),
    ("email_sms", "write"): (CAMPAIGN, MAIL),
    ("returns_triage", "triage"): (RETURN, TRIAGED),
    ("ai_visibility", "ask_openai_1"): ({"prompt": "Which tent?", "locale": "en"}, REPLY),
    ("ai_visibility", "judge"): (QUESTION, JUDGED),
    ("competitor_scan", "analyse"): (CHANGES, READ),
    ("competitor_scan", "digest"): (NIGHT, LED),
    ("inventory_signals", "explain"): (STOCK, EXPLAINED),
}
"""(workflow, step) → a good example of it."""


def found(
    name: str,
    item: dict[str, Any] | None = None,
    answer: dict[str, Any] | None = None,
    step: str = "",
    good: Example | None = None,
) -> dict[str, Severity]:
    """What the rules of a step say: the good example with these fields changed. Rule → its hardest word."""
    view = workflow(name).at(step or workflow(name).main)
    example = copy.deepcopy(good or GOOD[name, view.step])
    subject = view.item.model_validate({**example[0], **(item or {})})
    given = view.answer.model_validate({**example[1], **(answer or {})})
    order = [Severity.NOTE, Severity.WARN, Severity.ESCALATE, Severity.FAIL]
    said: dict[str, Severity] = {}
    for finding in (finding for rule in view.rules for finding in rule(subject, given)):
        said[finding.rule] = max(said.get(finding.rule, Severity.NOTE), finding.severity, key=order.index)
    return said
