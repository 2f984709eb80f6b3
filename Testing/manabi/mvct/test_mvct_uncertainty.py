"""Spread over several conversions, and its calibration."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from manabi.errors import InvalidInputError
from manabi.mvct.uncertainty import (
    calibrated,
    calibration_curve,
    calibration_factor,
    coverage,
    dropout_on,
    dropout_samples,
    ensemble,
    expected_calibration_error,
    flips,
    moved_outputs,
    spread,
)  # fmt: skip


def image(seed=0):
    return np.random.default_rng(seed).normal(size=(3, 16, 20)).astype(np.float32)


def test_the_spread_is_numpys():
    stack = [image(seed) for seed in range(5)]
    mean, sd = spread(iter(stack))
    assert np.allclose(mean, np.mean(stack, 0), atol=1e-5)
    assert np.allclose(sd, np.std(stack, 0, ddof=1), atol=1e-5)


def test_one_conversion_says_nothing():
    with pytest.raises(InvalidInputError, match="at least two"):
        spread([image()])


def test_moved_copies_come_back_where_they_were():
    hu = image()
    inner = (slice(None), slice(6, -6), slice(6, -6))
    outputs = list(moved_outputs(lambda x: 2.0 * x, hu))
    assert len(outputs) == 6
    for output in outputs:
        assert np.allclose(output[inner], 2.0 * hu[inner])


def test_a_converter_that_is_the_same_everywhere_is_sure_and_one_that_is_not_is_unsure():
    hu = image()
    inner = (slice(None), slice(6, -6), slice(6, -6))
    ramp = np.linspace(0, 40, 20, dtype=np.float32)
    assert np.allclose(flips(lambda x: x + 5, hu)[1][inner], 0, atol=1e-5)
    assert flips(lambda x: x + ramp, hu)[1][inner].min() > 1.0


def test_an_ensemble_spreads_as_its_members():
    hu = image()
    mean, sd = ensemble([lambda x: x, lambda x: x + 2.0], hu)
    assert np.allclose(mean, hu + 1.0, atol=1e-5) and np.allclose(sd, np.sqrt(2.0), atol=1e-5)


class Net(nn.Module):
    def __init__(self, rate):
        super().__init__()
        self.norm, self.drop = nn.BatchNorm2d(1), nn.Dropout2d(rate)

    def forward(self, x):
        return self.drop(x)


def predictor(net):
    def predict(hu):
        return net(torch.from_numpy(hu)[:, None])[:, 0].numpy()

    return predict


def test_dropout_is_on_within_and_off_after_and_leaves_the_rest_alone():
    net = Net(0.3).eval()
    with dropout_on(net):
        assert net.drop.training and not net.norm.training
    assert not net.drop.training


def test_dropout_samples_are_seeded_and_leave_the_random_state():
    net, hu = Net(0.5).eval(), image() + 3.0
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    first, second = (dropout_samples(net, predictor(net), hu, 6, seed=1) for _ in range(2))
    assert np.array_equal(first[1], second[1]) and first[1].max() > 0.5
    assert torch.equal(before, torch.random.get_rng_state())
    assert not np.array_equal(first[1], dropout_samples(net, predictor(net), hu, 6, seed=2)[1])


def test_a_network_without_dropout_is_refused():
    net = Net(0.0).eval()
    with pytest.raises(InvalidInputError, match="no dropout"):
        dropout_samples(net, predictor(net), image(), 3, 0)


def errors(scale, count=20000):
    rng = np.random.default_rng(0)
    sd = rng.uniform(5, 40, count)
    return sd, rng.normal(0, scale * sd)


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.5])
def test_the_factor_undoes_over_and_underconfidence(scale):
    sd, error = errors(scale)
    factor = calibration_factor(sd, error)
    assert factor == pytest.approx(scale, rel=0.06)
    better = calibrated(sd, factor)
    assert coverage(better, error) == pytest.approx(0.95, abs=0.015)
    assert expected_calibration_error(better, error) < 0.08 * np.sqrt(np.mean(error**2))
    if scale != 1.0:
        assert expected_calibration_error(sd, error) > 4 * expected_calibration_error(better, error)


def test_a_few_wild_errors_do_not_move_the_factor():
    sd, error = errors(1.0)
    error[:40] = 3000.0
    assert calibration_factor(sd, error) == pytest.approx(1.0, rel=0.15)


def test_the_curve_rises_and_calibration_needs_pairs():
    sd, error = errors(1.0)
    said, seen = calibration_curve(sd, error)
    assert len(said) == 10 and (np.diff(said) > 0).all() and np.corrcoef(said, seen)[0, 1] > 0.98
    with pytest.raises(InvalidInputError, match="same voxels"):
        calibration_factor(sd, error[1:])
