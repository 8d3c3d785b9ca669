"""Sphinx's configuration: the pages of docs/ as they stand, each workflow's own page, and a reference made from the code.

`make docs` builds it, with every warning an error: a link that leads nowhere fails the tests.
"""

import re
import sys
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[1]
sys.path[:0] = [str(PROJECT), str(PROJECT / "plugins")]

from docs_site import reference  # noqa: E402

project = "Overnight"
author = "the Overnight authors"
extensions = ["myst_parser"]
exclude_patterns = ["results", "_build"]
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]
html_theme = "furo"
html_title = "Overnight"
html_copy_source = False
html_show_sphinx = False
nitpicky = True
smartquotes = False  # an option is written with two hyphens

_WORKFLOW = re.compile(r"\((?:\.\./)*include/prompts/(\w+)/doc\.md\)")


def setup(app: Any) -> None:
    """Write the made pages before Sphinx looks for pages; lead links to a workflow's folder to its page."""
    reference.write(Path(app.srcdir))
    app.connect("source-read", _links)


def _links(_app: Any, _page: str, source: list[str]) -> None:
    source[0] = _WORKFLOW.sub(r"(\1.md)", source[0])
