"""Changes during treatment against simulated series of known slopes, gaps and noise."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from manabi.context import Context
from manabi.errors import InvalidInputError
from manabi.radiomics.delta import (
    DeltaSet,
    FeatureSeries,
    delta_sets,
    deltas,
    measurement_sd,
    smallest_detectable_change,
)

WEEKS = np.arange(1.0, 6.0)


def series(values, times=WEEKS):
    values = np.asarray(values, float)
    patients = tuple(f"p{i}" for i in range(values.shape[0]))
    return FeatureSeries(patients, tuple(f"f{i}" for i in range(values.shape[2])), values, times)


def lines(slopes, start=10.0, times=WEEKS, noise=0.0, patients=26, seed=0):
    """Straight lines, patients by weeks by one feature for each slope."""
    rng = np.random.default_rng(seed)
    values = start + np.multiply.outer(times - times[0], slopes)[None] + np.zeros((patients, 1, 1))
    return values + noise * rng.normal(size=values.shape)


def value_of(table, name):
    return table.matrix(name)[1]


def test_five_weeks_have_seventeen_sets():
    sets = delta_sets()
    assert len(sets) == len({one.name for one in sets}) == 17
    assert [one.name for one in sets[:4]] == ["abs-w2-w1", "abs-w3-w1", "abs-w4-w1", "abs-w5-w1"]
    assert {"rel-w4-w3", "slope", "slope-rel", "area"} <= {one.name for one in sets}
    assert len(delta_sets((0, 2, 6))) == 9
    assert (
        sets[0].feature("wavelet-LHH_glszm_LargeAreaEmphasis") == "delta-abs-w2-w1_wavelet-LHH_glszm_LargeAreaEmphasis"
    )


def test_straight_lines_give_their_slope_in_every_set():
    slopes = np.array([-2.0, 0.0, 0.5])
    table = deltas(series(lines(slopes, patients=3)))
    expected = {
        "abs-w4-w1": 3 * slopes,
        "abs-w5-w4": slopes,
        "rel-w3-w1": 2 * slopes / 10,
        "rel-w3-w2": slopes / np.abs(10 + slopes),
        "slope": slopes,
        "slope-rel": slopes / 10,
        "area": 2 * slopes,
    }
    for name, truth in expected.items():
        np.testing.assert_allclose(value_of(table, name), np.tile(truth, (3, 1)), atol=1e-12)
    assert table.values.shape == (3, 17, 3)
    assert not table.warnings


def test_negative_values_keep_the_direction_of_a_relative_change():
    table = deltas(series(lines([2.0], start=-10.0, patients=1)))
    assert value_of(table, "rel-w2-w1")[0, 0] == pytest.approx(0.2)


def test_slopes_and_areas_survive_missing_weeks_and_differences_do_not():
    values = lines([1.5], patients=4)
    values[0, 2] = np.nan
    values[1, [1, 3]] = np.nan
    values[2, 0] = np.nan
    values[3, 2:] = np.nan
    context = Context()
    table = deltas(series(values), context=context)
    np.testing.assert_allclose(value_of(table, "slope")[:, 0], [1.5, 1.5, 1.5, np.nan], atol=1e-12)
    np.testing.assert_allclose(value_of(table, "area")[:, 0], [3.0, 3.0, np.nan, 0.75], atol=1e-12)
    assert np.isnan(value_of(table, "abs-w3-w1")[[0, 2, 3], 0]).all()
    assert value_of(table, "abs-w5-w1")[1, 0] == pytest.approx(6.0)
    assert "Scan 3 of 5: 2 of 4 patients do not have it." in context.warnings
    assert set(context.warnings) == set(table.warnings)


def test_a_single_missing_feature_does_not_cost_the_others():
    values = lines([1.0, 2.0], patients=2)
    values[0, 1, 0] = np.nan
    table = deltas(series(values))
    assert np.isnan(value_of(table, "abs-w2-w1")[0, 0])
    assert value_of(table, "abs-w2-w1")[0, 1] == pytest.approx(2.0)
    assert not table.warnings


def test_days_as_scanned_count_for_slope_and_area():
    times = np.array([[0.0, 1.2, 1.9, 3.5, 4.1], [0.0, 1.0, np.nan, 2.0, 6.0]])
    values = 5 + 0.7 * np.nan_to_num(times)[:, :, None]
    table = deltas(series(values, times))
    np.testing.assert_allclose(value_of(table, "slope")[:, 0], 0.7, atol=1e-12)
    np.testing.assert_allclose(value_of(table, "area")[:, 0], 0.35 * np.array([4.1, 6.0]), atol=1e-12)


def test_least_squares_agrees_with_numpy_on_noise():
    values = np.random.default_rng(3).normal(size=(5, 5, 4))
    values[1, 3] = np.nan
    table = value_of(deltas(series(values)), "slope")
    for patient in range(5):
        seen = np.isfinite(values[patient, :, 0])
        expected = np.polyfit(WEEKS[seen], values[patient, seen], 1)[0]
        np.testing.assert_allclose(table[patient], expected, atol=1e-12)


def test_a_baseline_near_zero_gives_no_relative_change_but_a_warning():
    values = np.array([[0.0, 1, 2, 3, 4], [1e-5, 1, 2, 3, 4], [0, 0, 0, 0, 0], [2, 1, 1, 1, 4]])[:, :, None]
    table = deltas(series(values))
    relative = value_of(table, "rel-w3-w1")[:, 0]
    assert np.isnan(relative[:2]).all()
    assert relative[2] == 0
    assert relative[3] == pytest.approx(-0.5)
    assert np.isfinite(value_of(table, "abs-w3-w1")).all()
    assert any("near 0" in text for text in table.warnings)


def test_a_change_until_week_two_does_not_look_at_later_weeks():
    values = np.array([[1.0, 2, 3, 4, 5], [1.0, 2, 3, 4, 5e6]])[:, :, None]
    table = deltas(series(values))
    for name in ("rel-w2-w1", "rel-w4-w3", "abs-w4-w1"):
        first, second = value_of(table, name)[:, 0]
        assert first == second


def test_noise_alone_is_detected_in_five_percent_of_every_absolute_set():
    rng = np.random.default_rng(1)
    sd = np.full(400, 3.0)
    values = 100 + rng.normal(0, 3.0, (26, 5, 400))
    values[5, 2] = np.nan
    table = deltas(series(values), noise_sd=sd)
    known = np.isfinite(table.values)
    for index, one in enumerate(table.sets):
        rate = table.detectable[:, index][known[:, index]].mean()
        assert rate == pytest.approx(0.05, abs=0.01), one.name
    assert table.noise_like().mean() > 0.9


def test_a_true_change_is_told_from_noise_and_a_fake_one_is_not():
    values = lines([0.0] * 60 + [3.0] * 60, noise=1.0, seed=2)
    rng = np.random.default_rng(9)
    repeated = rng.normal(0, 5, (60, 1, 120)) + rng.normal(0, 1, (60, 2, 120))
    sd = measurement_sd(repeated)
    np.testing.assert_allclose(sd, 1.0, rtol=0.35)
    np.testing.assert_allclose(smallest_detectable_change(sd), 1.96 * np.sqrt(2) * sd)
    table = deltas(series(values), noise_sd=sd)
    names = [one.name for one in table.sets]
    like = table.noise_like()
    for name in ("abs-w5-w1", "rel-w5-w1", "slope", "area"):
        still, changed = np.split(like[names.index(name)], 2)
        assert still.mean() > 0.85
        assert not changed.any()
    with pytest.raises(InvalidInputError, match="noise_sd"):
        deltas(series(values)).noise_like()


def test_tables_are_tidy():
    values = lines([1.0, -1.0], patients=3)
    values[0, 4] = np.nan
    table = deltas(series(values), noise_sd=np.array([0.1, np.nan]))
    wide, tidy = table.frame(), table.tidy()
    assert wide.shape == (3, 34)
    assert wide.loc["p1", "delta-slope_f1"] == pytest.approx(-1.0)
    assert list(tidy.columns) == ["patient", "set", "feature", "value", "detectable"]
    assert len(tidy) == 3 * 17 * 2
    row = tidy.query("patient == 'p1' and set == 'abs-w2-w1' and feature == 'f0'").iloc[0]
    assert row.value == pytest.approx(1.0) and bool(row.detectable)
    assert not tidy.query("feature == 'f1'").detectable.any()
    assert deltas(series(values)).tidy().detectable.isna().all()


def test_rows_in_any_order_make_a_series():
    rows = [
        ("b", 1, 2.0, {"x": 5.0}),
        ("a", 0, 1.0, {"x": 1.0, "y": 2.0}),
        ("a", 2, 3.5, {"x": 2.0, "y": np.inf}),
        ("b", 0, 1.0, {"x": 4.0}),
    ]
    found = FeatureSeries.from_rows(rows, n_times=4)
    assert found.patients == ("b", "a") and found.names == ("x", "y")
    assert found.values.shape == (2, 4, 2)
    assert found.values[1, 2, 0] == 2.0 and np.isnan(found.values[1, 2, 1]) and np.isnan(found.values[0, 0, 1])
    assert found.times_weeks[1, 2] == 3.5 and np.isnan(found.times_weeks[1, 1])
    with pytest.raises(InvalidInputError, match="twice"):
        FeatureSeries.from_rows([*rows, ("a", 0, 1.0, {"x": 1.0})])
    with pytest.raises(InvalidInputError, match="no scans"):
        FeatureSeries.from_rows([])


def test_the_input_stays_as_it_is():
    values = lines([1.0], patients=2)
    values[0, 1] = np.inf
    before = values.copy()
    deltas(series(values))
    assert np.array_equal(values, before)


def test_wrong_requests_are_explained():
    good = series(lines([1.0], patients=2))
    with pytest.raises(InvalidInputError, match="look beyond"):
        deltas(good, [DeltaSet("late", "difference", False, 0, 5)])
    with pytest.raises(InvalidInputError, match="each name once"):
        deltas(good, [DeltaSet("slope", "slope"), DeltaSet("slope", "slope")])
    with pytest.raises(InvalidInputError, match="standard deviations"):
        deltas(good, noise_sd=np.ones(3))
    with pytest.raises(InvalidInputError, match="Choose one of"):
        deltas(good).matrix("week 9")
    with pytest.raises(InvalidInputError, match="must increase"):
        series(lines([1.0], patients=2), np.array([1.0, 2, 2, 3, 4]))
    with pytest.raises(InvalidInputError, match="shape"):
        series(lines([1.0], patients=2), np.ones(4))
    with pytest.raises(InvalidInputError, match="at least 3"):
        delta_sets((1, 2))
    with pytest.raises(InvalidInputError, match="increase"):
        delta_sets((1, 3, 2))
    with pytest.raises(InvalidInputError, match="kind"):
        DeltaSet("odd", "ratio")
    with pytest.raises(InvalidInputError, match="earlier"):
        DeltaSet("back", "difference", False, 3, 1)


def test_the_sets_import_nothing_heavy():
    code = (
        "import sys, manabi.radiomics.delta_sets;"
        "print(sorted({'scipy', 'pandas', 'sklearn', 'torch', 'SimpleITK'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
