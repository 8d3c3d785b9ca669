"""The contract of a queue source: where people put rows, and where each row gets its answer.

A source reads and answers; it decides nothing. What a row's text says is data: a source never evaluates it, and what it
writes back can never become a formula.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from overnight import finder


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One row as it was found: where it stands, its cells by column, and what is wrong with it as a row (if anything)."""

    ref: str
    fields: dict[str, str]
    problem: str | None = None
    mark: str = ""  # what tells it from others wherever people move it to; empty where `ref` does that


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong with a whole file or sheet, in words for the person who put it there."""

    ref: str
    message: str


@dataclass(frozen=True, slots=True)
class Reading:
    """All rows of one look at the source, and the troubles of whole files."""

    rows: list[SourceRow] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class RowAnswer:
    """What a row's person is told: `locked`, `over the cap`, `rejected` … and why."""

    ref: str
    key: str
    status: str
    message: str
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns a workflow needs and those it may use."""

    required: tuple[str, ...]
    optional: tuple[str, ...]
    id_field: str = ""


class Source(ABC):
    """Reads a workflow's rows and answers them where the person looks."""

    gone_is_withdrawn: ClassVar[bool] = False
    """Whether a row that is gone was taken out by a person who no longer wants it. Not where rows come from a program that
    replaces yesterday's file or table with today's: what waits of it is still wanted.
    """

    @abstractmethod
    def check(self, workflow: str) -> str | None:
        """Whether the source can be read and answered now: None, or what is wrong (said at 17:00)."""

    @abstractmethod
    def read(self, workflow: str, columns: Columns) -> Reading:
        """Every row that is in the queue, whatever became of it before; the ledger knows what is new."""

    @abstractmethod
    def answer(self, workflow: str, night: str, answers: Sequence[RowAnswer], troubles: Sequence[Trouble]) -> None:
        """Put each answer beside its row. Writing the same answers again changes nothing."""


def source(name: str) -> Source:
    """The source called `name`; an unknown name is answered with the ones there are."""
    made = finder.find("overnight.queues.sources", name).make()
    assert isinstance(made, Source), f"overnight/queues/sources/{name}.py makes no Source"  # noqa: S101
    return made
