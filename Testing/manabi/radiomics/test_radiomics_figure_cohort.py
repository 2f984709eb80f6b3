"""The task fit through the method: two tables in; tables, words, a picture and a bundle out."""

from __future__ import annotations

import pytest
from radiomics_cases import cohort_tables

from manabi.context import Context
from manabi.errors import InvalidInputError
from manabi.io.results import write_result
from manabi.radiomics.cohort_run import clinical_kinds, extraction_of
from manabi.radiomics.method import RadiomicsSurvival
from manabi.store import BundleStore

METHOD = RadiomicsSurvival()


def fit(folder, context=None, **changes):
    features, outcomes = cohort_tables(folder)
    parameters = {
        "task": "fit", "features_csv": str(features), "outcomes_csv": str(outcomes), "clinical_columns": "age=numeric",
        "model": "ridge", "folds": 3, "repeats": 1, "bundle_folder": str(folder / "bundle"), **changes,
    }  # fmt: skip
    return METHOD.run({}, parameters, context or Context(device="cpu"))


@pytest.mark.slow
def test_a_fit_leaves_a_picture_a_report_and_a_bundle_that_can_be_installed(tmp_path):
    result = fit(tmp_path)
    assert result.measurements["patients"] == 60 and result.measurements["block"] == "combined"
    assert result.provenance["parameters"]["features_csv"].startswith("sha256:")
    assert str(tmp_path) not in str(result.provenance)
    files = write_result(result, tmp_path / "out", method=METHOD, inputs={})
    assert [p.name for p in files["figures"]] == ["cohort.png"]
    assert files["radiomics/report"][0].stat().st_size > 50_000
    store = BundleStore(tmp_path / "store")
    assert store.install(tmp_path / "bundle").method == "radiomics"


@pytest.mark.slow
def test_a_cancelled_fit_writes_no_bundle(tmp_path):
    context = Context(device="cpu")
    context.on_progress = lambda fraction, text: context.cancel.set() if fraction > 0.5 else None
    with pytest.raises(Exception, match="Cancelled"):
        fit(tmp_path, context)
    assert not (tmp_path / "bundle").exists()


def test_tables_that_do_not_fit_are_refused_with_a_reason(tmp_path):
    with pytest.raises(InvalidInputError, match="has no column 'case2'"):
        fit(tmp_path, patient_column="case2")
    with pytest.raises(InvalidInputError, match="age=numeric, =categorical"):
        fit(tmp_path, clinical_columns="age=number")


def test_clinical_columns_are_numbers_categories_or_ordered_levels():
    assert clinical_kinds("age=numeric;sex=categorical;stage=IA<IB") == {
        "age": "numeric", "sex": "categorical", "stage": ("IA", "IB")
    }  # fmt: skip


def test_features_of_different_settings_are_not_mixed(tmp_path):
    features, _ = cohort_tables(tmp_path)
    text = features.read_text(encoding="utf-8")
    first, second = text.split("\n")[1:3]
    mixed = text.replace(second, second.replace('""bin_width"": 25.0', '""bin_width"": 10.0'))
    assert mixed != text
    features.write_text(mixed, encoding="utf-8")
    with pytest.raises(InvalidInputError, match="2 different settings"):
        extraction_of(features, ("a",))
    features.write_text("case,a\np,1\n", encoding="utf-8")
    assert extraction_of(features, ("a",)) == ({}, "")
    assert first
