"""One real Airflow for all tests of this folder, with three nights that are over and a month of measured ones."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from overnight.clock import utcnow
from overnight.ledger.connect import Ledger
from tests.conftest import missing
from tests.support import airflow
from tests.support.airflow import Running
from tests.support.browser import CHROMIUM, chromium
from tests.support.month import one_night
from tests.workflows.good import GOOD

MEASURED = "amazon_listings"
DECIDED = (16, 15, 17, 15, 16, 14, 16, 15, 16, 17, 15, 6)
"""Approved as they are, of twenty a night; on the last of them something happened."""


@pytest.fixture(scope="package")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    rows = {"shopify_pages": airflow.products(34)}
    workflows = ["blog_drafts", "review_sentiment", "shopify_pages"]
    with airflow.nights(tmp_path_factory.mktemp("night"), workflows, rows, month) as made:
        yield made


def month(ledger: Ledger) -> None:
    """Twelve measured nights of listings, up to the day before yesterday."""
    morning = utcnow().replace(hour=7, minute=30, second=0, microsecond=0) - timedelta(days=len(DECIDED) + 2)
    for number, as_is in enumerate(DECIDED):
        usd = Decimal("0.011") + Decimal("0.0002") * (number % 4)
        one_night(ledger, number, as_is, 3, size=20, usd=usd, seconds=240, first=morning, workflow=MEASURED,
                  example=GOOD[MEASURED, "rewrite"])  # fmt: skip


@pytest.fixture(scope="package")
def browser(request: pytest.FixtureRequest) -> Iterator[Any]:
    if CHROMIUM is None:
        missing(request, "chromium (Debian: apt-get install chromium)")
    yield from chromium()
