"""The simulated pelvis: organs of the wanted volumes that touch and never overlap, truth that the image bears out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage

from manabi.context import Context
from manabi.errors import CancelledError, InvalidInputError
from manabi.phantoms.base import Case, case_rng
from manabi.phantoms.head_neck_render import TissueMaps
from manabi.phantoms.pelvis import PelvisPhantom
from manabi.phantoms.pelvis_parameters import PelvisParameters
from manabi.phantoms.pelvis_render import tissue_maps
from manabi.phantoms.pelvis_sampling import EMPTY_ML, LIMITS_ML, VOLUMES_ML
from manabi.phantoms.pelvis_scan import metal_runs
from manabi.phantoms.pelvis_tissues import BLADDER, BONE, FEMUR, METAL, ORGANS, PROSTATE, RECTUM, SEGMENTS, VESICLES

PHANTOM = PelvisPhantom()
SMALL: dict[str, Any] = {"pixel_mm": 3.0, "matrix": 132, "slice_mm": 4.0, "subslices": 1, "top_mm": 82.0,
                         "length_mm": 172.0, "couch": False, "tilt_deg": 0.0, "prosthesis": "none"}  # fmt: skip
TINY: dict[str, Any] = {**SMALL, "pixel_mm": 6.0, "matrix": 66, "slice_mm": 8.0, "length_mm": 104.0, "top_mm": 40.0}
CPU = torch.device("cpu")


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """Small tensors gain nothing from more threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def _parameters(index: int, **choices: Any) -> PelvisParameters:
    return PHANTOM.sample_parameters(case_rng(31, index), **{**SMALL, **choices})


def _maps(index: int, **choices: Any) -> TissueMaps:
    return tissue_maps(_parameters(index, **choices), CPU)


@pytest.fixture(scope="module")
def case() -> Case:
    """A patient with a half full bladder, gas and stool, read by two observers."""
    return PHANTOM.render(_parameters(0, bladder_ml=200.0, rectum_ml=80.0, gas=0.4, stool=0.6, readers=2,
        contrast_hu=0.0,
                                      bladder_contrast_hu=0.0, prostate_hu=40.0, vesicles_hu=35.0, seeds=0,
                                      calcifications=0, prostate_ml=45.0, vesicles_ml=11.0))  # fmt: skip


def _middle(case: Case, label: int) -> np.ndarray:
    """Centroid of a label of ``anatomy``, RAS mm."""
    volume = case.labelmaps["anatomy"].volume
    where = np.argwhere(volume.array == label)
    assert len(where), f"label {label} is missing"
    return np.asarray((volume.ijk_to_ras @ np.append(where.mean(axis=0)[::-1], 1.0))[:3])


def test_the_image_is_ct_and_all_maps_lie_on_its_grid(case: Case) -> None:
    volume = case.volumes["ct"]
    assert (volume.modality, volume.units) == ("CT", "HU") and volume.array.dtype == np.int16
    assert set(case.labelmaps) == {"organs", "anatomy", "contours_1", "contours_2"}
    assert all(volume.grid.same_as(labels.volume.grid) for labels in case.labelmaps.values())
    assert np.median(volume.array[:, :3, :3]) < -950 and volume.array.max() > 500


def test_organs_lie_where_they_belong(case: Case) -> None:
    at = {label: _middle(case, label) for label in (PROSTATE, VESICLES, BLADDER, RECTUM, BONE)}
    assert at[PROSTATE][2] < at[VESICLES][2] and at[PROSTATE][2] + 10 < at[BLADDER][2]
    assert at[RECTUM][1] + 15 < at[PROSTATE][1] and at[RECTUM][1] + 8 < at[VESICLES][1] < at[BLADDER][1] - 15
    assert all(abs(at[label][0] - at[PROSTATE][0]) < 9 for label in (VESICLES, BLADDER, RECTUM))


def test_organs_have_their_volumes_and_one_piece_each(case: Case) -> None:
    labels = case.labelmaps["organs"].volume.array
    wanted = {PROSTATE: 45.0, VESICLES: 11.0, BLADDER: 200.0, RECTUM: 80.0}
    for label, ml in wanted.items():
        measured = (labels == label).sum() * 3.0**2 * 4.0 / 1000
        assert measured == pytest.approx(ml, rel=0.2), label
        pieces = np.sort(np.bincount(ndimage.label(labels == label, np.ones((3, 3, 3)))[0].ravel())[1:])[::-1]
        assert pieces[: 2 if label == VESICLES else 1].sum() > 0.96 * pieces.sum(), label


def test_prostate_touches_bladder_and_vesicles_and_nearly_the_rectum(case: Case) -> None:
    labels = case.labelmaps["organs"].volume.array
    from_prostate = ndimage.distance_transform_edt(labels != PROSTATE, (4.0, 3.0, 3.0))
    assert from_prostate[labels == BLADDER].min() <= 4.0
    assert from_prostate[labels == VESICLES].min() <= 5.0
    assert from_prostate[labels == RECTUM].min() <= 6.0
    from_bladder = ndimage.distance_transform_edt(labels != BLADDER, (4.0, 3.0, 3.0))
    assert from_bladder[labels == VESICLES].min() <= 6.0


def test_truth_says_what_the_labels_and_the_image_say(case: Case) -> None:
    labels, ct = case.labelmaps["organs"].volume.array, case.volumes["ct"].array
    for label, name in (
        (PROSTATE, "prostate"),
        (BLADDER, "bladder"),
        (VESICLES, "seminal_vesicles"),
        (RECTUM, "rectum"),
    ):
        assert case.truth[f"{name}_ml"] == pytest.approx((labels == label).sum() * 0.036, abs=1e-3)
        assert case.truth[f"{name}_whole"] == 1
    inside = ndimage.binary_erosion(labels == BLADDER, iterations=2)
    hu = case.truth["bladder_hu"]
    assert isinstance(hu, float) and float(ct[inside].mean()) == pytest.approx(hu, abs=14)
    prostate, vesicles = case.truth["prostate_hu"], case.truth.get("seminal_vesicles_hu", 35.0)
    assert isinstance(prostate, float) and isinstance(vesicles, float)
    assert 1.0 < prostate - vesicles < 9.0


def test_observers_stray_by_millimetres_and_differ(case: Case) -> None:
    truth = case.labelmaps["organs"].volume.array
    first, second = (case.labelmaps[f"contours_{n}"].volume.array for n in (1, 2))
    assert not np.array_equal(first, second)
    for label, least in ((PROSTATE, 0.7), (VESICLES, 0.4), (BLADDER, 0.85), (RECTUM, 0.7)):
        for drawn in (first, second):
            dice = 2 * ((truth == label) & (drawn == label)).sum() / ((truth == label).sum() + (drawn == label).sum())
            assert least < dice < 0.999, label


def test_drawn_volumes_follow_the_literature() -> None:
    drawn = [_parameters(index).organs for index in range(300)]
    for name, (low, high) in VOLUMES_ML.items():
        values = np.array([getattr(organs, name) for organs in drawn])
        if name == "bladder_ml":
            empty = values < EMPTY_ML[1]
            assert 0.02 < empty.mean() < 0.15 and values.max() <= 500.0
            values = values[~empty]
        else:
            assert values.min() >= LIMITS_ML[name][0] and values.max() <= LIMITS_ML[name][1]
        five, median, most = np.percentile(values, (5, 50, 95))
        assert five == pytest.approx(low, rel=0.2) and most == pytest.approx(high, rel=0.2)
        assert median == pytest.approx(np.sqrt(low * high), rel=0.12)


@pytest.mark.parametrize(("index", "ml"), [(1, 30.0), (2, 90.0), (3, 480.0)])
def test_a_bladder_from_empty_to_full_keeps_its_volume_and_its_neighbours(index: int, ml: float) -> None:
    maps = _maps(index, bladder_ml=ml)
    count = {label: int((maps.label == label).sum()) * 0.036 for label in ORGANS}
    assert count[BLADDER] == pytest.approx(ml, rel=0.25)
    organs = _parameters(index, bladder_ml=ml).organs
    assert count[PROSTATE] == pytest.approx(organs.prostate_ml, rel=0.2)


def test_gas_rises_to_the_front_of_the_rectum() -> None:
    maps = _maps(4, gas=0.7, stool=0.0, rectum_ml=110.0)
    rectum = maps.label == RECTUM
    gas = rectum & (maps.hu < -500)
    assert int(gas.sum()) > 20
    rows = (
        torch.nonzero(gas)[:, 1].float().mean()
        - torch.nonzero(rectum & gas.any(dim=2, keepdim=True))[:, 1].float().mean()
    )
    assert float(rows) < 0  # rows run to the back
    assert not bool(((_maps(4, gas=0.0, rectum_ml=110.0).hu < -700) & rectum).any())


def test_contrast_medium_settles_at_the_back_of_the_bladder() -> None:
    maps = _maps(5, bladder_contrast_hu=200.0, layered=True, bladder_ml=250.0, contrast_hu=0.0)
    inside = maps.iodine > 0.5
    assert bool((maps.label[inside & (maps.iodine > 30)] == BLADDER).all())
    rows = torch.nonzero(inside)[:, 1]
    middle = rows.float().median()
    values = maps.iodine[inside]
    assert float(values[rows > middle + 3].mean()) > 2 * float(values[rows < middle - 3].mean())


def test_seeds_are_gold_of_their_own_mass_and_stay_prostate() -> None:
    with_, without = (_maps(6, seeds=n) for n in (4, 0))
    assert set(with_.metal) == {"gold"} and not without.metal
    ml = float(with_.metal["gold"].sum()) * 0.036
    assert ml == pytest.approx(4 * np.pi * 0.055**2 * 0.4, rel=0.3)
    assert torch.equal(with_.label, without.label)
    assert bool((with_.label[with_.metal["gold"] > 0.02] == PROSTATE).all())


def test_an_artificial_hip_replaces_the_head_on_its_side_and_streaks() -> None:
    maps = {side: _maps(7, prosthesis=side) for side in ("none", "right", "left")}
    places = torch.linspace(-1, 1, 132)
    for side, sign in (("right", -1), ("left", 1)):  # columns run to the left
        metal = maps[side].label == METAL
        assert int(metal.sum()) > 100
        assert float((places * metal.any(dim=0).any(dim=0))[metal.any(dim=0).any(dim=0)].mean()) * sign > 0
        changed = maps[side].label != maps["none"].label
        assert not bool((changed & torch.isin(maps["none"].label, torch.tensor(ORGANS))).any())
        assert int((maps[side].label == FEMUR).sum()) < int((maps["none"].label == FEMUR).sum())
    assert metal_runs(maps["none"], 1) == []
    ((start, stop),) = metal_runs(maps["left"], 1)
    assert 0 <= start < stop <= maps["left"].hu.shape[0]


def test_streaks_of_an_artificial_hip_reach_other_tissue() -> None:
    cut = {"top_mm": 8.0, "length_mm": 8.0, "noise_hu": 0.0}
    plain, metal = (PHANTOM.render(_parameters(8, prosthesis=side, **cut)) for side in ("none", "right"))
    same = plain.labelmaps["anatomy"].volume.array == metal.labelmaps["anatomy"].volume.array
    inside = same & (plain.labelmaps["anatomy"].volume.array > 0)
    step = np.abs(metal.volumes["ct"].array.astype(float) - plain.volumes["ct"].array)[inside]
    assert np.percentile(step, 90) > 15.0
    assert metal.truth["prosthesis"] == "right"


def test_thick_slices_average_several_planes_and_keep_volumes() -> None:
    thin, thick = (_maps(9, slice_mm=s, subslices=n) for s, n in ((2.0, 1), (6.0, 3)))
    for label in (PROSTATE, BLADDER, RECTUM):
        first, second = int((thin.label == label).sum()) * 2.0, int((thick.label == label).sum()) * 6.0
        assert second == pytest.approx(first, rel=0.08)


def test_a_narrow_field_of_view_is_said_to_be_truncated() -> None:
    cut = {"top_mm": 0.0, "length_mm": 8.0}
    wide, narrow = (PHANTOM.render(_parameters(10, matrix=n, **cut)) for n in (150, 80))
    assert (wide.truth["truncated"], narrow.truth["truncated"]) == (0, 1)
    assert wide.truth["prostate_whole"] == 0


def test_a_patient_is_rebuilt_from_json_and_another_one_differs() -> None:
    first, second = _parameters(11, **TINY), _parameters(12, **TINY)
    again = PHANTOM.from_json(PHANTOM.to_json(first))
    assert again == first and first.organs != second.organs
    cases = PHANTOM.render_batch([first, second])
    alone = PHANTOM.render(again)
    assert np.array_equal(cases[0].volumes["ct"].array, alone.volumes["ct"].array) and cases[0].truth == alone.truth
    assert (cases[0].labelmaps["anatomy"].volume.array != cases[1].labelmaps["anatomy"].volume.array).mean() > 0.02


def test_a_choice_changes_only_what_it_names() -> None:
    base = _parameters(13)
    for choices in ({"prosthesis": "left"}, {"readers": 3}, {"slice_mm": 5.0}, {"bladder_contrast": True}):
        chosen = _parameters(13, **choices)
        assert (base.build, base.organs, base.setup) == (chosen.build, chosen.organs, chosen.setup)
        assert (base.texture_seed, base.noise_seed) == (chosen.texture_seed, chosen.noise_seed)
    assert _parameters(13, empty_bladder=True).organs.bladder_ml < EMPTY_ML[1]


REFUSED: tuple[dict[str, Any], ...] = (
    {"head": 3}, {"prosthesis": "knee"}, {"alloy": "water"}, {"pixel_mm": 0.0}, {"bladder_ml": 900.0}, {"subslices": 2},
    {"length_mm": 1.0}, {"seeds": -1}, {"prostate_ml": 900.0},
)  # fmt: skip


@pytest.mark.parametrize("choices", REFUSED)
def test_unknown_choices_are_refused(choices: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError):
        _parameters(0, **choices)


def test_rendering_can_be_cancelled() -> None:
    context = Context()
    context.cancel.set()
    with pytest.raises(CancelledError):
        PHANTOM.render(_parameters(0), context)


def test_labels_are_listed_and_all_are_present(case: Case) -> None:
    present = set(np.unique(case.labelmaps["anatomy"].volume.array).tolist()) - {0}
    assert present == {segment.label for segment in SEGMENTS} - {METAL}
