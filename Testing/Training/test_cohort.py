"""Cohorts: tables and phantoms are read, split by patient, and refused when training would go wrong."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pytest

from manabi import registry
from manabi.context import Context
from manabi.errors import CancelledError, CorruptModelError, GeometryError, InvalidInputError
from manabi.io import write_volume
from manabi.phantoms.base import Case, Phantom, case_rng
from manabi.result import Code, Labelmap, Segment
from manabi.volume import Volume
from Training.cohort import SPLITS, CohortCase, open_cohort, read_table, split_cases, split_counts
from Training.phantom_cache import code_hash, load_case, phantom_cases

SPACING = np.diag([2.0, 2.0, 3.0, 1.0])


@dataclass(frozen=True)
class ToyParameters:
    level: float
    seed: int


class ToyPhantom(Phantom[ToyParameters]):
    """A noisy box; counts how often it was rendered."""

    name = "toy"
    parameters_type = ToyParameters
    method = "toy"
    rendered = 0

    def sample_parameters(self, rng, **choices):
        return ToyParameters(choices.get("level", float(rng.uniform(1, 2))), int(rng.integers(1000)))

    def render_batch(self, parameters, context=None):
        ToyPhantom.rendered += len(parameters)
        return [self._one(p) for p in parameters]

    def _one(self, p):
        clean = np.full((3, 8, 8), p.level, np.float32)
        noisy = clean + np.random.default_rng(p.seed).normal(size=clean.shape).astype(np.float32)
        box = Labelmap(
            Volume((clean > 1.5).astype(np.uint8), SPACING), (Segment(1, "Box", (1, 0, 0), Code("1", "SCT", "x")),)
        )
        volumes = {"noisy": Volume(noisy, SPACING, "NM"), "clean": Volume(clean, SPACING, "NM")}
        return Case(volumes, {"box": box}, {"level": p.level})


@pytest.fixture
def toy(monkeypatch):
    ToyPhantom.rendered = 0
    entry = registry.Entry("toy", "Toy", "x:y", "a box")
    monkeypatch.setattr(registry.Entry, "load", lambda self: ToyPhantom)
    monkeypatch.setitem(registry.PHANTOMS, "toy", entry)


def write_pairs(folder, count, extra="", target_of=None):
    """A CSV of pairs in a folder with a space and an accent; ``extra`` holds more columns, a text per row."""
    images = folder / "données 1"
    images.mkdir()
    rng = np.random.default_rng(0)
    rows = [f"case,input,target{',' if extra else ''}{extra.splitlines()[0] if extra else ''}"]
    for i in range(count):
        pair = rng.normal(size=(2, 3, 8, 8)).astype(np.float32)
        write_volume(Volume(pair[0], SPACING), images / f"in {i}.nii.gz")
        matrix = target_of(i) if target_of else SPACING
        write_volume(Volume(pair[1], matrix), images / f"out {i}.nii.gz")
        more = f",{extra.splitlines()[i + 1]}" if extra else ""
        rows.append(f"c{i},données 1/in {i}.nii.gz,données 1/out {i}.nii.gz{more}")
    table = folder / "cohort.csv"
    table.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return table


def test_pairs_are_read_relative_to_their_table(tmp_path):
    cohort = open_cohort(str(write_pairs(tmp_path, 4)), tmp_path / "cache", parts="2/1/1")
    assert [len(cohort.split(name)) for name in SPLITS] == [2, 1, 1]
    case = cohort.cases[0].load()
    assert set(case.volumes) == {"input", "target"} and case.volumes["input"].shape == (3, 8, 8)


def test_splits_are_listed_and_repeat(tmp_path):
    table = str(write_pairs(tmp_path, 6))
    one, other = (open_cohort(table, tmp_path, seed=5, parts="3/2/1") for _ in range(2))
    assert one == other
    one.write_splits(tmp_path / "splits.json")
    record = json.loads((tmp_path / "splits.json").read_text())
    assert sorted(sum((record[name]["cases"] for name in SPLITS), [])) == [f"c{i}" for i in range(6)]
    assert len(record["validation"]["patients"]) == 2 and record["data_sha256"] == one.data_hash


def test_the_hash_of_the_data_follows_the_pixels(tmp_path):
    table = write_pairs(tmp_path, 3)
    before = open_cohort(str(table), tmp_path, parts="1/1/1").data_hash
    path = tmp_path / "données 1" / "in 0.nii.gz"
    write_volume(Volume(np.ones((3, 8, 8), np.float32), SPACING), path, overwrite=True)
    assert open_cohort(str(table), tmp_path, parts="1/1/1").data_hash != before


def test_a_patients_cases_stay_together():
    cases = [CohortCase(f"c{i}", f"p{i // 3}") for i in range(60)]
    done = split_cases(cases, "120/37/50", seed=2)
    for patient in range(20):
        assert len({case.split for case in done if case.group == f"p{patient}"}) == 1
    assert {case.split for case in done} == set(SPLITS)
    assert [c.split for c in done] != [c.split for c in split_cases(cases, "120/37/50", seed=3)]


@pytest.mark.parametrize(
    ("parts", "patients", "expected"),
    [
        ("120/37/50", 207, (120, 37, 50)),
        ("120/37/50", 20, (12, 3, 5)),
        (".8/.1/.1", 4, (2, 1, 1)),
        ("1/1/0", 5, (3, 2, 0)),
        ("120/37/50", 3, (1, 1, 1)),
    ],
)
def test_parts_are_counts_or_proportions(parts, patients, expected):
    assert split_counts(parts, patients) == expected


@pytest.mark.parametrize("parts", ["1/2", "a/b/c", "0/0/0", "-1/2/3", "nan/1/1"])
def test_parts_that_are_none_are_refused(parts):
    with pytest.raises(InvalidInputError, match="three numbers"):
        split_counts(parts, 10)


def test_too_few_patients_are_refused():
    with pytest.raises(InvalidInputError, match="2 patients cannot be split"):
        split_counts("120/37/50", 2)


def test_a_patient_in_two_splits_is_refused(tmp_path):
    table = write_pairs(tmp_path, 3, "group,split\nann,training\nann,test\nbob,validation")
    with pytest.raises(InvalidInputError, match="more than one split: ann"):
        open_cohort(str(table), tmp_path)


def test_the_same_pixels_in_two_splits_are_refused(tmp_path):
    table = write_pairs(tmp_path, 3, "split\ntraining\nvalidation\ntest")
    images = tmp_path / "données 1"
    (images / "in 2.nii.gz").write_bytes((images / "in 0.nii.gz").read_bytes())
    with pytest.raises(InvalidInputError, match=r"c0 \(training\) and c2 \(test\) hold the same pixels"):
        open_cohort(str(table), tmp_path)


def test_the_same_pixels_in_one_split_or_one_case_are_a_warning(tmp_path):
    table = write_pairs(tmp_path, 3, "split\ntraining\ntraining\ntest")
    images = tmp_path / "données 1"
    (images / "in 1.nii.gz").write_bytes((images / "in 0.nii.gz").read_bytes())
    (images / "out 2.nii.gz").write_bytes((images / "in 2.nii.gz").read_bytes())
    warnings = "\n".join(open_cohort(str(table), tmp_path).warnings)
    assert "c0 and c1 hold the same pixels" in warnings
    assert "Case c2: input and target hold the same pixels" in warnings


def test_images_of_a_case_on_two_grids_are_refused_by_name(tmp_path):
    table = write_pairs(tmp_path, 3, target_of=lambda i: np.diag([2.0, 2.0, 3.5 if i == 1 else 3.0, 1.0]))
    with pytest.raises(GeometryError, match=r"Case c1: input .* and target .* same grid"):
        open_cohort(str(table), tmp_path, parts="1/1/1")


def test_a_missing_file_is_refused_by_name(tmp_path):
    table = write_pairs(tmp_path, 2)
    (tmp_path / "données 1" / "out 1.nii.gz").unlink()
    with pytest.raises(InvalidInputError, match="Case c1: there is no target"):
        open_cohort(str(table), tmp_path)


def test_an_unreadable_image_is_refused_by_name(tmp_path):
    table = write_pairs(tmp_path, 3)
    (tmp_path / "données 1" / "out 1.nii.gz").write_bytes(b"not an image")
    with pytest.raises(InvalidInputError, match="Case c1, target: "):
        open_cohort(str(table), tmp_path, parts="1/1/1")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("case,input\na,b\n", "missing: \\['target'\\]"),
        ("case,input,target\n", "needs rows"),
        ("case,input,target\na,,x\n", "Row 2 .* nothing under input"),
        ("case,input,target,split\na,cohort.csv,cohort.csv,train\n", "split must be one of"),
        ("case,input,target\na,cohort.csv,cohort.csv\na,cohort.csv,cohort.csv\n", "more than once: a"),
        ("case,input,target,split\na,cohort.csv,cohort.csv,test\nb,cohort.csv,cohort.csv,\n", "others none: b"),
    ],
)
def test_a_table_that_is_wrong_says_where(tmp_path, text, message):
    table = tmp_path / "cohort.csv"
    table.write_text(text)
    with pytest.raises(InvalidInputError, match=message):
        read_table(table)


def test_a_table_may_use_semicolons_and_a_byte_order_mark(tmp_path):
    table = tmp_path / "cohort.csv"
    table.write_text("case;input;target;group\nä 1;cohort.csv;cohort.csv;p\n", encoding="utf-8-sig")
    assert (read_table(table)[0].name, read_table(table)[0].group) == ("ä 1", "p")


def test_phantoms_are_rendered_once_and_read_back_whole(tmp_path, toy):
    cohort = open_cohort("phantoms:7:5", tmp_path / "cache", phantom="toy", parts="3/1/1")
    again = open_cohort("phantoms:7:5", tmp_path / "cache", phantom="toy", parts="3/1/1")
    assert cohort == again and ToyPhantom.rendered == 5
    case = cohort.cases[2].load()
    fresh = ToyPhantom().render(ToyPhantom().sample_parameters(case_rng(7, 2)))
    np.testing.assert_array_equal(case.volumes["noisy"].array, fresh.volumes["noisy"].array)
    assert case.volumes["noisy"].grid.same_as(fresh.volumes["noisy"].grid) and case.volumes["noisy"].modality == "NM"
    assert case.truth == fresh.truth and case.labelmaps["box"].segments == fresh.labelmaps["box"].segments
    rebuilt = ToyPhantom().from_json(json.dumps(case.parameters))
    assert rebuilt == ToyPhantom().sample_parameters(case_rng(7, 2))


def test_a_longer_cohort_renders_only_what_is_new(tmp_path, toy):
    short = phantom_cases("toy", 1, 3, tmp_path)
    assert phantom_cases("toy", 1, 5, tmp_path)[:3] == short
    assert ToyPhantom.rendered == 5


def test_what_is_kept_is_part_of_the_key(tmp_path, toy):
    whole = phantom_cases("toy", 1, 1, tmp_path)
    small = phantom_cases("toy", 1, 1, tmp_path, keep=["clean"])
    assert whole != small and set(load_case(small[0]).volumes) == {"clean"}
    assert phantom_cases("toy", 1, 1, tmp_path, choices={"level": 1.7}) != whole


def test_rendering_can_be_cancelled_and_goes_on(tmp_path, toy):
    context = Context()
    context.on_progress = lambda fraction, text: context.cancel.set() if fraction > 0.4 else None
    with pytest.raises(CancelledError):
        phantom_cases("toy", 1, 6, tmp_path, context=context, batch=1)
    done = ToyPhantom.rendered
    phantom_cases("toy", 1, 6, tmp_path, batch=1)
    assert 0 < done < 6 and ToyPhantom.rendered == 6


def test_processes_share_the_rendering_and_wait_for_each_other(tmp_path, toy, monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    waiting = Context()
    monkeypatch.setattr("Training.phantom_cache.time.sleep", lambda seconds: waiting.cancel.set())
    with pytest.raises(CancelledError):
        phantom_cases("toy", 1, 5, tmp_path, context=waiting)
    assert ToyPhantom.rendered == 3
    monkeypatch.setenv("RANK", "1")
    folders = phantom_cases("toy", 1, 5, tmp_path)
    assert ToyPhantom.rendered == 5 and all((folder / "case.json").exists() for folder in folders)


def test_a_damaged_cache_is_named(tmp_path, toy):
    folder = phantom_cases("toy", 1, 1, tmp_path)[0]
    next(folder.glob("*.npy")).unlink()
    with pytest.raises(CorruptModelError, match="Delete the folder"):
        load_case(folder)


def test_the_hash_of_code_ignores_what_is_not_code(tmp_path):
    path = tmp_path / "sim.py"
    path.write_text('"""Doc."""\nX = 1\n')
    before = code_hash(tmp_path)
    path.write_text('"""Another doc."""\n# why\nX = 1\n')
    assert code_hash(tmp_path) == before
    path.write_text("X = 1\n")
    assert code_hash(tmp_path) == before
    path.write_text('"""Doc."""\nX = 2\n')
    assert code_hash(tmp_path) != before


@pytest.mark.parametrize(("data", "message"), [("phantoms:1", "SEED:COUNT"), ("nowhere.csv", "expected a CSV")])
def test_what_is_no_cohort_is_refused(tmp_path, data, message):
    with pytest.raises(InvalidInputError, match=message):
        open_cohort(data, tmp_path, phantom="toy")


def test_equal_phantoms_in_two_splits_are_refused(tmp_path, toy, monkeypatch):
    monkeypatch.setattr(ToyPhantom, "sample_parameters", lambda self, rng, **choices: ToyParameters(1.0, 1))
    with pytest.raises(InvalidInputError, match="hold the same pixels"):
        open_cohort("phantoms:1:3", tmp_path, phantom="toy", parts="1/1/1")
