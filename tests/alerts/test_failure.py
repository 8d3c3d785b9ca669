"""What an error is called as an alert."""

import importlib
import inspect
import pkgutil

import overnight
from overnight.alerts.failure import KINDS


def test_every_kind_names_an_error_of_ours() -> None:
    """The alert of an error that was renamed would fall back to `task_failed`, silently."""
    ours = set()
    for module in pkgutil.walk_packages(overnight.__path__, "overnight."):
        if not module.name.startswith(("overnight.ledger.migrations", "overnight.sandbox")):
            found = inspect.getmembers(importlib.import_module(module.name), inspect.isclass)
            ours |= {name for name, kind in found if issubclass(kind, Exception) and kind.__module__.startswith("overnight.")}
    assert set(KINDS) <= ours
