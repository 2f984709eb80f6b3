"""The figures of the SPECT experiment show what they are given, and that it is simulated."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from manabi.errors import InvalidInputError
from manabi.plotting.page import Page
from Training.agreement import bland_altman
from Training.experiments import spect_figures as figures
from Training.resampling import Estimate


@pytest.fixture
def texts(monkeypatch):
    """Every text that a page is asked to write."""
    written = []
    plain = Page.text

    def record(self, x, y, text, *rest, **more):
        written.append(text)
        plain(self, x, y, text, *rest, **more)

    monkeypatch.setattr(Page, "text", record)
    return written


def check(path, texts):
    with Image.open(path) as image:
        width, height = image.size
        assert np.asarray(image.convert("L")).std() > 5
    assert width >= 600
    assert height >= 200
    assert any("Simulated phantoms" in text for text in texts)
    assert texts[-1].startswith(figures.FOOTER) or figures.FOOTER in " ".join(texts)
    return width, height


def stack(seed=0):
    return np.random.default_rng(seed).random((5, 64, 64)) * 0.5


def test_methods_stand_in_the_order_of_the_source():
    given = ["Manabi (ours)", "TransUNET", "BM3D", "U-Net(L4)", "Original (5 min)", "Gaussian"]
    expected = ["Original (5 min)", "Gaussian", "BM3D", "U-Net(L4)", "TransUNET", "Manabi (ours)"]
    assert figures.in_order(given) == expected


# --- images -------------------------------------------------------------------------------------------


def test_examples_show_every_method_of_every_patient(tmp_path, texts):
    methods = [f"method {n}" for n in range(10)]
    cases = [(f"Phantom {p}", {m: stack(p) for m in methods}) for p in range(2)]
    check(figures.draw_examples(cases, tmp_path / "examples.png"), texts)
    assert all(texts.count(m) == 1 for m in methods)
    assert texts.count("Phantom 0") == texts.count("Phantom 1") == 2


def test_examples_show_the_middle_slice_with_the_right_side_on_the_left(tmp_path):
    images = np.zeros((5, 64, 64))
    images[2, 40:50, 50:60] = 1.0
    path = figures.draw_examples([("Phantom", {"only": images})], tmp_path / "examples.png")
    with Image.open(path) as image:
        seen = np.asarray(image.convert("RGB")).astype(int)[100:270, 55:215]
    hot = (seen[..., 0] > 240) & (seen[..., 1] > 180)
    rows, columns = np.nonzero(hot)
    assert len(rows) > 200
    assert columns.mean() < seen.shape[1] / 2
    assert rows.mean() < seen.shape[0] / 2


def test_examples_need_the_same_methods_for_every_patient(tmp_path):
    with pytest.raises(InvalidInputError, match="same methods"):
        figures.draw_examples([("a", {"x": stack()}), ("b", {"y": stack()})], tmp_path / "examples.png")
    with pytest.raises(InvalidInputError, match="at least one case"):
        figures.draw_examples([], tmp_path / "examples.png")


def test_over_correction_shows_images_numbers_and_the_alert(tmp_path, texts):
    pair = [("25 min", stack(1)), ("5 min", stack(2)), ("V-Net", stack(3))]
    alert = "Over-correction alert: denoising moved the binding ratio of the left putamen."
    numbers = {"SBR left putamen": (1.17, 1.2, 2.44)}
    check(figures.draw_over_correction(pair, numbers, alert, tmp_path / "over.png"), texts)
    assert alert in texts
    assert {"1.17", "1.20", "2.44", "SBR left putamen", "V-Net − 25 min"} <= set(texts)


def test_over_correction_needs_a_number_per_image(tmp_path):
    with pytest.raises(InvalidInputError, match="every number"):
        figures.draw_over_correction(
            [("a", stack()), ("b", stack())], {"SBR": (1.0,)}, "alert", tmp_path / "over.png"
        )


# --- scores -------------------------------------------------------------------------------------------


def test_scores_name_methods_and_means(tmp_path, texts):
    rng = np.random.default_rng(0)
    ssim = {"Manabi (ours)": rng.uniform(0.8, 0.9, 12), "Gaussian": rng.uniform(0.6, 0.7, 12)}
    psnr = {name: 30 * values for name, values in ssim.items()}
    check(figures.draw_scores(ssim, psnr, tmp_path / "scores.png"), texts)
    assert texts.index("Gaussian") < texts.index("Manabi (ours)")
    assert f"{ssim['Gaussian'].mean():.3f}" in texts
    assert f"{psnr['Gaussian'].mean():.2f}" in texts
    assert any("12 simulated patients" in text for text in texts)


def test_scores_refuse_infinite_values_and_unequal_methods(tmp_path):
    with pytest.raises(InvalidInputError, match="finite"):
        figures.draw_scores({"a": np.array([0.5, 0.6])}, {"a": np.array([20.0, np.inf])}, tmp_path / "scores.png")
    with pytest.raises(InvalidInputError, match="same methods"):
        figures.draw_scores({"a": np.ones(3)}, {"b": np.ones(3)}, tmp_path / "scores.png")


def test_kappa_takes_tuples_and_estimates_and_unknown_intervals(tmp_path, texts):
    table = {
        "Manabi (ours)": {"A": Estimate(0.7, 0.6, 0.8), "B": (0.6, 0.5, 0.7)},
        "Original (5 min)": {"A": (0.3, float("nan"), float("nan")), "B": (-0.1, -0.2, 0.1)},
    }
    check(figures.draw_kappa(table, tmp_path / "kappa.png"), texts)
    assert {"● Reader A", "● Reader B", "Simulated phantoms and readers"} <= set(texts)
    assert any("not people" in text for text in texts)


# --- binding ratios and the alert ----------------------------------------------------------------------------


def test_bland_altman_writes_bias_and_limits_of_each_group(tmp_path, texts):
    rng = np.random.default_rng(3)
    reference = rng.uniform(1, 3, 40)
    measured = np.concatenate([reference + rng.normal(-0.3, 0.1, 40), reference + rng.normal(0.0, 0.2, 40)])
    groups = ["Gaussian"] * 40 + ["Manabi (ours)"] * 40
    patients = list(np.repeat(np.arange(10), 4)) * 2
    path = figures.draw_bland_altman(measured, np.tile(reference, 2), groups, tmp_path / "ba.png", patients)
    check(path, texts)
    study = bland_altman(measured[:40], reference)
    assert any(t.startswith(f"bias {study.bias.value:+.3f}".replace("-", "−")) and "n = 40" in t for t in texts)


def test_bland_altman_draws_a_group_of_one_without_limits(tmp_path, texts):
    figures.draw_bland_altman(np.array([1.0]), np.array([1.1]), ["a"], tmp_path / "ba.png")
    assert "n = 1: too few for limits" in texts


def test_bland_altman_needs_lists_of_one_length(tmp_path):
    with pytest.raises(InvalidInputError, match="one group per pair"):
        figures.draw_bland_altman(np.ones(3), np.ones(3), ["a"], tmp_path / "ba.png")


def test_the_roc_curve_steps_through_distinct_scores():
    false, true = figures.roc_curve(np.array([True, False, True, False]), np.array([3.0, 2.0, 2.0, 1.0]))
    assert false.tolist() == [0.0, 0.0, 0.5, 1.0]
    assert true.tolist() == [0.0, 0.5, 1.0, 1.0]


def test_roc_writes_auc_and_operating_point(tmp_path, texts):
    truth = np.array([True] * 4 + [False] * 10)
    score = np.array([5.0, 4.0, 3.5, 1.0, *np.linspace(0.1, 2.9, 9), 3.2])
    check(figures.draw_roc(truth, score, "0.9 (0.8 to 1.0)", 3.0, tmp_path / "roc.png"), texts)
    assert "AUC 0.9 (0.8 to 1.0)" in texts
    assert "sensitivity 0.75, specificity 0.90" in texts


def test_roc_needs_good_and_bad_results(tmp_path):
    with pytest.raises(InvalidInputError, match="both good and bad"):
        figures.draw_roc(np.zeros(4, bool), np.ones(4), "", 3.0, tmp_path / "roc.png")
