"""The morning digest of ai_visibility: rates with intervals, per engine; a move is told only when it leaves chance behind."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from overnight.rates import apart, wilson
from overnight.workflow import NightRow
from overnight.workflows._digests._tables import Past, buckets

MEASURE = "the vendors' API without a search tool; consumer apps differ"


def digest(rows: Sequence[NightRow], *, sample: int, seed: str, past: Past = ()) -> tuple[dict[str, Any], dict[int, str]]:
    """One page that stands for a night's panel (arguments as for every digest)."""
    engines = _engines(rows)
    asked = sum(of for _, of in engines.values())
    named = sum(hits for hits, _ in engines.values())
    rivals = Counter[str]()
    for row in rows:
        rivals.update(row.answer["rivals"])
    everybody = named + rivals.total()
    cited = sum(row.answer["own_citations"] > 0 for row in rows)
    counts = {f"engine {name}": list(pair) for name, pair in engines.items()} | {"all engines": [named, asked]}
    counts |= {"share of voice": [named, everybody], "own pages cited": [cited, len(rows)]}
    summary = {
        "measure": MEASURE,
        "questions": len(rows),
        "answers": asked,
        "mention_rate": _said(named, asked),
        "share_of_voice": _said(named, everybody),
        "own_pages_cited": _said(cited, len(rows)),
        "engines": [
            {"engine": name, "named": hits, "asked": of, "rate": _said(hits, of)} for name, (hits, of) in engines.items()
        ],
        "rivals": [
            {"rival": name, "named": count, "rate": _said(count, asked)}
            for name, count in sorted(rivals.items(), key=lambda r: -r[1])
        ],
        "moves": moves(counts, past, len(rows)),
        "never_named": [row.item["prompt"] for row in rows if not row.answer["mentioned"]][:10],
        "_counts": counts,
    }
    return summary, buckets(rows, sample=sample, seed=seed, worst="escalated")


def _engines(rows: Sequence[NightRow]) -> dict[str, tuple[int, int]]:
    total: dict[str, tuple[int, int]] = {}
    for row in rows:
        for engine, said in row.answer["by_engine"].items():
            hits, of = (int(part) for part in said.split(" of "))
            before = total.get(engine, (0, 0))
            total[engine] = (before[0] + hits, before[1] + of)
    return dict(sorted(total.items()))


def _said(hits: int, of: int) -> str:
    low, high = wilson(hits, of)
    return f"{hits / of:.0%} ({low:.0%} to {high:.0%})" if of else "nothing to count"


def moves(counts: dict[str, list[int]], past: Past, questions: int | None = None) -> list[dict[str, Any]]:
    """What differs from the last 28 days by more than chance.

    Args:
        questions: how many were asked: the runs and engines of one question agree, so they are one look and not many.
    """
    found: list[dict[str, Any]] = []
    for name, (hits, of) in counts.items():
        earlier = [night["_counts"][name] for night in past if name in (night.get("_counts") or {})]
        before = (sum(pair[0] for pair in earlier), sum(pair[1] for pair in earlier))
        runs = max(1.0, of / questions) if questions else 1.0
        now, then = ((round(pair[0] / runs), round(pair[1] / runs)) for pair in ((hits, of), before))
        if apart(now, then, among=len(counts)):
            found.append({"what": name, "now": _said(hits, of), "last_28_days": _said(*before)})
    return found
