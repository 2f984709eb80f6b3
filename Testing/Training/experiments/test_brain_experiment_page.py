"""Tables, verdicts and charts of the BrainSeg experiment, from numbers made by hand."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest

from Training.experiments import brain_claims, brain_figures, brain_learned, brain_report, brain_sections
from Training.experiments.brain_angio import ALONE, COPY, INPUTS, NOISE, PAIRS, REAL, SYNTHETIC
from Training.experiments.brain_bench import EVERY, LOSSES
from Training.experiments.brain_cases import PLACES
from Training.experiments.brain_claims import NO, PART, UNKNOWN, YES, claims, interval
from Training.experiments.brain_losses import MULTI
from Training.experiments.brain_tables import (
    column,
    compared,
    mean_of_seeds,
    rankings,
    spread,
    table_of,
    value_of,
)
from Training.resampling import bootstrap_mean

HEADS = 12


def scores(level, seed=0, spread_of=0.02, structures=("vessels",)):
    """Every metric of every head around a level of Dice."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(HEADS):
        dice = float(np.clip(level + rng.normal(0, spread_of), 0, 1))
        row = {"dice": dice, "hd95_mm": 20 * (1 - dice), "surface_dice": dice, "mean_surface_mm": 5 * (1 - dice)}
        rows.append({name: dict(row) for name in structures})
    return rows


# --- numbers ----------------------------------------------------------------------------------------------------------


def test_trainings_are_averaged_before_heads():
    arms = [{"scores": scores(0.5, 0)}, {"scores": scores(0.7, 0)}]
    mean = column(mean_of_seeds(arms), ["vessels"], "dice")
    each = [column(arm["scores"], ["vessels"], "dice") for arm in arms]
    assert mean == pytest.approx((each[0] + each[1]) / 2)


def test_a_head_without_the_structure_has_no_value_and_is_not_counted():
    rows = scores(0.5)
    rows[3]["vessels"]["dice"] = float("nan")
    value = value_of(column(rows, ["vessels"], "dice"))
    assert value[3] == HEADS - 1 and value[1] < value[0] < value[2]
    expected = bootstrap_mean(np.delete(column(rows, ["vessels"], "dice"), 3), list(range(HEADS - 1)))
    assert value[:3] == pytest.approx([expected.value, expected.low, expected.high])
    assert math.isnan(value_of(np.array([np.nan]))[0]) and value_of(np.array([0.5]))[0] == 0.5


def test_one_training_that_invents_the_structure_counts_and_the_other_does_not():
    """Dice is 0 where only the result holds the structure, and nan where neither does."""
    arms = [{"scores": [{"vessels": {"dice": 0.0}}]}, {"scores": [{"vessels": {"dice": float("nan")}}]}]
    assert mean_of_seeds(arms)[0]["vessels"]["dice"] == 0.0


def test_differences_are_paired_and_adjusted_over_the_pairs():
    better = scores(0.6, 1)
    worse = [{"vessels": {m: (v - 0.1 if m == "dice" else v) for m, v in head["vessels"].items()}} for head in better]
    rows = compared({"a": better, "b": worse, "c": better}, [("a", "b"), ("a", "c")], ["vessels"])
    assert rows[0]["difference"][:3] == pytest.approx([0.1, 0.1, 0.1])
    assert rows[0]["p"] == pytest.approx(2 * 0.5**HEADS) and rows[0]["p_holm"] == pytest.approx(2 * rows[0]["p"])
    assert rows[1]["p"] == 1.0 and rows[1]["difference"][0] == 0.0
    assert compared({}, [], ["vessels"]) == []


def test_a_clearly_better_loss_is_first_in_every_ranking_and_vessel_metrics_do_not_count():
    arms = {"dice-focal": scores(0.9, 0), "dice-none": scores(0.6, 1), "dice-dtm": scores(0.6, 2)}
    for head in arms["dice-none"]:
        head["vessels"]["cl_dice"] = 1.0
    found = rankings(arms)
    assert {found[test]["rank"]["dice-focal"] for test in found} == {1.0}
    assert found["published"]["score"]["dice-focal"] == 2.0
    few = {name: rows[:4] for name, rows in arms.items()}
    assert "6 cases" in rankings(few)["holm"]["reason"]


def test_spread_tells_heads_trainings_and_misses_apart():
    arms = [{"scores": scores(0.5, 0)}, {"scores": scores(0.7, 0)}]
    arms[0]["scores"][0]["vessels"]["dice"] = 0.0
    found = spread(arms, ["vessels"])
    assert found["missed"] == pytest.approx(1 / (2 * HEADS)) and found["sd_seeds"] > 0.1
    assert math.isnan(spread(arms[:1], ["vessels"])["sd_seeds"])


# --- results made by hand ---------------------------------------------------------------------------------------------


def about(part):
    return {
        "size": "quick",
        "experiment": {"parts": part, "data": "phantoms:1:20", "choices": "voxel_mm=2.0", "split_seed": 0, "seeds": 1,
                       "edge_px": 2, "shift_px": 1, "leaks": 3, "base_loss": "cross_entropy-median",
                       "vessel_loss": "dice-focal", "contrast_epochs": 0},
        "recipe": {"items_per_epoch": 8, "crop": 64, "filters": "8-16", "items_3d": 4, "crop_3d": "8x32x32",
                   "batch_3d": 2},
        "training": {"epochs": 2, "batch_size": 4, "optimizer": "adamw", "lr": 0.001, "precision": "32-true"},
        "heads": {"training": 8, "test": HEADS},
        "grid": {"shape": [36, 97, 80], "spacing_mm": [2.0, 2.0, 2.5]},
        "versions": {"platform": "Linux", "torch": "2"}, "device": "cpu", "duration_s": 90.0,
        "data_sha256": "0123456789abcdef0123",
    }  # fmt: skip


def losses_part(levels, structures=("vessels",), name="vessels"):
    arms = {
        loss: [{"scores": scores(level, n, structures=structures)}] for n, (loss, level) in enumerate(levels.items())
    }
    rows = {}
    for loss, runs in arms.items():
        means = mean_of_seeds(runs)
        rows[loss] = {"dice": value_of(column(means, structures, "dice")),
                      "hd95_mm": value_of(column(means, structures, "hd95_mm")),
                      "metrics": table_of(means), **spread(runs, structures)}  # fmt: skip
    found = rankings({loss: mean_of_seeds(runs) for loss, runs in arms.items() if loss in LOSSES})
    problem = {"structures": list(structures), "heads": HEADS, "losses": rows, "rankings": found}
    return {"about": about("losses"), "problems": {name: problem}}


def differences(pairs, values, p_holm=0.001):
    return [
        {"first": a, "second": b, "difference": [value, value - 0.01, value + 0.01, HEADS], "p": p_holm / 2,
         "p_holm": p_holm}
        for (a, b), value in zip(pairs, values, strict=True)
    ]  # fmt: skip


def skips_part(difference, p_holm=0.001):
    pairs = [("crossover", "horizontal"), ("vertical", "none")]
    patterns = {
        name: {"metrics": {s: {"dice": [0.7, 0.6, 0.8, HEADS]} for s in EVERY}, "large": [0.9, 0.85, 0.95, HEADS],
               "small": [0.5, 0.4, 0.6, HEADS], "large_hd95_mm": [5, 4, 6, HEADS], "small_hd95_mm": [9, 8, 10, HEADS]}
        for name in ("none", "horizontal", "vertical", "crossover")
    }  # fmt: skip
    tests = {group: differences(pairs, [difference, difference], p_holm) for group in ("large", "small")}
    cell = {"patterns": patterns, "tests": tests}
    weights = dict.fromkeys(patterns, 1000)
    return {"about": about("skips"), "fractions": {"1": cell, "0.1": cell}, "parameters": weights,
            "slices": {"1": 300, "0.1": 30}}  # fmt: skip


def labels_part(gain, level, p_holm=0.001):
    row = {"rebuilt": [level, level - 0.02, level + 0.02, 8], "slices": [30, 300], "test": [level, None, None, HEADS],
           "test_of": {s: [level, level - 0.02, level + 0.02, HEADS] for s in EVERY},
           "test_hd95_mm": [4, 3, 5, HEADS]}  # fmt: skip
    shape = {"rebuilt": row["rebuilt"], "slices": row["slices"]}
    gains = {kind: differences([("0.1", "1")], [gain], p_holm) for kind in ("rebuilt", "test")}
    rivals = {"rebuilt": differences([("slices", "shape")], [0.04]), "test": []}
    cell = {"fractions": {key: {"slices": row, "shape": shape} for key in ("0.1", "1")},
            "given_all": [0.8, 0.79, 0.81, 8], "gains": gains, "rivals": {"0.1": rivals, "1": {}}}  # fmt: skip
    noises = {"none": cell, "mixed": cell}
    return {"about": about("labels"), "noises": noises, "methods": ["slices", "shape"], "heads": [8, HEADS]}


def contrast_part(gains):
    metrics = {name: [0.5, 0.4, 0.6, HEADS] for name in ("dice", "cl_dice", "hd95_mm")}
    inputs = {n: {"metrics": metrics, "recall": {p: [0.5, 0.4, 0.6, HEADS] for p in PLACES}} for n in INPUTS}
    tests = {metric: differences(PAIRS, gains) for metric in ("dice", "cl_dice", *(f"recall_{p}" for p in PLACES))}
    for rows in tests.values():
        for row in rows:
            row["p_holm"] = 0.001 if abs(row["difference"][0]) > 0.02 else 0.6
    image = {f"{kind}_{place}": [0.6, 0.5, 0.7, HEADS] for kind in ("seen", "area") for place in PLACES}
    likeness = {"psnr": [20.0, 19.0, 21.0, HEADS], "ssim": [0.6, 0.5, 0.7, HEADS]}
    overlap = {"overlap": [0.3, 0.2, 0.4, HEADS]}
    images = {"synthetic": {**image, **likeness, **overlap}, "heavy T2": {**image, **likeness, **overlap},
              "real": {**image, **overlap}}  # fmt: skip
    made_with = {"pix2pix": {"slices_per_case": 16, "bright_weight": 20.0, "bright_share": 0.75},
                 "pix2pix_training": {"epochs": 50, "batch_size": 8}}  # fmt: skip
    return {"about": {**about("contrast"), **made_with}, "heads": [4, 4, HEADS], "inputs": inputs, "tests": tests,
            "synthesis": {"images": images, "level": 0.4}}  # fmt: skip


# --- verdicts ---------------------------------------------------------------------------------------------------------


def verdicts(rows):
    return [row[3] for row in rows]


def test_a_loss_is_reproduced_only_where_it_is_first_by_both_tests():
    clear = losses_part({"dice-focal": 0.9, "dice-none": 0.6, "dice-dtm": 0.5})
    assert verdicts(brain_claims.loss_claims(clear))[0] == YES
    beaten = losses_part({"dice-focal": 0.5, "dice-none": 0.9, "dice-dtm": 0.5})
    row = brain_claims.loss_claims(beaten)[0]
    assert row[3] == NO and "highest Dice: dice-none" in row[2]
    none = losses_part({"dice-focal": 0.9, "dice-none": 0.6})
    none["problems"]["vessels"]["rankings"] = rankings({"dice-focal": scores(0.9)[:3], "dice-none": scores(0.6)[:3]})
    assert verdicts(brain_claims.loss_claims(none))[0] == UNKNOWN


def test_in_several_classes_the_claim_is_cross_entropy_with_distances():
    part = losses_part({"cross_entropy-dtm": 0.9, "dice-focal": 0.7, "dice-none": 0.6}, ("brainstem", "vessels"), MULTI)
    row = brain_claims.loss_claims(part)[0]
    assert row[0].startswith("cross_entropy-dtm") and "93.1" in row[1] and row[3] == YES


def test_equal_losses_are_not_a_reproduction():
    part = losses_part({"dice-focal": 0.6, "dice-none": 0.6, "dice-dtm": 0.6})
    for test in ("published", "holm"):
        ranking = part["problems"]["vessels"]["rankings"][test]
        ranking |= {"score": dict.fromkeys(ranking["score"], 0.0), "rank": dict.fromkeys(ranking["rank"], 1.0)}
    row = brain_claims.loss_claims(part)[0]
    assert row[3] == NO and "holm no differences" in row[2]


def test_skips_need_a_significant_gain_at_every_share():
    assert set(verdicts(brain_claims.skip_claims(skips_part(0.05)))) == {YES}
    assert set(verdicts(brain_claims.skip_claims(skips_part(0.05, p_holm=0.2)))) == {NO}
    mixed = skips_part(0.05)
    mixed["fractions"]["1"] = skips_part(-0.05)["fractions"]["1"]
    assert set(verdicts(brain_claims.skip_claims(mixed))) == {PART}
    few = skips_part(0.05, p_holm=0.06)
    few["about"]["heads"]["test"] = 4
    assert set(verdicts(brain_claims.skip_claims(few))) == {UNKNOWN}


def test_what_was_not_learned_is_told_and_nothing_else():
    assert brain_learned.labels(labels_part(0.1, 0.95)) == [] == brain_learned.skips(skips_part(0.05))
    assert brain_learned.contrast(contrast_part([0.1] * 6)) == []
    part = labels_part(0.1, 0.4)
    for cell in part["noises"]["none"]["fractions"].values():
        cell["slices"]["test_of"]["vessels"] = [0.01, 0.0, 0.02, HEADS]
    first, second = brain_learned.labels(part)
    assert first.startswith("No network found the vessels (") and second.startswith(
        "`slices` reaches a mean Dice of 0.40"
    )
    assert f"**{first}**" in brain_sections.labels(part, set())
    poor = contrast_part([0.1] * 6)
    poor["inputs"] = {name: {**row, "metrics": {**row["metrics"], "dice": [0.01, 0.0, 0.02, HEADS]}}
                      for name, row in poor["inputs"].items()}  # fmt: skip
    assert len(brain_learned.contrast(poor)) == 2 and "real angiogram" in brain_learned.contrast(poor)[1]


def test_a_structure_that_one_loss_finds_is_not_called_missed():
    part = losses_part({"dice-focal": 0.9, "dice-none": 0.0}, ("vessels",))
    assert brain_learned.losses(part["problems"]["vessels"]) == []
    assert len(brain_learned.losses(losses_part({"dice-none": 0.0})["problems"]["vessels"])) == 1
    assert brain_learned.value_of(None) == brain_learned.value_of([None, None, None, 0]) == 0.0


def test_the_page_tells_when_bright_vessels_weigh_more_than_in_the_source():
    part = contrast_part([0.1] * 6)
    assert any("which weigh 20 times" in line for line in brain_sections.contrast(part, set()))
    part["about"]["pix2pix"] |= {"bright_weight": 1.0, "bright_share": 0.0}
    assert not any("weigh" in line for line in brain_sections.contrast(part, set())[:2])


@pytest.mark.parametrize(("gain", "p", "verdict"), [(0.1, 0.001, YES), (0.03, 0.001, PART), (0.1, 0.2, NO),
                                                    (-0.1, 0.001, NO)])  # fmt: skip
def test_nine_points_are_asked_of_the_gain(gain, p, verdict):
    rows = [row for row in brain_claims.label_claims(labels_part(gain, 0.95, p)) if "beat" in row[0]]
    assert verdicts(rows) == [verdict, verdict] and "faults: mixed" in rows[0][0]


def test_ninety_percent_are_asked_of_every_structure():
    def found(part):
        return [row[3] for row in brain_claims.label_claims(part) if "90 %" in row[0]]

    assert found(labels_part(0.0, 0.95)) == [YES, YES] and found(labels_part(0.0, 0.8)) == [NO, NO]
    part = labels_part(0.0, 0.95)
    part["noises"]["mixed"]["fractions"]["0.1"]["slices"]["test_of"]["vessels"] = [0.3, 0.2, 0.4, HEADS]
    assert PART in found(part)


def test_a_control_that_gains_as_much_takes_the_claim_away():
    order = [
        (SYNTHETIC, ALONE),
        (SYNTHETIC, NOISE),
        (SYNTHETIC, COPY),
        (NOISE, ALONE),
        (COPY, ALONE),
        (REAL, SYNTHETIC),
    ]
    assert list(PAIRS) == order
    assert verdicts(claims({"contrast": contrast_part([0.1, 0.1, 0.1, 0.0, 0.0, 0.2])})) == [YES]
    assert verdicts(claims({"contrast": contrast_part([0.1, 0.0, 0.0, 0.1, 0.1, 0.2])})) == [PART]
    assert verdicts(claims({"contrast": contrast_part([0.0, 0.0, 0.0, 0.0, 0.0, 0.2])})) == [NO]


# --- page and charts --------------------------------------------------------------------------------------------------


@cache
def whole():
    levels = {"dice-focal": 0.9, "dice-none": 0.6, "cross_entropy-dtm": 0.7, "dice-dtm:decay": 0.8}
    losses = losses_part(levels, ("cerebrum", "vessels"), MULTI)
    return {
        "losses": losses,
        "skips": skips_part(0.05),
        "labels": labels_part(0.1, 0.95),
        "contrast": contrast_part([0.1, 0.0, 0.0, 0.1, 0.1, 0.2]),
    }


def test_the_page_says_what_it_is_and_shows_only_what_is_there():
    page = brain_report.text(whole(), set())
    assert "Quick size" in page and "nothing here was measured on people" in page and "only in part" in page
    assert page.count("It does not show") == 4 and "Not run" not in page and "_example.png" not in page
    assert "nan" not in page and "None" not in page
    alone = brain_report.text({"contrast": whole()["contrast"]}, {"brain_contrast_example.png"})
    assert "Not run: losses, skip connections, labels rebuilt" in alone and "_example.png" in alone


def test_rows_of_a_table_have_as_many_cells_as_its_header():
    lines = brain_report.text(whole(), set()).splitlines()
    tables, width = 0, 0
    for before, line in zip(["", *lines], lines, strict=False):
        if line.startswith("| "):
            if not before.startswith("| "):
                tables, width = tables + 1, line.count(" | ")
            assert line.count(" | ") == width, line
    assert tables >= 10


def test_other_readings_are_shown_and_not_ranked():
    page = brain_sections.losses(whole()["losses"], set())
    row = next(line for line in page if line.startswith("| dice-dtm:decay"))
    assert row.count("–") >= 4 and "0.8" in row


def test_methods_without_held_out_heads_are_compared_on_rebuilt_labels_alone():
    lines = brain_sections.labels(labels_part(0.1, 0.95), set())
    assert "| 10 % | slices − shape | +4.0 (+3.0 to +5.0) | 0.001 | – | – |" in lines


def test_intervals_are_written_with_their_ends():
    assert interval([0.5, 0.4, 0.6, 9]) == "0.500 (0.400 to 0.600)"
    assert interval([0.05, 0.04, 0.06, 9], 1, 100, True) == "+5.0 (+4.0 to +6.0)"
    assert interval([0.5, None, None, 1]) == "0.500" and interval([None, None, None, 0]) == interval(None) == "–"


def test_a_chart_is_drawn_for_every_part(tmp_path):
    drawn = brain_figures.draw_all(whole(), tmp_path)
    assert {path.name for path in drawn} == {
        "brain_losses.png", "brain_skips.png", "brain_labels.png", "brain_contrast.png", "brain_synthesis.png"
    }  # fmt: skip
    assert all(path.read_bytes()[:4] == b"\x89PNG" and path.stat().st_size > 5000 for path in drawn)
    assert brain_figures.draw_all({}, tmp_path) == []
