"""Is this answer a good one? Pure: a vendor's result and an item go in, a state, an output and findings come out.

pydantic is the judge of the form, the workflow's rules of the content. Truncated, refused, empty and off-schema answers
are told apart from good ones (law 4), whatever the vendor called them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from overnight.batches.vendor import Result, Verdict
from overnight.ledger.states import AnswerState
from overnight.workflow import Finding, Severity, Workflow

_BY_VERDICT = {
    Verdict.TRUNCATED: (AnswerState.TRUNCATED, "The answer was cut off at its longest allowed length."),
    Verdict.REFUSED: (AnswerState.REFUSED, "The model refused to answer."),
    Verdict.ERRORED: (AnswerState.ERRORED, "The vendor could not answer this request."),
    Verdict.EXPIRED: (AnswerState.EXPIRED, "The vendor did not get to this request within its time."),
    Verdict.CANCELLED: (AnswerState.CANCELLED, "The request was cancelled before it was answered."),
}


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one answer turned out to be."""

    state: AnswerState
    output: dict[str, Any] | None = None
    findings: tuple[Finding, ...] = ()
    error: str | None = None
    retryable: bool = False


def judge(workflow: Workflow, item: Mapping[str, Any], result: Result) -> Judgement:
    """Judge one result against one item's input."""
    if result.verdict is not Verdict.SUCCEEDED:
        state, words = _BY_VERDICT[result.verdict]
        return Judgement(state, error=f"{words} ({result.error})" if result.error else words, retryable=result.retryable)
    if not result.text.strip():
        return Judgement(AnswerState.EMPTY, error="The vendor called it a success, but the answer is empty.")
    try:
        answer = _parsed(workflow, result.text)
    except ValueError as error:
        return Judgement(AnswerState.OFF_SCHEMA, error=str(error))
    return _by_rules(workflow, item, answer)


def _parsed(workflow: Workflow, text: str) -> BaseModel:
    """The answer as its model; ValueError with the words for people where it is none."""
    if "\x00" in text or "\\u0000" in text:
        raise ValueError("The answer holds NUL characters.")
    try:
        return workflow.answer.model_validate(json.loads(text))
    except json.JSONDecodeError as error:
        raise ValueError(f"The answer is not JSON (at character {error.pos}).") from error
    except ValidationError as error:
        raise ValueError(_in_words(error)) from error


def _by_rules(workflow: Workflow, item: Mapping[str, Any], answer: BaseModel) -> Judgement:
    try:
        subject = workflow.item.model_validate(item)
    except ValidationError:
        return Judgement(AnswerState.RULE_FAILED, error="The item's model changed after it was locked: it no longer fits.")
    found = tuple(finding for rule in workflow.rules for finding in rule(subject, answer))
    failed = [finding for finding in found if finding.severity is Severity.FAIL]
    output = answer.model_dump(mode="json")
    if failed:
        words = "; ".join(f"{finding.rule}: {finding.message}" for finding in failed[:3])
        return Judgement(AnswerState.RULE_FAILED, output, found, words)
    return Judgement(AnswerState.VALID, output, found)


def _in_words(error: ValidationError) -> str:
    faults = [f"{'.'.join(map(str, f['loc']))}: {f['msg']}" for f in error.errors(include_url=False, include_input=False)]
    return f"The answer is off its schema: {'; '.join(faults[:5])}"[:500]
