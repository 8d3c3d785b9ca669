"""Ad variants: 50 to 150 a night for Google (RSA, PMax) and Meta, each within its platform's limits, no two the same.

Offers are copied from the row, never made; near-duplicates across the night are found in code and bought again once.
Limits with their sources: include/limits/ads.yaml.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any, Literal

from pydantic import BaseModel, Field

from overnight.validation import limits, rules, wording
from overnight.workflow import Expectation, Finding, Mode, NightRow, Review, Severity, Step, Workflow
from overnight.workflows._fields import Day, QueueRow, Texts, Url

NEAR = 0.8  # share of words in common (rapidfuzz token_set_ratio / 100) from which two variants are one
SAME_ASSET = 0.9
FIELDS = ("headlines", "long_headlines", "descriptions", "primary_texts", "paths")


class AdBrief(QueueRow):
    """One variant to be written: platform, offer, angle, and what it must and must not say."""

    ad_id: str = Field(min_length=1, max_length=64)
    platform: Literal["google_rsa", "google_pmax", "meta_feed", "meta_reels"]
    campaign: str = Field(min_length=1, max_length=120)
    ad_group: str = Field(min_length=1, max_length=120)
    product: str = Field(min_length=2, max_length=200)
    objective: str = Field(default="", max_length=200)
    audience: str = Field(default="", max_length=300)
    angle: str = Field(min_length=2, max_length=200)
    facts: Texts = Field(min_length=1, max_length=20)
    offer: str = Field(default="", max_length=200)
    offer_ends: Day | None = None
    landing_url: Url = Field(min_length=8)
    keywords: Texts = Field(default_factory=list, max_length=20)
    must_include: Texts = Field(default_factory=list, max_length=10)
    must_not_say: Texts = Field(default_factory=list, max_length=20)
    competitors: Texts = Field(default_factory=list, max_length=20)
    winners: Texts = Field(default_factory=list, max_length=10)
    locale: str = Field(default="en-GB", max_length=8)


class Rewritten(AdBrief):
    """The same brief for a variant that came out too near to another one of the night."""

    too_near_to: list[str] = Field(default_factory=list)


class AdCopy(BaseModel):
    """The texts of one variant; a field its platform does not have stays empty."""

    headlines: list[str] = Field(max_length=15)
    long_headlines: list[str] = Field(max_length=5)
    descriptions: list[str] = Field(max_length=5)
    primary_texts: list[str] = Field(max_length=5)
    paths: list[str] = Field(max_length=2)
    cta: str = Field(max_length=40)
    claims: list[str] = Field(max_length=10)


def _limits(item: AdBrief) -> dict[str, Any]:
    return limits.of("ads", item.platform)


def _texts(answer: AdCopy) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in FIELDS:
        found |= wording.many(name.rstrip("s").replace("_", " "), getattr(answer, name))
    return found


def counts_and_lengths(item: AdBrief, answer: AdCopy) -> Iterator[Finding]:
    """How many of each, and how long, by the platform's own table."""
    limit = _limits(item)
    for name in FIELDS:
        few, many, chars = limit[name]
        texts = getattr(answer, name)
        if not few <= len(texts) <= many:
            said = f"{len(texts)}, {item.platform} takes {few} to {many}"
            yield Finding("counts_and_lengths", Severity.FAIL, f"The number of {name.replace('_', ' ')} is wrong.", name, said)
        if many:
            yield from wording.longer_than(wording.many(name, texts), chars, rule="counts_and_lengths", width=limit["width"])
        shown = limit["shown"].get(name)
        if shown:
            yield from wording.longer_than(wording.many(name, texts[:1]), shown, rule="shown", severity=Severity.WARN)
    short = limit["short_description"]
    if short and all(wording.display_width(text) > short for text in answer.descriptions):
        yield Finding(
            "counts_and_lengths", Severity.FAIL, f"One description must have at most {short} characters.", "descriptions"
        )


def each_stands_alone(item: AdBrief, answer: AdCopy) -> Iterator[Finding]:
    """Platforms combine the texts freely and refuse two that are the same."""
    for name in FIELDS:
        texts = getattr(answer, name)
        if len({" ".join(text.casefold().split()) for text in texts}) < len(texts):
            yield Finding("each_stands_alone", Severity.FAIL, "Two texts are the same: the platform refuses them.", name)
        for a, b in _alike(texts):
            yield Finding("each_stands_alone", Severity.WARN, "Two texts say nearly the same.", name, f"{a} / {b}")


def _alike(texts: Sequence[str]) -> Iterator[tuple[str, str]]:
    from rapidfuzz import fuzz

    for n, a in enumerate(texts):
        for b in texts[n + 1 :]:
            if a.casefold() != b.casefold() and fuzz.token_sort_ratio(a.casefold(), b.casefold()) / 100 >= SAME_ASSET:
                yield a, b


def punctuation(item: AdBrief, answer: AdCopy) -> Iterator[Finding]:
    """What Google calls nonstandard punctuation, and shouting anywhere."""
    limit = _limits(item)
    heads = {*wording.many("headline", answer.headlines), *wording.many("long headline", answer.long_headlines)}
    for field, text in _texts(answer).items():
        if field in heads and "!" in text and not limit["exclamation_in_headline"]:
            yield Finding("punctuation", Severity.FAIL, "No exclamation mark in a headline.", field, text)
        if any(sign * 2 in text for sign in "!?*#~"):
            yield Finding("punctuation", Severity.FAIL, "Repeated signs.", field, text)
    yield from wording.shouting(_texts(answer), [item.product, *item.must_include, *item.keywords])


def offer_is_the_rows(item: AdBrief, answer: AdCopy) -> Iterator[Finding]:
    """Prices, percentages and dates are copied from the row: anything else is an offer nobody made."""
    known = [item.offer, *item.facts, item.product, *item.must_include, *item.keywords]
    known += [item.offer_ends.isoformat(), _spoken(item.offer_ends)] if item.offer_ends else []
    yield from wording.figures(_texts(answer), known, severity=Severity.FAIL, rule="offer_is_the_rows")
    yield from wording.offered(_texts(answer), known, rule="offer_is_the_rows")


def _spoken(day: date) -> str:
    return f"{day.day} {day.strftime('%B')} {day.year}"


def policy(item: AdBrief, answer: AdCopy) -> Iterator[Finding]:
    """The platforms' policy words, claims, other people's trademarks."""
    texts = _texts(answer)
    yield from wording.claims(texts, "ads", rule="policy")
    yield from wording.claims(texts, given=item.facts)
    yield from wording.banned_phrases(texts, [*item.must_not_say, *item.competitors], severity=Severity.FAIL)
    yield from wording.personal_data(texts)
    yield from wording.injected(texts)


def what_must_be_said(item: AdBrief, answer: AdCopy) -> Iterator[Finding]:
    """The words the brief insists on, a button the platform has, no address in a text."""
    all_text = " ".join(_texts(answer).values())
    for phrase in item.must_include:
        if not rules.holds_phrase(all_text, phrase):
            yield Finding("what_must_be_said", Severity.WARN, "The brief wants these words.", None, phrase)
    ctas = _limits(item)["ctas"]
    if ctas and answer.cta not in ctas:
        yield Finding("what_must_be_said", Severity.FAIL, f"The button must be one of {', '.join(ctas)}.", "cta", answer.cta)
    if not ctas and answer.cta:
        yield Finding("what_must_be_said", Severity.FAIL, f"{item.platform} has no button of one's own.", "cta", answer.cta)
    for field, text in _texts(answer).items():
        if "://" in text or "www." in text:
            yield Finding("what_must_be_said", Severity.FAIL, "The address is the row's, not the text's.", field, text)


def near(rows: Sequence[tuple[int, str, str]], threshold: float = NEAR) -> dict[int, list[int]]:
    """Variants of one platform and campaign whose words are nearly the same: the later one → the earlier ones it is near to."""
    from rapidfuzz import fuzz

    found: dict[int, list[int]] = {}
    for n, (item_id, group, text) in enumerate(rows):
        for other_id, other_group, other in rows[:n]:
            if group == other_group and fuzz.token_sort_ratio(text, other) / 100 >= threshold:
                found.setdefault(item_id, []).append(other_id)
    return found


def words_of(answer: Mapping[str, Any]) -> str:
    """All texts of a variant, for comparing."""
    return " ".join(str(text).casefold() for name in FIELDS for text in answer.get(name) or [])


def distinct_variants(rows: Sequence[NightRow]) -> Iterator[tuple[int, Finding]]:
    """What is still too near to another variant after its second try goes to a person, marked."""
    listed = [(row.item_id, f"{row.item['platform']} {row.item['campaign']}", words_of(row.answer)) for row in rows]
    keys = {row.item_id: str(row.item["ad_id"]) for row in rows}
    for item_id, others in near(listed).items():
        said = ", ".join(keys[other] for other in others[:3])
        yield (
            item_id,
            Finding("distinct_variants", Severity.WARN, "Nearly the same as another variant of this night.", "headlines", said),
        )


def _again(item: dict[str, Any], outputs: Mapping[str, dict[str, Any]]) -> dict[str, Any] | None:
    twins = outputs["compare"]["too_near_to"]
    return {**item, "too_near_to": twins} if twins else None


WORKFLOW = Workflow(
    name="ad_variants",
    title="Ad variants",
    item=AdBrief,
    answer=AdCopy,
    id_field="ad_id",
    rules=(counts_and_lengths, each_stands_alone, punctuation, offer_is_the_rows, policy, what_must_be_said),
    night_rules=(distinct_variants,),
    expectations=(Expectation("ExpectColumnValuesToBeUnique", {"column": "words"}, Severity.WARN),),
    table=lambda row: {"words": words_of(row.answer), "cta": row.answer.get("cta")},
    review=Review(
        minutes=45,
        title=lambda item: f"{item.get('platform', '')} · {item.get('campaign', '')} · {item.get('angle', '')}",
        mode=Mode.GRID,
        first=("headlines", "long_headlines", "descriptions", "primary_texts", "cta"),
        editable=("cta",),
    ),
    targets=("google_ads_editor", "meta_ads_csv", "json"),
    cap=150,
    vendor="openai",
    model="gpt-5-mini",
    max_output_tokens=2_500,
    fallback=("gemini", "gemini-2.5-flash"),
    steps=(
        Step("write"),
        Step("compare", after=("write",), compute="overnight.workflows._steps.ad_variants:compare", shown=False),
        Step("rewrite", after=("compare",), take=_again, item=Rewritten, optional=True),
    ),
)  # fmt: skip
