"""Landing: a batch's raw results become answers in the ledger, in chunks that commit as a whole.

A line is matched by its custom_id alone. What is foreign, doubled or garbled is counted and never becomes an answer; a
request that no line speaks for lands as missing. Landing again after a kill goes on where it stopped.
"""

import gc
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Any

from overnight.batches import cost, judge, raw
from overnight.batches.vendor import Result, Usage, Vendor
from overnight.ledger import answers, batches, chains
from overnight.ledger.audit import Actor
from overnight.ledger.batches import Batch
from overnight.ledger.connect import Ledger
from overnight.ledger.states import AnswerState, ItemState, RequestState
from overnight.ledger.transitions import chunks
from overnight.workflow import Workflow

CHUNK = 1_000  # answers in one commit: bounds the memory, and a commit waits for the disk
_NO_LINE = "The vendor's results hold no line for this request."
_NOTHING = Usage()
_WAITING = {ItemState.LOCKED, ItemState.SUBMITTED}
_ENDS = {
    AnswerState.ERRORED: RequestState.ERRORED,
    AnswerState.EXPIRED: RequestState.EXPIRED,
    AnswerState.CANCELLED: RequestState.CANCELLED,
    AnswerState.MISSING: RequestState.MISSING,
}


@dataclass(slots=True)
class _Chunk:
    answers: list[dict[str, Any]] = field(default_factory=list)
    findings: list[dict[str, Any]] = field(default_factory=list)
    ends: dict[RequestState, list[int]] = field(default_factory=dict)
    movable: set[int] = field(default_factory=set)


class Landing:
    """One landing of one batch, into the night the batch lands in."""

    def __init__(self, ledger: Ledger, workflow: Workflow, vendor: type[Vendor], batch: Batch, actor: Actor) -> None:
        self.ledger, self.workflow, self.batch, self.actor = ledger, workflow, batch, actor
        self.vendor, self.night_id = vendor(None), batch["home_night_id"]
        self.counts: Counter[str] = Counter()

    def land(self, raw_path: str, *, now: datetime) -> dict[str, int]:
        """Write every answer of the raw file, then the missing ones; returns the counts by answer state and oddity."""
        gc.freeze()  # the libraries a worker has loaded are not garbage: looking through them again costs a fifth of the time
        try:
            for results in chunks(self._results(raw_path), CHUNK):
                self._write({result.custom_id: result for result in results}, now=now)
            self._write_missing(now=now)
        finally:
            gc.unfreeze()
        return dict(self.counts)

    def _results(self, raw_path: str) -> Iterator[Result]:
        seen: set[str] = set()
        for line in raw.lines(raw_path):
            try:
                result = self.vendor.read(line)
            except (ValueError, KeyError, TypeError, AttributeError):
                self.counts["garbled"] += 1
                continue
            if result.custom_id in seen:
                self.counts["duplicated"] += 1
                continue
            seen.add(result.custom_id)
            yield result

    def _write(self, results: dict[str, Result], *, now: datetime) -> None:
        with self.ledger.write() as conn:
            chains.hold(conn, self.night_id)
            waiting = answers.open_requests(conn, self.batch["id"], results)
            odd = [custom_id for custom_id in results if custom_id not in waiting]
            known = set(batches.custom_ids(conn, self.batch["id"], odd)) if odd else set()
            chunk = _Chunk()
            for custom_id, result in results.items():
                if custom_id in waiting:
                    self._add(chunk, waiting[custom_id], result)
                elif custom_id not in known:
                    self.counts["foreign"] += 1
            self._commit(conn, chunk, now)

    def _write_missing(self, *, now: datetime) -> None:
        """Chunk by chunk: a batch that brought nothing is no reason to hold its whole night in memory."""
        while True:
            with self.ledger.write() as conn:
                chains.hold(conn, self.night_id)
                left = answers.open_requests(conn, self.batch["id"], most=CHUNK)
                if not left:
                    return
                chunk = _Chunk()
                for rows in left.values():
                    self._add(chunk, rows, None)
                self._commit(conn, chunk, now)

    def _commit(self, conn: Any, chunk: _Chunk, now: datetime) -> None:
        common: dict[str, Any] = {"workflow": self.workflow.name, "actor": self.actor, "now": now}
        answers.land(conn, chunk.answers, chunk.findings, chunk.ends, chunk.movable, **common)

    def _add(self, chunk: _Chunk, rows: Sequence[Any], result: Result | None) -> None:
        """The answers of one request. Its tokens are shared out over its entries; identical inputs cost nothing more."""
        groups = [list(group) for _, group in groupby(rows, key=lambda row: row.position)] if len(rows) > 1 else [[*rows]]
        judged = self._judged([group[0].input for group in groups], [group[0].masks or {} for group in groups], result)
        shares = result.usage.shares(len(groups)) if result is not None else [_NOTHING] * len(groups)
        for group, entry, share in zip(groups, judged, shares, strict=True):
            for place, row in enumerate(group):
                # Identical questions, but each item has rules of its own to pass.
                one = entry if place == 0 or entry.output is None else judge.again(self.workflow, row.input, entry.output)
                chunk.answers.append(self._answer(row, one, _NOTHING if place else share, result))
                chunk.findings += judge.finding_rows(one, row.item_id, self.night_id, step_id=row.step_id, attempt=row.attempt)
                if row.night_id == self.night_id and row.item_state in _WAITING:
                    chunk.movable.add(row.item_id)
                self.counts[one.state] += 1
        states = {_ENDS.get(entry.state, RequestState.ANSWERED) for entry in judged}
        end = states.pop() if len(states) == 1 else RequestState.ANSWERED
        chunk.ends.setdefault(end, []).append(rows[0].request_id)

    def _judged(self, inputs: Sequence[Any], masks: Sequence[Mapping[str, str]], result: Result | None) -> list[judge.Judgement]:
        if result is None:
            why = f"The vendor failed the whole batch: {self.batch['error']}." if self.batch["error"] else _NO_LINE
            return [judge.Judgement(AnswerState.MISSING, error=why, retryable=True)] * len(inputs)
        return judge.entries(self.workflow, inputs, result, masks)

    def _answer(self, row: Any, judged: judge.Judgement, usage: Usage, result: Result | None) -> dict[str, Any]:
        batch_usd, realtime_usd = cost.batch_cost(self.vendor.facts, self.batch["model"], usage)
        return {
            "item_id": row.item_id, "step_id": row.step_id, "request_id": row.request_id,
            "vendor": self.batch["vendor"], "attempt": row.attempt, "state": judged.state, "output": judged.output,
            "error": judged.error, "retryable": judged.retryable,
            "model": result.model if result else None, "input_tokens": usage.input,
            "cache_read_tokens": usage.cache_read, "cache_write_tokens": usage.cache_write,
            "output_tokens": usage.output, "reasoning_tokens": usage.reasoning,
            "cost_usd": batch_usd, "realtime_cost_usd": realtime_usd, "night_id": self.night_id,
        }  # fmt: skip
