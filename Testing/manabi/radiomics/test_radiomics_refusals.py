"""What hospitals have: images, masks and tables that do not fit; each is refused with advice, or flagged."""

from __future__ import annotations

import csv
import errno
import io
from dataclasses import replace

import numpy as np
import pytest
from radiomics_cases import FAST, FEATURE, cohort_tables, tumours

from manabi.context import Context
from manabi.errors import CancelledError, InvalidInputError
from manabi.radiomics import cohort_run
from manabi.radiomics.cohort import Cohort, Columns
from manabi.radiomics.cohort.table_text import read_table
from manabi.radiomics.method import RadiomicsSurvival
from manabi.radiomics.parameters import RadiomicsParameters
from manabi.radiomics.predict import check_modality
from manabi.volume import Volume

METHOD = RadiomicsSurvival()
COLUMNS = Columns(patient="case", volume_ml="volume_ml", ignore=("segment",))


def features(inputs, **changes):
    """A run of the task features."""
    return METHOD.run(inputs, {"task": "features", **FAST, **changes}, Context(device="cpu"))


def moved(volume: Volume, *mm: float) -> Volume:
    """The volume elsewhere."""
    matrix = np.array(volume.ijk_to_ras)
    matrix[:3, 3] += mm
    return replace(volume, ijk_to_ras=matrix)


# --- images and masks -------------------------------------------------------------------------------------------------


def test_a_mask_beside_the_image_is_refused_in_these_words():
    inputs = tumours()
    with pytest.raises(InvalidInputError, match="does not overlap the image"):
        features(inputs | {"mask": moved(inputs["mask"], 500, 0, 0)})


def test_a_segment_that_the_image_cuts_is_flagged_with_what_is_lost():
    inputs = tumours()
    result = features(inputs | {"mask": moved(inputs["mask"], -12, 0, 0)})
    said = [w for w in result.warnings if w.startswith("Check the segments:") and "of label 2" in w]
    assert len(said) == 1 and "lies outside the image" in said[0]
    assert not any("of label 1" in w for w in result.warnings)


def test_padding_outside_the_field_of_view_is_flagged_where_it_is_in_a_segment():
    inputs = tumours()
    padded = np.array(inputs["image"].array)
    padded[:, :, :6] = -3024
    image = inputs["image"].like(padded)
    assert not any("field of view" in w for w in features(inputs | {"image": image}).warnings)
    padded[:, :, :12] = -3024
    image = inputs["image"].like(padded)
    said = features(inputs | {"image": image}).warnings
    assert [w for w in said if w.startswith("Check the segments:") and "segment 1" in w and "-1100 HU" in w]
    mr = replace(image, modality="MR")
    assert not any("field of view" in w for w in features(inputs | {"image": mr}).warnings)


def test_a_second_image_elsewhere_is_refused_and_one_that_cuts_a_segment_flagged():
    inputs = tumours()
    segment = {"segments": "1"}
    with pytest.raises(InvalidInputError, match=r"1,031 of the 1,031 voxels .* lie outside the image second"):
        features(inputs | {"second": moved(inputs["image"], 500, 0, 0)}, **segment)
    result = features(inputs | {"second": moved(inputs["image"], -11, 0, 0)}, **segment)
    assert any(w.startswith("Check the images: 64 of the 1,031 voxels") for w in result.warnings)
    whole = features(inputs | {"second": moved(inputs["image"], -2, 0, 0)}, **segment)
    assert not any("Check the images" in w for w in whole.warnings)


def test_grey_levels_of_another_modality_are_flagged():
    inputs = tumours(modality="PT")
    suv = inputs["image"].like((np.asarray(inputs["image"].array) + 2000) / 300)
    said = features(inputs | {"image": suv}, segments="1").warnings
    assert any("fall into" in w and "smaller bin width" in w for w in said)
    assert not any("fall into" in w for w in features(inputs | {"image": suv}, segments="1", bin_count=32).warnings)


@pytest.mark.parametrize("kind", [np.float64, np.int64])
def test_labels_too_large_for_a_label_map_are_refused_in_these_words(kind):
    inputs = tumours()
    mask = inputs["mask"].like((np.asarray(inputs["mask"].array).astype(kind) * 3e9).astype(kind))
    with pytest.raises(InvalidInputError, match="labels beyond 16,777,216"):
        features(inputs | {"mask": mask})


@pytest.mark.parametrize("wanted", ["node, left", "node, left;Rest", "1;Rest"])
def test_a_name_with_a_comma_can_be_asked_for(wanted):
    result = features(tumours(), segment_names="1=node, left;2=Rest", segments=wanted)
    names = ["node, left", "Rest"]
    assert list(result.tables["key_features"].column("segment")) == names[: 1 + (";" in wanted)]


def test_a_label_in_other_digits_is_refused():
    with pytest.raises(InvalidInputError, match="expected LABEL=name"):
        features(tumours(), segment_names="²=x")


@pytest.mark.parametrize("value", ["inf", "-Infinity", "nan", "NaN"])
def test_a_clinical_value_without_end_is_refused(value):
    with pytest.raises(InvalidInputError, match="age_years must be a finite number"):
        METHOD.run(tumours(), {"clinical": f"age_years={value}"}, Context(device="cpu"))


def test_settings_that_a_model_does_not_take_are_said():
    chosen = {"preset": "paper-744", "bin_width": 5.0, "segments": "2"}
    said = METHOD.run(tumours(), chosen, Context(device="cpu")).warnings
    assert "Features were extracted as the model's were; not used: preset, bin_width." in said
    assert not any("not used" in w for w in METHOD.run(tumours(), {"segments": "2"}, Context(device="cpu")).warnings)


def test_a_model_of_one_modality_says_no_to_another():
    assert check_modality("CT", "CT") == check_modality("", "MR") == check_modality("CT, MR or PT", "PT") == []
    assert check_modality("CT", "MR")[0].startswith("Check the image: it is MR")
    assert "does not say" in check_modality("CT", None)[0] and check_modality("CT, MR or PT", None) == []


def test_the_wide_table_says_of_what_modality_the_images_were():
    for modality, word in (("MR", "MR"), (None, "unknown")):
        table = features(tumours(modality=modality), segments="2").tables["features_wide"]
        assert list(table.column("settings_modality")) == [word]


# --- tables -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def tables(tmp_path):
    """Rows of the two tables."""
    return [list(csv.reader(path.open(encoding="utf-8"))) for path in cohort_tables(tmp_path)]


def written(path, rows, mark=",", before="", encoding="utf-8"):
    """Rows as a file."""
    text = io.StringIO()
    text.write(before)
    csv.writer(text, delimiter=mark).writerows(rows)
    path.write_bytes(text.getvalue().encode(encoding))
    return path


def cohort(folder, rows, **how):
    """The cohort of the rows."""
    paths = [written(folder / f"{name}.csv", one, **how) for name, one in zip(("f", "o"), rows, strict=True)]
    return Cohort.from_csv(*paths, COLUMNS)


def test_the_outcome_among_the_features_is_refused(tables, tmp_path):
    """A model that is given the time of death has a C index of 0.97."""
    table, outcomes = tables
    merged = [a + b[1:3] for a, b in zip(table, outcomes, strict=True)]
    with pytest.raises(InvalidInputError, match="'time_days' and 1 more would be learnt from"):
        cohort(tmp_path, (merged, outcomes))
    with pytest.raises(InvalidInputError, match="of one table for both, make two"):
        cohort(tmp_path, (merged, merged))
    labelled = replace(COLUMNS, label="grade", label_levels=("III", "IV"))
    paths = [written(tmp_path / f"{n}.csv", rows) for n, rows in (("f", merged), ("o", outcomes))]
    with pytest.raises(InvalidInputError, match="must not see the outcome"):
        Cohort.from_csv(*paths, labelled)


@pytest.mark.parametrize(
    "how", [{"mark": ";", "before": "sep=;\r\n"}, {"mark": "\t", "encoding": "utf-16"}, {"encoding": "utf-8-sig"},
            {"mark": ";"}]
)  # fmt: skip
def test_what_excel_writes_is_read_alike(how, tables, tmp_path):
    plain = cohort(tmp_path, tables)
    again = cohort(tmp_path, tables, **how)
    assert np.array_equal(plain.features, again.features) and np.array_equal(plain.time_days, again.time_days)


def test_empty_rows_and_cells_at_the_end_are_no_patients(tables, tmp_path):
    plain = cohort(tmp_path, tables)
    longer = [[row + ["", ""] for row in rows] + [[""] * len(rows[0])] * 3 for rows in tables]
    again = cohort(tmp_path, longer)
    assert again.patients == plain.patients and np.array_equal(plain.features, again.features)
    ragged = [[rows[0]] + [row + [""] for row in rows[1:]] for rows in tables]
    assert cohort(tmp_path, ragged).patients == plain.patients


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: [["", *rows[0]]] + [[str(n), *row] for n, row in enumerate(rows[1:])], "column 1 has no name"),
        (lambda rows: [row + [row[3]] for row in rows], f"columns twice, e.g. '{FEATURE}'"),
        (lambda rows: rows[:4] + [rows[4] + ["7"]] + rows[5:], "line 5 has more cells"),
        (lambda rows: rows[:1], "no rows below its heading"),
    ],
)
def test_a_heading_that_does_not_fit_is_refused(change, message, tables, tmp_path):
    with pytest.raises(InvalidInputError, match=message):
        cohort(tmp_path, (change(tables[0]), tables[1]))


def test_the_line_of_a_fault_is_that_of_the_file_however_it_is_sorted(tables, tmp_path):
    table, outcomes = tables
    turned = [outcomes[0], *[list(row) for row in reversed(outcomes[1:])]]
    turned[1][1] = "unknown"
    with pytest.raises(InvalidInputError, match="first on line 2"):
        cohort(tmp_path, (table, turned))


def test_events_in_words_are_refused_with_what_to_write(tables, tmp_path):
    table, outcomes = tables
    words = [outcomes[0]] + [[*row[:2], "dead" if row[2] == "1" else "alive", *row[3:]] for row in outcomes[1:]]
    with pytest.raises(InvalidInputError, match="60 rows are neither, the first on line 2. Write 1 for dead"):
        cohort(tmp_path, (table, words))
    decimals = [outcomes[0]] + [[*row[:2], f"{row[2]}.0", *row[3:]] for row in outcomes[1:]]
    assert cohort(tmp_path, (table, decimals)).n_events == cohort(tmp_path, tables).n_events


def test_a_missing_cell_is_none_and_a_table_keeps_its_lines(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('a,b\n"two\nlines",NA\n\n x ,3\n', encoding="utf-8")
    found = read_table(path)
    assert found["a"].tolist() == ["two\nlines", "x"] and found["b"].tolist() == [None, "3"]
    assert found.index.tolist() == [3, 5]


# --- fitting ----------------------------------------------------------------------------------------------------------


def parameters(folder, **changes) -> RadiomicsParameters:
    """Of a fit on the small cohort."""
    paths = cohort_tables(folder)
    return RadiomicsParameters(
        task="fit", features_csv=str(paths[0]), outcomes_csv=str(paths[1]), model="ridge", folds=2, repeats=1, **changes
    )


def test_a_place_for_the_bundle_is_refused_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr(cohort_run, "study", lambda *_: pytest.fail("the study was run"))
    (tmp_path / "there").mkdir()
    for change, message in (
        ({"bundle_folder": str(tmp_path / "there")}, "exists already"),
        ({"bundle_folder": str(tmp_path / "new"), "bundle_name": "病院 A"}, "small letters"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            METHOD.run({}, parameters(tmp_path, **change), Context(device="cpu"))


@pytest.mark.parametrize("cells", ['{"mode": 3', "[1]", '{"mode": "x"}'])
def test_altered_settings_are_refused(cells, tables, tmp_path):
    place = tables[0][0].index("settings_json")
    rows = [tables[0][0]] + [[*row[:place], cells, *row[place + 1 :]] for row in tables[0][1:]]
    with pytest.raises(InvalidInputError, match="was altered"):
        cohort_run.extraction_of(written(tmp_path / "f.csv", rows), (FEATURE,))


def test_the_modality_of_a_table_is_one(tables, tmp_path):
    def of(*words: str) -> str:
        """The modality of a table with these words in turn."""
        rows = [[*tables[0][0], "settings_modality"]]
        rows += [[*row, words[n % len(words)]] for n, row in enumerate(tables[0][1:])]
        return cohort_run.modality_of(written(tmp_path / "f.csv", rows))

    assert (of("CT"), of("unknown"), of("MR", "unknown")) == ("CT", "", "MR")
    with pytest.raises(InvalidInputError, match=r"different modalities \(CT, MR"):
        of("CT", "MR")


def test_patients_left_out_and_centres_of_few_are_said(tables, tmp_path):
    some = written(tmp_path / "f.csv", tables[0][:-5])
    chosen = replace(parameters(tmp_path), features_csv=str(some))
    found = cohort_run.read(chosen)
    assert cohort_run.left_out(chosen, found)[0].startswith("Check the tables: 5 of 60 patients")
    assert cohort_run.left_out(parameters(tmp_path), cohort_run.read(parameters(tmp_path))) == []
    two = replace(found, centre=("B", *["A"] * 54))
    assert cohort_run.small_centres(two)[0].startswith("Check the centres: 1 of 2")
    assert cohort_run.small_centres(found) == []


@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "No space left on device"), CancelledError("Cancelled.")])
def test_a_bundle_is_written_whole_or_not_at_all(failure, tmp_path, monkeypatch):
    def fail(*_: object) -> None:
        """The disk is full, or the user stops."""
        raise failure

    monkeypatch.setattr(cohort_run, "add_documents", fail)
    folder = tmp_path / "site"
    with pytest.raises(type(failure)):
        METHOD.run({}, parameters(tmp_path, bundle_folder=str(folder)), Context(device="cpu"))
    assert not folder.exists() and sorted(p.name for p in tmp_path.iterdir()) == ["features.csv", "outcomes.csv"]


def test_no_patient_is_named_in_a_bundle_or_its_documents(tmp_path):
    chosen = parameters(tmp_path, bundle_folder=str(tmp_path / "site"))
    for path in (tmp_path / "features.csv", tmp_path / "outcomes.csv"):
        rows = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
        written(path, [rows[0], *[[f"YAMADA-{row[0]}", *row[1:]] for row in rows[1:]]])
    result = METHOD.run({}, chosen, Context(device="cpu"))
    assert not [p for p in (tmp_path / "site").rglob("*") if p.is_file() and b"YAMADA" in p.read_bytes()]
    assert "YAMADA" not in str([result.tables, result.warnings, result.measurements, result.provenance])


def test_a_fitted_bundle_says_no_to_images_of_another_modality(tables, tmp_path):
    chosen = parameters(tmp_path, bundle_folder=str(tmp_path / "site"))
    extended = [[*row, "MR" if n else "settings_modality"] for n, row in enumerate(tables[0])]
    written(tmp_path / "features.csv", extended)
    METHOD.run({}, chosen, Context(device="cpu"))
    said = {}
    for modality in ("MR", "CT"):
        context = Context(device="cpu", bundle=str(tmp_path / "site"))
        said[modality] = METHOD.run(tumours(modality=modality), {"segments": "2"}, context).warnings
    assert any(w.startswith("Check the image: it is CT, and the model was fitted to images of MR") for w in said["CT"])
    assert not any(w.startswith("Check the image") for w in said["MR"])
