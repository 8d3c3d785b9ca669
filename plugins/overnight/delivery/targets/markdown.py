"""One Markdown file an item, with front matter: what static site generators and blog importers read."""

import re
from collections.abc import Mapping, Sequence

import yaml

from overnight.delivery.target import Approved, Target

BODY = "body_markdown"


def make() -> "MarkdownTarget":
    """The target needs no settings."""
    return MarkdownTarget()


class MarkdownTarget(Target):
    """`<slug>.md`: every other field of the answer in the front matter, the body below it."""

    def files(self, workflow: str, items: Sequence[Approved]) -> Mapping[str, bytes]:
        """A file an item; two that would have one name are told apart by their key."""
        made: dict[str, bytes] = {}
        for item in items:
            name = _name(str(item.output.get("slug") or item.key))
            if f"{name}.md" in made:
                name = f"{name}-{_name(item.key)}"
            made[f"{name}.md"] = _document(item)
        return made


def _document(item: Approved) -> bytes:
    front = {name: value for name, value in item.output.items() if name != BODY}
    front |= {"author": item.input["author"]} if item.input.get("author") else {}
    front |= {"approved_by": item.approver, "approved_at": item.approved_at.isoformat(), "key": item.key}
    head = yaml.safe_dump(front, allow_unicode=True, sort_keys=False, width=100_000)
    return f"---\n{head}---\n\n{str(item.output.get(BODY, '')).rstrip()}\n".encode()


def _name(text: str) -> str:
    """A file name that stays in its folder."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:100] or "item"
