"""The review page inside the Airflow UI. It reads the ledger and writes decisions straight into it, so there is no copy to
keep in step: exporting is a count, collecting finds nothing that is not there already.
"""

from collections.abc import Sequence
from typing import Any

from overnight.ledger import reviews
from overnight.ledger.connect import Ledger
from overnight.ledger.nights import Night
from overnight.review.surface import Surface


def make() -> "PageSurface":
    """The page needs no settings."""
    return PageSurface()


class PageSurface(Surface):
    """Served by `overnight.ui`."""

    def check(self, workflow: str) -> str | None:
        """Always there: it is part of Airflow's own web server."""
        return None

    def export(self, ledger: Ledger, night: Night) -> int:
        """How many of the night's items the page finds."""
        with ledger.read() as conn:
            return sum(reviews.bucket_counts(conn, night["id"]).values())

    def collect(self, ledger: Ledger) -> Sequence[dict[str, Any]]:
        """Nothing: a decision on the page is in the ledger already."""
        return ()
