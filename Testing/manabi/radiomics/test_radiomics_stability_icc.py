"""Intraclass correlations against published values, an analysis of variance by hand, and simulations of known truth."""

from __future__ import annotations

import numpy as np
import pytest

from manabi.errors import InvalidInputError
from manabi.radiomics.stability_icc import FORMS, icc
from manabi.radiomics.stability_table import StabilityTable, classes

SHROUT_FLEISS = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float)
"""Table 2 of Shrout and Fleiss 1979: 6 targets by 4 judges."""


def by_hand(table, form):
    """ICC by plain loops over sums of squares, written independently of the library."""
    n, k = len(table), len(table[0])
    grand = sum(sum(row) for row in table) / (n * k)
    rows = [sum(row) / k for row in table]
    columns = [sum(row[j] for row in table) / n for j in range(k)]
    total = sum((x - grand) ** 2 for row in table for x in row)
    between = k * sum((m - grand) ** 2 for m in rows)
    judges = n * sum((m - grand) ** 2 for m in columns)
    error = (total - between - judges) / ((n - 1) * (k - 1))
    bms, wms, jms = between / (n - 1), (total - between) / (n * (k - 1)), judges / (k - 1)
    if form == "1,1":
        return (bms - wms) / (bms + (k - 1) * wms)
    if form == "3,1":
        return (bms - error) / (bms + (k - 1) * error)
    return (bms - error) / (bms + (k - 1) * error + k * (jms - error) / n)


@pytest.mark.parametrize(
    ("form", "value", "low", "high"),
    [("1,1", 0.17, -0.13, 0.72), ("2,1", 0.29, 0.02, 0.76), ("3,1", 0.71, 0.34, 0.95)],
)
def test_the_table_of_shrout_and_fleiss(form, value, low, high):
    """Values of the paper; its intervals as McGraw and Wong's formulas (and the R package psych) give them."""
    found = icc(SHROUT_FLEISS[:, :, None], form)
    assert found.value[0] == pytest.approx(value, abs=0.005)
    assert found.low[0] == pytest.approx(low, abs=0.006)
    assert found.high[0] == pytest.approx(high, abs=0.006)


@pytest.mark.parametrize("form", FORMS)
def test_many_features_equal_the_analysis_by_hand(form):
    rng = np.random.default_rng(0)
    scale = 10.0 ** rng.integers(-6, 7, 40)
    values = (rng.normal(size=(9, 1, 40)) + rng.normal(size=(9, 4, 40)) + rng.normal(size=(1, 4, 40))) * scale
    found = icc(values, form)
    expected = [by_hand(values[:, :, f].tolist(), form) for f in range(40)]
    np.testing.assert_allclose(found.value, expected, rtol=1e-9, atol=1e-12)
    assert (found.low < found.value).all() and (found.value < found.high).all()
    moved = icc(3.5 * values + 1000 * scale, form)
    np.testing.assert_allclose(moved.low, found.low, atol=1e-8)


@pytest.mark.parametrize("truth", [0.3, 0.8, 0.95])
@pytest.mark.parametrize("form", FORMS)
def test_intervals_cover_a_known_icc(form, truth):
    rng = np.random.default_rng(5)
    n, k, count = 25, 4, 3000
    judge = (1 - truth) / 10 if form == "2,1" else 0.0
    values = rng.normal(0, np.sqrt(truth), (n, 1, count)) + rng.normal(0, np.sqrt(judge), (1, k, count))
    values = values + rng.normal(0, np.sqrt(1 - truth - judge), (n, k, count))
    if form == "3,1":
        values = values + np.array([0.0, 5.0, -3.0, 9.0])[None, :, None]
    found = icc(values, form)
    coverage = np.mean((found.low <= truth) & (truth <= found.high))
    assert coverage == pytest.approx(0.95, abs=0.016)
    assert np.median(found.value) == pytest.approx(truth, abs=0.03)
    if form != "2,1":
        assert np.mean(found.within_sd**2) == pytest.approx(1 - truth, rel=0.02)


def test_few_conditions_that_differ_much_cost_the_approximate_interval_a_little():
    rng = np.random.default_rng(5)
    values = rng.normal(0, np.sqrt(0.8), (25, 1, 3000)) + rng.normal(0, np.sqrt(0.1), (1, 4, 3000))
    found = icc(values + rng.normal(0, np.sqrt(0.1), (25, 4, 3000)), "2,1")
    assert 0.89 < np.mean((found.low <= 0.8) & (found.high >= 0.8)) < 0.94


def test_bias_between_repeats_counts_only_where_it_should():
    rng = np.random.default_rng(1)
    values = rng.normal(size=(30, 1, 1)) + 0.1 * rng.normal(size=(30, 3, 1)) + np.array([0.0, 2.0, 4.0])[None, :, None]
    one, two, three = (icc(values, form).value[0] for form in FORMS)
    assert three > 0.97
    assert one < 0.5 and two < 0.5


def test_gaps_leave_out_the_patient_for_that_feature_only():
    rng = np.random.default_rng(2)
    values = rng.normal(size=(12, 1, 5)) + 0.3 * rng.normal(size=(12, 3, 5))
    holes = values.copy()
    holes[4, 1, 2] = np.nan
    holes[:10, 0, 3] = np.nan
    found, full = icc(holes), icc(values)
    assert found.n_patients.tolist() == [12, 12, 11, 2, 12]
    assert np.isnan(found.value[3]) and np.isnan(found.low[3])
    np.testing.assert_allclose(found.value[[0, 1, 4]], full.value[[0, 1, 4]])
    expected = by_hand(np.delete(values[:, :, 2], 4, axis=0).tolist(), "1,1")
    assert found.value[2] == pytest.approx(expected)


@pytest.mark.parametrize("form", FORMS)
def test_features_that_do_not_vary_and_perfect_ones(form):
    patients = np.linspace(1, 2, 8)
    values = np.stack([np.full((8, 3), 1e9 / 3), np.repeat(patients[:, None], 3, 1) * 7e5], axis=2)
    found = icc(values, form)
    assert np.isnan(found.value[0]) and found.within_sd[0] == 0
    assert found.value[1] == 1 and found.low[1] == 1 and found.high[1] == 1
    assert classes(found.low).tolist() == ["undefined", "excellent"]


def test_the_cohort_s_filter_takes_this_icc():
    from manabi.radiomics.cohort.filters import stability

    rng = np.random.default_rng(3)
    values = rng.normal(size=(20, 1, 50)) + rng.normal(size=(20, 4, 50)) * rng.uniform(0.05, 2, 50)
    values[3, 2, 7] = np.nan
    np.testing.assert_allclose(stability([f"f{n}" for n in range(50)], None, values), icc(values).value)


def test_classes_by_the_lower_end():
    low = np.array([-0.2, 0.4999, 0.5, 0.7499, 0.75, 0.8999, 0.9, 1.0, np.nan])
    expected = ["poor"] * 2 + ["moderate"] * 2 + ["good"] * 2 + ["excellent"] * 2 + ["undefined"]
    assert classes(low).tolist() == expected


def test_a_table_lists_features_and_counts_classes():
    rng = np.random.default_rng(4)
    spread = np.array([0.01, 0.2, 2.0])
    values = rng.normal(size=(40, 1, 3)) + rng.normal(size=(40, 5, 3)) * spread
    table = StabilityTable.of(("steady", "fair", "noise"), values, plan="simulated")
    assert table.classes[0] == "excellent" and table.classes[2] == "poor"
    assert sum(table.counts().values()) == 3
    assert table.repeatable(0.75) == ("steady", "fair")
    rows = table.table()
    assert rows.columns[:2] == ("feature", "icc_1_1")
    assert rows.column("within_sd")[0] == pytest.approx(0.01, rel=0.1)
    with pytest.raises(InvalidInputError, match="names"):
        StabilityTable.of(("one",), values)


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((5, 3), {}, "shape"),
        ((5, 1, 2), {}, "2 repeats"),
        ((5, 3, 0), {}, "shape"),
        ((5, 3, 2), {"form": "2,k"}, "1,1"),
        ((5, 3, 2), {"level": 1.0}, "level"),
    ],
)
def test_wrong_requests_are_refused(shape, options, message):
    with pytest.raises(InvalidInputError, match=message):
        icc(np.zeros(shape), **options)


def test_infinite_values_are_refused():
    values = np.ones((4, 3, 2))
    values[0, 0, 0] = np.inf
    with pytest.raises(InvalidInputError, match="infinite"):
        icc(values)
