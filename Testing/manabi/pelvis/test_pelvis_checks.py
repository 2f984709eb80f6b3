"""What is told of a pelvic CT: each finding where it is, none where it is not, in any orientation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
import torch

from manabi.errors import GeometryError, InvalidInputError
from manabi.pelvis.checks import (
    CONTRAST,
    CUT,
    EMPTY,
    METAL,
    NO_BODY,
    TRUNCATED,
    VOLUME,
    Alert,
    CheckLimits,
    check,
)
from manabi.pelvis.method import PelvicSeg
from manabi.pelvis.structures import PELVIS
from manabi.phantoms.base import Case, case_rng
from manabi.phantoms.pelvis import PelvisPhantom
from manabi.volume import Volume

PHANTOM = PelvisPhantom()
PLAIN: dict[str, Any] = {
    "pixel_mm": 4.0, "matrix": 114, "slice_mm": 6.0, "subslices": 1, "top_mm": 95.0, "length_mm": 185.0,
    "tilt_deg": 0.0, "prosthesis": "none", "seeds": 0, "contrast_hu": 0.0, "bladder_contrast_hu": 0.0,
    "prostate_ml": 45.0, "vesicles_ml": 10.0, "bladder_ml": 180.0, "rectum_ml": 80.0, "gas": 0.3, "couch": True,
}  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """Small tensors gain nothing from more threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def rendered(**choices: Any) -> Case:
    return _rendered(tuple(sorted(choices.items())))


@lru_cache(maxsize=16)
def _rendered(choices: tuple[tuple[str, Any], ...]) -> Case:
    return PHANTOM.render(PHANTOM.sample_parameters(case_rng(77, 1), **{**PLAIN, **dict(choices)}))


def images(case: Case) -> tuple[Volume, Volume]:
    return case.volumes["ct"], case.labelmaps["organs"].volume


def alerts(limits: CheckLimits | None = None, **choices: Any) -> list[Alert]:
    return check(*images(rendered(**choices)), limits=limits)


def told(found: list[Alert]) -> set[tuple[str, str]]:
    return {(alert.kind, alert.structure) for alert in found}


def test_nothing_is_told_of_a_plain_pelvis() -> None:
    assert alerts() == []


@pytest.mark.parametrize(("side", "words"), [("right", " on the right "), ("both", " on both sides ")])
def test_an_artificial_hip_is_told_with_its_side_and_slices(side: str, words: str) -> None:
    found = alerts(prosthesis=side)
    (metal,) = [alert for alert in found if alert.kind == METAL]
    assert words in metal.text and "artificial hip" in metal.text and "counted from the feet" in metal.text
    assert "Replace the HU" in metal.text
    volume = rendered(prosthesis=side).labelmaps["anatomy"].volume
    heights = np.flatnonzero((np.asarray(volume.reoriented().array) == 13).any((1, 2)))
    first, last = (int(n) for n in metal.text.partition("slices ")[2].split(" of ")[0].split(" to "))
    assert abs(first - 1 - heights[0]) <= 1 and abs(last - 1 - heights[-1]) <= 1


def test_a_mirrored_patient_has_his_hip_on_the_other_side() -> None:
    ct, labels = (v.like(np.ascontiguousarray(v.array[:, :, ::-1])) for v in images(rendered(prosthesis="right")))
    assert any(" on the left " in alert.text for alert in check(ct, labels))


def test_two_hips_streak_the_organs_between_and_are_not_taken_for_contrast_medium() -> None:
    found = alerts(prosthesis="both")
    (metal,) = [alert for alert in found if alert.kind == METAL]
    assert "reach the prostate" in metal.text and "metal artefact reduction" in metal.text
    assert told(found) == {(METAL, "")}


def test_gold_seeds_are_no_implant_unless_asked() -> None:
    assert alerts(seeds=4) == []
    (metal,) = alerts(CheckLimits(implant_ml=0.05), seeds=4)
    assert metal.kind == METAL


def test_streaks_of_small_metal_that_reach_an_organ_are_told() -> None:
    ct, labels = images(rendered())
    hu, organs = np.array(ct.array), np.asarray(labels.array)
    k, j, i = (int(n) for n in np.argwhere(organs == 1).mean(0).round())
    hu[k, j, i - 1 : i + 2] = 3071
    hu[k, j - 5 : j + 6, i - 10 : i - 2] = -400
    (metal,) = check(ct.like(hu), labels)
    assert "such as markers, in slice " in metal.text and "reach the prostate" in metal.text


def test_a_narrow_field_of_view_is_told_and_how_much_it_costs() -> None:
    found = alerts(matrix=70)
    assert told(found) == {(TRUNCATED, "")}
    assert found[0].text.startswith("The field of view cuts the body off in 31 of 31 slices")
    assert "Reconstruct with a larger field of view" in found[0].text


def test_a_round_field_of_view_padded_with_any_value_is_told_only_where_it_cuts() -> None:
    ct, labels = images(rendered())
    j, i = np.mgrid[: ct.shape[1], : ct.shape[2]]
    distance = np.hypot(j - (ct.shape[1] - 1) / 2, i - (ct.shape[2] - 1) / 2)
    for value in (-3024, 0):
        wide, narrow = (ct.like(np.where(distance <= r, ct.array, value).astype(np.int16)) for r in (56, 35))
        assert check(wide, labels) == []
        assert told(check(narrow, labels)) == {(TRUNCATED, "")}


@pytest.mark.parametrize(("top_mm", "length_mm", "organ", "end"), [(35.0, 100.0, "bladder", "highest"),
                                                                  (95.0, 100.0, "prostate", "lowest")])  # fmt: skip
def test_an_organ_that_the_first_or_last_slice_cuts_is_told(
    top_mm: float, length_mm: float, organ: str, end: str
) -> None:
    case = rendered(top_mm=top_mm, length_mm=length_mm)
    found = check(*images(case))
    cut = {alert.structure: alert.text for alert in found if alert.kind == CUT}
    whole = {name for name in PELVIS.names if case.truth[f"{name}_whole"]}
    assert organ in cut and not whole & set(cut)
    assert f"on the {end} slice" in cut[organ] and "do not use its volume" in cut[organ]


def test_a_few_voxels_on_the_last_slice_are_no_cut() -> None:
    ct, labels = images(rendered())
    array = np.array(labels.array)
    array[-1, 50, 50] = array[0, 50, 50] = 3
    assert check(ct, labels.like(array)) == []
    assert {alert.kind for alert in check(ct, labels.like(array), limits=CheckLimits(cut_percent=0.0))} == {CUT}


def test_a_nearly_empty_bladder_is_told_below_the_limit_only() -> None:
    (empty,) = alerts(bladder_ml=35.0)
    assert (empty.kind, empty.structure) == (EMPTY, "bladder")
    assert "below 50 mL" in empty.text and "Scan again" in empty.text
    assert alerts(CheckLimits(empty_bladder_ml=20.0), bladder_ml=35.0) == []
    assert told(alerts(CheckLimits(empty_bladder_ml=250.0))) == {(EMPTY, "bladder")}


@pytest.mark.parametrize("layered", [True, False])
def test_contrast_medium_in_the_bladder_is_told(layered: bool) -> None:
    (contrast,) = alerts(bladder_contrast_hu=200.0, layered=layered)
    assert (contrast.kind, contrast.structure) == (CONTRAST, "bladder")
    assert "HU at its brightest" in contrast.text and "those of water" in contrast.text
    assert alerts(CheckLimits(contrast_hu=400.0), bladder_contrast_hu=200.0, layered=layered) == []


def test_contrast_medium_in_the_blood_alone_is_none_in_the_bladder() -> None:
    assert alerts(contrast_hu=150.0) == []


@pytest.mark.parametrize("organ", PELVIS.names)
def test_implausible_and_missing_organs_are_told(organ: str) -> None:
    ct, labels = images(rendered())
    value, array = PELVIS.classes[organ], np.array(labels.array)
    gone = labels.like(np.where(array == value, 0, array).astype(array.dtype))
    (missing,) = check(ct, gone)
    assert (missing.kind, missing.structure) == (VOLUME, organ) and "none was found" in missing.text
    place = np.argwhere(array == value)
    few = np.where(array == value, 0, array).astype(array.dtype)
    few[tuple(place[len(place) // 2])] = value
    small = [alert for alert in check(ct, labels.like(few)) if alert.kind == VOLUME]
    assert [alert.structure for alert in small] == [organ] and "slice by slice" in small[0].text
    large = array.copy()
    large[5:-5, 20:-20, 20:-20] = value
    assert (VOLUME, organ) in told(check(ct, labels.like(large)))


def test_ranges_of_the_literature_are_plausible() -> None:
    """5 and 95 % of planning CTs, from which the phantom is drawn."""
    from manabi.phantoms.pelvis_sampling import VOLUMES_ML

    for name, (low, high) in VOLUMES_ML.items():
        organ = "seminal_vesicles" if name == "vesicles_ml" else name.removesuffix("_ml")
        least, most = PELVIS[organ].plausible_ml or (0.0, 0.0)
        assert 0 < least < low < high < most


@pytest.mark.parametrize("axes", [((0, 1, 2), (1, 1, 1)), ((0, 1, 2), (-1, 1, -1)), ((2, 0, 1), (1, -1, 1))])
def test_the_same_is_told_of_the_image_in_any_order_of_its_axes(axes: Any) -> None:
    ct, labels = images(rendered(prosthesis="right"))
    expected = check(ct, labels)
    order, signs = axes
    turned = []
    for volume in (ct, labels):
        array, matrix = np.asarray(volume.array), np.array(volume.ijk_to_ras)
        for axis, sign in enumerate(signs):
            if sign < 0:
                array = np.flip(array, 2 - axis)
                matrix[:, 3] += matrix[:, axis] * (volume.shape[2 - axis] - 1)
                matrix[:, axis] *= -1
        array = array.transpose([2 - order[2 - k] for k in range(3)])
        matrix = matrix[:, [*order, 3]]
        turned.append(Volume(np.ascontiguousarray(array), matrix, modality=volume.modality, units=volume.units))
    assert check(*turned) == expected != []


def test_an_image_without_a_body_and_labels_elsewhere() -> None:
    ct, labels = images(rendered())
    air = ct.like(np.full(ct.shape, -1000, np.int16))
    assert [alert.kind for alert in check(air, labels)] == [NO_BODY]
    with pytest.raises(GeometryError, match="Resample them"):
        check(ct, replace(labels, array=np.asarray(labels.array)[1:]))
    with pytest.raises(InvalidInputError):
        CheckLimits(implant_ml=-1.0)


def test_inputs_stay_as_they_are_and_texts_count_as_alerts() -> None:
    ct, labels = images(rendered(prosthesis="both"))
    before = ct.array.copy(), labels.array.copy()
    found = [*check(ct, labels), *alerts(matrix=70), *alerts(bladder_ml=35.0), *alerts(bladder_contrast_hu=200.0)]
    assert (ct.array == before[0]).all() and (labels.array == before[1]).all()
    assert found and all(alert.text.startswith(PelvicSeg.alert_prefixes) for alert in found)
