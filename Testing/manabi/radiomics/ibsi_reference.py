"""The reference values of IBSI 1 and what this project computes for each of their rows."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from manabi.radiomics.extract import extract
from manabi.radiomics.names import split, table
from manabi.radiomics.prepare import prepare
from manabi.radiomics.presets import preset
from manabi.radiomics.region import box_of
from manabi.radiomics.resample import alignments, resampled
from manabi.radiomics.settings import ExtractionSettings
from manabi.radiomics.texture.options import FAMILIES
from manabi.volume import Volume

FLAT = ("2d_avg", "2d_comb", "2_5d_avg", "2_5d_comb")
SOLID = ("3d_avg", "3d_comb")
AGGREGATIONS = {"digital": (*FLAT, *SOLID), "a": FLAT, "b": FLAT, "c": SOLID, "d": SOLID, "e": SOLID}
AXES = ("z", "y", "x")
Find = Callable[[str], Path]


def load(case: str, data_folder: Find) -> tuple[Volume, Volume]:
    """Image and mask of a phantom."""
    import SimpleITK as sitk

    folder = "ibsi1_digital_phantom" if case == "digital" else "ibsi1_ct_phantom"
    paths = (f"radiomics/{folder}/image/phantom.nii.gz", f"radiomics/{folder}/mask/mask.nii.gz")
    image, mask = (Volume.from_sitk(sitk.ReadImage(str(data_folder(path)))) for path in paths)
    return image, mask


def references(case: str, data_folder: Find) -> dict[str, tuple[float, float]]:
    """Tag -> reference value and tolerance; rows without a value are left out, as IBSI has none for them."""
    name = "ibsi_1_dig_phantom.csv" if case == "digital" else f"ibsi_1_chest_config_{case}.csv"
    with data_folder(f"radiomics/ibsi1_reference/{name}").open() as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    return {row["tag"]: (float(row["reference value"]), float(row["tolerance"])) for row in rows if row["tolerance"]}


def features(case: str, data_folder: Find, texture: bool = True) -> dict[str, float]:
    """Tag -> value of every feature of a case; texture in every aggregation that has reference values."""
    image, mask = load(case, data_folder)
    settings = preset(f"ibsi-{case}")
    matrices = FAMILIES["ibsi"]
    others = tuple(f for f in settings.families if f not in matrices)
    found = _tagged(extract(image, mask, replace(settings, families=others)).as_dict(), "")
    for aggregation in AGGREGATIONS[case] if texture else ():
        asked = replace(settings, families=matrices, aggregation=aggregation)
        found |= _tagged(extract(image, mask, asked).as_dict(), aggregation.replace("5d", "5D").replace("d_", "D_"))
    return found


def _tagged(values: dict[str, float], aggregation: str) -> dict[str, float]:
    """Values by IBSI's tags, with the aggregation as its tables write it."""
    found = {}
    for full, value in values.items():
        known = table()[split(full)[1]]
        suffix = aggregation if known.family in ("glcm", "glrlm") else aggregation.rpartition("_")[0]
        found[f"{known.tag}_{suffix}" if suffix else known.tag] = value
    return found


def diagnostics(case: str, data_folder: Find) -> dict[str, float]:
    """Tag -> value of every step of the chain."""
    image, mask = load(case, data_folder)
    settings = preset(f"ibsi-{case}")
    ready = prepare(image, mask, settings)
    inside = mask.array == 1
    spacing = tuple(image.spacing_mm[::-1].tolist())
    whole = _whole(image, spacing, settings)
    box = box_of(inside)
    found = _image(image.array, spacing, "init") | _image(whole, ready.spacing_mm, "interp")
    found |= _roi(inside[box], inside[box], image.array[box], image.shape, "init")
    region = ready.region
    found |= _roi(region.shape_mask, region.shape_mask, region.values, whole.shape, "interp")
    return found | _roi(region.mask, region.shape_mask, region.values, whole.shape, "reseg")


def _whole(image: Volume, spacing: tuple[float, ...], settings: ExtractionSettings) -> np.ndarray:
    """The whole image after interpolation and rounding."""
    axes = alignments(image.shape, spacing, settings.resample_mm or (None, None, None))
    box = tuple(slice(0, axis.new_size) for axis in axes)
    return np.rint(resampled(image.array, axes, box, settings.interpolator))


def _image(values: np.ndarray, spacing: tuple[float, ...], step: str) -> dict[str, float]:
    """Size, spacing and range of an image."""
    found = {f"img_dim_{axis}_{step}_img": float(n) for axis, n in zip(AXES, values.shape, strict=True)}
    found |= {f"vox_dim_{axis}_{step}_img": mm for axis, mm in zip(AXES, spacing, strict=True)}
    return found | {f"{what}_int_{step}_img": float(getattr(values, what)()) for what in ("mean", "min", "max")}


def _roi(
    mask: np.ndarray, shape_mask: np.ndarray, values: np.ndarray, shape: tuple[int, ...], step: str
) -> dict[str, float]:
    """Size, box and range of a region."""
    found = {f"int_mask_dim_{axis}_{step}_roi": float(n) for axis, n in zip(AXES, shape, strict=True)}
    for name, one in (("int", mask), ("morph", shape_mask)):
        box = box_of(one)
        found |= {f"{name}_mask_bb_dim_{a}_{step}_roi": float(s.stop - s.start) for a, s in zip(AXES, box, strict=True)}
        found[f"{name}_mask_vox_count_{step}_roi"] = float(one.sum())
    inside = values[mask]
    return found | {
        f"int_mask_{what}_int_{step}_roi": float(getattr(inside, what)()) for what in ("mean", "min", "max")
    }


def failures(found: dict[str, float], wanted: dict[str, tuple[float, float]]) -> list[str]:
    """Rows that fail the pass rule: rounded to three digits, no further from the reference than the tolerance.

    Counts and maxima are given with more digits; there the value itself is compared.
    """
    failed = []
    for tag, (reference, tolerance) in wanted.items():
        value = found.get(tag, float("nan"))
        rounded = float(f"{value:.2e}") if np.isfinite(value) else value
        off = min(abs(rounded - reference), abs(value - reference))
        if not off <= tolerance * (1 + 1e-9) + 1e-9 * abs(reference):
            failed.append(f"{tag}: {value:g} against {reference:g} ± {tolerance:g}")
    return failed
