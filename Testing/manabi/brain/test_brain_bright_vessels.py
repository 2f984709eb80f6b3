"""Vessels of an angiography: found where the image shows them, placed by geometry, and never in other contrasts."""

import numpy as np
import pytest

from manabi import registry
from manabi.brain.bright_vessels import LEAST_MM3, VESSELS, bright_vessels, with_bright_vessels
from manabi.context import Context
from manabi.phantoms.base import case_rng
from manabi.volume import Volume

SHAPE = (60, 64, 56)
MATRIX = np.diag([1.0, 1.0, 1.2, 1.0])


def scene(vessel=4.0, fluid=0.4, tissue=1.0, noise=0.06, slope=0.0):
    """A ball of brain with a ventricle and two tubes of 3 mm, in air: image, brain, ventricles, tubes."""
    k, j, i = np.indices(SHAPE).astype(float)
    away = np.sqrt(((k - 30) * 1.2) ** 2 + (j - 32) ** 2 + (i - 28) ** 2)
    tubes = (np.hypot(j - 24, i - 30) < 1.6) | (np.hypot((k - 28) * 1.2, i - 22) < 1.6)
    tubes &= away < 24
    ventricles = (away < 6) & ~tubes
    brain = (away < 25) & ~ventricles & ~tubes
    array = np.zeros(SHAPE)
    array[brain], array[ventricles], array[tubes] = tissue, fluid, vessel
    array *= 100 * (1 + slope * (k - 30) / 30)
    array += np.random.default_rng(0).normal(0, 100 * noise, SHAPE)
    return Volume(array.astype(np.float32), MATRIX, "MR"), brain, ventricles, tubes


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


@pytest.mark.parametrize("slope", [0.0, 0.5])
def test_bright_tubes_are_found_also_under_uneven_sensitivity(slope):
    image, brain, ventricles, tubes = scene(slope=slope)
    found = bright_vessels(image, brain, ventricles, Context())
    assert found.shown
    assert dice(found.mask, tubes) > 0.9
    assert np.array_equal(found.strength > 0, found.mask)


@pytest.mark.parametrize(
    "contrast",
    [
        {"vessel": 0.1},  # blood is dark, as in T1 and T2
        {"vessel": 1.5},  # barely bright: lesions, fat
        {"vessel": 4.0, "fluid": 3.0},  # fluid is bright too, as in T2
        {"vessel": 1.0, "noise": 0.3},  # noise alone
    ],
)
def test_nothing_is_drawn_where_vessels_are_not_the_brightest(contrast):
    image, brain, ventricles, _ = scene(**contrast)
    found = bright_vessels(image, brain, ventricles, Context())
    assert not found.shown and not found.mask.any() and not found.strength.any()


def test_specks_are_no_vessels():
    image, brain, ventricles, tubes = scene()
    array = np.array(image.array)
    speck = (slice(44, 46), slice(30, 32), slice(28, 30))
    array[speck] = 500.0
    assert LEAST_MM3 > 8 * 1.2
    found = bright_vessels(image.like(array), brain, ventricles, Context())
    assert not found.mask[speck].any() and found.mask[tubes].mean() > 0.8


def test_without_any_brain_nothing_is_found():
    image, brain, _, _ = scene()
    assert not bright_vessels(image, np.zeros_like(brain), np.zeros_like(brain), Context()).shown


def labelled(brain, ventricles, matrix=MATRIX):
    array = np.where(brain, 1, np.where(ventricles, 6, 0)).astype(np.uint8)
    return Volume(array, matrix, "SEG"), Volume(np.full(SHAPE, 0.7, np.float32), matrix)


def test_vessels_go_over_the_labels_and_inputs_stay_as_they_were():
    image, brain, ventricles, tubes = scene()
    labels, confidence = labelled(brain | tubes, ventricles)
    before = np.array(labels.array)
    out, sure, shown = with_bright_vessels(labels, confidence, [image], Context())
    assert shown and np.array_equal(labels.array, before)
    vessels = out.array == VESSELS
    assert dice(vessels, tubes) > 0.9
    assert np.array_equal(out.array[~vessels], before[~vessels])
    assert sure.array[vessels].min() >= 0.5 and np.all(sure.array[~vessels] == np.float32(0.7))


def test_an_angiography_on_another_grid_is_placed_by_its_geometry():
    image, brain, ventricles, tubes = scene()
    labels, confidence = labelled(brain | tubes, ventricles)
    plain = scene(vessel=1.0)[0]
    turned = image.reoriented((2, 0, 1), (-1, 1, -1))
    out, _, shown = with_bright_vessels(labels, confidence, [plain, turned], Context())
    assert shown and out.grid.same_as(labels.grid)
    assert dice(out.array == VESSELS, tubes) > 0.9


def test_a_turned_image_gives_the_same_vessels():
    image, brain, ventricles, _ = scene()
    found = bright_vessels(image, brain, ventricles, Context())
    order, flips = (1, 2, 0), (-1, 1, -1)
    masks = [image.like(mask.astype(np.uint8)).reoriented(order, flips).array > 0 for mask in (brain, ventricles)]
    again = bright_vessels(image.reoriented(order, flips), *masks, Context())
    expected = image.like(found.mask.astype(np.uint8)).reoriented(order, flips).array > 0
    assert dice(again.mask, expected) > 0.98


@pytest.mark.slow
@pytest.mark.parametrize("contrast", ["tof", "t1", "t2", "flair"])
def test_arteries_of_a_simulated_head_are_found_in_its_angiogram_alone(contrast):
    phantom = registry.phantom("brain")
    case = phantom.render(
        phantom.sample_parameters(case_rng(77, 1), contrasts=(contrast,), anatomy="parametric", voxel_mm=0.8)
    )
    labels = np.asarray(case.labelmaps["structures"].volume.array)
    found = bright_vessels(case.volumes[contrast], (labels > 0) & (labels < 6), labels == 6, Context())
    assert found.shown == (contrast == "tof")
    if found.shown:
        assert dice(found.mask, labels == VESSELS) > 0.85
