"""What networks for structures see of a CT, and how they are applied to it."""

import numpy as np
import pytest
import torch
from torch import nn

from manabi.context import Context
from manabi.errors import InvalidInputError
from manabi.structures.apply import NetworkInput, logits, neighbours_of, probabilities, stacks
from manabi.structures.ct_input import InputSettings, prepare
from manabi.volume import Volume

CPU = Context(device="cpu")


class Bands(nn.Module):
    """Three classes by intensity: the nearest of 0, 0.5 and 1; of several slices the middle one counts."""

    def forward(self, x):
        own = x[:, x.shape[1] // 2, None]
        return torch.cat([-100.0 * (own - level) ** 2 for level in (0.0, 0.5, 1.0)], 1)


def ct(shape=(20, 24, 28), spacing=(1.5, 1.5, 2.0), seed=0):
    rng = np.random.default_rng(seed)
    hu = np.full(shape, -1000.0, np.float32)
    hu[4:16, 5:20, 6:22] = 40.0 + rng.normal(0, 5, (12, 15, 16))
    return Volume(hu, np.diag([*spacing, 1.0]), "CT")


def test_grey_values_are_scaled_between_the_limits():
    ready = prepare(ct(), InputSettings((2.0, 1.5, 1.5), -160.0, 240.0))
    assert ready.image.dtype == np.float32 and ready.image.min() == 0.0
    assert np.median(ready.image[8:12, 10:14, 10:16]) == pytest.approx(0.5, abs=0.01)


def test_the_working_grid_has_the_spacing_and_covers_the_image():
    volume = ct()
    ready = prepare(volume, InputSettings((3.0, 2.0, 2.0)))
    np.testing.assert_allclose(ready.grid.spacing_mm, [2.0, 2.0, 3.0])
    np.testing.assert_allclose(ready.grid.corners_ras().mean(0), volume.grid.corners_ras().mean(0), atol=1e-6)


def test_a_flipped_copy_gives_the_same_image():
    volume, settings = ct(), InputSettings((3.0, 2.0, 2.0))
    flipped = volume.reoriented((1, 0, 2), (-1, 1, -1))
    assert flipped.shape != volume.shape
    np.testing.assert_allclose(prepare(flipped, settings).image, prepare(volume, settings).image, atol=1e-5)


def test_an_image_longer_than_any_patient_is_refused():
    with pytest.raises(InvalidInputError, match="Check its spacing"):
        prepare(Volume(np.zeros((8, 8, 8), np.float32), np.diag([300.0, 1.0, 1.0, 1.0]), "CT"), InputSettings())


def test_of_four_slices_two_lie_below_and_one_above():
    assert neighbours_of(5, 4, 10).tolist() == [3, 4, 5, 6]
    assert neighbours_of(0, 4, 10).tolist() == [0, 0, 0, 1]
    assert neighbours_of(9, 3, 10).tolist() == [8, 9, 9]
    image = np.arange(10.0)[:, None, None] * np.ones((1, 2, 2))
    assert stacks(image, 4)[5, :, 0, 0].tolist() == [3.0, 4.0, 5.0, 6.0]


@pytest.mark.parametrize("how", [NetworkInput(0, (16, 16, 16)), NetworkInput(1), NetworkInput(4)])
def test_every_kind_of_input_gives_each_voxel_its_own_answer(how):
    image = np.random.default_rng(1).random((18, 21, 37), np.float32)
    found = logits(Bands(), image, how, CPU)
    assert found.shape == (3, 18, 21, 37)
    np.testing.assert_array_equal(found.argmax(0), np.rint(image * 2).astype(int))


def test_a_temperature_makes_the_answer_less_sure_and_changes_no_label():
    image = np.random.default_rng(2).random((16, 16, 16), np.float32)
    how = NetworkInput(1)
    sharp, soft = (probabilities(Bands(), image, how, CPU, t) for t in (1.0, 4.0))
    np.testing.assert_allclose(sharp.sum(0), 1.0, atol=1e-5)
    np.testing.assert_array_equal(sharp.argmax(0), soft.argmax(0))
    assert soft.max(0).mean() < sharp.max(0).mean()


@pytest.mark.parametrize("wrong", [{"window": (16, 16, 20)}, {"neighbours": -1}, {"overlap": 1.0}])
def test_ways_that_cannot_be_are_refused(wrong):
    with pytest.raises(InvalidInputError, match="Expected neighbours"):
        NetworkInput(**wrong)


def test_settings_come_back_from_json():
    taken, applied = InputSettings((3.0, 1.0, 1.0), -200.0, 300.0), NetworkInput(4, (32, 64, 64), 0.5)
    assert InputSettings.of(taken.to_dict()) == taken and NetworkInput.of(applied.to_dict()) == applied
    with pytest.raises(InvalidInputError, match="low_hu below high_hu"):
        InputSettings(low_hu=10.0, high_hu=10.0)
