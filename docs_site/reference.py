"""The reference: pages made from the code, so that they say what the code does. Pure: each function gives one page's Markdown."""

import html
import inspect
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import Any

import typer
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from overnight import brand, finder, team
from overnight.alerts.kinds import SEVERITY
from overnight.baseline import Baselines
from overnight.batches import vendor, waits
from overnight.environment import VARIABLES
from overnight.governance.policy import Policy
from overnight.quality import ranges
from overnight.workflow import workflow, workflow_names

MADE = "*This page is made from the code.*\n\n"
ROOMS = {
    "vendors": ("overnight.batches.vendors", "Who answers: one module a vendor, in `batches/vendors/`."),
    "sources": ("overnight.queues.sources", "Where people queue: one module a source, in `queues/sources/`."),
    "surfaces": ("overnight.review.surfaces", "Where people review: one module a surface, in `review/surfaces/`."),
    "targets": ("overnight.delivery.targets", "What goes out: one module a delivery target, in `delivery/targets/`."),
}


def write(docs: Path) -> None:
    """Every made page below docs/ (git ignores them: what is made is not kept)."""
    for path, text in pages(docs).items():
        target = docs / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists() or target.read_text() != text:
            target.write_text(text)


def pages(docs: Path) -> dict[str, str]:
    """Path below docs/ → Markdown, for every page that is made."""
    return {
        "reference/workflows.md": _workflows(),
        "reference/settings.md": _settings(),
        "reference/policy.md": _policy(),
        "reference/environment.md": _environment(),
        "reference/commands.md": _commands(),
        "reference/alerts.md": _alerts(docs / "runbook"),
        **{f"reference/{name}.md": _room(name, *room) for name, room in ROOMS.items()},
        **{f"workflows/{name}.md": (brand.include_dir() / "prompts" / name / "doc.md").read_text() for name in workflow_names()},
    }


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A Markdown table; no cell breaks it."""
    made = [_row(head), _row(["---"] * len(head)), *map(_row, rows)]
    return "\n".join(made) + "\n"


def _row(cells: Sequence[Any]) -> str:
    return "| " + " | ".join(" ".join(str(cell).split()).replace("|", "&#124;") for cell in cells) + " |"


def code(value: Any) -> str:
    """A value as it is written, whatever characters it holds."""
    return f"<code>{html.escape(str(value), quote=False)}</code>"


def first_paragraph(of: Any) -> str:
    """The first paragraph of a docstring."""
    return " ".join((inspect.getdoc(of) or "").partition("\n\n")[0].split())


def _workflows() -> str:
    rows, details = [], []
    for name in workflow_names():
        one = workflow(name)
        times = one.times
        rows.append([f"[{name}](../workflows/{name}.md)", one.vendor, one.model, one.cap, f"{times.lock:%H:%M}",
                     f"{times.cutoff:%H:%M}", f"{times.due:%H:%M}", one.review.minutes])  # fmt: skip
        steps = ", ".join(f"{step.name} (in code)" if step.compute else step.name for step in one.steps)
        details.append(f"## {name}\n\n{one.title}. Steps: {steps}.\n\n")
        details.append(f"A queued row:\n\n{model(one.item)}\nThe answer:\n\n{model(one.answer)}\n")
    head = ["workflow", "vendor", "model", "cap", "lock", "cutoff", "due", "review minutes"]
    return f"# Workflows\n\n{MADE}{table(head, rows)}\n{''.join(details)}"


def model(of: type[BaseModel]) -> str:
    """A model's fields as a table."""
    rows = []
    for name, field in of.model_fields.items():
        held = "required" if field.is_required() else _default(field.get_default(call_default_factory=True, validated_data={}))
        rows.append([code(name), code(_type(field.annotation)), held, _said(of, name, field.description)])
    return table(["field", "type", "without it", "meaning"], rows)


def _default(value: Any) -> str:
    if value is PydanticUndefined or isinstance(value, BaseModel):
        return "its own defaults"
    return (
        f"`{value if not hasattr(value, 'isoformat') else value.isoformat()}`" if value not in (None, "", (), {}) else "nothing"
    )


def _type(annotation: Any) -> str:
    words = re.sub(r"(typing|overnight|datetime|decimal)(\.\w+)*\.", "", str(annotation))
    return words.removeprefix("<class '").removesuffix("'>")


def _said(of: type[BaseModel], name: str, description: str | None) -> str:
    """A field's meaning: its description, else the comment beside it in the source, else what its own model says."""
    if description:
        return description
    for line in inspect.getsource(of).splitlines():
        if re.match(rf"\s+{name}\s*:", line) and "  # " in line:
            return line.partition("  # ")[2].removeprefix("fmt: skip").strip()
    return next((first_paragraph(inner) for inner in _models(of.model_fields[name].annotation)), "")


def _nested(of: type[BaseModel], title: str, seen: set[type]) -> Iterator[str]:
    seen.add(of)
    yield f"## {title}\n\n{first_paragraph(of)}\n\n{model(of)}\n"
    for name, field in of.model_fields.items():
        for inner in _models(field.annotation):
            if inner not in seen:
                yield from _nested(inner, f"{title} → {name}", seen)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in getattr(annotation, "__args__", ()):
        yield from _models(inner)


def _settings() -> str:
    files: list[tuple[str, type[BaseModel]]] = [
        ("include/brand.yaml", brand.Brand), ("include/team.yaml", team.Team), ("include/quality.yaml", ranges.Quality),
        ("include/baseline.yaml", Baselines),
    ]  # fmt: skip
    parts = [part for title, of in files for part in _nested(of, title, set())]
    return f"# Settings files\n\n{MADE}An unknown key, or a value that cannot be, is refused in words.\n\n{''.join(parts)}"


def _policy() -> str:
    return f"# Policy\n\n{MADE}`include/prompts/<workflow>/policy.yaml`.\n\n{''.join(_nested(Policy, 'policy.yaml', set()))}"


def _environment() -> str:
    rows = [[code(name), one.meaning, one.default] for name, one in VARIABLES.items()]
    source = inspect.getsource(waits.Waits)
    pauses = []
    for field in fields(waits.Waits):
        said = re.search(rf'{field.name}: float = [^\n]+\n\s+"""(.*?)"""', source, re.DOTALL)
        pauses.append([code(f"OVERNIGHT_{field.name.upper()}_SECONDS"), said.group(1) if said else "", f"{field.default:g}"])
    head = ["variable", "meaning", "without it"]
    return (
        f"# Environment variables\n\n{MADE}{table(head, rows)}\n## The pauses of a night\n\nA rehearsal shortens them; leave "
        f"them alone in production.\n\n{table(['variable', 'why', 'seconds'], pauses)}"
    )


def commands() -> Iterator[tuple[str, Any]]:
    """Every command of `bin/overnight`, groups opened."""
    from overnight.cli import app

    def opened(group: Any, before: str) -> Iterator[tuple[str, Any]]:
        for name, command in sorted(group.commands.items()):
            if hasattr(command, "commands"):
                yield from opened(command, f"{before}{name} ")
            else:
                yield f"{before}{name}", command

    yield from opened(typer.main.get_command(app), "")


def _commands() -> str:
    parts = []
    for name, command in commands():
        rows = []
        for parameter in command.params:
            if parameter.name == "help":
                continue
            shown = ", ".join(parameter.opts) if parameter.param_type_name == "option" else str(parameter.name).upper()
            rows.append([code(shown), getattr(parameter, "help", "") or "", "required" if parameter.required else ""])
        options = table(["argument", "meaning", ""], rows) if rows else ""
        parts.append(f"## overnight {name}\n\n{' '.join((command.help or '').split())}\n\n{options}\n")
    return f"# Commands\n\n{MADE}All are run as `bin/overnight COMMAND`.\n\n{''.join(parts)}"


def _alerts(runbook: Path) -> str:
    rows = []
    for kind, severity in SEVERITY.items():
        title = (runbook / f"{kind}.md").read_text().partition("\n")[0].partition(": ")[2]
        rows.append([f"[{kind}](../runbook/{kind}.md)", severity, title])
    return f"# Alerts\n\n{MADE}{table(['alert', 'severity', 'it says'], rows)}"


def _room(name: str, package: str, what: str) -> str:
    modules = [(one, finder.find(package, one)) for one in finder.names(package)]
    parts = [f"## {one}\n\n{_prose(module)}\n\n{_facts(module)}" for one, module in modules]
    return f"# {name.capitalize()}\n\n{MADE}{what}\n\n{''.join(parts)}"


def _prose(of: ModuleType) -> str:
    return "\n\n".join(" ".join(part.split()) for part in (inspect.getdoc(of) or "").split("\n\n"))


def _facts(module: ModuleType) -> str:
    """A vendor's limits as the planner uses them."""
    facts = getattr(getattr(module, "VENDOR", None), "facts", None)
    if not isinstance(facts, vendor.VendorFacts):
        return ""
    return table(["limit", "value"], [[code(field.name), getattr(facts, field.name)] for field in fields(facts)]) + "\n"
