"""The brand's people: who reviews, for how long, what they can judge, what their yes is worth. From `include/team.yaml`."""

import os
from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, model_validator

from overnight import settings
from overnight.brand import include_dir

ANY = "*"


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Person(_Closed):
    """One of them. `also` are the names that surfaces and Airflow know them by."""

    name: str = Field(min_length=1, max_length=128)  # as it stands in decisions and in the audit log
    also: tuple[str, ...] = ()  # user names and spellings they are known by elsewhere
    minutes: int = Field(default=0, ge=0, le=600)  # of the review block, each morning
    skills: tuple[str, ...] = ()  # workflows they can judge; "*" is all
    roles: tuple[str, ...] = ()  # of your own choosing; a policy names them beside people

    def can_judge(self, workflow: str) -> bool:
        """Whether they review this workflow."""
        return ANY in self.skills or workflow in self.skills

    def is_one_of(self, names: Iterable[str]) -> bool:
        """Whether any of these names or roles is theirs."""
        mine = {_plain(word) for word in (self.name, *self.also, *self.roles)}
        return any(_plain(name) in mine for name in names)


class Share(_Closed):
    """A workflow's claim on the morning."""

    priority: int = Field(default=5, ge=1, le=9)  # the higher takes what it could need before the lower
    minimum: float = Field(default=5, ge=0)  # minutes that no other workflow takes from it


class Team(_Closed):
    """All of them, and how their morning is divided among workflows."""

    people: tuple[Person, ...] = ()  # everyone whose yes counts for anything
    workflows: dict[str, Share] = Field(default_factory=dict)  # workflow → its claim on the reviewers' morning

    def share(self, workflow: str) -> Share:
        """A workflow's claim; the usual one where nothing is said."""
        return self.workflows.get(workflow, Share())

    @model_validator(mode="after")
    def _no_name_twice(self) -> "Team":
        seen: dict[str, str] = {}
        for person in self.people:
            for word in {_plain(name) for name in (person.name, *person.also)}:
                if word in seen:
                    raise ValueError(f"{word!r} names both {seen[word]} and {person.name}: whose yes would it be?")
                seen[word] = person.name
        if clash := sorted({_plain(role) for person in self.people for role in person.roles} & seen.keys()):
            raise ValueError(f"{', '.join(clash)}: a role may not be called as a person is")
        return self

    def who(self, written: str) -> str:
        """The person's own name behind what was typed or logged in; one we do not know keeps what was typed."""
        person = self.find(written)
        return person.name if person else " ".join(written.split())

    def find(self, written: str) -> Person | None:
        """The person known by that name."""
        plain = _plain(written)
        return next((p for p in self.people if plain in {_plain(name) for name in (p.name, *p.also)}), None)

    def is_one_of(self, written: str, names: Iterable[str]) -> bool:
        """Whether whoever wrote that name is among these names and roles. A name we do not know is nobody's role."""
        person = self.find(written)
        return person is not None and person.is_one_of(names)

    def named(self, names: Iterable[str]) -> list[str]:
        """The people behind names and roles."""
        listed = list(names)
        return [person.name for person in self.people if person.is_one_of(listed)]

    def same(self, one: str, other: str) -> bool:
        """Whether two names are one person's."""
        return _plain(self.who(one)) == _plain(self.who(other))


def _plain(name: str) -> str:
    return " ".join(name.split()).casefold()


def team_file() -> Path:
    """Where the team is written down; OVERNIGHT_TEAM names another file."""
    named = os.environ.get("OVERNIGHT_TEAM")
    return Path(named) if named else include_dir() / "team.yaml"


def team() -> Team:
    """The team as its file says now: who joined at noon may say yes at five past.

    Raises:
        SettingsError: the file is missing, or says something that cannot be.
    """
    return settings.current(team_file(), Team)
