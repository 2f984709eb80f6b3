"""Searching a film: nodules are marked where they are, whatever the film's format; doubtful films say so."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from fixtures_nodule import BlobFinder, chest, curve, film_volume, quick, with_blob

from manabi.errors import CorruptModelError
from manabi.io.radiograph import NO_SPACING
from manabi.nodule import outputs, outside
from manabi.nodule.detect import DetectorSettings, heat_map, search, shifted
from manabi.nodule.lung_mask import lung_field_parts
from manabi.nodule.parameters import NoduleParameters
from manabi.nodule.prepare import network_input

NETWORK = BlobFinder()
SETTINGS = DetectorSettings(curve())
ROW, COLUMN, RADIUS = 0.42, 0.27, 0.018
"""A nodule in the right lung, as shares of the side."""


def nodule_film(side: int = 256) -> np.ndarray:
    return with_blob(chest(side), ROW, COLUMN, RADIUS, 0.3)


def run(volume, **parameters):
    found = search(volume, NETWORK, SETTINGS, NoduleParameters(**parameters), quick())
    return outputs.result(found, SETTINGS, NoduleParameters(**parameters), quick())


def first(result):
    table = result.tables["candidates"]
    return dict(zip(table.columns, table.rows[0], strict=True))


@pytest.fixture(scope="module")
def found():
    return run(film_volume(nodule_film()))


def test_the_nodule_is_the_first_mark(found):
    mark = first(found)
    assert mark["r_mm"] == pytest.approx(-(COLUMN * 256 - 0.5) * 1.4, abs=3.0)
    assert mark["a_mm"] == pytest.approx(-(ROW * 256 - 0.5) * 1.4, abs=3.0)
    assert (mark["lung"], mark["zone"], mark["location"]) == ("right", "middle", "clear lung")
    assert mark["score"] == found.measurements["image_score"] > 0.5
    landmark = run(film_volume(nodule_film()), false_positives=1.0).landmarks["mark_1"]
    assert landmark.confidence == pytest.approx(mark["score"])
    assert landmark.name == "1"
    np.testing.assert_allclose(landmark.position_ras, (mark["r_mm"], mark["a_mm"], 0.0))


def test_its_size_is_roughly_right(found):
    assert first(found)["diameter_mm"] == pytest.approx(2 * RADIUS * 256 * 1.4, rel=0.6)


def test_the_heat_map_lies_on_the_films_own_grid_and_peaks_there(found):
    heat = found.volumes["heat_map"]
    assert heat.grid.same_as(film_volume(nodule_film()).grid)
    assert heat.array.min() >= 0.0 and heat.array.max() <= 1.0
    right_lung = np.where(found.labelmaps["lungs"].volume.array[0] == 1, heat.array[0], 0.0)
    peak = np.unravel_index(right_lung.argmax(), right_lung.shape)
    np.testing.assert_allclose(peak, (ROW * 256, COLUMN * 256), atol=2.5)
    assert right_lung.max() == pytest.approx(first(found)["score"], abs=1e-4)


@pytest.mark.parametrize("side", [512, 640])
def test_films_of_other_sizes_give_the_same_marks(found, side):
    other = first(run(film_volume(nodule_film(side), (1.4 * 256 / side, 1.4 * 256 / side))))
    mark = first(found)
    assert other["score"] == pytest.approx(mark["score"], abs=0.1)
    np.testing.assert_allclose([other["r_mm"], other["a_mm"]], [mark["r_mm"], mark["a_mm"]], atol=2.8)


@pytest.mark.parametrize(("scale", "offset"), [(4.0, 0.0), (0.25, -300.0)])
def test_rescaled_films_give_the_same_marks(found, scale, offset):
    volume = film_volume(nodule_film())
    other = run(volume.like(volume.array.astype(np.float32) * scale + offset))
    for row, wanted in zip(other.tables["candidates"].rows, found.tables["candidates"].rows, strict=True):
        assert row[0] == wanted[0]
        np.testing.assert_allclose(row[1:6], wanted[1:6], atol=1e-3)


@pytest.mark.parametrize(("axes", "signs"), [((0, 1, 2), (1, 1, 1)), ((2, 1, 0), (1, -1, 1))])
def test_the_order_of_axes_does_not_matter(found, axes, signs):
    volume = film_volume(nodule_film())
    other = run(volume.reoriented(axes, signs))
    assert other.tables == found.tables
    back = other.volumes["heat_map"].reoriented_like(volume.grid)
    np.testing.assert_array_equal(back.array, found.volumes["heat_map"].array)
    lungs = other.labelmaps["lungs"].volume.reoriented_like(volume.grid)
    np.testing.assert_array_equal(lungs.array, found.labelmaps["lungs"].volume.array)


def test_a_mark_outside_the_lungs_is_left_out_unless_it_is_wanted():
    film = with_blob(chest(), 0.9, 0.5, RADIUS, -0.0)
    film = with_blob(film, 0.12, 0.1, RADIUS, 0.6)
    inside, anywhere = run(film_volume(film)), run(film_volume(film), limit_to_lungs=False)
    outside_lungs = [row for row in anywhere.tables["candidates"].rows if row[8] == "outside the lungs"]
    assert outside_lungs and outside_lungs[0][6] == ""
    assert not [row for row in inside.tables["candidates"].rows if row[8] == "outside the lungs"]
    assert inside.volumes["heat_map"].array[0, 30, 25] == 0.0 < anywhere.volumes["heat_map"].array[0, 30, 25]


def test_stricter_settings_show_fewer_marks():
    volume = film_volume(nodule_film())
    counts = [run(volume, false_positives=f).measurements["marks"] for f in (0.05, 1.0, 4.0)]
    assert counts == sorted(counts)
    assert counts[-1] == run(volume).measurements["candidates"]


def test_without_spacing_there_are_no_diameters_until_the_film_is_measured():
    volume = film_volume(nodule_film(), (1.0, 1.0)).with_warning(NO_SPACING)
    unknown, known = run(volume), run(volume, film_mm=358.4)
    assert first(unknown)["diameter_mm"] is None
    assert any(text.startswith("Spacing unknown") for text in unknown.warnings)
    assert first(known)["diameter_mm"] == pytest.approx(first(run(film_volume(nodule_film())))["diameter_mm"], abs=0.2)
    assert (first(known)["r_mm"], first(known)["a_mm"]) == (first(unknown)["r_mm"], first(unknown)["a_mm"])


def test_an_impossible_spacing_is_not_believed():
    assert first(run(film_volume(nodule_film(), (0.1, 0.1))))["diameter_mm"] is None


def test_an_inverted_film_is_turned_round_and_says_so(found):
    inverted = run(film_volume(1.0 - nodule_film()))
    assert any(text.startswith("Polarity") for text in inverted.warnings)
    assert inverted.measurements["quality"] == "check"
    np.testing.assert_allclose(
        [first(inverted)[key] for key in ("r_mm", "a_mm")], [first(found)[key] for key in ("r_mm", "a_mm")], atol=2.8
    )
    assert not any(text.startswith("Polarity") for text in found.warnings)


def test_a_film_without_lungs_or_upside_down_is_no_frontal_film():
    noise = np.random.default_rng(0).random((128, 128)).astype(np.float32)
    for film, words in ((noise, "cannot be told"), (np.rot90(chest(128)).copy(), "turned on its")):
        lungs = lung_field_parts(film)
        (text,) = outside.film_warnings(film, lungs, {}, None)
        assert text.startswith("Not a frontal") and words in text


def test_small_lungs_may_be_a_childs(found):
    small = run(film_volume(nodule_film(), (0.8, 0.8)))
    assert any(text.startswith("A child") for text in small.warnings)
    assert not any(text.startswith("A child") for text in found.warnings)


def test_devices_over_the_lungs_are_pointed_out(found):
    film = chest().copy()
    film[100:118, 60:84] = 1.0
    assert any(text.startswith("Check dense") for text in run(film_volume(film)).warnings)
    assert not any(text.startswith("Check dense") for text in found.warnings)


def test_films_unlike_the_training_films_are_named_by_what_differs():
    known = outside.features(chest())
    near = {name: [value - 0.02, value + 0.02] for name, value in known.items()}
    assert outside.unlike(known, near) == []
    rng = np.random.default_rng(1)
    noisy = np.clip(chest() + 0.1 * rng.standard_normal(chest().shape), 0, 1).astype(np.float32)
    names = outside.unlike(outside.features(noisy), {k: near[k] for k in ("fine_detail", "lung_share")})
    assert names == ["fine_detail"]
    lungs = lung_field_parts(noisy)
    (text,) = outside.film_warnings(noisy, lungs, {"fine_detail": near["fine_detail"]}, None)
    assert text.startswith("Unlike the training films in noise or sharpening")


def test_ranges_hold_nearly_all_training_films():
    rng = np.random.default_rng(2)
    films = [{name: float(rng.normal()) for name in outside.WORDS} for _ in range(400)]
    known = outside.ranges(films)
    assert set(known) == set(outside.WORDS)
    assert sum(bool(outside.unlike(film, known)) for film in films) == 0


def test_averaging_is_the_same_network_on_moved_films():
    film = nodule_film()
    plain, average = (heat_map(NETWORK, film, quick(), average) for average in (False, True))
    assert average.shape == plain.shape
    inner = (slice(20, -20), slice(20, -20))
    np.testing.assert_allclose(average[inner], plain[inner], atol=0.02)
    logits = NETWORK(network_input(torch.from_numpy(film)[None]))[0, 0].numpy()
    np.testing.assert_allclose(plain, 1 / (1 + np.exp(-logits)), atol=1e-5)


def test_moving_by_whole_pixels_is_undone_inside():
    array = np.arange(60.0).reshape(1, 6, 10)
    there = shifted(array, (2, -3))
    assert there[0, 2, 0] == array[0, 0, 3] and not there[0, :2].any()
    np.testing.assert_array_equal(shifted(there, (-2, 3))[0, :4, 3:], array[0, :4, 3:])


def test_damaged_facts_are_refused():
    points = [{"false_positives": 0.1, "threshold": 0.9}, {"false_positives": 1.0, "threshold": 0.5}]
    assert DetectorSettings.of({"operating_points": points}).matrix == 256
    with pytest.raises(CorruptModelError, match="damaged"):
        DetectorSettings.of({"operating_points": points, "matrix": "wide"})
