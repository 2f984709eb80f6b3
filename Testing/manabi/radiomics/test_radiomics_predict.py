"""A patient against a cohort: the numbers, what drove them, and what must be doubted."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from radiomics_cases import FEATURE, cohort_tables, tumours

from manabi.bundle import Bundle
from manabi.context import Context
from manabi.errors import CorruptModelError, InvalidInputError
from manabi.radiomics import cohort_tables as study_tables
from manabi.radiomics.apply import predict_tables
from manabi.radiomics.cohort import Plan
from manabi.radiomics.cohort.outside import Outside
from manabi.radiomics.cohort_bundle import About, add_documents, model_of, write_model
from manabi.radiomics.cohort_run import extraction_of, read, result_of
from manabi.radiomics.cohort_study import study
from manabi.radiomics.method import RadiomicsSurvival
from manabi.radiomics.model_file import Group, Verdict, load_model
from manabi.radiomics.parameters import RadiomicsParameters
from manabi.radiomics.predict import alerts, range_notes, verdict_alerts

METHOD = RadiomicsSurvival()
PLAN = Plan(model="ridge", folds=3, repeats=1, inner_folds=3)


def studied(folder, **outcome):
    """A study of the small cohort in this process, and the model of it."""
    features, outcomes = cohort_tables(folder)
    parameters = RadiomicsParameters(
        task="fit", features_csv=str(features), outcomes_csv=str(outcomes), clinical_columns="age=numeric", **outcome
    )
    found = study(read(parameters), PLAN, "combined", Context(device="cpu"), workers=1, draws=40)
    extraction, preset = extraction_of(features, found.cohort.feature_names)
    return found, model_of(found, extraction, preset, "survival")


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    return studied(tmp_path_factory.mktemp("cohort"))


@pytest.fixture(scope="module")
def bundle(fitted, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles") / "site"
    return write_model(folder, *fitted, About("radiomics-test", trained_on="simulated rows", simulated=True))


def run(bundle, inputs=None, **parameters):
    context = Context(device="cpu", bundle=str(bundle.folder))
    return METHOD.run(tumours() if inputs is None else inputs, {"segments": "1", **parameters}, context)


@pytest.fixture(scope="module")
def predicted(bundle):
    return run(bundle, clinical="age=71")


def test_the_bundle_is_checked_like_every_other_and_gives_the_model_back(fitted, bundle):
    assert bundle.verify().method == "radiomics"
    model = load_model(bundle)
    cohort = fitted[0].cohort
    np.testing.assert_allclose(model.fitted.predict_risk(cohort), fitted[0].fitted.predict_risk(cohort))
    assert model.groups == fitted[1].groups and model.verdict == fitted[1].verdict
    assert model.extraction == fitted[1].extraction
    for score in bundle.metrics.values():
        assert score["ci95"][0] <= score["mean"] <= score["ci95"][1]


def test_features_are_extracted_as_the_model_was_trained(predicted, bundle):
    table = predicted.tables["features_wide"]
    row = dict(zip(table.columns, table.rows[0], strict=True))
    assert row["settings_sha256"] == load_model(bundle).extraction["image"].digest()


def test_the_risk_is_the_sum_of_what_drove_it(predicted, bundle):
    parts = predicted.tables["contributions"]
    fitted = load_model(bundle).fitted
    base = fitted.contributions(
        fitted.patient({FEATURE: 40.0, **dict.fromkeys(fitted.feature_names, 1.0)}, {"age": 70})
    ).base
    risk = predicted.measurements["risk"]
    assert sum(parts.column("contribution")) + base == pytest.approx(risk, abs=2e-3)
    assert 0 <= predicted.measurements["risk_percentile"] <= 100
    high = risk >= fitted.median_risk
    assert predicted.measurements["risk_group"] == ("high risk" if high else "low risk")


def test_survival_falls_over_the_years_and_stands_beside_what_was_seen(predicted):
    table = predicted.tables["survival"]
    survival = [s for s in table.column("predicted") if s is not None]
    assert survival == sorted(survival, reverse=True) and all(0 <= s <= 1 for s in survival)
    for row in table.rows:
        cells = dict(zip(table.columns, row, strict=True))
        if cells["observed_low"] is not None:
            assert cells["observed_low"] <= cells["observed_in_group"] <= cells["observed_high"]
    assert set(predicted.plots["survival"].series) > {"this patient, predicted"}


def test_missing_clinical_values_are_flagged_and_unknown_ones_refused(bundle, predicted):
    assert not any(w.startswith("Clinical values are missing") for w in predicted.warnings)
    assert any(w.startswith("Clinical values are missing: age") for w in run(bundle).warnings)
    with pytest.raises(InvalidInputError, match=r"no clinical variable 'agee'.*takes: age"):
        run(bundle, clinical="agee=70")
    with pytest.raises(InvalidInputError, match="age must be a number"):
        run(bundle, clinical="age=old")


def test_a_tumour_unlike_the_cohort_is_flagged(bundle):
    given = tumours()
    wild = {**given, "image": given["image"].like(np.asarray(given["image"].array) * 20)}
    result = run(bundle, wild, clinical="age=70")
    assert any(w.startswith("Outside the cohort") for w in result.warnings)
    assert result.measurements["outside_cohort"] == "yes"


def test_a_value_beyond_the_range_alone_is_a_note_and_no_alarm():
    def at(distance):
        return SimpleNamespace(segment="Tumour", outside=Outside(distance, 2.0, 40.0, {"f": 0.2}, (), 9))

    assert alerts(at(1.0)) == []
    assert range_notes(at(1.0))[0].startswith("1 of 9 inputs of Tumour lie beyond")
    assert not range_notes(at(1.0))[0].startswith(METHOD.alert_prefixes)
    assert alerts(at(3.0))[0].startswith("Outside the cohort")
    assert range_notes(at(3.0)) == []


def test_every_segment_gets_a_risk_of_its_own(bundle):
    result = run(bundle, segments="all", segment_names="1=A;2=B", clinical="age=70")
    assert result.tables["risk"].column("segment") == ["A", "B"]
    assert result.tables["risk"].column("risk")[0] != result.tables["risk"].column("risk")[1]
    assert "risk (B)" in result.measurements


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        (Verdict(better_than_chance=True, beats_volume=True, beats_clinical=True), []),
        (Verdict(better_than_chance=True, beats_volume=False), ["No better than the volume alone"]),
        (
            Verdict(better_than_chance=False, beats_clinical=False),
            ["No better than chance", "No better than the clinical"],
        ),
        (Verdict(), []),
    ],
)
def test_what_the_validation_does_not_show_is_said(verdict, said):
    found = verdict_alerts(verdict)
    assert len(found) == len(said)
    assert all(text.startswith(start) for text, start in zip(found, said, strict=True))


def test_the_same_risk_comes_from_the_table_and_the_run(bundle, predicted, tmp_path):
    (tmp_path / "in").mkdir()
    table = predicted.tables["features_wide"]
    lines = [
        ",".join([*table.columns, "age"]),
        ",".join([*(f'"{str(c).replace(chr(34), chr(34) * 2)}"' for c in table.rows[0]), "71"]),
    ]
    (tmp_path / "in" / "rows.csv").write_text("\n".join(lines), encoding="utf-8")
    assert predict_tables(bundle.folder, tmp_path / "in", tmp_path / "out") == 1
    cells = (tmp_path / "out" / "risk.csv").read_text(encoding="utf-8").splitlines()[1].split(",")
    assert float(cells[2]) == pytest.approx(predicted.measurements["risk"], abs=1e-3)


def test_a_model_of_labels_gives_probabilities(tmp_path):
    found, model = studied(tmp_path, label_column="grade", label_levels="III,IV")
    bundle = write_model(tmp_path / "grade", found, model, About("radiomics-grade", outcome="grade"))
    result = run(bundle, clinical="age=70")
    chances = [result.measurements["probability_III"], result.measurements["probability_IV"]]
    assert sum(chances) == pytest.approx(1.0, abs=1e-3)
    assert "survival" not in result.tables and result.plots["probability"].categories == ("III", "IV")
    assert found.main_score == "AUC" and "AUC" in model.verdict.text


def test_an_altered_bundle_is_refused(bundle, fitted, tmp_path):
    copy = write_model(tmp_path / "copy", *fitted, About("radiomics-copy"))
    weights = copy.folder / "models" / "model.pt"
    data = bytearray(weights.read_bytes())
    data[-40] ^= 1
    weights.write_bytes(bytes(data))
    with pytest.raises(CorruptModelError, match="altered"):
        load_model(Bundle(copy.folder))


def test_survival_of_a_group_is_read_from_its_curve():
    group = Group("low risk", 3, 1, (0.0, 1.0, 2.0), (1.0, 0.8, 0.6), (None, 0.5, 0.3), (None, 0.9, 0.8), (3, 2, 1))
    assert group.at(1.5) == (0.8, 0.5, 0.9)
    assert group.at(2.5) is None


def test_the_bundle_carries_its_validation_in_words_tables_and_pictures(fitted, bundle):
    add_documents(bundle.folder, result_of(*fitted), About("radiomics-test", simulated=True))
    docs = bundle.folder / "docs"
    card = (docs / "README.md").read_text(encoding="utf-8")
    assert "simulated" in card and "Harrell C" in card and "## Checklist" in card
    assert (docs / "scores.csv").is_file() and (docs / "cohort.png").is_file()
    assert "trained on simulated data" in (docs / "report.html").read_text(encoding="utf-8")
    assert bundle.verify()


def test_every_block_is_scored_with_an_interval_and_compared(fitted):
    tables = study_tables.tables(fitted[0], None)
    scores = tables["scores"]
    blocks = {row[0] for row in scores.rows}
    assert blocks == {"clinical", "volume", "radiomics", "combined"}
    assert any("combined - volume" in str(name) for name in tables["differences"].column("score"))
    assert "in_model" in tables["selected_features"].columns
    assert len(tables["checklist"].rows) > 30


def test_the_words_claim_no_more_than_the_interval(fitted):
    found, model = fitted
    difference = found.difference("combined", "volume")
    assert (difference.low > 0) == model.verdict.beats_volume
    worse = replace(difference, low=-0.1, high=0.2)
    from manabi.radiomics.cohort_words import _compared

    assert "not shown" in _compared("combined", "volume", worse)
