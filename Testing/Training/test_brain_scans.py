"""A site's own images: what labels mean, incomplete ones, geometry and sides under random changes, tables, phantoms."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tiny_heads import TINY, as_ours, head, middle, picture, site, with_vessels, write_table

from manabi.brain.structures import CLASSES, LABELS, segments
from manabi.errors import InvalidInputError
from manabi.io import write_volume
from manabi.phantoms.base import Case
from manabi.result import Labelmap
from manabi.volume import Volume
from Training.brain import BrainRecipe
from Training.brain_data import data_hash
from Training.brain_labels import UNKNOWN, labelled_scan, one_of
from Training.brain_scans import CONTRASTS, ScanSubject, load_scan, open_scans, save_scan
from Training.brain_synth import Looks

RECIPE = BrainRecipe(**TINY)
WITHOUT_VESSELS = one_of((0, CLASSES["vessels"]))
QUIET = Looks(bias=0.0, noise=0.0, mirror=False)


def rng(*seed):
    return np.random.default_rng(seed or 0)


def like(labels, **where):
    """A copy of a label map changed by value: ``like(labels, _1=5)`` turns 1 into 5."""
    array = np.array(labels.array)
    for value, new in where.items():
        array[np.asarray(labels.array) == int(value[1:])] = new
    return labels.like(array)


def only(labels, *values):
    return labels.like(np.where(np.isin(labels.array, values), labels.array, 0))


def scan_of(labels, label_map="", **options):
    return labelled_scan("p1", picture(head()), labels, label_map, **options)


# --- what labels mean -------------------------------------------------------------------------------------------------


def test_freesurfer_codes_our_values_and_a_label_map_say_the_same():
    codes = head()
    freesurfer, ours = scan_of(codes), scan_of(as_ours(codes))
    other = like(as_ours(codes), _1=11, _2=12, _3=13, _4=14, _5=15, _6=16)
    text = ("11:cerebrum_left, 12:cerebrum_right; 13:cerebellum_left,14:cerebellum_right,15:brainstem,16:ventricles,"
            "40:unknown")  # fmt: skip
    mapped = scan_of(other, text)
    for one in (ours, mapped):
        assert np.array_equal(one.classes, freesurfer.classes) and np.array_equal(one.image, freesurfer.image)
        sided = np.isin(one.classes, (CLASSES["cerebrum"], CLASSES["cerebellum"]))
        assert np.array_equal(one.sides[sided], freesurfer.sides[sided])
        assert one.labelled == (1, 2, 3, 4)
    assert set(np.unique(freesurfer.classes)) == {1, 2, 3, 4, WITHOUT_VESSELS}


def test_images_and_labels_of_any_grid_come_to_one_of_a_millimetre_in_ras():
    codes, plain = head(), scan_of(with_vessels(head()))
    turned = labelled_scan("p1", picture(codes).reoriented((1, 2, 0), (-1, 1, -1)), with_vessels(codes))
    assert np.array_equal(turned.classes, plain.classes) and np.array_equal(turned.sides, plain.sides)
    large = head(mm=2.0)
    double = labelled_scan("p1", picture(large), with_vessels(large))
    for value in (1, 2, 3, 4):
        assert np.count_nonzero(double.classes == value) == pytest.approx(
            8 * np.count_nonzero(plain.classes == value), rel=0.05)  # fmt: skip
    cut = with_vessels(codes).crop((2, 2, 2), (42, 48, 40))
    assert np.array_equal(scan_of(cut).classes, plain.classes)


def test_left_is_where_the_image_is_darker_on_the_left():
    codes = head()
    bright = picture(codes).like(np.where(np.arange(42) < 21, 60, 200) * (np.asarray(codes.array) > 0))
    scan = labelled_scan("p1", bright.reoriented((0, 1, 2), (-1, -1, 1)), with_vessels(codes))
    cerebrum = scan.classes == CLASSES["cerebrum"]
    left, right = (scan.image[cerebrum & (scan.sides == side)].mean() for side in (0, 1))
    assert left < right - 0.3


@pytest.mark.parametrize(
    ("change", "label_map", "message"),
    [
        ({"_5": 9}, "", r"Case p1, labels: expected 1 left cerebrum.*FreeSurfer's codes; the image also holds \[9\]"),
        ({}, "1:cerebrum_left,2:cerebrum_right", r"label_map explains \[1, 2\]; the image also holds \[3, 4, 5, 6\]"),
        ({}, "1:brain", "Case p1, label_map: expected each value once.*got '1:brain'. Names: cerebrum"),
        ({}, "1:cerebrum,1:cerebrum", "expected each value once"),
        ({}, "1=cerebrum", "got '1=cerebrum'"),
        ({"_2": 1}, "", "Case p1, labels, cerebrum: only one side is labelled"),
        ({"_1": 2, "_2": 1}, "", "cerebrum: left does not lie left of right.*stored mirrored"),
        ({"_1": 1, "_2": 1, "_3": 2, "_4": 2, "_5": 3, "_6": 4}, "", "cerebrum: left does not lie left of right"),
        (dict.fromkeys(["_1", "_2", "_3", "_4", "_5", "_6"], 0), "", "nothing is labelled"),
        ({}, ",".join(f"{n}:background" for n in range(1, 7)), "none of cerebrum, .* is labelled"),
    ],
)
def test_labels_that_cannot_be_right_are_refused_by_name(change, label_map, message):
    with pytest.raises(InvalidInputError, match=message):
        scan_of(like(as_ours(head()), **change), label_map)


def test_fractions_and_labels_elsewhere_are_refused():
    ours = as_ours(head())
    with pytest.raises(InvalidInputError, match="Case p1, labels: expected whole numbers"):
        scan_of(ours.like(np.asarray(ours.array) * 0.5))
    moved = np.array(ours.ijk_to_ras)
    moved[:3, 3] += 500.0
    with pytest.raises(InvalidInputError, match="no label lies where the image is"):
        scan_of(replace(ours, ijk_to_ras=moved))
    with pytest.raises(InvalidInputError, match="Case p1, image: expected an MR"):
        labelled_scan("p1", ours.like(np.zeros(ours.shape)), ours)
    assert np.array_equal(scan_of(ours.like(np.asarray(ours.array, np.float32))).classes, scan_of(ours).classes)


# --- labels that are not complete -------------------------------------------------------------------------------------


def test_structures_that_nobody_labelled_are_unknown_and_not_background():
    ours = as_ours(head())
    scan = scan_of(only(ours, 5))
    missing = one_of((0, 1, 2, 4, 5))
    assert set(np.unique(scan.classes)) == {CLASSES["brainstem"], missing} and scan.labelled == (3,)
    assert (scan.sides == -1).all()
    assert set(np.unique(scan_of(with_vessels(head())).classes)) == {0, 1, 2, 3, 4, 5}
    complete = scan_of(only(ours, 5), complete=True)
    assert set(np.unique(complete.classes)) == {0, CLASSES["brainstem"]}


def test_a_label_map_can_say_that_nothing_is_known():
    scan = scan_of(
        with_vessels(head()), "1:unknown,2:cerebrum,3:cerebellum,4:cerebellum,5:brainstem,6:ventricles,7:vessels"
    )
    known = scan_of(with_vessels(head()))
    left = (known.classes == CLASSES["cerebrum"]) & (known.sides == 0)
    assert (scan.classes[left] == UNKNOWN).all() and np.array_equal(scan.classes[~left], known.classes[~left])
    assert (scan.sides == -1).all()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_between_labelled_slices_nothing_is_known(axis):
    labels = with_vessels(head())
    painted = np.arange(labels.shape[axis]) % 3 == 1
    sparse = np.moveaxis(np.array(labels.array), axis, 0)
    sparse[~painted] = 0
    scan, whole = scan_of(labels.like(np.moveaxis(sparse, 0, axis))), scan_of(labels)
    planes, truth = np.moveaxis(scan.classes, axis, 0), np.moveaxis(whole.classes, axis, 0)
    unknown = (planes == UNKNOWN).all((1, 2))
    assert 0.6 < unknown.mean() < 0.85
    assert np.array_equal(planes[~unknown], truth[~unknown]) and (planes[~unknown] == 0).any()


def test_a_slice_that_was_forgotten_and_a_cut_end_are_unknown():
    labels = with_vessels(head())
    forgotten = np.array(labels.array)
    forgotten[20] = 0
    assert np.flatnonzero((scan_of(labels.like(forgotten)).classes == UNKNOWN).all((1, 2))).tolist() == [20]
    cut = np.array(labels.array)
    cut[30:] = 0
    scan = scan_of(labels.like(cut))
    assert (scan.classes[30:] == UNKNOWN).all() and not (scan.classes[:30] == UNKNOWN).any()


def test_slices_along_two_axes_leave_the_rest_unknown():
    labels = with_vessels(head())
    crossed = np.zeros(labels.shape, np.uint8)
    crossed[19], crossed[:, 31] = labels.array[19], labels.array[:, 31]
    scan, whole = scan_of(labels.like(crossed)), scan_of(labels)
    known = np.zeros(labels.shape, bool)
    known[19], known[:, 31] = True, True
    found, truth = scan.classes[known], whole.classes[known]
    assert (scan.classes[~known] == UNKNOWN).all() and not (found == UNKNOWN).any()
    assert np.array_equal(found[truth > 0], truth[truth > 0]) and (truth > 0).sum() > 500


# --- examples ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def subject(tmp_path):
    """One image with complete labels, as a subject."""
    save_scan(scan_of(with_vessels(head())), tmp_path / "scan.npz")
    return ScanSubject("p1", "p1", tmp_path / "scan.npz", 16)


@pytest.fixture
def unchanged(monkeypatch):
    """Images that are neither turned nor changed."""
    monkeypatch.setattr("Training.brain_scans.TURNED", 0.0)
    monkeypatch.setattr("Training.brain_scans.CHANGED", 0.0)


@pytest.mark.usefixtures("unchanged")
def test_without_changes_an_example_is_the_image_or_its_mirror(subject):
    scan, mirrored = load_scan(subject.file), 0
    for seed in range(10):
        example = subject.example(rng(seed), Looks(), 1)
        flip = not np.array_equal(example.classes, scan.classes)
        mirrored += flip
        classes, sides, image = example.classes, example.sides, example.image
        if flip:
            classes, image = classes.flip(2), image.flip(2)
            sides = torch.where(sides >= 0, 1 - sides, sides).flip(2)
        assert np.array_equal(classes, scan.classes) and np.array_equal(sides, scan.sides)
        assert float(torch.corrcoef(torch.stack([image.flatten(), torch.from_numpy(
            scan.image.astype(np.float32)).flatten()]))[0, 1]) > 0.999  # fmt: skip
    assert 2 <= mirrored <= 8
    assert example.classes.dtype == torch.uint8 and example.sides.dtype == example.image.dtype == torch.float32


@pytest.mark.usefixtures("unchanged")
def test_at_two_millimetres_the_image_is_the_average(subject):
    one, two = (subject.example(rng(1), QUIET, step, (40, 44, 38)) for step in (1, 2))
    assert one.image.shape == two.classes.shape == (40, 44, 38) and two.image.shape == two.sides.shape == (20, 22, 19)
    assert torch.equal(one.classes, two.classes) and torch.equal(one.sides[::2, ::2, ::2], two.sides)
    mean = F.avg_pool3d(one.image[None], 2)[0]
    assert float(torch.corrcoef(torch.stack([mean.flatten(), two.image.flatten()]))[0, 1]) > 0.995


@pytest.mark.usefixtures("unchanged")
def test_small_images_are_padded_and_large_ones_cut_at_random_places(subject):
    shape = load_scan(subject.file).image.shape
    padded = subject.example(rng(1), QUIET, 2, (64, 64, 64))
    assert padded.classes.shape == (64, 64, 64) and padded.image.shape == (32, 32, 32)
    assert float(padded.image[0].max()) == 0.0 and (padded.sides[0] == -1).all() and (padded.classes[0] == 0).all()
    whole = replace(subject, least=61).example(rng(1), QUIET, 2)
    assert whole.classes.shape == (62, 62, 62) and max(shape) < 61
    places = [middle(subject.example(rng(seed), QUIET, 1, (30, 30, 30)).classes.numpy() == 3) for seed in range(6)]
    assert float(np.std(places, axis=0).min()) > 0.5


@pytest.mark.parametrize("seed", range(8))
def test_changed_examples_keep_image_and_labels_together_and_left_at_the_left(subject, seed, monkeypatch):
    monkeypatch.setattr("Training.brain_scans.TURNED", 1.0)
    example = subject.example(rng(seed), Looks(noise=0.02, blur_mm=1.0, thickest_mm=2.0), 1)
    classes, sides = example.classes.numpy(), example.sides.numpy()
    for structure in ("cerebrum", "cerebellum"):
        left, right = (middle((classes == CLASSES[structure]) & (sides == side))[2] for side in (0, 1))
        assert left < right - 2
    assert middle(classes == 1)[0] > middle(classes == 2)[0] + 3
    ventricles, cerebrum = example.image[example.classes == 4], example.image[example.classes == 1]
    assert float(ventricles.mean()) < 0.8 * float(cerebrum.mean())


def test_examples_follow_from_their_generators_and_differ(subject):
    first, again, other = (subject.example(rng(seed), Looks(), 2) for seed in (3, 3, 4))
    assert torch.equal(first.image, again.image) and torch.equal(first.classes, again.classes)
    assert not torch.equal(first.image, other.image)
    assert float(first.image.min()) >= 0.0 and float(first.image.max()) <= 1.5


# --- tables -----------------------------------------------------------------------------------------------------------


def test_a_table_is_prepared_once_and_split_by_patient(tmp_path):
    rows = site(tmp_path, 4)
    for n, row in enumerate(rows):
        row["group"] = f"patient-{n // 2}" if n < 2 else f"patient-{n}"
    table = write_table(tmp_path, rows)
    subjects = open_scans(str(table), replace(RECIPE, parts="1/1/1"), tmp_path / "cache")
    assert len(subjects.all) == 4 and not subjects.simulated and subjects.source == "4 images of 3 patients"
    patients = [{s.patient for s in part} for part in (subjects.training, subjects.validation, subjects.test)]
    assert not patients[0] & patients[1] and not patients[1] & patients[2] and not patients[0] & patients[2]
    stamps = {s.file: s.file.stat().st_mtime_ns for s in subjects.all}
    again = open_scans(str(table), replace(RECIPE, parts="1/1/1"), tmp_path / "cache")
    assert {s.file: s.file.stat().st_mtime_ns for s in again.all} == stamps and data_hash(again) == data_hash(subjects)
    changed = np.array(with_vessels(head(0)).array)
    changed[20, 25, 10] = 0
    write_volume(with_vessels(head(0)).like(changed), tmp_path / "labels-0.nii.gz", overwrite=True)
    other = open_scans(str(table), replace(RECIPE, parts="1/1/1"), tmp_path / "cache")
    assert data_hash(other) != data_hash(subjects) and len({s.file for s in other.all} - set(stamps)) == 1


def test_a_label_map_is_a_column_and_a_bad_one_is_refused_before_anything_is_read(tmp_path):
    rows = site(tmp_path, 3)
    text = ",".join(f"{label.value}:{f'{label.structure}_{label.side}'.rstrip('_')}" for label in LABELS)
    for row, label_map in zip(rows, (text, "", text), strict=True):
        row["label_map"] = label_map
    given = replace(RECIPE, parts="1/1/1")
    subjects = open_scans(str(write_table(tmp_path, rows)), given, tmp_path / "cache")
    assert all(load_scan(s.file).labelled == (1, 2, 3, 4, 5) for s in subjects.all)
    rows[1]["label_map"] = "1:cerebrum_upper"
    with pytest.raises(InvalidInputError, match="Case p1, label_map"):
        open_scans(str(write_table(tmp_path, rows)), given, tmp_path / "elsewhere")
    assert not (tmp_path / "elsewhere").exists()


def test_the_same_image_in_two_splits_is_refused(tmp_path):
    rows = site(tmp_path, 3)
    for row, split in zip(rows, ("training", "validation", "test"), strict=True):
        row["split"] = split
    rows[2]["image"], rows[2]["labels"] = rows[0]["image"], rows[0]["labels"]
    with pytest.raises(InvalidInputError, match="hold the same pixels"):
        open_scans(str(write_table(tmp_path, rows)), RECIPE, tmp_path / "cache")


def test_what_is_wrong_with_a_file_names_its_case(tmp_path):
    rows = site(tmp_path, 3)
    (tmp_path / "image-1.nii.gz").write_bytes(b"no image")
    with pytest.raises(InvalidInputError, match="Case p1, image: "):
        open_scans(str(write_table(tmp_path, rows)), RECIPE, tmp_path / "cache")
    with pytest.raises(InvalidInputError, match="the columns case, image, labels; missing: \\['labels'\\]"):
        open_scans(str(write_table(tmp_path, [{"case": "a", "image": "image-0.nii.gz"}])), RECIPE, tmp_path / "cache")


def test_a_structure_that_nobody_labelled_needs_a_bundle_to_begin_from(tmp_path, caplog):
    rows = site(tmp_path, 3)
    for n in range(3):
        labels = np.array(as_ours(head(n)).array)
        labels[np.arange(44) % 3 != 0] = 0
        write_volume(as_ours(head(n)).like(labels), tmp_path / f"labels-{n}.nii.gz", overwrite=True)
    table, given = str(write_table(tmp_path, rows)), replace(RECIPE, parts="1/1/1")
    with pytest.raises(InvalidInputError, match="No training case labels vessels.*start=brain-default"):
        open_scans(table, given, tmp_path / "cache")
    with caplog.at_level(logging.WARNING):
        subjects = open_scans(table, replace(given, start="brain-default"), tmp_path / "cache")
    assert len(subjects.all) == 3
    assert "In 1 of 1 training images only some slices are labelled" in caplog.text
    assert "No training case labels vessels: only brain-default says what it is" in caplog.text


# --- phantoms ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def phantoms(monkeypatch):
    """Phantoms that are drawn in a millisecond; returns what was asked for."""
    asked = []

    def cases(name, seed, count, cache, choices):
        asked.append((name, seed, count, tuple(choices["contrasts"])))
        return [cache / f"brain-{index}" for index in range(count)]

    def load(folder):
        codes = head(int(folder.name[-1]))
        images = {c: picture(codes, n) for n, c in enumerate(CONTRASTS)}
        return Case(images, {"structures": Labelmap(with_vessels(codes), segments())})

    monkeypatch.setattr("Training.brain_scans.phantom_cases", cases)
    monkeypatch.setattr("Training.brain_scans.load_case", load)
    monkeypatch.setattr("Training.brain_scans.spread", lambda function, jobs: [function(job) for job in jobs])
    return asked


def test_every_contrast_of_a_phantom_is_a_case_of_one_patient(tmp_path, phantoms):
    subjects = open_scans("phantoms:7:3", replace(RECIPE, parts="1/1/1"), tmp_path)
    assert phantoms == [("brain", 7, 3, CONTRASTS)] and subjects.simulated
    assert subjects.source == "15 simulated images of 3 heads"
    for part in (subjects.training, subjects.validation, subjects.test):
        assert len(part) == len(CONTRASTS) and len({s.patient for s in part}) == 1
    kinds = {s.name.rsplit("-", 1)[1]: load_scan(s.file).classes for s in subjects.training}
    assert 5 in kinds["tof"] and 5 in kinds["heavy_t2"] and UNKNOWN not in kinds["tof"]
    assert 5 not in kinds["t1"] and np.array_equal(kinds["t1"] == UNKNOWN, kinds["tof"] == 5)
    assert 0 in kinds["t1"]


def test_phantoms_that_are_misspelt_are_refused(tmp_path):
    with pytest.raises(InvalidInputError, match="Expected phantoms:SEED:COUNT, for example phantoms:1:20"):
        open_scans("phantoms:7", RECIPE, tmp_path)


# --- a real image -----------------------------------------------------------------------------------------------------


def test_a_real_image_with_freesurfers_labels_is_prepared(data_folder):
    from manabi.io import read_volume

    image, labels = (read_volume(data_folder(f"brain_mr/{n}.mgz")) for n in ("norm", "aparc.a2009s+aseg"))
    image, labels = (Volume(v.array[::2, ::2, ::2], v.ijk_to_ras @ np.diag([2, 2, 2, 1])) for v in (image, labels))
    scan = labelled_scan("real", image, labels)
    litres = {name: np.count_nonzero(scan.classes == value) / 1e6 for name, value in CLASSES.items()}
    assert 0.7 < litres["cerebrum"] < 1.4 and 0.08 < litres["cerebellum"] < 0.2 and 0.01 < litres["brainstem"] < 0.04
    assert scan.labelled == (1, 2, 3, 4) and not (scan.classes == UNKNOWN).any()
    assert middle(scan.sides == 0)[2] < middle(scan.sides == 1)[2] - 40
