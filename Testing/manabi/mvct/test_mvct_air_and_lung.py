"""Airways and lungs of a head and neck are not taken for each other, and what is measured as air is air."""

from __future__ import annotations

import numpy as np
import pytest
from fixtures_mvct_head import SPACING, head

from manabi.mvct.gate import OK, Evidence, judge
from manabi.mvct.hu_check import check_hu, expected_hu, failing
from manabi.mvct.lungs import depth_mm
from manabi.mvct.metal import find_metal
from manabi.mvct.signature import likely_kind, signature
from manabi.mvct.tissue_map import body_mask, tissue_map
from manabi.mvct.truncation import find_truncation
from manabi.phantoms.base import case_rng
from manabi.phantoms.head_neck import HeadNeckPhantom

CHOICES = {"pixel_mm": 3.0, "matrix": 144, "slice_mm": 6.0, "fast": True, "metal": False, "lesion": "none"}


@pytest.fixture(scope="module")
def patient():
    """A patient whose lungs' tips are in the lowest slices: HU of both scans and the truth, on one grid."""
    phantom = HeadNeckPhantom()
    case = phantom.render(phantom.sample_parameters(case_rng(3, 0), image="mvct", **CHOICES))
    images = {name: np.asarray(v.reoriented().array, np.float32) for name, v in case.volumes.items()}
    anatomy = case.labelmaps["anatomy"]
    truth = np.asarray(anatomy.volume.reoriented().array)
    numbers = {segment.name: segment.label for segment in anatomy.segments}
    return images, truth, numbers, case.volumes["kvct"].reoriented().spacing_mm


@pytest.fixture(scope="module", params=["kvct", "mvct"])
def mapped(request, patient):
    images, _, _, spacing = patient
    return request.param, images[request.param], tissue_map(images[request.param], spacing, request.param)


def test_the_tips_of_the_lungs_are_lung_and_no_airway_is(patient, mapped):
    _, truth, numbers, spacing = patient
    lungs, airway = truth == numbers["Lungs"], truth == numbers["Airway and sinuses"]
    found = mapped[2].mask("lung")
    core = depth_mm(lungs, spacing) > 6.0
    assert core.sum() > 200 and found[core].mean() > 0.98
    assert airway.sum() > 1500 and not (found & airway).any()


def test_the_planning_ct_passes_its_own_check_and_air_is_air(patient, mapped):
    kind, hu, tissues = mapped
    lines = {line.tissue: line for line in check_hu(hu, tissues, patient[3], expected_hu(kind))}
    assert set(lines) == {"air", "lung", "fat", "muscle", "bone"}
    assert failing(list(lines.values())) == []
    assert lines["air"].measured_hu < -940.0 < -850.0 < lines["lung"].measured_hu < -700.0


def test_a_clean_patient_raises_nothing(patient, mapped):
    kind, hu, tissues = mapped
    spacing = patient[3]
    evidence = Evidence(
        body_share=float(tissues.body.mean()),
        kind=kind,
        seems=likely_kind(signature(hu, spacing, tissues)),
        truncation=find_truncation(hu, spacing, tissues.body),
        metal=find_metal(hu, spacing, tissues.body, kind),
        hu_lines=check_hu(hu, tissues, spacing, expected_hu(kind)),
    )
    verdict = judge(evidence)
    assert (verdict.level, verdict.warnings) == (OK, [])


def apex(radius_mm: float, hu: float = -790.0, slices: int = 3):
    """A neck with a disc of low density on one side in its lowest slices."""
    case = head("kvct", scale=1.2)
    _, j, i = np.mgrid[tuple(slice(0, n) for n in case.hu.shape)]
    place = np.hypot((j - 72) * 1.5 - 10, (i - 72) * 1.5 - 45) < radius_mm
    place[slices:] = False
    return np.where(place, np.float32(hu), case.hu), place


def test_three_slices_of_an_apex_are_lung_and_air_of_that_size_is_not():
    values, place = apex(20.0)
    found = tissue_map(values, SPACING, "kvct")
    assert found.mask("lung")[place].mean() > 0.85 and not found.mask("lung")[~place].any()
    values, place = apex(20.0, hu=-1000.0)
    assert not tissue_map(values, SPACING, "kvct").mask("lung").any()


def test_the_same_disc_in_the_middle_of_the_neck_is_no_lung():
    values, place = apex(20.0)
    moved = np.roll(values, 6, axis=0)
    assert place.any() and not tissue_map(moved, SPACING, "kvct").mask("lung").any()


def test_air_that_is_partly_filled_is_not_measured():
    case = head("kvct")
    rng = np.random.default_rng(4)
    hu = np.where(case.truth == 1, rng.uniform(-990.0, -420.0, case.hu.shape), case.hu).astype(np.float32)
    lines = {line.tissue: line for line in check_hu(hu, tissue_map(case.hu, SPACING), SPACING, expected_hu("kvct"))}
    assert lines["air"].measured_hu == pytest.approx(-1000.0, abs=8.0)


def test_without_air_worth_measuring_the_line_is_left_out():
    case = head("kvct")
    hu = np.where(case.truth == 1, 45.0, np.where(case.truth == 0, -2000.0, case.hu)).astype(np.float32)
    tissues = tissue_map(np.where(hu < -1500.0, -1000.0, hu).astype(np.float32), SPACING)
    assert {line.tissue for line in check_hu(hu, tissues, SPACING, expected_hu("kvct"))} == {"fat", "muscle", "bone"}


def test_a_head_rest_that_the_neck_touches_elsewhere_is_no_body():
    case = head("kvct", couch=False)
    truth = case.truth > 0
    lowest = int(np.argwhere(truth.all(0))[:, 0].min())
    rest = np.zeros(truth.shape, bool)
    rest[:, lowest - 22 : lowest - 8, 50:94] = True
    rest[:2, lowest - 22 : lowest + 2, 50:94] = True
    hu = np.where(rest & ~truth, 20.0, case.hu).astype(np.float32)
    body = body_mask(hu, SPACING)
    apart = rest & ~truth
    apart[:3] = False
    assert apart.sum() > 5000 and (body & apart).sum() < 0.03 * apart.sum()
    assert (body & truth)[3:].sum() > 0.98 * truth[3:].sum()
