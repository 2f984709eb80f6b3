"""Memory is bounded by the region: a far larger image round it costs a byte or two per voxel, for its mask."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from manabi.radiomics.extract import extract
from manabi.radiomics.filters.spec import FilterSpec
from manabi.radiomics.presets import preset
from manabi.volume import Volume

WAVELETS, IBSI = preset("paper-744"), preset("default")
SETTINGS = {
    "744 wavelet features": WAVELETS,
    "744 wavelet features, resampled": replace(WAVELETS, resample_mm=1.5, interpolator="cubic"),
    "pyradiomics' LoG": replace(WAVELETS, filters=(FilterSpec("log", mode="pyradiomics", sigma_mm=2.0),)),
    "IBSI's wavelet": replace(IBSI, resample_mm=None, filters=(FilterSpec("wavelet", mode="ibsi", bands=("LLH",)),)),
    "IBSI's LoG, resampled": replace(IBSI, resample_mm=1.5, filters=(FilterSpec("log", mode="ibsi", sigma_mm=1.5),)),
    "IBSI 1, configuration E": preset("ibsi-e"),
}


def tumour(slices):
    """A region of 2,000 voxels near the feet, in an image of as many slices."""
    image = np.zeros((slices, 96, 96), np.float32)
    image[:40] = np.random.default_rng(0).normal(0, 100, (40, 96, 96))
    mask = np.zeros(image.shape, np.uint8)
    mask[15:25, 40:54, 40:54] = 1
    volume = Volume(image, np.eye(4))
    return volume, volume.like(mask)


def peak(volume, mask, settings):
    """Bytes that an extraction takes at most; NumPy reports its arrays."""
    tracemalloc.start()
    try:
        extract(volume, mask, settings)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", SETTINGS)
def test_an_image_six_times_as_large_takes_no_more_but_for_its_mask(name):
    small, large = tumour(48), tumour(288)
    peak(*small, SETTINGS[name])  # imports, plans of transforms
    more = peak(*large, SETTINGS[name]) - peak(*small, SETTINGS[name])
    voxels = large[0].array.size - small[0].array.size
    assert more < 3.0 * voxels  # the image in float64 is 8 bytes per voxel, its eight wavelet bands are 64
