"""The deliver operator: hand out what people approved, and nothing else. Written whole or not at all, and once.

The ledger fixes which items go out together before a byte is written; the files are made in a hidden folder and appear by
one rename; then the items move. A run that is killed in between finishes the same delivery the next time.
"""

import hashlib
import json
import logging
import os
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from airflow.sdk import BaseOperator

from overnight.alerts import failure
from overnight.brand import brand
from overnight.clock import utcnow
from overnight.delivery.target import Approved, target
from overnight.governance import killswitch
from overnight.governance import policy as policies
from overnight.ledger import deliveries, migrate, switches
from overnight.ledger.audit import Actor
from overnight.ledger.connect import Ledger, open_ledger
from overnight.ledger.rows import Row
from overnight.workflow import workflow as find_workflow

log = logging.getLogger("overnight.deliver")
MANIFEST = "manifest.json"


class DeliveryRefused(RuntimeError):
    """Something approved could not be handed out; the rest was, and nothing is lost."""


class DeliverOperator(BaseOperator):
    """Deliver what is approved, workflow by workflow; returns how many items went out of each."""

    def execute(self, context: Any) -> dict[str, int]:
        """Deliver now."""
        run_id = context["dag_run"].run_id
        ledger = open_ledger()
        migrate.ensure_current(ledger)
        return deliver(ledger, delivery_dir(), run_id=run_id, task_id=self.task_id, now=utcnow())


def delivery_dir() -> Path:
    """Where deliveries go: OVERNIGHT_DELIVERY_DIR, or AIRFLOW_HOME/delivery."""
    home = Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser()
    return Path(os.environ.get("OVERNIGHT_DELIVERY_DIR", home / "delivery"))


def deliver(ledger: Ledger, folder: Path, *, run_id: str, task_id: str, now: datetime) -> dict[str, int]:
    """The work of the operator, without Airflow.

    Raises:
        DeliveryRefused: after all others, for what could not go out.
    """
    counts: Counter[str] = Counter()
    troubles: list[str] = []
    with ledger.read() as conn:
        names = deliveries.workflows_with_approved(conn)
    for name in names:
        try:
            counts[name] += _deliver_one(ledger, folder, name, run_id=run_id, task_id=task_id, now=now)
        except (LookupError, policies.PolicyError, policies.Denied, killswitch.Stopped, OSError, ManifestBroken) as trouble:
            troubles.append(f"{name}: {trouble}")
            if isinstance(trouble, PermissionError):
                failure.denied(ledger, name, run_id, task_id, type(trouble).__name__, now)
    if troubles:
        raise DeliveryRefused(
            "Not everything approved went out: " + "; ".join(troubles) + ". What is approved stays approved; mend it and clear "
            "this task."
        )  # fmt: skip
    return {name: count for name, count in counts.items() if count}


def _deliver_one(ledger: Ledger, folder: Path, name: str, *, run_id: str, task_id: str, now: datetime) -> int:
    declared = find_workflow(name)
    policy, policy_hash = policies.load(name)
    policy.allow("write_delivery")
    killswitch.refuse_if_engaged(ledger, name, "the delivery")
    actor = Actor("agent", name, run_id=run_id, task_id=task_id, policy_hash=policy_hash)
    today = now.astimezone(ZoneInfo(brand().timezone)).date().isoformat()
    with ledger.write() as conn:
        deliveries.plan(
            conn, name, declared.targets, f"{name}/{today}", actor=actor, now=now,
            stopped=switches.stopped_prompts(conn),
        )  # fmt: skip
    moved = 0
    with ledger.read() as conn:
        begun = deliveries.planned(conn, name)
    for delivery in begun:
        with ledger.read() as conn:
            rows = deliveries.contents(conn, delivery["id"])
        # Of two versions of one row the newer one goes out, whichever was approved last: importers take the first they meet.
        items = [_approved(row) for row in rows if not row["overtaken"]]
        if overtaken := sorted(row["key"] for row in rows if row["overtaken"]):
            log.warning("%s: of %s a newer version was approved; only that one goes out", name, ", ".join(overtaken[:20]))
        sha256 = _put(folder, delivery, items)
        with ledger.write() as conn:
            moved += deliveries.written(conn, delivery, sha256, actor=actor, now=now)
    return moved


def _approved(row: Mapping[str, Any]) -> Approved:
    decision = row["decision"]
    if decision is None or decision["decision"] not in ("approve", "edit"):
        raise ManifestBroken(f"item {row['key']!r} is {row['state']} but no person's approval of it is on record")
    return Approved(
        row["key"], row["input"], row["output"], decision["decision"], decision["reviewer"], decision["decided_at"], row["night"],
        row["prompt_version"], _sha256(json.dumps(row["output"], sort_keys=True, ensure_ascii=False).encode()),
    )  # fmt: skip


class ManifestBroken(RuntimeError):
    """What lies in a delivery's folder is not what its manifest says."""


def _put(folder: Path, delivery: Row, items: Sequence[Approved]) -> str:
    """Make the delivery's folder appear as a whole; returns the hash of its manifest. One that is there is only checked."""
    place = folder / delivery["folder"]
    files: dict[str, bytes] = {}
    for wanted in delivery["targets"].split(","):
        files |= target(wanted).files(delivery["workflow"], items)
    manifest = _manifest(delivery, items, files)
    if place.exists():
        _refuse_changed(place, {**files, MANIFEST: manifest})
        return _sha256(manifest)
    partial = place.with_name(f".{place.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for name, content in {**files, MANIFEST: manifest}.items():
        _write(partial / name, content)
    partial.rename(place)
    return _sha256(manifest)


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _manifest(delivery: Row, items: Sequence[Approved], files: Mapping[str, bytes]) -> bytes:
    """Who approved what, when, on which text, and which bytes went out."""
    told = {
        "delivery": delivery["id"], "workflow": delivery["workflow"], "planned_at": delivery["planned_at"].isoformat(),
        "files": {name: {"sha256": _sha256(content), "bytes": len(content)} for name, content in sorted(files.items())},
        "items": [
            {"key": i.key, "night": i.night, "decision": i.decision, "approver": i.approver,
             "approved_at": i.approved_at.isoformat(), "output_sha256": i.output_sha256, "prompt_version": i.prompt_version}
            for i in items
        ],
    }  # fmt: skip
    return (json.dumps(told, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()


def _refuse_changed(place: Path, files: Mapping[str, bytes]) -> None:
    changed = sorted(
        name for name, content in files.items() if not (place / name).exists() or (place / name).read_bytes() != content
    )
    if changed:
        raise ManifestBroken(
            f"{place} is there already and differs from what was approved in {', '.join(changed[:5])}. Move it away; it is "
            "written anew from the ledger."
        )


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
