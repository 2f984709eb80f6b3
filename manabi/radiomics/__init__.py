"""Radiomics: features of a region of an image, and models of patients that hold on the next patient.

:func:`manabi.radiomics.extract.extract` gives named features by the conventions of IBSI or of pyradiomics. Importing
this package costs nothing heavy; what computes is imported on the first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from manabi.radiomics.features import FeatureSet
    from manabi.radiomics.presets import PRESETS, preset
    from manabi.radiomics.settings import ExtractionSettings

__all__ = ["PRESETS", "ExtractionSettings", "FeatureSet", "preset"]

_HOMES = {
    "FeatureSet": "manabi.radiomics.features",
    "PRESETS": "manabi.radiomics.presets",
    "preset": "manabi.radiomics.presets",
    "ExtractionSettings": "manabi.radiomics.settings",
}


def __getattr__(name: str) -> Any:
    """The public name from its file, imported when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
