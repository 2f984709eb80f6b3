"""Processing of the film: denser is brighter, windows, curves, detail and flattening."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from manabi.phantoms.radiograph_look import PATIENT, LookParameters, processed, sample_look, shown, windows

PLAIN = LookParameters(0.0, 100.0, 0.0, 0.5, 1.0, 0.0, 4.0, 0.0, 0.0, 0.0)


def ramp(size=256, low=1.0, high=4.0):
    """A film whose logarithm rises from left to right."""
    return torch.linspace(low, high, size)[None, None, :].repeat(1, size, 1)


def test_the_plain_look_is_minus_the_logarithm_over_its_window():
    logs = processed(torch.exp(-ramp()), [PLAIN], 1.5)
    torch.testing.assert_close(logs, ramp())
    film = shown(logs, windows(logs, [PLAIN]), [PLAIN])
    grey = film[0, 0]
    assert float(grey[0]) == 0.0
    assert (grey[1:] >= grey[:-1]).all()
    np.testing.assert_allclose(grey[4:-4], np.linspace(0, 1, 256)[4:-4], atol=0.03)


@pytest.mark.parametrize("steepness", [1.0, 4.0])
def test_a_curve_rises_and_is_steepest_in_its_middle(steepness):
    look = replace(PLAIN, steepness=steepness, middle=0.5)
    grey = shown(ramp(101, 0, 1), torch.tensor([[0.0, 1.0]]), [look])[0, 0]
    steps = grey.diff()
    assert (steps > 0).all()
    assert float(grey[0]) == pytest.approx(0, abs=1e-6)
    assert float(grey[-1]) == pytest.approx(1, abs=1e-6)
    assert int(steps.argmax()) in range(45, 56)
    assert float(grey[50]) == pytest.approx(0.5, abs=1e-3)


def test_gamma_is_a_power_of_the_grey_values():
    levels, logs = torch.tensor([[0.0, 1.0]]), ramp(11, 0, 1)
    one, two = (shown(logs, levels, [replace(PLAIN, gamma=g)]) for g in (1.0, 1.25))
    torch.testing.assert_close(two, one.pow(1.25))


def test_the_window_is_of_the_patient_and_not_of_the_air_around():
    logs = ramp()
    logs[:, :, :80] = 0.5 * PATIENT
    low, high = windows(logs, [PLAIN])[0].tolist()
    assert low == pytest.approx(float(ramp()[0, 0, 80]), abs=0.05)
    assert high == pytest.approx(4.0, abs=0.1)


def test_a_film_without_patient_still_has_a_window():
    low, high = windows(torch.zeros(1, 64, 64), [PLAIN])[0].tolist()
    assert low == high == 0.0
    assert torch.isfinite(shown(torch.zeros(1, 64, 64), torch.tensor([[0.0, 0.0]]), [PLAIN])).all()


def test_room_beyond_the_window_leaves_black_and_white_unused():
    logs = ramp()
    look = replace(PLAIN, below=0.1, above=0.3)
    film = shown(logs, windows(logs, [look]), [look])
    assert float(film.min()) == pytest.approx(0.1 / 1.4, abs=0.03)
    assert float(film.max()) == pytest.approx(1.1 / 1.4, abs=0.03)


def test_detail_raises_fine_structures_and_leaves_coarse_ones():
    size = 128
    line = torch.arange(size)
    fine, coarse = (2 + 0.1 * torch.cos(2 * torch.pi * line / period) for period in (4, 64))
    for wave, low, high in ((fine, 1.9, 2.1), (coarse, 0.95, 1.15)):
        signal = torch.exp(-wave)[None, None, :].repeat(1, size, 1)
        logs = processed(signal, [replace(PLAIN, detail=1.0, detail_mm=4.0)], 1.5)
        assert low < float((logs[0, 64, 16:-16] - 2).abs().max()) / 0.1 < high


def test_flattening_takes_off_the_coarse_part_and_keeps_the_fine_one():
    wave = ramp(128) + 0.1 * torch.cos(torch.pi * torch.arange(128.0))
    logs = processed(torch.exp(-wave), [replace(PLAIN, flatten=0.5)], 1.5)[0, 64]
    slope = float((logs[100:104].mean() - logs[20:24].mean()) / (ramp(128)[0, 0, 102] - ramp(128)[0, 0, 22]))
    assert slope == pytest.approx(0.5, abs=0.08)
    assert float((logs[60] - logs[61]).abs()) == pytest.approx(0.2, abs=0.03)


def test_each_film_has_its_own_look():
    looks = [PLAIN, replace(PLAIN, gamma=2.0)]
    logs = ramp().repeat(2, 1, 1)
    film = shown(logs, windows(logs, looks), looks)
    torch.testing.assert_close(film[1], film[0].square())


def test_the_held_out_domains_curves_are_straighter():
    rng = np.random.default_rng(0)
    training = [sample_look(rng).steepness for _ in range(50)]
    held_out = [sample_look(rng, "held_out").steepness for _ in range(50)]
    assert max(held_out) <= min(training)
