"""Where the scans of MVCTConvert come from, how they are split by patient, and that nothing leaks."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from manabi.errors import GeometryError, InvalidInputError
from manabi.io import write_volume
from manabi.volume import Volume
from Training import mvct_simulate, slices_data
from Training.mvct_data import DataSettings, check_site, open_site, split_people
from Training.mvct_simulate import FILES, SimulationSettings, planning_ct
from Training.mvct_slices import load_pairs, slices_of, training_slices
from Training.mvct_sources import SOURCE, TARGET, Person, Scan, read_sources

SIMULATION = SimulationSettings(pixel_mm=2.0)
SETTINGS = DataSettings(SIMULATION, pixel_mm=2.0, parts="2/1/1")


def head(seed=0, slices=6, side=64, spacing=(2.0, 2.0, 3.0), empty=1):
    """A disc of fat and muscle in air, the last slices empty; HU."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((side, side)) - side / 2
    radius = np.hypot(y, x * (1 + 0.03 * (seed % 5)))
    image = np.where(radius < 0.25 * side, 43.0, np.where(radius < 0.33 * side, -72.0, -1000.0))
    volume = np.repeat(image[None], slices, 0)
    volume[slices - empty :] = -1000
    volume = volume + rng.normal(0, 10, volume.shape)
    return Volume(volume.astype(np.int16), np.diag([*spacing, 1.0]), modality="CT", units="HU")


def folder(path, seeds, names=None):
    path.mkdir(parents=True)
    for index, seed in enumerate(seeds):
        write_volume(head(seed), path / f"{names[index] if names else f'Yamada_{seed}'}.nii.gz")
    return path


def table(path, rows, header):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


@pytest.fixture
def physics(monkeypatch):
    """Stands in for the simulation: writes discs, and notes what was asked for."""
    asked = []

    def write(order):
        asked.append(order)
        order.folder.mkdir(parents=True)
        for number, domain in enumerate(order.domains):
            write_volume(head(1000 + 10 * len(asked) + number), order.folder / FILES[domain])

    monkeypatch.setattr(mvct_simulate, "simulate_order", write)
    monkeypatch.setattr(mvct_simulate, "_code", lambda: "code")
    monkeypatch.setattr(slices_data, "spread", lambda function, jobs, processes: [function(job) for job in jobs])
    return asked


# --- sources ----------------------------------------------------------------------------------------------------------


def test_two_folders_are_unpaired_patients_called_by_numbers(tmp_path):
    people = read_sources(f"{folder(tmp_path / 'mv', [1, 2])}::{folder(tmp_path / 'kv', [2, 3, 4])}", SIMULATION)
    assert [person.name for person in people] == [f"patient-00{n}" for n in range(1, 5)]
    assert [[scan.domain for scan in person.scans] for person in people] == [[SOURCE], [SOURCE, TARGET], [TARGET]] + [
        [TARGET]
    ]
    assert "Yamada" not in json.dumps([[scan.name, scan.patient] for person in people for scan in person.scans])


def test_label_maps_of_a_folder_are_no_scans(tmp_path):
    place = folder(tmp_path / "kv", [1, 2], ["pt_1_CT", "pt_1_labels"])
    assert len(read_sources(f"kvct:{place}", SIMULATION)) == 1


def test_a_table_names_scans_with_their_domain_and_pairs(tmp_path):
    place = folder(tmp_path / "images", [1, 2, 3])
    rows = [("a", "MVCT", "images/Yamada_1.nii.gz", "p"), ("b", "kvct", "images/Yamada_2.nii.gz", "q")]
    people = read_sources(str(table(tmp_path / "a.csv", rows, ("case", "domain", "image", "group"))), SIMULATION)
    assert [(p.name, p.scans[0].domain, p.paired) for p in people] == [("p", SOURCE, False), ("q", TARGET, False)]
    rows = [("c", f"{place.name}/Yamada_1.nii.gz", f"{place.name}/Yamada_2.nii.gz")]
    (pair,) = read_sources(str(table(tmp_path / "b.csv", rows, ("case", "input", "target"))), SIMULATION)
    assert pair.paired and [scan.pair for scan in pair.scans] == ["c", "c"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("phantoms:x:2", "phantoms:SEED:COUNT"),
        ("kvct:/nowhere", "no folder"),
        ("nosuch.csv", "No data"),
        ("/nowhere::/nowhere", "no folder"),
    ],
)
def test_what_is_not_there_is_refused(data, words):
    with pytest.raises(InvalidInputError, match=words):
        read_sources(data, SIMULATION)


def test_a_folder_alone_an_empty_one_and_a_bad_table_are_refused_with_the_way_out(tmp_path):
    with pytest.raises(InvalidInputError, match="kvct:FOLDER"):
        read_sources(str(tmp_path), SIMULATION)
    with pytest.raises(InvalidInputError, match="holds no CT"):
        read_sources(f"kvct:{tmp_path}", SIMULATION)
    folder(tmp_path / "i", [1])
    bad = table(tmp_path / "a.csv", [("a", "pet", "i/Yamada_1.nii.gz")], ("case", "domain", "image"))
    with pytest.raises(InvalidInputError, match="mvct, cbct or kvct"):
        read_sources(str(bad), SIMULATION)
    with pytest.raises(InvalidInputError, match="columns case, domain, image"):
        read_sources(str(table(tmp_path / "b.csv", [("a",)], ("case",))), SIMULATION)
    pairs = [("a", "i/Yamada_1.nii.gz", "i/Yamada_1.nii.gz", "training")]
    with pytest.raises(InvalidInputError, match="for evaluation"):
        read_sources(str(table(tmp_path / "c.csv", pairs, ("case", "input", "target", "split"))), SIMULATION)


# --- splits -----------------------------------------------------------------------------------------------------------


def people(count, domain=SOURCE, start=0, **more):
    scans = [Scan(f"s{n}", f"p{n}", domain, None) for n in range(start, start + count)]
    return [Person(scan.patient, (scan,), **more) for scan in scans]


def test_each_kind_of_patient_is_split_alike_and_pairs_are_never_trained_on():
    everyone = [*people(8), *people(8, TARGET, 100), *people(4, start=200, paired=True)]
    found, warnings = split_people(everyone, SETTINGS)
    assert not warnings
    for domain, first in ((SOURCE, 0), (TARGET, 100)):
        own = [p for p in found if first <= int(p.name[1:]) < first + 8]
        assert [sum(p.split == s for p in own) for s in ("training", "validation", "test")] == [4, 2, 2]
        assert all(p.scans[0].split == p.split and p.scans[0].domain == domain for p in own)
    assert {p.split for p in found if p.paired} == {"validation", "test"}


def test_few_patients_are_all_trained_on_and_a_person_is_told():
    found, warnings = split_people([*people(2), *people(8, TARGET, 100)], SETTINGS)
    assert [p.split for p in found if p.scans[0].domain == SOURCE] == ["training", "training"]
    assert len(warnings) == 1 and "Only 2" in warnings[0]


def test_some_with_and_some_without_a_split_are_refused():
    given = Person("x", (Scan("s", "x", SOURCE, None, "test"),), split="test")
    with pytest.raises(InvalidInputError, match="others none"):
        split_people([given, *people(3)], SETTINGS)


# --- simulated patients -----------------------------------------------------------------------------------------------


def test_in_training_a_simulated_patient_gives_one_scan_and_in_the_test_both(tmp_path, physics):
    place = folder(tmp_path / "kv", range(8))
    site = open_site(f"kvct:{place}", SETTINGS, tmp_path / "cache")
    sources, targets = ({s.patient for s in site.of("training", d)} for d in (SOURCE, TARGET))
    assert len(sources) == len(targets) == 2 and not sources & targets
    assert len(site.pairs("test")) == len(site.pairs("validation")) == 2
    assert site.simulated and not site.pairs("training")
    again = open_site(f"kvct:{place}", SETTINGS, tmp_path / "cache")
    assert len(physics) == 8 and again == site


def test_a_planning_ct_that_is_there_twice_is_found_though_its_scans_differ(tmp_path, physics):
    place = folder(tmp_path / "kv", range(8))
    copies = folder(tmp_path / "more", range(8), [f"copy{n}" for n in range(8)])
    with pytest.raises(InvalidInputError, match="same planning CT"):
        open_site(f"kvct:{place}+kvct:{copies}", SETTINGS, tmp_path / "cache")
    assert not physics


def test_a_coarse_planning_ct_is_no_example_of_kilovoltage_ct(tmp_path, physics):
    place = folder(tmp_path / "kv", range(8))
    fine = SimulationSettings(pixel_mm=0.8)
    people_found = read_sources(f"kvct:{place}", fine)
    assert all(person.job.is_coarse() for person in people_found)
    with pytest.raises(InvalidInputError, match="no kilovoltage"):
        open_site(f"kvct:{place}", DataSettings(fine, 0.8, "2/1/1"), tmp_path / "cache")
    both = f"kvct:{place}+{folder(tmp_path / 'a', [10])}::{folder(tmp_path / 'b', [11])}"
    site = open_site(both, DataSettings(fine, 0.8, "2/1/1"), tmp_path / "cache")
    assert len(site.of("training", SOURCE)) == 5 and len(site.of("training", TARGET)) == 1
    assert len(site.pairs("test")) == 2


def test_supervised_training_gets_both_scans_of_a_simulated_patient(tmp_path, physics):
    place = folder(tmp_path / "kv", range(8))
    site = open_site(f"kvct:{place}", DataSettings(SIMULATION, 2.0, "2/1/1", paired=True), tmp_path / "cache")
    assert len(site.pairs("training")) == 4


def test_other_settings_or_another_file_simulate_anew(tmp_path, physics):
    place = folder(tmp_path / "kv", range(4))
    jobs = [person.job for person in read_sources(f"kvct:{place}", SIMULATION)]
    assert len({job.key() for job in jobs}) == 4
    other = read_sources(f"kvct:{place}", SimulationSettings(kind="cbct", pixel_mm=2.0))[0].job
    assert other.key() != jobs[0].key()
    for wanted in ((SOURCE,), (SOURCE,), (SOURCE, TARGET)):
        mvct_simulate.simulated([(jobs[0], wanted)], tmp_path / "cache")
    assert len(physics) == 2


def test_sources_can_be_joined(tmp_path, physics):
    text = f"kvct:{folder(tmp_path / 'a', range(4))}+{folder(tmp_path / 'b', [10, 11])}::{folder(tmp_path / 'c', [12])}"
    site = open_site(text, SETTINGS, tmp_path / "cache")
    assert len(site.of("training", SOURCE)) == 3 and len(site.of("training", TARGET)) == 2
    assert len(site.warnings) == 2


def test_a_planning_ct_is_cut_to_the_body_and_has_pixels_as_fine_as_the_network():
    coarse = head(1, 8, 64, (4.0, 4.0, 3.0), empty=3)
    found = planning_ct(coarse, 2.0)
    np.testing.assert_allclose(found.spacing_mm, [2.0, 2.0, 3.0])
    assert found.shape[0] == 5 and found.shape[1] < 128
    centre = np.asarray(found.array)[:, found.shape[1] // 2, found.shape[2] // 2]
    assert np.abs(centre - 43).max() < 45
    assert planning_ct(head(1), 2.0).shape[0] == 5 and planning_ct(head(1), 2.0, 3).shape[0] == 3
    with pytest.raises(InvalidInputError, match="no body"):
        planning_ct(coarse.like(np.full(coarse.shape, -1000.0)), 2.0)


# --- leaks ------------------------------------------------------------------------------------------------------------


def scan(tmp_path, name, seed, split, domain=SOURCE, patient=None, volume=None, **more):
    path = tmp_path / f"{name}.nii.gz"
    write_volume(head(seed) if volume is None else volume, path, overwrite=True)
    return Scan(name, patient or name, domain, path, split, **more)


def test_the_same_pixels_in_two_splits_are_refused_and_in_one_noted(tmp_path):
    first, second = (scan(tmp_path, n, 1, "training") for n in "ab")
    assert "same pixels" in check_site([first, second]).warnings[0]
    with pytest.raises(InvalidInputError, match="trained on must not be tested on"):
        check_site([first, scan(tmp_path, "c", 1, "test")])


def test_a_patient_in_two_splits_is_refused(tmp_path):
    scans = [scan(tmp_path, "a", 1, "training", patient="p"), scan(tmp_path, "b", 2, "test", patient="p")]
    with pytest.raises(InvalidInputError, match="more than one split: p"):
        check_site(scans)


def test_no_patient_and_no_scan_is_in_two_splits_of_a_mixed_site(tmp_path, physics):
    text = f"kvct:{folder(tmp_path / 'a', range(8))}+{folder(tmp_path / 'b', range(20, 28))}::" + str(
        folder(tmp_path / "c", range(40, 46))
    )
    site = open_site(text, SETTINGS, tmp_path / "cache")
    splits = [set(site.patients(name)) for name in ("training", "validation", "test")]
    assert all(splits) and not splits[0] & splits[1] and not splits[0] & splits[2] and not splits[1] & splits[2]
    site.write_splits(tmp_path / "splits.json")
    record = json.loads((tmp_path / "splits.json").read_text())
    assert record["data_sha256"] == site.data_hash and len(record["test"]["pairs"]) == len(site.pairs("test")) > 0
    assert "Yamada" not in json.dumps(record)


def test_the_hash_follows_pixels_and_splits(tmp_path):
    one = check_site([scan(tmp_path, "a", 1, "training")])
    assert check_site([scan(tmp_path / "..", "a", 1, "training")]).data_hash == one.data_hash
    assert check_site([scan(tmp_path, "a", 1, "test")]).data_hash != one.data_hash
    assert check_site([scan(tmp_path, "a", 2, "training")]).data_hash != one.data_hash


def test_two_scans_of_a_test_patient_on_one_grid_are_a_pair(tmp_path):
    def both(split, volume=None):
        return check_site([
            scan(tmp_path, "a", 1, split, SOURCE, "p"), scan(tmp_path, "b", 2, split, TARGET, "p", volume),
        ])  # fmt: skip

    (found,) = load_pairs(both("test"), "test")
    assert found.patient == "p" and found.source.array.dtype == np.float32
    assert found.source.grid.same_as(found.target.grid) and found.source.shape[0] == 5
    (part,) = load_pairs(both("test"), "test", 2)
    assert part.source.shape[0] == part.target.shape[0] == 2
    assert not both("training").pairs("training")
    assert not both("test", head(2, slices=7)).pairs("test")
    with pytest.raises(GeometryError, match="grid"):
        check_site([
            scan(tmp_path, "a", 1, "test", SOURCE, "p", pair="x"),
            scan(tmp_path, "b", 2, "test", TARGET, "p", head(2, slices=7), pair="x"),
        ])  # fmt: skip


def test_a_site_without_one_of_the_domains_is_refused(tmp_path):
    place = folder(tmp_path / "i", [1, 2])
    rows = [(f"c{n}", "kvct", f"{place.name}/Yamada_{n}.nii.gz") for n in (1, 2)]
    with pytest.raises(InvalidInputError, match="no megavoltage"):
        open_site(str(table(tmp_path / "a.csv", rows, ("case", "domain", "image"))), SETTINGS, tmp_path)


# --- slices -----------------------------------------------------------------------------------------------------------


def test_slices_are_cut_to_the_body_on_the_networks_pixels(tmp_path):
    found = slices_of(scan(tmp_path, "a", 1, "training", volume=head(1, 6, 128, (1.0, 1.0, 3.0), empty=2)), 2.0)
    assert len(found.hu) == 4 and found.hu.dtype == np.float16 and found.hu.shape == found.body.shape
    assert found.hu.shape[1] == 64 and np.allclose(found.spacing_mm, [2, 2, 3])
    assert found.body.any((1, 2)).all()


def test_as_many_source_slices_as_asked_for_patient_by_patient(tmp_path):
    scans = [scan(tmp_path, f"s{n}", n, "training") for n in range(4)]
    scans += [scan(tmp_path, f"t{n}", 10 + n, "training", TARGET) for n in range(2)]
    site = check_site(scans)
    for limit, shape in ((7, [5, 2]), (5, [5]), (3, [3]), (0, [5] * 4), (100, [5] * 4)):
        settings = DataSettings(SIMULATION, 2.0, max_slices=limit)
        assert [len(s.hu) for s in training_slices(site, "training", SOURCE, settings)] == shape
        assert [len(s.hu) for s in training_slices(site, "training", TARGET, settings)] == [5, 5]
    firsts = {training_slices(site, "training", SOURCE, DataSettings(SIMULATION, 2.0, seed=n, max_slices=3))[0].name
              for n in range(6)}  # fmt: skip
    assert len(firsts) > 1


def test_an_image_without_a_body_is_refused_by_name(tmp_path):
    with pytest.raises(InvalidInputError, match="bare"):
        slices_of(scan(tmp_path, "bare", 1, "training", volume=head(1, empty=6)), 2.0)


def test_real_planning_cts_are_read(data_folder, tmp_path, physics):
    people_found = read_sources(f"kvct:{data_folder('ct_headneck/openkbp')}", SIMULATION)
    assert len(people_found) == 30 and len({person.name for person in people_found}) == 30
    from manabi.io import read_volume

    found = planning_ct(read_volume(people_found[0].job.path), 2.0)
    assert found.spacing_mm[0] == pytest.approx(2.0) and 20 < found.shape[0] < 128
    assert np.asarray(found.array).max() > 1000
