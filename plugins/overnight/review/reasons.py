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
