"""Features as tables, tidy (a row per segment and feature) and wide (a row per segment), with settings and versions."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

from manabi.radiomics import names as naming
from manabi.radiomics.features import FeatureSet
from manabi.radiomics.measure import SECOND, Measured
from manabi.result import Cell, Plot, Table

TIDY = (
    "segment", "label", "image", "filter", "family", "feature", "value", "unit", "ibsi", "settings_preset",
    "settings_mode", "settings_sha256", "version_manabi",
)  # fmt: skip
KEY_FEATURES = (
    ("volume_ml", ""),
    ("mean_intensity", "original_firstorder_Mean"),
    ("variance_intensity", "original_firstorder_Variance"),
    ("entropy", "original_firstorder_Entropy"),
    ("entropy", "original_histogram_Entropy"),
    ("sphericity", "original_shape_Sphericity"),
    ("max_diameter_mm", "original_shape_Maximum3DDiameter"),
    ("surface_cm2", "original_shape_SurfaceArea"),
    ("glcm_contrast", "original_glcm_Contrast"),
    ("glcm_joint_entropy", "original_glcm_JointEntropy"),
    ("glszm_large_area_emphasis", "original_glszm_LargeAreaEmphasis"),
    ("glrlm_run_entropy", "original_glrlm_RunEntropy"),
    ("ngtdm_coarseness", "original_ngtdm_Coarseness"),
)
"""What a reader looks at first, by its name in the measurements (our choice); each mode has one of the entropies."""
MODALITY, UNKNOWN = "settings_modality", "unknown"
"""Column with the modality of the first image, from which a fitted model knows its images; its word where the file
says nothing."""
SCALE = {"surface_cm2": 0.01}


def number(value: float) -> float | None:
    """The value, or None where it is undefined: its reason is among the warnings."""
    return float(value) if math.isfinite(value) else None


def tidy_table(measured: Sequence[Measured], preset: str) -> Table:
    """A row per segment and feature."""
    rows: list[tuple[Cell, ...]] = []
    for one in measured:
        made = one.features
        tail = (preset, made.settings.mode, made.settings.digest(), dict(made.versions).get("manabi", ""))
        for full, value in zip(made.names, made.values.tolist(), strict=True):
            second = full.startswith(SECOND)
            image, name = naming.split(full.removeprefix(SECOND))
            known = naming.lookup(name)
            tag = known.tag if made.settings.mode == "ibsi" and image == "original" else ""
            where = (one.segment.name, one.segment.label, "second" if second else "image", image, known.family)
            rows.append((*where, full, number(value), known.unit, tag or "none", *tail))
    return Table(TIDY, tuple(rows))


def wide_table(measured: Sequence[Measured], preset: str, modality: str | None = None) -> Table:
    """A row per segment: volume, every feature, then settings and versions.

    The columns after the features begin with ``settings_`` and ``version_``, which the tables of a cohort leave out.
    """
    first = measured[0].features
    beside = [_beside(one.features, preset) | {MODALITY: modality or UNKNOWN} for one in measured]
    columns = ("segment", "settings_label", "settings_voxels", "volume_ml", *first.names, *beside[0])
    rows: list[tuple[Cell, ...]] = []
    for one, tail in zip(measured, beside, strict=True):
        values = dict(zip(one.features.names, one.features.values.tolist(), strict=True))
        head = (one.segment.name, one.segment.label, one.voxels, round(one.volume_ml, 6))
        rows.append((*head, *(number(values.get(n, math.nan)) for n in first.names), *tail.values()))
    return Table(columns, tuple(rows))


def _beside(features: FeatureSet, preset: str) -> dict[str, Cell]:
    """Settings and versions by column."""
    settings = features.settings
    return {
        "settings_preset": preset,
        "settings_mode": settings.mode,
        "settings_engine": settings.engine,
        "settings_sha256": settings.digest(),
        "settings_json": json.dumps(settings.to_dict(), separators=(",", ":")),
        **{f"version_{name}": value for name, value in features.versions},
    }


def key_numbers(one: Measured) -> dict[str, float | None]:
    """The features that a reader looks at first; what was not extracted is left out."""
    values = one.features.as_dict()
    found: dict[str, float | None] = {}
    for name, full in KEY_FEATURES:
        if not full:
            found[name] = round(one.volume_ml, 4)
        elif full in values:
            value = number(values[full])
            found[name] = None if value is None else float(f"{value * SCALE.get(name, 1.0):.6g}")
    return found


def key_table(measured: Sequence[Measured]) -> Table:
    """A row per segment with the few numbers that a reader looks at first."""
    numbers = [key_numbers(one) for one in measured]
    columns = tuple(dict.fromkeys(name for row in numbers for name in row))
    rows = [
        (one.segment.name, one.segment.label, *(row.get(name) for name in columns))
        for one, row in zip(measured, numbers, strict=True)
    ]
    return Table(("segment", "label", *columns), tuple(rows))


def measurements(measured: Sequence[Measured]) -> dict[str, Cell]:
    """Key numbers by segment; of the only segment without its name."""
    found: dict[str, Cell] = {"segments": len(measured), "features": len(measured[0].features.names)}
    for one in measured:
        tail = "" if len(measured) == 1 else f" ({one.segment.name})"
        found |= {f"{name}{tail}": value for name, value in key_numbers(one).items()}
    found["settings_sha256"] = measured[0].features.settings.digest()[:16]
    return found


def volumes_plot(measured: Sequence[Measured]) -> Plot:
    """Volumes of the segments as bars."""
    places = [float(k) for k in range(len(measured))]
    values = [round(one.volume_ml, 3) for one in measured]
    names = tuple(one.segment.name for one in measured)
    return Plot("Volume of the segments", "segment", "volume (mL)", {"volume": (places, values)}, "bar", names)
