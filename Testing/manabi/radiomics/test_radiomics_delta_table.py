"""From the table of a batch of scans to a table of changes, and on to a validated model."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from manabi.context import Context
from manabi.errors import InvalidInputError
from manabi.io.tables import write_table
from manabi.radiomics.cohort_run import plan_of
from manabi.radiomics.delta_table import change_tables
from manabi.radiomics.method import RadiomicsSurvival
from manabi.radiomics.parameters import CHANGES, RadiomicsParameters

SLOPES = {"p1": 0.5, "p2": -1.0, "p3": 2.0}


def scans(folder, **changed):
    """``radiomics.csv`` of three patients in weeks 1, 2, 3; ``f`` is a line and ``volume_ml`` shrinks."""
    rows = []
    for patient, slope in SLOPES.items():
        for week in (1, 2, 3):
            row = {
                "case": f"{patient}_week{week}", "segment": "Tumour", "volume_ml": 10 - week,
                "f": 5 + slope * (week - 1), "settings_sha256": "a", "settings_preset": "default",
                "settings_json": "{}",
            }  # fmt: skip
            rows.append(row | {k: make(patient, week) for k, make in changed.items()})
    rows.reverse()  # in no order
    path = folder / "radiomics.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def changes(path, **choices):
    return change_tables(RadiomicsParameters(task="delta", features_csv=str(path), **choices), Context())


def test_the_slope_of_a_line_is_found_for_each_patient_beside_the_first_scan(tmp_path):
    found = changes(scans(tmp_path))
    table = found.tables[CHANGES]
    rows = {row[0]: dict(zip(table.columns, row, strict=True)) for row in table.rows}
    assert set(rows) == set(SLOPES)
    for patient, slope in SLOPES.items():
        assert rows[patient]["delta-slope_f"] == pytest.approx(slope)
        assert rows[patient]["delta-slope_volume_ml"] == pytest.approx(-1.0)
        assert (rows[patient]["f"], rows[patient]["volume_ml"]) == (5.0, 9.0)
        assert rows[patient]["settings_sha256"] == "a"
    assert "settings_json" not in table.columns  # one image would not be enough to predict
    assert any("landmark" in text and "week 3" in text for text in found.warnings)
    assert found.measurements["landmark_week"] == 3.0


def test_all_sets_or_one_and_the_first_scan_on_request(tmp_path):
    path = scans(tmp_path)
    every = changes(path, delta_set="all", first_scan=False).tables[CHANGES].columns
    assert sum(name.startswith("delta-") for name in every) == 2 * 9
    assert "f" not in every
    assert "volume_ml" in every  # the model of the volume alone needs it
    one = changes(path, delta_set="abs-w2-w1")
    assert [c for c in one.tables[CHANGES].columns if c.startswith("delta-")] == [
        "delta-abs-w2-w1_volume_ml", "delta-abs-w2-w1_f",
    ]  # fmt: skip
    assert one.measurements["landmark_week"] == 2.0
    with pytest.raises(InvalidInputError, match="no set of changes 'best'.*abs-w2-w1"):
        changes(path, delta_set="best")


def test_columns_of_patient_and_week_are_taken_where_they_are(tmp_path):
    path = scans(tmp_path, case=lambda p, w: f"scan {p}{w}", who=lambda p, w: p, when=lambda p, w: w)
    found = changes(path, patient_column="who", week_column="when").tables[CHANGES]
    assert found.columns[0] == "who"
    assert len(found.rows) == 3


def test_a_missing_scan_leaves_a_gap_and_is_said(tmp_path):
    path = scans(tmp_path)
    lines = [line for line in path.read_text().splitlines() if not line.startswith("p2_week2")]
    path.write_text("\n".join(lines) + "\n")
    found = changes(path, delta_set="all")
    table = found.tables[CHANGES]
    gaps = dict(zip(table.column("case"), table.column("delta-abs-w2-w1_f"), strict=True))
    assert gaps["p2"] is None
    assert gaps["p1"] == pytest.approx(0.5)
    assert "Scan 2 of 3: 1 of 3 patients do not have it." in found.warnings


def test_what_cannot_be_compared_is_refused(tmp_path):
    with pytest.raises(InvalidInputError, match="choose features_csv"):
        RadiomicsParameters(task="delta")
    with pytest.raises(InvalidInputError, match=r"9 of 9 entries of 'case' do not end in their week"):
        changes(scans(tmp_path, case=lambda p, w: f"{p}{w}x"))
    with pytest.raises(InvalidInputError, match="different settings"):
        changes(scans(tmp_path, settings_sha256=lambda p, w: str(w)))
    with pytest.raises(InvalidInputError, match="the same week twice"):
        changes(scans(tmp_path, case=lambda p, w: f"{p}_week{max(w, 2)}"))
    with pytest.raises(InvalidInputError, match="no column 'name'"):
        changes(scans(tmp_path), patient_column="name")


def test_changes_become_a_model_by_leaving_one_patient_out(tmp_path):
    rng = np.random.default_rng(4)
    slopes = {f"q{n}": rng.normal() for n in range(20)}
    rows = [
        (f"{name}_w{week}", 10.0, 5 + slope * week, rng.normal())
        for name, slope in slopes.items() for week in (1, 2, 3)
    ]  # fmt: skip
    write_table(("case", "volume_ml", "f", "noise"), rows, tmp_path / "scans.csv")
    outcomes = [(name, int(1000 * np.exp(-slope) * rng.exponential()) + 1, 1) for name, slope in slopes.items()]
    write_table(("case", "time_days", "event"), outcomes, tmp_path / "outcomes.csv")
    method, context = RadiomicsSurvival(), Context(device="cpu")
    result = method.run({}, {"task": "delta", "features_csv": str(tmp_path / "scans.csv")}, context)
    table = result.tables[CHANGES]
    assert method.draw({}, result, tmp_path) == []
    assert method.export({}, result, tmp_path, "nii.gz") == {}
    write_table(table.columns, table.rows, tmp_path / "changes.csv")
    fit = {
        "task": "fit", "features_csv": str(tmp_path / "changes.csv"), "outcomes_csv": str(tmp_path / "outcomes.csv"),
        "scheme": "loo", "model": "ridge", "block": "radiomics", "volume_column": "",
    }  # fmt: skip
    assert plan_of(RadiomicsParameters(**fit), 0).scheme == "loo"
    found = method.run({}, fit, context)
    scores = found.tables["scores"]
    assert any("Leave-one-out" in text for text in found.warnings)
    assert "radiomics" in scores.column(scores.columns[0])
