"""Our side: a project folder, a queue and a ledger of its own, and nights driven without a scheduler."""

import json
import os
import shutil
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from benchmarks.servers import PROJECT
from overnight.brand import brand
from overnight.ledger import migrate, nights
from overnight.ledger.connect import Ledger
from tests.support.night import Night

WORKFLOW = "review_sentiment"
MODELS = {"openai": "gpt-5-nano", "anthropic": "claude-haiku-4-5", "gemini": "gemini-2.5-flash"}


def asked(vendor: str, **more: Any) -> dict[str, Any]:
    """The workflow's fields that name who is asked."""
    return {"vendor": vendor, "model": MODELS[vendor], "fallback": None, **more}


class Place:
    """One deployment in a folder; its environment is this process's."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.queue = folder, folder / "queue" / WORKFLOW
        os.environ.update({
            "OVERNIGHT_PROJECT": str(folder),
            "OVERNIGHT_QUEUE_DIR": str(folder / "queue"), "OVERNIGHT_RAW_DIR": str(folder / "raw")
        })  # fmt: skip
        if not self.queue.exists():
            self._make()
        brand.cache_clear()
        self.ledger = Ledger(f"sqlite:///{folder / 'ledger.db'}")
        migrate.upgrade(self.ledger)

    def _make(self) -> None:
        self.queue.mkdir(parents=True)
        shutil.copytree(PROJECT / "include", self.folder / "include")
        policy = {"data_access": {"vendors": list(MODELS)}, "action_scope": {"max_items": 100_000, "max_usd": 1_000}}
        _change(self.folder / "include" / "prompts" / WORKFLOW / "policy.yaml", policy)
        limits = {"enqueued_tokens": {"openai": {MODELS["openai"]: 1_000_000_000}}, "budget_usd": 1_000}
        _change(self.folder / "include" / "brand.yaml", limits)

    def fill(self, bodies: Iterable[str]) -> None:
        """Put reviews into the queue."""
        rows = (f"r{n},S{n % 40},5,{json.dumps(body)}\n" for n, body in enumerate(bodies))
        with (self.queue / "a.csv").open("w") as file:
            file.write("review_id,sku,rating,body\n")
            file.writelines(rows)

    def night(self, change: dict[str, Any], run_id: str = "manual__1") -> Night:
        """A night that begins now: the vendors' clocks are real, so ours begins at the same time."""
        now = datetime.now(UTC)
        return Night(self.ledger, WORKFLOW, run_id=run_id, base=now, now=now, change=change)

    def planned(self, change: dict[str, Any], run_id: str = "manual__1") -> Night:
        """A night that is checked, drained and planned."""
        night = self.night(change, run_id)
        night.check()
        night.drain()
        return night

    def opened(self, change: dict[str, Any], cap: int) -> Night:
        """A planned night that was not checked: no vendor is there yet."""
        night, now = self.night(change), datetime.now(UTC)
        task = night.task("bench")
        facts = {
            "workflow": WORKFLOW, "run_id": night.run_id, "night": now.date().isoformat(), "timezone": "UTC",
            "vendor": change["vendor"], "model": change["model"], "surface": "page", "source": "csv", "policy_hash": "p",
            "prompt_version": "v", "cap": cap, "start_at": now, "cutoff_at": now.replace(year=now.year + 1), "due_at": now,
            "budget_usd": Decimal(1_000),
        }  # fmt: skip
        with self.ledger.write() as conn:
            nights.open_night(conn, facts=facts, actor=task.actor, now=now)
        night.drain()
        return night


def _change(path: Path, changes: dict[str, Any]) -> None:
    told: dict[str, Any] = yaml.safe_load(path.read_text())
    for name, value in changes.items():
        told[name] = {**told[name], **value} if name in ("data_access", "action_scope") else value
    path.write_text(yaml.safe_dump(told, allow_unicode=True))
