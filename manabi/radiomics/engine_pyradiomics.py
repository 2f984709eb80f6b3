"""pyradiomics itself as the engine: the same settings, its own computation, the same form of answer.

van Griethuysen et al., Computational radiomics system to decode the radiographic phenotype, Cancer Research 2017,
DOI 10.1158/0008-5472.CAN-17-0339. It is never needed: mode pyradiomics computes the same values without it.
"""

from __future__ import annotations

import logging
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np

from manabi.errors import DependencyError, InvalidInputError
from manabi.radiomics.extract import versions
from manabi.radiomics.features import FeatureSet
from manabi.radiomics.prepare import on_one_grid
from manabi.radiomics.settings import ExtractionSettings
from manabi.result import Labelmap
from manabi.volume import Volume

INTERPOLATORS = {"nearest": "sitkNearestNeighbor", "linear": "sitkLinear", "cubic": "sitkBSpline"}


def extract_with_pyradiomics(
    volume: Volume, mask: Volume | Labelmap, settings: ExtractionSettings, label: int = 1
) -> FeatureSet:
    """As :func:`manabi.radiomics.extract.extract`, computed by the installed pyradiomics.

    Raises:
        DependencyError: it is not installed.
        InvalidInputError: it refuses the region; its own words are in the message.
    """
    radiomics = _package()
    image, labels, warnings = on_one_grid(volume, mask, settings)
    extractor = _extractor(settings)
    one = volume.like(np.where(labels == label, 1, 0).astype(np.uint8)).to_sitk()
    try:
        found = extractor.execute(image.to_sitk(), one, label=1)
    except ValueError as error:
        raise InvalidInputError(f"pyradiomics refuses label {label}: {error}") from error
    values = {name: float(v) for name, v in found.items() if not name.startswith("diagnostics")}
    return FeatureSet.of(values, settings, (*versions(), ("pyradiomics", radiomics.__version__)), warnings)


def _package() -> ModuleType:
    """The installed pyradiomics, told to keep quiet."""
    try:
        radiomics = import_module("radiomics")
        import_module("radiomics.featureextractor")
    except ImportError as error:
        raise DependencyError(
            "The engine pyradiomics needs the package pyradiomics, which is not installed here. Set engine to manabi, "
            "which computes the same values, or install it: pip install pyradiomics (Python 3.11 or older)."
        ) from error
    radiomics.setVerbosity(logging.ERROR)
    return radiomics


def _extractor(settings: ExtractionSettings) -> Any:
    """pyradiomics' extractor with these settings."""
    extractor = import_module("radiomics.featureextractor").RadiomicsFeatureExtractor(**_options(settings))
    extractor.disableAllFeatures()
    for family in settings.families:
        extractor.enableFeatureClassByName(family)
    extractor.disableAllImageTypes()
    if settings.original:
        extractor.enableImageTypeByName("Original")
    for spec in settings.filters:
        name, arguments = spec.to_pyradiomics()
        extractor.enableImageTypeByName(name, customArgs=arguments)
    return extractor


def _options(settings: ExtractionSettings) -> dict[str, Any]:
    """The settings under pyradiomics' names."""
    options: dict[str, Any] = {
        "distances": [settings.distance],
        "gldm_a": settings.alpha,
        "voxelArrayShift": settings.energy_shift,
        "additionalInfo": False,
        "minimumROIDimensions": 1,
    }
    if settings.bin_count is not None:
        options["binCount"] = settings.bin_count
    else:
        options["binWidth"] = settings.bin_width
    if settings.resample_axes is not None:
        options["resampledPixelSpacing"] = [s or 0 for s in settings.resample_axes[::-1]]
        options["interpolator"] = INTERPOLATORS[settings.interpolator]
    if settings.resegment_hu is not None:
        low, high = settings.resegment_hu
        options["resegmentRange"] = [-np.inf if low is None else low, np.inf if high is None else high]
    if settings.outlier_sigma is not None:
        options |= {"resegmentRange": [-settings.outlier_sigma, settings.outlier_sigma], "resegmentMode": "sigma"}
    if settings.normalise_scale is not None:
        options |= {"normalize": True, "normalizeScale": settings.normalise_scale}
    return options
