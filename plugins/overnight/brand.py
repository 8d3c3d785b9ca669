"""What is the brand's and not one workflow's: its name, its time zone, its voice. Read from `include/brand.yaml`."""

import os
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator


class Brand(BaseModel):
    """The brand's own settings. Anything unknown in the file is an error, not a silence."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, max_length=100)
    timezone: str
    voice: str = Field(min_length=1, max_length=4000)
    banned_phrases: tuple[str, ...] = ()
    budget_usd: Decimal | None = Field(default=None, ge=0)  # all workflows of one night together; null: no such limit
    enqueued_tokens: dict[str, dict[str, int]] = Field(default_factory=dict)  # vendor → model → what its tier lets wait

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


@lru_cache(maxsize=1)
def brand() -> Brand:
    """The brand of this deployment; OVERNIGHT_TIMEZONE overrides the file's zone."""
    settings: dict[str, Any] = yaml.safe_load((include_dir() / "brand.yaml").read_text(encoding="utf-8"))
    if zone := os.environ.get("OVERNIGHT_TIMEZONE"):
        settings["timezone"] = zone
    return Brand.model_validate(settings)
