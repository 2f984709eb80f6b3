"""A box is filtered as the whole image is, at the cost of the box; and what no filter may do."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from radiomics_filters_cases import EVERY

from manabi.errors import InvalidInputError
from manabi.radiomics.filters import FilterSpec, apply
from manabi.radiomics.filters.boundary import sources
from manabi.radiomics.filters.spec import BOUNDARIES, PARAMETERS

SPACING = (2.0, 1.0, 1.0)
SHAPE = (13, 18, 17)
BOXES = (
    (slice(4, 9), slice(6, 11), slice(7, 12)),
    (slice(0, 3), slice(14, 18), slice(0, 17)),
    (slice(12, 13), slice(0, 1), slice(16, 17)),
)
IMAGE = np.rint(np.random.default_rng(3).normal(scale=100, size=SHAPE)).astype(np.int16)
BOUNDED = [text for text in EVERY if "boundary" in PARAMETERS[FilterSpec.parse(text).kind, FilterSpec.parse(text).mode]]


@pytest.mark.parametrize("text", [*EVERY, *(f"{t},boundary={b}" for t in BOUNDED for b in BOUNDARIES[:3])])
def test_a_box_equals_that_part_of_the_whole(text: str):
    spec = FilterSpec.parse(text)
    before = IMAGE.copy()
    every = apply(IMAGE, SPACING, spec)
    for box in BOXES:
        part = apply(IMAGE, SPACING, spec, box)
        assert list(part) == list(every)
        for name, response in part.items():
            assert "_" not in name and response.flags.c_contiguous and response.flags.writeable
            np.testing.assert_allclose(response, every[name][box], rtol=0, atol=1e-12 * np.abs(every[name]).max())
    assert np.array_equal(IMAGE, before)


@pytest.mark.parametrize("text", EVERY)
def test_strided_and_read_only_images_are_filtered_alike(text: str):
    wide = np.zeros((SHAPE[2], 2 * SHAPE[1], SHAPE[0]), np.int16)
    strided = wide[:, ::2].T
    strided[...] = IMAGE
    strided.flags.writeable = False
    wanted = apply(IMAGE, SPACING, FilterSpec.parse(text))
    for name, response in apply(strided, SPACING, FilterSpec.parse(text)).items():
        np.testing.assert_array_equal(response, wanted[name])


@pytest.mark.parametrize("text", ["wavelet", "log:2", "log:2,mode=ibsi", "laws:L5E5E5,energy_distance=3", "mean:5"])
def test_memory_follows_the_box(text: str):
    image = np.broadcast_to(np.int16(7), (400, 512, 512))
    box = (slice(200, 210), slice(200, 210), slice(200, 210))
    apply(image, (1.0, 1.0, 1.0), FilterSpec.parse(text), box)
    tracemalloc.start()
    apply(image, (1.0, 1.0, 1.0), FilterSpec.parse(text), box)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8e6


@pytest.mark.parametrize(
    ("boundary", "numpy_mode"), [("nearest", "edge"), ("mirror", "symmetric"), ("periodize", "wrap")]
)
def test_boundaries_are_numpys(boundary: str, numpy_mode: str):
    for size in (1, 2, 5):
        assert sources(-9, size + 9, size, boundary).tolist() == np.pad(np.arange(size), 9, numpy_mode).tolist()


def test_bad_input_is_refused():
    spec = FilterSpec.parse("mean:3")
    for array in (np.zeros((4, 4)), np.zeros((4, 4, 4), complex), np.zeros((0, 4, 4))):
        with pytest.raises(InvalidInputError, match="real volume"):
            apply(array, SPACING, spec)
    with pytest.raises(InvalidInputError, match="spacing_mm"):
        apply(IMAGE, (1.0, 0.0, 1.0), spec)
    inside = slice(0, 2)
    for side in (slice(0, 99), slice(3, 3), slice(-2, 4), slice(0, 4, 2), slice(None)):
        with pytest.raises(InvalidInputError, match="box"):
            apply(IMAGE, SPACING, spec, (side, inside, inside))
