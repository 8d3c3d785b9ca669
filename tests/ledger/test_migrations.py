"""The ledger's tables come from numbered steps, and only from them."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from overnight.ledger import governance_tables, migrate, quality_tables, review_tables  # noqa: F401 - each adds its tables
from overnight.ledger.connect import Ledger, _as_sqlalchemy
from overnight.ledger.errors import LedgerError, WrongVersion
from overnight.ledger.tables import metadata


def test_the_steps_make_exactly_the_tables_the_code_uses(ledger: Ledger) -> None:
    """Nothing is in the code that no step made, on either database."""
    with ledger.read() as conn:
        found = compare_metadata(MigrationContext.configure(conn), metadata)
    assert found == []


def test_bringing_an_up_to_date_ledger_up_changes_nothing(ledger: Ledger) -> None:
    """`migrate` is safe to call again."""
    assert migrate.upgrade(ledger) == migrate.head() == migrate.current(ledger)


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
    assert _as_sqlalchemy(uri) == url


def test_a_connection_of_another_kind_is_refused_in_words() -> None:
    """MySQL is not what we test, so it is not what we run on."""
    with pytest.raises(LedgerError, match="'mysql' database. The ledger runs on postgres or sqlite"):
        _as_sqlalchemy("mysql://h/db")
