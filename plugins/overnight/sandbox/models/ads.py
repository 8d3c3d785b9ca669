"""Writes ad copy out of a brief: its facts and its angle, cut to the platform. Told what it is too near to, it turns round."""

import random
import re
from typing import Any

from overnight.sandbox.asking import Ask

FITS = frozenset({"headlines", "long_headlines", "primary_texts", "cta"})
_CALLS = ("See the range", "Find your size", "Look inside", "Take a closer look", "Choose yours", "See how it works")
_HOOKS = ("Made for {a}", "Think {a}", "{a}, made simple", "For days of {a}", "Plan for {a}", "{a} starts here", "Ready for {a}",
          "Your {a}, sorted")  # fmt: skip
_LINES = (
    "{f}. See it in detail before you decide.", "What matters here: {f}.", "{f}. Nothing more than you need.",
    "You asked about {a}: {f}.", "{f}, for people who use it often.", "In short: {f}.",
)  # fmt: skip


def write(ask: Ask) -> dict[str, Any]:
    """The variant for the brief in the prompt."""
    item = ask.block("item")
    again = len(item.get("too_near_to") or [])
    # Like a real model, it is not very inventive the first time: briefs of one product and angle come out alike.
    dice = random.Random(f"{item.get('product')} {item.get('angle')}" + (f" {ask.content}" if again else ""))
    platform = str(item.get("platform", "google_rsa"))
    facts = [str(fact).rstrip(".") for fact in item.get("facts") or []] or [str(item.get("product"))]
    dice.shuffle(facts)
    angle = str(item.get("angle", "")).lower()
    must, offer = [str(words) for words in item.get("must_include") or []], str(item.get("offer") or "")
    heads = _heads(dice, item, angle, must)
    lines = [line.format(f=facts[n % len(facts)], a=angle) for n, line in enumerate(dice.sample(_LINES, len(_LINES)))]
    lines = [line[0].upper() + line[1:] for line in lines]
    if offer:
        lines[0] = f"{offer}. {facts[0]}."
    google = platform.startswith("google")
    return {
        "headlines": [_fit(h, 30) for h in heads[:8]]
        if google
        else [_fit(h, 10 if platform == "meta_reels" else 38) for h in heads[:3]],
        "long_headlines": list(dict.fromkeys(_fit(line, 88) for line in lines[1:4])) if platform == "google_pmax" else [],
        "descriptions": _descriptions(platform, lines, angle),
        "primary_texts": [] if google else [_fit(line, 70 if platform == "meta_reels" else 120) for line in lines[:3]],
        "paths": ["shop", _fit(re.sub(r"\W+", "-", angle).strip("-"), 15)] if google else [],
        "cta": "" if google else "SHOP_NOW",
        "claims": [],
    }


def _heads(dice: random.Random, item: dict[str, Any], angle: str, must: list[str]) -> list[str]:
    hooks = [hook.format(a=angle) for hook in dice.sample(_HOOKS, len(_HOOKS))]
    keywords = [str(word).capitalize() for word in item.get("keywords") or []]
    heads = [
        *must,
        str(item.get("product")),
        *keywords[:2],
        *(hook[0].upper() + hook[1:] for hook in hooks),
        *dice.sample(_CALLS, 3),
    ]
    seen: dict[str, str] = {}
    for head in heads:
        seen.setdefault(_fit(head, 30).casefold(), head)
    return list(seen.values())


def _descriptions(platform: str, lines: list[str], angle: str) -> list[str]:
    if platform == "meta_reels":
        return []
    if platform == "meta_feed":
        return [_fit(f"More on {angle}", 30)]
    short = [_fit(lines[5], 58)] if platform == "google_pmax" else []
    return list(dict.fromkeys([*short, *(_fit(line, 90) for line in lines)]))[:4]


def _fit(text: str, most: int) -> str:
    text = text.replace("!", "")
    if len(text) <= most:
        return text
    cut = text[: most + 1].rsplit(" ", 1)[0].rstrip(" ,;:-.")
    return cut[:most]
