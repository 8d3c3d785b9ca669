"""Blog drafts: 5 to 15 briefs a night, each reviewed by a person for 5 to 10 minutes.

Facts, links and sources come from the brief alone; lengths, headings, links, numbers and claims are checked in code.
Limits with their sources: include/prompts/blog_drafts/doc.md.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, Field, model_validator

from overnight.validation import promises, rules, wording
from overnight.workflow import Expectation, Finding, NightRow, Review, Severity, Step, Workflow
from overnight.workflows._fields import QueueRow, Texts, Urls

META_TITLE = (60, 70)  # shown by Google / Shopify's field (domain 7.1)
META_DESCRIPTION = (160, 320)
QUICK_ANSWER_WORDS = (40, 60)
OUTLINE_SECTIONS = 3
FAQS = (3, 6)


class Brief(QueueRow):
    """What a person wants written, and everything the draft may say and link."""

    brief_id: str = Field(min_length=1, max_length=64)
    title: str = Field(min_length=5, max_length=150)
    primary_query: str = Field(min_length=2, max_length=150)
    secondary_queries: Texts = Field(default_factory=list, max_length=10)
    audience: str = Field(default="", max_length=300)
    facts: Texts = Field(min_length=1, max_length=30)
    sources: Urls = Field(default_factory=list, max_length=20)
    internal_links: Urls = Field(default_factory=list, max_length=20)
    min_words: int = Field(default=400, ge=150, le=4000)
    max_words: int = Field(default=1200, ge=200, le=5000)
    author: str = Field(min_length=2, max_length=120)

    @model_validator(mode="after")
    def _window(self) -> "Brief":
        if self.min_words >= self.max_words:
            raise ValueError(f"min_words ({self.min_words}) must be below max_words ({self.max_words})")
        return self


class Section(BaseModel):
    """One section of an outline: its heading and what it will say."""

    heading: str = Field(min_length=5, max_length=150)
    points: list[str] = Field(min_length=1, max_length=8)


class Outline(BaseModel):
    """The plan of a draft: the first step, bought for a fraction of the draft's price."""

    angle: str = Field(min_length=10, max_length=400)
    sections: list[Section] = Field(max_length=14)
    left_out: list[str] = Field(max_length=10)


class OutlinedBrief(Brief):
    """What the draft is written from: the brief, and the plan that was made of it."""

    outline: Outline


class Faq(BaseModel):
    """One question and its answer."""

    question: str = Field(min_length=5, max_length=200)
    answer: str = Field(min_length=10, max_length=800)


class Citation(BaseModel):
    """A claim of the draft and the source that bears it out."""

    claim: str = Field(min_length=5, max_length=500)
    url: str = Field(min_length=1, max_length=2000)


class BlogDraft(BaseModel):
    """A draft a named author can stand behind, or edit until they can."""

    title: str = Field(min_length=5, max_length=150)
    slug: str = Field(pattern=r"^[a-z0-9]+(?:-[a-z0-9]+)*$", max_length=100)
    meta_title: str = Field(min_length=5, max_length=200)
    meta_description: str = Field(min_length=20, max_length=500)
    quick_answer: str = Field(min_length=20, max_length=800)
    body_markdown: str = Field(min_length=200, max_length=40_000)
    faqs: list[Faq] = Field(max_length=12)
    internal_links: list[str] = Field(max_length=20)
    citations: list[Citation] = Field(max_length=30)
    image_brief: str = Field(max_length=800)


def outline_is_a_plan(item: Brief, answer: Outline) -> Iterator[Finding]:
    """A plan has at least three sections, each once, and speaks of what the brief knows."""
    headings = [section.heading.casefold() for section in answer.sections]
    if len(headings) < OUTLINE_SECTIONS:
        yield Finding(
            "outline_is_a_plan", Severity.FAIL, "A draft needs at least three sections.", "sections", f"{len(headings)}"
        )
    if len(set(headings)) < len(headings):
        yield Finding("outline_is_a_plan", Severity.FAIL, "Two sections have the same heading.", "sections")
    text = " ".join([answer.angle, *(point for section in answer.sections for point in section.points)])
    for url in rules.foreign_links(rules.links(text), [*item.sources, *item.internal_links]):
        yield Finding("outline_is_a_plan", Severity.FAIL, "This address is not in the brief.", "sections", url)


def follows_the_outline(item: OutlinedBrief, answer: BlogDraft) -> Iterator[Finding]:
    """The draft has the sections that were planned; a person sees which are gone."""
    body = answer.body_markdown.casefold()
    gone = [section.heading for section in item.outline.sections if section.heading.casefold().rstrip("?") not in body]
    if len(gone) > len(item.outline.sections) / 2:
        yield Finding("follows_the_outline", Severity.WARN, "Most planned sections are not there.", "body_markdown", gone[0])


def _with_outline(item: dict[str, Any], outputs: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    return {**item, "outline": outputs["outline"]}


def _text(answer: BlogDraft) -> str:
    faqs = "\n".join(f"{faq.question}\n{faq.answer}" for faq in answer.faqs)
    return "\n".join([answer.title, answer.meta_title, answer.quick_answer, answer.body_markdown, faqs, answer.meta_description])


def length(item: Brief, answer: BlogDraft) -> Iterator[Finding]:
    """The body keeps the brief's word range; far outside it, it is not the text that was asked for."""
    count = rules.words(answer.body_markdown)
    if item.min_words <= count <= item.max_words:
        return
    far = count < item.min_words / 2 or count > item.max_words * 2
    said = f"{count} words, asked for {item.min_words} to {item.max_words}"
    yield Finding("length", Severity.FAIL if far else Severity.WARN, "The length is off the brief.", "body_markdown", said)


def meta_lengths(item: Brief, answer: BlogDraft) -> Iterator[Finding]:
    """Search engines cut what is too long; Shopify refuses what is longer still."""
    pairs = (("meta_title", answer.meta_title, META_TITLE),
             ("meta_description", answer.meta_description, META_DESCRIPTION))  # fmt: skip
    for name, text, (shown, allowed) in pairs:
        if len(text) > allowed:
            yield Finding("meta_lengths", Severity.FAIL, f"Longer than the {allowed} allowed.", name, f"{len(text)}")
        elif len(text) > shown:
            yield Finding("meta_lengths", Severity.WARN, f"Longer than the {shown} shown.", name, f"{len(text)}")


def quick_answer(item: Brief, answer: BlogDraft) -> Iterator[Finding]:
    """The first paragraph answers the query in 40 to 60 words."""
    count = rules.words(answer.quick_answer)
    low, high = QUICK_ANSWER_WORDS
    if not low <= count <= high:
        yield Finding(
            "quick_answer", Severity.WARN, f"The quick answer should have {low} to {high} words.", "quick_answer",
            f"{count} words",
        )  # fmt: skip


def structure(item: Brief, answer: BlogDraft) -> Iterator[Finding]:
    """The title is the one H1; headings go down a level at a time; three to six questions close the text."""
    levels = rules.heading_levels(answer.body_markdown)
    if 1 in levels:
        yield Finding("structure", Severity.WARN, "The body has an H1; the title is the page's only one.", "body_markdown")
    if not levels:
        yield Finding("structure", Severity.WARN, "The body has no headings.", "body_markdown")
    if (skipped := rules.skipped_level(levels)) is not None:
        yield Finding("structure", Severity.WARN, f"A heading jumps to level {skipped}.", "body_markdown")
    if not FAQS[0] <= len(answer.faqs) <= FAQS[1]:
        yield Finding("structure", Severity.WARN, "There should be 3 to 6 questions.", "faqs", f"{len(answer.faqs)}")


def links_from_the_brief(item: Brief, answer: BlogDraft) -> Iterator[Finding]:
    """An address that is not in the brief is invented: such a draft is not shown as good."""
    found = rules.links(_text(answer)) + answer.internal_links + [citation.url for citation in answer.citations]
    for url in rules.foreign_links(found, [*item.sources, *item.internal_links]):
        yield Finding("links_from_the_brief", Severity.FAIL, "This address is not in the brief.", "body_markdown", url)


def numbers_are_sourced(item: Brief, answer: BlogDraft) -> Iterator[Finding]:
    """A figure that is in no fact of the brief may be invented; a person checks it."""
    known = rules.figures(" ".join([*item.facts, item.title, item.primary_query, *item.secondary_queries]))
    text, given = wording.plain(_text(answer)), " ".join(item.facts)
    for number in sorted(rules.figures(text) - known) + sorted(promises.amounts(text) - promises.amounts(given)):
        yield Finding("numbers_are_sourced", Severity.WARN, "This figure is in no fact of the brief.", "body_markdown", number)


def claims(item: Brief, answer: BlogDraft) -> Iterator[Finding]:
    """Banned claims fail the draft; claims that need evidence or a named approver put it first."""
    yield from wording.claims({"body_markdown": _text(answer)}, given=item.facts)


def banned_phrases(item: Brief, answer: BlogDraft) -> Iterator[Finding]:
    """The brand does not talk like this."""
    from overnight.brand import brand

    text = _text(answer).lower()
    for phrase in brand().banned_phrases:
        if phrase.lower() in text:
            yield Finding("banned_phrases", Severity.WARN, "A phrase the brand does not use.", "body_markdown", phrase)


def no_foreign_hand(item: Brief, answer: BlogDraft) -> Iterator[Finding]:
    """No markup that acts, no piece of the prompt: a source's text was taken for an order."""
    yield from wording.injected({"body_markdown": _text(answer), "image_brief": answer.image_brief})


def distinct_drafts(rows: Sequence[NightRow]) -> Iterator[tuple[int, Finding]]:
    """Two drafts of one night must not be the same text, or claim the same address."""
    texts = [(row.item_id, row.answer["body_markdown"]) for row in rows]
    for a, b, share in rules.near_duplicates(texts):
        for item_id in (a, b):
            yield item_id, Finding(
                "distinct_drafts", Severity.WARN, "Nearly the same text as another draft of this night.",
                "body_markdown", f"{share:.0%} in common",
            )  # fmt: skip


WORKFLOW = Workflow(
    name="blog_drafts",
    title="Blog drafts",
    item=Brief,
    answer=BlogDraft,
    id_field="brief_id",
    rules=(
        length, meta_lengths, quick_answer, structure, links_from_the_brief, numbers_are_sourced, claims,
        banned_phrases, no_foreign_hand, follows_the_outline,
    ),
    night_rules=(distinct_drafts,),
    expectations=(
        Expectation("ExpectColumnValuesToBeUnique", {"column": "slug"}, Severity.WARN),
        Expectation("ExpectColumnValueLengthsToBeBetween", {"column": "meta_title", "max_value": META_TITLE[1]}, Severity.FAIL),
        Expectation("ExpectColumnValuesToNotBeNull", {"column": "body_markdown"}, Severity.FAIL),
    ),
    review=Review(
        minutes=90, title=lambda item: str(item["title"]), document="body_markdown",
        first=("title", "quick_answer", "body_markdown", "meta_title", "meta_description", "slug"),
    ),
    targets=("markdown", "json"),
    cap=15,
    vendor="anthropic",
    model="claude-sonnet-5",
    max_output_tokens=8_000,
    steps=(
        Step("outline", answer=Outline, rules=(outline_is_a_plan,), max_output_tokens=2_000, shown=False),
        Step("draft", after=("outline",), take=_with_outline, item=OutlinedBrief),
    ),
)  # fmt: skip
