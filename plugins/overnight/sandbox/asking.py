"""What one request asks for, read from its vendor's form: the prompt, the item in it, the schema of the answer."""

import json
import re
from dataclasses import dataclass, replace
from typing import Any

_BLOCK = re.compile(r"<(item|previous_answer|reviewer_note|context|last_problem)>\n(.*?)\n</\1>", re.DOTALL)
_ENTRY = re.compile(r'<entry number="(\d+)">\n(.*?)\n</entry>', re.DOTALL)
_LESSON = re.compile(r"^- Do not write “([^”]+)”(?:; write “([^”]*)” instead)?\.", re.MULTILINE)
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

    def heed(self, text: str) -> str:
        """A text after the lessons in the prompt: phrases that must not be written are left out or replaced, to the letter."""
        for gone, instead in _LESSON.findall(self.system):
            text = re.sub(rf"\b{re.escape(gone)}\b", lambda _, new=instead: new, text, flags=re.IGNORECASE)  # type: ignore[misc]
        return re.sub(r"  +", " ", text)

    def entries(self) -> list[tuple[int, "Ask"]]:
        """The entries of a request that holds several, each as a request of its own."""
        answers = ((self.schema or {}).get("properties") or {}).get("answers") or {}
        one = ((answers.get("items") or {}).get("properties") or {}).get("answer")
        if one is None:
            return []
        schema = {**one, **({"$defs": self.schema["$defs"]} if self.schema and "$defs" in self.schema else {})}
        return [(int(m.group(1)), replace(self, content=m.group(2), schema=schema)) for m in _ENTRY.finditer(self.content)]


def tokens(text: str) -> int:
    """A plausible token count (about four characters a token)."""
    return max(1, -(-len(text) // CHARS_PER_TOKEN))


def text_of(content: Any) -> str:
    """A message's content as text, whether it came as a string or as parts."""
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content or [] if isinstance(part, dict))
