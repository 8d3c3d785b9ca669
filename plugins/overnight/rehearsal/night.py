"""`make night`: everything started, every workflow's night run by a real scheduler, a summary, the UI left running."""

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from overnight.ledger import migrate, overview, verify
from overnight.ledger.connect import Ledger
from overnight.rehearsal import desk, loop, memory, processes
from overnight.rehearsal import home as homes
from overnight.rehearsal.airflow_api import AirflowApi, NotReady, wait_for
from overnight.rehearsal.home import Home
from overnight.rehearsal.topology import ONE_MACHINE, Topology, ledger_url
from overnight.sandbox.server import hosts
from overnight.workflow import workflow_names

FIRST = ("blog_drafts", "review_sentiment")
"""What a rehearsal runs unless more is asked for: one that is reviewed item by item, one that is read as a digest."""
_DONE = ("success", "failed")


def run(
    out: Console, *, reviews: Path | None = None, stop_after: bool = False, home: Home | None = None, surface: str = "",
    workflows: Sequence[str] = FIRST,
) -> int:  # fmt: skip
    """Rehearse a night; returns 0 when every night closed and the books balance.

    Args:
        surface: where people review; with one, a person decides there, and the morning and a second night follow.
        workflows: whose nights are rehearsed, all in one evening.
    """
    if unknown := sorted(set(workflows) - set(workflow_names())):
        out.print(
            f"[red]There is no workflow {', '.join(unknown)};[/red] there are {', '.join(workflow_names())}, or all of them: all."
        )
        return 2
    if surface and surface not in desk.QUEUES:
        out.print(f"[red]{surface!r} is no surface;[/red] there are {', '.join(desk.QUEUES)}. Nothing was started.")
        return 2
    home, began = home or homes.default(), time.monotonic()
    if reviews is not None and not reviews.is_file():
        out.print(f"[red]There is no file {reviews}.[/red] Say where: REVIEWS=path/to/reviews.csv make night")
        return 2
    if not home.is_ours():
        out.print(
            f"[red]{home.root} holds something that is not a rehearsal.[/red] Nothing was removed; choose another OVERNIGHT_HOME."
        )
        return 2
    if home.root.exists():
        out.print("an earlier rehearsal is there: stopping it and starting afresh")
        down(out, home)
    try:
        where = {"OVERNIGHT_SURFACE": surface, "OVERNIGHT_SOURCE": desk.QUEUES[surface]} if surface else {}
        api, env = start(out, home, reviews, settings=where)
        runs = trigger(api, workflows)
        watched = memory.Watch(home) if set(workflows) == set(workflow_names()) else None
        _watch(out, api, runs)
        if surface and surface != "page":
            loop.whole(out, api, env, home, surface)
    except (NotReady, httpx.HTTPError) as trouble:
        out.print(f"[red]{escape(str(trouble))}[/red]", soft_wrap=True)
        out.print(f"The logs are in {home.logs}. `make down` stops what is running.", soft_wrap=True)
        return 1
    api.trigger("tonight")  # the page Tonight then looks ahead at the next lock; nobody need wait for it
    ledger = Ledger(ledger_url(env))
    good = _report(out, ledger, runs, api, home)
    if watched:
        out.print(f"all processes together used at most {watched.peak_mb():.0f} MB (as seen once a second)")
    out.print(f"took {time.monotonic() - began:.0f} seconds")
    if stop_after:
        down(out, home)
    else:
        _say_where(out, home, env)
    return 0 if good else 1


def start(
    out: Console, home: Home, reviews: Path | None = None, batch_seconds: float = 3.0, *, profile: str = "none", seed: int = 0,
    settings: Mapping[str, str] | None = None, topology: Topology = ONE_MACHINE,
) -> tuple[AirflowApi, dict[str, str]]:  # fmt: skip
    """The local vendor and every Airflow component, up and healthy.

    Args:
        profile, seed: how the local vendor fails (`overnight sandbox --profile list`).
        settings: environment variables that differ from a rehearsal's own.
        topology: which processes, on which databases.
    """
    port = homes.free_port()
    env = {**homes.make(home, hosts(f"http://127.0.0.1:{port}"), port, reviews), **topology.settings, **(settings or {})}
    os.environ.update({name: env[name] for name in ("AIRFLOW_HOME", "OVERNIGHT_QUEUE_DIR", "OVERNIGHT_PROJECT")})
    out.print(f"starting the local vendor on port {port}")
    start_sandbox(home, env, batch_seconds, profile, seed)
    desk.fill(f"http://127.0.0.1:{port}", homes.queued(home))
    migrate.upgrade(Ledger(ledger_url(env)))
    out.print("making Airflow's database")
    if processes.run(home, "db-migrate", processes.python("-m", "airflow", "db", "migrate"), env) != 0:
        raise NotReady("`airflow db migrate` failed")
    out.print(f"starting Airflow: {', '.join(topology.components)} (parallelism {env['AIRFLOW__CORE__PARALLELISM']})")
    for component in topology.components:
        start_component(home, component, env, topology)
    api = AirflowApi(env["OVERNIGHT_URL"], "admin", home.passwords()["admin"])
    api.wait_ready(180, alive=lambda: _all_alive(home))
    out.print("Airflow is up; reading the Dags")
    api.wait_dags([*workflow_names(), "morning_review"], 120)
    return api, env


def start_component(home: Home, component: str, env: dict[str, str], topology: Topology = ONE_MACHINE) -> None:
    """One of Airflow's processes."""
    command = processes.python("-m", "airflow", *topology.components[component])
    processes.start(home, component, command, {**env, **topology.own.get(component, {})})


def start_sandbox(home: Home, env: dict[str, str], batch_seconds: float, profile: str = "none", seed: int = 0) -> None:
    """The local vendor, its state in the rehearsal's folder."""
    port = env["OVERNIGHT_SANDBOX_PORT"]
    args = ["--port", port, "--state", str(home.root / "sandbox.db"), "--batch-seconds", str(batch_seconds)]
    args += ["--profile", profile, "--seed", str(seed)]
    processes.start(home, "sandbox", processes.python("-m", "overnight.cli", "sandbox", *args), env)
    wait_for(lambda: _answers(f"http://127.0.0.1:{port}/health"), 30, "the local vendor did not answer", 0.1)


def trigger(api: AirflowApi, names: Sequence[str]) -> dict[str, str]:
    """Start a night of each workflow now; returns the run ids by workflow."""
    return {name: api.trigger(name, {"start": "now"}) for name in names}


def down(out: Console, home: Home | None = None) -> None:
    """Stop every process of the rehearsal and remove its folder."""
    home = home or homes.default()
    if not home.is_ours():
        out.print(f"[red]{home.root} holds something that is not a rehearsal.[/red] Nothing was stopped or removed.")
        return
    count = processes.stop_all(home) if home.root.exists() else 0
    home.remove()
    out.print(f"stopped {count} processes; nothing is left behind" if count else "nothing was running")


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).is_success
    except httpx.HTTPError:
        return False


def _all_alive(home: Home) -> None:
    if gone := processes.dead(home):
        raise NotReady(f"{', '.join(gone)} stopped while starting")


def _watch(out: Console, api: AirflowApi, runs: dict[str, str], timeout_s: float = 1800) -> None:
    """Show each change of a task's state until every run is over."""
    seen: dict[tuple[str, str, int], str] = {}

    def over() -> bool:
        for dag_id, run_id in runs.items():
            for task_id, index, state in api.tasks(dag_id, run_id):
                if seen.get((dag_id, task_id, index)) != state and state not in ("none", "scheduled", "queued"):
                    seen[(dag_id, task_id, index)] = state
                    which = f"{task_id}[{index}]" if index >= 0 else task_id
                    out.print(f"  {dag_id:18} {which:10} {_word(state)}")
        return all(api.run_state(dag_id, run_id) in _DONE for dag_id, run_id in runs.items())

    wait_for(over, timeout_s, "the nights did not end", 1.0)


def _word(state: str) -> str:
    words = {"deferred": "waiting for the vendor, no worker slot held", "success": "done", "running": "at work"}
    return words.get(state, state)


def _report(out: Console, ledger: Ledger, runs: dict[str, str], api: AirflowApi, home: Home) -> bool:
    with ledger.read() as conn:
        nights = [overview.describe(conn, row) for row in overview.list_nights(conn)]
        problems = verify.problems(conn)
    table = Table("workflow", "night", "state", "locked", "staged", "failed", "carried over", "rejected", "cost", "in real time",
                  "alerts")  # fmt: skip
    for night in sorted(nights, key=lambda night: str(night["workflow"])):
        counts = night["outcomes"]
        table.add_row(
            night["workflow"], night["night"], night["state"],
            *(str(counts[name]) for name in ("locked", "staged", "failed", "carried_over")), str(night["rejected"]),
            f"${night['cost_usd']:.4f}", f"${night['realtime_cost_usd']:.4f}",
            ", ".join(alert["kind"] for alert in night["alerts"]) or "none",
        )  # fmt: skip
    out.print(table)
    if any(night["alerts"] for night in nights):
        out.print("what each alert says: `bin/overnight status`; what to do about it: docs/runbook")
    for problem in problems:
        out.print(f"[red]{escape(problem)}[/red]", soft_wrap=True)
    for dag_id, run_id in runs.items():
        if (state := api.run_state(dag_id, run_id)) != "success":
            out.print(f"[red]{dag_id}: the run {run_id} is {state}; its task logs say why[/red]", soft_wrap=True)
    _say_empty(out, nights, home)
    closed = {str(night["workflow"]) for night in nights if night["state"] == "closed"}
    # A second night of a rehearsal with a morning locks what was sent back, and nothing where nothing was.
    first = [night for night in nights if night["night"].count("-") == 2]
    return not problems and closed == set(runs) and all(night["outcomes"]["locked"] for night in first)


def _say_empty(out: Console, nights: Sequence[Any], home: Home) -> None:
    """A night that locked nothing has its reason beside the file."""
    for night in nights:
        if not night["outcomes"]["locked"] and night["night"].count("-") == 2:
            out.print(
                f"[red]{night['workflow']} locked nothing:[/red] the *.status.csv in {home.queue / night['workflow']} says why"
            )


def _say_where(out: Console, home: Home, env: dict[str, str]) -> None:
    url, passwords = env["OVERNIGHT_URL"], home.passwords()
    lines: list[tuple[str, str]] = [
        ("tonight", f"{url}/overnight/"),
        ("the morning review", f"{url}/overnight/review"),
        ("the Airflow UI", url),
        ("log in as", ", ".join(f"{user} / {password}" for user, password in passwords.items())),
        ("the queue's answers", str(home.queue)),
        *([("what was delivered", str(home.delivery))] if home.delivery.exists() else []),
        ("logs", str(home.logs)),
        ("stop and clean up", "make down"),
    ]
    for name, value in lines:
        out.print(f"{name:20} {value}", soft_wrap=True)
