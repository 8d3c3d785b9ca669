"""Fills in any JSON schema with values that satisfy it, the same for the same seed."""

import random
from typing import Any

_WORDS = ["plain", "honest", "useful", "steady", "quiet", "warm", "simple", "light", "strong", "clear"]


def fill(schema: dict[str, Any], root: dict[str, Any], *, seed: str) -> Any:
    """A value for a schema; `root` resolves its references."""
    return _fill(schema, root, random.Random(seed))


def _fill(schema: dict[str, Any], root: dict[str, Any], dice: random.Random) -> Any:
    if "$ref" in schema:
        return _fill(root["$defs"][schema["$ref"].rpartition("/")[2]], root, dice)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return dice.choice(schema["enum"])
    for union in ("anyOf", "oneOf", "allOf"):
        if union in schema:
            return _fill(schema[union][0], root, dice)
    return _by_type(schema, root, dice)


def _by_type(schema: dict[str, Any], root: dict[str, Any], dice: random.Random) -> Any:
    kind = schema.get("type", "object")
    match kind[0] if isinstance(kind, list) else kind:
        case "object":
            return {name: _fill(part, root, dice) for name, part in schema.get("properties", {}).items()}
        case "array":
            return [_fill(schema.get("items", {"type": "string"}), root, dice) for _ in range(schema.get("minItems", 1))]
        case "integer":
            return dice.randint(int(schema.get("minimum", 0)), int(schema.get("maximum", 10)))
        case "number":
            return round(dice.uniform(schema.get("minimum", 0.0), schema.get("maximum", 1.0)), 2)
        case "boolean" | "null" as plain:
            return None if plain == "null" else dice.random() < 0.5
    words = " ".join(dice.choice(_WORDS) for _ in range(4)).ljust(schema.get("minLength", 0), ".")
    return words[: schema.get("maxLength", 200)]
