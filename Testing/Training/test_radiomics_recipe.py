"""The recipe of RadiomicsSurvival: from phantoms, images or tables to a bundle that says what it was made of."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
import pytest

from manabi.context import Context
from manabi.errors import InvalidInputError
from manabi.io import write_volume
from manabi.radiomics.model_file import load_model
from manabi.radiomics.parameters import RadiomicsParameters
from Training.config import read_sections
from Training.radiomics import RadiomicsRecipe, RadiomicsTraining, fit_parameters, train
from Training.radiomics_data import Tables, open_data

sys.path.insert(0, str(Path(__file__).parents[1] / "manabi" / "radiomics"))
from radiomics_cases import FAST, cohort_tables, tumours

COARSE = {"slice_mm": 5.0, "pixel_mm": 2.0, "volume_ml": 4.0}
"""Choices of a phantom that render quickly."""
TYPES = {"training": RadiomicsTraining, "recipe": RadiomicsRecipe}


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def opened(data, tmp_path, choices=None):
    parameters = RadiomicsParameters(task="features", **FAST)
    return open_data(data, parameters, choices or {}, tmp_path, tmp_path / "cache", Context(device="cpu"), 1)


@pytest.mark.parametrize("name", ["radiomics", "radiomics_quick", "radiomics_grade"])
def test_shipped_configurations_can_be_read(name):
    sections = read_sections(name, [], TYPES)
    assert sections["recipe"].extraction().extraction().families


def test_simulated_patients_have_features_and_what_a_clinic_would_know(tmp_path):
    tables = opened("phantoms:5:2", tmp_path, COARSE)
    features, outcomes = rows_of(tables.features), rows_of(tables.outcomes)
    assert tables.simulated and "simulated" in tables.source
    assert [row["case"] for row in features] == [row["case"] for row in outcomes] == ["case-0000", "case-0001"]
    assert float(features[0]["volume_ml"]) == pytest.approx(4.0, rel=0.15)
    assert set(outcomes[0]) == {"case", "time_days", "event", "age_years", "sex", "stage", "centre"}
    assert features[0]["settings_json"] == features[1]["settings_json"]


def test_what_was_extracted_is_kept(tmp_path):
    first = opened("phantoms:5:1", tmp_path, COARSE).features.read_bytes()
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("case-*.json")}
    again = opened("phantoms:5:2", tmp_path, COARSE).features.read_bytes()
    assert len(kept) == 1 and all(path.stat().st_mtime_ns == when for path, when in kept.items())
    assert again.startswith(first.rstrip(b"\n"))


def test_a_table_of_images_becomes_two_tables(tmp_path):
    for name, volume in tumours().items():
        write_volume(volume, tmp_path / f"{name}.nrrd")
    (tmp_path / "cohort.csv").write_text(
        "case,image,mask,time_days,event\np1,image.nrrd,mask.nrrd,100,1\np2,image.nrrd,mask.nrrd,90,0\n",
        encoding="utf-8",
    )
    tables = opened(str(tmp_path / "cohort.csv"), tmp_path)
    assert [(r["case"], r["segment"]) for r in rows_of(tables.features)] == [
        ("p1", "segment 1"), ("p1", "segment 2"), ("p2", "segment 1"), ("p2", "segment 2"),
    ]  # fmt: skip
    assert rows_of(tables.outcomes)[0] == {"case": "p1", "time_days": "100", "event": "1"}
    assert not tables.simulated


@pytest.mark.parametrize(
    ("data", "message"), [("phantoms:1", "SEED:COUNT"), ("nowhere", "Expected phantoms"), ("", "no features.csv")]
)
def test_data_that_are_none_are_refused(data, message, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InvalidInputError, match=message):
        opened(data or str(empty), tmp_path)


def test_clinical_columns_of_simulated_patients_are_known(tmp_path):
    outcomes = tmp_path / "o.csv"
    outcomes.write_text("case,time_days,event,age_years,sex\n", encoding="utf-8")
    parameters = fit_parameters(RadiomicsRecipe(), Tables(tmp_path / "f.csv", outcomes, True, "simulated"))
    assert parameters.clinical_columns == "age_years=numeric;sex=categorical"


def test_tables_become_a_bundle_with_card_metrics_and_settings(tmp_path):
    cohort_tables(tmp_path)
    summary = train(
        str(tmp_path), tmp_path / "out", "radiomics_quick",
        ["clinical_columns=age=numeric", "name=radiomics-here", "training.workers=1"],
    )  # fmt: skip
    folder = Path(summary["bundle"])
    from manabi.bundle import Bundle

    bundle = Bundle(folder).verify()
    assert (bundle.name, bundle.method, bundle.simulated) == ("radiomics-here", "radiomics", False)
    assert summary["patients"] == 60 and summary["metrics"] == bundle.metrics
    assert "harrell_c_combined" in bundle.metrics
    model = load_model(bundle)
    assert model.extraction["image"].resample_mm == (2.0, 2.0, 2.0)
    assert np.isfinite(model.fitted.risks).all()
    assert (folder / "docs" / "report.html").is_file()
    assert not list(folder.rglob("p1*"))
