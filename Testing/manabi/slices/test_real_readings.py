"""The real chest CTs: what was read by eye agrees with their labels, and the rules with what was read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from manabi.io import read_volume
from manabi.slices.reading import APEX_AREA_MM2, DIAPHRAGM_OFFSET_MM, MARKERS
from manabi.slices.rules import find_by_rules
from manabi.slices.stack import AxialStack

SCANS = json.loads((Path(__file__).parent / "readings.json").read_text(encoding="utf-8"))["scans"]
NEAR_MM = 8.0
Find = Callable[[str], Path]
each_scan = pytest.mark.parametrize("scan", SCANS, ids=[scan["name"] for scan in SCANS])


@each_scan
def test_readings_are_in_order_and_complete(scan: dict[str, Any]) -> None:
    heights = [scan["markers"][marker]["z_mm"] for marker in MARKERS]
    assert heights == sorted(heights, reverse=True)
    for marker in MARKERS:
        assert scan["markers"][marker]["note"] and 0 < scan["markers"][marker]["uncertainty_mm"] <= 4
    low = scan["markers"]["diaphragm"]
    assert low["z_mm"] - low["lowest_lung_mm"] == pytest.approx(DIAPHRAGM_OFFSET_MM, abs=0.5)


@each_scan
def test_slices_lie_where_the_readings_say(scan: dict[str, Any], data_folder: Find) -> None:
    stack = AxialStack.of(read_volume(data_folder(scan["file"])))
    assert not stack.input_flipped
    for marker in MARKERS:
        read = scan["markers"][marker]
        assert stack.z_mm[read["slice"]] == pytest.approx(read["z_mm"], abs=0.06)


@each_scan
def test_labels_of_the_lungs_support_the_readings(scan: dict[str, Any], data_folder: Find) -> None:
    if scan["labels"] is None:
        pytest.skip("this scan has contours in an RTSTRUCT, no label map")
    stack = AxialStack.of(read_volume(data_folder(scan["labels"])))
    lungs = np.isin(np.asarray(stack.volume.array), scan["lung_values"])
    with_lung = np.flatnonzero(lungs.sum(axis=(1, 2)) * np.prod(stack.pixel_mm) > APEX_AREA_MM2)
    assert abs(stack.z_mm[with_lung[-1]] - scan["markers"]["apex"]["z_mm"]) <= 4.0
    assert abs(stack.z_mm[with_lung[0]] - scan["markers"]["diaphragm"]["lowest_lung_mm"]) <= 4.0


@each_scan
def test_rules_agree_with_the_readings(scan: dict[str, Any], data_folder: Find) -> None:
    reading = find_by_rules(AxialStack.of(read_volume(data_folder(scan["file"]))))
    for marker in MARKERS:
        assert reading.z_mm[marker] == pytest.approx(scan["markers"][marker]["z_mm"], abs=NEAR_MM), marker
    assert reading.notes == ()


def test_rules_find_the_lungs_of_the_label_map(data_folder: Find) -> None:
    scan = SCANS[0]
    found = find_by_rules(AxialStack.of(read_volume(data_folder(scan["file"])))).lungs
    label = np.asarray(AxialStack.of(read_volume(data_folder(scan["labels"]))).volume.array) > 0
    assert found is not None
    assert 2 * (found & label).sum() / (found.sum() + label.sum()) > 0.93
