"""The step in code of ad_variants: which variants came out too near to another one of the night."""

from collections.abc import Sequence

from overnight.workflow import Computed, NightFacts, StepRow
from overnight.workflows.ad_variants import near, words_of


def compare(rows: Sequence[StepRow], _facts: NightFacts) -> list[Computed]:
    """For each variant the texts of the earlier ones it is too near to; those are what its second try must differ from."""
    listed = [(r.item_id, f"{r.item['platform']} {r.item['campaign']}", words_of(r.outputs["write"])) for r in rows]
    by_id = {row.item_id: row for row in rows}
    twins = near(listed)
    return [
        Computed(row.item_id, {"too_near_to": [_said(by_id[other]) for other in twins.get(row.item_id, [])[:3]]}) for row in rows
    ]


def _said(row: StepRow) -> str:
    return words_of(row.outputs["write"])[:400]
