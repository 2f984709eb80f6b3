"""Acceptance: ten patients with three segments, one renamed, are thirty numeric rows, however it is run."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from radiomics_cases import FAST, tumours

from manabi.batch.request import BatchRequest
from manabi.batch.run import run_batch
from manabi.context import Context
from manabi.io import read_volume, write_volume
from manabi.radiomics.merge import gather, together
from manabi.radiomics.method import RadiomicsSurvival
from manabi.result import Table

NAMES = "1=GTV;2=Node;3=Ring"


def patients(folder, count):
    """Image and mask of patients, with three segments."""
    rows = []
    for number in range(count):
        given = tumours(seed=number)
        labels = np.array(given["mask"].array)
        labels[3:11, 8:22, 2:7] = 3
        place = folder / f"patient{number}"
        place.mkdir(parents=True)
        image = given["image"].like(np.asarray(given["image"].array))
        write_volume(image, place / "image.nrrd")
        write_volume(given["mask"].like(labels), place / "mask.nrrd")
        names = NAMES.replace("Node", "Renamed node") if number == 4 else NAMES
        rows.append((f"p{number}", f"{place.name}/image.nrrd", f"{place.name}/mask.nrrd", names))
    with (folder / "cases.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("case", "image", "mask", "segment_names"))
        writer.writerows(rows)
    return folder / "cases.csv"


def read(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_ten_patients_of_three_segments_are_thirty_rows_the_same_as_one_by_one(tmp_path, monkeypatch):
    """Acceptance checks 10 and 21."""
    monkeypatch.setenv("MANABI_METHODS", "radiomics_check=manabi.radiomics.method:RadiomicsSurvival")
    source = patients(tmp_path / "in", 10)
    settings = ["task=features", *(f"{key}={value}" for key, value in FAST.items())]
    request = BatchRequest("radiomics_check", source, tmp_path / "out", tuple(settings), device="cpu", workers=1,
                           keep_names=True)  # fmt: skip
    report = run_batch(request)
    assert len(report.done) == 10
    written = gather({row.case: tmp_path / "out" / row.case for row in report.done}, tmp_path / "out")
    rows = read(written[0])
    assert len(rows) == 30
    assert [r["segment"] for r in rows if r["case"] == "p4"] == ["GTV", "Renamed node", "Ring"]
    for row in rows:
        assert all(value != "" for value in row.values())
        numbers = [float(v) for k, v in row.items() if not k.startswith(("case", "segment", "settings_", "version_"))]
        assert len(numbers) > 150 and np.isfinite(numbers).all()
        assert json.loads(row["settings_json"])["mode"] == "ibsi" and row["version_manabi"]
    folder = source.parent / "patient7"
    inputs = {name: read_volume(folder / f"{name}.nrrd", name=name) for name in ("image", "mask")}
    alone = RadiomicsSurvival().run(inputs, {"task": "features", **FAST, "segment_names": NAMES}, Context(device="cpu"))
    table = alone.tables["features_wide"]
    of_batch = [r for r in rows if r["case"] == "p7"]
    for wanted, found in zip(table.rows, of_batch, strict=True):
        assert [str(cell) for cell in wanted] == [found[name] for name in table.columns]


def test_cases_with_other_columns_are_merged_by_name():
    merged = together({"a": Table(("x", "y"), ((1, 2),)), "b": Table(("y", "z"), ((3, 4),))})
    assert merged.columns == ("case", "x", "y", "z")
    assert merged.rows == (("a", 1, 2, None), ("b", None, 3, 4))


def test_a_batch_without_results_leaves_no_table(tmp_path):
    assert gather({"a": tmp_path / "nowhere"}, tmp_path) == []
