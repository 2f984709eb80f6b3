import numpy as np
import pytest

from manabi.brain.refine import Refinement, refined


@pytest.fixture
def ball():
    """A bright ball in dark surroundings with noise, and a blurred guess of where it is."""
    from scipy.ndimage import gaussian_filter

    k, j, i = np.indices((30, 32, 34))
    truth = (k - 15) ** 2 + (j - 16) ** 2 + (i - 17) ** 2 < 81
    notch = truth & (np.abs(i - 17) < 2) & (j > 16)
    truth &= ~notch
    image = np.where(truth, 0.7, 0.3) + np.random.default_rng(0).normal(0, 0.05, truth.shape)
    guess = gaussian_filter(truth.astype(float), 2.5)
    return image.astype(np.float32), np.stack([1 - guess, guess]).astype(np.float32), truth


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


@pytest.mark.parametrize("contrast", [1.0, -1.0, 0.1])
def test_borders_become_those_of_the_image_whatever_its_contrast(ball, contrast):
    image, guess, truth = ball
    found = refined(contrast * image, guess, Refinement())
    assert dice(found[1] > found[0], truth) > 0.97 > dice(guess[1] > guess[0], truth)


def test_probabilities_sum_to_one_and_the_prior_is_not_changed(ball):
    image, guess, _ = ball
    before = guess.copy()
    found = refined(image, guess, Refinement())
    np.testing.assert_allclose(found.sum(0), 1.0, atol=1e-4)
    np.testing.assert_array_equal(guess, before)


def test_far_from_structures_and_without_weight_nothing_changes(ball):
    image, guess, _ = ball
    found = refined(image, guess, Refinement())
    np.testing.assert_array_equal(found[:, 0, 0, 0], guess[:, 0, 0, 0])
    assert refined(image, guess, Refinement(weight=0.0)) is guess


def test_a_bright_scalp_does_not_crowd_the_structures(ball):
    image, guess, truth = ball
    bright = image.copy()
    bright[:, :3] = 40.0
    found = refined(bright, guess, Refinement())
    assert dice(found[1] > found[0], truth) > 0.97


def test_a_structure_that_is_hardly_there_keeps_its_prior_against_others(ball):
    image, guess, _ = ball
    rare = np.concatenate([guess * 0.999, np.full((1, *image.shape), 0.001, np.float32)])
    found = refined(image, rare, Refinement())
    assert np.isfinite(found).all()
    assert (found.argmax(0) != 2).all()
