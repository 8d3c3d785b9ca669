"""The contract of a review surface: where people see the night and decide. It owns both ends, export and collect.

Export shows a night whole or not at all, and showing it again changes nothing; collect brings back what people decided
and never decides itself.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from overnight import finder
from overnight.ledger.connect import Ledger
from overnight.ledger.nights import Night


class Surface(ABC):
    """Shows nights and brings decisions back."""

    @abstractmethod
    def check(self, workflow: str) -> str | None:
        """Whether the surface can be written and read now: None, or what is wrong (said at 17:00)."""

    @abstractmethod
    def export(self, ledger: Ledger, night: Night) -> int:
        """Show the night's staged and failed items; returns how many the surface shows now, read back from it."""

    @abstractmethod
    def collect(self, ledger: Ledger) -> Sequence[dict[str, Any]]:
        """Decisions made on the surface that the ledger does not hold yet: `night_id`, `item_id` and the decision's columns."""


def surface(name: str) -> Surface:
    """The surface called `name`; an unknown name is answered with the ones there are."""
    made = finder.find("overnight.review.surfaces", name).make()
    assert isinstance(made, Surface), f"overnight/review/surfaces/{name}.py makes no Surface"  # noqa: S101
    return made
