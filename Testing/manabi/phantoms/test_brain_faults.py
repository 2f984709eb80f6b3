from __future__ import annotations

import numpy as np
import pytest

from manabi.errors import InvalidInputError
from manabi.phantoms.brain_faults import Faults, apply_faults, drop_slices, jitter_edges, leak, shift_slices


@pytest.fixture
def labels() -> np.ndarray:
    out = np.zeros((20, 24, 28), np.uint8)
    out[3:17, 5:18, 6:20] = 1
    out[6:12, 9:14, 10:16] = 2
    return out


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("keep", [0.2, 0.4, 3])
def test_kept_slices_are_whole_and_not_neighbours(labels: np.ndarray, axis: int, keep: float) -> None:
    out, kept = drop_slices(labels, keep, np.random.default_rng(0), axis)
    chosen = np.flatnonzero(kept)
    assert len(chosen) and np.diff(chosen).min(initial=9) > 1
    moved, was = np.moveaxis(out, axis, 0), np.moveaxis(labels, axis, 0)
    np.testing.assert_array_equal(moved[kept], was[kept])
    assert not moved[~kept].any()


def test_the_share_of_kept_slices_is_that_asked_for(labels: np.ndarray) -> None:
    assert drop_slices(labels, 0.5, np.random.default_rng(1))[1].sum() == 7
    assert drop_slices(labels, 0.9, np.random.default_rng(1))[1].sum() == 13
    assert drop_slices(labels, 1, np.random.default_rng(1))[1].sum() == 14


def test_edges_move_by_no_more_than_asked(labels: np.ndarray) -> None:
    labels = (labels > 0).astype(np.uint8)
    out, kept = jitter_edges(labels, 2, np.random.default_rng(2))
    rows = np.array([plane.any(axis=1).sum() for plane in out[3:17]])
    assert set(rows) <= set(range(9, 18)) and len(set(rows)) > 1
    assert kept[3:17].all() and not out[:3].any()


def test_shifts_keep_each_slice_area_and_differ_between_slices(labels: np.ndarray) -> None:
    out, _ = shift_slices(labels, 3, np.random.default_rng(3), axis=2)
    before, after = (np.moveaxis(v, 2, 0) > 0 for v in (labels, out))
    np.testing.assert_array_equal(before.sum(axis=(1, 2)), after.sum(axis=(1, 2)))
    assert len({tuple(np.argwhere(plane)[0]) for plane in after if plane.any()}) > 1


def test_a_leak_only_adds_where_nothing_was(labels: np.ndarray) -> None:
    out, _ = leak(labels, 3, np.random.default_rng(4))
    assert (out > 0).sum() > (labels > 0).sum() + 50
    np.testing.assert_array_equal(out[labels > 0], labels[labels > 0])


def test_all_faults_leave_the_truth_untouched_and_repeat(labels: np.ndarray) -> None:
    before, faults = labels.copy(), Faults(keep=0.4, edge_px=2, shift_px=1, leaks=2, axis=1, fault_seed=5)
    first, second = apply_faults(labels, faults), apply_faults(labels, faults)
    np.testing.assert_array_equal(labels, before)
    np.testing.assert_array_equal(first[0], second[0])
    assert (first[0] != labels).any()
    assert set(np.unique(first[0])) <= {0, 1, 2}


def test_keeping_nothing_is_refused(labels: np.ndarray) -> None:
    with pytest.raises(InvalidInputError, match="keep"):
        drop_slices(labels, 0.0, np.random.default_rng(0))
