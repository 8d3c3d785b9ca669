"""The review page inside the Airflow UI. It reads the ledger and writes decisions straight into it, so there is no copy to
keep in step: exporting is a look, collecting finds nothing that is not there already.
"""

from collections.abc import Sequence

from overnight.review.exhibit import Exhibit
from overnight.review.surface import Shown, Surface


def make() -> "PageSurface":
    """The page needs no settings."""
    return PageSurface()


class PageSurface(Surface):
    """Served by `overnight.ui`."""

    shows_covered = True
    in_ledger = True

    def check(self, workflow: str) -> str | None:
        """Always there: it is part of Airflow's own web server."""
        return None

    def export(self, exhibit: Exhibit) -> Sequence[Shown]:
        """What the page finds in the ledger."""
        return [Shown(entry.ref, "", "") for entry in exhibit.entries]
