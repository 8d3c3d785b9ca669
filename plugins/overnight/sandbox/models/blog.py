"""Drafts a blog post out of a brief: the brief's own facts in order, joined by sentences that claim nothing."""

import random
import re
from typing import Any

from overnight.sandbox.asking import Ask

FITS = frozenset({"title", "slug", "quick_answer", "body_markdown", "faqs"})

_OPEN = (
    "Start with how you will really use it, because that decides more than any label.",
    "Most of us have bought the wrong one once, and it usually came down to a detail nobody mentioned.",
    "It helps to know what the words on the product page mean before you compare anything.",
    "Think of a day you had last season, and ask what would have made it easier.",
)
_BODY = (
    "In practice you notice this on the second day rather than the first.",
    "If that does not match how you travel, choose something simpler and keep the difference.",
    "Try it at home first, with what you would actually carry or wear on the day.",
    "None of this replaces trying it on, but it narrows the choice to two or three.",
    "Ask a friend who has owned one for a while; wear shows in places no photograph does.",
    "It is the kind of thing you forget about when it works and talk about all evening when it does not.",
    "For a beginner the plain version is enough, and it forgives more mistakes.",
    "It is not for everyone: if you only go out on dry days, you can skip this section.",
    "Care matters as much as the choice, and it takes less time than people fear.",
    "Write down what annoyed you last time and check the list against the page.",
    "A good rule is to decide what you will not need and to be strict about it.",
    "When two of them look the same, take the one that is easier to repair.",
)
_ASK = ("What should I look at first", "How do I know it suits me", "Who is it wrong for", "How do I look after it",
        "What changes with the season", "What do people get wrong")  # fmt: skip


_TAIL = (
    "Choose for the day you really have, not the one on the poster, try it at home before you decide, and keep what is left "
    "over for a second, simpler one that you will not mind getting dirty."
)


def write(ask: Ask) -> dict[str, Any]:
    """The draft for the brief in the prompt; a reviewer's note is taken to heart as far as a template can."""
    brief, note = ask.block("item"), str(ask.block("reviewer_note").get("text", ""))
    dice = random.Random(f"{brief.get('title')} {note}")
    title = str(brief.get("title", "Untitled"))
    query = str(brief.get("primary_query", title))
    facts = [str(fact).rstrip(".") for fact in brief.get("facts", [])] or [title]
    sources = [str(url) for url in brief.get("sources", [])]
    links = [str(url) for url in brief.get("internal_links", [])]
    return {
        "title": title,
        "slug": re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:90].rstrip("-") or "draft",
        "meta_title": _cut(title, 60),
        "meta_description": _cut(f"{query.capitalize()}: what to look for, who it suits and what people get wrong.", 158),
        "quick_answer": _quick(query, facts),
        "body_markdown": ask.heed(_body(dice, brief, query, facts, links)),
        "faqs": [
            {"question": f"{question}?", "answer": f"{facts[n % len(facts)]}. {dice.choice(_BODY)}"}
            for n, question in enumerate(dice.sample(_ASK, 4))
        ],
        "internal_links": links[:4],
        "citations": [{"claim": facts[n % len(facts)], "url": url} for n, url in enumerate(sources[: max(1, len(facts))])],
        "image_brief": f"A photo that answers '{query}' without words: hands, the thing in use, daylight.",
    }


def _quick(query: str, facts: list[str]) -> str:
    words = f"{query.capitalize()}? In short: {facts[0]}. {facts[-1]}.".split()
    tail = _TAIL.split()
    return _close(" ".join((words + tail)[:50]))


def _body(dice: random.Random, brief: dict[str, Any], query: str, facts: list[str], links: list[str]) -> str:
    low, high = int(brief.get("min_words", 400)), int(brief.get("max_words", 1200))
    goal = low + (high - low) // 4
    fill = list(_BODY)
    dice.shuffle(fill)
    planned = [str(one["heading"]) for one in (brief.get("outline") or {}).get("sections", [])]
    parts = [f"{dice.choice(_OPEN)} This is about {query}, for {brief.get('audience') or 'anyone who asks'}."]
    section = 0
    while len(" ".join(parts).split()) < goal:
        parts.append(f"## {_heading(planned, section)}")
        sentences = [f"{facts[section % len(facts)]}."] if section < 2 * len(facts) else []
        sentences += [fill[(section * 5 + n) % len(fill)] for n in range(6)]
        parts.append(" ".join(sentences[:4]))
        parts.append(" ".join(sentences[4:]))
        if section < len(links):
            parts.append(f"More on this: [our page]({links[section]}).")
        section += 1
    return "\n\n".join(parts)


def _heading(planned: list[str], section: int) -> str:
    if section < len(planned):
        return planned[section]
    return f"{_ASK[section % len(_ASK)]}{' now' if section >= len(_ASK) else ''}?"


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1].rsplit(" ", 1)[0]


def _close(text: str) -> str:
    return text.rstrip(" ,;:") + ("" if text.endswith(".") else ".")
