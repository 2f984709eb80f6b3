"""A propagation as a result: segments, tables, and what it says of its accuracy."""

from __future__ import annotations

import numpy as np
import pytest

from manabi.brain.method import as_labels, propagated_result
from manabi.brain.painted import SCORE_COLUMNS, VOLUME_COLUMNS, propagated_labelmap, propagated_tables
from manabi.brain.propagate import Propagated, SliceScore
from manabi.brain.propagate_input import PaintedSlice
from manabi.errors import GeometryError, InvalidInputError
from manabi.volume import Volume

MATRIX = np.diag([2.0, 2.5, 4.0, 1.0])
"""Voxels of 0.02 mL."""


def labels_of(values=(3, 12)) -> Volume:
    array = np.zeros((8, 9, 10), np.int16)
    array[2:6, 2:5, 2:7] = values[0]
    array[6:8, 2:4, 2:7] = values[1]
    return Volume(array, MATRIX, "SEG")


def done_of(labels: Volume, scores=(), painted=((0, 2), (0, 5))) -> Propagated:
    slices = tuple(PaintedSlice(*one) for one in painted)
    uncertainty = Volume(np.zeros(labels.shape, np.float32), labels.ijk_to_ras)
    return Propagated(labels, uncertainty, slices, 0, tuple(scores), ("something to know",))


SCORES = (
    SliceScore(0, 2, 3, 0.91234, 0.85, 12.0),
    SliceScore(0, 5, 3, 0.81234, 0.75, 12.0),
    SliceScore(0, 5, 12, float("nan"), 0.0, 12.0),
)


def test_every_label_has_a_segment_named_by_its_value():
    found = propagated_labelmap(labels_of())
    assert [(s.label, s.name) for s in found.segments] == [(3, "label 3"), (12, "label 12")]
    assert found.segments[0].color != found.segments[1].color
    many = np.arange(9 * 10 * 8).reshape(8, 9, 10) % 8
    assert len(propagated_labelmap(labels_of().like(many)).segments) == 7


def test_tables_hold_volumes_and_mean_dice():
    tables, measurements = propagated_tables(done_of(labels_of(), SCORES))
    assert tables["labels"].columns == VOLUME_COLUMNS
    assert tables["labels"].rows == ((3, 1.2, 0.8623, 2), (12, 0.4, None, 0))
    assert tables["slices"].columns == SCORE_COLUMNS
    assert tables["slices"].rows[0] == (3, 0, 2, 0.9123, 0.85, 12.0)
    assert measurements == {
        "label_3_ml": 1.2, "label_3_left_out_dice": 0.8623, "label_12_ml": 0.4, "label_12_left_out_dice": None,
        "painted_slice_count": 2,
    }  # fmt: skip


def test_nothing_to_score_is_no_error():
    tables, measurements = propagated_tables(done_of(labels_of(), ()))
    assert tables["slices"].rows == ()
    assert measurements["label_3_left_out_dice"] is None


def test_the_result_lies_on_the_painted_grid():
    painted = labels_of()
    result = propagated_result(done_of(painted, SCORES), painted)
    assert list(result.labelmaps) == ["propagated"]
    assert list(result.volumes) == ["uncertainty"]
    assert result.warnings == ["something to know"]
    with pytest.raises(GeometryError, match="painted"):
        propagated_result(done_of(painted), painted.crop((0, 0, 0), (7, 9, 10)))


def test_labels_are_whole_numbers():
    volume = labels_of()
    floats = volume.like(volume.array.astype(np.float32))
    assert as_labels(floats, "painted").array.dtype.kind == "i"
    np.testing.assert_array_equal(as_labels(floats, "painted").array, volume.array)
    assert as_labels(volume, "painted") is volume
    with pytest.raises(InvalidInputError, match="start must hold labels"):
        as_labels(volume.like(volume.array + 0.25), "start")
