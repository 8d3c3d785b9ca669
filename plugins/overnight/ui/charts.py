"""Charts as SVG pictures, drawn on the server by pygal: no script runs in them, and each has a table beside it on its page."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from math import floor
from typing import Any

import pygal
from pygal.etree import etree
from pygal.style import Style

from overnight.quality.control import Chart

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""A picture's own: the library writes its colours into the file, and nothing else may load or run."""
THEMES = {
    "light": {"ink": "#16202c", "soft": "#526071", "line": "#d8dee6", "ground": "#ffffff", "value": "#0b62c4", "limit": "#8a4f00",
              "out": "#b3261e", "band": "#176b40"},
    "dark": {"ink": "#e8edf3", "soft": "#a7b3c1", "line": "#36414e", "ground": "#1b232d", "value": "#6cb0ff", "limit": "#f0b357",
             "out": "#ff8a80", "band": "#5fd197"},
}  # fmt: skip
SERIES = ("#0b62c4", "#176b40", "#8a4f00", "#8a6fc0", "#b3261e", "#1f7a8c", "#7a5c00", "#a83279", "#4f6d7a", "#3d5a1e")
"""Ten colours that can be told apart in both themes, one a workflow."""
WIDTH, HEIGHT = 860, 340
TICKS = 5


def control(chart: Chart, band: tuple[float, float] | None, words: str, theme: str) -> bytes:
    """A control chart: the value, its limits, and the healthy range as two lines."""
    colours = THEMES[theme]
    drawn = _line(
        colours, [colours["value"], colours["limit"], colours["limit"], colours["band"], colours["band"], colours["out"]]
    )
    points = chart.points
    _scale(drawn, [edge for p in points for edge in (p.value, p.low, p.high) if edge is not None], share=band is not None)
    drawn.x_labels = [point.night[5:] for point in points]
    drawn.x_labels_major_count = 10
    drawn.show_minor_x_labels = False
    drawn.value_formatter = _usd if chart.name == "cost_per_output" else _percent
    drawn.add(words, [point.value for point in points], dots_size=2.5)
    quiet: dict[str, Any] = {"show_dots": False, "stroke_style": {"dasharray": "5, 4", "width": 1}}
    if any(point.high is not None for point in points):
        drawn.add("chance alone: at most", [point.high for point in points], **quiet)
        drawn.add("… and at least", [point.low for point in points], **quiet)
    else:
        drawn.add(None, [])
        drawn.add(None, [])
    for label, edge in zip(("healthy up to", "healthy from"), reversed(band or ()), strict=False):
        drawn.add(label, [edge] * len(points), show_dots=False, stroke_style={"width": 1})
    if not band:
        drawn.add(None, [])
        drawn.add(None, [])
    out = [point.value if point.out else None for point in points]
    if any(value is not None for value in out):
        drawn.add("no chance explains", out, dots_size=5, stroke=False)
    return _drawn(drawn)


def stacked(days: Mapping[str, Mapping[str, Decimal]], titles: Mapping[str, str], theme: str) -> bytes:
    """Cost by day, one colour a workflow."""
    colours = THEMES[theme]
    drawn = pygal.StackedBar(**_plain(colours, SERIES), legend_at_bottom=True, legend_at_bottom_columns=4)
    _scale(drawn, [float(sum(day.values())) for day in days.values() if day], share=False)
    drawn.x_labels = [day[5:] for day in days]
    drawn.x_labels_major_count = 10
    drawn.show_minor_x_labels = False
    drawn.value_formatter = _usd
    for name in sorted({name for day in days.values() for name in day}):
        drawn.add(titles.get(name, name), [float(day.get(name, 0)) or None for day in days.values()])
    return _drawn(drawn)


def _scale(chart: Any, values: Sequence[float], *, share: bool) -> None:
    """Say the scale ourselves: where all values are nearly the same, the library looks for one and never ends."""
    if not values:
        return  # it says that there is nothing
    top = 1.0 if share else max(values, default=0.0) * 1.15 or 1.0
    bottom = max(0.0, floor(min(values, default=0.0) * 10) / 10) if share else 0.0
    bottom = bottom if bottom < top else 0.0
    chart.y_labels = [bottom + (top - bottom) * step / TICKS for step in range(TICKS + 1)]
    chart.range = (bottom, top)


def _drawn(chart: Any) -> bytes:
    """The picture without the settings that the library writes as a script for its own tooltips."""
    tree = chart.render_tree()
    for parent in list(tree.iter()):
        for child in [node for node in parent if str(node.tag).endswith("script")]:
            parent.remove(child)
    return bytes(etree.tostring(tree))


def _line(colours: Mapping[str, str], series: Sequence[str]) -> Any:
    return pygal.Line(**_plain(colours, series), legend_at_bottom=True, legend_at_bottom_columns=3)


def _plain(colours: Mapping[str, str], series: Sequence[str]) -> dict[str, Any]:
    style = Style(
        background=colours["ground"], plot_background=colours["ground"], foreground=colours["ink"],
        foreground_strong=colours["ink"], foreground_subtle=colours["line"], colors=tuple(series), font_family="sans-serif",
        label_font_size=11, major_label_font_size=11, legend_font_size=12, value_font_size=11, opacity="1", transition="0s",
        no_data_font_size=14, guide_stroke_color=colours["line"], major_guide_stroke_color=colours["line"],
    )  # fmt: skip
    return {
        "style": style, "js": (), "width": WIDTH, "height": HEIGHT, "explicit_size": False, "margin": 8, "margin_bottom": 26,
        "disable_xml_declaration": True, "no_data_text": "nothing measured yet", "show_y_guides": True, "truncate_legend": -1,
        "include_x_axis": False, "spacing": 8,
    }  # fmt: skip


def _percent(value: float) -> str:
    return f"{value * 100:.0f} %"


def _usd(value: float) -> str:
    return f"${value:.4f}" if value < 1 else f"${value:,.2f}"
