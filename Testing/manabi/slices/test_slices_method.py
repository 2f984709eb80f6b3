"""SliceMarker as a method, with the model that ships: what a run gives, and when it says that something is missing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from fixtures_laws import CHOICES

from manabi import registry
from manabi.context import Context
from manabi.errors import InvalidInputError
from manabi.io import read_volume
from manabi.phantoms.base import case_rng
from manabi.slices.reading import MARKERS, NEAR_MM
from manabi.slices.stack import AxialStack

SIZE = {**CHOICES["thorax"], "pixel_mm": 3.0, "matrix": 132}
SCANS = json.loads((Path(__file__).parent / "readings.json").read_text(encoding="utf-8"))["scans"]
REAL_MM = 8.0
"""How far from a careful reading the markers of a real CT may fall."""


@pytest.fixture(scope="module")
def method():
    return registry.method("slices")


@pytest.fixture(scope="module")
def case():
    phantom = registry.phantom("thorax")
    return phantom.render(phantom.sample_parameters(case_rng(21, 0), **{**SIZE, "slice_mm": 4.0}))


@pytest.fixture(scope="module")
def ct(case):
    return case.volumes["ct"]


@pytest.fixture(scope="module")
def result(method, ct):
    return method.run(ct, {"representative": "5"}, Context(device="cpu"))


def cut(ct, low_mm, high_mm):
    """The slices of an axial stack, feet first, between two levels."""
    z = AxialStack.of(ct).z_mm
    inside = np.flatnonzero((z >= low_mm) & (z <= high_mm))
    return ct.crop((int(inside[0]), 0, 0), (int(inside[-1]) + 1, *ct.shape[1:]))


def warned(result, words):
    return any(words in text for text in result.warnings)


# --- what a run gives -------------------------------------------------------------------------------------------------


def test_the_markers_are_where_the_truth_is(result, case):
    rows = dict(zip(MARKERS, result.tables["markers"].rows, strict=True))
    for marker in MARKERS:
        truth = case.truth[f"{marker}_mm"]
        assert abs(result.measurements[f"{marker}_mm"] - truth) <= NEAR_MM, marker
        assert result.measurements[f"{marker}_status"] == "in the image"
        assert rows[marker][2] == result.measurements[f"{marker}_slice"]
        assert result.landmarks[marker].position_ras[2] == pytest.approx(result.measurements[f"{marker}_mm"], abs=0.01)
        assert 0.5 < result.measurements[f"{marker}_confidence"] <= 1.0
    assert result.measurements["quality"] == "good"


def test_the_representative_slices_lie_between_the_markers_on_the_input_s_grid(result, ct):
    table = result.tables["representative"]
    fractions = table.column("fraction")
    assert fractions == sorted(fractions) and fractions[0] == 0.0 and fractions[-1] == 1.0
    kept = result.volumes["representative"]
    assert kept.grid.same_as(ct.grid)
    lowest = float(np.asarray(ct.array).min())
    filled = [k for k in range(kept.shape[0]) if float(np.asarray(kept.array[k]).max()) > lowest]
    assert filled == sorted(table.column("slice")) and len(filled) == 5
    for k in filled:
        np.testing.assert_array_equal(kept.array[k], ct.array[k])


def test_from_coarse_to_fine_and_every_slice_agree(method, ct, result):
    every = method.run(ct, {"exhaustive": True}, Context(device="cpu"))
    for marker in MARKERS:
        assert every.measurements[f"{marker}_slice"] == result.measurements[f"{marker}_slice"]
    assert every.measurements["slices_evaluated"] == every.measurements["slices_in_image"]
    assert result.measurements["slices_evaluated"] < every.measurements["slices_evaluated"]


def test_the_plot_s_probabilities_sum_to_one_where_the_marker_is(result):
    series = result.plots["probability"].series
    assert len(series) == 3
    for name, (z, probability) in series.items():
        assert list(z) == sorted(z)
        assert sum(probability) == pytest.approx(1.0, abs=0.02), name


def test_simulated_training_is_told(result):
    assert warned(result, "simulated")
    assert result.provenance["bundle"]["name"] == "slices-default"


def test_figures_and_files_are_written(method, ct, result, tmp_path):
    drawn = method.draw({"ct": ct}, result, tmp_path / "figures")
    assert {path.name for path in drawn} >= {"markers.png", "representative.png"}
    written = method.export({"ct": ct}, result, tmp_path / "slices", "nifti")
    assert sum(len(paths) for paths in written.values()) >= 5
    assert all(path.stat().st_size > 0 for paths in written.values() for path in paths)


def test_the_demo_holds_the_markers_against_the_truth(method, case, result):
    table = method.compare_truth(case.truth, result)["levels"]
    for marker, row in zip(MARKERS, table.rows, strict=True):
        assert row[1:3] == (case.truth[f"{marker}_mm"], result.measurements[f"{marker}_mm"])
        assert row[3] == pytest.approx(row[2] - row[1], abs=0.01)
    gone = method.compare_truth({"apex_mm": 1.0}, result)["levels"]
    assert gone.rows[1][3] is None


# --- what is not there ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("marker", "side"), [("apex", "above"), ("diaphragm", "below")])
def test_a_truncated_chest_says_not_in_the_image(method, case, ct, marker, side):
    truth = case.truth
    low = -np.inf if marker == "apex" else truth["diaphragm_mm"] + 25.0
    high = truth["apex_mm"] - 25.0 if marker == "apex" else np.inf
    found = method.run(cut(ct, low, high), {"representative": "5"}, Context(device="cpu"))
    assert found.measurements[f"{marker}_status"] == f"{side} the image"
    assert found.measurements[f"{marker}_mm"] is None
    assert marker not in found.landmarks
    assert warned(found, "Not in the image")
    assert found.measurements["quality"] == "check"
    assert abs(found.measurements["carina_mm"] - truth["carina_mm"]) <= NEAR_MM


def test_an_abdomen_has_no_apex_and_no_carina(method, case, ct):
    found = method.run(cut(ct, -np.inf, case.truth["carina_mm"] - 45.0), {}, Context(device="cpu"))
    assert [found.measurements[f"{m}_status"] for m in ("apex", "carina")] == ["above the image"] * 2
    assert abs(found.measurements["diaphragm_mm"] - case.truth["diaphragm_mm"]) <= NEAR_MM


def test_noise_without_a_body_is_no_good_result(method, ct):
    noise = np.random.default_rng(0).normal(-1000.0, 20.0, ct.shape).astype(np.float32)
    found = method.run(ct.like(noise), {}, Context(device="cpu"))
    assert found.measurements["quality"] == "check"
    assert warned(found, "No lungs") or warned(found, "Check the") or warned(found, "Not in the image")


def test_values_that_are_no_hounsfield_units_are_told(method, ct):
    shifted = ct.like((np.asarray(ct.array, np.float32) + 1024.0).astype(np.float32))
    assert warned(method.run(shifted, {}, Context(device="cpu")), "do not look like Hounsfield units")


# --- parameters -------------------------------------------------------------------------------------------------------


def test_the_rules_need_no_bundle_and_do_not_compare_with_themselves(method, ct, case):
    found = method.run(ct, {"finder": "rules"}, Context(device="cpu"))
    assert found.provenance["bundle"] is None
    assert abs(found.measurements["apex_mm"] - case.truth["apex_mm"]) <= 2 * NEAR_MM
    assert not warned(found, "independent")


def test_uids_of_an_image_without_instances_are_refused(method, ct):
    with pytest.raises(InvalidInputError, match="uids"):
        method.run(ct, {"uids": True}, Context(device="cpu"))


def test_a_high_threshold_of_confidence_flags(method, ct):
    found = method.run(ct, {"min_confidence": 1.0, "rules_check": False}, Context(device="cpu"))
    assert warned(found, "the confidence is only")
    assert found.measurements["quality"] == "check"


@pytest.mark.parametrize("number", [1, 2, 4])
def test_every_nth_slice_gives_the_same_levels(method, case, number):
    """The same patient in other slice distances: 2, 4 and 8 mm of one scan."""
    phantom = registry.phantom("thorax")
    fine = phantom.render(
        phantom.sample_parameters(case_rng(21, 0), **{**SIZE, "slice_mm": 2.0})
    ).volumes["ct"]
    array = np.asarray(fine.array)[::number]
    matrix = fine.ijk_to_ras.copy()
    matrix[:, 2] *= number
    found = method.run(type(fine)(array, matrix, modality="CT"), {}, Context(device="cpu"))
    for marker in MARKERS:
        off = abs(found.measurements[f"{marker}_mm"] - case.truth[f"{marker}_mm"])
        assert off <= max(NEAR_MM, number * 2.0), marker


# --- real CT ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "last", "there"),
    [(40, 60, ("carina",)), (20, 60, ("carina",)), (40, 79, ("apex", "carina")), (0, 45, ("diaphragm",))],
)  # fmt: skip
def test_parts_of_a_real_ct_hold_the_markers_that_they_hold(first, last, there, method, data_folder):
    scan = SCANS[0]
    ct = read_volume(data_folder(scan["file"]))
    found = method.run(ct.crop((first, 0, 0), (last, *ct.shape[1:])), {}, Context(device="cpu")).measurements
    for marker in MARKERS:
        if marker in there:
            assert abs(found[f"{marker}_mm"] - scan["markers"][marker]["z_mm"]) <= REAL_MM, marker
        else:
            side = "above" if scan["markers"][marker]["slice"] >= last else "below"
            assert found[f"{marker}_status"] == f"{side} the image", marker


def test_a_carina_that_the_network_does_not_see_is_told(method, data_folder):
    """At the upper end of this part of a real CT the network takes the carina for higher: wrong, but not unnoticed."""
    scan = SCANS[0]
    ct = read_volume(data_folder(scan["file"]))
    found = method.run(ct.crop((0, 0, 0), (60, *ct.shape[1:])), {}, Context(device="cpu"))
    read, level = scan["markers"]["carina"]["z_mm"], found.measurements["carina_mm"]
    told = found.measurements["quality"] == "check" and warned(found, f"finds it in the image, at {read:.0f} mm")
    assert told or (level is not None and abs(level - read) <= REAL_MM)


@pytest.mark.parametrize("scan", SCANS, ids=[scan["name"] for scan in SCANS])
def test_markers_of_a_real_ct_lie_where_they_were_read(scan, method, data_folder):
    found = method.run(read_volume(data_folder(scan["file"])), {}, Context(device="cpu"))
    for marker in MARKERS:
        level = found.measurements[f"{marker}_mm"]
        assert level is not None, marker
        assert abs(level - scan["markers"][marker]["z_mm"]) <= REAL_MM, marker
