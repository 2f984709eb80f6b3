"""Label maps to learn BrainSeg from: reading, bending (geometry and sides kept), and the copies on disk."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tiny_heads import head, middle, write_maps

from manabi.brain.structures import classes_of_freesurfer
from manabi.errors import InvalidInputError
from manabi.io import write_volume
from manabi.volume import Volume
from Training.brain_heads import (
    TOP,
    Bending,
    bend,
    compact,
    find_maps,
    load_head,
    prepare_heads,
    read_map,
    three_sides,
)

STILL = Bending(rotate_deg=0.0, zoom=0.0, shear=0.0, bend_mm=0.0, size_mm="80x80x80")
SMALL = Bending(size_mm="48x56x48")


def codes_of(made):
    return np.array(made.codes)[made.tissues]


def rng(*seed):
    return np.random.default_rng(seed or 0)


# --- reading ----------------------------------------------------------------------------------------------------------


def test_a_map_is_read_in_ras_however_it_is_stored(tmp_path):
    labels = head()
    for name, stored in (("ras", labels), ("lps", labels.reoriented((1, 2, 0), (-1, 1, -1)))):
        write_volume(stored, tmp_path / f"{name}.nii.gz")
        found = read_map(tmp_path / f"{name}.nii.gz")
        assert np.array_equal(found.array, labels.array)
        np.testing.assert_allclose(found.ijk_to_ras, labels.ijk_to_ras, atol=1e-4)


def test_a_map_without_a_cerebrum_is_refused(tmp_path):
    write_volume(Volume(np.full((8, 8, 8), 16, np.int16), np.eye(4)), tmp_path / "stem.nii.gz")
    with pytest.raises(InvalidInputError, match="stem.nii.gz: expected FreeSurfer's codes"):
        read_map(tmp_path / "stem.nii.gz")


def test_maps_are_found_in_the_order_of_their_names_and_a_folder_without_any_is_refused(tmp_path):
    write_maps(tmp_path / "maps", 2)
    (tmp_path / "maps" / "notes.txt").write_text("none")
    assert [path.name for path in find_maps(tmp_path / "maps")] == ["map-0.nii.gz", "map-1.nii.gz"]
    (tmp_path / "empty").mkdir()
    for folder in ("empty", "absent"):
        with pytest.raises(InvalidInputError, match="labels:FOLDER needs a folder with label maps"):
            find_maps(tmp_path / folder)


def test_numbering_the_codes_loses_nothing():
    labels = head()
    small = compact(labels)
    assert np.array_equal(np.array(small.codes)[small.index], labels.array)
    brain = np.argwhere(classes_of_freesurfer(labels.array) > 0)
    np.testing.assert_allclose(small.centre, (brain.min(0) + brain.max(0)) / 2)


def test_more_codes_than_fit_are_refused():
    array = np.arange(1000, 1400, dtype=np.int32).reshape(4, 10, 10)
    with pytest.raises(InvalidInputError, match="may hold 255 codes; this one has 400"):
        compact(Volume(array, np.eye(4)))


def test_three_sides_are_read_and_anything_else_refused():
    assert three_sides("crop_mm", "160x192x144") == (160, 192, 144)
    with pytest.raises(InvalidInputError, match="crop_mm must be three numbers like 192x208x160; got '160x192'"):
        three_sides("crop_mm", "160x192")


# --- bending ----------------------------------------------------------------------------------------------------------


def test_without_deformation_a_head_is_only_moved():
    labels = head()
    made = bend(compact(labels), rng(1), STILL)
    found = codes_of(made)
    offsets = []
    for code in np.unique(labels.array)[1:]:
        assert np.count_nonzero(found == code) == np.count_nonzero(labels.array == code)
        offsets.append(middle(found == code) - middle(labels.array == code))
    np.testing.assert_allclose(offsets, np.broadcast_to(offsets[0], (len(offsets), 3)), atol=1e-6)


def test_copies_have_voxels_of_one_millimetre_whatever_the_map_has():
    labels = head(mm=1.4)
    made = bend(compact(labels), rng(2), STILL)
    for code in (2, 41, 8, 16):
        volume = np.count_nonzero(labels.array == code) * 1.4**3
        assert np.count_nonzero(codes_of(made) == code) == pytest.approx(volume, rel=0.06)
    apart = middle(codes_of(made) == 41)[2] - middle(codes_of(made) == 2)[2]
    assert apart == pytest.approx(1.4 * (middle(labels.array == 41)[2] - middle(labels.array == 2)[2]), rel=0.03)


@pytest.mark.parametrize("seed", range(6))
def test_left_stays_left_and_above_stays_above(seed):
    labels = head(seed)
    made = bend(compact(labels), rng(seed, 3), replace(SMALL, rotate_deg=18.0, bend_mm=3.0))
    found = codes_of(made)
    assert found.shape == (48, 56, 48) and set(np.unique(found)) <= set(made.codes)
    for left, right in ((2, 41), (8, 47)):
        assert middle(found == left)[2] < middle(found == right)[2] - 1
    assert middle(found == 2)[0] > middle(found == 8)[0] + 3
    assert middle(np.isin(found, (8, 47)))[1] < middle(found == 16)[1] - 2


def test_a_copy_follows_from_its_generator_and_another_differs():
    small = compact(head())
    first, again, other = (bend(small, rng(seed), SMALL) for seed in (4, 4, 5))
    assert np.array_equal(first.tissues, again.tissues)
    assert not np.array_equal(first.tissues, other.tissues)


def test_arteries_are_bent_with_the_head_they_lie_in():
    labels = head()
    inside = (np.asarray(labels.array) == 4).astype(np.float32)
    made = bend(compact(labels), rng(6), SMALL, inside)
    truth = codes_of(made) == 4
    assert made.vessels.dtype == np.uint8 and truth.sum() > 100
    assert np.mean((made.vessels > TOP / 2) == truth) > 0.998
    assert bend(compact(labels), rng(6), SMALL).vessels is None


# --- copies on disk ---------------------------------------------------------------------------------------------------


def test_copies_are_made_once_and_found_again(tmp_path):
    maps = find_maps(write_maps(tmp_path / "maps", 2))
    files = prepare_heads(maps, tmp_path / "cache", 0, 2, SMALL, trees=0)
    assert len(files) == 4 and files[0].parent == files[1].parent != files[2].parent
    assert "map" not in files[0].parent.name
    stamps = [file.stat().st_mtime_ns for file in files]
    assert prepare_heads(maps, tmp_path / "cache", 0, 2, SMALL, trees=0) == files
    assert [file.stat().st_mtime_ns for file in files] == stamps
    heads = [load_head(file) for file in files]
    assert len({made.tissues.tobytes() for made in heads}) == 4
    assert all(16 in made.codes and made.vessels is None for made in heads)


def test_other_deformations_seeds_or_maps_are_other_copies(tmp_path):
    maps = find_maps(write_maps(tmp_path / "maps", 1))
    common = {"cache": tmp_path / "cache", "copies": 1, "trees": 0}
    first = prepare_heads(maps, seed=0, bending=SMALL, **common)
    turned = prepare_heads(maps, seed=0, bending=replace(SMALL, rotate_deg=1.0), **common)
    seeded = prepare_heads(maps, seed=1, bending=SMALL, **common)
    write_volume(head(9), maps[0], overwrite=True)
    changed = prepare_heads(maps, seed=0, bending=SMALL, **common)
    assert len({files[0] for files in (first, turned, seeded, changed)}) == 4
