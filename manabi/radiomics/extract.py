"""From an image, a mask and settings to named feature values."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from manabi.errors import InvalidInputError
from manabi.radiomics.discretise import Levels
from manabi.radiomics.families import grey_levels, value_features
from manabi.radiomics.features import FeatureSet
from manabi.radiomics.prepare import Prepared, prepare
from manabi.radiomics.region import Region
from manabi.radiomics.settings import ExtractionSettings
from manabi.radiomics.threads import mapping
from manabi.result import Labelmap
from manabi.volume import Volume

VERSIONED = ("manabi", "numpy", "scipy", "SimpleITK", "numba", "PyWavelets")
"""Packages whose versions are recorded: they compute."""
ORIGINAL = "original"
FEW_LEVELS = 4
"""Fewer grey levels than this get a warning (our choice): the bin width is another modality's."""
BANDS = 8
"""Images that a filter makes, about: a wavelet's."""
WHOLE_MM = 1e5
"""A margin that holds any image: some filters read all of it."""


def extract(
    volume: Volume, mask: Volume | Labelmap, settings: ExtractionSettings | None = None, label: int = 1
) -> FeatureSet:
    """All features that the settings ask for, of one label.

    Args:
        volume: the image.
        mask: labels on the image's grid.
        settings: see :class:`ExtractionSettings`; None stands for the preset ``default``.
        label: which label of the mask.

    Returns:
        The features, in the order: images as the filters give them, families as the settings name them.

    Raises:
        GeometryError: mask and image lie on different grids, or the image's axes are not perpendicular.
        InvalidInputError: there is no such label, or nothing of it is left; see :func:`manabi.radiomics.prepare`.
        DependencyError: the engine pyradiomics is asked for and not installed.
    """
    if settings is None:
        from manabi.radiomics.presets import preset

        settings = preset("default")
    if settings.engine == "pyradiomics":
        from manabi.radiomics.engine_pyradiomics import extract_with_pyradiomics

        return extract_with_pyradiomics(volume, mask, settings, label)
    ready = prepare(volume, mask, settings, label, _margin_mm(volume, settings))
    found, warnings = _features(ready, settings)
    return FeatureSet.of(found, settings, versions(), (*ready.warnings, *warnings))


@lru_cache(maxsize=1)
def versions() -> tuple[tuple[str, str], ...]:
    """Name and version of Python and of the packages that compute."""
    found = [("python", platform.python_version())]
    for package in VERSIONED:
        try:
            found.append((package, version(package)))
        except PackageNotFoundError:
            continue
    return tuple(found)


def _margin_mm(volume: Volume, settings: ExtractionSettings) -> float:
    """How much of a resampled image round the region the filters need; without resampling they see the whole image."""
    if not settings.filters or settings.resample_mm is None:
        return 0.0
    spacing = settings.spacing_after(tuple(volume.spacing_mm[::-1].tolist()))
    reach = import_module("manabi.radiomics.filters.spec").reach_mm
    return min(max(reach(spec, spacing) for spec in settings.filters), WHOLE_MM)


@dataclass(frozen=True)
class _Band:
    """One image of the region: its grey levels and the features of its values; None where it has no values."""

    region: Region
    levels: Levels
    values: dict[str, float]


def _features(ready: Prepared, settings: ExtractionSettings) -> tuple[dict[str, float], tuple[str, ...]]:
    """Values by full name, and warnings about what is not to be had."""
    bands: dict[str, tuple[Region, Levels]] = {}
    found: dict[str, dict[str, float]] = {}
    warnings: list[str] = []
    images = int(settings.original) + BANDS * len(settings.filters)
    with mapping(values=images * int(np.count_nonzero(ready.region.mask))) as each:
        done = list(each(lambda image: (image[0], *_band(ready, settings, *image)), _images(ready, settings)))
    for name, band, said in done:
        warnings += said
        if band is not None:
            bands[name], found[name] = (band.region, band.levels), band.values
    for name, texture in _texture(bands, settings).items():
        found[name] |= texture
    flat = {f"{image}_{name}": value for image, values in found.items() for name, value in values.items()}
    if not flat:
        raise InvalidInputError("No image is left to extract from: every filter reached voxels without a value.")
    return flat, tuple(warnings)


def _band(
    ready: Prepared, settings: ExtractionSettings, name: str, values: np.ndarray
) -> tuple[_Band | None, tuple[str, ...]]:  # fmt: skip
    """What is computed of one image before its texture, and warnings about it."""
    native = values[ready.region.mask]
    if not np.isfinite(native).all():
        return None, (f"{name}: the filter reached voxels without a finite value; its features are left out.",)
    region = ready.region.with_values(values)
    levels = grey_levels(native, settings, name == ORIGINAL)
    said = _coarse(native, levels) if name == ORIGINAL else ()
    return _Band(region, levels, value_features(ready, region, levels, settings, name == ORIGINAL)), said


def _coarse(native: np.ndarray, levels: Levels) -> tuple[str, ...]:
    """A warning where different values fall into so few grey levels that there is no texture left."""
    if native.min() == native.max() or levels.count >= FEW_LEVELS:
        return ()
    many = f"{levels.count} grey level{'s' if levels.count > 1 else ''}"
    return (
        f"Values from {native.min():g} to {native.max():g} fall into {many}; texture says little. Choose a smaller bin "
        "width, or a number of bins.",
    )


def _images(ready: Prepared, settings: ExtractionSettings) -> Iterator[tuple[str, np.ndarray]]:
    """Name and box of the original image and of every filter's responses, one filter at a time."""
    if settings.original:
        yield ORIGINAL, ready.image[ready.box]
    for spec in settings.filters:
        responses = import_module("manabi.radiomics.filters").apply(
            ready.image, ready.spacing_mm, spec, box=ready.box
        )  # fmt: skip
        yield from ((n, r) for n, r in responses.items() if n != ORIGINAL or not settings.original)


def _texture(bands: dict[str, tuple[Region, Levels]], settings: ExtractionSettings) -> dict[str, dict[str, float]]:
    """Texture features of every image; images with the same number of levels, if that counts, go together."""
    if not settings.texture_families or not bands:
        return {}
    texture = import_module("manabi.radiomics.texture")
    found: dict[str, dict[str, float]] = {}
    counted = settings.mode == "ibsi"
    for count in dict.fromkeys(levels.count if counted else None for _, levels in bands.values()):
        group = {n: pair for n, pair in bands.items() if not counted or pair[1].count == count}
        region = next(iter(group.values()))[0]
        painted = {n: levels.painted(region.mask) for n, (region, levels) in group.items()}
        options = settings.texture_options(count)
        found |= texture.features_of_bands(painted, region.spacing_mm, options, region.shape_mask)
    return found
