"""Charts: bars with levels, lines, points."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from manabi.errors import InvalidInputError
from manabi.plotting import style
from manabi.plotting.charts import draw_chart
from manabi.plotting.page import Page
from manabi.result import Plot

BARS = Plot(
    "Ratio", "region", "ratio", {"before": ([0.0, 1.0], [1.0, 2.0]), "level": ([0.0, 1.0], [1.5, 1.5])}, "bar",
    ("left", "right"), ("level",),
)  # fmt: skip


def share_of(path, color):
    pixels = np.asarray(Image.open(path).convert("RGB"), float) / 255
    return float((np.abs(pixels - to_rgb(color)).max(-1) < 0.02).mean())


def test_bars_and_levels_are_drawn_and_named(tmp_path, monkeypatch):
    texts = []
    original = Page.text
    monkeypatch.setattr(Page, "text", lambda self, x, y, text, *a, **k: (texts.append(text), original(
        self, x, y, text, *a, **k)))  # fmt: skip
    path = draw_chart(BARS, tmp_path / "chart.png")
    assert share_of(path, style.BEFORE) > 0.05
    assert share_of(path, style.AFTER) == 0
    assert {"Ratio", "before", "level"} <= set(texts)


@pytest.mark.parametrize("kind", ["line", "scatter"])
def test_lines_and_points_are_drawn_with_gaps_for_what_is_no_number(tmp_path, kind):
    plot = Plot("c_1 $x$", "mm", "counts", {"a": ([0.0, 1.0, 2.0, 3.0], [1.0, float("nan"), 3.0, 2.0])}, kind)
    assert share_of(draw_chart(plot, tmp_path / "chart.png"), style.SERIES[0]) > 1e-4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "line", "marks": (), "categories": ("a",)}, "Only a bar chart"),
        ({"kind": "bar", "marks": ("c",)}, "no series: c"),
        ({"kind": "bar", "categories": ("a",)}, "stand at 0 to 0"),
    ],
)
def test_what_is_no_chart_is_refused(changes, message):
    with pytest.raises(InvalidInputError, match=message):
        Plot("t", "x", "y", {"a": ([0.0, 1.0], [1.0, 2.0])}, **changes)


def test_notes_stand_below_the_chart(tmp_path):
    plain = Image.open(draw_chart(BARS, tmp_path / "plain.png"))
    noted = Image.open(draw_chart(BARS, tmp_path / "noted.png", ["Trained on simulated data; for research use."]))
    assert noted.size[1] > plain.size[1]
    assert np.asarray(noted.convert("L"))[plain.size[1] - 4 :].min() < 160
