"""Every texture row of the IBSI 1 digital phantom, in all six aggregations."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from manabi.radiomics.texture import AGGREGATIONS, IBSI, TextureOptions, features


@pytest.fixture(scope="module")
def phantom(data_folder):
    import SimpleITK as sitk

    folder = data_folder("radiomics/ibsi1_digital_phantom")
    image, mask = (
        sitk.GetArrayFromImage(sitk.ReadImage(str(folder / name)))
        for name in ("image/phantom.nii.gz", "mask/mask.nii.gz")
    )
    return np.where(mask > 0, image, 0).astype(np.int32)


@pytest.fixture(scope="module")
def reference(data_folder):
    with data_folder("radiomics/ibsi1_reference/ibsi_1_dig_phantom.csv").open() as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    return {row["tag"]: (float(row["reference value"]), float(row["tolerance"])) for row in rows if row["tolerance"]}


def test_every_texture_row_of_the_reference_has_a_name(reference):
    families = ("cm_", "rlm_", "szm_", "dzm_", "ngt_", "ngl_")
    rows = {tag for tag in reference if tag.startswith(families)}
    named = {tag + suffix for a in AGGREGATIONS for tag, suffix in _tags(a)}
    assert len(rows) == 408
    assert rows == named


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_the_digital_phantom_has_the_reference_values(aggregation, phantom, reference):
    found = features(phantom, (2, 2, 2), TextureOptions(aggregation=aggregation), engine="numpy")
    tags = dict(_tags(aggregation))
    missed = {}
    for family, features_of_family in IBSI.items():
        for name, tag in features_of_family.items():
            value, tolerance = reference[tag + tags[tag]]
            rounded = float(f"{found[f'{family}_{name}']:.3g}")
            if not abs(rounded - value) <= tolerance + 1e-9 * abs(value):
                missed[f"{family}_{name}"] = (rounded, value)
    assert not missed


def _tags(aggregation: str) -> list[tuple[str, str]]:
    """Each tag of the catalogue with its suffix in the reference table."""
    dimension, merge = aggregation.rsplit("_", 1)
    suffix = "_" + dimension.replace("d", "D")
    return [
        (tag, f"{suffix}_{merge}" if family in ("glcm", "glrlm") else suffix)
        for family, names in IBSI.items()
        for tag in names.values()
    ]
