"""The tumour phantom: what a case holds, that its truth is true, and that it can be rebuilt."""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np
import pytest

from manabi.context import Context
from manabi.errors import CancelledError, InvalidInputError
from manabi.phantoms.base import Case, case_rng
from manabi.phantoms.tumour import TumourPhantom
from manabi.phantoms.tumour_parameters import TumourParameters

PHANTOM = TumourPhantom()


def drawn(index: int, **choices: Any) -> TumourParameters:
    return PHANTOM.sample_parameters(case_rng(11, index), **choices)


@pytest.fixture(scope="module")
def case() -> Case:
    return PHANTOM.render(drawn(0, centre="A", volume_ml=12.0))


def values_inside(case: Case, name: str = "ct", label: str = "tumour") -> np.ndarray:
    return case.volumes[name].array[case.labelmaps[label].volume.array > 0].astype(float)


def test_a_case_holds_a_ct_and_a_coded_outline_on_its_grid(case: Case) -> None:
    ct, tumour = case.volumes["ct"], case.labelmaps["tumour"]
    assert set(case.volumes) == {"ct"}
    assert (ct.modality, ct.units, ct.array.dtype) == ("CT", "HU", np.int16)
    assert tumour.volume.shape == ct.shape
    assert np.array_equal(tumour.volume.ijk_to_ras, ct.ijk_to_ras)
    (segment,) = tumour.segments
    assert (segment.type.value, segment.type.scheme, segment.type.meaning) == ("108369006", "SCT", "Neoplasm")
    assert np.allclose(np.array(ct.shape[::-1]) * ct.spacing_mm, 96.0, atol=2.1)


def test_the_truth_names_everything(case: Case) -> None:
    truth = case.truth
    names = {"z", "v", "volume_ml", "length_mm", "time_days", "event", "centre", "age_years", "sex", "stage"}
    assert names | {"hazard_texture", "hazard_volume", "hazard_clinical", "log_hazard"} <= set(truth)
    assert truth["volume_ml"] == pytest.approx(12.0)
    assert truth["hazard_texture"] == pytest.approx(np.log(1.5) * truth["z"])
    parts = [value for name, value in truth.items() if name.startswith("hazard_")]
    assert truth["log_hazard"] == pytest.approx(sum(parts))


@pytest.mark.parametrize("centre", ["A", "B", "C", "D"])
def test_the_outline_has_the_true_volume(centre: str) -> None:
    for index in (0, 2):
        case = PHANTOM.render(drawn(index, centre=centre, volume_ml=6.0 + 8.0 * index))
        volume = case.labelmaps["tumour"].volume
        measured = float(volume.array.sum()) * float(np.prod(volume.spacing_mm)) / 1e3
        assert measured == pytest.approx(case.truth["volume_ml"], rel=0.06)


def test_even_the_smallest_tumour_is_outlined() -> None:
    case = PHANTOM.render(drawn(2, v=-3.0, centre="D"))
    assert 3 <= int(case.labelmaps["tumour"].volume.array.sum()) < 400


def test_the_tumour_is_soft_tissue_in_a_lung(case: Case) -> None:
    inside = values_inside(case)
    ct = case.volumes["ct"].array
    assert -120 < np.median(inside) < 80
    assert np.percentile(ct, 10) < -800
    assert ct.max() > 300  # bone


def test_density_is_what_was_chosen() -> None:
    means = [np.median(values_inside(PHANTOM.render(drawn(4, density_hu=hu, centre="A", v=1.0)))) for hu in (-10, 50)]
    assert means[1] - means[0] == pytest.approx(60.0, abs=6.0)


def test_the_texture_s_length_shows_in_the_image() -> None:
    def roughness(z: float) -> float:
        one = drawn(5, z=z, v=0.3, centre="A", noise_hu=4.0, spicules=0)
        case = PHANTOM.render(one)
        mask = case.labelmaps["tumour"].volume.array > 0
        hu = case.volumes["ct"].array.astype(float)
        both = mask[:, :, 3:] & mask[:, :, :-3]
        step = (hu[:, :, 3:] - hu[:, :, :-3])[both]
        middle = np.abs(hu[mask] - np.median(hu[mask])) < 80
        return float(np.median(np.abs(step)) / hu[mask][middle].std())

    assert roughness(-1.5) > 1.3 * roughness(1.5)


def test_rebuilt_from_json_it_is_the_same_voxel_by_voxel(case: Case) -> None:
    parameters = PHANTOM.from_json(PHANTOM.to_json(drawn(0, centre="A", volume_ml=12.0)))
    assert parameters == drawn(0, centre="A", volume_ml=12.0)
    again = PHANTOM.render_batch([drawn(1), parameters])[1]
    assert np.array_equal(again.volumes["ct"].array, case.volumes["ct"].array)
    assert again.truth == case.truth
    assert json.loads(json.dumps(case.parameters)) == case.parameters


def test_centres_differ_in_slices_noise_and_blur() -> None:
    cases = {c: PHANTOM.render(drawn(6, centre=c, wall_mm=200.0, vessels=0)) for c in "BD"}
    assert [float(cases[c].volumes["ct"].spacing_mm[2]) for c in "BD"] == [1.0, 5.0]
    air = {c: cases[c].volumes["ct"].array[:, :12, :12].astype(float) for c in "BD"}
    rough = {c: np.abs(np.diff(a, axis=2)).mean() for c, a in air.items()}
    assert rough["B"] > 2.0 * rough["D"]


def test_weeks_show_a_shrinking_tumour() -> None:
    case = PHANTOM.render(drawn(7, weeks=3, v=0.5, centre="D"))
    assert set(case.volumes) == {"ct", "cbct_week1", "cbct_week2", "cbct_week3"}
    rates = [case.truth[f"volume_ml_week{w}"] for w in (1, 2, 3)]
    assert case.truth["volume_ml"] > rates[0] > rates[1] > rates[2] > 0
    for week, expected in zip((1, 2, 3), rates, strict=True):
        volume = case.labelmaps[f"tumour_week{week}"].volume
        for image in (case.volumes[f"cbct_week{week}"], case.volumes["ct"]):
            assert volume.shape == image.shape
            assert np.array_equal(volume.ijk_to_ras, image.ijk_to_ras)
        assert float(volume.array.sum()) * np.prod(volume.spacing_mm) / 1e3 == pytest.approx(expected, rel=0.1)
    first, last = (case.labelmaps[f"tumour_week{w}"].volume.array > 0 for w in (1, 3))
    assert not np.any(last & ~first)


def test_the_wall_is_not_part_of_a_tumour_that_touches_it() -> None:
    case = PHANTOM.render(drawn(8, v=1.0, wall_mm=12.0, centre="A"))
    measured = case.labelmaps["tumour"].volume
    assert float(measured.array.sum()) * np.prod(measured.spacing_mm) / 1e3 == pytest.approx(
        case.truth["volume_ml"], rel=0.06
    )
    assert np.percentile(values_inside(case), 99) < 250  # no rib inside


def test_a_cancelled_batch_stops() -> None:
    context = Context()
    context.cancel.set()
    with pytest.raises(CancelledError):
        PHANTOM.render_batch([drawn(0)], context)


@pytest.mark.parametrize("choices", [
    {"colour": 1}, {"centre": "Z"}, {"cohort": "best"}, {"modality": "us"}, {"weeks": 99}, {"volume_ml": -3.0},
    {"z": 9.0}, {"sex": "x"}, {"modality": "mr", "weeks": 2}, {"modality": "mr", "grade": 2}, {"grade": 4},
])  # fmt: skip
def test_impossible_choices_are_refused(choices: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError):
        drawn(0, **choices)


def test_fixed_values_change_nothing_else() -> None:
    free, fixed = drawn(3), drawn(3, slice_mm=2.5, z=0.3)
    assert fixed.lung == free.lung
    assert fixed.lesion.volume_ml == free.lesion.volume_ml
    assert fixed.scan.slice_mm == 2.5


@pytest.mark.slow
def test_a_case_takes_at_most_a_second() -> None:
    times = []
    for index in range(8):
        parameters = drawn(index)
        start = time.process_time()
        PHANTOM.render(parameters)
        times.append(time.process_time() - start)
    assert np.median(times) < 1.0
