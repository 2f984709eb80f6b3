"""The simulated head and neck: anatomy in its place, truth that the images bear out, switches that change one thing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from manabi.context import Context
from manabi.errors import CancelledError, InvalidInputError
from manabi.phantoms.base import Case, case_rng
from manabi.phantoms.head_neck import HeadNeckPhantom
from manabi.phantoms.head_neck_canvas import Canvas
from manabi.phantoms.head_neck_lesion import SITES, body_of
from manabi.phantoms.head_neck_parameters import HeadNeckParameters, Lesion
from manabi.phantoms.head_neck_render import TissueMaps, paint, tissue_maps
from manabi.phantoms.head_neck_scan import painted
from manabi.phantoms.head_neck_tissues import (
    AIRWAY,
    BONE,
    BRAIN,
    CORD,
    EYE,
    FAT,
    LESION,
    LUNG,
    MANDIBLE,
    METAL,
    MUSCLE,
    OESOPHAGUS,
    PAROTID,
    SEGMENTS,
    SOFT,
    TEETH,
    THYROID,
    VERTEBRA,
    VESSEL,
)  # fmt: skip

PHANTOM = HeadNeckPhantom()
SMALL: dict[str, Any] = {"matrix": 104, "pixel_mm": 3.6, "slice_mm": 5.0, "subslices": 1, "fast": True}
TINY: dict[str, Any] = {"matrix": 64, "pixel_mm": 6.0, "slice_mm": 8.0, "top_mm": 20.0, "length_mm": 90.0}
CPU = torch.device("cpu")


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """Small tensors gain nothing from more threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def _parameters(index: int, **choices: Any) -> HeadNeckParameters:
    return PHANTOM.sample_parameters(case_rng(23, index), **{**SMALL, **choices})


def _maps(index: int, **choices: Any) -> TissueMaps:
    return tissue_maps(_parameters(index, **choices), CPU)


@pytest.fixture(scope="module")
def case() -> Case:
    """A patient with teeth, without a lesion, with contrast medium."""
    return PHANTOM.render(_parameters(0, lesion="none", contrast=True, upper="t" * 14, lower="t" * 14, length_mm=370.0))


PLAIN: dict[str, Any] = {"extend_deg": 5.0, "turn_deg": 0.0, "tilt_deg": 0.0, "place_mm": (0.0, -10.0, 0.0)}


@pytest.fixture(scope="module")
def canvas() -> Canvas:
    """A patient without a lesion, in smaller voxels."""
    return paint(_parameters(3, matrix=128, pixel_mm=2.6, slice_mm=3.5, length_mm=380.0, lesion="none", **PLAIN), CPU)


def _number(case: Case, name: str) -> float:
    value = case.truth[name]
    assert isinstance(value, (int, float))
    return value


def _middle(case: Case, label: int) -> np.ndarray:
    """Centroid of a label, RAS mm."""
    volume = case.labelmaps["anatomy"].volume
    where = np.argwhere(volume.array == label)
    assert len(where), f"label {label} is missing"
    return (volume.ijk_to_ras @ np.append(where.mean(axis=0)[::-1], 1.0))[:3]


def test_both_scans_and_the_labels_lie_on_one_grid_and_are_ct(case: Case) -> None:
    pair = PHANTOM.pair(_parameters(0))
    assert pair == ("mvct", "kvct") and set(case.volumes) == set(pair)
    for volume in case.volumes.values():
        assert (volume.modality, volume.units) == ("CT", "HU") and volume.array.dtype == np.int16
        assert volume.grid.same_as(case.labelmaps["anatomy"].volume.grid)
    kv = case.volumes["kvct"].array
    assert np.median(kv[:, :4, :4]) < -950 and kv.max() > 1500


def test_organs_lie_where_they_belong(case: Case) -> None:
    at = {label: _middle(case, label) for label in
          (BRAIN, EYE, TEETH, MANDIBLE, CORD, VERTEBRA, PAROTID, THYROID, OESOPHAGUS, AIRWAY, LUNG)}  # fmt: skip
    heights = [at[label][2] for label in (BRAIN, EYE, TEETH, MANDIBLE, THYROID, LUNG)]
    assert heights == sorted(heights, reverse=True)
    assert at[EYE][1] > at[BRAIN][1] + 40 and at[TEETH][1] > at[PAROTID][1] + 30
    assert at[CORD][1] < at[VERTEBRA][1] + 5 and at[OESOPHAGUS][1] < at[THYROID][1]
    assert all(abs(at[label][0] - at[BRAIN][0]) < 12 for label in (EYE, TEETH, MANDIBLE, PAROTID))


def test_organs_have_the_size_of_adults(case: Case) -> None:
    labels = case.labelmaps["anatomy"].volume.array
    ml = np.bincount(labels.ravel(), minlength=32) * 3.6**2 * 5.0 / 1000
    assert 1100 < ml[BRAIN] < 1850 and 30 < ml[PAROTID] < 130 and 25 < ml[MANDIBLE] < 130
    assert 5 < ml[THYROID] < 45 and 6 < ml[EYE] < 24 and 500 < ml[BONE] < 1800


def test_the_cord_is_inside_the_canal_all_the_way(canvas: Canvas) -> None:
    cord, bone = canvas.label == CORD, (canvas.label == VERTEBRA) | (canvas.label == BONE)
    levels = torch.nonzero(cord.any(dim=2).any(dim=1))[:, 0].tolist()
    assert len(levels) > 30
    assert levels == list(range(levels[0], levels[-1] + 1))
    for k in levels[3:-3]:
        rows, columns = torch.nonzero(cord[k], as_tuple=True)
        j, i = int(rows.float().mean()), int(columns.float().mean())
        assert not bool(bone[k, j, i])
        assert bool(bone[k - 2 : k + 3, :j].any(dim=0)[:, i - 3 : i + 4].any())  # a vertebra in front of it


def test_the_airway_is_open_from_nose_to_chest(canvas: Canvas) -> None:
    from scipy import ndimage

    found, _ = ndimage.label((canvas.label == AIRWAY).numpy())
    sizes = np.bincount(found.ravel())[1:]
    longest = found == 1 + int(sizes.argmax())
    levels = np.flatnonzero(longest.any(axis=(1, 2)))
    assert (levels[-1] - levels[0]) * 3.5 > 200


def test_truth_is_what_both_scans_show_in_the_mean(case: Case) -> None:
    labels = case.labelmaps["anatomy"].volume.array
    for name, label in (("brain", BRAIN), ("muscle", MUSCLE), ("vertebrae", VERTEBRA)):
        if label == VERTEBRA:
            continue  # thin cortex: blurred by both scanners
        inside = labels == label
        for axis in (1, 2):
            inside = inside & np.roll(inside, 1, axis) & np.roll(inside, -1, axis)
        for image in ("mvct", "kvct"):
            measured = float(case.volumes[image].array[inside].mean())
            assert measured == pytest.approx(_number(case, f"{image}_{name}_hu"), abs=30)


def test_megavoltage_shows_less_bone_no_iodine_and_more_noise(case: Case) -> None:
    assert _number(case, "mvct_mandible_hu") < 0.7 * _number(case, "kvct_mandible_hu")
    assert _number(case, "kvct_fat_hu") == pytest.approx(-100, abs=12)
    assert -90 < _number(case, "mvct_fat_hu") < -50
    assert _number(case, "kvct_muscle_hu") == pytest.approx(62, abs=15)
    assert _number(case, "kvct_thyroid_gland_hu") > _number(case, "mvct_thyroid_gland_hu") + 50
    brain = case.labelmaps["anatomy"].volume.array == BRAIN
    noise = {}
    for name, volume in case.volumes.items():
        step = np.diff(volume.array.astype(float), axis=2)[brain[:, :, 1:] & brain[:, :, :-1]]
        noise[name] = 1.4826 * float(np.median(np.abs(step)))
    assert noise["mvct"] > 1.5 * noise["kvct"]


def test_a_lesion_changes_its_own_place_and_nothing_else() -> None:
    cut = {"place": "level_ii", "diameter_mm": 22.0, "contrast_hu": 60.0, "top_mm": -20.0, "length_mm": 90.0}
    plain, other = (PHANTOM.render(_parameters(1, lesion=kind, **cut)) for kind in ("none", "bright"))
    changed = plain.labelmaps["anatomy"].volume.array != other.labelmaps["anatomy"].volume.array
    lesion = other.labelmaps["anatomy"].volume.array == LESION
    assert lesion.sum() > 50 and not changed[~lesion].any()
    centre = np.array([_number(other, f"lesion_{axis}_mm") for axis in "ras"])
    where = np.argwhere(lesion).mean(axis=0)[::-1]
    assert (other.volumes["kvct"].ijk_to_ras @ np.append(where, 1))[:3] == pytest.approx(centre, abs=0.01)
    assert _number(other, "lesion_ml") == pytest.approx(4 / 3 * np.pi * 1.1**3, rel=0.25)
    far = np.linalg.norm((np.argwhere(np.ones_like(lesion)) - where[::-1]) * (5, 3.6, 3.6), axis=1).reshape(
        lesion.shape
    )
    for name in ("mvct", "kvct"):
        step = other.volumes[name].array.astype(float) - plain.volumes[name].array
        assert np.abs(step[far > 40]).mean() < 3.0
        assert step[far < 6].mean() > 15.0


@pytest.mark.parametrize("name", sorted(SITES))
def test_every_site_of_a_lesion_lies_in_tissue_of_its_kind(name: str, canvas: Canvas) -> None:
    lesion = body_of(Lesion("bone" if SITES[name].bone else "bright", name, 12.0, 30.0, shape_seed=5))
    inside = lesion.depth(canvas.points) > 0
    assert float(inside.sum()) * 2.6**2 * 3.5 == pytest.approx(np.pi / 6 * 12**3, rel=0.35)
    hu, bone = canvas.hu[inside], torch.isin(canvas.label[inside], torch.tensor([BONE, MANDIBLE, VERTEBRA]))
    if SITES[name].bone:
        assert float(bone.float().mean()) > 0.4
    else:
        assert float(bone.float().mean()) < 0.2 and float((hu < -300).float().mean()) < 0.5


def test_a_lesion_is_painted_over_the_same_patient() -> None:
    cut = {"top_mm": -10.0, "length_mm": 60.0, "place": "tongue", "diameter_mm": 18.0, **PLAIN}
    plain, dark = (_maps(3, lesion=kind, **cut) for kind in ("none", "dark"))
    lesion = dark.label == LESION
    near = torch.nn.functional.max_pool3d(lesion[None].float(), 3, 1, 1)[0] > 0
    assert int(lesion.sum()) > 20
    assert torch.equal(plain.hu[~near], dark.hu[~near]) and torch.equal(plain.label[~lesion], dark.label[~lesion])
    assert float(dark.hu[lesion].mean()) < float(plain.hu[lesion].mean()) - 10


def test_contrast_medium_brightens_vessels_in_the_planning_ct_only() -> None:
    cut = {"top_mm": -60.0, "length_mm": 60.0, "lesion": "none", "fast": True}
    without, with_ = (PHANTOM.render(_parameters(2, contrast=on, **cut)) for on in (False, True))
    assert np.array_equal(without.volumes["mvct"].array, with_.volumes["mvct"].array)
    vessels = without.labelmaps["anatomy"].volume.array == VESSEL
    gain = with_.volumes["kvct"].array[vessels].mean() - without.volumes["kvct"].array[vessels].mean()
    assert gain > 0.4 * _number(with_, "contrast_hu") > 40
    assert without.truth["contrast_hu"] == 0.0


def test_metal_can_be_taken_out_of_the_same_patient() -> None:
    cut = {
        "lesion": "none",
        "top_mm": 10.0,
        "length_mm": 90.0,
        "upper": "tcftttttttttft",
        "lower": "tttttttttttttc",
        **PLAIN,
    }
    metal, none = (_maps(4, metal=on, **cut) for on in (True, False))
    assert set(metal.metal) == {_parameters(4).mouth.alloy} and not none.metal
    assert bool((metal.label == METAL).any()) and not bool((none.label == METAL).any())
    same = metal.label == none.label
    assert torch.equal(metal.hu, none.hu) and float((~same).float().mean()) < 0.01
    assert set(none.label[~same].tolist()) <= {TEETH, MANDIBLE, BONE, MUSCLE, FAT, SOFT}
    assert set(_maps(4, **{**cut, "upper": "ttittttttttttt", "lower": "t" * 14}).metal) == {"titanium"}


def test_metal_streaks_at_kilovoltage_more_than_at_megavoltage() -> None:
    cut = {"top_mm": -5.0, "length_mm": 35.0, "lesion": "none", "fast": False, "lower": "t" * 14, "gape": 1.0, **PLAIN}
    pair = [PHANTOM.render(_parameters(5, upper="ttfttttttttftt", metal=on, **cut)) for on in (True, False)]
    muscle = pair[1].labelmaps["anatomy"].volume.array == MUSCLE
    error = {}
    for name in ("mvct", "kvct"):
        with_, without = (case.volumes[name].array[muscle].astype(float) for case in pair)
        error[name] = float(np.abs(with_ - without).mean())
    assert _number(pair[0], "metal_ml") > 0 == _number(pair[1], "metal_ml")
    assert error["kvct"] > 1.5 * error["mvct"] > 0


def test_individuals_differ_and_a_patient_is_rebuilt_from_json() -> None:
    first, second = _parameters(6, **TINY), _parameters(7, **TINY)
    assert first.build != second.build and first.mouth != second.mouth and first.setup != second.setup
    again = PHANTOM.from_json(PHANTOM.to_json(first))
    assert again == first
    maps = [tissue_maps(p, CPU) for p in (first, again, second)]
    assert torch.equal(maps[0].hu, maps[1].hu) and torch.equal(maps[0].label, maps[1].label)
    assert float((maps[0].label != maps[2].label).float().mean()) > 0.03


def test_a_choice_changes_only_what_it_names() -> None:
    for choices in ({"lesion": "dark"}, {"contrast": True}, {"metal": False}, {"image": "cbct"}, {"female": True}):
        base, chosen = _parameters(8), _parameters(8, **choices)
        if "female" not in choices:
            assert (base.build, base.mouth, base.setup) == (chosen.build, chosen.mouth, chosen.setup)
        assert (base.texture_seed, base.noise_seed) == (chosen.texture_seed, chosen.noise_seed)


def test_cone_beam_cases_hold_the_cone_beam_image() -> None:
    parameters = _parameters(9, image="cbct", length_mm=40.0, top_mm=20.0)
    assert PHANTOM.pair(parameters) == ("cbct", "kvct")
    assert set(PHANTOM.render(parameters).volumes) == {"cbct", "kvct"}


REFUSED: tuple[dict[str, Any], ...] = (
    {"head": 3}, {"lesion": "large"}, {"image": "pet"}, {"upper": "tt"}, {"place": "toe"}, {"alloy": "tin"},
    {"pixel_mm": 0.0}, {"length_mm": 2.0},
)  # fmt: skip


@pytest.mark.parametrize("choices", REFUSED)
def test_unknown_choices_are_refused(choices: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError):
        PHANTOM.sample_parameters(case_rng(0, 0), **choices)


def test_rendering_can_be_cancelled() -> None:
    context = Context()
    context.cancel.set()
    with pytest.raises(CancelledError):
        PHANTOM.render(_parameters(0), context)


def test_a_batch_gives_the_same_cases_as_one_by_one() -> None:
    parameters = [_parameters(index, **{**TINY, "length_mm": 40.0}) for index in (10, 11)]
    for one, case in zip(parameters, PHANTOM.render_batch(parameters), strict=True):
        alone = PHANTOM.render(one)
        assert alone.truth == case.truth
        assert all(np.array_equal(alone.volumes[name].array, case.volumes[name].array) for name in case.volumes)


def test_painting_side_by_side_changes_neither_patients_nor_threads() -> None:
    parameters = [_parameters(index, **{**TINY, "length_mm": 40.0}) for index in (10, 11)]
    torch.set_num_threads(2)
    together = painted(parameters, CPU)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    assert threads == 2
    assert all(torch.equal(maps.hu, tissue_maps(one, CPU).hu) for one, maps in zip(parameters, together, strict=True))


def test_labels_are_listed_and_most_are_present(case: Case) -> None:
    present = set(np.unique(case.labelmaps["anatomy"].volume.array).tolist()) - {0}
    assert present <= {segment.label for segment in SEGMENTS}
    assert present >= {segment.label for segment in SEGMENTS} - {LESION, METAL, LUNG} and FAT in present
