"""What is the brand's and not one workflow's: its name, its time zone, its voice. Read from `include/brand.yaml`."""

import os
from datetime import time
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, field_validator

from overnight import settings


class LaunchSettings(BaseModel):
    """Sizes of the launch gate, and what a change of a workflow sends it back to."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    start: Literal["pilot", "test", "early", "live"] = "pilot"  # where a workflow begins that never ran
    pilot_items: int = Field(default=10, ge=1)  # a scheduled night of a workflow in pilot or test holds so many at most
    pilot_least: int = Field(default=5, ge=1)  # decided items that end a pilot
    test_items: int = Field(default=50, ge=20, le=100)  # decided items that a launch test takes at least
    early_items: int = Field(default=25, ge=1)  # a scheduled night of a workflow in early holds so many at most
    early_least: int = Field(default=15, ge=1)  # a night of fewer does not count
    early_nights: int = Field(default=14, ge=1)  # nights that count, before it may go live
    on_new_prompt: Literal["test", "early", "ignore"] = "test"  # what a new prompt version sends a workflow back to
    on_new_model: Literal["test", "early", "ignore"] = "test"  # … and another model
    on_new_policy: Literal["test", "early", "ignore"] = "early"  # … and a changed policy


class LiveLane(BaseModel):
    """What answers customers by day. A night that would use any of it is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    connections: tuple[str, ...] = ()  # ids of Airflow connections whose keys answer customers
    prompts: tuple[str, ...] = ()  # prompt folders
    agents: tuple[str, ...] = ()  # agent ids


class Retention(BaseModel):
    """After how many days what is removed; null: never. Figures, hashes and the ends of the log's chains always stay.

    How long the vendors' raw answers are kept is each policy's (`audit.keep_raw_days`).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    texts_days: int | None = Field(default=None, ge=30)  # what items said and were answered, what people wrote about them
    audit_days: int | None = Field(default=None, ge=90)  # whole days of the audit log, into an archive first


class Brand(BaseModel):
    """The brand's own settings. Anything unknown in the file is an error, not a silence."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, max_length=100)  # what the prompts call you
    timezone: str  # IANA, e.g. Europe/Berlin: the lock, the cutoff and the review are local times
    voice: str = Field(min_length=1, max_length=4000)  # how you write: part of every prompt that writes
    banned_phrases: tuple[str, ...] = ()  # no answer may contain them, in any case
    budget_usd: Decimal | None = Field(default=None, ge=0)  # all workflows of one night together; null: no such limit
    source: str = "csv"  # where people queue, unless a workflow says otherwise: csv, sheets, notion, airtable, sql
    surface: str = "page"  # where people review, unless a workflow says otherwise: page, sheets, notion, airtable, xlsx
    review_ends: time = time(13, 0)  # when the review block is over: what is undecided then waits for the next morning
    launch: LaunchSettings = LaunchSettings()
    live: LiveLane = LiveLane()
    retention: Retention = Retention()
    enqueued_tokens: dict[str, dict[str, int]] = Field(default_factory=dict)  # vendor → model → what its tier lets wait

    @field_validator("review_ends", mode="before")
    @classmethod
    def _in_quotes(cls, value: object) -> object:
        if isinstance(value, int | float):  # YAML reads 14:30 as a number to the base of sixty
            raise ValueError('write the time in quotes, "14:30"')
        return value

    @field_validator("review_ends")
    @classmethod
    def _local(cls, value: time) -> time:
        if value.tzinfo is not None:
            raise ValueError(f'{value} names a zone; it is a time of the brand\'s own zone: "14:30"')
        return value

    @field_validator("timezone")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"{value!r} is no IANA time zone; write one like Europe/Berlin") from error
        return value


def project_dir() -> Path:
    """The folder that holds dags/, include/ and plugins/ (a deployment may say where: OVERNIGHT_PROJECT)."""
    named = os.environ.get("OVERNIGHT_PROJECT")
    return Path(named) if named else Path(__file__).parents[2]


def include_dir() -> Path:
    """Where prompts, policies and the brand's settings are."""
    return project_dir() / "include"


def data_dir(workflow: str) -> Path:
    """Where a workflow's tables lie that are no queue (a catalogue, sales by day, snapshots): OVERNIGHT_DATA_DIR, or
    AIRFLOW_HOME/data, and there a folder a workflow."""
    home = Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser()
    return Path(os.environ.get("OVERNIGHT_DATA_DIR", home / "data")) / workflow


@lru_cache(maxsize=1)
def brand() -> Brand:
    """The brand of this deployment; OVERNIGHT_TIMEZONE, _SOURCE, _SURFACE and _LAUNCH (a first state) override."""
    over: dict[str, Any] = {}
    for name in ("timezone", "source", "surface"):
        if value := os.environ.get(f"OVERNIGHT_{name.upper()}"):
            over[name] = value
    if value := os.environ.get("OVERNIGHT_LAUNCH"):
        over["launch"] = {"start": value}
    return settings.load(include_dir() / "brand.yaml", Brand, over)
