"""The simulated chest: truth agrees with what is drawn, sides are right, cases rebuild from their JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage

from manabi.context import Context
from manabi.errors import CancelledError, InvalidInputError
from manabi.phantoms.base import Case, case_rng
from manabi.phantoms.thorax import MARKERS, ThoraxPhantom
from manabi.phantoms.thorax_render import DIAPHRAGM_OFFSET_MM, crossings

PHANTOM = ThoraxPhantom()
SMALL = {"matrix": 112, "pixel_mm": 3.6, "slice_mm": 4.0, "top_mm": 30.0, "bottom_mm": 24.0, "subslices": 1}


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """Small tensors gain nothing from more threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def _case(index: int, **choices: object) -> Case:
    return PHANTOM.render(PHANTOM.sample_parameters(case_rng(41, index), **{**SMALL, **choices}))


@pytest.fixture(scope="module")
def chests() -> list[Case]:
    """Three normal chests and a diseased one."""
    kinds = ("normal", "normal", "normal", "uip")
    return [_case(index, pathology=kind) for index, kind in enumerate(kinds)]


def _number(case: Case, name: str) -> float:
    value = case.truth[name]
    assert isinstance(value, (int, float))
    return value


def _lungs(case: Case) -> np.ndarray:
    labels = case.labelmaps["anatomy"].volume.array
    return (labels == 1) | (labels == 2)


def test_highest_and_lowest_lung_lie_where_the_truth_says(chests: list[Case]) -> None:
    for case in chests:
        volume = case.volumes["ct"]
        there = np.flatnonzero(_lungs(case).sum(axis=(1, 2)) * 3.6**2 > 50)
        z = volume.ijk_to_ras[2, 3] + 4.0 * there
        assert abs(z[-1] - _number(case, "apex_mm")) <= 5.0
        assert abs(z[0] - _number(case, "lowest_lung_mm")) <= 9.0  # a recess thinner than a pixel has no label
        assert _number(case, "diaphragm_mm") == pytest.approx(_number(case, "lowest_lung_mm") + DIAPHRAGM_OFFSET_MM)


def test_trachea_is_one_above_the_carina_and_two_below() -> None:
    case = _case(0, pathology="normal", matrix=160, slice_mm=2.0, pixel_mm=1.6, turn_deg=0.0, place_mm=(0, 0, 0))
    lumen = case.labelmaps["anatomy"].volume.array == 3
    k, middle = int(_number(case, "carina_slice")), lumen.shape[2] // 2
    near = lumen[:, :, middle - 14 : middle + 15]
    for above, expected in ((4, 1), (-4, 2)):
        found, count = ndimage.label(near[k + above])
        sizes = ndimage.sum(near[k + above], found, range(1, count + 1)) * 1.6**2
        assert (sizes > 40).sum() == expected


def test_markers_follow_from_head_to_feet_and_their_slices_are_the_nearest(chests: list[Case]) -> None:
    for case in chests:
        heights = [_number(case, f"{name}_mm") for name in MARKERS]
        assert heights == sorted(heights, reverse=True)
        matrix = case.volumes["ct"].ijk_to_ras
        for name, height in zip(MARKERS, heights, strict=True):
            assert abs(matrix[2, 3] + 4.0 * _number(case, f"{name}_slice") - height) <= 2.0 + 1e-3


def test_right_lung_is_on_the_right_and_the_heart_on_the_left(chests: list[Case]) -> None:
    share = []
    for case in chests[:3]:
        volume = case.labelmaps["anatomy"].volume
        for label, sign in ((1, 1.0), (2, -1.0)):
            i = np.nonzero(volume.array == label)[2].mean()
            other = np.nonzero(volume.array == 3 - label)[2].mean()
            assert sign * (volume.ijk_to_ras @ [i - other, 0, 0, 0])[0] > 60
        low = int(_number(case, "diaphragm_slice"))
        block = volume.array[low + 8 : low + 14]
        share.append((block == 1).sum() / (block == 2).sum())
    assert np.mean(share) > 1.05  # the heart takes room from the left lung


def test_densities_are_those_of_a_ct(chests: list[Case]) -> None:
    hu = chests[0].volumes["ct"].array
    assert hu.dtype == np.int16
    assert -930 < np.median(hu[_lungs(chests[0])]) < -700
    body = hu[(hu > -300) & (hu < 250)]
    assert ((body > 10) & (body < 110)).mean() > 0.3
    assert np.percentile(hu[:, 0], 50) < -900
    assert (hu > 350).mean() > 0.002


def test_case_rebuilds_from_its_json() -> None:
    drawn = PHANTOM.sample_parameters(case_rng(3, 0), **SMALL)
    again = PHANTOM.from_json(PHANTOM.to_json(drawn))
    assert again == drawn
    first, second = PHANTOM.render_batch([drawn, again])
    assert np.array_equal(first.volumes["ct"].array, second.volumes["ct"].array)
    assert first.truth == second.truth


def test_a_case_does_not_depend_on_its_neighbours() -> None:
    one, two = (PHANTOM.sample_parameters(case_rng(5, i), **SMALL) for i in range(2))
    together = PHANTOM.render_batch([one, two])[1]
    assert np.array_equal(together.volumes["ct"].array, PHANTOM.render(two).volumes["ct"].array)


@pytest.mark.parametrize(("choice", "lost"), [("top_mm", ("apex",)), ("bottom_mm", ("diaphragm",))])
def test_truncated_image_loses_a_marker_but_not_its_truth(choice: str, lost: tuple[str, ...]) -> None:
    whole, cut = (_case(1, **extra) for extra in ({}, {choice: -50.0}))
    for name in MARKERS:
        assert _number(cut, f"{name}_mm") == pytest.approx(_number(whole, f"{name}_mm"), abs=2.5)
        assert (cut.truth[f"{name}_slice"] is None) == (name in lost)
        assert (cut.truth[f"read_{name}_slice"] is None) == (name in lost)
    assert cut.volumes["ct"].shape[0] < whole.volumes["ct"].shape[0]


def test_raised_dome_raises_the_diaphragm_or_leaves_it_to_the_other_side() -> None:
    drawn = PHANTOM.sample_parameters(case_rng(8, 0), **SMALL, pathology="normal", raised=0.0)
    both = replace(drawn, disease=replace(drawn.disease, volume_loss=0.25))
    low, high = PHANTOM.render_batch([drawn, both])
    lift = _number(high, "diaphragm_mm") - _number(low, "diaphragm_mm")
    assert 15 < lift < 60
    assert _number(high, "carina_mm") == _number(low, "carina_mm")


def test_truth_is_that_of_the_aerated_lung() -> None:
    behind = {"front_recess": 0.29, "rear_recess": 0.1}  # the lowest lung is where the fluid gathers
    clear, wet = (_case(2, pathology=kind, severity=1.0, side="both", volume_loss=0.0, raised=0.0, **behind)
                  for kind in ("normal", "effusion"))  # fmt: skip
    assert _number(wet, "lowest_lung_mm") > _number(clear, "lowest_lung_mm") + 4


def test_finer_grid_gives_the_same_levels() -> None:
    coarse = _case(3, pathology="normal")
    fine = _case(3, pathology="normal", pixel_mm=2.4, matrix=168, slice_mm=2.5)
    for name in MARKERS:
        assert _number(fine, f"{name}_mm") == pytest.approx(_number(coarse, f"{name}_mm"), abs=2.5)


def test_crossings_interpolate_the_area() -> None:
    z = torch.tensor([0.0, 4.0, 8.0, 12.0])
    top, bottom = crossings(z, torch.tensor([0.0, 100.0, 150.0, 0.0]))
    assert (top, bottom) == (pytest.approx(8 + 4 * 100 / 150), pytest.approx(2.0))
    with pytest.raises(InvalidInputError, match="no aerated lung"):
        crossings(z, torch.zeros(4))


def test_image_of_nothing_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="fewer than two slices"):
        _case(0, top_mm=-400.0)


def test_rendering_can_be_cancelled() -> None:
    context = Context()
    context.cancel.set()
    with pytest.raises(CancelledError):
        PHANTOM.render(PHANTOM.sample_parameters(case_rng(0, 0), **SMALL), context)
