"""An answer engine's reply: names shops in an order of its own, now and then with a page; and a judge of such replies."""

import random
from typing import Any

from overnight.sandbox.asking import Ask

FITS = frozenset({"answer", "sources"})
_SHOPS = (
    ("North Trail", "north-trail.example", 0.7),
    ("Alpenkraft", "alpenkraft.example", 0.55),
    ("Fernweh Outfitters", "fernweh.example", 0.45),
    ("Summit & Co", "summit-co.example", 0.4),
    ("Drift gear", "drift-gear.example", 0.3),
)
_WHY = (
    "is worth a look because people speak well of its service",
    "has a small range that is easy to compare",
    "suits beginners and says plainly what a thing is for",
    "is known for repairs",
    "has fair prices for what you get",
)


def write(ask: Ask) -> dict[str, Any]:
    """The reply of the model that is asked; each model and each asking differs a little."""
    item = ask.block("item")
    dice = random.Random(f"{ask.model} {item.get('prompt')} {random.random()}")
    named = [
        shop for shop in _SHOPS if dice.random() < shop[2] or shop[0].split()[0].lower() in str(item.get("prompt", "")).lower()
    ]
    dice.shuffle(named)
    lines = [f"{name} {dice.choice(_WHY)}." for name, _, _ in named] or [
        "It depends on what you need it for; ask in a shop near you."
    ]
    sources = [f"https://{domain}/guide" for _, domain, _ in named if dice.random() < 0.4]
    return {"answer": f"That depends on how often you go out. {' '.join(lines)} Try it before you decide.", "sources": sources}
