"""The morning digest of review_sentiment: counted in pandas, never by the model. Imported in tasks only."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from overnight.rates import apart
from overnight.workflow import NightRow
from overnight.workflows._digests._tables import Past, added_up, buckets

TOP = 8
QUOTES = 3


def digest(rows: Sequence[NightRow], *, sample: int, seed: str, past: Past = ()) -> tuple[dict[str, Any], dict[int, str]]:
    """One page that stands for a night of reviews.

    Args:
        sample: how many unremarkable labels a person checks.
        seed: makes the sample the same when the step runs again.
        past: the digests of the last 28 days: what rises is told from what merely differs.

    Returns:
        The summary as JSON, and each item's bucket: `safety`, `warning`, `sample` or `covered`.
    """
    placed = buckets(rows, sample=sample, seed=seed)
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
        "safety": sum(bucket == "safety" for bucket in placed.values()),
        "rising": rising(_complaints(aspects), len(rows), past),
        "_complaints": _complaints(aspects),
        "_reviews": {"all": len(rows)},
    }
    return summary, placed


def _tables(rows: Sequence[NightRow]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Column by column, the texts as they are in the rows: nights here are long, and a copy of each text is not counted in."""
    reviews = pd.DataFrame({
        "sku": pd.Series([r.item["sku"] for r in rows], dtype=object),
        "rating": [r.item["rating"] for r in rows],
        "overall": pd.Series([r.answer["overall"] for r in rows], dtype=object),
    })  # fmt: skip
    told = [(r.item_id, aspect) for r in rows for aspect in r.answer["aspects"]]
    aspects = pd.DataFrame({
        "item_id": [item_id for item_id, _ in told],
        **{name: pd.Series([aspect[name] for _, aspect in told], dtype=object) for name in ("aspect", "sentiment", "quote")},
    })  # fmt: skip
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


def _complaints(aspects: pd.DataFrame) -> dict[str, int]:
    """In how many reviews each aspect is spoken of badly."""
    bad = aspects[aspects["sentiment"] == "negative"].drop_duplicates(["item_id", "aspect"])
    return {str(name): int(count) for name, count in bad["aspect"].value_counts().items()}


def rising(complaints: dict[str, int], reviews: int, past: Past) -> list[dict[str, Any]]:
    """Aspects that are criticised in a larger share of reviews than in the last 28 days, by more than chance."""
    before, of = added_up(past, "_complaints"), added_up(past, "_reviews").get("all", 0)
    found: list[dict[str, Any]] = []
    for aspect, count in complaints.items():
        share, was = count / max(1, reviews), before.get(aspect, 0) / max(1, of)
        if share > was and apart((count, reviews), (before.get(aspect, 0), of), among=len(complaints)):
            found.append({"aspect": aspect, "share": round(share, 3), "share_in_28_days": round(was, 3)})
    return sorted(found, key=lambda row: row["share_in_28_days"] - row["share"])
