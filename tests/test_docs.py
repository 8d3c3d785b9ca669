"""The documentation: it builds as a site without a broken link, and nothing that a user may name is missing from it."""

import html
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from docs_site import reference
from overnight import finder
from overnight.alerts.kinds import SEVERITY
from overnight.baseline import Baselines
from overnight.batches.waits import Waits
from overnight.brand import Brand
from overnight.environment import VARIABLES
from overnight.governance.policy import Policy
from overnight.quality.ranges import Quality
from overnight.team import Team
from overnight.workflow import workflow_names
from tests.conftest import PROJECT

RUNBOOK = ("## What it means", "## What happened to paid work", "## What to do", "## When it is over")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as `make docs` builds it: a warning is an error, so that a broken link or a page outside the navigation fails it."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-b", "html", "-W", "--keep-going", "-q", "docs", str(folder)]
    ran = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-3000:]
    return folder


def words(site: Path, page: str) -> str:
    """A page's text, tags taken out."""
    return html.unescape(re.sub(r"<[^>]+>", "", (site / page).read_text()))


def test_the_site_loads_nothing_from_anywhere_else(site: Path) -> None:
    """No script, style, font or picture of another host: it can be read where there is no internet."""
    pages = list(site.rglob("*.html"))
    loads = r'<(?:script|link|img)[^>]+(?:src|href)="(https?://[^"]+)"'
    assert len(pages) > len(SEVERITY)
    assert {page.name: found for page in pages if (found := re.findall(loads, page.read_text()))} == {}


@pytest.mark.parametrize(("room", "package"), [(name, package) for name, (package, _) in reference.ROOMS.items()])
def test_every_vendor_source_surface_and_target_has_its_place(room: str, package: str, site: Path) -> None:
    """One heading each, with the module's own words under it."""
    said = words(site, f"reference/{room}.html")
    for name in finder.names(package):
        assert re.search(rf"\n\s*{name}¶", said), name


def test_every_workflow_has_a_page_and_its_fields_are_in_the_reference(site: Path) -> None:
    """Its own page from its prompt folder, and every field of its row and its answer."""
    said = words(site, "reference/workflows.html")
    for name in workflow_names():
        assert (site / "workflows" / f"{name}.html").exists()
        assert f"{name}¶" in said


def test_every_alert_has_a_page_that_says_what_to_do(site: Path) -> None:
    """A page a kind and no page without one; each says its severity, what it means, about paid work, what to do, when it is over."""
    pages = {path.stem for path in (PROJECT / "docs" / "runbook").glob("*.md")}
    assert pages == set(SEVERITY)
    for kind, severity in SEVERITY.items():
        text = (PROJECT / "docs" / "runbook" / f"{kind}.md").read_text()
        assert f"Severity: {severity}" in text, kind
        assert all(heading in text for heading in RUNBOOK), kind
        assert (site / "runbook" / f"{kind}.html").exists()
        assert kind in words(site, "how-to/alerts.html")


def test_every_environment_variable_that_the_code_reads_is_in_the_reference(site: Path) -> None:
    """What the sources name, what the table names and what the page says are one list."""
    read: set[str] = set()
    for path in [*(PROJECT / "plugins").rglob("*.py"), *(PROJECT / "dags").glob("*.py"), PROJECT / "bin" / "overnight"]:
        if path.name != "environment.py":
            read |= set(re.findall(r"OVERNIGHT_[A-Z_]*[A-Z]", path.read_text()))
    pauses = {f"OVERNIGHT_{name.upper()}_SECONDS" for name in Waits.__dataclass_fields__}
    connections = {"OVERNIGHT_LEDGER"}  # the end of a connection's variable, AIRFLOW_CONN_OVERNIGHT_LEDGER
    assert read - pauses - connections == set(VARIABLES)
    said = words(site, "reference/environment.html")
    assert all(name in said for name in [*VARIABLES, *pauses])


def settings_of(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield name
        for inner in reference._models(field.annotation):
            yield from settings_of(inner)


def unexplained(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        if not reference._said(model, name, field.description):
            yield f"{model.__name__}.{name}"
        for inner in reference._models(field.annotation):
            yield from unexplained(inner)


FILES = {Brand: "brand.yaml", Team: "team.yaml", Quality: "quality.yaml", Baselines: "baseline.yaml"}


@pytest.mark.parametrize(
    ("page", "model", "file"), [*(("settings", of, f"include/{name}") for of, name in FILES.items()), ("policy", Policy, "")]
)
def test_every_setting_is_in_the_reference_with_its_meaning(page: str, model: type[BaseModel], file: str, site: Path) -> None:
    """Every key that a file may hold, down to the last, and what each is for; and the file that we ship holds no other."""
    said = words(site, f"reference/{page}.html")
    assert all(name in said for name in settings_of(model))
    assert list(unexplained(model)) == []
    if file:
        assert set(yaml.safe_load((PROJECT / file).read_text())) <= set(model.model_fields)


def test_every_command_and_every_option_is_in_the_reference(site: Path) -> None:
    """Groups opened, options with their words."""
    said = words(site, "reference/commands.html")
    found = dict(reference.commands())
    assert len(found) > 15
    for name, command in found.items():
        assert f"overnight {name}¶" in said
        for parameter in command.params:
            if parameter.param_type_name == "option" and parameter.name != "help":
                assert parameter.opts[0] in said
                assert getattr(parameter, "help", ""), f"{name} {parameter.opts[0]} has no words"


def test_every_dag_is_named_where_people_deploy(site: Path) -> None:
    """A Dag that nobody knows of is never unpaused."""
    said = words(site, "how-to/deploy.html") + words(site, "how-to/governance.html") + words(site, "how-to/review.html")
    for path in (PROJECT / "dags").glob("*.py"):
        if path.stem not in workflow_names():
            assert path.stem in said, path.stem


def test_the_readme_points_at_files_that_are_there() -> None:
    """Links that stay in the repository."""
    for target in re.findall(r"\]\((?!https?://)([^)#]+)", (PROJECT / "README.md").read_text()):
        assert (PROJECT / target).exists(), target
