"""Cohorts: what is accepted, what is refused and in which words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from cohort_fixtures import label_cohort, survival_cohort

from manabi.errors import InvalidInputError
from manabi.radiomics.cohort import ClinicalColumn, Cohort, Columns, Plan, Preparation
from manabi.radiomics.cohort.table_checks import check_enough

N = 24
COLUMNS = Columns(clinical={"age": "numeric", "stage": ("I", "II", "III")}, volume_ml="volume", centre="site")


@pytest.fixture
def files(tmp_path):
    """Writes the two tables, with cells replaced: {(file, column, row): text}."""

    def write(changes=None, columns=COLUMNS, text=None):
        rng = np.random.default_rng(0)
        features = {"patient": [f"ID{k}" for k in range(N)], "diagnostics_Version": ["3.0"] * N,
                    "volume": rng.uniform(1, 50, N).round(2), "f0": rng.normal(size=N),
                    "f1": rng.normal(size=N)}  # fmt: skip
        outcomes = {"patient": [f"ID{k}" for k in range(N)][::-1], "time_days": rng.integers(30, 900, N),
                    "event": [1, 0] * (N // 2), "age": rng.integers(40, 80, N), "stage": ["I", "II", "III", ""] * 6,
                    "site": ["A", "B"] * (N // 2), "grade": ["III", "IV"] * (N // 2)}  # fmt: skip
        for (where, column, row), value in (changes or {}).items():
            cells = list((features if where == "f" else outcomes)[column])
            for k in [row] if isinstance(row, int) else range(N):
                cells[k] = value
            (features if where == "f" else outcomes)[column] = cells
        paths = []
        for name, table in (("features.csv", features), ("outcomes.csv", outcomes)):
            lines = [",".join(table), *(",".join(map(str, row)) for row in zip(*table.values(), strict=True))]
            data = "\n".join(lines)
            path = tmp_path / name
            path.write_bytes(text(data) if text else data.encode())
            paths.append(path)
        return Cohort.from_csv(*paths, columns)

    return write


def test_two_files_are_matched_by_patient(files):
    cohort = files()
    assert len(cohort) == N and cohort.feature_names == ("f0", "f1") and cohort.kind == "survival"
    assert cohort.event.tolist() == [False, True] * (N // 2), "the outcomes are in reverse order"
    assert cohort.clinical[1].levels == ("I", "II", "III") and np.isnan(cohort.clinical[1].values).sum() == 6
    assert set(cohort.centre) == {"A", "B"} and cohort.volume_ml.shape == (N,)


def test_months_labels_and_excel_of_other_countries_are_read(files):
    months = files(columns=replace(COLUMNS, time_unit="months"))
    assert np.allclose(months.time_days, files().time_days * 365.25 / 12)
    grade = files(columns=replace(COLUMNS, label="grade", label_levels=("III", "IV")))
    assert grade.kind == "binary" and grade.label.sum() == N // 2
    german = files(text=lambda data: data.replace(",", ";").replace(".", ",").encode("utf-8-sig"))
    assert np.array_equal(german.features, files().features)
    japanese = files({("o", "site", 3): "病院"}, text=lambda data: data.encode("cp932"))
    assert "病院" in japanese.centre


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({("f", "patient", 1): "ID0"}, "1 rows repeat a patient"),
        ({("o", "patient", 1): "ID0"}, "1 rows repeat a patient"),
        ({("o", "patient", 0): "elsewhere"}, "1 of 24 rows with features have no outcome"),
        ({("f", "patient", 0): ""}, "1 rows have no patient"),
        ({("o", "time_days", 2): -4}, "1 rows are missing, negative"),
        ({("o", "time_days", 2): 0}, "half a day"),
        ({("o", "time_days", 2): ""}, "1 rows are missing"),
        ({("o", "event", 2): 2}, "1 rows are neither"),
        ({("o", "event", 2): ""}, "1 rows are neither"),
        ({("f", "f0", 5): "high"}, "'f0' holds text where numbers belong, in 1 rows, the first on line 7"),
        ({("o", "age", 5): "old"}, "'age' holds text"),
        ({("f", "f1", "all"): ""}, "1 features are missing in every row, e.g. 'f1'"),
        ({("o", "stage", "all"): ""}, "'stage' is missing in every row"),
        ({("o", "stage", 3): "IX"}, "1 rows hold something else than I, II, III"),
        ({("f", "volume", 3): 0}, "1 are not"),
        ({("f", "f0", 3): "inf"}, "1 features hold infinite"),
        ({("o", "event", "all"): 0}, "0 events in 24 rows are too few: at least 10"),
    ],
)
def test_what_is_wrong_is_said_without_naming_a_patient(files, changes, message):
    with pytest.raises(InvalidInputError, match=message) as error:
        files(changes)
    assert "ID0" not in str(error.value) and "elsewhere" not in str(error.value)


def test_absent_columns_and_files_are_named(files, tmp_path):
    with pytest.raises(InvalidInputError, match="no column 'days'"):
        files(columns=replace(COLUMNS, time="days"))
    with pytest.raises(InvalidInputError, match="Neither file has a column 'ward'"):
        files(columns=replace(COLUMNS, centre="ward"))
    with pytest.raises(InvalidInputError, match="no file 'none.csv'"):
        Cohort.from_csv(tmp_path / "none.csv", tmp_path / "none.csv")


def test_tumours_of_a_patient_share_the_patients_outcome(tmp_path):
    features = ["patient,tumour,f0", *(f"P{k // 2},{k % 2},{k}" for k in range(40))]
    outcomes = ["patient,time_days,event", *(f"P{k},{100 + k},1" for k in range(20))]
    for name, lines in (("f.csv", features), ("o.csv", outcomes)):
        (tmp_path / name).write_text("\n".join(lines), encoding="utf-8")
    cohort = Cohort.from_csv(tmp_path / "f.csv", tmp_path / "o.csv", Columns(tumour="tumour"))
    assert len(cohort) == 40 and cohort.n_patients == 20 and cohort.feature_names == ("f0",)
    assert np.array_equal(cohort.time_days, 100 + np.arange(40) // 2)
    with pytest.raises(InvalidInputError, match="tells tumours apart"):
        Cohort.from_csv(tmp_path / "f.csv", tmp_path / "o.csv")


def test_a_cohort_is_a_copy_that_cannot_be_changed():
    features = np.ones((12, 2))
    cohort = Cohort(patients=tuple("abcdefghijkl"), feature_names=("x", "y"), features=features)
    features[0] = 5
    assert cohort.features[0, 0] == 1
    with pytest.raises(ValueError, match="read-only"):
        cohort.features[0, 0] = 2


def test_blind_rows_have_no_outcome_and_keep_the_rest():
    cohort = survival_cohort(repeated=None).take(np.array([4, 2]))
    blind = cohort.blind()
    assert blind.kind == "none" and blind.time_days is None and blind.event is None
    assert np.array_equal(blind.features, cohort.features) and blind.patients == ("patient-4", "patient-2")


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"features": np.ones((3, 2))}, "rows x names"),
        ({"event": None}, "both time_days and event"),
        ({"centre": ("a",)}, "centre must have one value"),
        ({"feature_names": tuple("aa") + tuple(f"f{k}" for k in range(28))}, "occur twice"),
        ({"clinical": (ClinicalColumn("age", "numeric", np.ones(3)),)}, "must have 90 values"),
        ({"label": np.zeros(90), "label_levels": ("a", "b")}, "either a time"),
    ],
)
def test_parts_that_do_not_fit_are_refused(parts, message):
    with pytest.raises(InvalidInputError, match=message):
        replace(survival_cohort(), **parts)


def test_too_few_of_a_label_are_counted():
    cohort = label_cohort(n=40)
    few = replace(cohort, label=(np.arange(40) < 4).astype(int))
    with pytest.raises(InvalidInputError, match="4 rows of the rarer label"):
        check_enough(few)
    with pytest.raises(InvalidInputError, match="has no outcome"):
        check_enough(cohort.blind())


@pytest.mark.parametrize(
    "values",
    [{"blocks": ()}, {"blocks": ("age",)}, {"model": "svm"}, {"folds": 1}, {"holdout": 5}, {"scheme": "holdout"},
     {"tuning_score": "r2"}, {"n_permutations": -1}],
)  # fmt: skip
def test_a_plan_refuses_what_it_cannot_do(values):
    with pytest.raises(InvalidInputError):
        Plan(**values)


def test_a_plan_goes_to_plain_values_and_back():
    plan = Plan(model="lasso", preparation=Preparation(scale="rank", harmonise_keep=("age",)), seed=3)
    assert Plan.from_dict(plan.to_dict()) == plan
    with pytest.raises(InvalidInputError, match="no 'fold'"):
        Plan.from_dict({"fold": 3})
    with pytest.raises(InvalidInputError, match="min_icc"):
        Preparation(min_icc=2)
