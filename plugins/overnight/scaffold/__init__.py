"""An eleventh workflow: one Dag file, one workflow module, one prompt folder, written so that they pass every test as they stand.

What is written is a working workflow of the simplest kind: a row in, a text out, two rules. Its author changes the models, the
rules and the prompt; docs/how-to/new-workflow.md says in which order.
"""

import keyword
import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from overnight.workflow import workflow_names

_FILES = {
    "dag.py.j2": "dags/{name}.py",
    "workflow.py.j2": "plugins/overnight/workflows/{name}.py",
    "system.md.j2": "include/prompts/{name}/system.md.j2",
    "item.md.j2": "include/prompts/{name}/item.md",
    "checklist.md.j2": "include/prompts/{name}/checklist.md",
    "lessons.md.j2": "include/prompts/{name}/lessons.md",
    "policy.yaml.j2": "include/prompts/{name}/policy.yaml",
    "sample.csv.j2": "include/prompts/{name}/sample.csv",
    "doc.md.j2": "include/prompts/{name}/doc.md",
}


class Refused(ValueError):
    """Nothing was written; the words say why."""


def write(project: Path, name: str, *, owner: str) -> list[Path]:
    """Write the files of a new workflow; returns them.

    Raises:
        Refused: the name cannot be one, or something of that name is there already.
    """
    _refuse_name(name)
    targets = {template: project / path.format(name=name) for template, path in _FILES.items()}
    if there := [path for path in targets.values() if path.exists()]:
        raise Refused(f"{', '.join(str(path.relative_to(project)) for path in there)} is there already. Nothing was written.")
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - source files, not pages
    )
    model = "".join(part.capitalize() for part in name.split("_"))
    facts = {"name": name, "title": name.replace("_", " ").capitalize(), "model": model, "owner": owner}
    texts = {path: environment.get_template(template).render(facts) for template, path in targets.items()}
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return list(texts)


def _refuse_name(name: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*", name) or keyword.iskeyword(name) or len(name) > 40:
        raise Refused(
            f"{name!r} cannot be a workflow's name: it begins with a small letter, has small letters, digits and single "
            "underscores, at most 40 in all, and is no word of Python's own (class); e.g. gift_guides. Nothing was written."
        )
    if name in workflow_names():
        raise Refused(f"There is a workflow {name!r} already. Nothing was written.")
