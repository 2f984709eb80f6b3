"""A site's folder becomes a table, the table cases, and contours masks in the right place; nobody is named."""

from __future__ import annotations

import csv
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from fixtures_rtstruct import BORN, NAME, NUMBER, SHAPE, Ct, box, four_organs, item, keyhole, structures

from manabi.errors import GeometryError, InvalidInputError
from manabi.io import read_volume
from manabi.io.dicom import read_dicom, write_dicom, write_structures
from manabi.pelvis.structures import PELVIS
from manabi.structures.ct_input import InputSettings
from manabi.volume import SYNTHETIC
from Training.pelvis_data import open_cases
from Training.rtstruct_cases import LabelledCt, RtstructCase, read_cases, write_cohort
from Training.rtstruct_folder import match_folder
from Training.rtstruct_names import NameRules

CLASSES = PELVIS.classes


def rows_of(table: Path) -> list[dict[str, str]]:
    text = table.read_text(encoding="utf-8-sig")
    heading = text.partition("\n")[0]
    return list(csv.DictReader(text.splitlines(), delimiter=";" if heading.startswith("use;") else ","))


def edited(table: Path, number: int = 0, **cells: str) -> Path:
    """The table with some cells of a row changed, as a person would."""
    rows = rows_of(table)
    rows[number].update(cells)
    with table.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=";")
        writer.writeheader()
        writer.writerows(rows)
    return table


def matched(tmp_path: Path, **options: NameRules) -> Path:
    table = tmp_path / "table.csv"
    match_folder(tmp_path / "site", table, **options, overwrite=True)
    return table


def only(table: Path) -> LabelledCt:
    (case,) = read_cases(table)
    return case.load()


def in_ct(ct: Ct, loaded: LabelledCt) -> np.ndarray:
    """The labels in the order of the slices, rows and columns in which :class:`Ct` counts, by place alone."""
    k, j, i = np.indices(SHAPE)
    ijk = np.column_stack([i.ravel(), j.ravel(), k.ravel()])
    places = loaded.labels.grid.ijk_of(ct.lps(ijk) * [-1, -1, 1])
    at = np.rint(places).astype(int)
    assert np.abs(places - at).max() < 1e-3
    return np.asarray(loaded.labels.array)[at[:, 2], at[:, 1], at[:, 0]].reshape(SHAPE)


def filled(organs: dict[str, tuple[slice, slice, slice]]) -> np.ndarray:
    expected = np.zeros(SHAPE, np.uint8)
    for organ, place in organs.items():
        expected[place] = CLASSES[organ]
    return expected


FOUR = filled({
    "prostate": np.s_[2:5, 2:6, 2:6], "seminal_vesicles": np.s_[2:5, 2:5, 8:13], "bladder": np.s_[2:5, 9:15, 2:9],
    "rectum": np.s_[2:5, 9:15, 13:19],
})  # fmt: skip


@pytest.mark.parametrize("kind", ["head_first", "feet_first", "prone", "oblique"])
@pytest.mark.parametrize("order", [range(8), range(7, -1, -1), (3, 0, 6, 1, 7, 2, 5, 4)], ids=["up", "down", "mixed"])
def test_contours_become_masks_in_their_place_in_any_orientation_and_order(tmp_path, kind, order) -> None:
    ct = Ct(tmp_path / "site" / "deep" / "er" / "ct", kind, order)
    structures(tmp_path / "site" / "elsewhere" / "RS.dcm", ct, four_organs())
    loaded = only(matched(tmp_path))
    assert (in_ct(ct, loaded) == FOUR).all()
    assert loaded.unknown == () and loaded.warnings == () and loaded.labels.array.dtype == np.uint8
    assert loaded.labels.grid.same_as(loaded.ct.grid)


def test_keyholes_nested_contours_and_parts_come_out_right(tmp_path) -> None:
    ct = Ct(tmp_path / "site" / "ct", "oblique", range(7, -1, -1))
    outer, inner = box((2, 9), (2, 9), 3), box((4, 6), (4, 6), 3)
    organs = {
        "Rectum": [keyhole(outer, inner)],
        "Bladder": [box((12, 19), (2, 9), 3), box((14, 16), (4, 6), 3), box((12, 14), (12, 14), 5)],
        "SV": [box((2, 4), (12, 13), 3), box((7, 9), (12, 13), 3)],
    }
    structures(tmp_path / "site" / "rs", ct, organs)
    loaded = only(matched(tmp_path))
    expected = filled({
        "rectum": np.s_[3:4, 2:10, 2:10], "bladder": np.s_[3:4, 2:10, 12:20], "seminal_vesicles": np.s_[3:4, 12:14, 2:5]
    })  # fmt: skip
    expected[3, 4:7, 4:7] = expected[3, 4:7, 14:17] = 0
    expected[5, 12:15, 12:15] = CLASSES["bladder"]
    expected[3, 12:14, 7:10] = CLASSES["seminal_vesicles"]
    assert (in_ct(ct, loaded) == expected).all()
    assert loaded.unknown == ("prostate",)
    assert loaded.warnings == ("The bladder has no contour on 1 slices between its ends; they were left without it.",)


def test_structures_that_our_own_writer_wrote_come_back(tmp_path) -> None:
    """The original's contours, attached by our writer to a series derived from it."""
    ct = Ct(tmp_path / "original", "feet_first", SeriesDescription="CT", PatientSex="M", StudyID="1", StudyDate="",
            StudyTime="", AccessionNumber="", ReferringPhysicianName="")  # fmt: skip
    old = structures(tmp_path / "old.dcm", ct, four_organs())
    original = read_dicom(tmp_path / "original")
    made = original.like(np.asarray(original.array), modality="CT", units="HU", caution=SYNTHETIC)
    facts = {"method": "mvct", "bundle": {"name": "mvct-default", "version": "1"}}
    files = write_dicom(made, tmp_path / "site" / "ct", original.source, series_description="x", provenance=facts)
    write_structures(old, files, tmp_path / "site" / "rs.dcm", provenance=facts)
    loaded = only(matched(tmp_path))
    assert (in_ct(ct, loaded) == FOUR).all()
    assert loaded.warnings[0] == f"The CT is no original: {SYNTHETIC}."


def test_other_structures_take_nothing_from_an_organ_and_organs_that_overlap_are_told(tmp_path) -> None:
    ct = Ct(tmp_path / "site" / "ct")
    organs = four_organs()
    organs["GTV"] = [box((3, 4), (3, 4), 3)]
    organs["PTV"] = [box((1, 20), (1, 18), 3)]
    structures(tmp_path / "site" / "rs", ct, organs)
    assert (in_ct(ct, only(matched(tmp_path))) == FOUR).all()
    organs["SeminalVesicles"] = [box((5, 6), (3, 4), 3)]
    structures(tmp_path / "site" / "rs", ct, organs)
    loaded = only(matched(tmp_path))
    assert (in_ct(ct, loaded)[3, 3:5, 5:7] == CLASSES["seminal_vesicles"]).all()
    assert "part lost: prostate 4 %" in loaded.warnings[0]


def test_missing_organs_are_allowed_reported_and_unknown(tmp_path, caplog) -> None:
    ct = Ct(tmp_path / "site" / "ct")
    organs = {"膀胱": [box((2, 8), (9, 14), 3)], "Rectum": [], "Bladder_wall": [box((2, 8), (9, 14), 3)]}
    structures(tmp_path / "site" / "rs", ct, organs)
    table = matched(tmp_path)
    (row,) = rows_of(table)
    assert (row["use"], row["bladder"], row["rectum"], row["prostate"]) == ("yes", "膀胱", "", "")
    assert row["missing"] == (
        "prostate: no structure of that name; seminal_vesicles: no structure of that name; "
        "rectum: its structure has no closed contours"
    )
    assert "Bladder_wall" in row["structures"] and "lack organs" in caplog.text
    assert only(table).unknown == ("prostate", "seminal_vesicles", "rectum")


def test_a_target_volume_stands_for_the_prostate_only_where_asked(tmp_path) -> None:
    ct = Ct(tmp_path / "site" / "ct")
    structures(tmp_path / "site" / "rs", ct, {"CTV_Prostate": [box((2, 5), (2, 5), 3)]})
    (row,) = rows_of(matched(tmp_path))
    assert (row["use"], row["why"]) == ("no", "none of the organs was found")
    (row,) = rows_of(matched(tmp_path, rules=NameRules.of(PELVIS, ctv=True)))
    assert (row["use"], row["prostate"]) == ("yes", "CTV_Prostate")


def test_every_set_finds_its_own_ct_among_several_of_a_patient(tmp_path) -> None:
    frame = "1.2.3.77"
    first = Ct(tmp_path / "site" / "a", FrameOfReferenceUID=frame)
    second = Ct(tmp_path / "site" / "b", FrameOfReferenceUID=frame, seed=4)
    third = Ct(tmp_path / "site" / "c", seed=5)
    structures(tmp_path / "site" / "1", first, four_organs())
    structures(tmp_path / "site" / "2", second, four_organs(), series=False)
    structures(tmp_path / "site" / "3", third, four_organs(), series=False, images=False)
    cases = read_cases(matched(tmp_path))
    assert len({case.group for case in cases}) == 1 and len({case.name for case in cases}) == 3
    names = {case.rtstruct.name: {path.parent.name for path in case.ct} for case in cases}
    assert names == {"1": {"a"}, "2": {"b"}, "3": {"c"}}
    whys = {row["why"] for row in rows_of(tmp_path / "table.csv")}
    assert whys == {
        "the series that it names", "holds the images that its contours name",
        "the patient's only CT in its frame of reference",
    }  # fmt: skip


def test_what_cannot_be_paired_is_said_and_a_person_can_decide(tmp_path) -> None:
    frame = "1.2.3.77"
    first = Ct(tmp_path / "site" / "a", FrameOfReferenceUID=frame)
    Ct(tmp_path / "site" / "b", FrameOfReferenceUID=frame, seed=4)
    structures(tmp_path / "site" / "rs", first, four_organs(), series=False, images=False)
    table = matched(tmp_path)
    (row,) = rows_of(table)
    assert row["use"] == "no" and row["ct"] == "" and row["why"].startswith("several CT series fit (SE-")
    with pytest.raises(InvalidInputError, match="uses no case"):
        read_cases(table)
    item_a = row["why"].split("(")[1].split(",")[0]
    assert (in_ct(first, only(edited(table, use="はい", ct=item_a))) == FOUR).all()
    assert (in_ct(first, only(edited(table, use="yes", ct="site/a", rtstruct="site/rs"))) == FOUR).all()


def test_sets_of_another_patient_frame_or_an_absent_ct_are_not_used(tmp_path) -> None:
    ct, gone = Ct(tmp_path / "site" / "ct"), Ct(tmp_path / "gone", seed=9)
    structures(tmp_path / "site" / "1", ct, four_organs(), PatientID="other")
    structures(tmp_path / "site" / "3", gone, four_organs())
    moved = structures(tmp_path / "site" / "2", ct, four_organs())
    dataset = pydicom.dcmread(moved)
    for roi in dataset.StructureSetROISequence:
        roi.ReferencedFrameOfReferenceUID = "1.9"
    dataset.ReferencedFrameOfReferenceSequence[0].FrameOfReferenceUID = "1.9"
    dataset.save_as(moved)
    rows = rows_of(matched(tmp_path))
    assert [row["use"] for row in rows] == ["no"] * 3
    assert sorted(row["why"][:42] for row in rows) == [
        "its CT lies in another frame of reference,", "the CT that it names is of another patient",
        "the CT that it was drawn on is not in the ",
    ]  # fmt: skip
    number = next(k for k, row in enumerate(rows) if row["why"].startswith("its CT lies"))
    loaded = only(edited(tmp_path / "table.csv", number, use="yes"))
    assert loaded.warnings[0].startswith("Check the contours: its CT lies in another frame")


def test_of_several_sets_on_one_ct_the_fullest_and_then_the_latest_is_used(tmp_path) -> None:
    ct = Ct(tmp_path / "site" / "ct")
    few = {"Prostate": four_organs()["Prostate"]}
    structures(tmp_path / "site" / "1", ct, four_organs(), StructureSetDate="20240101")
    structures(tmp_path / "site" / "2", ct, four_organs(), StructureSetDate="20240105")
    structures(tmp_path / "site" / "3", ct, few, StructureSetDate="20240109")
    structures(tmp_path / "site" / "copy" / "2", ct, four_organs())
    (tmp_path / "site" / "copy" / "2").write_bytes((tmp_path / "site" / "2").read_bytes())
    table = matched(tmp_path)
    assert len(rows_of(table)) == 3
    (case,) = read_cases(table)
    assert case.rtstruct.name == "2"


def test_tilted_stacks_are_left_out_and_contours_between_slices_refused(tmp_path) -> None:
    ct = Ct(tmp_path / "site" / "ct")
    structures(tmp_path / "site" / "rs", ct, {"Rectum": [box((2, 5), (2, 5), 3.5)]})
    (case,) = read_cases(matched(tmp_path))
    with pytest.raises(GeometryError, match=f"Case {case.name}: A contour of rectum does not lie in a slice"):
        case.load()
    for path in (tmp_path / "site" / "ct").iterdir():
        dataset = pydicom.dcmread(path)
        x, y, z = map(float, dataset.ImagePositionPatient)
        dataset.ImagePositionPatient = [x, y + 0.3 * (z - 100.0), z]
        dataset.save_as(path)
    (row,) = rows_of(matched(tmp_path))
    assert row["use"] == "no" and "tilted or unevenly spaced" in row["why"]


def test_the_table_is_never_overwritten_by_chance_and_files_that_changed_are_refused(tmp_path) -> None:
    ct = Ct(tmp_path / "site" / "ct")
    path = structures(tmp_path / "site" / "rs", ct, four_organs())
    table = matched(tmp_path)
    before = table.read_bytes()
    with pytest.raises(InvalidInputError, match="may hold corrections"):
        match_folder(tmp_path / "site", table)
    assert table.read_bytes() == before and table.stat().st_mode & 0o077 == 0
    structures(path, ct, {"Prostate": four_organs()["Prostate"]})
    with pytest.raises(InvalidInputError, match=r"row 2: a file was moved or changed"):
        read_cases(table)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"prostate": "Prostata"}, r"row 2, prostate: there is no structure 'Prostata'. The structure set holds Prost"),
        ({"rectum": "#17"}, "there is no structure '#17'"),
        ({"bladder": "Empty"}, "has no closed contours"),
        ({"rectum": "Rectum"}, "several structures are called 'Rectum'. Write #4 or #5"),
        ({"use": "maybe"}, "expected yes or no"),
        ({"ct": "SE-NOTHING"}, "no such CT series"),
        ({"rtstruct": "nothing.dcm"}, "no such RTSTRUCT"),
        ({"case": ""}, "nothing under case"),
        ({"prostate": "", "bladder": "", "seminal_vesicles": "", "rectum": ""}, "no organ has a structure"),
    ],
)  # fmt: skip
def test_mistakes_of_a_person_are_named(tmp_path, cells, message) -> None:
    ct = Ct(tmp_path / "site" / "ct")
    structures(tmp_path / "site" / "rs", ct, {**four_organs(), "Rectum*": [box((2, 5), (2, 5), 3)], "Empty": []})
    table = matched(tmp_path)
    (row,) = rows_of(table)
    assert row["rectum"] == "" and "several structures have its name (#4, #5)" in row["missing"]
    with pytest.raises(InvalidInputError, match=message):
        read_cases(edited(table, **{"rectum": "#4", **cells}))


def test_a_person_chooses_other_structures_and_several_for_one_organ(tmp_path) -> None:
    ct = Ct(tmp_path / "site" / "ct")
    organs = {"gland A": [box((2, 5), (2, 5), 3)], "gland B": [box((8, 9), (2, 5), 3)]}
    organs["Rectum"] = four_organs()["Rectum"]
    structures(tmp_path / "site" / "rs", ct, organs)
    loaded = only(edited(matched(tmp_path), prostate="Gland a; #2", rectum=""))
    expected = filled({"prostate": np.s_[3:4, 2:6, 2:6]})
    expected[3, 2:6, 8:10] = CLASSES["prostate"]
    assert (in_ct(ct, loaded) == expected).all() and "rectum" in loaded.unknown


def test_nobody_is_named_in_table_logs_or_reprs(tmp_path, caplog) -> None:
    caplog.set_level(logging.DEBUG)
    folder = tmp_path / "site" / "Yamada_Hanako_4711-0815"
    ct = Ct(folder / "ct")
    structures(folder / "RS_Yamada.dcm", ct, {**four_organs(), "Yamada Boost": []})
    (folder / "broken.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\1" * 40)
    table = matched(tmp_path)
    cases = read_cases(table)
    write_cohort(cases, tmp_path / "out")
    shown = table.read_text("utf-8") + repr(cases) + caplog.text + (tmp_path / "out" / "cohort.csv").read_text("utf-8")
    uids = [ct.series, ct.frame, *ct.images]
    for private in ("Yamada", "Hanako", NUMBER, BORN, NAME, "20240103", "broken", *uids):
        assert private not in shown
    assert "[removed] Boost" in shown and "1 DICOM file(s) are damaged" in caplog.text


def test_the_cohort_is_what_the_recipe_reads(tmp_path) -> None:
    for number in range(3):
        tags = {"PatientID": str(number), "StudyInstanceUID": f"1.{number}"}
        ct = Ct(tmp_path / "site" / str(number) / "ct", seed=number, **tags)
        organs = {**four_organs(), "Prostate": [box((2, 5), (2, 4 + number), k) for k in (2, 3, 4)]}
        if number == 1:
            del organs["Bladder"]
        structures(tmp_path / "site" / str(number) / "rs", ct, organs)
    data = write_cohort(read_cases(matched(tmp_path)), tmp_path / "cohort")
    unknown = {row["case"]: row["unknown"] for row in rows_of(data)}
    assert sorted(unknown.values()) == ["", "", "bladder"]
    cases = open_cases(str(data), tmp_path / "cache", InputSettings((3.0, 2.0, 1.5)), "1/1/1", 0)
    for case in (*cases.training, *cases.validation, *cases.test):
        assert set(PELVIS.names) - set(case.organs) == set(unknown[case.name].split())
    image = read_volume(data.parent / "0001" / "ct.nii.gz")
    assert image.grid.same_as(read_volume(data.parent / "0001" / "labels.nii.gz").grid)


def test_a_failing_case_leaves_no_cohort_behind(tmp_path) -> None:
    ct = Ct(tmp_path / "site" / "ct")
    structures(tmp_path / "site" / "rs", ct, four_organs())
    (case,) = read_cases(matched(tmp_path))
    broken: RtstructCase = replace(case, name="second", rois={"rectum": (77,)})
    with pytest.raises(InvalidInputError, match="Case second: The structure chosen as rectum has no closed contour"):
        write_cohort([case, broken], tmp_path / "cohort")
    assert not (tmp_path / "cohort").exists()


def test_a_folder_without_structure_sets_and_odd_ones_are_told(tmp_path) -> None:
    ct = Ct(tmp_path / "site" / "ct")
    with pytest.raises(InvalidInputError, match="holds no RTSTRUCT"):
        match_folder(tmp_path / "site", tmp_path / "table.csv")
    path = structures(tmp_path / "site" / "rs", ct, four_organs())
    dataset = pydicom.dcmread(path)
    dataset.StructureSetROISequence[0] = item(ROIName="no number")
    dataset.save_as(path)
    (row,) = rows_of(matched(tmp_path))
    assert (row["use"], row["ct"]) == ("no", "") and "damaged or incomplete" in row["why"]


def test_an_organ_beyond_the_last_slice_is_told(tmp_path) -> None:
    ct = Ct(tmp_path / "site" / "ct")
    structures(tmp_path / "site" / "rs", ct, {"Bladder": [box((2, 8), (9, 14), k) for k in (6, 7, 8)]})
    assert only(matched(tmp_path)).warnings == ("1 of 3 contours of the bladder lie beyond the image's ends.",)
