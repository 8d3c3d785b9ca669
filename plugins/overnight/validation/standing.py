"""How each item of a night stands when it is judged: the last step it came to, and all that is shown of what came back."""

import sys
from collections import ChainMap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from overnight.ledger import answers, batches, chains
from overnight.ledger.nights import Night
from overnight.ledger.states import AnswerState
from overnight.workflow import Workflow

STOPPED = "it did not come to its next step tonight"


@dataclass(frozen=True, slots=True)
class Standing:
    """One item: good with an output, or not with words and whether another night may help."""

    item_id: int
    step: str
    given: dict[str, Any]
    output: dict[str, Any] | None = None
    error: str | None = None
    retryable: bool = False
    state: str | None = None  # of its last answer; None: there is none yet


def of_night(conn: Connection, workflow: Workflow, night: Night) -> Iterator[Standing]:
    """Every item that is still inside. One whose batch or repair is out, or half landed, is judged by nobody yet."""
    out = batches.unsettled_items(conn, night["id"])
    landed = {(a["item_id"], a["step"]): a for a in answers.landed_of_night(conn, night["id"])}
    outputs = chains.outputs(conn, night["id"]) if len(workflow.steps) > 1 else {}
    for row in chains.standing(conn, night["id"]):
        if row["item_id"] not in out:
            # Let go as it is read: a large night would otherwise be held twice.
            answer = landed.pop((row["item_id"], row["step"]), None)
            yield _standing(workflow, row, answer, outputs.get(row["item_id"], {}))


def _standing(
    workflow: Workflow, row: Mapping[Any, Any], answer: Mapping[Any, Any] | None, outputs: Mapping[str, dict[str, Any]]
) -> Standing:
    own = answer["output"] if answer is not None and answer["state"] == AnswerState.VALID else row["output"]
    if own is None and workflow.has(row["step"]) and workflow.step_named(row["step"]).optional:
        own = {}
    common: dict[str, Any] = {"item_id": row["item_id"], "step": sys.intern(row["step"]), "given": row["input"]}
    if own is None:
        return _without(row, answer, common)
    if _goes_on(workflow, row, {**outputs, row["step"]: own}):
        return Standing(**common, error=STOPPED, retryable=True)
    shown = [outputs[s.name] for s in workflow.steps if s.shown and s.name in outputs and s.name != row["step"]]
    last_shown = not workflow.has(row["step"]) or workflow.step_named(row["step"]).shown
    parts = [*shown, *([own] if last_shown else [])]
    output = parts[0] if len(parts) == 1 else dict(ChainMap(*reversed(parts)))
    return Standing(**common, output=output, state=AnswerState.VALID)


def _without(row: Mapping[Any, Any], answer: Mapping[Any, Any] | None, common: dict[str, Any]) -> Standing:
    if answer is not None:
        return Standing(**common, error=answer["error"], retryable=bool(answer["retryable"]), state=answer["state"])
    if row["error"] is not None:
        return Standing(**common, error=row["error"], retryable=bool(row["retryable"]), state=AnswerState.ERRORED)
    return Standing(**common, error=None, retryable=True)


def _goes_on(workflow: Workflow, row: Mapping[Any, Any], outputs: Mapping[str, dict[str, Any]]) -> bool:
    """Whether a later step was still to ask about this item."""
    for step in workflow.following(row["step"]):
        if step.whole_night:
            continue
        if step.take is None or step.take(row["queued"] or row["input"], outputs) is not None:
            return True
    return False
