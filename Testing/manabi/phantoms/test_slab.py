"""The grid of phantoms that are scanned in slices: painted places and the image's geometry are the same places."""

from __future__ import annotations

import numpy as np
import pytest

from manabi.phantoms.head_neck_parameters import Grid as HeadGrid
from manabi.phantoms.pelvis_parameters import Grid as PelvisGrid
from manabi.phantoms.pelvis_parameters import Setup
from manabi.phantoms.slab import axes, matrix, slices


@pytest.mark.parametrize("kind", [HeadGrid, PelvisGrid])
@pytest.mark.parametrize("subslices", [1, 3])
def test_the_middle_of_the_painted_planes_is_where_the_slice_lies(kind, subslices):
    grid = kind(pixel_mm=2.0, matrix=50, slice_mm=5.0, length_mm=60.0, top_mm=40.0, subslices=subslices)
    setup = Setup(place_mm=(3.0, -4.0, 7.0))
    x, y, z = axes(grid, setup)
    assert slices(grid) == 13 and len(z) == 13 * subslices and len(x) == len(y) == 50
    heights = z.reshape(-1, subslices).mean(1).numpy()
    places = matrix(grid, setup)
    i, j, k = 10, 20, 4
    world = places @ np.array([i, j, k, 1.0])
    # columns run to the left, rows to the back; the patient was moved by place_mm
    assert world[0] == pytest.approx(float(x[49 - i]) + 3.0) and world[1] == pytest.approx(float(y[49 - j]) - 4.0)
    assert world[2] == pytest.approx(heights[k] + 7.0, abs=1e-4)
