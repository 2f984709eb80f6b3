"""Peaks of a heat map, the part of the lungs they lie in, and the slider from strict to sensitive."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import asdict, replace

import numpy as np
import pytest
from fixtures_nodule import POINTS, chest, curve

from manabi.errors import CorruptModelError, InvalidInputError
from manabi.nodule import operating
from manabi.nodule.lung_mask import lung_field_parts
from manabi.nodule.marks import CLEAR, DOME, HEART, OUTSIDE, WALL, Peak, find_peaks, lungs_found, place_of
from manabi.nodule.operating import MARK_COLUMNS, Curve, Point
from manabi.result import Result, Table


def bump(rows: int, columns: int, row: float, column: float, sigma: float, height: float) -> np.ndarray:
    r, c = np.indices((rows, columns))
    return height * np.exp(-((r - row) ** 2 + (c - column) ** 2) / (2 * sigma**2))


# --- peaks ------------------------------------------------------------------------------------------------------------


def test_peaks_are_found_where_they_are_highest_first():
    heat = bump(80, 90, 20, 30, 3, 0.5) + bump(80, 90, 60, 70, 3, 0.9)
    peaks = find_peaks(heat)
    assert [(p.row, p.column) for p in peaks] == [(60, 70), (20, 30)]
    assert [p.score for p in peaks] == pytest.approx([0.9, 0.5], abs=1e-6)


def test_the_diameter_is_that_of_the_half_height():
    sigma = 5.0
    (peak,) = find_peaks(bump(80, 90, 40, 40, sigma, 0.8))
    assert peak.diameter_px == pytest.approx(2.355 * sigma, rel=0.05)


def test_of_two_close_peaks_the_higher_stands():
    heat = np.maximum(bump(60, 60, 30, 27, 1.2, 0.7), bump(60, 60, 30, 32, 1.2, 0.8))
    assert [(p.row, p.column) for p in find_peaks(heat, peak_distance=6)] == [(30, 32)]
    assert len(find_peaks(heat, peak_distance=3)) == 2


def test_low_and_flat_maps_have_no_peaks_but_a_plateau_has_one():
    assert find_peaks(np.full((40, 40), 0.01)) == []
    flat = np.zeros((40, 40))
    flat[10:14, 20:24] = 0.6
    (peak,) = find_peaks(flat)
    assert (peak.row, peak.column) == (11.5, 21.5)


# --- places -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lungs():
    return lung_field_parts(chest())


@pytest.mark.parametrize(
    ("row", "column", "lung", "zone", "location"),
    [
        (55, 75, "right", "upper", CLEAR),
        (110, 70, "right", "middle", CLEAR),
        (165, 65, "right", "lower", CLEAR),
        (160, 155, "left", "lower", HEART),
        (186, 60, "right", "lower", DOME),
        (100, 190, "left", "middle", CLEAR),
        (240, 128, "", "", OUTSIDE),
    ],
)
def test_the_part_of_the_lungs_is_named(lungs, row, column, lung, zone, location):
    place = place_of(Peak(row, column, 0.5, 5.0), lungs)
    assert (place.lung, place.zone, place.location) == (lung, zone, location)


def test_hidden_lung_beside_the_chest_wall_is_not_called_heart(lungs):
    row = 120
    columns = np.flatnonzero(lungs.clear[row] == 1)
    narrow = replace(lungs, clear=np.where(np.arange(256)[None] < columns[0] + 4, 0, lungs.clear))
    assert place_of(Peak(row, columns[0] + 1, 0.5, 5.0), narrow).location == WALL
    medial = replace(lungs, clear=np.where(np.arange(256)[None] > columns[-1] - 4, 0, lungs.clear))
    assert place_of(Peak(row, columns[-1] - 1, 0.5, 5.0), medial).location == HEART


def test_a_margin_lets_the_pleura_belong_to_the_lung(lungs):
    row = 110
    edge = int(np.flatnonzero(lungs.whole[row])[0])
    peak = Peak(row, edge - 3, 0.5, 5.0)
    assert place_of(peak, lungs).lung == ""
    assert place_of(peak, lungs, margin_px=4.0).lung == "right"


def test_which_lungs_were_found(lungs):
    assert lungs_found(lungs) == "both"
    assert lungs_found(replace(lungs, clear=np.where(lungs.clear == 1, 0, lungs.clear))) == "left"
    assert lungs_found(replace(lungs, fit=replace(lungs.fit, score=0.3))) == "none"


# --- the slider -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("point", POINTS)
def test_the_curve_goes_through_its_points(point):
    one = curve()
    assert one.threshold(point[0]) == pytest.approx(point[1])
    assert one.sensitivity(point[0]) == pytest.approx(point[2])


def test_between_points_the_logarithm_counts():
    assert curve().threshold(math.sqrt(0.2 * 1.0)) == pytest.approx(0.55)
    assert curve().threshold(0.01) == 0.9
    assert curve().threshold(50.0) == 0.1


def test_the_strictest_setting_of_a_score_shows_it_and_a_stricter_one_does_not():
    one = curve()
    for score in np.linspace(0.11, 0.89, 27):
        setting = one.false_positives(float(score))
        assert score >= one.threshold(setting)
        assert setting == 0.05 or score < one.threshold(0.98 * setting)
    assert one.false_positives(0.95) == 0.05
    assert one.false_positives(0.05) == math.inf


@pytest.mark.parametrize(
    "points",
    [[], [Point(0.2, 0.5)], [Point(0.2, 0.5), Point(0.1, 0.4)], [Point(0.2, 0.5), Point(1.0, 0.6)],
     [Point(0.0, 0.5), Point(1.0, 0.3)]],
)  # fmt: skip
def test_points_out_of_order_are_refused(points):
    with pytest.raises(CorruptModelError, match="Operating points"):
        Curve.checked(points)


def test_a_bundle_without_points_is_refused():
    for facts in ({}, {"operating_points": [{"threshold": 1.0}]}, {"operating_points": 3}):
        with pytest.raises(CorruptModelError):
            Curve.of(facts)


def searched(scores=(0.95, 0.65, 0.3, 0.12)) -> Result:
    one = curve()
    rows = tuple(
        (n, s, round(one.false_positives(s), 4), -10.0 * n, -20.0, 0.0, "right", "upper", CLEAR, None)
        for n, s in enumerate(scores, start=1)
    )
    candidates = Table(MARK_COLUMNS, rows)
    shown = operating.marks_at(candidates, one, 0.2)
    return Result(
        landmarks=operating.landmarks(shown),
        tables={"marks": shown, "candidates": candidates, "operating_points": one.table()},
        measurements={**operating.point_cells(one, 0.2, shown), "image_score": 0.95},
    )


@pytest.mark.parametrize(("setting", "numbers"), [(0.05, [1]), (0.3, [1, 2]), (2.0, [1, 2, 3]), (4.0, [1, 2, 3, 4])])
def test_the_slider_shows_more_or_fewer_marks_whose_numbers_stay(setting, numbers):
    first = searched()
    moved = operating.at(first, setting)
    assert moved.tables["marks"].column("number") == numbers
    assert list(moved.landmarks) == [f"mark_{n}" for n in numbers]
    assert moved.measurements["marks"] == len(numbers)
    assert moved.measurements["threshold"] == pytest.approx(curve().threshold(setting), abs=1e-6)
    assert moved.measurements["image_score"] == 0.95
    assert first.tables["marks"].column("number") == [1]
    assert operating.at(moved, 0.2).tables == first.tables


def test_a_candidates_own_setting_is_where_the_slider_shows_it():
    first = searched()
    for row in first.tables["candidates"].rows:
        shown = operating.at(first, min(max(row[2] * 1.001, 0.05), 4.0)).tables["marks"].column("number")
        assert row[0] in shown
        if row[2] > 0.06:
            assert row[0] not in operating.at(first, row[2] * 0.99).tables["marks"].column("number")


def test_settings_off_the_slider_and_other_results_are_refused():
    with pytest.raises(InvalidInputError, match=r"0\.05 and 4\.0"):
        operating.at(searched(), 9.0)
    with pytest.raises(InvalidInputError, match="search for nodules"):
        operating.at(Result(tables={}), 0.2)


def test_the_slider_needs_no_torch():
    code = (
        "import json, sys; sys.modules['torch'] = None; sys.modules['scipy'] = None; "
        "from manabi.nodule.operating import Curve; "
        "print(Curve.of(json.loads(sys.argv[1])).threshold(0.3))"
    )
    facts = json.dumps({"operating_points": [asdict(point) for point in curve().points]})
    ran = subprocess.run([sys.executable, "-c", code, facts], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert float(ran.stdout) == curve().threshold(0.3)
