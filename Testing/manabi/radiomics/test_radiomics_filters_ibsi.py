"""IBSI 2: every reference response map and every reference feature value; the sources are in the JSON's script."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ibsi_reference import load
from radiomics_filters_cases import FEATURES, MAPS, PHANTOMS, SIDE, SPACING

from manabi.radiomics.extract import extract
from manabi.radiomics.filters import FilterSpec, apply
from manabi.radiomics.names import split, table
from manabi.radiomics.settings import ExtractionSettings

REFERENCE = json.loads(Path(__file__).with_name("radiomics_filters_ibsi2.json").read_text())
LONG = tuple(row for row in FEATURES if row.endswith("B") and row != "3.B")
"""Filters in space on cubes of 1 mm take seconds; one of them stands for all where there is little time."""
MIDDLE = slice(22, 46)
"""Slices in which Gabor's responses are computed: all of them would take seconds."""
EVERYWHERE = (slice(0, SIDE), slice(0, SIDE))
POOLED = ("4_a_2", "4_b_2")
"""Gabor's responses across all three axes read the whole image and take seconds."""


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n in POOLED else n for n in MAPS])
def test_response_map_is_within_one_per_cent_of_the_range(name: str):
    phantom, text = MAPS[name]
    slices = MIDDLE if name in ("4_a_1", "4_b_1") else slice(0, SIDE)
    (response,) = apply(PHANTOMS[phantom](), SPACING, FilterSpec.parse(text), (slices, *EVERYWHERE)).values()
    wanted = REFERENCE["maps"][name]
    k, j, i = np.unravel_index(wanted["places"], (SIDE,) * 3)
    within = (k >= slices.start) & (k < slices.stop)
    difference = np.abs(response[k[within] - slices.start, j[within], i[within]] - np.array(wanted["values"])[within])
    assert within.sum() >= 10
    assert difference.max() <= 0.01 * (wanted["range"][1] - wanted["range"][0])


def test_every_reference_is_used():
    assert set(REFERENCE["maps"]) == set(MAPS)
    assert set(REFERENCE["features"]) == set(FEATURES)
    assert sum(len(values) for values in REFERENCE["features"].values()) == 323


def _misses(row: str, data_folder: Callable[[str], Path]) -> list[str]:
    """Features of a row that lie beyond the tolerance."""
    image, mask = load("c", data_folder)
    on_cubes = {"resample_mm": 1.0, "interpolator": "cubic", "round_hu": True} if row.endswith("B") else {}
    settings = ExtractionSettings(
        mode="ibsi",
        families=("firstorder",),
        original=False,
        filters=(FilterSpec.parse(FEATURES[row]),),
        resegment_hu=(-1000, 400),
        **on_cubes,
    )
    values = extract(image, mask, settings).as_dict()
    found = {table()[split(name)[1]].tag: value for name, value in values.items()}
    return [
        f"{tag}: {found[tag]:g} for {wanted:g}±{tolerance:g}"
        for tag, (wanted, tolerance) in REFERENCE["features"][row].items()
        if not abs(float(f"{found[tag]:.3g}") - wanted) <= tolerance * (1 + 1e-9)
    ]


@pytest.mark.parametrize("row", [row for row in FEATURES if row not in LONG])
def test_features_of_the_filtered_ct(row: str, data_folder: Callable[[str], Path]):
    assert _misses(row, data_folder) == []


@pytest.mark.slow
@pytest.mark.parametrize("row", LONG)
def test_features_of_the_filtered_ct_long(row: str, data_folder: Callable[[str], Path]):
    assert _misses(row, data_folder) == []


@pytest.mark.parametrize("row", ["3.A", "6.A"])
def test_features_miss_with_another_boundary_or_scale(row: str, data_folder: Callable[[str], Path], monkeypatch):
    monkeypatch.setitem(FEATURES, row, FEATURES[row].replace("1.5", "1.6").replace("average", "none"))
    assert len(_misses(row, data_folder)) > 3
