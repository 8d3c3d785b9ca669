"""The README quotes what was measured and nothing else."""

import json
import re

from benchmarks import report
from tests.conftest import PROJECT

README = (PROJECT / "README.md").read_text()
RESULTS = json.loads((PROJECT / "benchmarks" / "results.json").read_text())
FIGURE = re.compile(r"\d[\d,.]*\s*(s\b|seconds|minutes?|ms|MB|GB|%|times|rows|a second)")


def test_the_table_is_what_results_json_says() -> None:
    """`make bench` writes both; whoever changes one by hand is found out."""
    table = README.partition(report.BEGIN)[2].partition(report.END)[0].strip()
    assert table == report.table(RESULTS).strip()


def test_the_page_on_scale_shows_the_nights_that_were_measured() -> None:
    """Its table, too, is the file's."""
    page = (PROJECT / "docs" / "scale.md").read_text()
    assert page.partition(report.BEGIN)[2].partition(report.END)[0].strip() == report.scale_table(RESULTS).strip()


def test_every_benchmark_has_its_row_and_every_row_its_result() -> None:
    """What is measured is told, and nothing is told that was not measured."""
    from benchmarks.__main__ import NAMES

    assert set(NAMES) <= set(report.ROWS)
    assert set(report.ROWS) <= set(RESULTS)


def test_no_figure_stands_outside_the_table() -> None:
    """A time, a size or a share in the README's prose would be held to nothing."""
    prose = README.partition(report.BEGIN)[0] + README.partition(report.END)[2]
    assert [match.group(0) for match in FIGURE.finditer(prose)] == []
