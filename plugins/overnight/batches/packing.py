"""From items to requests. Pure: identical inputs become one entry, and small entries share a request.

The row's own id is left out of what is sent: the vendor does not need it, and two rows that ask the same are the same question.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from overnight import prompts
from overnight.batches import cost
from overnight.batches.vendor import VendorFacts
from overnight.governance.masking import Masker
from overnight.governance.policy import DataAccess
from overnight.validation import lexicon
from overnight.workflow import Workflow


@dataclass(frozen=True, slots=True)
class Question:
    """Who is asked, and what stands before every item's part."""

    vendor: str
    facts: VendorFacts
    model: str
    prompt: prompts.Prompt
    cached: bool = False

    @property
    def shared_tokens(self) -> int:
        """Tokens of the stable part at most, the schema included."""
        return cost.tokens_at_most(self.prompt.system) + cost.tokens_at_most(json.dumps(self.prompt.schema))


@dataclass(frozen=True, slots=True)
class Entry:
    """One question and the items that ask it."""

    item_ids: tuple[int, ...]
    content: str
    key: str
    masks: Mapping[str, str] = field(default_factory=dict)  # placeholder → what the vendor does not see


@dataclass(frozen=True, slots=True)
class Packed:
    """One request: its entries, its own text, its limits and what it can cost."""

    entries: tuple[Entry, ...]
    content: str
    max_output_tokens: int
    input_tokens: int
    ceiling_usd: Any  # Decimal

    @property
    def item_ids(self) -> list[int]:
        """Every item that this request answers."""
        return [item_id for entry in self.entries for item_id in entry.item_ids]

    @property
    def tokens_at_most(self) -> int:
        """What it can take of the night's ceiling: estimated tokens in, and the most that may come out."""
        return self.input_tokens + self.max_output_tokens

    def line(self, prompt_hash: str) -> dict[str, Any]:
        """The request as the ledger plans it."""
        return {
            "entries": [
                {"item_ids": entry.item_ids, "key": entry.key, "masks": dict(entry.masks) or None} for entry in self.entries
            ],
            "content": self.content, "prompt_hash": prompt_hash, "max_output_tokens": self.max_output_tokens,
        }  # fmt: skip


def entries(
    workflow: Workflow, question: Question, items: Iterable[Mapping[Any, Any]], problems: Mapping[int, str] | None = None,
    access: DataAccess | None = None,
) -> list[Entry]:  # fmt: skip
    """The items' questions in their order; items that ask the same share one where the workflow allows reuse.

    Args:
        access: the policy's first layer: what is masked before the vendor sees it.
    """
    found: dict[str, Entry] = {}
    for item in items:
        problem = (problems or {}).get(item["id"])
        content, masks = _content(workflow, question, item, problem, access)
        # A repair answers the question it repairs: what was wrong on the way makes it no other one.
        plainly = _content(workflow, question, item, None, access)[0] if problem and not workflow.reuse else content
        name = key(workflow, question, plainly, masks)
        name = name if workflow.reuse else f"{name} {item['id']}"
        earlier = found.get(name)
        ids = (*earlier.item_ids, item["id"]) if earlier else (item["id"],)
        found[name] = Entry(ids, content, name[:64], masks)
    return list(found.values())


def _content(
    workflow: Workflow, question: Question, item: Mapping[Any, Any], problem: str | None, access: DataAccess | None
) -> tuple[str, Mapping[str, str]]:
    """What is sent about one item, with what the vendor must not see masked, and what was masked."""
    said: dict[str, Any] = {
        "item": {name: value for name, value in item["input"].items() if name != workflow.id_field},
        "context": None if workflow.plain else item["context"], "note": None if workflow.plain else item["note"],
        "previous": item["output"] if item["note"] and not workflow.plain else None, "problem": problem,
    }  # fmt: skip
    masks: Mapping[str, str] = {}
    if access is not None:
        queued = item.get("queued") or item["input"]
        hidden = {name: queued.get(name) for name in access.hidden_from(question.vendor)}
        # Where rows that name somebody are withheld, a reviewer may still name somebody in a note.
        by_rule = access.undeclared_names in ("mask", "withhold")
        masker = Masker(hidden, access.patterns, access.order_number, by_rule)
        own = {name: value for name, value in said["item"].items() if hidden.get(name)}
        rest = masker.hide({**said, "item": {name: value for name, value in said["item"].items() if name not in own}})
        # Last, and never looked through again: a placeholder in a placeholder comes back as none.
        whole = {name: masker.hide_field(name, value) for name, value in own.items()}
        said, masks = {**rest, "item": {**rest["item"], **whole}}, masker.masks
    return question.prompt.around(prompts.content(said.pop("item"), **said, masked=bool(masks))), masks


def key(workflow: Workflow, question: Question, content: str, masks: Mapping[str, str] | None = None) -> str:
    """What was asked, of whom, under which prompt and schema: SHA-256. The rules judge anew whatever is used again."""
    # Answers that are not shared are a step's own: the same question asked again by another step is another sample.
    asker = [workflow.name] if workflow.reuse else [workflow.name, workflow.step]
    # Two people's words may be the same once their names are masked: the answers are not.
    kept = [json.dumps(masks, sort_keys=True, ensure_ascii=False)] if masks else []
    parts = [*asker, question.vendor, question.model, question.prompt.hash, content, *kept]
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


def apart(
    workflow: Workflow,
    question: Question,
    asked: Sequence[Entry],
    *,
    alone: bool = False,
    limits: Mapping[int, int] | None = None,
) -> Iterator[Packed]:
    """Requests of the workflow's size. An entry that gives orders to a machine shares a request with nobody (and none does,
    with `alone`): a model that obeys it must not be able to reach another item's answer.
    """
    if workflow.pack == 1 or alone:
        yield from pack(workflow, question, asked, 1, limits)
        return
    loud, quiet = list[Entry](), list[Entry]()
    for entry in asked:
        loudly = any(lexicon.hits("injection", text) for text in prompts.said(entry.content))
        (loud if loudly else quiet).append(entry)
    yield from pack(workflow, question, quiet, workflow.pack, limits)
    yield from pack(workflow, question, loud, 1, limits)


def pack(
    workflow: Workflow, question: Question, asked: Sequence[Entry], size: int, limits: Mapping[int, int] | None = None
) -> Iterator[Packed]:
    """Requests of up to `size` entries each.

    Args:
        limits: output tokens for single items, where they differ from the workflow's (a repair of a truncated answer).
    """
    shared = question.shared_tokens
    for start in range(0, len(asked), size):
        part = tuple(asked[start : start + size])
        content = prompts.entries([entry.content for entry in part]) if workflow.pack > 1 else part[0].content
        own = cost.tokens_at_most(content)
        output = sum((limits or {}).get(entry.item_ids[0], workflow.max_output_tokens) for entry in part)
        most = cost.ceiling(question.facts, question.model, shared=shared, own=own, output=output, cached=question.cached)
        yield Packed(part, content, output, shared + own, most)
