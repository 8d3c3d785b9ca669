"""What the team made before Overnight, from `include/baseline.yaml`: measured by people, entered by people, never guessed.

Without an entry no multiplier and no hours are shown for a workflow: what nobody measured is not known.
"""

from pydantic import BaseModel, ConfigDict, Field

from overnight import settings
from overnight.brand import include_dir


class Baseline(BaseModel):
    """One workflow by hand, before."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    outputs_per_week: float = Field(gt=0)  # finished outputs of the whole team
    minutes_each: float = Field(gt=0, le=10_000)  # a person's minutes for one, looking things up included
    measured: str = Field(min_length=3)  # when, by whom and how: shown beside every number that rests on it


class Baselines(BaseModel):
    """Those of all workflows that were measured."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    workflows: dict[str, Baseline] = {}  # workflow → what it took by hand


def baselines() -> Baselines:
    """The file; without one, nothing was measured.

    Raises:
        SettingsError: what is wrong in it, in words.
    """
    path = include_dir() / "baseline.yaml"
    return settings.current(path, Baselines) if path.exists() else Baselines()
