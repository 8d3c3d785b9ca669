"""Great Expectations over the night's table: the checks of a column as a whole, beside the rules of each answer.

Imported in the validate task only: the library takes seconds to load.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from overnight.workflow import Expectation, Finding, NightRow, Severity, Workflow

# The library reports its use to its makers unless told not to; a night talks to nobody it does not have to.
os.environ["GX_ANALYTICS_ENABLED"] = "false"


def table(workflow: Workflow, rows: Sequence[NightRow]) -> pd.DataFrame:
    """One row per good answer: `item_id`, `key` and the workflow's own columns."""
    columns: dict[str, list[Any]] = {}
    for count, row in enumerate(rows):  # column by column: a dictionary a row would stand in memory beside the table it becomes
        key = str(row.item.get(workflow.id_field, row.item_id))
        values = {**workflow.table(row), "item_id": row.item_id, "key": key}
        for name in values.keys() - columns.keys():
            columns[name] = [None] * count
        for name, column in columns.items():
            column.append(values.get(name))
    return pd.DataFrame(columns)


def judge(workflow: Workflow, rows: Sequence[NightRow]) -> tuple[list[dict[str, Any]], list[tuple[int, Finding]]]:
    """Run the workflow's expectations.

    Returns:
        What each expectation said of the night (for the summary), and findings on the items that broke one.
    """
    if not rows or not workflow.expectations:
        return [], []
    results = _validate(workflow.name, table(workflow, rows), workflow.expectations)
    checks: list[dict[str, Any]] = []
    findings: list[tuple[int, Finding]] = []
    for expectation, result in zip(workflow.expectations, results, strict=True):
        check = _check(expectation, result)
        if check["error"] and expectation.severity is Severity.FAIL:
            raise RuntimeError(f"{expectation.name} could not be checked, so nothing is called good: {check['error'][:300]}")
        checks.append(check)
        findings += [(item_id, _finding(expectation, value)) for item_id, value in _unexpected(result)]
    return checks, findings


def _validate(name: str, frame: pd.DataFrame, expectations: Sequence[Expectation]) -> list[Any]:
    import great_expectations as gx
    from great_expectations import expectations as known

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas("night").add_dataframe_asset("answers")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
    suite = gx.ExpectationSuite(name=name)
    for position, expectation in enumerate(expectations):
        made = getattr(known, expectation.name)(**expectation.arguments, meta={"position": position})
        suite.add_expectation(made)
    wanted = {"result_format": "COMPLETE", "unexpected_index_column_names": ["item_id"]}
    validated = batch.validate(suite, result_format=wanted)
    return sorted(validated.results, key=lambda result: result.expectation_config.meta["position"])


def _check(expectation: Expectation, result: Any) -> dict[str, Any]:
    observed = result.result.get("observed_value")
    return {
        "expectation": expectation.name,
        "arguments": dict(expectation.arguments),
        "severity": expectation.severity.value,
        "success": bool(result.success),
        "observed": round(float(observed), 4) if isinstance(observed, int | float) else None,
        "error": (result.exception_info or {}).get("exception_message") if not result.success else None,
    }


def _unexpected(result: Any) -> list[tuple[int, Any]]:
    rows: Sequence[Mapping[str, Any]] = result.result.get("unexpected_index_list") or []
    column = result.expectation_config.kwargs.get("column")
    return [(int(row["item_id"]), row.get(column)) for row in rows]


def _finding(expectation: Expectation, value: Any) -> Finding:
    column = expectation.arguments.get("column")
    what = expectation.name.removeprefix("Expect")
    severity = Severity.WARN if expectation.severity is Severity.NOTE else expectation.severity
    return Finding("night_table", severity, f"{column}: {what} does not hold.", column, str(value)[:200])
