"""Representative slices: which, in which order, what is said where markers are missing, and where they lie."""

from __future__ import annotations

import math
import subprocess
import sys
from itertools import permutations, product

import numpy as np
import pytest

from manabi.errors import InvalidInputError
from manabi.result import Table
from manabi.slices.report import slices_table
from manabi.slices.representative import (
    Plan,
    as_8bit,
    choice_notes,
    choose,
    chosen_of,
    planes_to_ras,
    representative_volume,
    stack_of,
)
from manabi.slices.stack import AxialStack
from manabi.volume import Volume

Z = 100.0 + 4.0 * np.arange(60)
LEVELS = {"apex": 308.0, "carina": 228.0, "diaphragm": 132.0}


def ct() -> Volume:
    matrix = np.diag([2.0, 2.5, 4.0, 1.0])
    matrix[:3, 3] = -20.0, -30.0, 100.0
    return Volume(np.random.default_rng(5).integers(-1000, 400, (60, 12, 10)).astype(np.int16), matrix, "CT", "HU")


@pytest.mark.parametrize(
    ("kind", "positions"),
    [
        ("3", [308, 228, 132]),
        ("5", [308, 268, 228, 180, 132]),
        ("9", [308, 288, 268, 248, 228, 204, 180, 156, 132]),
        ("count", [308, 264, 220, 176, 132]),
        ("spacing", [308, 258, 208, 158]),
    ],
)
def test_slices_lie_where_the_plan_says(kind, positions):
    chosen = choose(LEVELS, Z, Plan(kind, count=5, spacing_mm=50.0))
    assert [one.number for one in chosen] == list(range(1, len(positions) + 1))
    np.testing.assert_allclose([one.z_mm for one in chosen], positions, atol=2.0)
    np.testing.assert_array_equal(Z[[one.index for one in chosen]], [one.z_mm for one in chosen])
    assert choice_notes(LEVELS, Z, Plan(kind, 5, 50.0), chosen) == ()


def test_fractions_and_markers():
    chosen = choose(LEVELS, Z, Plan("5"))
    assert [one.marker for one in chosen] == ["apex", "", "carina", "", "diaphragm"]
    assert [one.fraction for one in chosen] == [0.0, 0.25, 0.5, 0.75, 1.0]


def test_a_marker_between_slices_keeps_its_name_and_whole_fraction():
    chosen = choose({**LEVELS, "carina": 229.4}, Z, Plan("3"))
    assert (chosen[1].z_mm, chosen[1].marker, chosen[1].fraction) == (228.0, "carina", 0.5)


@pytest.mark.parametrize(
    ("missing", "positions", "said"),
    [
        ("apex", [228, 180, 132], "the carina and the level above the diaphragm only, as the lung apex is missing"),
        ("diaphragm", [308, 268, 228], "lung apex and the carina only, as the level above the diaphragm is missing"),
        ("carina", [308, 220, 132], "lung apex and the level above the diaphragm only, as the carina is missing"),
    ],
)
def test_only_between_markers_that_are_in_the_image(missing, positions, said):
    levels = {name: z for name, z in LEVELS.items() if name != missing}
    chosen = choose(levels, Z, Plan("5"))
    assert [one.z_mm for one in chosen] == positions
    assert said in choice_notes(levels, Z, Plan("5"), chosen)[0]


def test_a_marker_beyond_the_image_is_missing():
    levels = {**LEVELS, "diaphragm": 97.0}
    assert [one.marker for one in choose(levels, Z, Plan("3"))] == ["apex", "carina"]
    assert choose({**LEVELS, "diaphragm": 98.5}, Z, Plan("3"))[-1].index == 0


@pytest.mark.parametrize("kind", ["3", "9", "count", "spacing"])
def test_one_marker_gives_one_slice_and_none_gives_none(kind):
    (only,) = choose({"carina": 228.0}, Z, Plan(kind))
    assert (only.marker, only.fraction) == ("carina", 0.5)
    assert "are at the carina only" in choice_notes({"carina": 228.0}, Z, Plan(kind), (only,))[0]
    assert choose({}, Z, Plan(kind)) == ()
    assert choice_notes({}, Z, Plan(kind), ())[0].startswith("No representative slices")


def test_slices_that_fall_together_are_taken_once_and_said():
    plan = Plan("count", count=200)
    chosen = choose(LEVELS, Z, plan)
    assert len(chosen) == len({one.index for one in chosen}) == 45
    assert "200 representative slices were asked for, but they fall on 45" in choice_notes(LEVELS, Z, plan, chosen)[0]


def test_markers_out_of_order_are_said_and_nothing_breaks():
    levels = {"apex": 150.0, "carina": 228.0, "diaphragm": 132.0}
    chosen = choose(levels, Z, Plan("5"))
    heights = [one.z_mm for one in chosen]
    assert heights == sorted(heights, reverse=True) and len(chosen) == 5
    assert all(math.isnan(one.fraction) for one in chosen if not one.marker)
    assert "not in their order" in choice_notes(levels, Z, Plan("5"), chosen)[0]


@pytest.mark.parametrize("wrong", [{"kind": "7"}, {"count": 0}, {"spacing_mm": 0.0}, {"spacing_mm": float("nan")}])
def test_plans_that_cannot_be_are_refused(wrong):
    with pytest.raises(InvalidInputError):
        Plan(**wrong)


TURNS = [(a, s) for a in permutations(range(3)) for s in product((1, -1), repeat=3)][::7]


@pytest.mark.parametrize(("axes", "signs"), TURNS)
def test_the_volume_keeps_exactly_the_chosen_slices_in_place(axes, signs):
    straight = ct()
    volume = straight.reoriented(axes, signs)
    stack = AxialStack.of(volume)
    chosen = choose(LEVELS, stack.z_mm, Plan("3"))
    out = representative_volume(volume, stack, chosen)
    assert out.grid.same_as(volume.grid, 1e-9) and out.array.dtype == volume.array.dtype
    expected = np.full(straight.shape, straight.array.min())
    expected[[52, 32, 8]] = straight.array[[52, 32, 8]]
    np.testing.assert_array_equal(out.reoriented().array, expected)


@pytest.mark.parametrize(("axes", "signs"), TURNS)
def test_planes_know_where_they_lie(axes, signs):
    straight = ct()
    stack = AxialStack.of(straight.reoriented(axes, signs))
    chosen = choose(LEVELS, stack.z_mm, Plan("3"))
    planes, places = stack_of(stack, chosen), planes_to_ras(stack, chosen)
    for plane, place, one in zip(planes, places, chosen, strict=True):
        i, j, _ = (int(v) for v in np.rint(straight.grid.ijk_of((place @ [2, 3, 0, 1])[:3])))
        assert plane[3, 2] == straight.array[one.index, j, i]
        assert place[0, 0] < 0 and place[1, 1] < 0, "columns to the patient's left, rows to the back"


def test_the_table_leads_back_to_the_slices():
    volume = ct().reoriented((0, 1, 2), (-1, -1, -1))
    stack = AxialStack.of(volume)
    chosen = choose(LEVELS, stack.z_mm, Plan("9"))
    table = slices_table(chosen, stack)
    assert table.column("slice")[0] == 7
    assert [(c.number, c.index, c.marker) for c in chosen_of(table, stack)] == [
        (c.number, c.index, c.marker) for c in chosen
    ]
    with pytest.raises(InvalidInputError, match="not one of this image"):
        chosen_of(table, AxialStack.of(ct()))
    with pytest.raises(InvalidInputError, match="columns"):
        chosen_of(Table(("a",), ((1,),)), stack)


def test_the_window_is_that_of_the_source():
    grey = as_8bit(np.array([-1000, -900, -550, -200, 400]))
    assert grey.dtype == np.uint8 and grey.tolist() == [0, 0, 128, 255, 255]
    assert as_8bit(np.array([0.0]), (0.0, 2.0)).tolist() == [128]
    with pytest.raises(InvalidInputError, match="width"):
        as_8bit(np.zeros(1), (0.0, 0.0))


def test_it_starts_without_heavy_imports():
    heavy = {"torch", "scipy", "skimage", "SimpleITK", "matplotlib", "highdicom"}
    code = f"import sys, manabi.slices.representative\nsys.exit(' '.join(sorted({heavy!r} & set(sys.modules))) or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
