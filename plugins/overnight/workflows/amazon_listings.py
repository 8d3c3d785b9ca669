"""Amazon listings: 20 to 50 a night are rewritten within the limits of 27 July 2026 and reviewed beside today's text.

Facts come from the row's attributes, today's listing and verified claims; limits are counted in characters and bytes in code.
Limits with their sources: include/limits/amazon.yaml.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import BaseModel, Field

from overnight.validation import limits, rules, wording
from overnight.workflow import Expectation, Finding, Mode, NightRow, Review, Severity, Step, Workflow
from overnight.workflows._fields import LongTexts, QueueRow, Texts

_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_SMALL = frozenset(
    [
        "a",
        "an",
        "and",
        "as",
        "at",
        "but",
        "by",
        "for",
        "from",
        "in",
        "into",
        "nor",
        "of",
        "on",
        "or",
        "over",
        "per",
        "so",
        "the",
        "to",
        "up",
        "with",
        "without",
    ]
)
_ASIN = re.compile(r"\bB0[A-Z0-9]{8}\b")
_EMOJI = re.compile("[\U0001f000-\U0001faff\u2600-\u27bf\u2b50\u2b55]")
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_EMPTY_WORDS = frozenset(["new", "best", "cheap", "sale", "amazing", "good", "now", "today"])


class Listing(QueueRow):
    """A listing as it stands, and everything the new one may say."""

    sku: str = Field(min_length=1, max_length=64)
    asin: str = Field(default="", max_length=10)
    marketplace: str = Field(default="US", pattern=r"^[A-Z]{2}$")
    product_type: str = Field(default="PRODUCT", max_length=80)
    brand: str = Field(min_length=1, max_length=100)
    role: str = Field(default="standalone", pattern="^(standalone|parent|child)$")
    attributes: Texts = Field(default_factory=list, max_length=40)
    title: str = Field(min_length=1, max_length=500)
    highlights: str = Field(default="", max_length=500)
    bullets: LongTexts = Field(default_factory=list, max_length=10)
    description: str = Field(default="", max_length=6000)
    search_terms: str = Field(default="", max_length=1000)
    keywords: Texts = Field(default_factory=list, max_length=30)
    claims: Texts = Field(default_factory=list, max_length=20)  # "e1: certified by …": an id and what it proves
    banned_terms: Texts = Field(default_factory=list, max_length=40)
    language: str = Field(default="en", max_length=8)


class ClaimMade(BaseModel):
    """A claim of the new text and the row's evidence for it."""

    text: str = Field(min_length=3, max_length=300)
    evidence_id: str = Field(max_length=64)


class KeywordPlace(BaseModel):
    """Where a keyword went."""

    keyword: str = Field(max_length=200)
    field: str = Field(max_length=40)


class ListingCopy(BaseModel):
    """The new listing."""

    item_name: str = Field(min_length=5, max_length=400)
    item_highlights: str = Field(max_length=400)
    bullets: list[str] = Field(max_length=10)
    product_description: str = Field(min_length=20, max_length=5000)
    search_terms: str = Field(max_length=1000)
    claims: list[ClaimMade] = Field(max_length=20)
    keyword_places: list[KeywordPlace] = Field(max_length=40)
    attribute_gaps: list[str] = Field(max_length=20)


def _limits(item: Listing) -> dict[str, Any]:
    return limits.of("amazon", f"marketplace:{item.marketplace}", f"product_type:{item.product_type}")


def _texts(answer: ListingCopy) -> dict[str, str]:
    return {
        "item_name": answer.item_name, "item_highlights": answer.item_highlights, **wording.many("bullet", answer.bullets),
        "product_description": answer.product_description,
    }  # fmt: skip


def _known(item: Listing) -> list[str]:
    today = [item.title, item.highlights, *item.bullets, item.description, item.search_terms]
    return [*item.attributes, *item.claims, *item.keywords, *today]


def title(item: Listing, answer: ListingCopy) -> Iterator[Finding]:
    """Length, repeated words and signs of the title."""
    limit, text = _limits(item), answer.item_name
    yield from wording.longer_than({"item_name": text}, limit["title_chars"], rule="title")
    counts = Counter(word.casefold() for word in _WORD.findall(text) if word.casefold() not in _SMALL)
    for word, count in sorted(counts.items()):
        if count > limit["title_word_twice"]:
            yield Finding("title", Severity.FAIL, "A title says no word more than twice.", "item_name", f"{word} ({count}×)")
    signs = set(limit["title_forbidden"]) - set(item.brand)
    if found := sorted(signs & set(text)):
        yield Finding("title", Severity.FAIL, "Signs that no title may hold.", "item_name", " ".join(found))
    if found := sorted((set(limit["title_functional_only"]) - set(item.brand)) & set(text)):
        yield Finding(
            "title", Severity.WARN, "Signs that are allowed only where they mean something.", "item_name", " ".join(found)
        )
    if not rules.holds_phrase(text, item.brand):
        yield Finding("title", Severity.WARN, "The brand is not in the title.", "item_name", item.brand)


def highlights(item: Listing, answer: ListingCopy) -> Iterator[Finding]:
    """Short phrases, and no second title."""
    limit, text = _limits(item), answer.item_highlights
    yield from wording.longer_than({"item_highlights": text}, limit["highlights_chars"], rule="highlights")
    together = len(answer.item_name) + len(text)
    if together > limit["title_and_highlights_chars"]:
        yield Finding("highlights", Severity.WARN, "Title and highlights together are long.", "item_highlights", f"{together}")
    if re.search(r"[.!?](?:\s|$)", text):
        yield Finding("highlights", Severity.WARN, "Phrases with commas, no sentences.", "item_highlights", text[:60])


def bullets(item: Listing, answer: ListingCopy) -> Iterator[Finding]:
    """How many, how long, and what they may not hold."""
    limit, texts = _limits(item), wording.many("bullet", answer.bullets)
    if not limit["bullets_min"] <= len(answer.bullets) <= limit["bullets_max"]:
        yield Finding("bullets", Severity.FAIL, "There must be 3 to 5 bullets.", "bullets", f"{len(answer.bullets)}")
    yield from wording.longer_than(texts, limit["bullet_max_chars"], rule="bullets")
    total = sum(len(bullet) for bullet in answer.bullets)
    if total >= limit["bullets_total_chars"]:
        yield Finding("bullets", Severity.FAIL, "All bullets together must stay under 1,000 characters.", "bullets", f"{total}")
    for field, text in texts.items():
        if len(text) < limit["bullet_min_chars"]:
            yield Finding("bullets", Severity.FAIL, "A bullet of fewer than 10 characters.", field, text)
        if signs := sorted((set(limit["bullet_forbidden"]) & set(text)) | set(_EMOJI.findall(text))):
            yield Finding("bullets", Severity.FAIL, "Signs that no bullet may hold.", field, " ".join(signs))
        if text.rstrip().endswith((".", "!", ";")):
            yield Finding("bullets", Severity.WARN, "Bullets end without a full stop.", field, text[-30:])
    if len({text.casefold() for text in answer.bullets}) < len(answer.bullets):
        yield Finding("bullets", Severity.FAIL, "Two bullets say the same.", "bullets")


def description(item: Listing, answer: ListingCopy) -> Iterator[Finding]:
    """Length, and no HTML but line breaks."""
    yield from wording.longer_than(
        {"product_description": answer.product_description}, _limits(item)["description_chars"], rule="description"
    )  # fmt: skip
    if found := re.search(r"<[^>]*>", _BREAK.sub("", answer.product_description)):
        yield Finding("description", Severity.FAIL, "No HTML but line breaks.", "product_description", found.group(0))


def search_terms(item: Listing, answer: ListingCopy) -> Iterator[Finding]:
    """Bytes, not characters: one byte too many and Amazon ignores the whole attribute."""
    limit, text = _limits(item), answer.search_terms
    size = len(text.encode())
    if size > limit["search_terms_bytes"]:
        yield Finding(
            "search_terms", Severity.FAIL, "Too many bytes: Amazon would ignore all of it.", "search_terms", f"{size} bytes"
        )
    elif size > limit["search_terms_safe_bytes"]:
        yield Finding("search_terms", Severity.WARN, "Over the bytes some stores take.", "search_terms", f"{size} bytes")
    words = [word.casefold() for word in _WORD.findall(text)]
    if repeated := sorted(word for word, count in Counter(words).items() if count > 1):
        yield Finding("search_terms", Severity.WARN, "Words that stand there twice.", "search_terms", " ".join(repeated[:8]))
    if wasted := sorted(_EMPTY_WORDS & set(words)):
        yield Finding("search_terms", Severity.WARN, "Words that Amazon does not allow here.", "search_terms", " ".join(wasted))
    if rules.holds_phrase(text, item.brand):
        yield Finding("search_terms", Severity.FAIL, "Brands do not belong into search terms.", "search_terms", item.brand)


def nothing_forbidden(item: Listing, answer: ListingCopy) -> Iterator[Finding]:
    """Prohibited terms block; identifiers, other people's trademarks and claims without evidence do, too."""
    texts = {**_texts(answer), "search_terms": answer.search_terms}
    yield from wording.claims(texts, "amazon", borne_out=item.claims, rule="prohibited")
    yield from wording.claims(texts, borne_out=item.claims)
    yield from wording.banned_phrases(texts, item.banned_terms, severity=Severity.FAIL)
    yield from wording.personal_data(texts)
    yield from wording.injected(texts)
    for field, text in texts.items():
        if found := _ASIN.search(text):
            yield Finding("prohibited", Severity.FAIL, "An ASIN in a text.", field, found.group(0))
    proven = {claim.partition(":")[0].strip() for claim in item.claims}
    for claim in answer.claims:
        if claim.evidence_id not in proven:
            yield Finding(
                "evidence", Severity.FAIL, "A claim without evidence in the row.", "claims", f"{claim.text} ({claim.evidence_id})"
            )


def facts(item: Listing, answer: ListingCopy) -> Iterator[Finding]:
    """No new figure, and none of today's dropped unseen."""
    yield from wording.figures(_texts(answer), _known(item))
    yield from wording.figures_kept([item.title, *item.bullets], _texts(answer))
    yield from wording.shouting(
        {"item_name": answer.item_name, **wording.many("bullet", answer.bullets)}, [item.brand, *item.attributes, *item.keywords]
    )


_SHORT_SIZE = 3
_OF_A_CHILD = ("size", "colour", "color", "größe", "farbe")


def variation(item: Listing, answer: ListingCopy) -> Iterator[Finding]:
    """Size and colour are a child's: a parent's title that names one is true of a part of its children only."""
    if item.role != "parent":
        return
    for part in item.attributes:
        name, _, values = part.partition(":")
        if name.strip().casefold() not in _OF_A_CHILD:
            continue
        for value in map(str.strip, re.split(r"(?<!\d)[,;/]|[,;/](?!\d)", values)):
            # An M, S or L is a size, and "s" is none; a colour is one in any case.
            flags = re.NOFLAG if len(value) <= _SHORT_SIZE else re.IGNORECASE
            if value and re.search(rf"(?<![\w'’]){re.escape(value)}(?![\w'’])", answer.item_name, flags):
                said = f"{name.strip().casefold()}: {value}"
                yield Finding("variation", Severity.FAIL, "A parent's title names what only a child has.", "item_name", said)


def keywords(item: Listing, answer: ListingCopy) -> Iterator[Finding]:
    """The most wanted keyword is in the title or the bullets; keywords are found in code."""
    if item.keywords and not any(_all_words(item.keywords[0], text) for text in [*_texts(answer).values(), answer.search_terms]):
        yield Finding("keywords", Severity.WARN, "The first keyword is nowhere in the text.", "keyword_places", item.keywords[0])


def _all_words(keyword: str, text: str) -> bool:
    return {word.casefold() for word in _WORD.findall(keyword)} <= {word.casefold() for word in _WORD.findall(text)}


def distinct_titles(rows: Sequence[NightRow]) -> Iterator[tuple[int, Finding]]:
    """Two listings of a night with one title compete with each other."""
    yield from wording.repeated(rows, "item_name", "distinct_titles", "Another listing of this night has the same title.")


WORKFLOW = Workflow(
    name="amazon_listings",
    title="Amazon listings",
    item=Listing,
    answer=ListingCopy,
    id_field="sku",
    rules=(title, highlights, bullets, description, search_terms, nothing_forbidden, facts, variation, keywords),
    night_rules=(distinct_titles,),
    expectations=(
        Expectation("ExpectColumnValueLengthsToBeBetween", {"column": "item_name", "max_value": 200}, Severity.FAIL),
        Expectation("ExpectColumnValuesToNotBeNull", {"column": "product_description"}, Severity.FAIL),
        Expectation("ExpectColumnValuesToBeUnique", {"column": "item_name"}, Severity.NOTE),
    ),
    review=Review(
        minutes=60,
        title=lambda item: f"{item.get('sku', '')}: {str(item.get('title', ''))[:80]}",
        mode=Mode.ITEM,
        first=("item_name", "item_highlights", "bullets", "product_description", "search_terms"),
        before={
            "item_name": "title", "item_highlights": "highlights", "bullets": "bullets", "product_description": "description",
            "search_terms": "search_terms",
        },
        editable=("item_name", "item_highlights", "product_description", "search_terms"),
    ),
    targets=("amazon_flat_file", "json"),
    cap=50,
    vendor="anthropic",
    model="claude-sonnet-5",
    max_output_tokens=3_000,
    steps=(Step("rewrite"),),
)  # fmt: skip
