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
from overnight.sandbox.gullible import GULLIBLE, obey, over_others
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
        answers = [{"number": number, "answer": json.loads(answer(one) or "null")} for number, one in several]
        deeds = {number: deed for number, one in several if (deed := GULLIBLE.deed(one))}
        return json.dumps({"answers": over_others(answers, deeds)}, ensure_ascii=False)
    honest = _honest(ask, ask.schema)
    deed = GULLIBLE.deed(ask)
    obeyed = obey(deed, honest, ask) if deed else honest
    return json.dumps(obeyed, ensure_ascii=False) if obeyed is not None else ""


def _honest(ask: Ask, schema: dict[str, Any]) -> Any:
    wanted = frozenset(schema.get("properties", {}))
    for writer in _writers():
        if wanted >= writer.FITS:
            return writer.write(ask)
    return _anything.fill(schema, schema, seed=ask.content)


@cache
def _writers() -> tuple[Any, ...]:
    names = sorted(m.name for m in pkgutil.iter_modules(models.__path__) if not m.name.startswith("_"))
    return tuple(import_module(f"{models.__name__}.{name}") for name in names)
