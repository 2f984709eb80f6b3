"""The radiograph phantom: cases, truth, choices, rebuilding."""

import numpy as np
import pytest

from manabi.context import Context
from manabi.errors import CancelledError, InvalidInputError
from manabi.phantoms.base import case_rng
from manabi.phantoms.radiograph import RadiographPhantom

PHANTOM = RadiographPhantom()
SMALL = {"matrix": 64}


@pytest.fixture(scope="module")
def with_nodules():
    parameters = PHANTOM.sample_parameters(case_rng(31, 0), nodules=2, **SMALL)
    return parameters, PHANTOM.render(parameters, Context(device="cpu"))


def test_a_case_is_a_film_with_its_labels_on_one_grid(with_nodules):
    _, case = with_nodules
    film = case.volumes["radiograph"]
    assert film.array.shape == (1, 64, 64)
    assert film.array.dtype == np.uint16
    assert film.modality == "DX"
    np.testing.assert_allclose(film.ijk_to_ras, np.diag([-6.0, -6.0, 1.0, 1.0]))
    for labelmap in case.labelmaps.values():
        assert labelmap.volume.array.shape == film.array.shape
        np.testing.assert_array_equal(labelmap.volume.ijk_to_ras, film.ijk_to_ras)
    assert set(np.unique(case.labelmaps["lungs"].volume.array)) == {0, 1, 2}


def test_nodules_lie_in_the_lungs_where_the_truth_says_and_brighten_the_film(with_nodules):
    _, case = with_nodules
    mask, lungs = (case.labelmaps[name].volume.array[0] for name in ("nodules", "lungs"))
    change = case.volumes["radiograph"].array[0].astype(float) - case.volumes["normal"].array[0]
    assert case.truth["nodule_count"] == 2
    for number in (1, 2):
        inside = mask == number
        assert (lungs[inside] > 0).mean() > 0.5
        assert change[inside].mean() > 10
        place = (-case.truth[f"nodule_{number}_a_mm"] / 6.0, -case.truth[f"nodule_{number}_r_mm"] / 6.0)
        np.testing.assert_allclose(np.argwhere(inside).mean(axis=0), place, atol=1.5)
        side = lungs[round(place[0]), round(place[1])]
        assert case.truth[f"nodule_{number}_lung"] == ("none", "right", "left")[side]
    away = mask == 0
    assert np.abs(change[away]).mean() < 0.2 * change[mask > 0].mean()


def test_the_truth_is_flat_and_complete(with_nodules):
    _, case = with_nodules
    names = ("r_mm", "a_mm", "s_mm", "diameter_mm", "density", "contrast", "cnr", "subtlety", "lung", "hidden")
    assert {f"nodule_{n}_{name}" for n in (1, 2) for name in names} | {"nodule_count", "pathology"} == set(case.truth)
    assert all(isinstance(value, str | int | float) for value in case.truth.values())
    assert not set(case.truth) & {*case.volumes, *case.labelmaps}, "a cohort's table has files and truth side by side"
    assert case.truth["pathology"] == "normal"
    assert 1 <= case.truth["nodule_1_subtlety"] <= 5


def test_a_case_is_rebuilt_from_its_json(with_nodules):
    parameters, case = with_nodules
    again = PHANTOM.from_json(PHANTOM.to_json(parameters))
    assert again == parameters
    repeated = PHANTOM.render(again, Context(device="cpu"))
    np.testing.assert_array_equal(repeated.volumes["radiograph"].array, case.volumes["radiograph"].array)
    assert repeated.truth == case.truth


def test_a_normal_film_has_no_nodules():
    parameters = PHANTOM.sample_parameters(case_rng(31, 1), nodules=0, **SMALL)
    case = PHANTOM.render(parameters, Context(device="cpu"))
    assert set(case.volumes) == {"radiograph"}
    assert case.truth == {"nodule_count": 0, "pathology": "normal"}
    assert not case.labelmaps["nodules"].volume.array.any()


def test_a_choice_changes_what_it_names_and_nothing_else():
    plain = PHANTOM.sample_parameters(case_rng(31, 2))
    chosen = PHANTOM.sample_parameters(case_rng(31, 2), nodules=3, diameter_mm=12.0, density="ground_glass")
    assert (chosen.nodules.count, chosen.nodules.diameter_mm, chosen.nodules.density) == (3, 12.0, "ground_glass")
    assert (chosen.chest, chosen.film, chosen.noise_seed, chosen.nodules.seed) == (
        plain.chest, plain.film, plain.noise_seed, plain.nodules.seed)  # fmt: skip


def test_the_field_stays_as_large_with_any_matrix():
    for matrix in (128, 256, 512):
        geometry = PHANTOM.sample_parameters(case_rng(31, 2), matrix=matrix).geometry
        assert geometry.side_mm == pytest.approx(384.0)
    assert PHANTOM.sample_parameters(case_rng(31, 2), matrix=128, pixel_mm=2.5).geometry.pixel_mm == 2.5


@pytest.mark.parametrize(
    "wrong",
    [{"nodules": 9}, {"nodules": 1.5}, {"density": "hard"}, {"diameter_mm": -1}, {"domain": "x"}, {"colour": 1},
     {"pathology": "x"}, {"matrix": 4}],
    ids=lambda wrong: next(iter(wrong)),
)  # fmt: skip
def test_choices_that_cannot_be_are_refused(wrong):
    with pytest.raises(InvalidInputError):
        PHANTOM.sample_parameters(case_rng(31, 0), **wrong)


def test_cancelling_stops_before_the_next_film():
    context = Context(device="cpu")
    context.cancel.set()
    with pytest.raises(CancelledError):
        PHANTOM.render_batch([PHANTOM.sample_parameters(case_rng(31, 0), **SMALL)], context)
