"""Every environment variable that Overnight reads: what it means, and what holds without it. The reference is made from this."""

from dataclasses import dataclass

HOME = "AIRFLOW_HOME"


@dataclass(frozen=True, slots=True)
class Variable:
    """What one means, and what holds without it."""

    meaning: str
    default: str


VARIABLES = {
    "OVERNIGHT_PROJECT": Variable("the folder that holds include/", "found from the package"),
    "OVERNIGHT_TIMEZONE": Variable("the brand's time zone, instead of the file's", "include/brand.yaml"),
    "OVERNIGHT_SOURCE": Variable("where people queue, instead of the file's", "include/brand.yaml"),
    "OVERNIGHT_SURFACE": Variable("where people review, instead of the file's", "include/brand.yaml"),
    "OVERNIGHT_LAUNCH": Variable("the state in which a workflow begins that never ran; `live`: no gate", "include/brand.yaml"),
    "OVERNIGHT_TEAM": Variable("another team file", "include/team.yaml"),
    "OVERNIGHT_QUEUE_DIR": Variable("the CSV queue: a folder a workflow", f"{HOME}/queue"),
    "OVERNIGHT_DATA_DIR": Variable("tables that are no queue (sales, a catalogue): a folder a workflow", f"{HOME}/data"),
    "OVERNIGHT_RAW_DIR": Variable("the vendors' raw answers; all workers must share it", f"{HOME}/overnight_raw"),
    "OVERNIGHT_REVIEW_DIR": Variable("workbooks for review (surface xlsx)", f"{HOME}/review"),
    "OVERNIGHT_DELIVERY_DIR": Variable("what was approved, as files", f"{HOME}/delivery"),
    "OVERNIGHT_AUDIT_DIR": Variable("weekly digests, and archived days of the audit log", f"{HOME}/audit"),
    "OVERNIGHT_HEARTBEAT_FILE": Variable("the watchdog's heartbeat", f"{HOME}/overnight-heartbeat"),
    "OVERNIGHT_CALL_SECONDS": Variable("how long one call of a vendor may take", "60"),
    "OVERNIGHT_HOME": Variable("where `make night` lives", ".overnight in the project"),
    "OVERNIGHT_VENV": Variable("the virtual environment of `bin/overnight`", ".venv in the project"),
    "OVERNIGHT_SANDBOX_PORT": Variable("the local vendor's port; set by `make night`", "none"),
    "OVERNIGHT_URL": Variable("the rehearsal's address; set by `make night`", "none"),
}
"""The pauses of a night are variables, too (OVERNIGHT_POLL_SECONDS and so on): `overnight.batches.waits` explains each."""
