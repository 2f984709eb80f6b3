"""The HU check table."""

from __future__ import annotations

import numpy as np
import pytest
from fixtures_mvct_head import SPACING, head

from manabi.mvct.hu_check import COLUMNS, EXPECTED, check_hu, expected_hu, failing, hu_table
from manabi.mvct.tissue_map import tissue_map


def lines_of(case, kind, hu=None):
    tissues = tissue_map(case.hu, SPACING, kind)
    return check_hu(case.hu if hu is None else hu, tissues, SPACING, expected_hu(kind))


@pytest.mark.parametrize("kind", ["mvct", "kvct", "cbct"])
def test_a_good_image_passes(kind):
    lines = lines_of(head(kind), kind)
    assert {"air", "fat", "muscle", "bone"} == {line.tissue for line in lines}
    assert not failing(lines)


@pytest.mark.parametrize("offset", [-80.0, 90.0])
def test_an_offset_fails_and_is_measured(offset):
    case = head("mvct")
    shifted = type(case)(case.hu + np.float32(offset), case.clean, case.truth, case.spacing_mm)
    lines = {line.tissue: line for line in lines_of(shifted, "mvct")}
    assert not lines["muscle"].within and not lines["fat"].within
    usual = {line.tissue: line for line in lines_of(case, "mvct")}
    shift = lines["muscle"].measured_hu - usual["muscle"].measured_hu
    assert shift == pytest.approx(offset, abs=12.0)


def test_kv_expectations_fail_on_an_unconverted_mvct():
    case = head("mvct")
    tissues = tissue_map(case.hu, SPACING, "mvct")
    assert "fat" in {line.tissue for line in failing(check_hu(case.hu, tissues, SPACING, expected_hu("kvct")))}


def test_a_bundle_replaces_expectations():
    values = expected_hu("kvct", {"fat": [-105.0, 15.0], "muscle": 52.0, "unknown": 3.0})
    assert values["fat"] == (-105.0, 15.0)
    assert values["muscle"] == (52.0, EXPECTED["kvct"]["muscle"][1])
    assert set(values) == set(EXPECTED["kvct"])


def test_the_table_says_what_was_measured():
    table = hu_table(lines_of(head("kvct"), "kvct"))
    assert table.columns == COLUMNS
    row = dict(zip(COLUMNS, table.rows[table.column("tissue").index("muscle")], strict=True))
    assert row["measured_hu"] == pytest.approx(45.0, abs=4.0) and row["within"] == "yes"
    assert row["difference_hu"] == pytest.approx(row["measured_hu"] - row["expected_hu"], abs=0.06)


def test_tissue_that_is_not_there_gives_no_line():
    case = head("kvct")
    hu = np.where((case.truth == 5) | (case.truth == 1), 45.0, case.hu).astype(np.float32)
    tissues = tissue_map(hu, SPACING, "kvct")
    found = {line.tissue for line in check_hu(hu, tissues, SPACING, expected_hu("kvct"))}
    assert found == {"air", "fat", "muscle"}
