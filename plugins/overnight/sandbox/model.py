"""The local "model": answers that satisfy the request's JSON schema and are derived from the item.

A writer in `models/` knows one kind of answer by its properties; anything else is filled in from the schema itself.
"""

import json
import pkgutil
from functools import cache
from importlib import import_module
from typing import Any

from overnight.sandbox import models
from overnight.sandbox.asking import Ask
from overnight.sandbox.models import _anything

BAD = {"empty": "", "off_schema": '{"sorry": "this is not what you asked for"}', "refused": ""}
"""What a model that was told to misbehave says."""


def answer(ask: Ask, outcome: str = "succeeded") -> str:
    """The text of the model's answer; a bad one where the vendor was told to misbehave."""
    if outcome in BAD:
        return BAD[outcome]
    if ask.schema is None:
        return f"You said: {ask.content[:200]}"
    if several := ask.entries():
        answers = [{"number": number, "answer": json.loads(answer(one))} for number, one in several]
        return json.dumps({"answers": answers}, ensure_ascii=False)
    wanted = frozenset(ask.schema.get("properties", {}))
    for writer in _writers():
        if wanted >= writer.FITS:
            return json.dumps(writer.write(ask), ensure_ascii=False)
    return json.dumps(_anything.fill(ask.schema, ask.schema, seed=ask.content), ensure_ascii=False)


@cache
def _writers() -> tuple[Any, ...]:
    names = sorted(m.name for m in pkgutil.iter_modules(models.__path__) if not m.name.startswith("_"))
    return tuple(import_module(f"{models.__name__}.{name}") for name in names)
