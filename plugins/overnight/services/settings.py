"""What a service's Airflow connection says, and the errors that all services share."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class ServiceError(RuntimeError):
    """The service refused, or did not answer; the words say what and what to do. Nothing of a key is in them."""


class Ambiguous(ServiceError):
    """A write whose answer was lost: it may have been done. Look before you write again."""


@dataclass(frozen=True, slots=True)
class Settings:
    """A connection: its secret as password, its endpoint as host (empty: the real service), the rest in its extra."""

    conn_id: str
    password: str
    host: str
    extra: Mapping[str, Any]

    def need(self, name: str, what: str) -> str:
        """A value of the extra that must be there.

        Raises:
            ServiceError: it is not.
        """
        value = self.extra.get(name)
        if not value:
            raise ServiceError(f"The connection {self.conn_id!r} does not say where: its extra needs {name!r} ({what}).")
        return str(value)

    def number(self, name: str, default: float) -> float:
        """A number of the extra."""
        return float(self.extra.get(name) or default)


def of(conn_id: str) -> Settings:
    """The settings of an Airflow connection.

    Raises:
        ServiceError: there is no such connection.
    """
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        conn = BaseHook.get_connection(conn_id)
    except AirflowNotFoundException as missing:
        raise ServiceError(f"There is no connection {conn_id!r}; docs/how-to says how to make it.") from missing
    return Settings(conn_id, conn.password or "", conn.host or "", conn.extra_dejson)
