"""The launch test: 50 to 100 representative items of one workflow through the same Dag, the same path and the same review."""

from typing import Any

from airflow.sdk import BaseOperator

from overnight.brand import brand
from overnight.governance import launch
from overnight.governance.launch import State
from overnight.ledger import migrate
from overnight.ledger.connect import Ledger, open_ledger

MOST = 100


class NotInTest(RuntimeError):
    """The workflow is not in test; the words say what to do. Nothing was locked and nothing bought."""


class LaunchTestOperator(BaseOperator):
    """See that a workflow may be tested; returns the `conf` its own Dag is triggered with."""

    template_fields = ("workflow", "items")

    def __init__(self, *, workflow: str, items: int | str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.workflow, self.items = workflow, items

    def execute(self, context: Any) -> dict[str, Any]:
        """Check, before anything is triggered."""
        conf = prepare(open_ledger(), self.workflow, int(self.items))
        self.log.info("a launch test of %s items for %s", conf["launch_test"], self.workflow)
        return conf


def prepare(ledger: Ledger, name: str, items: int) -> dict[str, Any]:
    """The work of the operator, without Airflow.

    Raises:
        NotInTest: the workflow is not in test, or the test is too small or too large.
    """
    migrate.ensure_current(ledger)
    least = brand().launch.test_items
    if not least <= items <= MOST:
        raise NotInTest(f"A launch test holds {least} to {MOST} items; {items} was asked for. Nothing was started.")
    with ledger.read() as conn:
        progress = launch.progress(conn, name)
    if progress.state is not State.TEST:
        missing = f" Missing: {'; '.join(progress.missing)}." if progress.missing else ""
        raise NotInTest(
            f"{name} is {progress.state}, not in test.{missing} `bin/overnight launch {name} --to test` brings it there "
            "when it is ready. Nothing was started."
        )
    return {"start": "now", "launch_test": items}
