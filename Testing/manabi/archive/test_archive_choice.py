"""Which series the methods take of an archive, and why; the table, edited and read back; a batch on it."""

from __future__ import annotations

import csv

import pytest
from archive_files import save, slice_of, write_series, write_spect, write_structures

from manabi import registry
from manabi.archive.choice_csv import read_choices, write_choices
from manabi.archive.choose import choose, rules_of
from manabi.archive.index import Index
from manabi.archive.reading import is_reference, read_reference, reference
from manabi.archive.scan import index_folder
from manabi.archive.series import archived_series
from manabi.archive.words import contrast_in, contrast_of_times, plain_words, regions_in
from manabi.batch.child import read_input
from manabi.batch.sources import find_cases
from manabi.cli.outcome import main
from manabi.errors import GeometryError, InvalidInputError
from manabi.io.dicom import read_dicom
from manabi.nodule.method import NoduleSynth
from manabi.series_rule import SeriesRule

CORONAL = (1, 0, 0, 0, 0, -1)


def choices_of(folder, method):
    """The choice for an archive, by the number of the series."""
    index_folder(folder, folder.parent / "index.sqlite")
    with Index.opened(folder.parent / "index.sqlite") as index:
        return {c.series.facts.number: c for c in choose(archived_series(index.files()), method)}


@pytest.fixture
def chests(tmp_path):
    """A CT examination of the chest as scanners send it, and one of the head."""
    folder = tmp_path / "archive"
    study = {"StudyInstanceUID": "1.2.3", "StudyDescription": "CT Chest"}
    write_series(folder / "1", 2, SeriesNumber=1, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], **study)
    write_series(folder / "2", 30, spacing=5.0, SeriesNumber=2, SeriesDescription="Thorax 5.0 B30f", **study)
    write_series(folder / "3", 80, spacing=1.25, SeriesNumber=3, SeriesDescription="Lung 1.25", **study)
    write_series(
        folder / "4", 40, axes=CORONAL, SeriesNumber=4, ImageType=["DERIVED", "SECONDARY", "MPR"], **study
    )  # fmt: skip
    write_series(folder / "5", 40, SeriesNumber=5, BodyPartExamined="ABDOMEN", **study)
    write_series(folder / "6", 9, SeriesNumber=6, SeriesDescription="lung biopsy", **study)
    paths = write_series(folder / "7", 60, SeriesNumber=7, **study)
    for path in paths[20:24]:
        path.unlink()
    write_series(folder / "8", 40, SeriesNumber=8, StudyInstanceUID="1.2.4", StudyDescription="頭部CT", PatientID="2")
    return folder


def test_the_chest_is_taken_in_the_series_that_suits_and_every_other_is_explained(chests):
    found = choices_of(chests, registry.method("slices"))
    assert [number for number, choice in found.items() if choice.use] == [3]
    assert found[3].why == (
        "CT; chest; 80 axial slices 1.2 mm apart, 100 mm; before series 2: slice spacing 1.2 mm against 5.0 mm"
    )
    assert "localizer" in found[1].why
    assert found[2].why == "series 3 fits better: slice spacing 1.2 mm against 5.0 mm"
    assert "computed from other images (ImageType DERIVED SECONDARY MPR)" in found[4].why
    assert found[5].why == "shows abdomen, not chest or heart"
    assert found[6].why == "covers 27 mm, at least 80 mm are needed"
    assert "4 slices are missing" in found[7].why
    assert found[8].why == "shows head, not chest or heart"
    assert {choice.input for choice in found.values()} == {"ct"}


def test_the_brain_is_taken_by_contrast(tmp_path):
    folder = tmp_path / "archive"
    head = {"modality": "MR", "count": 40, "BodyPartExamined": "BRAIN"}
    write_series(folder / "1", SeriesNumber=1, SeriesDescription="t2_tse_tra", **head)
    write_series(folder / "2", SeriesNumber=2, RepetitionTime=2300, EchoTime=3, InversionTime=900, **head)
    write_series(folder / "3", SeriesNumber=3, SeriesDescription="ep2d_diff_b1000", **head)
    write_series(folder / "4", SeriesNumber=4, SeriesDescription="TOF_3D", **head)
    write_series(folder / "5", SeriesNumber=5, SeriesDescription="t1 mprage", ContrastBolusAgent="Gd", **head)
    found = choices_of(folder, registry.method("brain"))
    assert [number for number, choice in found.items() if choice.use] == [2]
    assert "T1 contrast" in found[2].why
    assert "before series 1: contrast T1 against T2" in found[2].why
    assert "contrast T1 against T1 with contrast agent" in found[5].why
    assert found[3].why.startswith("diffusion contrast, not T1")
    assert found[4].series.contrast == "angiography"


def test_spect_is_taken_reconstructed_and_the_full_time_is_only_offered(tmp_path):
    folder = tmp_path / "archive"
    write_spect(folder / "a", SeriesNumber=1, SeriesDescription="DaTSCAN 5min AC")
    write_spect(folder / "b", SeriesNumber=2, ImageType=["ORIGINAL", "PRIMARY", "TOMO", "EMISSION"])
    write_spect(folder / "c", SeriesNumber=3, SeriesDescription="DaTSCAN 25min AC")
    write_spect(folder / "d", SeriesNumber=4, SeriesDescription="HMPAO brain")
    found = choices_of(folder, registry.method("spect"))
    assert [number for number, choice in found.items() if choice.use] == [1]
    assert "ImageType ORIGINAL PRIMARY TOMO EMISSION, expected RECON" in found[2].why
    assert found[3].input == "full_time"
    assert "say yes to use it" in found[3].why
    assert "its description says 'hmpao'" in found[4].why


def test_every_scan_of_the_treatment_room_is_a_case(tmp_path):
    folder = tmp_path / "archive"
    for number in (1, 2):
        write_series(folder / str(number), 20, SeriesNumber=number, Manufacturer="ELEKTA", ManufacturerModelName="XVI")
    write_series(folder / "3", 20, SeriesNumber=3, SeriesDescription="Planning CT")
    found = choices_of(folder, registry.method("mvct"))
    assert [choice.use for choice in found.values()] == [True, True, False]
    assert found[1].case != found[2].case
    assert found[3].input == "reference"


def test_every_frontal_film_is_a_case_even_of_one_series(tmp_path):
    folder = tmp_path / "archive"
    film = {"SeriesInstanceUID": "1.2.7", "BodyPartExamined": "CHEST", "rows": 80, "columns": 80}
    for number, view in enumerate(("PA", "LL", "AP"), 1):
        save(slice_of("DX", SeriesNumber=number, ViewPosition=view, **film), folder / view)
    save(slice_of("CR", SeriesNumber=4, **{**film, "BodyPartExamined": "KNEE"}), folder / "knee")
    found = choices_of(folder, NoduleSynth())
    assert [number for number, choice in found.items() if choice.use] == [1, 3]
    assert "lateral view" in found[2].why
    assert found[4].why == "shows limbs, not chest"
    assert found[1].series.item.startswith("IM-")
    assert read_reference(reference(tmp_path / "index.sqlite", found[1].series.item)).shape == (1, 80, 80)


def test_structures_bring_the_series_that_they_belong_to(tmp_path):
    folder = tmp_path / "archive"
    square = [[[-2.0, -2.0, 6.0], [20.0, -2.0, 6.0], [20.0, 20.0, 6.0], [-2.0, 20.0, 6.0]]]
    write_series(folder / "1", 12, SeriesNumber=1, SeriesInstanceUID="1.7.1")
    write_series(folder / "2", 12, SeriesNumber=2, SeriesInstanceUID="1.7.2")
    write_structures(folder / "a", "1.7.1", {"GTV": square}, SeriesNumber=3)
    write_structures(folder / "b", "1.7.1", {"PTV": square}, SeriesNumber=4)
    write_structures(folder / "c", "9.9.9", {"PTV": square}, SeriesNumber=5)
    found = choices_of(folder, registry.method("radiomics"))
    assert [number for number, choice in found.items() if choice.use] == [1, 3, 4]
    assert found[1].case == f"{found[3].case}; {found[4].case}"
    assert (found[1].input, found[3].input) == ("image", "mask")
    assert "no segmentation belongs to it" in found[2].why
    assert "not in the archive" in found[5].why
    index = tmp_path / "index.sqlite"
    image = read_input("image", reference(index, found[1].series.item), None)
    mask = read_input("mask", reference(index, found[4].series.item), None, image)
    assert mask.source.segment_names == {1: "PTV"}
    assert (mask.array.sum(), mask.array[2, :10, :10].sum()) == (100, 100)
    with pytest.raises(InvalidInputError, match="no image to read"):
        read_input("image", reference(index, found[4].series.item), None)


# --- the table --------------------------------------------------------------------------------------------------------


def edited(path, change):
    """Change the rows of a table in place."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    change(rows)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(name for row in rows for name in row)))
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def table(chests):
    """The choice of slices, as a table, with its index."""
    found = choices_of(chests, registry.method("slices"))
    return write_choices(found.values(), chests.parent / "index.sqlite", chests.parent / "choice.csv")


def test_the_table_has_a_row_per_series_and_is_read_back_as_it_was_written(table):
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8
    assert {row["index"] for row in rows} == {"index.sqlite"}
    (case,) = read_choices(table, registry.method("slices"))
    assert list(case.inputs) == ["ct"]
    assert case.problem == ""
    (source,) = find_cases(table, registry.method("slices"), {}, table.parent / "out").cases
    (direct,) = find_cases(table.parent / "index.sqlite", registry.method("slices"), {}, table.parent / "out").cases
    assert source.key == direct.key


def test_what_a_person_changes_counts(table):
    def other(rows):
        for row in rows:
            row["use"] = {"3": "No", "2": "x"}.get(row["number"], "")
            row["count"] = "7" if row["number"] == "2" else ""

    edited(table, other)
    (case,) = read_choices(table, registry.method("slices"))
    assert case.settings == ("count=7",)
    assert read_reference(case.inputs["ct"]).shape == (30, 32, 32)


def test_contradictions_are_a_case_that_fails_with_the_reason(table):
    edited(table, lambda rows: [row.update(use="yes") for row in rows if row["number"] == "2"])
    (case,) = read_choices(table, registry.method("slices"))
    assert "Several series are to be used as ct" in case.problem
    edited(table, lambda rows: [row.update(use="perhaps") for row in rows if row["number"] == "2"])
    with pytest.raises(InvalidInputError, match="expected yes or no"):
        read_choices(table, registry.method("slices"))
    edited(table, lambda rows: [row.update(use="no") for row in rows])
    with pytest.raises(InvalidInputError, match="yes to no series"):
        find_cases(table, registry.method("slices"), {}, table.parent / "out")


def test_a_table_with_its_index_can_be_moved(table):
    moved = table.parent / "moved"
    moved.mkdir()
    for path in (table, table.parent / "index.sqlite"):
        path.rename(moved / path.name)
    (case,) = read_choices(moved / table.name, registry.method("slices"))
    assert read_reference(case.inputs["ct"]).shape == (80, 32, 32)


# --- reading what was chosen ------------------------------------------------------------------------------------------


def test_a_series_is_read_as_from_its_folder_though_others_lie_beside_it(tmp_path):
    folder = tmp_path / "pile"
    write_series(folder, 20, SeriesNumber=1, name="a{}")
    write_series(folder, 20, spacing=2.0, SeriesNumber=2, SeriesInstanceUID="1.7.2", name="b{}")
    found = choices_of(folder, registry.method("mvct"))
    volume = read_reference(reference(tmp_path / "index.sqlite", found[2].series.item), "ct")
    alone = read_dicom(folder, "2")
    assert (volume.array == alone.array).all()
    assert volume.grid.same_as(alone.grid)
    assert (volume.modality, volume.units, volume.name) == ("CT", "HU", "ct")
    assert volume.source.series_uid == "1.7.2"


def test_a_file_that_changed_or_went_since_is_noticed(tmp_path):
    paths = write_series(tmp_path / "pile", 5, SeriesNumber=1)
    found = choices_of(tmp_path / "pile", registry.method("mvct"))
    text = reference(tmp_path / "index.sqlite", found[1].series.item)
    assert is_reference(text)
    paths[3].unlink()
    with pytest.raises(InvalidInputError, match="File 4 of 5 of the series was moved or changed"):
        read_reference(text)
    index_folder(tmp_path / "pile", tmp_path / "index.sqlite")
    with pytest.raises(GeometryError):
        read_reference(text)
    with pytest.raises(InvalidInputError, match="no such series"):
        read_reference(text[:-2] + "77")


def test_a_batch_on_the_index_or_the_table_gives_what_a_run_on_the_folder_gives(chests, monkeypatch, capsys):
    monkeypatch.chdir(chests.parent)
    assert main(["index", "archive"]) == 0
    assert main(["choose", "slices", "archive.sqlite"]) == 0
    assert main(["choose", "slices", "archive.sqlite"]) == 2
    for source, output in (("choice.csv", "a"), ("archive.sqlite", "b")):
        main(["batch", "slices", source, "--output", output, "--device", "cpu"])
    main(["run", "slices", "archive/3", "--output", "c", "--device", "cpu"])
    said = "".join(capsys.readouterr())
    texts = [(chests.parent / name / "result.json") for name in ("a/case-0001", "b/case-0001", "c")]
    from json import loads

    numbers = [loads(path.read_text(encoding="utf-8"))["measurements"] for path in texts]
    assert numbers[0] == numbers[1] == numbers[2]
    assert numbers[0]
    assert "Left out" in said
    log = (chests.parent / "a" / "batch.log").read_text(encoding="utf-8")
    assert "SE-" not in log


# --- rules and words --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(registry.METHODS))
def test_every_method_says_what_it_takes(name):
    method = registry.method(name)
    assert set(method.series_rules) <= {spec.name for spec in method.inputs}
    assert method.inputs[0].name in method.series_rules
    for spec in method.inputs:
        rule = rules_of(method)[spec.name]
        assert set(rule.modalities) <= {*spec.modalities, "RTSTRUCT"}
        assert rule.automatic is False or spec.name in method.series_rules


def test_a_rule_with_unknown_words_is_refused():
    with pytest.raises(InvalidInputError, match="regions: torax unknown"):
        SeriesRule(regions=("torax",))


@pytest.mark.parametrize(
    ("text", "regions"),
    [
        ("CHEST_ABDPELVIS", {"chest", "abdomen", "pelvis"}),
        ("Thoracic Spine", {"spine"}),
        ("CT胸部", {"chest"}),
        ("WB-CT whole-body", {"whole body"}),
        ("Protocol 7", set()),
    ],
)
def test_parts_of_the_body_are_known_by_their_words(text, regions):
    assert regions_in(plain_words([text])) == regions


@pytest.mark.parametrize(
    ("text", "contrast"),
    [
        ("Ax T2 FLAIR", "FLAIR"), ("t1_mprage_sag_+C", "T1 with contrast agent"), ("3D T1 FFE", "T1"),
        ("ADC", "diffusion"), ("FIESTA-C", "heavily T2"), ("T2*", "susceptibility"), ("MRA neck", "angiography"),
        ("PD_TSE", "proton density"), ("localizer", ""),
    ],
)  # fmt: skip
def test_contrasts_are_known_by_their_words(text, contrast):
    assert contrast_in(plain_words([text])) == contrast


@pytest.mark.parametrize(
    ("times", "contrast"),
    [
        ((2300, 3, 900), "T1"), ((9000, 120, 2500), "FLAIR"), ((500, 12, None), "T1"), ((4000, 100, None), "T2"),
        ((3000, 15, None), "proton density"), ((1500, 60, None), ""), ((None, None, None), ""),
    ],
)  # fmt: skip
def test_contrasts_are_known_by_their_times(times, contrast):
    assert contrast_of_times(*times) == contrast
