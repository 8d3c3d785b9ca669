"""What results.json says, as the README's table and as plots. Nothing here measures; a test holds the README to it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pygal

PROJECT = Path(__file__).parents[1]
RESULTS = Path(__file__).with_name("results.json")
BEGIN, END = "<!-- results: begin (make bench) -->", "<!-- results: end -->"
Found = dict[str, Any]


def table(results: Found) -> str:
    """The README's table: what was measured, ours, what stood beside it in the same run, the goal."""
    lines = ["| measured | ours | beside it, in the same run | goal met |", "| --- | --- | --- | --- |"]
    for name, (what, ours, beside) in ROWS.items():
        if (found := results.get(name)) is None:
            continue
        if "error" in found:
            lines.append(f"| {what} | not measured: it failed | | **no** |")
            continue
        met = {True: "yes", False: "**no**", None: ""}[found.get("met")]
        lines.append(f"| {what} | {ours(found)} | {beside(found)} | {met} |")
    return "\n".join(lines)


def _several(values: Iterator[Any]) -> str:
    found = sorted(set(values))
    return f"{found[0]:g}" if len(found) == 1 else f"{found[0]:g} to {found[-1]:g}"


def _of(found: Found, side: str, key: str) -> str:
    return _several(float(one[key]) for one in found[side].values() if isinstance(one, dict) and key in one)


def _nothing(_: Found) -> str:
    return ""


Words = Callable[[Found], str]
ROWS: dict[str, tuple[str, Words, Words]] = {
    "lost_response": (
        "batches at the vendor when one create's answer is lost",
        lambda f: _several(one["one_answer_lost"]["held"] for one in f["ours"].values()),
        lambda f: (
            f"{_several(one['one_answer_lost']['held'] for one in f['peers'].values())} (LLMBatchOperator, pydantic-ai, the "
            "vendors' operators); after one more try "
            + _several(one["every_answer_lost"].get("held_after_one_more_try", 1) for one in f["peers"].values())
        ),
    ),
    "crash_after_accept": (
        "times a batch is bought when the worker dies after it was accepted",
        lambda f: _of(f, "ours", "times_bought"),
        lambda f: f"{_of(f, 'peers', 'times_bought')} (LLMBatchOperator)",
    ),
    "restarts": (
        "batches held after a worker was lost",
        lambda f: _of(f, "ours", "worker_lost"),
        lambda f: f"{_of(f, 'peers', 'worker_lost')} (the vendors' operators)",
    ),
    "cutoff": (
        "of 1,000 requests, sent again after a cancel at 90 %",
        lambda f: _of(f, "ours", "sent_again"),
        lambda f: f"{_several(one['cancelled']['sent_again_by_a_retry'] for one in f['peers'].values())} (LLMBatchOperator)",
    ),
    "bad_answers": (
        "truncated answers counted as good, of 10",
        lambda f: _of(f, "ours", "truncated"),
        lambda f: f"{_of(f, 'peers', 'truncated')} (LLMBatchOperator)",
    ),
    "waiting": (
        "looks begun of 200 due, beside 6 that hang",
        lambda f: _several(min(one["looks_begun"], 200) for one in f["ours"]["hung"].values()),
        lambda f: (
            f"{_several(one['looks_begun'] for one in f['peers']['hung'].values() if 'looks_begun' in one)} (five triggers)"
        ),
    ),
    "submit": (
        "memory that submitting 45,000 requests takes, MB",
        lambda f: _of(f, "ours", "peak_rss_grown_mb"),
        lambda f: f"{_of(f, 'peers', 'peak_rss_grown_mb')} (three operators)",
    ),
    "landing": (
        "answers landed a second, judged and audited, and MB it takes",
        lambda f: f"{f['ours']['rows_per_s']:,}; {f['ours']['peak_rss_grown_mb']}",
        lambda f: (
            "; ".join(f"{one['rows_per_s']:,}, {one['peak_rss_grown_mb']}" for one in f["peers"].values())
            + " (LLMBatchOperator: no ledger, rules or audit)"
        ),
    ),
    "tokens": (
        "input cost of 5,000 short reviews, share of one request each",
        lambda f: f"{f['share']:.2f}",
        lambda f: "1 (LLMBatchOperator)",
    ),
    "dag_parse": ("CPU of a Dag parse, times an empty Dag", lambda f: f"{f['ratio']:.1f}", _nothing),
    "review_calls": (
        "calls that export 5,000 rows to a sheet",
        lambda f: str(f["ours"]["sheets: calls to export 5,000 rows"]),
        _nothing,
    ),
    "decisions": (
        "500 decisions, a minute",
        lambda f: f"{f['per_minute']['ours_as_a_list']:,} as a list, {f['per_minute']['ours_one_by_one']:,} one by one",
        lambda f: f"{f['per_minute']['airflow_hitl']:,} (Airflow's HITL); {f['times_hitl_as_a_list']} times",
    ),
    "pages": (
        "slowest page's p95 with 500,000 items in PostgreSQL, ms; heaviest, KB",
        lambda f: f"{f['slowest_p95_ms']:.0f}; {f['heaviest_bytes'] / 1000:.0f}",
        lambda f: f"{_times_health(f)} times Airflow's /health",
    ),
    "inventory": (
        "products scored with a million sales lines, seconds",
        lambda f: f"{f['scored_s']} for {f['products']:,}",
        lambda f: f"{f['times_faster_than_product_by_product']} times product by product",
    ),
    "drift": (
        "false alarms in 250 nights of 15 decided items; nights to find a step from 78 to 60 %",
        lambda f: "{false alarms in 250 nights[ours]}; {nights to find 78 to 60 at once[ours]}".format(
            **f["items a night"]["15"]
        ),
        lambda f: (
            "{false alarms in 250 nights[plain rules]}; {nights to find 78 to 60 at once[plain rules]} (plain thresholds)".format(
                **f["items a night"]["15"]
            )
        ),
    ),
    "masking": (
        "cost of masking twice the text, times, at worst",
        lambda f: str(max(one["times at twice the length"] for one in f["texts"].values())),
        _nothing,
    ),
    "scale": (
        "a whole night: CPU an item, ms; highest peak of a task, MB",
        lambda f: "; ".join(
            f"{int(size):,} items: {one['ms_cpu_an_item']}, {one['peak_rss_mb']:.0f}" for size, one in f["nights"].items()
        ),
        lambda f: f"from {f['from']:,} to {f['to']:,}: CPU {f['growth']['cpu']} times, memory {f['growth']['peak_rss']} times",
    ),
    "rehearsal": (
        "`make night`, once installed: seconds, and at most MB of all processes",
        lambda f: f"{f['seconds']}; {f['most_mb']:,}",
        _nothing,
    ),
    "chaos": (
        "nights of ten workflows on a cluster whose parts were killed: items lost, paid twice, wrong successes",
        lambda f: f"{f['lost']}, {f['paid_twice']}, {f['wrong_successes']}",
        lambda f: f"{len(f['nights'])} seeds, {sum(f['kills'].values())} kills, {f['items']:,} items, {f['batches']:,} batches",
    ),
    "faults": (
        "nights killed at every point, under every fault profile: items lost, paid twice, wrong successes",
        lambda f: f"{f['items_lost']}, {f['answers_paid_twice']}, {f['wrong_successes']}",
        lambda f: f"{f['runs']:,} of {f['cases']:,} cases, {f['killed']} kills",
    ),
    "people": (
        "careless people at four surfaces: broken promises",
        lambda f: str(sum(one["broken promises"] for one in f.values() if isinstance(one, dict))),
        lambda f: f"{sum(one['acts of people'] for one in f.values() if isinstance(one, dict)):,} acts, 100 seeds a surface",
    ),
}


def _times_health(found: Found) -> str:
    return _several(round(page["times_health"], 1) for page in found["postgresql"]["pages"].values())


def scale_table(results: Found) -> str:
    """The nights of each size, task by task, for docs/scale.md."""
    nights = results["scale"]["nights"]
    head = "| | " + " | ".join(f"{int(size):,} items" for size in nights) + " |"
    rows = [head, "| --- |" + " --- |" * len(nights)]

    def row(what: str, value: Callable[[Found], str]) -> None:
        rows.append(f"| {what} | " + " | ".join(value(one) for one in nights.values()) + " |")

    row("wall time, s", lambda one: f"{one['wall_s']:.0f}")
    row("CPU of our tasks, s (an item, ms)", lambda one: f"{one['cpu_s']:.0f} ({one['ms_cpu_an_item']})")
    row("CPU of the local vendor, s", lambda one: f"{one['vendor']['cpu_s']:.0f}")
    for name in ("check", "drain", "batch", "validate", "export"):
        row(
            f"{name}: tasks, CPU s, peak MB",
            lambda one, name=name: "{tasks}, {cpu_s:.0f}, {peak_rss_mb:.0f}".format(**one["tasks"][name]),
        )  # type: ignore[misc]
    row("local vendor's peak, MB", lambda one: f"{one['vendor']['peak_rss_mb']:.0f}")
    row("ledger (SQLite), MB", lambda one: f"{one['ledger_mb']:.0f}")
    row("raw answers, MB", lambda one: f"{one['raw_mb']:.1f}")
    return "\n".join(rows)


def write(results: Found) -> None:
    """The README's table, the table of docs/scale.md and the plots anew."""
    made = [("README.md", table(results))]
    if results.get("scale", {}).get("nights"):
        made.append(("docs/scale.md", scale_table(results)))
    for name, text in made:
        path = PROJECT / name
        before, _, rest = path.read_text().partition(BEGIN)
        _, _, after = rest.partition(END)
        path.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")
    for name, chart in plots(results):
        chart.render_to_file(str(PROJECT / "docs" / "images" / f"{name}.svg"))


def plots(results: Found) -> Iterator[tuple[str, Any]]:
    """Name → chart, for what is measured at several sizes."""
    if scale := results.get("scale", {}).get("nights"):
        sizes = [int(size) for size in scale]
        chart = pygal.XY(
            title="A night from a thousand items on", x_title="items (logarithmic)", logarithmic=True, js=[], width=720, height=420,
            legend_at_bottom=True,
        )  # fmt: skip
        chart.x_labels = sizes
        chart.y_labels = [1, 10, 100, 1_000]
        last = scale[str(sizes[-1])]
        for label, key in (("CPU seconds", "cpu_s"), ("ledger, MB", "ledger_mb"), ("highest peak of a task, MB", "peak_rss_mb")):
            chart.add(label, [(size, max(scale[str(size)][key], 0.1)) for size in sizes])
        linear = [(size, last["cpu_s"] * size / sizes[-1]) for size in sizes]
        chart.add("CPU, were all of it linear", linear, stroke_style={"dasharray": "4,4"})
        yield "scale", chart


if __name__ == "__main__":
    write(json.loads(RESULTS.read_text()))
