"""The gate on good, damaged and foreign images."""

from __future__ import annotations

import numpy as np
import pytest
from fixtures_mvct_head import SPACING, head

from manabi.errors import InvalidInputError
from manabi.mvct.corrupt import CORRUPTIONS, corrupted
from manabi.mvct.gate import (
    DISTORTED,
    DO_NOT_USE,
    FLAG,
    HU_OFF,
    METAL,
    MISSING,
    OK,
    OUT_OF_RANGE,
    PREFIXES,
    REFUSE,
    TILTED,
    TRUNCATED,
    WRONG_KIND,
    Evidence,
    GateLimits,
    judge,
)  # fmt: skip
from manabi.mvct.hu_check import HuLine
from manabi.mvct.metal import find_metal
from manabi.mvct.missing import Missing
from manabi.mvct.ood import Oddity, fit_reference, oddities
from manabi.mvct.signature import likely_kind, signature
from manabi.mvct.tissue_map import tissue_map
from manabi.mvct.truncation import Truncation, find_truncation


def evidence_of(hu, reference=None):
    tissues = tissue_map(hu, SPACING, "mvct")
    found = signature(hu, SPACING, tissues)
    return Evidence(
        body_share=float(tissues.body.mean()),
        oddities=oddities(found, reference) if reference else (),
        kind="mvct",
        seems=likely_kind(found),
        truncation=find_truncation(hu, SPACING, tissues.body),
        metal=find_metal(hu, SPACING, tissues.body, "mvct"),
    )


@pytest.fixture(scope="module")
def reference():
    images = [head("mvct", seed).hu for seed in range(6)]
    return fit_reference([signature(hu, SPACING, tissue_map(hu, SPACING, "mvct")) for hu in images])


@pytest.mark.parametrize("seed", [20, 21])
def test_a_good_image_passes_without_a_word(reference, seed):
    verdict = judge(evidence_of(head("mvct", seed).hu, reference))
    assert (verdict.level, verdict.reasons, verdict.warnings) == (OK, (), [])
    assert 0.0 <= verdict.score < 1.0


@pytest.mark.parametrize("name", sorted(CORRUPTIONS))
def test_every_corruption_is_noticed(reference, name):
    changed = corrupted(head("mvct", 30).volume(), name, seed=1)
    verdict = judge(evidence_of(np.asarray(changed.array), reference))
    assert verdict.level in (FLAG, REFUSE) and verdict.score >= 1.0
    assert all(line.startswith(PREFIXES) for line in verdict.warnings)


@pytest.mark.parametrize("name", ["noise", "offset", "stored_values", "scaled", "mirrored", "lost_slices", "block"])
def test_what_would_mislead_is_refused(reference, name):
    changed = corrupted(head("mvct", 31).volume(), name, seed=2)
    verdict = judge(evidence_of(np.asarray(changed.array), reference))
    assert verdict.level == REFUSE and verdict.warnings[0].startswith(DO_NOT_USE)


@pytest.mark.parametrize("kind", ["kvct", "cbct"])
def test_another_kind_of_image_is_named(reference, kind):
    verdict = judge(evidence_of(head(kind, 20).hu, reference))
    assert verdict.level == FLAG
    named = next(r for r in verdict.reasons if r.prefix == WRONG_KIND)
    assert {"kvct": "looks like kilovoltage", "cbct": "looks like cone-beam"}[kind] in named.text


def test_metal_and_truncation_are_named(reference):
    metal = judge(evidence_of(np.asarray(corrupted(head("mvct", 30).volume(), "metal", 1).array), reference))
    assert METAL in {r.prefix for r in metal.reasons}
    assert "Streaks disturb slice" in next(r.text for r in metal.reasons if r.prefix == METAL)
    cut = judge(evidence_of(np.asarray(corrupted(head("mvct", 30).volume(), "truncated", 1).array), reference))
    assert TRUNCATED in {r.prefix for r in cut.reasons}


def test_no_evidence_is_ok():
    assert judge(Evidence()).level == OK


def test_limits_decide_between_flag_and_refuse():
    odd = Evidence(oddities=(Oddity("noise_hu", 55.0, 30.0, 5.0),))
    assert judge(odd).level == FLAG and judge(odd).score == pytest.approx(5 / 4)
    assert judge(odd, GateLimits(flag_z=6.0)).level == OK
    assert judge(odd, GateLimits(refuse_z=4.5)).level == REFUSE
    assert "noise (HU) is 55" in judge(odd).reasons[0].text and judge(odd).reasons[0].prefix == OUT_OF_RANGE
    with pytest.raises(InvalidInputError):
        GateLimits(flag_z="many")


def test_a_failed_hu_check_of_the_output_counts():
    line = HuLine("muscle", 100.0, 45.0, 30.0, 900)
    verdict = judge(Evidence(hu_lines=[line, HuLine("fat", -90.0, -90.0, 40.0, 900)]))
    assert verdict.level == FLAG and verdict.reasons[0].prefix == HU_OFF
    assert "muscle measures 100 HU, expected 45 ± 30" in verdict.reasons[0].text
    assert "fat" not in verdict.reasons[0].text
    assert judge(Evidence(hu_lines=[HuLine("muscle", 145.0, 45.0, 30.0, 900)])).level == REFUSE


def test_unusual_gradients_count_only_against_what_is_usual():
    assert judge(Evidence(dig=50.0)).level == OK
    assert judge(Evidence(dig=50.0, usual_dig=20.0)).reasons[0].prefix == DISTORTED
    assert judge(Evidence(dig=30.0, usual_dig=20.0)).level == OK
    assert judge(Evidence(dig=90.0, usual_dig=20.0)).level == REFUSE


def test_a_field_of_view_full_of_body_is_refused_though_the_loss_is_unknown():
    full = Truncation(np.full(4, 300.0), np.full(4, 0.05), 195.0)
    assert judge(Evidence(truncation=full)).level == REFUSE
    touched = Truncation(np.array([0.0, 20.0, 0.0, 0.0]), np.array([0.0, 0.02, 0.0, 0.0]), 195.0)
    verdict = judge(Evidence(truncation=touched))
    assert verdict.level == FLAG and "1 of 4 slices" in verdict.reasons[0].text


def test_the_worst_comes_first_and_the_table_says_what_to_do():
    evidence = Evidence(
        body_share=0.0, oddities=(Oddity("noise_hu", 55.0, 30.0, 5.0),), kind="mvct", seems="kvct"
    )  # fmt: skip
    verdict = judge(evidence)
    assert verdict.level == REFUSE and [r.level for r in verdict.reasons] == [REFUSE, FLAG, FLAG]
    assert verdict.table().columns == ("level", "what", "found", "what_to_do", "score")
    assert all(len(str(text)) > 20 for text in verdict.table().column("what_to_do"))


@pytest.mark.parametrize(("slope", "level"), [(None, OK), (0.05, OK), (-0.15, FLAG), (0.5, REFUSE)])
def test_a_couch_that_is_not_level_tells_a_lost_tilt(slope, level):
    verdict = judge(Evidence(couch_slope=slope))
    assert verdict.level == level
    if level != OK:
        assert verdict.reasons[0].prefix == TILTED and "degrees along the slices" in verdict.reasons[0].text


def test_a_wide_edge_is_flagged_earlier_than_a_sharp_one():
    wide, sharp = Oddity("edge_mm", 7.5, 4.7, 0.8), Oddity("edge_mm", 1.9, 4.7, 0.8)
    assert judge(Evidence(oddities=[wide])).level == FLAG
    assert judge(Evidence(oddities=[sharp])).level == OK


def test_slices_without_the_patient_are_named_from_the_lower_end():
    verdict = judge(Evidence(missing=Missing(empty=(4, 5), repeated=(9,))))
    assert verdict.level == FLAG and verdict.reasons[0].prefix == MISSING
    assert "no patient in slice 5 to 6; slice 10 repeats the one below" in verdict.reasons[0].text
    assert judge(Evidence(missing=Missing())).level == OK
