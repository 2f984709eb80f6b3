"""Features of rendered phantoms: kept, read again, and learned from."""

from __future__ import annotations

import json

import numpy as np
import pytest

from manabi.context import Context
from manabi.phantoms.tumour_surrogate import LUNG_DRIVERS
from Training.experiments import survival_features
from Training.experiments.survival_features import (
    GLIOMA_DRIVERS,
    Extracted,
    Rows,
    extracted,
    extraction,
    glioma_truth,
    learn,
    lung_surrogate,
    lung_truth,
)


def rows(folder, **choices):
    return Rows(3, {"field_mm": 60.0, "v": -0.5, **choices}, folder)


def test_the_source_s_features_are_extracted_and_kept(tmp_path, monkeypatch):
    found = extracted(rows(tmp_path, centre="A"), 1, Context(), 1)
    assert found.values.shape == (1, 744)
    assert "wavelet-LHH_glszm_LargeAreaEmphasis" in found.names
    assert np.isfinite(found.values).all()
    monkeypatch.setattr(survival_features, "make_row", None)  # what is there is not made again
    again = extracted(rows(tmp_path, centre="A"), 1, Context(), 1)
    assert np.array_equal(again.values, found.values)


def test_two_images_give_twice_as_many_named_by_image(tmp_path):
    found = extracted(rows(tmp_path, modality="mr", centre="C"), 1, Context(), 1)
    assert found.values.shape == (1, 1488)
    assert {name.split()[0] for name in found.names} == {"t1ce", "t2"}


def test_undefined_features_are_left_out(tmp_path, monkeypatch):
    def write(one, index):
        (one.folder / f"case-{index:04d}.json").write_text(json.dumps({"a": 1.0, "b": None if index else 2.0}))

    monkeypatch.setattr(survival_features, "make_row", write)
    assert extracted(rows(tmp_path), 2, Context(), 1).names == ("a",)


def test_truths_have_a_column_per_driver(tmp_path):
    lung = [rows(tmp_path).parameters(n) for n in range(3)]
    assert lung_truth(lung).shape == (3, len(LUNG_DRIVERS))
    assert np.allclose(lung_truth(lung)[:, 1], -0.5)
    glioma = [rows(tmp_path, modality="mr", grade=4, centre="D").parameters(n) for n in range(2)]
    assert glioma_truth(glioma).shape == (2, len(GLIOMA_DRIVERS))
    assert glioma_truth(glioma)[:, -1].tolist() == [1.0, 1.0]


def test_a_surrogate_is_learned_from_what_was_extracted(tmp_path):
    cases = tuple(Rows(1, {}, tmp_path).parameters(n) for n in range(60))
    truth = lung_truth(cases)
    values = np.column_stack([truth[:, 1], -truth[:, 1], np.random.default_rng(0).standard_normal(60)])
    found = learn(Extracted(("up", "down", "noise"), values, cases), LUNG_DRIVERS, lung_truth)
    assert found.effects[1, 0] > 0.7 > -0.7 > found.effects[1, 1]


def test_no_phantoms_mean_made_up_features(tmp_path):
    found = lung_surrogate(1, 0, tmp_path, Context(), 1)
    assert len(found.names) == 744
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("modality", "scale"), [("ct", None), ("mr", 100.0)])
def test_mr_is_scaled_to_itself(modality, scale):
    assert extraction(modality).normalise_scale == scale
