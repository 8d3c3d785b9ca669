"""The platforms' limits: tables in `include/limits/*.yaml`, each entry with its source and the month it was read.

Platforms change their limits; a brand corrects a file, not code. `defaults` hold for all; `overrides` name what differs, e.g.
for one marketplace or product type.
"""

from functools import lru_cache
from typing import Any

import yaml

from overnight.brand import include_dir


class LimitsBroken(ValueError):
    """A limits file does not say what the rules ask of it. Nothing is judged by a guess."""


@lru_cache(maxsize=256)
def of(name: str, *keys: str) -> dict[str, Any]:
    """The limits called `name`, with the overrides of `keys` (in their order; later ones win).

    Raises:
        LimitsBroken: no such file, or it is not a table.
    """
    data = _load(name)
    merged = dict(data["defaults"])
    for key in keys:
        merged |= (data.get("overrides") or {}).get(key) or {}
    return merged


@lru_cache(maxsize=16)
def _load(name: str) -> dict[str, Any]:
    path = include_dir() / "limits" / f"{name}.yaml"
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise LimitsBroken(f"include/limits/{name}.yaml cannot be read: {error}") from error
    if not isinstance(data, dict) or not isinstance(data.get("defaults"), dict):
        raise LimitsBroken(f"include/limits/{name}.yaml holds no table of defaults.")
    return data
