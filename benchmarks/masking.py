"""What a text made to be slow costs: masking twice the text, beside twice the time."""

import time
from typing import Any

from overnight.governance.masking import Masker

TEXTS = {"one word": "x", "digits": "1", "half an address": "a@", "half an account": "DE00 ", "a declared first name": "Anna "}
LENGTHS = (50_000, 100_000, 200_000)
MOST = 3.0


def measure() -> dict[str, Any]:
    """Seconds at 200,000 characters as a multiple of those at 100,000, for each hostile text; linear is 2."""
    found = {}
    for name, part in TEXTS.items():
        spent = {length: best(part * (length // len(part))) for length in LENGTHS}
        found[name] = {
            "times at twice the length": round(spent[200_000] / spent[100_000], 2), "ms at 200,000": round(spent[200_000] * 1e3),
        }  # fmt: skip
    met = all(row["times at twice the length"] <= MOST for row in found.values())
    return {"texts": found, "met": met, "goal": f"twice the text costs at most {MOST:g} times as much, whatever it is made of"}


def best(text: str) -> float:
    """The quickest of three: the machine is not ours alone."""
    spent = []
    for _ in range(3):
        began = time.perf_counter()
        Masker({"name": "Anna Maria Kowalska"}).hide(text)
        spent.append(time.perf_counter() - began)
    return min(spent)
