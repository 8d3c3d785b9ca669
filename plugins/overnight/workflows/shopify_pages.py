"""Shopify pages: 30 to 100 product pages a night get a description, SEO fields and tags, from the product's facts alone.

The description's HTML is kept to an allow-list; lengths are counted in code. Limits: include/limits/shopify.yaml.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import BaseModel, Field

from overnight.validation import html, limits, rules, wording
from overnight.workflow import Expectation, Finding, Mode, NightRow, Review, Severity, Step, Workflow
from overnight.workflows._fields import QueueRow, Texts, Whole

_HARD_CODED = re.compile(
    r"[$€£]\s?\d|\d\s?[$€£]|\d+(?:[.,]\d+)?\s?(?:USD|EUR|GBP|euros?|dollars?|pounds sterling)\b|\bin stock\b|\bout of stock\b"
    r"|\bonly \d+ left\b|(?<![\w-])free (?!to )(?:\w+ )?(?:shipping|delivery|returns?|postage)\b"
    r"|\b(?:ships?|delivered|delivery) (?:in|within) (?:\d|\w+ (?:hours?|(?:working |business )?days?|weeks?)\b)"
    r"|\bon sale\b|\bhalf (?:the )?price\b|\bhalf[- ]off\b"
    r"|\b(?:nicht )?auf lager\b|\bversandkostenfrei\w*|\b(?:kostenlos|gratis)\w* (?:versand|lieferung|rücksendung)"
    r"|\bim angebot\b|\blieferbar (?:in|innerhalb)\b",
    re.IGNORECASE,
)


class Page(QueueRow):
    """A product page as it stands. Everything the new one may say stands here."""

    handle: str = Field(min_length=1, max_length=255, pattern=r"^[^\s/]+$")
    title: str = Field(min_length=1, max_length=255)
    body_html: str = Field(default="", max_length=40_000)
    vendor: str = Field(default="", max_length=255)
    product_type: str = Field(default="", max_length=255)
    tags: Texts = Field(default_factory=list, max_length=250)
    options: Texts = Field(default_factory=list, max_length=60)  # "Colour: Blue, Red"
    facts: Texts = Field(default_factory=list, max_length=40)
    seo_title: str = Field(default="", max_length=500)
    seo_description: str = Field(default="", max_length=1000)
    image_alt: str = Field(default="", max_length=1000)
    keywords: Texts = Field(default_factory=list, max_length=10)
    title_suffix_chars: Whole = Field(default=0, ge=0, le=60)  # what the theme adds to the shown title


class PageCopy(BaseModel):
    """The new page."""

    title: str = Field(min_length=1, max_length=300)
    description_html: str = Field(min_length=30, max_length=20_000)
    seo_title: str = Field(min_length=5, max_length=200)
    seo_description: str = Field(min_length=20, max_length=600)
    image_alt: str = Field(max_length=700)
    tags_add: list[str] = Field(max_length=20)
    tags_remove: list[str] = Field(max_length=20)
    suggested_handle: str | None = Field(max_length=255)


def _limits() -> dict[str, Any]:
    return limits.of("shopify")


def _texts(answer: PageCopy) -> dict[str, str]:
    return {
        "title": answer.title, "description_html": answer.description_html, "seo_title": answer.seo_title,
        "seo_description": answer.seo_description, "image_alt": answer.image_alt, **wording.many("tag", answer.tags_add),
    }  # fmt: skip


def html_is_clean(item: Page, answer: PageCopy) -> Iterator[Finding]:
    """Only the allowed tags, no attributes that act, no address, no skipped heading."""
    for found in html.not_allowed(answer.description_html, _limits()["html_tags"]):
        yield Finding("html_is_clean", Severity.FAIL, "HTML that a description may not hold.", "description_html", found)
    for url in rules.links(answer.description_html):
        yield Finding("html_is_clean", Severity.FAIL, "An address in a description.", "description_html", url)
    levels = html.heading_levels(answer.description_html)
    if (skipped := rules.skipped_level(levels)) is not None:
        yield Finding("html_is_clean", Severity.WARN, f"A heading jumps to level {skipped}.", "description_html")
    others = {name: text for name, text in _texts(answer).items() if name != "description_html"}
    yield from wording.injected(others)
    yield from wording.injected({"description_html": wording.plain(answer.description_html)})


def lengths(item: Page, answer: PageCopy) -> Iterator[Finding]:
    """What Shopify's fields take, and what people see of them."""
    limit = _limits()
    for field, text, most, shown in (
        ("title", answer.title, limit["title_chars"], limit["title_shown"]),
        ("seo_title", answer.seo_title, limit["seo_title_chars"], limit["seo_title_shown"] - item.title_suffix_chars),
        ("seo_description", answer.seo_description, limit["seo_description_chars"], limit["seo_description_shown"]),
        ("image_alt", answer.image_alt, limit["alt_chars"], limit["alt_useful"]),
    ):
        if len(text) > most:
            yield Finding("lengths", Severity.FAIL, f"The field takes {most} characters.", field, f"{len(text)}")
        elif len(text) > shown:
            yield Finding("lengths", Severity.WARN, f"About {shown} characters are shown.", field, f"{len(text)}")
    low, high = limit["body_words"]
    count = rules.words(wording.plain(answer.description_html))
    if not low <= count <= high:
        # Few facts make a short page, and padding is worse: only too much is looked at.
        severity = Severity.NOTE if count < low else Severity.WARN
        yield Finding("lengths", severity, f"A description has {low} to {high} words.", "description_html", f"{count} words")


def nothing_that_changes(item: Page, answer: PageCopy) -> Iterator[Finding]:
    """Price, stock and shipping are the shop's to say: a text that names them is wrong next week."""
    for field, text in _texts(answer).items():
        if found := _HARD_CODED.search(wording.plain(text)):
            yield Finding("nothing_that_changes", Severity.FAIL, "Price, stock or shipping in a text.", field, found.group(0))


def facts(item: Page, answer: PageCopy) -> Iterator[Finding]:
    """No figure that the product does not have; none dropped unseen; no claim that nobody checked."""
    known = [
        item.title,
        item.body_html,
        item.product_type,
        *item.tags,
        *item.options,
        *item.facts,
        item.seo_title,
        item.seo_description,
    ]
    yield from wording.figures(_texts(answer), known)
    yield from wording.figures_kept(
        [item.title, item.body_html], {"description_html": answer.description_html, "title": answer.title}
    )
    yield from wording.claims(_texts(answer), given=[item.body_html, *item.facts])
    yield from wording.banned_phrases(_texts(answer))
    yield from wording.personal_data(_texts(answer))


def address(item: Page, answer: PageCopy) -> Iterator[Finding]:
    """A changed handle breaks links until there is a redirect: someone who may say yes decides."""
    if answer.suggested_handle and answer.suggested_handle != item.handle:
        yield Finding(
            "address", Severity.ESCALATE, "A new address needs a redirect.", "suggested_handle", answer.suggested_handle
        )


def search(item: Page, answer: PageCopy) -> Iterator[Finding]:
    """The keyword once in the SEO title; an alt text says what is to be seen."""
    if item.keywords:
        count = len(re.findall(rf"(?<!\w){re.escape(item.keywords[0])}(?!\w)", answer.seo_title, re.IGNORECASE))
        if count != 1:
            yield Finding(
                "search",
                Severity.WARN,
                "The keyword stands once in the SEO title.",
                "seo_title",
                f"{item.keywords[0]} ({count}×)",
            )
    if re.match(r"\s*(?:an? )?(?:image|picture|photo) of", answer.image_alt, re.IGNORECASE):
        yield Finding(
            "search", Severity.WARN, "An alt text does not say that it is an image.", "image_alt", answer.image_alt[:40]
        )


def tags(item: Page, answer: PageCopy) -> Iterator[Finding]:
    """Removed tags are there, added ones are new, and Shopify's number is kept."""
    known = {tag.casefold() for tag in item.tags}
    for tag in answer.tags_remove:
        if tag.casefold() not in known:
            yield Finding("tags", Severity.WARN, "A tag to remove that the product does not have.", "tags_remove", tag)
    total = len((known - {tag.casefold() for tag in answer.tags_remove}) | {tag.casefold() for tag in answer.tags_add})
    if total > _limits()["tags_max"]:
        yield Finding("tags", Severity.FAIL, "Shopify takes 250 tags a product.", "tags_add", f"{total}")
    if any("," in tag for tag in answer.tags_add):
        yield Finding("tags", Severity.FAIL, "A tag holds no comma: Shopify would read two.", "tags_add")


def unique_seo_titles(rows: Sequence[NightRow]) -> Iterator[tuple[int, Finding]]:
    """Two pages with one SEO title compete with each other."""
    yield from wording.repeated(rows, "seo_title", "unique_seo_titles", "Another page of this night has the same SEO title.")


WORKFLOW = Workflow(
    name="shopify_pages",
    title="Shopify pages",
    item=Page,
    answer=PageCopy,
    id_field="handle",
    rules=(html_is_clean, lengths, nothing_that_changes, facts, address, search, tags),
    night_rules=(unique_seo_titles,),
    expectations=(
        Expectation("ExpectColumnValueLengthsToBeBetween", {"column": "seo_title", "max_value": 70}, Severity.FAIL),
        Expectation("ExpectColumnValueLengthsToBeBetween", {"column": "seo_description", "max_value": 320}, Severity.FAIL),
        Expectation("ExpectColumnValuesToBeUnique", {"column": "seo_title"}, Severity.NOTE),
    ),
    review=Review(
        minutes=75,
        title=lambda item: f"{item.get('title', '')} (/{item.get('handle', '')})",
        mode=Mode.ITEM,
        first=("title", "description_html", "seo_title", "seo_description", "image_alt", "tags_add", "tags_remove"),
        before={
            "title": "title", "description_html": "body_html", "seo_title": "seo_title", "seo_description": "seo_description",
            "image_alt": "image_alt",
        },
        editable=("title", "description_html", "seo_title", "seo_description", "image_alt"),
    ),
    targets=("shopify_csv", "json"),
    cap=100,
    vendor="openai",
    model="gpt-5-mini",
    max_output_tokens=4_000,
    fallback=("gemini", "gemini-2.5-flash"),
    steps=(Step("rewrite"),),
)  # fmt: skip
