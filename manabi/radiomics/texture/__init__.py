"""Texture: matrices of a discretised image, and the features of the matrices.

``features`` for one image, ``features_of_bands`` for several filtered versions of it at once (faster, same numbers).
Importing this package costs nothing heavy; numpy, numba and torch are imported on the first use.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from manabi.radiomics.texture.catalogue import IBSI, PYRADIOMICS, names
from manabi.radiomics.texture.options import AGGREGATIONS, FAMILIES, MODES, TextureOptions

if TYPE_CHECKING:
    import numpy as np

__all__ = [
    "AGGREGATIONS",
    "FAMILIES",
    "IBSI",
    "MODES",
    "PYRADIOMICS",
    "TextureOptions",
    "features",
    "features_of_bands",
    "names",
]


def features(
    levels: np.ndarray,
    spacing_mm: Sequence[float],
    options: TextureOptions,
    shape_mask: np.ndarray | None = None,
    engine: str | None = None,
) -> dict[str, float]:
    """The texture features of one discretised image.

    Args:
        levels: integers (slices, rows, columns), 0 outside the region of interest, 1..Ng inside.
        spacing_mm: (slice, row, column). Every distance in these families is in voxels, so it is only checked.
        options: mode, aggregation, families and neighbourhood.
        shape_mask: the morphological mask, to whose border gldzm measures; ``None``: the voxels with a level.
        engine: ``"numba"``, ``"numpy"``, ``"torch"`` or ``"torch:cuda"``; ``None`` takes the fastest that is ready.

    Returns:
        ``family_Name`` -> value, in the order of ``names``. A value that is not defined is NaN.

    Raises:
        InvalidInputError: no voxel has a level, levels are negative or not integers, there are more levels than can be
            tabulated, or ``shape_mask`` has another shape.
    """
    return features_of_bands({"": levels}, spacing_mm, options, shape_mask, engine)[""]


def features_of_bands(
    bands: Mapping[str, np.ndarray],
    spacing_mm: Sequence[float],
    options: TextureOptions,
    shape_mask: np.ndarray | None = None,
    engine: str | None = None,
    threads: int | None = None,
) -> dict[str, dict[str, float]]:
    """``features`` of every band, on several threads; the numbers do not depend on how many.

    Args:
        bands: name -> levels, as in ``features``; all of the same shape, for instance the eight bands of a wavelet.
        spacing_mm: as in ``features``.
        options: as in ``features``.
        shape_mask: as in ``features``.
        engine: as in ``features``.
        threads: how many to use; ``None`` takes as many as numba would, or the processors.

    Returns:
        name of the band -> features.

    Raises:
        InvalidInputError: as in ``features``.
    """
    from manabi.radiomics.texture.compute import compute

    return compute(bands, spacing_mm, options, shape_mask, engine, threads)
