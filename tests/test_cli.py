"""The command line, as ops types it."""

import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import Result
from sqlalchemy import insert, text
from typer.testing import CliRunner

from overnight.alerts import notifier
from overnight.cli import app
from overnight.ledger.connect import Ledger
from overnight.ledger.tables import nights
from tests.conftest import PROJECT, Sandbox
from tests.support.night import EVENING, Night, queue_file


@pytest.fixture
def night(sqlite_ledger: Ledger, queue: Path, vendors: Sandbox) -> Night:
    queue_file(queue, "review_sentiment", "a.csv", "review_id,sku,rating,body\nr1,S,5,Soft fabric.\nr2,S,9,Too many stars.\n")
    made = Night(sqlite_ledger, "review_sentiment")
    made.run()
    return made


def where(night: Night) -> dict[str, str]:
    return {"AIRFLOW_CONN_OVERNIGHT_LEDGER": f"sqlite://{night.ledger.url.database}", "OVERNIGHT_HOME": "/nonexistent"}


def overnight(night: Night, *args: str) -> Result:
    """As `bin/overnight` does it, in this process."""
    return CliRunner().invoke(app, list(args), env=where(night))


def test_a_command_that_needs_no_ledger_does_not_wait_for_it() -> None:
    """Help and the local vendor start without the database's library: it is imported by the commands that open a ledger."""
    code = "import sys, overnight.cli; sys.exit(any(name in sys.modules for name in ('sqlalchemy', 'airflow', 'pandas')))"
    assert subprocess.run([sys.executable, "-c", code], env={**os.environ}, cwd=PROJECT / "plugins", check=False).returncode == 0


def test_the_command_itself_finds_its_environment_and_its_ledger(night: Night) -> None:
    """`bin/overnight`, from another folder, as a person types it."""
    env = {**os.environ, **where(night), "OVERNIGHT_VENV": str(Path(sys.prefix))}
    command = [PROJECT / "bin" / "overnight", "status"]
    ran = subprocess.run(command, cwd="/", env=env, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "review_sentiment" in ran.stdout


@pytest.mark.parametrize(
    "command",
    [["status"], ["verify"], ["stop", "--by", "Ada", "--reason", "odd"], ["launch"], ["retention"], ["lessons"]],
    ids=lambda command: command[0],
)
def test_a_command_makes_no_ledger_where_there_is_none(command: list[str], tmp_path: Path) -> None:
    """A kill switch in an empty ledger that nobody reads would stop nothing and say that it did."""
    env = {"AIRFLOW_HOME": str(tmp_path / "elsewhere"), "AIRFLOW_CONN_OVERNIGHT_LEDGER": f"sqlite://{tmp_path / 'none' / 'o.db'}"}
    refused = CliRunner().invoke(app, command, env=env)
    assert refused.exit_code == 2, refused.output
    assert "There is no ledger at" in refused.output
    assert "bin/overnight migrate" in refused.output
    assert not (tmp_path / "none" / "o.db").exists()
    made = CliRunner().invoke(app, ["migrate"], env=env)
    assert made.exit_code == 0, made.output
    assert CliRunner().invoke(app, ["status"], env=env).exit_code == 0


def test_status_tells_machines_and_people_the_same(night: Night) -> None:
    """Workflow, night, state, counts, batches, cost, alerts."""
    as_json = overnight(night, "status", "--json")
    assert as_json.exit_code == 0, as_json.output
    (shown,) = json.loads(as_json.output)["nights"]
    assert (shown["workflow"], shown["state"], shown["rejected"]) == ("review_sentiment", "closed", 1)
    assert shown["outcomes"] == {"locked": 1, "staged": 1, "failed": 0, "carried_over": 0, "inside": 0}
    assert shown["batches"] == {"landed": 1}
    assert float(shown["cost_usd"]) * 2 == pytest.approx(float(shown["realtime_cost_usd"]))
    people = overnight(night, "status").output
    assert "review_sentiment" in people
    assert "closed" in people


def test_verify_exits_zero_on_a_whole_ledger_and_one_on_a_tampered_one(night: Night) -> None:
    """It names the row."""
    assert overnight(night, "verify").exit_code == 0
    with night.ledger.write() as conn:
        conn.execute(text("UPDATE items SET state = 'approved' WHERE state = 'in_review'"))
    broken = overnight(night, "verify")
    assert broken.exit_code == 1
    assert "the ledger says 'approved', its audit history ends at 'in_review'" in broken.output


def test_verify_finds_a_night_that_lost_an_item(night: Night) -> None:
    """The conservation law is checked on what is stored, not on what was."""
    with night.ledger.write() as conn:
        conn.execute(text("UPDATE night_items SET outcome = NULL"))
    broken = overnight(night, "verify")
    assert broken.exit_code == 1
    assert "neither staged nor failed nor carried over" in broken.output.replace("\n", " ")


def test_the_kill_switch_has_a_name_and_a_reason_and_knows_the_workflows(night: Night) -> None:
    """A typing error stops nothing and says so."""
    assert overnight(night, "stop", "blog_drafts", "--by", "Ada", "--reason", "odd").exit_code == 0
    wrong = overnight(night, "stop", "blog_draft", "--by", "Ada", "--reason", "odd")
    assert wrong.exit_code == 2
    assert "there are ad_variants, ai_visibility" in wrong.output
    assert overnight(night, "stop", "blog_drafts").exit_code == 2
    assert "re-armed by Ada" in overnight(night, "resume", "blog_drafts", "--by", "Ada", "--reason", "fine").output
    assert overnight(night, "verify").exit_code == 0


def test_the_bill_the_doubts_and_a_release_are_for_ops(sqlite_ledger: Ledger, queue: Path, vendors: Sandbox) -> None:
    """What was paid and for what; what no vendor has settled; who gave it up."""
    queue_file(queue, "review_sentiment", "a.csv", "review_id,sku,rating,body\nr1,S,5,Soft fabric for the bill.\n")
    night = Night(sqlite_ledger, "review_sentiment")
    night.check()
    (batch_id,) = night.drain()
    job = night.job(batch_id)
    job.submit(now=night.clock)
    job.carry_over_in_doubt(now=night.clock)
    night.validate()
    night.export()
    key = job.batch["key"]
    assert key[:20] in overnight(night, "doubts").output
    refused = overnight(night, "release", "no-such-batch", "--by", "Ada", "--reason", "x")
    assert refused.exit_code == 2
    assert "there is none" in refused.output
    released = overnight(night, "release", key, "--by", "Ada", "--reason", "lost")
    assert released.exit_code == 0, released.output
    assert "1 items go with the next night" in released.output
    assert "Nothing is in doubt" in overnight(night, "doubts").output
    again = Night(sqlite_ledger, "review_sentiment", run_id="manual__2", now=night.now)
    again.run()
    shown = overnight(night, "bill").output
    assert "gpt-5-nano" in shown
    assert "budget $10.0000" in shown


def test_what_somebody_wrote_is_printed_as_it_stands(night: Night) -> None:
    """A vendor's words hold square brackets: no colour of ours, and nothing that ends the command."""
    words = "[/caption] is what it said: [type=decimal_parsing, input_value='five']"
    with night.ledger.write() as conn:
        conn.execute(text("UPDATE nights SET model = '[bold]'"))
    notifier.raise_alert(night.ledger, "k", "check_failed", "review_sentiment", words, now=EVENING)
    said = overnight(night, "status")
    assert said.exit_code == 0, said.exception
    assert words in said.output
    refused = overnight(night, "release", "[/no]", "--reason", "x", "--by", "Ada")
    assert (refused.exit_code, "[/no]" in refused.output) == (2, True)


def test_the_bill_knows_any_night_by_its_date_or_its_month(sqlite_ledger: Ledger) -> None:
    """Sixty nights of ten workflows are six days: the first of them is asked for by name."""
    at = EVENING
    with sqlite_ledger.write() as conn:
        for number in range(60):
            at = EVENING + timedelta(days=number)
            label = at.date().isoformat()
            conn.execute(
                insert(nights).values(
                    workflow="blog_drafts", night=label, run_id=f"scheduled__{label}", state="closed", timezone="Europe/Berlin",
                    vendor="a", model="m", surface="page", source="csv", policy_hash="", prompt_version="", cap=1, opened_at=at,
                    start_at=at, cutoff_at=at, due_at=at,
                )
            )  # fmt: skip
    env = {"AIRFLOW_CONN_OVERNIGHT_LEDGER": f"sqlite://{sqlite_ledger.url.database}", "OVERNIGHT_HOME": "/nonexistent"}

    def bill(*args: str) -> str:
        return CliRunner().invoke(app, ["bill", *args], env=env).output

    assert "blog_drafts 2026-11-23:" in bill("--night", "2026-11-23")
    assert bill("--night", "2026-12").count("blog_drafts 2026-12") == 31
    assert bill().count("blog_drafts 20") == 50
    assert bill("--night", "2026-09-05", "--workflow", "blog_drafts") == "There is no night 2026-09-05 of blog_drafts.\n"
    assert "These are the last 50" in CliRunner().invoke(app, ["status"], env=env).output
