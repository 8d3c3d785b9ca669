"""A whole loop: a person decides in the morning, decisions come home, one item goes round again, what is approved goes out."""

from rich.console import Console

from overnight.ledger import deliveries
from overnight.ledger.connect import Ledger
from overnight.rehearsal import desk
from overnight.rehearsal.airflow_api import AirflowApi, NotReady, wait_for
from overnight.rehearsal.home import Home

DECISIONS = {
    "blog_drafts": ({"approve": 2, "edit": 1, "rework": 1}, "title", ""),
    "review_sentiment": ({"approve": 2, "rework": 1}, "overall", "approve"),
}
"""workflow → what a person decides there: how many of each, which text they edit, and what of the digest."""
AGAIN = {"approve": 1}
_DONE = ("success", "failed")


def whole(out: Console, api: AirflowApi, env: dict[str, str], home: Home, surface: str) -> None:
    """The morning after, the night that follows, and its morning.

    Raises:
        NotReady: something of it did not happen; the words say what.
    """
    base = f"http://127.0.0.1:{env['OVERNIGHT_SANDBOX_PORT']}"
    out.print(f"the morning: {desk.REVIEWER} reviews on {surface}")
    for workflow, (decisions, editable, digest) in DECISIONS.items():
        done = desk.decide(base, surface, workflow, decisions, editable=editable, folder=home.review, digest=digest)
        out.print(f"  {workflow:18} {', '.join(f'{count} {word}' for word, count in done.items())}")
        if done.get("rework") != 1:
            raise NotReady(f"{workflow} does not show its items on {surface}: {done}")
    _run(out, api, "morning_review")
    out.print("the night after: what was sent back goes round again")
    for workflow in DECISIONS:
        _run(out, api, workflow, {"start": "now"})
    for workflow, (_, editable, _) in DECISIONS.items():
        done = desk.decide(base, surface, workflow, AGAIN, editable=editable, folder=home.review)
        out.print(f"  {workflow:18} {', '.join(f'{count} {word}' for word, count in done.items())}")
    _run(out, api, "morning_review")
    ledger = Ledger(f"sqlite:///{home.airflow / 'overnight.db'}")
    with ledger.read() as conn:
        made = deliveries.newest(conn)
    for delivery in reversed(made):
        out.print(f"delivered          {delivery['folder']} ({delivery['targets']})")
    if {delivery["workflow"] for delivery in made} != set(DECISIONS):
        raise NotReady("not every workflow delivered what was approved")


def _run(out: Console, api: AirflowApi, dag_id: str, conf: dict[str, str] | None = None) -> None:
    run_id = api.trigger(dag_id, conf)
    wait_for(lambda: api.run_state(dag_id, run_id) in _DONE, 300, f"{dag_id} did not end")
    state = api.run_state(dag_id, run_id)
    failed = [task for task, _, done in api.tasks(dag_id, run_id) if done == "failed"]
    out.print(f"  {dag_id:18} {state}")
    if state != "success" or failed:
        raise NotReady(f"{dag_id} {run_id} ended as {state}; failed: {', '.join(failed) or 'none'}")
