"""Figures and Slicer plots hold the numbers they are made of, and do not fail where numbers are missing."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.image import imread

from manabi.errors import InvalidInputError
from manabi.radiomics.cohort.calibration import calibrate
from manabi.radiomics.cohort.decision import decide_survival
from manabi.radiomics.cohort.groups import split_by_risk
from manabi.radiomics.cohort.plots import draw_calibration, draw_decision, draw_kaplan_meier
from manabi.radiomics.cohort.plots_blocks import draw_auc, draw_contributions, draw_forest, draw_selection
from manabi.radiomics.cohort.plots_parts import COLORS, time_ticks
from manabi.radiomics.cohort.plots_slicer import (
    auc_plot,
    bars_plot,
    calibration_plot,
    decision_plot,
    forest_plot,
    kaplan_meier_plot,
)
from manabi.radiomics.cohort.scores import NAN, Bootstrap, Score, missing
from manabi.radiomics.cohort.scores_data import Followup, Predicted

TIMES = np.array([12.0, 24.0, 36.0])


@pytest.fixture(scope="module")
def study():
    rng = np.random.default_rng(0)
    lp = 0.7 * rng.normal(size=90)
    true, end = 60 * rng.exponential(np.exp(-lp)), rng.uniform(20, 90, 90)
    follow = Followup(np.minimum(true, end), true <= end)
    return follow, Predicted(lp, np.exp(-TIMES / 60 * np.exp(lp)[:, None]), TIMES)


def width_of(path):
    image = imread(path)
    return image.shape[1], image


def distance(first: str, second: str) -> float:
    """Of two colours in lightness-weighted RGB."""
    a, b = (np.array([int(c[k : k + 2], 16) for k in (1, 3, 5)], float) for c in (first, second))
    return float(np.sqrt(((a - b) ** 2 * [0.3, 0.59, 0.11]).sum()))


def seen_by(color: str, matrix: np.ndarray) -> str:
    """A colour as a dichromat sees it (linear RGB; H. Viénot, H. Brettel, J. Mollon, 1999)."""
    linear = (np.array([int(color[k : k + 2], 16) for k in (1, 3, 5)]) / 255) ** 2.2
    out = (np.clip(matrix @ linear, 0, 1) ** (1 / 2.2) * 255).round().astype(int)
    return "#" + "".join(f"{v:02x}" for v in out)


PROTAN = np.array([[0.1124, 0.8876, 0], [0.1124, 0.8876, 0], [0.004, -0.004, 1]])
DEUTAN = np.array([[0.2927, 0.7073, 0], [0.2927, 0.7073, 0], [-0.0223, 0.0223, 1]])


GREY = np.tile([0.2126, 0.7152, 0.0722], (3, 1))


@pytest.mark.parametrize(
    ("eye", "least"),
    [(np.eye(3), 40), (PROTAN, 40), (DEUTAN, 40), (GREY, 20)],
    ids=["normal", "protan", "deutan", "grey"],
)
def test_colours_of_the_four_blocks_are_told_apart_by_all_eyes_and_in_grey(eye, least):
    four = [seen_by(color, eye) for color in COLORS[:4]]
    apart = [distance(a, b) for k, a in enumerate(four) for b in four[k + 1 :]]
    assert min(apart) > least


def test_kaplan_meier_draws_groups_and_the_patient(study, tmp_path):
    follow, predicted = study
    split = split_by_risk(follow, predicted.risk[0], 0.0)
    plain = draw_kaplan_meier(split.curves, tmp_path / "a.png", "Survival")
    patient = (TIMES, predicted.survival[0, 0])
    over = draw_kaplan_meier(split.curves, tmp_path / "b.png", "Survival", patient, ["log-rank p 0.04"])
    width, first = width_of(plain)
    _, second = width_of(over)
    assert width == 900 and second.shape[0] > first.shape[0]
    assert np.abs(first[:480, :, :3] - second[:480, :, :3]).max() > 0.5
    with pytest.raises(InvalidInputError, match="at least one curve"):
        draw_kaplan_meier({}, tmp_path / "c.png", "Survival")


def test_kaplan_meier_plot_steps_through_the_curves_corners(study):
    follow, predicted = study
    split = split_by_risk(follow, predicted.risk[0], 0.0)
    plot = kaplan_meier_plot(split.curves, "Survival", (TIMES, predicted.survival[0, 0]))
    assert list(plot.series) == ["low risk", "high risk", "this patient, predicted"]
    xs, ys = (np.array(v) for v in plot.series["high risk"])
    curve = split.curves["high risk"]
    assert (np.diff(xs) >= 0).all() and (np.diff(ys) <= 0).all() and ys[0] == 1
    assert not ((np.diff(xs) > 0) & (np.diff(ys) != 0)).any()
    np.testing.assert_allclose(ys[np.searchsorted(xs, curve.times, side="right") - 1], curve.survival)


def test_calibration_and_decision_are_drawn_and_plotted(study, tmp_path):
    follow, predicted = study
    calibration = calibrate(follow, predicted, 36.0, Bootstrap(20))
    curve = decide_survival(follow, {"combined": predicted}, 36.0, bootstrap=Bootstrap(20))
    for path in (draw_calibration(calibration, tmp_path / "a.png", "Calibration", ["simulated"]),
                 draw_decision(curve, tmp_path / "b.png", "Decision")):  # fmt: skip
        width, image = width_of(path)
        assert width == 900 and image[..., :3].min() < 0.3
    assert len(calibration_plot(calibration, "c").series["fifths of the patients"][0]) == 5
    series = decision_plot(curve, "d").series
    assert set(series["treat none"][1]) == {0.0} and min(series["treat all"][1]) > -0.1
    np.testing.assert_allclose(series["combined"][1], curve.models[0].value)


def test_a_calibration_without_numbers_is_drawn_with_its_reason(study, tmp_path):
    follow, predicted = study
    nothing = calibrate(Followup(follow.time, np.zeros(follow.n)), predicted, 36.0)
    path = draw_calibration(nothing, tmp_path / "a.png", "Calibration")
    assert width_of(path)[0] == 900
    assert calibration_plot(nothing, "c").series["smooth curve"] == ([], [])


BLOCKS = {
    "clinical": Score("Harrell C", 0.55, 0.50, 0.61, "", 90, 50),
    "volume": missing("Harrell C", "the risk is the same for all", 90, 50),
    "radiomics": Score("Harrell C", 0.62, NAN, NAN, "", 90, 50),
    "combined": Score("Harrell C", 0.66, 0.60, 0.71, "", 90, 50),
}


def test_forest_and_auc_leave_out_what_is_missing(tmp_path):
    gain = Score("combined - clinical", 0.11, 0.02, 0.2, "", 90, 50, 0.01)
    path = draw_forest(BLOCKS, tmp_path / "a.png", "C", differences=[gain])
    assert width_of(path)[0] == 900
    plot = forest_plot(BLOCKS, "C")
    assert plot.categories == tuple(BLOCKS) and plot.series["estimate"] == ([0.0, 2.0, 3.0], [0.55, 0.62, 0.66])
    assert plot.series["interval, low"] == ([0.0, 3.0], [0.50, 0.60])
    over = {name: [one, one] for name, one in BLOCKS.items()}
    assert width_of(draw_auc(over, [12, 24], "months", tmp_path / "b.png", "AUC"))[0] == 900
    assert auc_plot(over, [12, 24], "months", "AUC").series["volume"] == ([], [])
    with pytest.raises(InvalidInputError, match="each of the 3 times"):
        draw_auc(over, [12, 24, 36], "months", tmp_path / "c.png", "AUC")


def test_bars_show_the_largest_first_and_say_what_is_left_out(tmp_path):
    names, values = [f"feature_{k}" for k in range(40)], np.linspace(-1, 0.5, 40)
    long = draw_contributions(names, values, tmp_path / "a.png", "Drivers")
    short = draw_contributions(names[:5], values[:5], tmp_path / "b.png", "Drivers")
    assert width_of(long)[1].shape[0] > width_of(short)[1].shape[0]
    plot = bars_plot(names, values, "Drivers", "log hazard ratio", 3)
    assert plot.categories == ("feature_0", "feature_1", "feature_2")
    assert plot.series["log hazard ratio"][1] == pytest.approx(values[:3])
    draw_selection(names, np.abs(values), tmp_path / "c.png", "Selection")
    with pytest.raises(InvalidInputError, match="share between 0 and 1"):
        draw_selection(["a"], [1.2], tmp_path / "d.png", "Selection")
    with pytest.raises(InvalidInputError, match="each of 2 features"):
        draw_contributions(["a", "b"], [1.0], tmp_path / "e.png", "Drivers")


@pytest.mark.parametrize(("last", "unit", "step"), [(100, "months", 24), (2000, "days", 365.25), (5, "years", 1)])
def test_time_is_marked_in_whole_years(last, unit, step):
    places = time_ticks(last, unit)
    assert places[0] == 0 and places[-1] <= last
    np.testing.assert_allclose(np.diff(places), step, atol=0.11)


def test_plots_for_slicer_need_no_matplotlib():
    import subprocess
    import sys

    code = "import sys; import manabi.radiomics.cohort.plots_slicer; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
