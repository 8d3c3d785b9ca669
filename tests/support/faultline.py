"""One night under faults: real operators and triggers in real processes over real HTTP, under a driver instead of a scheduler.

Everything is forked from one warm process: a vendor of its own, each task, each trigger. A case may kill with SIGKILL the
process that is about to commit for the n-th time, or whose n-th call the vendor is about to handle, or has just handled. The
driver does what Airflow does: starts a killed task again from the beginning, a killed trigger from its stored arguments.
"""

import asyncio
import contextlib
import json
import mmap
import os
import shutil
import signal
import struct
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sqlalchemy import event, text

from overnight.ledger import migrate
from overnight.ledger.connect import Ledger, open_ledger, open_url
from overnight.rehearsal.home import free_port
from overnight.sandbox import server
from overnight.sandbox.profiles import PROFILES
from overnight.sandbox.store import Pace, Store
from tests.conftest import PROJECT
from tests.support.judge import judge

MODELS = {"anthropic": "claude-haiku-4-5", "openai": "gpt-5-nano", "gemini": "gemini-2.5-flash"}
FALLBACK = {"anthropic": "openai", "openai": "gemini", "gemini": "anthropic"}
WORKFLOW = "review_sentiment"
ROWS = 14
SECONDS = {  # a night of seconds: what takes minutes at the real ones
    "POLL": 0.15, "FIRST_LOOK": 0.05, "QUIET": 1.5, "SETTLE": 2.0, "AGAIN": 0.1, "SLOWEST": 0.4, "LOCKED_OUT": 0.4,
    "ROOM": 0.1, "WARM_UP": 4, "BREAKER": 0.5, "CALL": 1.0,
}  # fmt: skip
CUTOFF_S = {"cancelled": 2.5, "late_cancel": 2.5, "stuck": 8.0}
TRIES = 25


@dataclass(frozen=True)
class Case:
    """One night: who answers, how it fails, and where a process is killed ("commit", n | "before"/"after" the n-th call)."""

    vendor: str
    profile: str = "none"
    seed: int = 0
    kill: str = ""
    kill_at: int = 0

    @property
    def name(self) -> str:
        return "-".join(str(part) for part in (self.vendor, self.profile, self.seed, self.kill, self.kill_at) if part != "")


class Shared:
    """What the processes of a case share: how many commits and calls there were, who is at work, whether the kill is done."""

    def __init__(self) -> None:
        self.memory = mmap.mmap(-1, 16)

    def get(self, place: int) -> int:
        return int(struct.unpack_from("i", self.memory, place * 4)[0])

    def put(self, place: int, value: int) -> None:
        struct.pack_into("i", self.memory, place * 4, value)

    def count(self, place: int) -> int:
        self.put(place, self.get(place) + 1)
        return self.get(place)


COMMITS, CALLS, PID, KILLED = range(4)


class Killer:
    """ASGI middleware: kills the process at work before or after its n-th call is handled."""

    def __init__(self, app: Any, case: Case, shared: Shared) -> None:
        self.app, self.case, self.shared = app, case, shared

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["path"].startswith("/health"):
            await self.app(scope, receive, send)
            return
        if self.shared.count(CALLS) != self.case.kill_at or self.case.kill not in ("before", "after"):
            await self.app(scope, receive, send)
            return
        if self.case.kill == "after":
            await self.app(scope, receive, server._swallow)
        kill(self.shared, self.shared.get(PID))
        await server.drop(send)


def kill(shared: Shared, pid: int) -> None:
    shared.put(KILLED, 1)
    os.kill(pid, signal.SIGKILL)


def forked(work: Callable[[], Any], out: Path, shared: Shared | None = None) -> Any:
    """Do `work` in a process of its own; its result, or {"killed": True}, or {"error": …}."""
    out.unlink(missing_ok=True)
    pid = os.fork()
    if pid == 0:
        code = 0
        try:
            if shared is not None:
                shared.put(PID, os.getpid())
            partial = out.with_suffix(".partial")
            partial.write_text(json.dumps(work(), default=str))
            partial.rename(out)
        except BaseException:
            out.with_suffix(".error").write_text(traceback.format_exc())
            code = 1
        os._exit(code)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        return {"killed": True}
    if os.WEXITSTATUS(status):
        return {"error": out.with_suffix(".error").read_text()[-3000:]}
    return json.loads(out.read_text())


class Deployment:
    """One case's own deployment: project files, queue, ledger, vendor."""

    def __init__(self, case: Case, folder: Path) -> None:
        self.case, self.folder, self.shared = case, folder, Shared()
        folder.mkdir(parents=True)
        self.port, self.state = free_port(), folder / "sandbox.db"
        shutil.copytree(PROJECT / "include", folder / "include")
        policy = folder / "include" / "prompts" / WORKFLOW / "policy.yaml"
        policy.write_text(policy.read_text().replace("vendors: {openai", "vendors: {anthropic: [public, internal], openai"))
        (folder / "queue" / WORKFLOW).mkdir(parents=True)
        rows = "".join(f"r{n},S,5,Soft fabric number {n % (ROWS - 1)}.\n" for n in range(ROWS))  # one of them twice
        (folder / "queue" / WORKFLOW / "a.csv").write_text("review_id,sku,rating,body\n" + rows)
        self.environment = self._environment()
        migrate.upgrade(Ledger(f"sqlite:///{folder / 'ledger.db'}"))
        self.vendor_pid = 0

    def _environment(self) -> dict[str, str]:
        conns = {
            f"AIRFLOW_CONN_{name.upper()}_DEFAULT": json.dumps(
                {"conn_type": name if name != "gemini" else "generic", "host": host, "password": "sandbox-key"}
            )
            for name, host in server.hosts(f"http://127.0.0.1:{self.port}").items()
        }
        return {
            **conns,
            "AIRFLOW_CONN_OVERNIGHT_LEDGER": f"sqlite:///{self.folder / 'ledger.db'}",
            "OVERNIGHT_PROJECT": str(self.folder),
            "OVERNIGHT_LAUNCH": "live",
            "OVERNIGHT_QUEUE_DIR": str(self.folder / "queue"),
            "OVERNIGHT_RAW_DIR": str(self.folder / "raw"),
            **{f"OVERNIGHT_{name}_SECONDS": str(value) for name, value in SECONDS.items()},
        }

    def start_vendor(self, profile: str) -> None:
        """The vendor, forked: it dies with the case."""
        pid = os.fork()
        if pid == 0:
            import uvicorn

            sys.stderr = (self.folder / "vendor.log").open("a")
            store = Store(self.state, Pace(0.3, 0.15, 86_400.0), self.case.seed, PROFILES[profile])
            app = server.Faulty(server.NotedCalls(server.make_app(store), store), store.fault)
            uvicorn.run(Killer(app, self.case, self.shared), host="127.0.0.1", port=self.port, log_level="critical")
            os._exit(0)
        self.vendor_pid = pid
        import httpx

        end = time.monotonic() + 20
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"http://127.0.0.1:{self.port}/health", timeout=1, trust_env=False).is_success:
                    return
            assert time.monotonic() < end, "the vendor did not start"
            time.sleep(0.02)

    def stop_vendor(self) -> None:
        os.kill(self.vendor_pid, signal.SIGKILL)
        os.waitpid(self.vendor_pid, 0)

    def task(self, run_id: str, make: Callable[[], Any], method: str, said: Any) -> Any:
        """What a worker does: run one method of one operator; a deferral is its stored trigger."""

        def work() -> Any:
            from airflow.sdk.exceptions import TaskDeferred

            self._enter()
            operator = make()
            context = {
                "ti": SimpleNamespace(task_id=operator.task_id, map_index=-1),
                "dag_run": SimpleNamespace(run_id=run_id, logical_date=None, run_after=datetime.now(UTC)),
                "params": {"start": "now"},
            }
            try:
                return {"return": getattr(operator, method)(context, **({"event": said} if method != "execute" else {}))}
            except TaskDeferred as deferred:
                path, arguments = deferred.trigger.serialize()
                return {"defer": {"path": path, "arguments": arguments, "method": deferred.method_name}}

        return forked(work, self.folder / "task.json", self.shared)

    def trigger(self, path: str, arguments: dict[str, Any]) -> Any:
        """What the triggerer does: make the trigger from what was stored and wait for its event."""

        def work() -> Any:
            self._enter()
            module, _, name = path.rpartition(".")

            async def first() -> Any:
                async for fired in getattr(import_module(module), name)(**arguments).run():
                    return fired.payload
                return None

            return asyncio.run(first())

        return forked(work, self.folder / "trigger.json", self.shared)

    def _enter(self) -> None:
        """The process of this deployment: its environment, its own idea of the workflow, its commits counted."""
        os.environ.update(self.environment)
        from overnight import brand
        from overnight.workflows import review_sentiment

        brand.brand.cache_clear()
        open_url.cache_clear()
        other = FALLBACK[self.case.vendor]
        review_sentiment.WORKFLOW = replace(
            review_sentiment.WORKFLOW, vendor=self.case.vendor, model=MODELS[self.case.vendor], pack=4, shard_requests=2,
            fallback=(other, MODELS[other]), patience=timedelta(seconds=1.2 if self.case.profile == "stuck" else 60), repairs=1,
            expectations=(),
        )  # fmt: skip
        ledger = open_ledger()

        def on_commit(conn: Any) -> None:
            writes = conn.get_execution_options().get("overnight_write")
            if writes and self.shared.count(COMMITS) == self.case.kill_at and self.case.kill == "commit":
                kill(self.shared, os.getpid())

        event.listen(ledger.engine, "commit", on_commit)


class NotFinished(AssertionError):
    """A task did not come to its end however often it was started."""


def drive(place: Deployment, run_id: str, make: Callable[[], Any]) -> Any:
    """A task to its end, as Airflow would take it there."""
    method, said, errors = "execute", None, []
    for _ in range(400):
        outcome = place.task(run_id, make, method, said)
        if "return" in outcome:
            return outcome["return"]
        if "defer" not in outcome:  # killed or failed: a retry starts from the beginning
            errors.append(outcome.get("error", "killed"))
            if len(errors) > TRIES:
                raise NotFinished(errors[-1])
            method, said = "execute", None
            continue
        said, method = wait_for(place, outcome["defer"]), outcome["defer"]["method"]
    raise NotFinished("deferred without end")


def wait_for(place: Deployment, deferred: dict[str, Any]) -> Any:
    if deferred["path"].endswith("DateTimeTrigger"):
        until = datetime.fromisoformat(str(deferred["arguments"]["moment"]))
        time.sleep(max(0.0, (until - datetime.now(UTC)).total_seconds()))
        return None
    for _ in range(TRIES):
        fired = place.trigger(deferred["path"], deferred["arguments"])
        if not (isinstance(fired, dict) and (fired.get("killed") or fired.get("error"))):
            return fired
    raise NotFinished(f"the trigger never fired: {fired}")


def run_night(place: Deployment, run_id: str, cutoff_s: float) -> None:
    """check, drain, every shard, validate, export."""
    from overnight.batches.run import BatchOperator
    from overnight.governance.check import CheckOperator
    from overnight.queues.drain import DrainOperator
    from overnight.review.export import ExportOperator
    from overnight.validation.validate import ValidateOperator

    drive(place, run_id, lambda: CheckOperator(task_id="check", workflow=WORKFLOW))
    planned = drive(place, run_id, lambda: DrainOperator(task_id="drain", workflow=WORKFLOW))
    with Ledger(f"sqlite:///{place.folder / 'ledger.db'}").write() as conn:
        query = text("UPDATE nights SET cutoff_at = :at WHERE run_id = :run")
        conn.execute(
            query, {"at": (datetime.now(UTC) + timedelta(seconds=cutoff_s)).strftime("%Y-%m-%d %H:%M:%S.%f"), "run": run_id}
        )
    for batch_id in planned:
        drive(place, run_id, lambda: BatchOperator(task_id="batch", workflow=WORKFLOW, batch_id=batch_id))  # noqa: B023
    drive(place, run_id, lambda: ValidateOperator(task_id="validate", workflow=WORKFLOW))
    drive(place, run_id, lambda: ExportOperator(task_id="export", workflow=WORKFLOW))


def run_case(case: Case, folder: Path) -> dict[str, Any]:
    """One night under one fault, and, where it carried something over, the next one; what became of items and money."""
    shutil.rmtree(folder, ignore_errors=True)
    place, began = Deployment(case, folder), time.monotonic()
    place.start_vendor(case.profile)
    report: dict[str, Any] = {**asdict(case), "name": case.name}
    try:
        run_night(place, "manual__1", CUTOFF_S.get(case.profile, 40.0))
        report |= {"commits": place.shared.get(COMMITS), "calls": place.shared.get(CALLS), "killed": place.shared.get(KILLED)}
        if judged(place)["carried_over"]:
            place.stop_vendor()
            place.start_vendor("none")  # by the next night the vendor is well again
            run_night(place, "manual__2", 40.0)
        report |= judged(place)
    except NotFinished as failure:
        report |= {"unfinished": str(failure)[-1500:], **judged(place)}
    finally:
        place.stop_vendor()
    report["seconds"] = round(time.monotonic() - began, 1)
    good = not any(report.get(name) for name in ("unfinished", "lost", "paid_twice", "wrong_successes", "problems"))
    if good:
        shutil.rmtree(folder, ignore_errors=True)
    return {**report, "good": good}


def judged(place: Deployment) -> dict[str, Any]:
    return judge(Ledger(f"sqlite:///{place.folder / 'ledger.db'}"), place.state, rows=ROWS)


def warm_up() -> None:
    """Import once what every forked process needs; no threads, no clients."""
    for module in (
        "anthropic.resources", "anthropic.types.messages", "openai.resources", "google.genai", "google.genai.batches", "httpx", "uvicorn", "great_expectations", "genai_prices",
        "airflow.providers.openai.hooks.openai", "airflow.providers.anthropic.hooks.anthropic",
        "airflow.providers.standard.triggers.temporal", "overnight.batches.run", "overnight.batches.trigger",
        "overnight.governance.check", "overnight.queues.drain", "overnight.validation.validate", "overnight.review.export",
        "overnight.workflows.review_sentiment", "overnight.workflows._digests.review_sentiment",
        "overnight.batches.vendors.gemini", "overnight.batches.vendors.openai", "overnight.batches.vendors.anthropic",
        "vaderSentiment.vaderSentiment", "uvicorn.protocols.http.auto", "uvicorn.lifespan.on", "uvicorn.loops.auto",
    ):  # fmt: skip
        import_module(module)
    from overnight.batches import cost
    from overnight.batches.vendor import vendor_class

    for vendor, model in MODELS.items():
        cost.price(vendor_class(vendor).facts, model)
