"""The ledger's tables come from numbered steps, and only from them."""

from datetime import timedelta
from pathlib import Path

import pytest
from airflow.sdk import Connection
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from overnight.ledger import (
    governance_tables,  # noqa: F401 - each adds its tables
    migrate,
    overview,
    quality_tables,  # noqa: F401
    review_tables,  # noqa: F401
    verify,
)
from overnight.ledger.connect import Ledger, ledger_url
from overnight.ledger.errors import LedgerError, WrongVersion
from overnight.ledger.tables import metadata
from tests.conftest import Sandbox
from tests.support import heads
from tests.support.night import EVENING, Night, queue_rows

DAY = timedelta(days=1)
KEPT = ("nights", "items", "night_items", "batches", "requests", "answers", "findings", "audit_events", "audit_heads")


def test_the_steps_make_exactly_the_tables_the_code_uses(ledger: Ledger) -> None:
    """Nothing is in the code that no step made, on either database."""
    with ledger.read() as conn:
        found = compare_metadata(MigrationContext.configure(conn), metadata)
    assert found == []


def test_bringing_an_up_to_date_ledger_up_changes_nothing(ledger: Ledger) -> None:
    """`migrate` is safe to call again."""
    assert migrate.upgrade(ledger) == migrate.head() == migrate.current(ledger)


@pytest.mark.parametrize("revision", heads.revisions())
def test_a_ledger_of_any_earlier_version_comes_up_with_all_it_holds_and_goes_on(
    revision: str, ledger: Ledger, queue: Path, vendors: Sandbox
) -> None:
    """Rows that an earlier version wrote are all there, every chain and every sum still holds, and the next night runs on them."""
    rows = heads.load(ledger, revision)
    assert rows > 200, "a night of each of two workflows"
    with ledger.read() as conn:
        before = {name: conn.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar_one() for name in KEPT}
    assert migrate.upgrade(ledger) == migrate.head()
    with ledger.read() as conn:
        assert compare_metadata(MigrationContext.configure(conn), metadata) == []
        assert {name: conn.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar_one() for name in KEPT} == before
        assert verify.problems(conn) == []
        for night in overview.list_nights(conn):
            assert overview.describe(conn, night)["outcomes"]["staged"] > 0
    rows_tonight = [{"review_id": f"new-{n}", "sku": "S", "rating": 5, "body": f"Soft fabric, number {n}."} for n in range(4)]
    queue_rows(queue, "review_sentiment", rows_tonight)
    tonight = Night(ledger, "review_sentiment", run_id="manual__after", base=EVENING + DAY, now=EVENING + DAY)
    assert tonight.run()["staged"] == 4
    assert tonight.row()["state"] == "closed"
    assert tonight.problems() == []


def test_every_step_but_the_newest_has_a_ledger_that_it_left_behind() -> None:
    """A new step brings the ledger of the version before it (docs/how-to/upgrade.md says how)."""
    steps = [script.revision for script in ScriptDirectory.from_config(migrate._config()).walk_revisions()]
    assert heads.revisions() == sorted(steps)[:-1]


def test_a_ledger_of_a_newer_version_is_refused(ledger: Ledger) -> None:
    """A rolled-back package does not write into tables it does not know."""
    with ledger.write() as conn:
        conn.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(WrongVersion, match=r"'9999'.*a newer Overnight wrote it"):
        migrate.ensure_current(ledger)


def test_an_empty_postgresql_ledger_is_not_migrated_behind_anybodys_back(postgresql: str) -> None:
    """In production a person runs `bin/overnight migrate`; the error says so."""
    from tests.support.postgresql import fresh_database

    empty = Ledger(fresh_database(postgresql))
    with pytest.raises(WrongVersion, match="bin/overnight migrate"):
        migrate.ensure_current(empty)
    empty.close()


@pytest.mark.parametrize(
    ("uri", "url"),
    [
        ("postgres://u:p@h:5432/db", "postgresql+psycopg://u:p@h:5432/db"),
        ("postgresql://u:p@h/db?sslmode=require", "postgresql+psycopg://u:p@h/db?sslmode=require"),
        ("sqlite:///tmp/x.db", "sqlite:////tmp/x.db"),
        ("sqlite:///tmp%2Fx.db", "sqlite:////tmp/x.db"),
        ("sqlite:////tmp/x.db", "sqlite:////tmp/x.db"),
    ],
)
def test_an_airflow_connection_becomes_a_database_url(uri: str, url: str) -> None:
    """The connection `overnight_ledger` may be of Airflow's own postgres or sqlite type."""
    assert ledger_url(Connection.from_uri(uri, conn_id="overnight_ledger")) == url


def test_a_connection_of_another_kind_is_refused_in_words() -> None:
    """MySQL is not what we test, so it is not what we run on."""
    with pytest.raises(LedgerError, match="'mysql' database. The ledger runs on postgres or sqlite"):
        ledger_url(Connection.from_uri("mysql://h/db", conn_id="overnight_ledger"))
