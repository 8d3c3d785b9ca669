"""What one request asks for, read from its vendor's form: the prompt, the item in it, the schema of the answer."""

import json
import re
from dataclasses import dataclass
from typing import Any

_BLOCK = re.compile(r"<(item|previous_answer|reviewer_note|context)>\n(.*?)\n</\1>", re.DOTALL)
CHARS_PER_TOKEN = 4


@dataclass(frozen=True, slots=True)
class Ask:
    """One request, whatever its vendor."""

    model: str
    system: str
    content: str
    schema: dict[str, Any] | None
    max_tokens: int

    def block(self, name: str) -> dict[str, Any]:
        """The data in a marked block of the prompt, {} where there is none."""
        for match in _BLOCK.finditer(self.content):
            if match.group(1) == name:
                loaded = json.loads(match.group(2))
                return loaded if isinstance(loaded, dict) else {}
        return {}


def tokens(text: str) -> int:
    """A plausible token count (about four characters a token)."""
    return max(1, -(-len(text) // CHARS_PER_TOKEN))


def text_of(content: Any) -> str:
    """A message's content as text, whether it came as a string or as parts."""
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content or [] if isinstance(part, dict))
