"""The scripts behind ``docs/results/radiomics_real.md`` and ``bench_radiomics``: what they keep, drop and count."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

HERE = Path(__file__).parent


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """A script of ``tools`` or ``benchmarks`` as a module."""
    for folder in ("tools", "benchmarks"):
        monkeypatch.syspath_prepend(str(HERE / folder))
    return importlib.import_module


def features_table() -> Any:
    """Three patients: one extracted twice, one with a second tumour that comes first in the file."""
    pandas = pytest.importorskip("pandas")
    rows = [("LUNG1-002_20180526_CT_GTV-1", "GTV-1_mask", 20.5), ("LUNG1-001_000000_GTV-2", "GTV-2_mask", 1.5),
            ("LUNG1-001_000000_GTV-1", "GTV-1_mask", 10.5), ("LUNG1-002_000000_GTV-1", "GTV-1_mask", 20.0),
            ("LUNG1-003_000000_GTV-1", "GTV-1_mask", 30.0)]  # fmt: skip
    return pandas.DataFrame(rows, columns=["Patient", "ROI", "original_shape_MeshVolume"])


def clinical_table(**changed: Any) -> Any:
    """Clinical data of the three patients."""
    pandas = pytest.importorskip("pandas")
    columns = {
        "PatientID": ["LUNG1-001", "LUNG1-002", "LUNG1-003"],
        "age": [60.0, np.nan, 70.0],
        "clinical.T.Stage": [5.0, 2.0, np.nan],
        "Clinical.N.Stage": [4, 0, 3],
        "Overall.Stage": ["I", "IIIb", None],
        "Histology": ["nos", None, "Large cell"],
        "gender": ["male", "female", "male"],
        "Survival.time": [10, 20, 30],
        "deadstatus.event": [1, 0, 1],
    }
    return pandas.DataFrame({**columns, **changed})


def test_each_patient_is_kept_once_with_the_primary_tumour(tool: Callable[[str], ModuleType]) -> None:
    found = tool("read_lung1").primaries(features_table())
    assert found["patient"].tolist() == ["LUNG1-001", "LUNG1-002", "LUNG1-003"]
    assert found["original_shape_MeshVolume"].tolist() == [10.5, 20.0, 30.0]


def test_stages_that_are_no_stages_count_as_missing(tool: Callable[[str], ModuleType]) -> None:
    columns = {column.name: column for column in tool("read_lung1").clinical_columns(clinical_table())}
    assert np.isnan(columns["clinical.T.Stage"].values).tolist() == [True, False, True]
    assert np.isnan(columns["Clinical.N.Stage"].values).tolist() == [True, False, False]
    assert columns["clinical.T.Stage"].levels[int(columns["clinical.T.Stage"].values[1])] == "2"
    assert columns["Histology"].levels == ("large cell", "nos")
    assert columns["Overall.Stage"].values[1] == 3
    assert np.isnan(columns["age"].values).sum() == 1


def test_volume_of_the_cohort_is_in_millilitres(tool: Callable[[str], ModuleType]) -> None:
    reader = tool("read_lung1")
    joined = reader.primaries(features_table()).merge(clinical_table(), left_on="patient", right_on="PatientID")
    cohort = reader.cohort_of(joined)
    assert np.asarray(cohort.volume_ml).tolist() == [0.0105, 0.02, 0.03]
    assert (len(cohort), cohort.n_events, cohort.feature_names) == (3, 2, ("original_shape_MeshVolume",))


def test_a_spreadsheet_with_other_survival_is_refused(tool: Callable[[str], ModuleType]) -> None:
    reader = tool("read_lung1")
    reader.check_same(clinical_table(), clinical_table())
    with pytest.raises(SystemExit, match="do not agree"):
        reader.check_same(clinical_table(), clinical_table(**{"Survival.time": [10, 20, 31]}))


@pytest.mark.slow
def test_the_real_tables_give_the_cohort_of_the_page(
    tool: Callable[[str], ModuleType], data_folder: Callable[[str], Path]
) -> None:
    pytest.importorskip("openpyxl")
    found = tool("read_lung1").read_lung1(data_folder("radiomics/lung1"))
    assert (found.rows, found.patients, found.dropped, found.clinical_patients) == (149, 145, 4, 422)
    assert (len(found.cohort), found.cohort.n_events, len(found.cohort.feature_names)) == (145, 129, 1218)


@pytest.mark.parametrize(("name", "n", "events"), [("veterans lung", 137, 128), ("GBSG2", 686, 299),
                                                   ("WHAS500", 500, 215)])  # fmt: skip
def test_data_sets_come_with_their_published_numbers(
    tool: Callable[[str], ModuleType], name: str, n: int, events: int
) -> None:
    cohort = tool("read_sets").cohort_of(name)
    assert (len(cohort), cohort.n_events) == (n, events)
    assert "los" not in {column.name for column in cohort.clinical}


def test_p_of_a_permutation_test_counts_the_data_and_is_never_zero(tool: Callable[[str], ModuleType]) -> None:
    p_of = tool("lung1_tables").p_of
    assert p_of(0.7, np.full(19, 0.5)) == pytest.approx(0.05)
    assert p_of(0.5, np.array([0.4, 0.5, 0.6])) == pytest.approx(0.75)


def test_tables_show_what_is_missing_as_a_dash(tool: Callable[[str], ModuleType]) -> None:
    tables = tool("lung1_tables")
    whole = {"name": "C", "estimate": 0.61234, "low": 0.5, "high": 0.7, "p": 0.0004}
    gone = {"name": "C", "estimate": None, "low": None, "high": None, "p": None}
    assert tables.cell(whole) == "0.612 (0.500 to 0.700)"
    assert tables.cell({**whole, "estimate": -0.01, "low": None}, 2) == "−0.01"
    assert (tables.cell(gone), tables.p_cell(gone), tables.p_cell(whole)) == ("–", "–", "< 0.001")
    assert tables.block_table({"volume": [whole]}, ["C"]).splitlines()[-1] == "| C | 0.612 (0.500 to 0.700) |"


def test_parts_of_the_check_are_stored_side_by_side(tool: Callable[[str], ModuleType], tmp_path: Path) -> None:
    check, path = tool("check_lung1"), tmp_path / "results.json"
    check.store(path, "null", {"c": 1})
    check.store(path, "sets", {"c": 2})
    assert json.loads(path.read_text(encoding="utf-8")) == {"null": {"c": 1}, "sets": {"c": 2}}


def test_quick_plans_do_one_repeat_and_full_ones_what_the_page_says(tool: Callable[[str], ModuleType]) -> None:
    check = tool("check_lung1")
    assert (check.plan_of("primary", True).repeats, check.plan_of("null", True).n_permutations) == (1, 2)
    full = check.plan_of("primary", False)
    assert (full.model, full.folds, full.repeats, full.n_permutations) == ("elastic_net", 5, 10, 0)


def test_largest_difference_is_relative_and_asks_for_every_value(tool: Callable[[str], ModuleType]) -> None:
    difference = tool("bench_radiomics").largest_difference
    assert difference({"a": 2.0, "b": 101.0, "c": 9.0}, {"a": 2.0, "b": 100.0}) == pytest.approx(0.01)
    with pytest.raises(KeyError):
        difference({"a": 1.0}, {"a": 1.0, "b": 1.0})


def test_sphere_lies_round_the_deepest_voxel(tool: Callable[[str], ModuleType]) -> None:
    sitk = pytest.importorskip("SimpleITK")
    box = np.zeros((9, 21, 21), np.uint8)
    box[1:8, 3:18, 3:18] = 1
    mask = sitk.GetImageFromArray(box)
    mask.SetSpacing((1.0, 1.0, 3.0))  # the middle lies 7 mm from the sides, its neighbours less
    inside = sitk.GetArrayFromImage(tool("bench_radiomics").within_sphere(mask, 4.0))
    k, j, i = np.indices(box.shape)
    assert np.array_equal(inside, ((k - 4) ** 2 * 9 + (j - 10) ** 2 + (i - 10) ** 2 <= 16).astype(np.uint8))
