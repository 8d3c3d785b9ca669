"""The file name is the registration: a name becomes the one module of that name in a room's plural folder.

Only the module asked for is imported; for an unknown name the error lists the valid ones.
"""

import pkgutil
from importlib import import_module
from types import ModuleType


class UnknownName(LookupError):
    """No such workflow, vendor, source or surface."""


def names(package: str) -> list[str]:
    """The names a plural folder holds, e.g. `names("overnight.batches.vendors")`, without importing any of them."""
    room = import_module(package)
    return sorted(m.name for m in pkgutil.iter_modules(room.__path__) if not m.name.startswith("_"))


def find(package: str, name: str) -> ModuleType:
    """The module called `name` in a plural folder.

    Raises:
        UnknownName: there is none; the message lists what there is.
    """
    if name not in names(package):
        kind = package.rpartition(".")[2]
        raise UnknownName(f"{name!r} is not one of the {kind}: {', '.join(names(package))}")
    return import_module(f"{package}.{name}")
