"""What is healthy and what raises an alert, from `include/quality.yaml`. Shares run from 0 to 1 and are of decided items."""

from functools import lru_cache

from pydantic import BaseModel, ConfigDict, Field, model_validator

from overnight import settings
from overnight.brand import include_dir


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Ranges(_Closed):
    """The healthy bands: lowest and highest."""

    as_is: tuple[float, float] = (0.70, 0.85)  # approved as it is
    edit: tuple[float, float] = (0.10, 0.20)  # approved with edits
    rework: tuple[float, float] = (0.05, 0.10)  # sent back
    completion: tuple[float, float] = (1.0, 1.0)  # of the locked items, those that were staged


class Rules(_Closed):
    """Thresholds of the single rules, and the guard that keeps chance from raising them."""

    as_is_twice_below: float = Field(default=0.70, gt=0, lt=1)  # two nights running
    as_is_once_below: float = Field(default=0.65, gt=0, lt=1)  # one night
    edit_above: float = Field(default=0.25, gt=0, lt=1)  # one night
    rework_above: float = Field(default=0.15, gt=0, lt=1)  # one night
    cost_rises_by: float = Field(default=0.25, gt=0)  # three nights' cost an output above fourteen nights' median
    certainty: float = Field(default=0.005, gt=0, lt=0.5)  # how seldom chance alone would do it
    least_decided: int = Field(default=8, ge=1)  # nights with fewer decided items raise no alert by themselves


class Trend(_Closed):
    """The sequential test."""

    healthy_rate: float = Field(default=0.78, gt=0, lt=1)  # approved as it is, when all is well
    declines: tuple[float, ...] = (0.72, 0.62)  # the declines it looks for
    threshold: float = Field(default=4.25, gt=0)  # log-likelihood at which it speaks

    @model_validator(mode="after")
    def _below(self) -> "Trend":
        if not self.declines or any(not 0 < rate < self.healthy_rate for rate in self.declines):
            raise ValueError(f"declines must lie between 0 and healthy_rate ({self.healthy_rate}); got {list(self.declines)}")
        return self


class RubberStamp(_Closed):
    """Approval that is too good and too fast."""

    as_is_above: float = Field(default=0.95, gt=0, lt=1)  # share approved as it is
    seconds_below: float = Field(default=8, gt=0)  # median seconds between two decisions of one reviewer
    least_decided: int = Field(default=20, ge=1)  # decisions, before it says anything


class Shift(_Closed):
    """Distributions against the last 28 days."""

    psi_above: float = Field(default=0.25, gt=0)  # population stability index
    certainty: float = Field(default=0.001, gt=0, lt=0.5)  # and a chi-squared test says that it is no chance
    least: int = Field(default=50, ge=1)  # labels or rows in both


class Tightened(_Closed):
    """What holds while a workflow is tightened."""

    cap_share: float = Field(default=0.5, gt=0, le=1)  # of the night's cap
    sample_times: int = Field(default=2, ge=1)  # as large a review sample
    nights_in_range: int = Field(default=3, ge=1)  # in a row, and it is loosened
    hold: bool = False  # pause the workflow instead: its next night waits for a named person


class Quality(_Closed):
    """The whole file."""

    ranges: Ranges = Ranges()
    rules: Rules = Rules()
    trend: Trend = Trend()
    rubber_stamp: RubberStamp = RubberStamp()
    shift: Shift = Shift()
    tightened: Tightened = Tightened()


@lru_cache(maxsize=1)
def quality() -> Quality:
    """The file of this deployment, or the seed's own numbers where there is none.

    Raises:
        SettingsError: the file says something that cannot be.
    """
    path = include_dir() / "quality.yaml"
    return settings.load(path, Quality) if path.exists() else Quality()
