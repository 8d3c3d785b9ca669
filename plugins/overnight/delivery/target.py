"""The contract of a delivery target: approved items in, files out. It writes nothing itself and knows no ledger."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from overnight import finder


@dataclass(frozen=True, slots=True)
class Approved:
    """One item that a person approved: what goes out, whose yes it was, and on which text it was given."""

    key: str
    input: Mapping[str, Any]
    output: Mapping[str, Any]
    decision: str
    approver: str
    approved_at: datetime
    night: str
    prompt_version: str
    output_sha256: str


class Target(ABC):
    """Turns approved items into files of one kind."""

    @abstractmethod
    def files(self, workflow: str, items: Sequence[Approved]) -> Mapping[str, bytes]:
        """File name → content; the same items always make the same bytes."""


def target(name: str) -> Target:
    """The target called `name`; an unknown name is answered with the ones there are."""
    made = finder.find("overnight.delivery.targets", name).make()
    assert isinstance(made, Target), f"overnight/delivery/targets/{name}.py makes no Target"  # noqa: S101
    return made
