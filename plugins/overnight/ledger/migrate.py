"""Bringing the ledger's tables up: numbered steps, forward only, refused when the ledger is newer than this package."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from overnight.ledger.connect import Ledger
from overnight.ledger.errors import WrongVersion

HERE = Path(__file__).parent / "migrations"


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(HERE))
    return config


def head() -> str:
    """The newest step this package knows."""
    found = ScriptDirectory.from_config(_config()).get_current_head()
    assert found is not None, "the package ships without migrations"  # noqa: S101
    return found


def current(ledger: Ledger) -> str | None:
    """The step the ledger stands at; None for an empty database."""
    with ledger.read() as conn:
        return MigrationContext.configure(conn).get_current_revision()


def upgrade(ledger: Ledger) -> str:
    """Bring the ledger to `head()`; safe to call again, and from two processes at once. Returns the step reached."""
    _refuse_newer(current(ledger))
    config = _config()
    with ledger.write() as conn:
        config.attributes["connection"] = conn
        command.upgrade(config, "head")
    return head()


def ensure_current(ledger: Ledger) -> None:
    """Make the embedded default ready by itself; on PostgreSQL say which command does it.

    Raises:
        WrongVersion: the tables are newer than this package, or older on a database we do not migrate by ourselves.
    """
    at = current(ledger)
    _refuse_newer(at)
    if at == head():
        return
    if ledger.dialect != "sqlite":
        raise WrongVersion(
            f"The ledger stands at migration {at or 'none'}, this package needs {head()}. Nothing was read or written. "
            "Run `bin/overnight migrate` once (with the old nights finished), then clear this task."
        )
    upgrade(ledger)


def _refuse_newer(at: str | None) -> None:
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if at is not None and at not in known:
        raise WrongVersion(
            f"The ledger stands at migration {at!r}, which this package does not know (its newest is {head()!r}): a newer "
            "Overnight wrote it. Nothing was read or written. Deploy that version, or restore a backup."
        )
