"""A project folder of a test's own: the files a data team edits, to be edited."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from overnight.brand import brand
from overnight.quality.ranges import quality
from tests.conftest import PROJECT


class Project:
    """A copy of `include/`; what is changed in it holds from then on."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.include = folder, folder / "include"
        shutil.copytree(PROJECT / "include", self.include)

    def edit(self, path: str, change: Callable[[dict[str, Any]], Any]) -> None:
        """Change a YAML file in place."""
        loaded = yaml.safe_load((self.include / path).read_text())
        change(loaded)
        self.write(path, yaml.safe_dump(loaded))

    def policy(self, workflow: str, change: Callable[[dict[str, Any]], Any]) -> None:
        """Change a workflow's policy."""
        self.edit(f"prompts/{workflow}/policy.yaml", change)

    def append(self, path: str, text: str) -> None:
        """Put text at a file's end."""
        self.write(path, (self.include / path).read_text() + text)

    def write(self, path: str, text: str) -> None:
        """Replace a file's text."""
        (self.include / path).write_text(text)
        forget()


def forget() -> None:
    """What was read of the project's files is read again."""
    brand.cache_clear()
    quality.cache_clear()
