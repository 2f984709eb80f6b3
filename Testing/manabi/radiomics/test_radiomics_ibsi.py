"""Every reference value of IBSI 1: the digital phantom, and the chest CT in configurations A to E."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from ibsi_reference import diagnostics, failures, features, references

Find = Callable[[str], Path]
ROWS = {"digital": 482, "a": 406, "b": 406, "c": 270, "d": 270, "e": 270}
"""Rows with a reference value; the others of the tables are empty (oriented box, smallest ellipsoid, area of IVH)."""
CT_ROWS_WITHOUT_TEXTURE = 134


def test_pass_rule_refuses_a_value_beyond_its_tolerance():
    wanted = {"x": (2.15, 0.0), "y": (100.0, 1.0)}
    assert failures({"x": 2.1492, "y": 101.0}, wanted) == []
    assert len(failures({"x": 2.144, "y": 101.6}, wanted)) == 2
    assert len(failures({"x": float("nan")}, wanted)) == 2


def test_every_value_of_the_digital_phantom(data_folder: Find):
    wanted = references("digital", data_folder)
    assert len(wanted) == ROWS["digital"]
    assert failures(features("digital", data_folder), wanted) == []


@pytest.mark.parametrize("case", "abcde")
def test_every_step_of_the_chain(case: str, data_folder: Find):
    found = diagnostics(case, data_folder)
    wanted = {tag: row for tag, row in references(case, data_folder).items() if tag.endswith(("_img", "_roi"))}
    assert len(wanted) == 60
    assert failures(found, wanted) == []


@pytest.mark.parametrize("case", "ce")
def test_every_value_without_texture(case: str, data_folder: Find):
    found = features(case, data_folder, texture=False)
    wanted = {tag: row for tag, row in references(case, data_folder).items() if tag in found}
    assert len(wanted) + 60 == CT_ROWS_WITHOUT_TEXTURE
    assert failures(found, wanted) == []


@pytest.mark.slow
@pytest.mark.parametrize("case", "abcde")
def test_every_value_of_the_ct(case: str, data_folder: Find):
    wanted = references(case, data_folder)
    assert len(wanted) == ROWS[case]
    found = features(case, data_folder) | diagnostics(case, data_folder)
    assert failures(found, wanted) == []
