"""E-mail and SMS: 10 to 30 campaigns a night. Offers, dates and links come from the brief; segments, merge tags, sender and
the way out are checked in code. No recipient is ever read: a segment is a description.

Limits with their sources: include/limits/messages.yaml.
"""

import re
from collections.abc import Iterator
from html import unescape
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, model_validator

from overnight.validation import html, lexicon, limits, rules, sms, wording
from overnight.workflow import Expectation, Finding, Review, Severity, Step, Workflow
from overnight.workflows._fields import Day, QueueRow, Texts, Url

_TAG = re.compile(r"\{\{\s*([\w.]+)\s*(\|[^}]*)?\}\}|\{%\s*(\w+)[^%]*%\}")
_FALLBACK = re.compile(
    r"\bdefault\s*(?::|\()\s*([\"'])(.*?)\1"
)  # liquid and Django: default: "x", default:'x'; Jinja: default('x')
_HREF = re.compile(r"href\s*=\s*[\"']([^\"']*)[\"']", re.IGNORECASE)
_EMAIL_TAGS = [
    "p",
    "br",
    "ul",
    "ol",
    "li",
    "strong",
    "em",
    "b",
    "i",
    "h1",
    "h2",
    "h3",
    "table",
    "tbody",
    "tr",
    "td",
    "div",
    "span",
    "a",
    "img",
    "hr",
]


_SURE = "com|net|org|info|biz|shop|store|online|site|xyz|app|io|ly|example|co\\.uk|de"
_WITH_A_PATH = f"{_SURE}|co|uk|eu|us|fr|it|es|nl|pl|ch|at|me|link|click|top|cc|gg|to"
_BARE = re.compile(
    rf"(?<![\w@./-])(?:(?:[a-z0-9-]+\.)+(?:(?:{_WITH_A_PATH})/\S*|(?:{_SURE})(?![\w./-]*\w))|www\.[\w.-]+)", re.IGNORECASE
)
"""An address without its https://; without a path behind it only where its end is no word ("done.It is" is none)."""


class Campaign(QueueRow):
    """One message to be written."""

    campaign_id: str = Field(min_length=1, max_length=64)
    channel: Literal["email", "sms"]
    kind: Literal["marketing", "transactional"] = "marketing"
    segment: str = Field(min_length=3, max_length=300)  # a description; never a list of people
    objective: str = Field(min_length=3, max_length=300)
    facts: Texts = Field(default_factory=list, max_length=20)
    offer: str = Field(default="", max_length=300)
    terms: str = Field(default="", max_length=500)
    offer_ends: Day | None = None
    send_on: Day
    sender: str = Field(min_length=2, max_length=60)
    landing_url: Url = Field(min_length=8)
    merge_tags: Texts = Field(default_factory=list, max_length=20)  # "first_name:14": the tag and its longest value
    unsubscribe_tag: str = Field(default="{% unsubscribe %}", max_length=80)
    address_tag: str = Field(default="{{ organization.full_address }}", max_length=80)
    opt_out: str = Field(default="Reply STOP to opt out", max_length=80)
    previous_subjects: Texts = Field(default_factory=list, max_length=20)
    max_segments: int = Field(default=2, ge=1, le=10)

    @model_validator(mode="after")
    def _in_time(self) -> "Campaign":
        if self.offer_ends and self.offer_ends < self.send_on:
            raise ValueError(f"the offer ends on {self.offer_ends}, before the message is sent on {self.send_on}")
        return self


class Message(BaseModel):
    """The message; the other channel's fields stay empty."""

    subject: str = Field(max_length=300)
    subject_variants: list[str] = Field(max_length=5)
    preheader: str = Field(max_length=300)
    body_html: str = Field(max_length=150_000)
    plaintext: str = Field(max_length=20_000)
    cta_label: str = Field(max_length=60)
    sms_text: str = Field(max_length=2000)


def _texts(item: Campaign, answer: Message) -> dict[str, str]:
    if item.channel == "sms":
        return {"sms_text": answer.sms_text}
    return {
        "subject": answer.subject, **wording.many("subject variant", answer.subject_variants), "preheader": answer.preheader,
        "body_html": answer.body_html, "plaintext": answer.plaintext, "cta_label": answer.cta_label,
    }  # fmt: skip


def _lengths_of_tags(item: Campaign) -> dict[str, int]:
    parts = (tag.partition(":") for tag in item.merge_tags)
    return {name.strip(): int(size) if size.strip().isdigit() else 20 for name, _, size in parts}


def filled(item: Campaign, text: str) -> str:
    """A text with its merge tags at their longest: what is sent in the worst case."""
    sizes = _lengths_of_tags(item)

    def longest(tag: re.Match[str]) -> str:
        fallback = _FALLBACK.search(tag.group(2) or "")
        return "x" * max(sizes.get(tag.group(1) or "", 20), len(fallback[2]) if fallback else 0)

    return _TAG.sub(longest, text)


def right_channel(item: Campaign, answer: Message) -> Iterator[Finding]:
    """An e-mail has a subject, HTML and plain text; an SMS has its text."""
    missing = [name for name, text in _texts(item, answer).items() if not text.strip()]
    for name in missing:
        yield Finding("right_channel", Severity.FAIL, f"This {item.channel} lacks a part.", name)
    other = answer.sms_text if item.channel == "email" else f"{answer.subject}{answer.body_html}"
    if other.strip():
        yield Finding("right_channel", Severity.WARN, "A part of the other channel is filled in.", None)


def subject_and_preheader(item: Campaign, answer: Message) -> Iterator[Finding]:
    """Lengths, honesty, and not the same line again."""
    if item.channel != "email":
        return
    limit = limits.of("messages")
    for name, text in {"subject": answer.subject, **wording.many("subject variant", answer.subject_variants)}.items():
        size = len(filled(item, text))
        if size > limit["subject_chars"]:
            yield Finding("subject_and_preheader", Severity.FAIL, "The subject is too long.", name, f"{size} characters")
        elif size > limit["subject_shown"]:
            yield Finding("subject_and_preheader", Severity.WARN, "Phones cut this subject.", name, f"{size} characters")
        for old in item.previous_subjects:
            if _alike(text, old):
                yield Finding("subject_and_preheader", Severity.WARN, "Nearly a subject that was sent before.", name, old)
    low, high = limit["preheader_window"]
    size = len(filled(item, answer.preheader))
    if size > limit["preheader_chars"] or not low <= size <= high:
        severity = Severity.FAIL if size > limit["preheader_chars"] else Severity.WARN
        yield Finding(
            "subject_and_preheader", severity, "A preheader has 40 to 100 characters.", "preheader", f"{size} characters"
        )
    if _alike(answer.subject, answer.preheader):
        yield Finding("subject_and_preheader", Severity.WARN, "The preheader repeats the subject.", "preheader")


def _alike(a: str, b: str) -> bool:
    from rapidfuzz import fuzz

    return fuzz.token_sort_ratio(a.casefold(), b.casefold()) >= 90


def sms_size(item: Campaign, answer: Message) -> Iterator[Finding]:
    """Segments in the worst case; one sign outside GSM-7 more than halves what fits."""
    if item.channel != "sms":
        return
    limit, sent = limits.of("messages"), filled(item, answer.sms_text)
    size = sms.size(sent)
    said = f"{size.encoding}, {size.units} units, {size.segments} segments"
    if len(sent) > limit["sms_chars"]:
        yield Finding("sms_size", Severity.FAIL, "Longer than providers take.", "sms_text", said)
    if size.segments > item.max_segments:
        yield Finding("sms_size", Severity.FAIL, f"The brief pays for {item.max_segments} segments.", "sms_text", said)
    if size.encoding == "UCS-2":
        signs = " ".join(sms.outside_gsm(sent)[:8])
        yield Finding("sms_size", Severity.WARN, "Signs outside GSM-7 make the message dearer.", "sms_text", f"{signs} ({said})")


def the_way_out(item: Campaign, answer: Message) -> Iterator[Finding]:
    """Who writes and how to stop it: without them a marketing message is against the law."""
    if item.channel == "sms":
        if not rules.holds_phrase(rules.URL.sub(" ", answer.sms_text), item.sender):
            yield Finding("the_way_out", Severity.FAIL, "The message does not say who writes.", "sms_text", item.sender)
        told = item.opt_out.casefold() in answer.sms_text.casefold()
        if item.kind == "marketing" and not (told or re.search(limits.of("messages")["opt_out"], answer.sms_text, re.IGNORECASE)):
            yield Finding("the_way_out", Severity.FAIL, "The message does not say how to opt out.", "sms_text", item.opt_out)
        return
    for name, tag in (("unsubscribe", item.unsubscribe_tag), ("postal address", item.address_tag)):
        if item.kind == "marketing" and not (tag in answer.body_html and tag in answer.plaintext):
            yield Finding("the_way_out", Severity.FAIL, f"The {name} tag is not in HTML and plain text.", "body_html", tag)


def merge_tags(item: Campaign, answer: Message) -> Iterator[Finding]:
    """Only the tags the brief allows, whole, each with a word for those who have no value."""
    allowed = set(_lengths_of_tags(item))
    own = {item.unsubscribe_tag, item.address_tag}
    for field, text in _texts(item, answer).items():
        rest = text
        for match in _TAG.finditer(text):
            rest = rest.replace(match.group(0), "")
            name = match.group(1)
            if match.group(0) in own:
                continue
            if name is None or name not in allowed:
                yield Finding("merge_tags", Severity.FAIL, "A merge tag the brief does not allow.", field, match.group(0))
            elif not _FALLBACK.search(match.group(2) or ""):
                yield Finding("merge_tags", Severity.WARN, "A merge tag without a fallback.", field, match.group(0))
        if "{{" in rest or "}}" in rest or "{%" in rest:
            yield Finding("merge_tags", Severity.FAIL, "A broken merge tag.", field)


def links(item: Campaign, answer: Message) -> Iterator[Finding]:
    """Every address leads to the brand's own domain."""
    own = (urlsplit(item.landing_url).hostname or "").removeprefix("www.")
    for field, text in _texts(item, answer).items():
        for url in {*rules.links(text), *_HREF.findall(text)}:
            if _TAG.fullmatch(url.strip()):
                continue
            host = (urlsplit(url).hostname or "").removeprefix("www.")
            if host != own and not host.endswith(f".{own}"):
                yield Finding("links", Severity.FAIL, "An address that is not the brand's.", field, url)
        for bare in _BARE.findall(rules.URL.sub(" ", text)) if field in ("sms_text", "plaintext") else ():
            host = bare.partition("/")[0].casefold().rstrip(".-").removeprefix("www.")
            if host != own and not host.endswith(f".{own}"):  # phones make a link of it
                yield Finding("links", Severity.FAIL, "An address that is not the brand's.", field, bare)
    place = answer.sms_text if item.channel == "sms" else unescape(answer.body_html)
    if item.landing_url not in place:
        yield Finding("links", Severity.WARN, "The landing page is not linked.", None, item.landing_url)


def html_is_clean(item: Campaign, answer: Message) -> Iterator[Finding]:
    """No script, no form, nothing that acts; under Gmail's cut."""
    if item.channel != "email":
        yield from wording.injected({"sms_text": answer.sms_text})
        return
    bare = re.sub(r"\s(?:href|src|alt|width|height|style|align)\s*=\s*(?:\"[^\"]*\"|'[^']*')", "", answer.body_html)
    for found in html.not_allowed(bare, _EMAIL_TAGS):
        yield Finding("html_is_clean", Severity.FAIL, "HTML that an e-mail may not hold.", "body_html", found)
    if re.search(r"(?:href|src)\s*=\s*[\"']?\s*(?:javascript|data|vbscript):", answer.body_html, re.IGNORECASE):
        yield Finding("html_is_clean", Severity.FAIL, "An address that would act.", "body_html")
    if (size := len(answer.body_html.encode())) > limits.of("messages")["html_bytes"]:
        yield Finding("html_is_clean", Severity.FAIL, "Gmail cuts an e-mail of this size.", "body_html", f"{size} bytes")
    yield from wording.injected({name: text for name, text in _texts(item, answer).items() if name != "body_html"})


def offer_is_the_briefs(item: Campaign, answer: Message) -> Iterator[Finding]:
    """Prices, percentages, codes and dates are copied from the brief."""
    known = [
        item.offer,
        item.terms,
        *item.facts,
        item.objective,
        item.landing_url,
        item.sender,
        item.opt_out,
        item.send_on.isoformat(),
    ]
    if item.offer_ends:
        known += [item.offer_ends.isoformat(), f"{item.offer_ends.day} {item.offer_ends.strftime('%B')} {item.offer_ends.year}"]
    texts = {name: unescape(_HREF.sub("", _TAG.sub(" ", text))) for name, text in _texts(item, answer).items()}
    yield from wording.figures(texts, known, severity=Severity.FAIL, rule="offer_is_the_briefs")
    dates = [item.send_on.isoformat(), *([item.offer_ends.isoformat()] if item.offer_ends else [])]
    yield from wording.offered(texts, [item.offer, item.terms, *item.facts, item.objective, *dates], rule="offer_is_the_briefs")
    if item.offer and not any(part in " ".join(texts.values()) for part in rules.figures(item.offer) or {""}):
        yield Finding("offer_is_the_briefs", Severity.WARN, "The offer's figure is nowhere in the message.", None, item.offer)


def words(item: Campaign, answer: Message) -> Iterator[Finding]:
    """Claims, spam words, capitals, the brand's own list."""
    texts = {name: unescape(_TAG.sub(" ", text)) for name, text in _texts(item, answer).items()}
    yield from wording.claims(texts, given=[item.terms, *item.facts])
    for field, text in texts.items():
        for hit in lexicon.hits("spam", wording.plain(text)):
            yield Finding("spam_words", Severity.WARN, f"{hit.term}: {hit.why}", field, hit.found)
    yield from wording.shouting(texts, [item.sender, item.offer, item.terms, item.opt_out])
    yield from wording.banned_phrases(texts)
    yield from wording.personal_data(texts)


def needs_a_name(item: Campaign, answer: Message) -> Iterator[Finding]:
    """A message with an offer is approved by somebody named (T2), whatever else is fine."""
    if item.offer:
        yield Finding(
            "needs_a_name", Severity.ESCALATE, "It carries an offer: someone who may say yes approves it.", None, item.offer
        )


def table(row: Any) -> dict[str, Any]:
    """The columns the night's expectations look at."""
    answer = row.answer
    return {
        "subject": answer.get("subject") or None,
        "sms_text": answer.get("sms_text") or None,
        "channel": row.item.get("channel"),
    }


WORKFLOW = Workflow(
    name="email_sms",
    title="E-mail and SMS",
    item=Campaign,
    answer=Message,
    id_field="campaign_id",
    rules=(
        right_channel, subject_and_preheader, sms_size, the_way_out, merge_tags, links, html_is_clean, offer_is_the_briefs, words,
        needs_a_name,
    ),
    expectations=(
        Expectation("ExpectColumnValuesToBeUnique", {"column": "subject"}, Severity.WARN),
        Expectation("ExpectColumnValuesToBeInSet", {"column": "channel", "value_set": ["email", "sms"]}, Severity.FAIL),
    ),
    table=table,
    review=Review(
        minutes=45,
        title=lambda item: f"{item.get('channel', '')} · {item.get('objective', '')}",
        first=("subject", "subject_variants", "preheader", "sms_text", "plaintext", "body_html", "cta_label"),
        editable=("subject", "preheader", "sms_text", "plaintext", "body_html", "cta_label"),
    ),
    targets=("klaviyo_csv", "json"),
    cap=30,
    vendor="anthropic",
    model="claude-sonnet-5",
    max_output_tokens=6_000,
    steps=(Step("write"),),
)  # fmt: skip
