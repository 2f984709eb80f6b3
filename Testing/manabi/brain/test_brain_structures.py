"""Labels, colours and codes of BrainSeg, and what FreeSurfer's codes become."""

from __future__ import annotations

import numpy as np
import pytest

from manabi.brain.structures import (
    CLASSES,
    CODES,
    COLORS,
    FREESURFER,
    LABELS,
    SIDED,
    STRUCTURES,
    classes_of_freesurfer,
    segments,
    sides_of_freesurfer,
    structure_of,
)
from manabi.result import LEFT, RIGHT


def test_every_structure_has_a_class_a_colour_a_code_and_labels():
    assert list(CLASSES.values()) == list(range(1, len(STRUCTURES) + 1))
    assert set(CODES) == set(COLORS) == set(STRUCTURES) == {label.structure for label in LABELS}
    assert [label.value for label in LABELS] == list(range(1, len(LABELS) + 1))
    for name in STRUCTURES:
        sides = [label.side for label in LABELS if label.structure == name]
        assert sides == (["left", "right"] if name in SIDED else [""])


def test_segments_say_the_side_and_can_be_told_apart():
    found = segments()
    assert found[0].name == "left cerebrum"
    assert [s.laterality for s in found[:2]] == [LEFT, RIGHT]
    assert found[4].laterality is None
    assert len({s.color for s in found}) == len(found)
    assert all(0 <= c <= 1 for s in found for c in s.color)


@pytest.mark.parametrize(
    ("code", "structure", "side"),
    [
        (3, "cerebrum", "left"), (49, "cerebrum", "right"), (11123, "cerebrum", "left"), (12101, "cerebrum", "right"),
        (1001, "cerebrum", "left"), (4035, "cerebrum", "right"), (251, "cerebrum", ""), (8, "cerebellum", "left"),
        (46, "cerebellum", "right"), (16, "brainstem", ""), (4, "ventricles", "left"), (63, "ventricles", "right"),
        (15, "ventricles", ""), (24, "", ""), (0, "", ""), (258, "", ""),
    ],
)  # fmt: skip
def test_codes_of_freesurfer(code, structure, side):
    assert structure_of(code) == (structure, side)
    array = np.full((2, 1, 1), code, np.int32)
    array[1] = 0
    assert classes_of_freesurfer(array)[0, 0, 0] == CLASSES.get(structure, 0)
    assert sides_of_freesurfer(array)[0, 0, 0] == {"left": -1, "right": 1, "": 0}[side]
    assert classes_of_freesurfer(array)[1, 0, 0] == 0


def test_left_and_right_codes_of_freesurfer_come_in_pairs():
    counts = {}
    for structure, side in FREESURFER.values():
        counts[structure, side] = counts.get((structure, side), 0) + 1
    for structure in ("cerebrum", "cerebellum", "ventricles"):
        assert counts[structure, "left"] == counts[structure, "right"]


def test_a_real_label_map_has_the_volumes_of_a_brain(data_folder):
    import nibabel

    image = nibabel.load(data_folder("brain_mr/aparc.a2009s+aseg.mgz"))
    codes = np.asarray(image.dataobj)[::2, ::2, ::2].astype(np.int32)
    classes, sides = classes_of_freesurfer(codes), sides_of_freesurfer(codes)
    ml = np.bincount(classes.ravel(), minlength=6) * abs(np.linalg.det(image.affine[:3, :3])) * 8 / 1000
    assert 900 < ml[CLASSES["cerebrum"]] < 1100
    assert 100 < ml[CLASSES["cerebellum"]] < 150
    assert 15 < ml[CLASSES["brainstem"]] < 30
    x = image.affine[0, :3] @ np.array([np.mean(axis) for axis in np.nonzero(sides > 0)])
    assert x > image.affine[0, :3] @ np.array([np.mean(axis) for axis in np.nonzero(sides < 0)]), "right is right"
