"""A workflow's prompt folder, read and put together: the stable part first, the item's part last.

The stable part is the same for every request of a version, so vendors can cache it. The item's part is data in a marked
block, JSON-encoded with `<` escaped: a text from the queue can neither close the block nor pose as an instruction.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from overnight.brand import brand, include_dir
from overnight.governance.masking import texts_of
from overnight.workflow import Workflow


@dataclass(frozen=True, slots=True)
class Prompt:
    """One version of a workflow's prompt: what is sent with every request, and the schema of what must come back."""

    workflow: str
    system: str
    schema: dict[str, Any]
    schema_name: str
    item: str = ""  # what stands around the item's data, with {{ data }} in it; empty: the data alone

    @property
    def hash(self) -> str:
        """The version: SHA-256 over all that shapes the answer."""
        parts = [self.system, self.schema, self.schema_name, *([self.item] if self.item else [])]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def around(self, data: str) -> str:
        """The item's part of a request: its data where the template says."""
        return self.item.replace(DATA, data) if self.item else data


DATA = "{{ data }}"
"""Where the item's data goes in item.md: put in as it is, never as a template."""


def version(workflow: Workflow) -> str:
    """The version of a whole workflow: its one prompt's hash, or the hash over all of a chain's."""
    hashes = [load(view).hash for view in workflow.asked()]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256(" ".join(hashes).encode()).hexdigest()


def load(workflow: Workflow) -> Prompt:
    """The prompt of a workflow (of a chain: of the step it is a view of) as it stands in its folder today.

    A step with a prompt of its own has it in `<step>.system.md.j2` (`ask.system.md.j2` for steps called `ask_…`); the others
    share `system.md.j2`, which is the one that reviewers' lessons go into.
    """
    folder = include_dir() / "prompts" / workflow.prompt_folder
    environment = Environment(
        loader=FileSystemLoader([folder, include_dir() / "prompts"]),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - a prompt is plain text; only our own files and the brand's settings go in here
        keep_trailing_newline=False,
    )
    named = f"{workflow.step.partition('_')[0]}."
    prefix = named if workflow.step and (folder / f"{named}system.md.j2").exists() else ""
    system = environment.get_template(f"{prefix}system.md.j2").render(brand=brand(), workflow=workflow)
    around = folder / f"{prefix}item.md"
    item = around.read_text(encoding="utf-8").strip() if around.exists() else ""
    if item and DATA not in item:
        raise ValueError(f"{around.name} of {workflow.name} does not say where the item's data goes: write {DATA} into it.")
    schema, name = strict_schema(workflow), workflow.answer.__name__
    if workflow.pack > 1:
        system += "\n\n" + environment.get_template("several_entries.md.j2").render(workflow=workflow)
        schema, name = packed_schema(schema), f"{name}s"
    if not prefix and (taught := lessons(workflow)):
        system += "\n\n" + LESSONS + "\n" + "\n".join(f"- {rule}" for rule in taught)
    return Prompt(workflow.name, system.strip() + "\n", schema, name, item)


LESSONS = "What reviewers taught us"
"""The heading over the adopted lessons: the last part of the stable prompt."""


def lessons_path(workflow: Workflow) -> Path:
    """Where a workflow's adopted lessons stand."""
    return include_dir() / "prompts" / workflow.prompt_folder / "lessons.md"


def lessons(workflow: Workflow) -> tuple[str, ...]:
    """The rules a person adopted, one a line that begins with "- ", and the one on trial. Plain text: never a template."""
    path = lessons_path(workflow)
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    adopted = [line[2:].strip() for line in lines if line.startswith("- ")]
    return (*adopted, *([workflow.lesson] if workflow.lesson else []))


def checklist(workflow: Workflow) -> tuple[str, ...]:
    """What a reviewer goes through, one line each, from the prompt folder."""
    path = include_dir() / "prompts" / workflow.prompt_folder / "checklist.md"
    lines = path.read_text(encoding="utf-8").splitlines()
    return tuple(line[2:].strip() for line in lines if line.startswith("- "))


def content(
    item: Mapping[str, Any], *, context: str | None = None, note: str | None = None,
    previous: Mapping[str, Any] | None = None, problem: str | None = None, masked: bool = False,
) -> str:  # fmt: skip
    """The item's part of a request: its fields as data, what a reviewer said about it, and what was wrong with the last try.

    Args:
        problem: what the checks found in tonight's first answer; this request repairs it.
        masked: whether placeholders stand in it for what the vendor must not see.
    """
    parts = [MASKED, block("item", item)] if masked else [block("item", item)]
    if context:
        parts.append(block("context", {"text": context}))
    if previous is not None:
        parts.append(block("previous_answer", previous))
    if note:
        parts.append(block("reviewer_note", {"text": note}))
    if problem:
        parts.append(block("last_problem", {"text": problem}))
    return "\n".join(parts)


MASKED = "Words in brackets such as [NAME_1] or [EMAIL_1] stand for what we keep back. Copy them unchanged where you need them."
"""Said before an item whose personal data is masked."""


def entries(contents: Sequence[str]) -> str:
    """Several items' parts as one request, numbered from 1: the answer names each by its number."""
    return "\n".join(f'<entry number="{n}">\n{text}\n</entry>' for n, text in enumerate(contents, start=1))


def block(tag: str, data: Mapping[str, Any]) -> str:
    """Data inside a tag it cannot close."""
    text = json.dumps(data, ensure_ascii=False, sort_keys=True).replace("<", "\\u003c").replace(">", "\\u003e")
    return f"<{tag}>\n{text}\n</{tag}>"


def said(content: str) -> Iterator[str]:
    """The texts of an item's part of a request as they were before they were put into blocks: a line break is one again."""
    for line in content.split("\n"):
        if not line.startswith("{"):
            continue  # the prompt's own
        try:
            yield from texts_of(json.loads(line))
        except ValueError:  # an example in a brand's own words
            yield line


def strict_schema(workflow: Workflow) -> dict[str, Any]:
    """The answer model's JSON schema in the subset that all vendors' strict modes take.

    Every object closes (`additionalProperties: false`) and requires all its properties; keywords the strict modes refuse
    (lengths, ranges, patterns, defaults) are left to pydantic, the judge of every answer.
    """
    schema = workflow.answer.model_json_schema()
    closed = _close(schema)
    assert isinstance(closed, dict)  # noqa: S101
    return closed


def packed_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of an answer to several entries: a list of answers, each under its entry's number."""
    one = {k: v for k, v in schema.items() if k != "$defs"}
    entry = {"number": {"type": "integer"}, "answer": one}
    answers = {"type": "array", "items": _closed_object(entry)}
    shared = {"$defs": schema["$defs"]} if "$defs" in schema else {}
    return {**_closed_object({"answers": answers}), **shared}


def _closed_object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": sorted(properties), "additionalProperties": False}


_UNSUPPORTED = {
    "minLength", "maxLength", "minItems", "maxItems", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
    "pattern", "format", "default", "title", "examples", "multipleOf", "uniqueItems",
}  # fmt: skip


def _close(node: Any) -> Any:
    if isinstance(node, list):
        return [_close(part) for part in node]
    if not isinstance(node, dict):
        return node
    if "properties" in node:
        properties = {name: _close(part) for name, part in node["properties"].items()}
        rest = {k: _close(v) for k, v in node.items() if k not in _UNSUPPORTED and k not in {"properties", "required"}}
        return {**rest, "properties": properties, "required": sorted(properties), "additionalProperties": False}
    return {k: _close(v) for k, v in node.items() if k not in _UNSUPPORTED}
