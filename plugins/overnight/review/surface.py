"""The contract of a review surface: where people see a night and decide. It owns both ends, export and collect.

A surface shows and reads; it decides nothing and knows no ledger. Export shows a night whole or not at all, and puts back
what is missing when it is called again; collect gives back what people wrote, cell by cell; tell puts our answer beside it.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field

from overnight import finder
from overnight.review.exhibit import Exhibit
from overnight.review.verdict import Written


class SurfaceBroken(RuntimeError):
    """The surface cannot be read or written as it is; the words say what to do. Nothing was decided."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One entry that stands on the surface now: where, with which hash of what is ours, and a document of its own."""

    ref: str
    place: str
    shown_hash: str
    link: str | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """One row as it was found: whose it is, what the reviewer wrote, what of ours was changed, what stands beside it."""

    night_id: int
    ref: str
    place: str
    written: Written = field(default_factory=Written)
    shown_hash: str | None = None  # of our cells as they stand there; None: this surface cannot be changed by people
    said: str = ""
    former_hash: str | None = None  # the same as it was made before 0.7, for nights that were in review at the upgrade


@dataclass(frozen=True, slots=True)
class Told:
    """What is to stand beside a row."""

    night_id: int
    ref: str
    place: str
    words: str


class Surface(ABC):
    """Shows nights and brings decisions back."""

    shows_covered = False
    """Whether items that the digest speaks for are shown one by one, too."""
    in_ledger = False
    """Whether decisions are written straight into the ledger: nothing is collected then."""

    @abstractmethod
    def check(self, workflow: str) -> str | None:
        """Whether the surface can be written and read now: None, or what is wrong (said at 17:00)."""

    @abstractmethod
    def export(self, exhibit: Exhibit) -> Sequence[Shown]:
        """Show the night; returns every entry that stands there now, read back from the surface."""

    def collect(self, exhibits: Sequence[Exhibit]) -> Sequence[Mark]:
        """Every row of these nights as it stands there, decided or not."""
        return ()

    def tell(self, exhibits: Sequence[Exhibit], told: Sequence[Told]) -> None:
        """Put words beside rows. It never writes into a cell that is a person's."""
        return


def surface(name: str) -> Surface:
    """The surface called `name`; an unknown name is answered with the ones there are."""
    made = finder.find("overnight.review.surfaces", name).make()
    assert isinstance(made, Surface), f"overnight/review/surfaces/{name}.py makes no Surface"  # noqa: S101
    return made
