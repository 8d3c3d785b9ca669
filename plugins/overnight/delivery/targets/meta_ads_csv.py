"""Meta Ads Manager's bulk import: a row an ad, up to five texts of each kind, paused until a person sets it live."""

from collections.abc import Mapping, Sequence
from typing import Any

from overnight.delivery import tables
from overnight.delivery.target import Approved, Target

PLATFORMS = ("meta_feed", "meta_reels")
MOST = 5
_MORE = range(2, MOST + 1)
HEADER = ["Campaign Name", "Ad Set Name", "Ad Name", "Ad Status", "Creative Type", "Title", "Body", "Link Description",
          *(f"Additional {name} {n}" for name in ("Title", "Body", "Link Description") for n in range(1, MOST)), "Link",
          "Call to Action"]  # fmt: skip


def make() -> "MetaAdsCsvTarget":
    """The target needs no settings."""
    return MetaAdsCsvTarget()


class MetaAdsCsvTarget(Target):
    """`meta_ads.csv`, where the delivery holds an ad for Meta."""

    def files(self, workflow: str, items: Sequence[Approved]) -> Mapping[str, bytes]:
        """One file, or none."""
        rows = [_row(item) for item in items if item.input.get("platform") in PLATFORMS]
        return {"meta_ads.csv": tables.write(HEADER, rows)} if rows else {}


def _row(item: Approved) -> dict[str, Any]:
    new = item.output
    row: dict[str, Any] = {
        "Campaign Name": item.input["campaign"],
        "Ad Set Name": item.input["ad_group"],
        "Ad Name": item.key,
        "Ad Status": "PAUSED",
        "Creative Type": "Link Page Post Ad",
        "Link": item.input["landing_url"],
        "Call to Action": new.get("cta") or "",
    }
    for column, field in (("Title", "headlines"), ("Body", "primary_texts"), ("Link Description", "descriptions")):
        texts = list(new.get(field) or [])
        row[column] = texts[0] if texts else ""
        row |= tables.numbered(f"Additional {column} {{}}", texts[1:], MOST - 1)
    return row
