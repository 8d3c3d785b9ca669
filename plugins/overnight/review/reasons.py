"""Why a reviewer sends something back: one code, so that reasons can be counted per prompt version (domain 4.2)."""

REASONS = {
    "fact_wrong": "A fact is wrong",
    "fact_unsupported": "A fact is not borne out",
    "claim_risk": "A claim we cannot make",
    "off_brand_voice": "Not our voice",
    "too_long": "Too long",
    "too_short": "Too short",
    "keyword_missing": "Keyword missing",
    "keyword_stuffed": "Keywords stuffed",
    "duplicate": "Too like another",
    "wrong_product": "Wrong product or variant",
    "format_invalid": "Format is off",
    "policy_violation": "Against a policy",
    "weak_hook": "Weak opening",
    "poor_structure": "Poor structure",
    "mislabel": "Wrong label",
    "wrong_severity": "Wrong severity",
    "other": "Other (say what)",
}

RULES = {
    "fact_wrong": "Copy every fact from the item exactly as it stands there; where two facts disagree, use neither.",
    "fact_unsupported": "Leave out every statement that no fact of the item bears out, however likely it sounds.",
    "claim_risk": "Make no claim about health, safety, the environment or being the best unless a fact of the item states it.",
    "off_brand_voice": "Read the brand voice again before you write, and keep to its sentence length and its words.",
    "too_long": "Stay in the lower half of the length that is asked for; leave out what the reader can do without.",
    "too_short": "Use the upper half of the length that is asked for; explain with the item's own facts, not with padding.",
    "keyword_missing": "Use the primary query once in the title and once in the first paragraph, in its natural form.",
    "keyword_stuffed": "Use a keyword at most twice; after that say it in other words or not at all.",
    "duplicate": "Begin, order and phrase each text differently from what is usual for its kind.",
    "wrong_product": "Write about the one product and variant of the item only; name no property of another variant.",
    "format_invalid": "Keep to the fields' formats exactly: no markup, no list signs and no headings where none is asked for.",
    "policy_violation": "Leave out everything that a platform's rules forbid; when in doubt, leave it out.",
    "weak_hook": "Open with the reader's own situation in one concrete sentence, not with a general statement.",
    "poor_structure": "One idea a paragraph, the most useful first; every heading says what its section answers.",
    "mislabel": "Choose a label only when words of the text bear it out; otherwise choose the more general one.",
    "wrong_severity": "Judge severity by what happened to the customer, not by how loud the text is.",
}
"""What a reason that keeps coming back asks of the prompt; a person words it before it is adopted."""
