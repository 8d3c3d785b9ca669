"""MkDocs' hook: the made pages are added to the site, and links that leave `docs/` are brought home."""

import re
import sys
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[1]
sys.path[:0] = [str(PROJECT), str(PROJECT / "plugins")]

from mkdocs.structure.files import File, Files  # noqa: E402

from docs_site import reference  # noqa: E402

_WORKFLOW = re.compile(r"\((?:\.\./)*include/prompts/(\w+)/doc\.md\)")


def on_files(files: Files, config: Any) -> Files:
    """Add each made page; the workflows' pages stand with their prompts and appear here."""
    for path, text in reference.pages(Path(config["docs_dir"])).items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """A link to a workflow's own folder leads to its page of the site."""
    return _WORKFLOW.sub(r"(\1.md)", markdown)
