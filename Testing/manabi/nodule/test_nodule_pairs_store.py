"""Pairs on disk: the same bytes however they were made, continued after a kill, never mixed with others."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from pairs_fixtures import RECIPE, SIZE, write_library

from manabi.cli.nodule_pairs import nodule_pairs
from manabi.context import Context
from manabi.errors import CancelledError, InvalidInputError
from manabi.io.lock import locked
from manabi.nodule.pairs_store import LOCK, MANIFEST, PairStore, complete_shards, write_pairs

SHARD = 4
SCRIPT = """
import sys, json
sys.path.insert(0, sys.argv[1])
from pairs_fixtures import RECIPE
from manabi.nodule.pairs_store import write_pairs
if __name__ == "__main__":
    write_pairs(sys.argv[2], int(sys.argv[3]), seed=7, recipe=RECIPE, chests=2, workers=int(sys.argv[4]), shard_pairs=4)
"""


def begun(folder, seed=7, size=SIZE):
    """A folder that has its chests already: real ones take seconds each."""
    write_library(folder / "chests", seed=seed, size=size)
    return folder


def write(folder, count=6, **changes):
    return write_pairs(folder, count, **{"seed": 7, "recipe": RECIPE, "chests": 2, "shard_pairs": SHARD, **changes})


def content(folder):
    """Every byte of the pairs."""
    files = [p for p in folder.rglob("*") if p.is_file() and p.parent.name.startswith("shard")]
    return {str(p.relative_to(folder)): p.read_bytes() for p in [*files, folder / MANIFEST]}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Ten pairs in three shards."""
    return write(begun(tmp_path_factory.mktemp("pairs") / "store"), 10)


def test_pairs_come_back_as_they_were_made(store):
    from manabi.nodule.pairs import make_pairs
    from manabi.nodule.pairs_sources import ChestSource
    from manabi.phantoms.radiograph_library import ChestLibrary

    made = make_pairs(ChestSource(ChestLibrary(store.folder / "chests")), RECIPE, 7, range(4, 8))
    for want in made:
        found = store[want.index]
        np.testing.assert_allclose(found.positive, want.positive, atol=0.51 / 255)
        np.testing.assert_allclose(found.negative, want.negative, atol=0.51 / 255)
        np.testing.assert_array_equal(found.mask, want.mask)
        assert (found.nodules, found.index, found.chest, found.seed) == (
            want.nodules, want.index, want.chest, want.seed
        )  # fmt: skip
    assert found.positive.dtype == np.float32 and found.mask.dtype == np.uint8


def test_a_store_is_a_sequence(store):
    assert len(store) == 10 and [pair.index for pair in store] == list(range(10))
    assert store[-1].index == 9 and store.recipe == RECIPE
    assert store.chests == tuple(pair.chest for pair in store) and store.simulated
    assert len(store.digest) == 64 and store.digest == PairStore(store.folder).digest
    assert store.nodules(3) == store[3].nodules
    with pytest.raises(IndexError):
        store[10]
    copy = pickle.loads(pickle.dumps(store))
    np.testing.assert_array_equal(copy[5].positive, store[5].positive)


def test_no_seed_is_used_twice_and_films_say_that_they_are_synthetic(store):
    lines = [json.loads(line) for line in (store.folder / MANIFEST).read_text().splitlines()]
    assert len({tuple(line["seed"]) for line in lines}) == len(lines) == 10
    assert [line["seed"][:2] for line in lines] == [[7, index] for index in range(10)]
    assert all(line["synthetic"] for line in lines) and "not for diagnosis" in store.record["synthetic"]
    assert str(store.folder.parent) not in json.dumps(store.record)


def test_workers_and_interruptions_do_not_change_a_byte(store, tmp_path):
    """Killed with its workers as hard as can be, a run goes on where it stopped."""
    folder = begun(tmp_path / "killed")
    (tmp_path / "run.py").write_text(SCRIPT)
    fixtures = str(Path(__file__).parent)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(tmp_path / "run.py"), fixtures, str(folder)]
    run = subprocess.Popen([*command, "4000", "2"], env=environment)
    deadline = time.monotonic() + 120
    while run.poll() is None and time.monotonic() < deadline and not complete_shards(folder):
        time.sleep(0.05)
    children = psutil.Process(run.pid).children(recursive=True)
    run.send_signal(signal.SIGKILL)
    run.wait()
    done = {number for number, _ in complete_shards(folder)}
    assert done and children
    _, alive = psutil.wait_procs(children, timeout=20)
    assert not alive, "workers outlived the process that started them"
    (folder / ".manabi-0123456789ab-shard-000001").mkdir()
    kept = {number: (folder / f"shard-{number:06d}" / "mask.npy").stat().st_mtime_ns for number in done}
    resumed = write(folder, 10)
    assert not list(folder.glob("**/.manabi-*"))
    for number, stamp in kept.items():
        assert (folder / f"shard-{number:06d}" / "mask.npy").stat().st_mtime_ns == stamp
    assert len(resumed) >= 10
    for name in ("shard-000000/positive.npy", "shard-000000/pairs.jsonl", "shard-000001/positive.npy"):
        assert (folder / name).read_bytes() == (store.folder / name).read_bytes()


def test_a_longer_store_begins_with_the_shorter_one(store, tmp_path):
    folder = begun(tmp_path / "grown")
    assert len(write(folder, 5)) == 5
    short = content(folder)
    assert len(write(folder, 10)) == 10
    assert content(folder) == content(store.folder)
    assert short["shard-000000/positive.npy"] == content(folder)["shard-000000/positive.npy"]
    assert len(write(folder, 2)) == 10


@pytest.mark.parametrize(
    "changes", [{"seed": 8}, {"recipe": replace(RECIPE, least_cnr=0.7)}, {"shard_pairs": 8}, {"chests": 3}]
)
def test_other_pairs_are_not_mixed_in(store, changes):
    before = content(store.folder)
    with pytest.raises(InvalidInputError, match="differ in"):
        write(store.folder, 12, **changes)
    assert content(store.folder) == before


def test_sixteen_bits_are_finer(tmp_path):
    store = write(begun(tmp_path / "fine"), 2, recipe=replace(RECIPE, bits=16))
    values = np.unique(store[0].negative)
    assert len(values) > 256 and store[0].negative.max() <= 1.0


def test_cancelling_leaves_complete_shards_only(tmp_path):
    folder, context = begun(tmp_path / "cancelled"), Context()

    def stop_at_second(fraction, text):
        if complete_shards(folder):
            context.cancel.set()

    context.on_progress = stop_at_second
    with pytest.raises(CancelledError):
        write(folder, 12, context=context)
    assert [number for number, _ in complete_shards(folder)] == [0]
    assert not list(folder.glob("**/.manabi-*")) and len(PairStore(folder)) == 4


def test_two_writers_do_not_share_a_folder(tmp_path):
    folder = begun(tmp_path / "busy")
    with locked(folder / LOCK, "Another process writes pairs"), pytest.raises(InvalidInputError, match="Another"):
        write(folder, 2)


def test_folders_without_pairs_and_of_another_version_are_refused(store, tmp_path):
    with pytest.raises(InvalidInputError, match="holds no pairs"):
        PairStore(tmp_path)
    (tmp_path / "pairs.json").write_text(json.dumps({**store.record, "version": 99}))
    with pytest.raises(InvalidInputError, match="version 99"):
        PairStore(tmp_path)
    with pytest.raises(InvalidInputError, match="above 0"):
        write(tmp_path / "none", 0)


def test_the_command_writes_pairs_and_says_what_they_are(tmp_path, capsys):
    folder = begun(tmp_path / "command", seed=3, size=128)
    nodule_pairs(folder, 1, seed=3, size=128, chests=2)
    said = capsys.readouterr().out
    assert "1 pairs of films (synthetic: not for diagnosis)" in said and "command" in said
    assert PairStore(folder)[0].positive.shape == (128, 128)


def test_real_films_are_made_ready_once_and_named_by_number(tmp_path, monkeypatch):
    from pairs_fixtures import chest

    from manabi.nodule import pairs_films

    source = tmp_path / "films"
    source.mkdir()
    for name in ("DOE_JANE.png", "ROE.png", "notes.png"):
        (source / name).write_bytes(name.encode())
    one = chest()
    film = np.clip(one.maps.sum(axis=0) / 26.0, 0, 1).astype(np.float32)

    def ready(path, size):
        if path.name == "notes.png":
            raise InvalidInputError("no film")
        return film, one.lungs, one.hidden, 6.0

    monkeypatch.setattr(pairs_films, "ready", ready)
    context = Context()
    store = write(tmp_path / "store", 2, films=source, chests=None, context=context)
    assert len(store) == 2 and any("1 of 3 files" in text for text in context.warnings)
    names = {path.name for path in store.folder.rglob("*")}
    assert "film-000001.npz" in names and not any("DOE" in name for name in names)
    monkeypatch.setattr(pairs_films, "ready", lambda path, size: pytest.fail("made ready again"))
    write(tmp_path / "store", 2, films=source, chests=None)
    (source / "new.png").write_bytes(b"new")
    with pytest.raises(InvalidInputError, match="other files"):
        write(tmp_path / "store", 3, films=source, chests=None)


def write_dicom(path, patient):
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPInstanceUID = ExplicitVRLittleEndian, generate_uid()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    data = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    data.PatientID, data.Modality = patient, "DX"
    data.save_as(path, enforce_file_format=True)


@pytest.fixture
def every_film_is_ready(monkeypatch):
    from pairs_fixtures import chest

    from manabi.nodule import pairs_films

    one = chest()
    film = np.clip(one.maps.sum(axis=0) / 26.0, 0, 1).astype(np.float32)

    def ready(path, size):
        return None if path.name.startswith("bad") else (film, one.lungs, one.hidden, 6.0)

    monkeypatch.setattr(pairs_films, "ready", ready)
    return pairs_films


def test_films_of_one_patient_share_a_number_and_the_patient_is_not_named(tmp_path, every_film_is_ready):
    library = every_film_is_ready.FilmLibrary
    source = tmp_path / "films"
    source.mkdir()
    for name, patient in (("a.dcm", "DOE-7"), ("bad.dcm", "ROE-8"), ("c.dcm", "ROE-8"), ("d.dcm", "DOE-7")):
        write_dicom(source / name, patient)
    (source / "e.png").write_bytes(b"e")
    write_dicom(source / "f.dcm", "")
    found = library.build(tmp_path / "ready", source, 64)
    assert [found.patient(k) for k in range(len(found))] == [0, 1, 0, 3, 4]
    assert "DOE" not in (tmp_path / "ready" / "films.json").read_text()
    store = write(tmp_path / "store", 6, films=source, chests=None)
    assert set(store.chests) <= {0, 1, 3, 4}
    assert store.chests != tuple(range(6))


def test_pictures_are_those_of_the_patients_that_a_table_names(tmp_path, every_film_is_ready):
    library = every_film_is_ready.FilmLibrary
    for name in ("a.png", "b.png", "c.png"):
        (tmp_path / name).write_bytes(name.encode())
    table = tmp_path / "seen.csv"
    table.write_text("film,patient\na.png,7\nb.png,\nc.png,7\n")
    found = library.build(tmp_path / "ready", table, 64)
    assert [found.patient(k) for k in range(3)] == [0, 1, 0]
    table.write_text("film,patient\na.png,7\ngone.png,8\n")
    with pytest.raises(InvalidInputError, match="1 of 2 films"):
        library.build(tmp_path / "other", table, 64)
    table.write_text("picture,patient\na.png,7\n")
    with pytest.raises(InvalidInputError, match="column film"):
        library.build(tmp_path / "other", table, 64)


def test_a_library_from_before_patients_were_told_takes_each_film_for_itself(tmp_path, every_film_is_ready):
    (tmp_path / "films").mkdir()
    for name in ("a.png", "b.png"):
        (tmp_path / "films" / name).write_bytes(name.encode())
    found = every_film_is_ready.FilmLibrary.build(tmp_path / "ready", tmp_path / "films", 64)
    del found.record["patients"]
    assert [found.patient(k) for k in range(2)] == [0, 1]


def test_a_folder_that_was_begun_with_a_bad_setting_is_begun_anew(tmp_path):
    folder = tmp_path / "store"
    with pytest.raises(InvalidInputError, match="no films"):
        write_pairs(folder, 2, seed=7, recipe=RECIPE, films=tmp_path / "nosuch")
    begun(folder)
    assert len(write(folder, 2)) == 2
    with pytest.raises(InvalidInputError, match="differ in seed"):
        write(folder, 2, seed=8)


@pytest.mark.parametrize(
    ("change", "words"), [({"domain": "moon"}, "training, held_out"), ({"size": 16}, "at least 32")]
)
def test_a_recipe_that_cannot_be_made_is_refused_before_a_folder_is_made(change, words):
    with pytest.raises(InvalidInputError, match=words):
        replace(RECIPE, **change)
