"""The step in code of ai_visibility: who is named in each answer, in which order, and which pages are cited."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import yaml

from overnight.brand import include_dir
from overnight.validation import rules
from overnight.workflow import Computed, NightFacts, StepRow

_ABBREVIATED = "|".join(rf"(?<=\b{word})" for word in (
    r"e\.g", r"i\.e", "approx", "ca", "nr", "vs", r"U\.S", r"U\.K", "Dr", "Inc", r"z\.B", "bzw",
))  # fmt: skip
_BEHIND = r"[\s\"'”)\]]|$"
_SENTENCE = re.compile(rf"\S(?:[^.!?\n]|[.!?](?!{_BEHIND})|(?:{_ABBREVIATED})\.(?=\s))*[.!?]*", re.IGNORECASE)
"""It ends at a sign with a blank behind it: neither in $249.99 nor in an address, nor behind "approx."."""


@dataclass(frozen=True, slots=True)
class Name:
    """A brand that is looked for."""

    name: str
    pattern: re.Pattern[str]
    domains: tuple[str, ...]
    only_with: re.Pattern[str] | None

    def first(self, text: str) -> int | None:
        """Where the text first names it, in characters, or None."""
        for match in self.pattern.finditer(text):
            if self.only_with is None or self.only_with.search(_around(text, match.start())):
                return match.start()
        return None


def names() -> tuple[Name, tuple[Name, ...]]:
    """The brand and its rivals, from include/rivals.yaml."""
    data = yaml.safe_load((include_dir() / "rivals.yaml").read_text(encoding="utf-8"))
    return _name(data["brand"]), tuple(_name(one) for one in data["rivals"])


def _name(data: Mapping[str, Any]) -> Name:
    longest = sorted(data["aliases"], key=len, reverse=True)
    pattern = re.compile(r"(?<!\w)(?:" + "|".join(re.escape(alias) for alias in longest) + r")(?!\w)", re.IGNORECASE)
    words = [re.escape(word) for word in data.get("only_with") or ()]
    only = re.compile(r"\b(?:" + "|".join(words) + r")\w*", re.IGNORECASE) if words else None
    return Name(data["name"], pattern, tuple(data["domains"]), only)


def _around(text: str, at: int) -> str:
    return next((m.group(0) for m in _SENTENCE.finditer(text) if m.start() <= at < m.end()), text)


def find(rows: Sequence[StepRow], _facts: NightFacts) -> list[Computed]:
    """What all engines' answers to each question hold. A question that no engine answered has no good answer tonight."""
    brand, rivals = names()
    return [_one(row, brand, rivals) for row in rows]


def _one(row: StepRow, brand: Name, rivals: tuple[Name, ...]) -> Computed:
    answers = [(step, reply) for step, reply in sorted(row.outputs.items()) if step.startswith("ask_")]
    if not answers:
        return Computed(row.item_id, None, error="no engine answered this question", retryable=True)
    looked = [_look(step, reply, brand, rivals) for step, reply in answers]
    named = [one for one in looked if one["position"]]
    citations = [one for answer in looked for one in answer["citations"]]
    return Computed(row.item_id, {
        "brand": brand.name,
        "answers": len(looked),
        "mentioned": len(named),
        "mention_rate": round(len(named) / len(looked), 3),
        "first_position": round(sum(one["position"] for one in named) / len(named), 2) if named else None,
        "by_engine": _by_engine(looked),
        "rivals": {rival.name: sum(rival.name in one["order"] for one in looked) for rival in rivals},
        "citations": citations,
        "own_citations": sum(one["own"] for one in citations),
        "about_us": list(dict.fromkeys(sentence for one in looked for sentence in one["sentences"])),
    })  # fmt: skip


def _look(step: str, reply: Mapping[str, Any], brand: Name, rivals: tuple[Name, ...]) -> dict[str, Any]:
    """One answer: who is named in which order, which addresses, which sentences speak of the brand."""
    text = str(reply["answer"])
    places = {name.name: at for name in (brand, *rivals) if (at := name.first(text)) is not None}
    order = sorted(places, key=lambda name: places[name])
    sentences = [m.group(0).strip() for m in _SENTENCE.finditer(text) if brand.pattern.search(m.group(0))]
    return {
        "engine": step.split("_")[1], "order": order, "position": order.index(brand.name) + 1 if brand.name in order else None,
        "citations": list(_citations(text, reply, brand)), "sentences": sentences,
    }  # fmt: skip


def _citations(text: str, reply: Mapping[str, Any], brand: Name) -> Iterator[dict[str, Any]]:
    urls = dict.fromkeys([*rules.links(text), *(str(url) for url in reply.get("sources") or [])])
    for url in urls:
        host = (urlsplit(url).hostname or "").removeprefix("www.")
        if host:
            yield {"url": url[:300], "domain": host, "own": any(host == d or host.endswith(f".{d}") for d in brand.domains)}


def _by_engine(looked: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Engine → "named of asked", as people read it."""
    made: dict[str, str] = {}
    for engine in dict.fromkeys(one["engine"] for one in looked):
        own = [one for one in looked if one["engine"] == engine]
        made[str(engine)] = f"{sum(bool(one['position']) for one in own)} of {len(own)}"
    return made
