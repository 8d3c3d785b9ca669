"""Who may import whom: the rooms of the house and the doors between them."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import PROJECT

PACKAGE = PROJECT / "plugins" / "overnight"
LEDGER_ONLY_SQL = {"sqlalchemy", "alembic", "sqlite3", "psycopg"}
SDKS = {"anthropic", "openai", "google"}


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path.relative_to(PACKAGE).as_posix(), path


def imports(path: Path) -> set[str]:
    """Every module a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def tops(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imports(path)}


def rooms_of(path: Path) -> set[str]:
    return {name.split(".")[1] for name in imports(path) if name.startswith("overnight.") and "." in name}


@pytest.mark.parametrize(("name", "path"), [pytest.param(*m, id=m[0]) for m in modules() if m[0].startswith("batches/vendors/")])
def test_vendors_import_no_airflow_and_no_ledger(name: str, path: Path) -> None:
    """They are handed a client; they decide nothing."""
    assert "airflow" not in tops(path)
    assert not {"ledger", "tasks", "governance", "queues", "review"} & rooms_of(path)


def test_only_vendors_and_their_client_maker_know_an_sdk() -> None:
    """A fourth vendor is one file: no operator, trigger or ledger names an SDK."""
    knowing = {name for name, path in modules() if SDKS & tops(path)}
    # Google's own errors in the client of Sheets: no model is asked there.
    assert {name for name in knowing if not name.startswith("batches/vendors/")} == {"services/google.py"}


def test_only_the_ledger_speaks_sql() -> None:
    """Other rooms are handed a connection and call the ledger (its type may be named); the sandbox keeps its own small store."""
    allowed = ("ledger/", "sandbox/store.py")
    speaking = {}
    for name, path in modules():
        used = {i for i in imports(path) if i.split(".")[0] in LEDGER_ONLY_SQL}
        if used - {"sqlalchemy", "sqlalchemy.Connection"} and not name.startswith(allowed):
            speaking[name] = used
    # The deadline asks Airflow's own database, in Airflow's own process; a queue in SQL is the team's own table.
    assert set(speaking) <= {"alerts/deadline.py", "queues/sources/sql.py"}, speaking


def test_the_ui_knows_no_vendor_no_queue_and_runs_no_task() -> None:
    """It reads the ledger, the workflow's words and the review's order, and writes decisions."""
    for name, path in modules():
        if name.startswith("ui/"):
            assert not {"batches", "queues", "validation", "sandbox", "rehearsal", "tasks", "alerts"} & rooms_of(path), name


def test_nobody_imports_the_sandbox_but_the_rehearsal_and_the_command_line() -> None:
    """Our code meets the local vendor over HTTP only, as it meets the real ones."""
    users = {name for name, path in modules() if "sandbox" in rooms_of(path) and not name.startswith("sandbox/")}
    assert users <= {"cli.py", "rehearsal/night.py", "rehearsal/desk.py"}


def test_the_ledger_knows_no_other_room() -> None:
    """The lowest room: it imports itself and the finder's neighbours at most."""
    for name, path in modules():
        if name.startswith("ledger/"):
            assert rooms_of(path) <= {"ledger"}, name


def test_services_and_targets_know_no_ledger_and_decide_nothing() -> None:
    """A client of a service is used from both ends; a target turns items into bytes."""
    for name, path in modules():
        if name.startswith(("services/", "delivery/targets/")):
            assert not {"ledger", "review", "governance", "tasks", "ui", "sandbox", "batches"} & rooms_of(path), name


def test_surfaces_show_and_read_and_leave_the_ledger_to_the_others() -> None:
    """A fifth surface is one file: it is handed an exhibit and gives back what people wrote."""
    for name, path in modules():
        if name.startswith("review/surfaces/"):
            assert not {"ledger", "governance", "tasks", "batches", "validation", "sandbox"} & rooms_of(path), name


def test_dags_import_the_front_door_only() -> None:
    """A Dag file names airflow.sdk and overnight, nothing behind it, and reads as one page."""
    for path in sorted((PROJECT / "dags").glob("*.py")):
        assert {name for name in imports(path) if "." not in name} <= {"overnight"}, path.name
        assert {n.rpartition(".")[0] for n in imports(path) if n.startswith("overnight.")} <= {"overnight"}, path.name
        text = path.read_text(encoding="utf-8")
        assert "airflow" in text, f"{path.name} would disappear from Airflow silently"
        assert len(text.splitlines()) < 60


def test_nobody_imports_dags() -> None:
    """They are the end of the corridor."""
    assert [name for name, path in modules() if "dags" in tops(path)] == []


def test_the_plugin_scan_runs_our_one_file_only() -> None:
    """plugins/.airflowignore keeps the scan out: vendors/anthropic.py must never replace the SDK of that name."""
    assert (PROJECT / "plugins" / ".airflowignore").read_text() == "overnight/\n"
    assert [path.name for path in (PROJECT / "plugins").glob("*.py")] == ["overnight_plugin.py"]


def test_files_stay_short_enough_to_read() -> None:
    """400 lines are a smell."""
    long = {name: count for name, path in modules() if (count := len(path.read_text().splitlines())) > 400}
    assert long == {}


def test_the_front_door_is_pinned() -> None:
    """What a Dag file may import, no more."""
    import overnight

    assert overnight.__all__ == [
        "AuditDigestOperator", "BatchOperator", "CheckOperator", "CollectOperator", "ComputeOperator", "DeliverOperator",
        "DrainOperator", "ExportOperator", "GoodMorningOperator", "LaunchTestOperator", "MeasureOperator", "PreviewOperator", "RetentionOperator",
        "ValidateOperator", "WatchOperator", "by_hand", "morning", "nightly",
    ]  # fmt: skip
    with pytest.raises(AttributeError, match="front door opens to AuditDigestOperator"):
        _ = overnight.Batch  # type: ignore[attr-defined]
    assert "overnight" in sys.modules
