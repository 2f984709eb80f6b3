"""Libraries of projected chests: whole files, continuing, seeds, refusal of other chests."""

import json

import numpy as np
import pytest
from fixtures_radiograph import SMALL, small_chest

from manabi.context import Context
from manabi.errors import CancelledError, InvalidInputError
from manabi.phantoms import radiograph_library
from manabi.phantoms.radiograph_chest import ChestProjection
from manabi.phantoms.radiograph_library import ChestLibrary, read_projection, write_projection


@pytest.fixture
def cheap(monkeypatch):
    """Chests that cost nothing: an array that tells what was drawn; returns how many were made."""
    made = []

    def project(parameters, geometry, style):
        made.append(parameters.texture_seed)
        size = geometry.matrix
        maps = np.full((4, size, size), parameters.texture_seed % 30 / 2, np.float32)
        plane = np.zeros((size, size), np.uint8)
        path = np.zeros((size, size), np.float32)
        reach = np.full((2, size, size), np.nan, np.float32)
        return ChestProjection(maps, reach, path, plane, plane.copy(), geometry, "{}")

    monkeypatch.setattr(radiograph_library, "project", project)
    return made


def test_a_chest_comes_back_from_its_file(tmp_path):
    write_projection(small_chest(0), tmp_path / "one.npz")
    again = read_projection(tmp_path / "one.npz")
    np.testing.assert_allclose(again.maps, small_chest(0).maps, atol=3e-4)
    np.testing.assert_allclose(again.lung_range_mm, small_chest(0).lung_range_mm, atol=6e-3)
    np.testing.assert_allclose(again.lung_path_mm, small_chest(0).lung_path_mm, atol=6e-3)
    np.testing.assert_array_equal(again.lungs, small_chest(0).lungs)
    np.testing.assert_array_equal(again.hidden, small_chest(0).hidden)
    assert again.geometry == SMALL
    assert again.parameters_json == small_chest(0).parameters_json


def test_a_library_is_read_by_number(tmp_path, cheap):
    built = ChestLibrary.build(tmp_path / "chests", 3, seed=1, geometry=SMALL)
    again = ChestLibrary(tmp_path / "chests")
    assert len(built) == len(again) == 3
    assert again.geometry == SMALL
    for number, chest in enumerate(again):
        np.testing.assert_array_equal(chest.maps, built[number].maps)


def test_chests_depend_on_seed_and_number_alone(tmp_path, cheap):
    long, short = (ChestLibrary.build(tmp_path / str(n), n, seed=1, geometry=SMALL) for n in (4, 2))
    other = ChestLibrary.build(tmp_path / "other", 2, seed=2, geometry=SMALL)
    assert (tmp_path / "4" / "chest-000001.npz").read_bytes() == (tmp_path / "2" / "chest-000001.npz").read_bytes()
    assert len(short) == 2
    assert len({float(chest.maps[0, 0, 0]) for chest in long}) > 1
    assert float(other[0].maps[0, 0, 0]) != float(long[0].maps[0, 0, 0])


def test_a_library_continues_where_it_stopped(tmp_path, cheap):
    folder = tmp_path / "chests"
    ChestLibrary.build(folder, 2, seed=1, geometry=SMALL)
    stamp = (folder / "chest-000000.npz").stat().st_mtime_ns
    (folder / "chest-000001.npz").unlink()
    cheap.clear()
    assert len(ChestLibrary.build(folder, 3, seed=1, geometry=SMALL)) == 3
    assert len(cheap) == 2
    assert (folder / "chest-000000.npz").stat().st_mtime_ns == stamp


def test_a_failure_leaves_no_half_written_chest(tmp_path, cheap, monkeypatch):
    folder = tmp_path / "chests"

    def fails(file, **arrays):
        file.write(b"half")
        raise OSError("no")

    monkeypatch.setattr(np, "savez_compressed", fails)
    with pytest.raises(OSError, match="no"):
        ChestLibrary.build(folder, 2, seed=1, geometry=SMALL)
    assert [path.name for path in folder.iterdir()] == ["library.json"]


def test_cancelling_keeps_what_is_complete(tmp_path, cheap):
    context = Context()
    folder = tmp_path / "chests"
    context.on_progress = lambda share, text: context.cancel.set()
    with pytest.raises(CancelledError):
        ChestLibrary.build(folder, 5, seed=1, geometry=SMALL, context=context)
    assert 1 <= len(list(folder.glob("chest-*.npz"))) < 5


@pytest.mark.parametrize("change", [{"seed": 2}, {"domain": "held_out"}, {"geometry": None}])
def test_a_library_of_other_chests_is_refused(tmp_path, cheap, change):
    given = {"seed": 1, "geometry": SMALL}
    ChestLibrary.build(tmp_path / "chests", 1, **given)
    with pytest.raises(InvalidInputError, match="other chests"):
        ChestLibrary.build(tmp_path / "chests", 1, **{**given, **change})


def test_a_folder_without_chests_is_refused(tmp_path):
    with pytest.raises(InvalidInputError, match="holds no chests"):
        ChestLibrary(tmp_path)


def test_a_damaged_chest_is_named(tmp_path):
    (tmp_path / "chest-000000.npz").write_bytes(b"nothing")
    with pytest.raises(InvalidInputError, match="damaged"):
        read_projection(tmp_path / "chest-000000.npz")


def test_the_record_says_what_the_chests_are(tmp_path, cheap):
    ChestLibrary.build(tmp_path / "chests", 1, seed=7, geometry=SMALL, domain="held_out")
    record = json.loads((tmp_path / "chests" / "library.json").read_text())
    assert (record["seed"], record["domain"], record["geometry"]["matrix"]) == (7, "held_out", 64)


@pytest.mark.slow
def test_chests_are_the_same_whatever_the_number_of_processes(tmp_path):
    for workers in (1, 2):
        ChestLibrary.build(tmp_path / str(workers), 2, seed=3, geometry=SMALL, workers=workers)
    for number in range(2):
        name = f"chest-{number:06d}.npz"
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()
