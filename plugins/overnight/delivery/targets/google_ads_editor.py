"""Google Ads Editor's import: responsive search ads, and asset groups of Performance Max in a file of their own. All paused."""

from collections.abc import Mapping, Sequence
from typing import Any

from overnight.delivery import tables
from overnight.delivery.target import Approved, Target

RSA = [
    "Campaign",
    "Ad group",
    "Ad type",
    *tables.columns("Headline {}", 15),
    *tables.columns("Description {}", 4),
    "Path 1",
    "Path 2",
    "Final URL",
    "Ad status",
    "Labels",
]
PMAX = ["Campaign", "Asset group", *tables.columns("Headline {}", 15), *tables.columns("Long headline {}", 5),
        *tables.columns("Description {}", 5), "Path 1", "Path 2", "Final URL", "Asset group status", "Labels"]  # fmt: skip


def make() -> "GoogleAdsEditorTarget":
    """The target needs no settings."""
    return GoogleAdsEditorTarget()


class GoogleAdsEditorTarget(Target):
    """`google_ads_search.csv` and `google_ads_pmax.csv`: a row an ad or asset group, to be set live by a person."""

    def files(self, workflow: str, items: Sequence[Approved]) -> Mapping[str, bytes]:
        """The files that have a row."""
        by = {name: [item for item in items if item.input.get("platform") == name] for name in ("google_rsa", "google_pmax")}
        made: dict[str, bytes] = {}
        if by["google_rsa"]:
            made["google_ads_search.csv"] = tables.write(RSA, [_search(item) for item in by["google_rsa"]])
        if by["google_pmax"]:
            made["google_ads_pmax.csv"] = tables.write(PMAX, [_pmax(item) for item in by["google_pmax"]])
        return made


def _texts(item: Approved, descriptions: int) -> dict[str, Any]:
    new = item.output
    return {
        **tables.numbered("Headline {}", new.get("headlines") or [], 15),
        **tables.numbered("Description {}", new.get("descriptions") or [], descriptions),
        **tables.numbered("Path {}", new.get("paths") or [], 2),
        "Campaign": item.input["campaign"], "Final URL": item.input["landing_url"], "Labels": f"overnight {item.key}",
    }  # fmt: skip


def _search(item: Approved) -> dict[str, Any]:
    return _texts(item, 4) | {"Ad group": item.input["ad_group"], "Ad type": "Responsive search ad", "Ad status": "Paused"}


def _pmax(item: Approved) -> dict[str, Any]:
    long = tables.numbered("Long headline {}", item.output.get("long_headlines") or [], 5)
    return _texts(item, 5) | long | {"Asset group": f"{item.input['ad_group']} {item.key}", "Asset group status": "Paused"}
