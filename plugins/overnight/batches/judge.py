"""Is this answer a good one? Pure: a vendor's result and an item go in, a state, an output and findings come out.

pydantic is the judge of the form, the workflow's rules of the content. Truncated, refused, empty and off-schema answers
are told apart from good ones (law 4), whatever the vendor called them.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from overnight.batches.vendor import Result, Verdict
from overnight.governance import masking
from overnight.ledger.states import AnswerState
from overnight.workflow import Finding, Severity, Workflow

log = logging.getLogger("overnight.judge")
_LEFT_OUT = "The answer left this entry out."
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
    (one,) = entries(workflow, [item], result)
    return one


def entries(
    workflow: Workflow, items: Sequence[Mapping[str, Any]], result: Result, masks: Sequence[Mapping[str, str]] = ()
) -> list[Judgement]:
    """Judge the result of one request against the input of each of its entries, in their order. A bad one fails alone.

    Args:
        masks: of each entry, what its placeholders stand for: it is put back before anything is judged.
    """
    hidden = masks or [{}] * len(items)
    cut_off = result.verdict is Verdict.TRUNCATED
    if result.verdict is not Verdict.SUCCEEDED and not (cut_off and workflow.pack > 1):
        return [_not_answered(result)] * len(items)
    if cut_off and not result.text.strip():
        return [_not_answered(result)] * len(items)
    if not result.text.strip():
        return [Judgement(AnswerState.EMPTY, error="The vendor called it a success, but the answer is empty.")] * len(items)
    try:
        _refuse_nul(result.text)
        if workflow.pack == 1:
            return [_one(workflow, items[0], result.text, hidden[0])]
        found = _unpacked(result.text, cut_off=cut_off)
    except ValueError as error:
        return [_not_answered(result) if cut_off else Judgement(AnswerState.OFF_SCHEMA, error=str(error))] * len(items)
    left_out = _not_answered(result) if cut_off else Judgement(AnswerState.MISSING, error=_LEFT_OUT, retryable=True)
    return [
        _entry(workflow, item, masking.reveal(found.get(number, []), mine), left_out, mine)
        for number, (item, mine) in enumerate(zip(items, hidden, strict=True), start=1)
    ]


def again(workflow: Workflow, item: Mapping[str, Any], output: Mapping[str, Any]) -> Judgement:
    """Judge an answer that the ledger already holds by today's model and rules."""
    try:
        return _by_rules(workflow, item, workflow.answer.model_validate(output))
    except ValidationError as error:
        return Judgement(AnswerState.OFF_SCHEMA, error=_in_words(error))


def finding_rows(judged: Judgement, item_id: int, night_id: int, *, step_id: int, attempt: int) -> list[dict[str, Any]]:
    """What was found, as the ledger keeps it."""
    return [
        {"item_id": item_id, "night_id": night_id, "rule": f.rule, "severity": f.severity, "field": f.field,
         "message": f.message, "evidence": f.evidence, "step_id": step_id, "attempt": attempt}
        for f in judged.findings
    ]  # fmt: skip


def _not_answered(result: Result) -> Judgement:
    state, words = _BY_VERDICT[result.verdict]
    return Judgement(state, error=f"{words} ({result.error})" if result.error else words, retryable=result.retryable)


def _unpacked(text: str, *, cut_off: bool) -> dict[int, list[Any]]:
    """The answers of a packed request by their entry's number. Of one that was cut off, those that are whole."""
    try:
        whole = from_json(text, allow_partial=cut_off)
    except ValueError as error:
        raise ValueError(f"The answer is not JSON ({str(error)[:100]}).") from error
    answers = whole.get("answers") if isinstance(whole, dict) else None
    if not isinstance(answers, list):
        raise ValueError("The answer holds no list of answers.")
    found: dict[int, list[Any]] = {}
    for answer in answers[:-1] if cut_off else answers:
        if isinstance(answer, dict) and isinstance(answer.get("number"), int):
            found.setdefault(answer["number"], []).append(answer.get("answer"))
    return found


def _entry(
    workflow: Workflow, item: Mapping[str, Any], found: Sequence[Any], left_out: Judgement, masks: Mapping[str, str]
) -> Judgement:
    if not found:
        return left_out
    if len(found) > 1:
        return Judgement(AnswerState.OFF_SCHEMA, error="The answer speaks of this entry more than once.")
    return _made_up(found[0], item, masks) or again(workflow, item, found[0])


def _one(workflow: Workflow, item: Mapping[str, Any], text: str, masks: Mapping[str, str]) -> Judgement:
    try:
        if not masks and not masking.left(text):
            return _by_rules(workflow, item, workflow.answer.model_validate_json(text))
        answer = masking.reveal(from_json(text), masks)
        return _made_up(answer, item, masks) or _by_rules(workflow, item, workflow.answer.model_validate(answer))
    except ValidationError as error:
        return Judgement(AnswerState.OFF_SCHEMA, error=_in_words(error))


def _made_up(answer: Any, item: Mapping[str, Any], masks: Mapping[str, str]) -> Judgement | None:
    """A placeholder that we never gave it must not reach anybody: the answer is asked for again."""
    found = masking.left(answer)
    if not found or not (strange := sorted(set(found) - set(masking.left(item)))):
        return None
    return Judgement(AnswerState.RULE_FAILED, error=f"placeholder: {', '.join(strange[:5])} stands for nothing that was sent.")


def _refuse_nul(text: str) -> None:
    if "\x00" in text or "\\u0000" in text:
        raise ValueError("The answer holds NUL characters.")


def _by_rules(workflow: Workflow, item: Mapping[str, Any], answer: BaseModel) -> Judgement:
    try:
        subject = workflow.item.model_validate(item)
    except ValidationError:
        return Judgement(AnswerState.RULE_FAILED, error="The item's model changed after it was locked: it no longer fits.")
    found: list[Finding] = []
    for rule in workflow.rules:
        try:
            found += rule(subject, answer)
        except Exception as error:  # a rule that breaks on one answer must not keep a batch of paid ones from landing
            log.exception("the rule %s broke", rule.__name__)
            return Judgement(AnswerState.RULE_FAILED, error=f"{rule.__name__}: the rule broke on it ({type(error).__name__}).")
    failed = [finding for finding in found if finding.severity is Severity.FAIL]
    output = answer.model_dump(mode="json")
    if failed:
        words = "; ".join(f"{finding.rule}: {finding.message}" for finding in failed[:3])
        return Judgement(AnswerState.RULE_FAILED, output, tuple(found), words)
    return Judgement(AnswerState.VALID, output, tuple(found))


def _in_words(error: ValidationError) -> str:
    if error.errors()[0]["type"] == "json_invalid":
        return "The answer is not JSON."
    faults = [f"{'.'.join(map(str, f['loc']))}: {f['msg']}" for f in error.errors(include_url=False, include_input=False)]
    return f"The answer is off its schema: {'; '.join(faults[:5])}"[:500]
