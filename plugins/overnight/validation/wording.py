"""Rules that every text for customers shares: claims, the brand's words, figures that nobody gave, personal data.

A workflow hands in its texts by field; what is found says the field and the words.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import unescape

from overnight.validation import lexicon, promises, rules
from overnight.workflow import Finding, NightRow, Severity

Texts = Mapping[str, str]
_BY_GROUP = {"block": Severity.FAIL, "certificate": Severity.FAIL, "escalate": Severity.ESCALATE, "warn": Severity.WARN}
_TAG = re.compile(r"</?[A-Za-z!][^<>]*>")  # "<3 kg" opens none
_WITHIN_A_LINE = re.compile(r"</?(?:a|abbr|b|em|i|mark|small|span|strong|sub|sup|u)(?:\s[^>]*)?>", re.IGNORECASE)
_EMPHASIS = re.compile(r"\*+(?=\w)|(?<=\w)\*+|(?<!\w)_+(?=\w)|(?<=[^\W_])_+(?!\w)")


def claims(
    texts: Texts, name: str = "claims", *, borne_out: Iterable[str] = (), given: Iterable[str] = (), rule: str = "claims"
) -> Iterator[Finding]:
    """What a lexicon says of the texts: blocked terms fail, others put the item first or mark it.

    Args:
        borne_out: texts that prove claims: what stands in one of them in the same words is marked, and not blocked.
        given: texts that were asked for: a certificate that one of them names in the same words is a person's to approve.
    """
    proof, asked = (lexicon.as_read(plain(" ".join(said))).casefold() for said in (borne_out, given))
    for field, text in texts.items():
        for hit in lexicon.hits(name, plain(text), every=True):
            severity = _BY_GROUP[hit.group]
            # In these words: a test for one thing proves nothing else of its kind.
            if rules.holds_phrase(proof, hit.found):
                severity = Severity.WARN if severity is Severity.FAIL else Severity.NOTE
            elif hit.group == "certificate" and rules.holds_phrase(asked, hit.found):
                severity = Severity.ESCALATE
            yield Finding(rule, severity, f"{hit.term}: {hit.why}", field, hit.found)


def banned_phrases(texts: Texts, more: Iterable[str] = (), *, severity: Severity = Severity.WARN) -> Iterator[Finding]:
    """The brand does not talk like this (`more`: phrases that this item must not hold)."""
    from overnight.brand import brand

    for field, text in texts.items():
        lower = lexicon.as_read(plain(text)).lower()
        for phrase in brand().banned_phrases:
            if phrase.lower() in lower:
                yield Finding("banned_phrases", Severity.WARN, "A phrase the brand does not use.", field, phrase)
        for phrase in more:
            if rules.holds_phrase(lower, phrase):
                yield Finding("banned_phrases", severity, "Words that this text must not hold.", field, phrase)


def figures(
    texts: Texts, known: Iterable[str], *, severity: Severity = Severity.WARN, rule: str = "figures"
) -> Iterator[Finding]:
    """A figure that nothing given bears out may be invented."""
    said = " ".join(known)
    given, marks, days = rules.figures(said), rules.given_marks(said), promises.days(said)
    for field, text in texts.items():
        read = promises.without_days(rules.thousands(plain(text), given), days)
        for number in sorted((rules.figures(read) - given) | (rules.marks(read) - marks)):
            yield Finding(rule, severity, "This figure is in nothing that was given.", field, number)


def offered(texts: Texts, known: Iterable[str], *, rule: str) -> Iterator[Finding]:
    """A percentage, a sum, a day or a code is copied from what was given, as what it is there: 20 of "20 January" is no 20 %."""
    given = " \n".join(known)
    for field, text in texts.items():
        for what, said in promises.strange(rules.thousands(plain(text), rules.figures(given)), given):
            yield Finding(rule, Severity.FAIL, f"{what} that is in nothing that was given.", field, said)


def figures_kept(before: Iterable[str], texts: Texts) -> Iterator[Finding]:
    """A figure that stands in today's text and in none of the new ones: was something true dropped?"""
    now = rules.figures(" ".join(plain(text) for text in texts.values()))
    for number in sorted(rules.figures(" ".join(plain(text) for text in before)) - now):
        yield Finding("figures_kept", Severity.WARN, "Today's text says this; the new one no longer does.", None, number)


def personal_data(texts: Texts) -> Iterator[Finding]:
    """No text carries somebody's address or number."""
    for field, text in texts.items():
        for found in rules.personal_data(plain(text)):
            yield Finding("personal_data", Severity.FAIL, "An e-mail address or a phone number.", field, found)


def shouting(texts: Texts, allowed: Iterable[str] = ()) -> Iterator[Finding]:
    """Words in capitals (abbreviations of up to four letters, and names that were given, are none)."""
    known = {word for text in allowed for word in re.findall(r"\w+", text)}
    for field, text in texts.items():
        for word in re.findall(r"\b[A-Z]{5,}\b", plain(text)):
            if word not in known:
                yield Finding("shouting", Severity.WARN, "A word in capitals.", field, word)


def longer_than(
    texts: Texts, most: int, *, rule: str, severity: Severity = Severity.FAIL, width: bool = False
) -> Iterator[Finding]:
    """Texts that are too long, in characters (`width`: double-width scripts count two)."""
    for field, text in texts.items():
        size = display_width(text) if width else len(text)
        if size > most:
            yield Finding(rule, severity, f"Longer than {most} characters.", field, f"{size}: {text[:60]}")


def display_width(text: str) -> int:
    """Characters as ad platforms count them: wide and full-width ones are two."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def plain(text: str) -> str:
    """A text as a customer reads it: without tags and Markdown's emphasis, entities as the characters they stand for."""
    if "<" in text:
        text = _TAG.sub(" ", _WITHIN_A_LINE.sub("", text))
    if "&" in text:
        text = unescape(text)
    return _EMPHASIS.sub("", text) if "*" in text or "_" in text else text


def injected(texts: Texts) -> Iterator[Finding]:
    """Markup, scripts or a piece of the prompt in a text that has no use for them: somebody's text was taken for an order."""
    for field, text in texts.items():
        if not text:
            continue
        if found := rules.active_markup(text):
            yield Finding("no_markup", Severity.FAIL, "Markup that could act when it is shown.", field, found)
        yield from orders({field: text}, "The text")
        if found := rules.formula(text):
            yield Finding("no_formula", Severity.FAIL, "A spreadsheet would run this text.", field, found)
        if found := rules.prompt_leak(text):
            yield Finding("no_prompt", Severity.FAIL, "A piece of the instructions stands in the answer.", field, found)


def orders(texts: Texts, whose: str = "The text that was queued") -> Iterator[Finding]:
    """A text gives orders to a machine: whatever came of it, a person looks first."""
    for field, text in texts.items():
        for hit in lexicon.hits("injection", text)[:1]:
            yield Finding("orders_to_a_machine", Severity.ESCALATE, f"{whose}: {hit.why}.", field, hit.found)


def repeated(rows: Sequence[NightRow], field: str, rule: str, message: str) -> Iterator[tuple[int, Finding]]:
    """Items of one night whose field says the same, whatever its capitals: each is marked."""
    same: dict[str, list[int]] = {}
    for row in rows:
        same.setdefault(str(row.answer[field]).casefold(), []).append(row.item_id)
    for ids in same.values():
        for item_id in ids if len(ids) > 1 else []:
            yield item_id, Finding(rule, Severity.WARN, message, field)


def many(name: str, values: Sequence[str]) -> dict[str, str]:
    """A list's texts, each under a name of its own."""
    return {f"{name} {n}": value for n, value in enumerate(values, start=1)}
