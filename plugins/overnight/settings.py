"""The YAML files a data team edits in `include/`, read with an error that says which file, what is wrong and what to do."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

Model = TypeVar("Model", bound=BaseModel)


class SettingsError(ValueError):
    """A settings file is missing or says something that cannot be."""


def load(path: Path, model: type[Model], over: Mapping[str, Any] | None = None) -> Model:
    """A settings file as its model.

    Args:
        over: values that stand above the file's own; a mapping is laid over a mapping.

    Raises:
        SettingsError: with every trouble of the file.
    """
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        if not isinstance(found, dict):
            raise SettingsError(f"{path} holds {type(found).__name__}, not settings by name. Mend the file.")
        for name, value in (over or {}).items():
            found[name] = {**(found.get(name) or {}), **value} if isinstance(value, Mapping) else value
        return model.model_validate(found)
    except FileNotFoundError as error:
        raise SettingsError(f"{path} is not there. Put it back, as it came with Overnight or as your team keeps it.") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(f"{path} cannot be read: {' '.join(str(error).split())}. Mend the file.") from error
    except ValidationError as error:
        told = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'the file'}: {e['msg']}" for e in error.errors(include_url=False))
        raise SettingsError(f"{path}: {told}. Mend the file.") from error


def current(path: Path, model: type[Model]) -> Model:
    """A settings file as it stands now, for a process that lives for weeks: read again when it was changed.

    Raises:
        SettingsError: as `load`.
    """
    found = _as_of(path, path.stat().st_mtime_ns if path.exists() else 0, model)
    assert isinstance(found, model)  # noqa: S101 - the cache forgets the type
    return found


@lru_cache(maxsize=16)
def _as_of(path: Path, _changed: int, model: type[BaseModel]) -> BaseModel:
    return load(path, model)
