"""What a row of the ledger is to its readers."""

from collections.abc import Mapping
from typing import Any, TypeAlias

Row: TypeAlias = Mapping[Any, Any]
"""One row, by column name. (SQLAlchemy's RowMapping, without asking its readers to know SQLAlchemy.)"""
