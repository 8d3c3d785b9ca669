"""Plans a blog post out of a brief: a question a section, each on one of the brief's facts."""

import random
from typing import Any

from overnight.sandbox.asking import Ask

FITS = frozenset({"angle", "sections", "left_out"})
_ASK = ("What should I look at first", "How do I know it suits me", "Who is it wrong for", "How do I look after it",
        "What changes with the season", "What do people get wrong")  # fmt: skip


def write(ask: Ask) -> dict[str, Any]:
    """The plan for the brief in the prompt."""
    brief = ask.block("item")
    facts = [str(fact) for fact in brief.get("facts", [])] or [str(brief.get("title", "it"))]
    dice = random.Random(str(brief.get("title")))
    questions = dice.sample(_ASK, 5)
    return {
        "angle": f"What {brief.get('audience') or 'a reader'} learns after buying, told before: {facts[0]}",
        "sections": [{"heading": f"{question}?", "points": [facts[n % len(facts)]]} for n, question in enumerate(questions)],
        "left_out": ["How long it lasts: no fact says so."],
    }
