"""Numbers, verdicts and figures of the MVCTConvert experiment, from values made by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from Training.experiments import mvct_claims, mvct_dose, mvct_examples, mvct_figures, mvct_gate, mvct_report
from Training.experiments.mvct_bench import finite
from Training.experiments.mvct_claims import NO, UNKNOWN, YES
from Training.experiments.mvct_names import digits, title
from Training.experiments.mvct_numbers import column, mean_of, over_trainings, paired, rate, verdict

# --- numbers ----------------------------------------------------------------------------------------------------------


def test_a_value_within_limits_is_reached_outside_is_not_and_across_cannot_be_told():
    assert verdict([0.0, -0.5, 0.5], -1, 1) == YES
    assert verdict([3.0, 2.0, 4.0], -1, 1) == NO == verdict([-3.0, -4.0, -2.0], -1, 1)
    assert verdict([0.5, -0.5, 1.5], -1, 1) == UNKNOWN == verdict([0.0, None, None], -1, 1)


def test_the_interval_over_trainings_is_student_s():
    value, low, high, count = over_trainings([1.0, 2.0, 3.0, 4.0, 5.0])
    assert (value, count) == (3.0, 5)
    assert high - value == pytest.approx(2.7764 * math.sqrt(2.5 / 5), abs=1e-3) == value - low
    assert math.isnan(over_trainings([2.0])[1])


def test_a_share_has_wilson_s_interval():
    share, low, high, count = rate(0, 20)
    assert (share, low, count) == (0.0, 0.0, 20) and high == pytest.approx(0.1611, abs=1e-3)
    assert rate(10, 20)[:3] == pytest.approx([0.5, 0.2993, 0.7007], abs=1e-3)
    assert math.isnan(rate(0, 0)[0])


def test_differences_are_taken_patient_by_patient():
    first, second = np.array([10.0, 20.0, 30.0, 40.0]), np.array([9.0, 19.0, 29.0, 39.0])
    assert paired(first, second) == [1.0, 1.0, 1.0, 4]


def test_trainings_are_averaged_and_missing_values_stay_missing():
    runs = [[{"x": 1.0}, {"x": None}], [{"x": 3.0}, {"x": 2.0}]]
    assert mean_of(runs, "x")[0] == 2.0 and math.isnan(mean_of(runs, "x")[1])
    assert math.isnan(column([{}], "x")[0])


def test_what_is_not_a_number_becomes_null():
    assert finite({1: [float("nan"), np.float32(2.0), float("inf")]}) == {"1": [None, 2.0, None]}


# --- verdicts ---------------------------------------------------------------------------------------------------------


def value(mean, half=0.1, count=6):
    return [mean, mean - half, mean + half, count]


def amount(plain, other, flat):
    amounts = [16, 256, 512]
    row = {m: value(1.0) for m in ("dig_a", "dig_b", "mae_hu", "cnr_muscle_fat", "cnr_bone_fat", "cnr_bone_muscle")}
    gap = {m: value(plain - other) for m in row}
    one = {"difference": value(0.0), "slope": value(0.0), "limit": 0.5, "verdict": flat}
    return {
        "amounts": amounts, "methods": ["plain", "ours"], "patients": 6, "seeds": 5, "used": {"16": 1}, "targets": 26,
        "arm_s": 40.0, "truth": row,
        "input": {**row, "dig_a": value(0.0, 0.0), "dig_b": value(0.0, 0.0), "mae_hu": value(2.0)},
        "rows": {method: {str(n): row for n in amounts} for method in ("plain", "ours")},
        "flat": {"plain": {"from": 256, "to": 512, "dig_a": one, "dig_b": one}, "ours": {}},
        "paired": {"ours": {str(n): gap for n in amounts}},
    }  # fmt: skip


def said(rows, aim, name):
    (found,) = [row[3] for row in rows if row[0].startswith(aim) and row[1] == title(name)]
    return found


def test_the_source_s_claims_follow_from_flatness_and_paired_differences():
    rows = mvct_claims.flat(amount(5.0, 3.0, NO))
    assert said(rows, "DIG-a flat from 256", "plain") == NO
    assert said(rows, "DIG-b flat", "ours") == UNKNOWN
    assert said(rows, "DIG-a less than plain", "ours") == YES
    assert said(mvct_claims.flat(amount(3.0, 5.0, YES)), "DIG-a less than plain", "ours") == NO
    assert said(mvct_claims.flat(amount(3.0, 3.05, YES)), "DIG-b less than plain", "ours") == UNKNOWN


def test_nothing_is_claimed_of_networks_that_are_worse_than_the_input():
    part = amount(5.0, 3.0, YES)
    part["input"]["mae_hu"] = value(0.5)
    assert {row[3] for row in mvct_claims.flat(part)} == {UNKNOWN}


def test_a_number_of_slices_without_an_interval_leaves_the_claim_open():
    part = amount(5.0, 3.0, YES)
    first = str(part["amounts"][0])
    part["paired"]["ours"][first]["dig_a"] = [2.0, None, None, 1]
    rows = mvct_claims.flat(part)
    assert said(rows, "DIG-a less than plain", "ours") == UNKNOWN and said(rows, "DIG-b less than", "ours") == YES


def test_contrast_reaches_ninety_percent_by_its_whole_interval():
    shares = {"a": value(1.1), "b": value(0.5), "c": value(0.92), "input": value(0.1)}
    rows = mvct_claims.contrast({"share_of_truth": {name: {"cnr_muscle_fat": v} for name, v in shares.items()}})
    assert [row[3] for row in rows] == [YES, NO, UNKNOWN]


def test_one_lost_or_one_invented_lesion_is_enough():
    part = {
        "stated": [8, 50], "stated_lost": {"ours": [0, 40], "plain": [1, 40], "cut": [0, 0]},
        "stated_invented": {"ours": [0, 99], "plain": [2, 99], "cut": [0, 0]},
    }  # fmt: skip
    rows = mvct_claims.lesions(part)
    assert [row[3] for row in rows] == [YES, YES, NO, NO, UNKNOWN, UNKNOWN]


def test_dose_is_harmed_where_a_number_is_surely_further_off():
    part = {
        "tolerance_percent": 0.5,
        "harm": {
            "a": {"target D95": value(0.1), "worst": 0.2}, "b": {"target D95": value(0.9), "worst": 1.0},
            "c": {"target D95": value(0.5), "worst": 0.6},
        },
    }  # fmt: skip
    rows = mvct_claims.harm(part)
    assert [row[3] for row in rows] == [YES, NO, UNKNOWN] and "target D95" in rows[1][2]


def test_harm_counts_how_much_further_off_than_the_input():
    rows = [
        {"dose": {mvct_dose.NATIVE: {"target D95": native}, "ours": {"target D95": ours}}}
        for native, ours in ((-1.0, 1.5), (1.0, -1.5), (-1.0, -1.5))
    ]
    found = mvct_dose.harm(rows, "ours", ["target D95"])
    assert found["target D95"] == [0.5, 0.5, 0.5, 3] and found["worst"] == 0.5


def test_a_gamma_rate_counts_by_what_it_lacks():
    rows = [{"dose": {"ours": {"body gamma 2 %/2 mm": rate}}} for rate in (99.0, 97.0)]
    assert mvct_dose._values(rows, "ours", "body gamma 2 %/2 mm").tolist() == [-1.0, -3.0]


# --- the gate ---------------------------------------------------------------------------------------------------------


def case(name, patient, score):
    level = "ok" if score < 1 else "flag" if score < 2 else "refuse"
    told = {"level": level, "score": score, "why": ""}
    return {"name": name, "patient": patient, "before": told, "after": told}


def test_the_gate_s_roc_and_rates_follow_from_its_scores():
    cases = [case("good", n, 0.5) for n in range(4)] + [case("noise", n, s) for n, s in enumerate((0.5, 1.5, 3, 3))]
    found = mvct_gate.summary(cases)
    assert found["auc"]["before"][0] == pytest.approx((3 + 0.5) / 4)
    assert found["caught"]["after"][0] == 0.75 and found["false_alarms"]["after"][0] == 0.0
    assert found["inputs"]["noise"]["before"] == {"ok": 1, "flag": 1, "refuse": 2}
    x, y = mvct_figures.roc(cases, "before")
    assert (x[0], y[0], x[-1], y[-1]) == (0.0, 0.0, 1.0, 1.0)
    assert np.trapezoid(y, x) == pytest.approx(found["auc"]["before"][0])


# --- the page ---------------------------------------------------------------------------------------------------------


def about(size="quick"):
    return {
        "size": size, "duration_s": 60.0, "device": "cpu", "versions": {"platform": "Linux", "torch": "2"},
        "data_sha256": "0" * 64, "patients": {"training": 52, "validation": 4, "test": 6},
        "experiment": {"parts": "amount", "data": "phantoms:1:62", "fast": False, "split_seed": 0, "pixel_mm": 2.0,
                       "slice_mm": 4.0, "length_mm": 84.0, "steps": 600, "long_steps": 2400},
        "training": {"batch_size": 1, "optimizer": "adam", "lr": 0.001, "precision": "32-true"},
        "recipe": {"crop": 64, "filters": "8-16-32", "blocks": 2},
    }  # fmt: skip


def test_a_page_of_one_part_says_what_was_not_run_and_shows_only_pictures_that_are_there(tmp_path):
    results = {"amount": {"about": about(), **amount(5.0, 3.0, YES)}}
    path = mvct_report.write_page(results, tmp_path)
    text = path.read_text(encoding="utf-8")
    assert "Not run: Quality of every converter, megavoltage CT;" in text and "Quick size" in text
    assert "phantoms:1:62" in text and "n = 6" in text and "600 in the first part" in text
    assert text.count("![") == 1 and (tmp_path / "images" / "mvct_amount.png").stat().st_size > 10_000
    assert "![" not in mvct_report.text(results, set())
    assert "Quick size" not in mvct_report.text({"amount": {"about": about("full"), **amount(5.0, 3.0, YES)}}, set())


def test_examples_are_drawn_in_rows(tmp_path):
    from PIL import Image

    images = {name: np.full((40, 50), 40.0) for name in ("input", "ours", "kvct", "a", "b", "c")}
    path = mvct_examples.page(images, [2.0, 2.0, 4.0], tmp_path / "examples.png")
    with Image.open(path) as picture:
        assert picture.width > 5 * 220 and picture.height > 2 * 170


def test_names_of_converters_and_decimals_are_known():
    assert title("kvct") == "true kVCT" and title("input, own table") == "input, own table"
    assert digits("ssim") == 3 and digits("mae_hu") == 1
