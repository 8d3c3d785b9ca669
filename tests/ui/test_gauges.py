"""The pages' numbers as Airflow metrics: over real UDP to a StatsD listener, from the watchdog's own look."""

import os
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

from overnight.ledger.connect import Ledger
from overnight.queues.preview import preview
from overnight.ui import gauges
from overnight.ui.shows import tonight
from tests.conftest import PROJECT, Sandbox
from tests.support.month import one_night
from tests.support.night import EVENING, queue_file

ROWS = "review_id,sku,rating,title,body\nr1,S1,4,Good,The kettle boils in four minutes.\nr2,S2,5,Good,The tent stays dry.\n"


def test_every_metric_is_named_and_says_what_the_page_says(sqlite_ledger: Ledger, queue: Path, vendors: Sandbox) -> None:
    """Two rows in line and a measured night: the gauges are the page's figures."""
    for number in range(3):
        one_night(sqlite_ledger, number, as_is=7, edit=2, size=10)
    queue_file(queue, "review_sentiment", "a.csv", ROWS)
    noon = EVENING - timedelta(hours=4)
    preview(sqlite_ledger, "review_sentiment", now=noon)
    with sqlite_ledger.read() as conn:
        found = {one.name: one.value for one in gauges.gauges(conn, now=noon)}
        look = tonight.look(conn, ["review_sentiment"], ["review_sentiment"], now=noon)
    assert found["overnight.review_sentiment.ready"] == look.lines[0].ready == 2
    assert found["overnight.blog_drafts.as_is"] == 0.7
    assert found["overnight.blog_drafts.tightened"] == 0
    assert {name.rpartition(".")[2] for name in found} <= {*gauges.METRICS, *gauges.OF_ALL}
    assert {f"overnight.{metric}" for metric in gauges.OF_ALL} <= set(found)


def test_the_watchdog_sends_them_to_statsd(sqlite_ledger: Ledger, tmp_path: Path) -> None:
    """A process of its own, Airflow's own settings, a datagram for each number."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(60)
        env = {
            **os.environ, "PYTHONPATH": str(PROJECT / "plugins"), "AIRFLOW__METRICS__STATSD_ON": "True",
            "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1", "AIRFLOW__METRICS__STATSD_PORT": str(listener.getsockname()[1]),
            "AIRFLOW__METRICS__STATSD_PREFIX": "airflow", "AIRFLOW_HOME": str(tmp_path),
        }  # fmt: skip
        script = (
            "import sys\n"
            "from datetime import UTC, datetime\n"
            "from airflow.sdk.observability import stats\n"
            "from airflow.sdk.observability.metrics import stats_utils\n"
            "from overnight.alerts.watchdog import tell_metrics\n"
            "from overnight.ledger.connect import Ledger\n"
            "stats.initialize(factory=stats_utils.get_stats_factory(), export_legacy_names=True)\n"
            "tell_metrics(Ledger(sys.argv[1]), now=datetime(2026, 11, 23, 12, tzinfo=UTC))\n"
        )
        url = f"sqlite:///{sqlite_ledger.url.database}"
        subprocess.run([sys.executable, "-c", script, url], env=env, check=True, timeout=120)
        due = {f"airflow.overnight.{metric}" for metric in gauges.OF_ALL}
        for _ in range(50):  # Airflow sends some of its own, too
            due.discard(listener.recv(2048).decode().partition(":")[0])
            if not due:
                break
    assert due == set()
