"""What a site gives to the training of MVCTConvert, and what it is told when that is not right."""

from __future__ import annotations

import numpy as np
import pytest
from fixtures_mvct import grid, patient

from manabi.context import Context
from manabi.errors import InvalidInputError
from manabi.io import write_volume
from manabi.mvct.convert import Settings
from manabi.mvct.pipeline import Model
from Training.mvct_calibrate import described_parts
from Training.mvct_data import DataSettings, open_site

SETTINGS = DataSettings(pixel_mm=None, parts="2/1/1")
"""Small scans as they are."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two folders, as a site has them: megavoltage and planning CTs of some patients."""
    base = tmp_path_factory.mktemp("site")
    where = grid((4.0, 4.0, 6.0), (6, 56, 56))
    for kind, noise in (("mvct", 25.0), ("kvct", 8.0)):
        (base / kind).mkdir()
        for number in range(2):
            scan = patient(where, kind, noise_hu=noise, seed=number)
            write_volume(scan.reoriented((1, 0, 2), (-1, 1, -1)) if number else scan, base / kind / f"{number}.nii.gz")
    return base


def test_two_folders_with_scans_in_any_orientation_are_a_site(folders, tmp_path):
    site = open_site(f"{folders / 'mvct'}::{folders / 'kvct'}", SETTINGS, tmp_path)
    assert sorted(scan.domain for scan in site.scans) == ["source", "source", "target", "target"]
    assert len({scan.patient for scan in site.scans}) == 2


def test_exchanged_folders_are_refused_before_hours_of_training(folders, tmp_path):
    with pytest.raises(InvalidInputError, match="exchanged.*in this order"):
        open_site(f"{folders / 'kvct'}::{folders / 'mvct'}", SETTINGS, tmp_path)


def test_one_folder_given_twice_is_refused(folders, tmp_path):
    with pytest.raises(InvalidInputError, match="both what to convert from"):
        open_site(f"{folders / 'mvct'}::{folders / 'mvct'}", SETTINGS, tmp_path)


def test_a_scan_that_cannot_be_read_is_found_by_its_place_in_its_folder(folders, tmp_path):
    bad = tmp_path / "mvct"
    bad.mkdir()
    (bad / "a.nii.gz").write_bytes(b"no image")
    with pytest.raises(InvalidInputError, match="by name number 1 in the folder of megavoltage"):
        open_site(f"{bad}::{folders / 'kvct'}", SETTINGS, tmp_path)


def test_a_table_in_another_encoding_says_how_to_save_it(tmp_path):
    table = tmp_path / "site.csv"
    table.write_bytes("case;domain;image\r\nMüller;mvct;a.nii.gz\r\n".encode("cp1252"))
    with pytest.raises(InvalidInputError, match="CSV UTF-8"):
        open_site(str(table), SETTINGS, tmp_path)


def test_capital_headers_are_named(tmp_path):
    table = tmp_path / "site.csv"
    table.write_text("Case,Domain,Image\n1,mvct,a.nii.gz\n", encoding="utf-8")
    with pytest.raises(InvalidInputError, match="small letters.*Case, Domain, Image"):
        open_site(str(table), SETTINGS, tmp_path)


# --- what is usual ----------------------------------------------------------------------------------------------------


def described(scan):
    model = Model(Settings(kind="mvct"), {}, tiny())
    return described_parts(scan, model, Context(device="cpu"))


def tiny():
    from manabi import networks

    one = {"in_channels": 1, "filters": [4, 8], "blocks": 1, "norm": "none"}
    return networks.build("converter_pair", forward=one, backward=one)


def test_both_ends_of_a_scan_count_among_what_is_usual():
    scan = patient(grid((4.0, 4.0, 6.0), (14, 56, 56)))
    array = np.array(scan.array)
    array[8:, :, 28:] = -1000.0
    lower, upper = described(scan.like(array))
    assert upper.signature.numbers["body_cm2"] < 0.7 * lower.signature.numbers["body_cm2"]
    assert lower.features.shape == upper.features.shape and np.isnan(lower.residual_hu)


def test_ends_without_a_body_and_short_scans_give_no_parts():
    scan = patient(grid((4.0, 4.0, 6.0), (14, 56, 56)))
    array = np.array(scan.array)
    array[7:] = -1000.0
    assert len(described(scan.like(array))) == 1
    assert described(patient(grid((4.0, 4.0, 6.0), (5, 56, 56)))) == []
