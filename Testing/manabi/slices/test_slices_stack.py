"""A stack of axial slices, whatever way the array runs, and what the network sees of it."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
import torch

from manabi.context import Context
from manabi.slices.prepare import InputSettings, Preparer, body_centre, prepare, reduction, slab_weights, to_channels
from manabi.slices.stack import AxialStack, tilt_deg
from manabi.volume import Volume

SHAPE = (12, 20, 16)


def ct(shape=SHAPE, spacing=(2.0, 2.5, 4.0), origin=(-40.0, -60.0, 100.0), array=None):
    matrix = np.diag([*spacing, 1.0])
    matrix[:3, 3] = origin
    rng = np.random.default_rng(3)
    return Volume(rng.integers(-1000, 400, shape).astype(np.int16) if array is None else array, matrix, "CT", "HU")


@pytest.mark.parametrize(
    ("axes", "signs"), [(a, s) for a in permutations(range(3)) for s in product((1, -1), repeat=3)][::5]
)
def test_every_array_order_gives_the_same_stack(axes, signs):
    volume = ct()
    turned = volume.reoriented(axes, signs)
    stack = AxialStack.of(turned)
    np.testing.assert_array_equal(stack.volume.array, volume.array)
    np.testing.assert_allclose(stack.z_mm, 100.0 + 4.0 * np.arange(12))
    for k in (0, 5, 11):
        index = stack.input_index(k)
        np.testing.assert_array_equal(np.sort(np.take(turned.array, index, stack.input_axis).ravel()),
                                      np.sort(volume.array[k].ravel()))  # fmt: skip


def test_positions_are_those_of_the_patient():
    stack = AxialStack.of(ct())
    assert stack.ras(3, 2, 1) == pytest.approx((-38.0, -55.0, 112.0))
    assert stack.nearest(113.0) == 3
    assert stack.spacing_mm == pytest.approx(4.0)
    assert stack.contains(98.5) and not stack.contains(97.5)


def test_a_gantry_tilt_keeps_the_images_own_slices():
    volume = ct()
    angle = np.radians(18.0)
    turn = np.eye(4)
    turn[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    context = Context()
    stack = AxialStack.of(Volume(volume.array, turn @ volume.ijk_to_ras, "CT"), context)
    assert tilt_deg(stack.volume.grid) == pytest.approx(18.0)
    assert not stack.resampled and not context.warnings
    assert np.diff(stack.z_mm) == pytest.approx(np.full(11, 4.0))


def test_strongly_oblique_slices_are_resampled_and_said_to_be():
    volume = ct((24, 24, 24), (4.0, 4.0, 4.0))
    angle = np.radians(38.0)
    turn = np.eye(4)
    turn[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    context = Context()
    stack = AxialStack.of(Volume(volume.array, turn @ volume.ijk_to_ras, "CT"), context)
    assert stack.resampled
    assert "tilted by 38°" in context.warnings[0]
    assert tilt_deg(stack.volume.grid) == pytest.approx(0.0)


def test_a_slab_averages_the_slices_it_covers():
    stack = AxialStack.of(ct(spacing=(2.0, 2.0, 1.0)))
    indices, shares = slab_weights(stack, 105.0, 4.0)
    assert indices == [3, 4, 5, 6, 7]
    assert shares == pytest.approx([0.125, 0.25, 0.25, 0.25, 0.125])


def test_a_thick_slice_is_its_own_slab_and_the_ends_repeat():
    stack = AxialStack.of(ct(spacing=(2.0, 2.0, 5.0)))
    assert slab_weights(stack, 110.0, 4.0) == ([2], [1.0])
    assert slab_weights(stack, 20.0, 4.0) == slab_weights(stack, 100.0, 4.0)
    assert sum(slab_weights(stack, 112.4, 4.0)[1]) == pytest.approx(1.0)


@pytest.mark.parametrize("step", [0.7, 3.0, 4.2])
def test_reduction_keeps_a_ramp_and_leaves_air_outside(step):
    n = int(300 / step)
    rows = reduction(n, step, (n - 1) / 2, 128, 3.0)
    ramp = (np.arange(n) - (n - 1) / 2) * step
    there = (np.arange(128) - 63.5) * 3.0
    inner = np.abs(there) < 140
    np.testing.assert_allclose((rows @ ramp)[inner], there[inner], atol=0.1)
    assert not rows[np.abs(there) > 154 + step].any()


def test_the_body_is_centred_wherever_it_lies():
    array = np.full((10, 80, 100), -1000, np.int16)
    array[:, 30:70, 10:60] = 40
    stack = AxialStack.of(ct(array=array, spacing=(3.0, 3.0, 4.0)))
    i, j = body_centre(stack)
    assert i == pytest.approx(34.5, abs=2.0)
    assert j == pytest.approx(49.5, abs=2.0)
    planes = Preparer(stack, InputSettings(size=64)).planes([stack.z_mm[4]])[0]
    assert planes.shape == (64, 64)
    rows, columns = np.nonzero(planes > -400)
    assert columns.mean() == pytest.approx(31.5, abs=1.0)
    assert rows.mean() == pytest.approx(31.5, abs=1.0)


def test_the_networks_channels_are_windows_of_the_neighbours():
    stack = AxialStack.of(ct())
    settings = InputSettings(size=32, offsets_mm=(-4.0, 0.0, 4.0))
    seen = prepare(stack, stack.z_mm, settings)
    assert seen.shape == (12, 4, 32, 32)
    assert seen.dtype == np.float32
    assert seen.min() >= 0 and seen.max() <= 1
    np.testing.assert_allclose(seen[5, 2], seen[6, 1], atol=1e-6)
    planes = np.random.default_rng(0).normal(0, 500, (2, 3, 8, 8)).astype(np.float32)
    np.testing.assert_allclose(to_channels(torch.from_numpy(planes), settings).numpy(), to_channels(planes, settings))


def test_settings_survive_the_bundle():
    settings = InputSettings(size=96, offsets_mm=(-4.0, 0.0, 4.0))
    assert InputSettings.of(settings.facts()) == settings
