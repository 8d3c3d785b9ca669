"""The morning digest of review_sentiment: counted in pandas, never by the model. Imported in tasks only."""

import random
from collections.abc import Sequence
from typing import Any

import pandas as pd

from overnight.workflow import NightRow, Severity

TOP = 8
QUOTES = 3


def digest(rows: Sequence[NightRow], *, sample: int, seed: str) -> tuple[dict[str, Any], dict[int, str]]:
    """One page that stands for a night of reviews.

    Args:
        sample: how many unremarkable labels a person checks.
        seed: makes the sample the same when the step runs again.

    Returns:
        The summary as JSON, and each item's bucket: `safety`, `warning`, `sample` or `covered`.
    """
    buckets = {row.item_id: _bucket(row) for row in rows}
    plain = sorted(item_id for item_id, bucket in buckets.items() if bucket == "covered")
    for item_id in random.Random(seed).sample(plain, min(sample, len(plain))):  # noqa: S311 - a review sample, not a secret
        buckets[item_id] = "sample"
    reviews, aspects = _tables(rows)
    summary = {
        "reviews": len(rows),
        "overall": _overall(reviews),
        "net_sentiment": _net(reviews["overall"]) if len(reviews) else None,
        "mean_stars": round(float(reviews["rating"].mean()), 2) if len(reviews) else None,
        "aspects": _aspects(aspects),
        "other_share": round(float((aspects["aspect"] == "other").mean()), 3) if len(aspects) else 0.0,
        "skus": _skus(reviews),
        "disagreements": sum(any(f.rule == "stars_against_text" for f in row.findings) for row in rows),
        "safety": sum(bucket == "safety" for bucket in buckets.values()),
    }
    return summary, buckets


def _bucket(row: NightRow) -> str:
    worst = {finding.severity for finding in row.findings}
    if Severity.ESCALATE in worst:
        return "safety"
    return "warning" if Severity.WARN in worst else "covered"


def _tables(rows: Sequence[NightRow]) -> tuple[pd.DataFrame, pd.DataFrame]:
    reviews = pd.DataFrame(
        [
            {"item_id": r.item_id, "sku": r.item["sku"], "rating": r.item["rating"], "overall": r.answer["overall"],
             "score": r.answer["score"]}
            for r in rows
        ],
        columns=["item_id", "sku", "rating", "overall", "score"],
    )  # fmt: skip
    aspects = pd.DataFrame(
        [{"item_id": r.item_id, **aspect} for r in rows for aspect in r.answer["aspects"]],
        columns=["item_id", "aspect", "sentiment", "quote"],
    )
    return reviews, aspects


def _overall(reviews: pd.DataFrame) -> dict[str, int]:
    counts = reviews["overall"].value_counts()
    return {label: int(counts.get(label, 0)) for label in ("positive", "mixed", "neutral", "negative")}


def _net(labels: pd.Series) -> float:
    """Net sentiment: share of positive minus share of negative, -1..1."""
    return round(float((labels == "positive").mean() - (labels == "negative").mean()), 3)


def _aspects(aspects: pd.DataFrame) -> list[dict[str, Any]]:
    """Aspects by how often they are spoken of badly, with quotes that prove it."""
    table: list[dict[str, Any]] = []
    for name, group in aspects.groupby("aspect"):
        counts = group["sentiment"].value_counts()
        bad = group[group["sentiment"] == "negative"].sort_values("item_id")
        table.append(
            {
                "aspect": str(name),
                "mentions": len(group),
                **{label: int(counts.get(label, 0)) for label in ("positive", "neutral", "negative")},
                "net": _net(group["sentiment"]),
                "quotes": [str(quote) for quote in bad["quote"].head(QUOTES)],
            }
        )
    return sorted(table, key=lambda row: (-row["negative"], -row["mentions"], row["aspect"]))


def _skus(reviews: pd.DataFrame) -> list[dict[str, Any]]:
    """Products with the most negative reviews; those with one review alone say little and come last."""
    if not len(reviews):
        return []
    table: list[dict[str, Any]] = [
        {"sku": str(sku), "reviews": len(group), "negative": int((group["overall"] == "negative").sum()),
         "net": _net(group["overall"]), "mean_stars": round(float(group["rating"].mean()), 2)}
        for sku, group in reviews.groupby("sku")
    ]  # fmt: skip
    return sorted(table, key=lambda row: (-row["negative"], row["net"], row["sku"]))[:TOP]
