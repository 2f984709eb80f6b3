"""Acceptance check 19 of the survey of Slicer's users: hydrocephalus; three corrected slices, rerun, it improves.

Checks 17 and 18 (painted slices and other segments stay byte-identical; coronal slices, oversampled and oblique
geometry) are in ``Testing/BrainSeg/test_brain_propagate.py``.
"""

from __future__ import annotations

import numpy as np
import pytest

from manabi import registry
from manabi.context import Context
from manabi.phantoms.base import case_rng

VENTRICLES = 6


@pytest.fixture(scope="module")
def wide():
    """A simulated head with hydrocephalus, and where its ventricles are."""
    phantom = registry.phantom("brain")
    case = phantom.render(phantom.sample_parameters(case_rng(5, 0), voxel_mm=3.0, pathology="hydrocephalus"))
    return case.volumes["t1"], np.asarray(case.labelmaps["structures"].volume.array) == VENTRICLES


def automatic(kind, image, truth):
    """The model's own ventricles, or those of a model that knows narrow ones only."""
    if kind == "narrow":
        from scipy.ndimage import binary_erosion

        return binary_erosion(truth)
    found = registry.method("brain").run(image, {"structures": "ventricles"}, Context(device="cpu"))
    return np.asarray(found.labelmaps["structures"].volume.array) == VENTRICLES


@pytest.mark.parametrize("kind", ["narrow", "model"])
def test_three_corrected_slices_improve_the_rest_of_an_abnormal_brain(wide, kind):
    image, truth = wide
    start = automatic(kind, image, truth)
    slices = np.flatnonzero(truth.any((1, 2)))
    corrected = slices[[len(slices) // 4, len(slices) // 2, 3 * len(slices) // 4]]
    painted = np.zeros(truth.shape, np.uint8)
    painted[corrected] = truth[corrected]
    inputs = {
        "image": image,
        "painted": image.like(painted, modality="SEG"),
        "start": image.like(start.astype(np.uint8), modality="SEG"),
    }
    result = registry.method("brain").run(inputs, {"task": "propagate"}, Context(device="cpu"))
    found = np.asarray(result.labelmaps["propagated"].volume.array) == 1
    assert np.array_equal(found[corrected], truth[corrected])
    rest = np.delete(np.arange(len(truth)), corrected)
    before, after = (2 * (a[rest] & truth[rest]).sum() / (a[rest].sum() + truth[rest].sum()) for a in (start, found))
    assert after > before + 0.05
    assert after > 0.85
