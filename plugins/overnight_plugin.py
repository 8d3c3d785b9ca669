"""The only file that Airflow's plugin scan runs (plugins/.airflowignore keeps it out of overnight/): registers the deadline
reference and mounts our pages.
"""

from airflow.plugins_manager import AirflowPlugin

from overnight.alerts.deadline import NightDue
from overnight.ui.mount import external_views, fastapi_apps


class OvernightPlugin(AirflowPlugin):
    """Overnight inside Airflow."""

    name = "overnight"
    deadline_references = [NightDue]  # noqa: RUF012 - Airflow reads these names from the class
    fastapi_apps = fastapi_apps()
    external_views = external_views()
