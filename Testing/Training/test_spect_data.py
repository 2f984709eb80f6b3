"""Training data of SPECTDenoise: pairs become normalised slices, the same way as the method applies a network."""

from __future__ import annotations

import numpy as np
import pytest
from fixtures_spect import head, head_grid

from manabi.errors import InvalidInputError
from manabi.spect import paper
from manabi.spect.denoise import brain_mask, head_scale, work_image
from Training.cohort import CohortCase
from Training.spect_data import ROOM, Pair, Slices, our_slices, paper_pair, paper_slices, prepare, read_pair


def pair(spacing=3.29, share=0.2, seed=0):
    full = head(head_grid(spacing), sbr=3.0)
    counts = np.random.default_rng(seed).poisson(np.asarray(full.array, float) * share).astype(np.float32)
    return Pair("case-1", full.like(counts), full)


class Stored(CohortCase):
    """A case that is in memory."""

    def load(self):
        from manabi.phantoms.base import Case

        return Case(self.__dict__["volumes"])


def stored(volumes, folder=None):
    case = Stored("case-1", "case-1", "training", folder=folder)
    case.__dict__["volumes"] = volumes
    return case


def test_slices_are_in_units_of_the_heads_mean():
    case = pair()
    found = our_slices(case)
    mask = brain_mask(work_image(case.short))
    expected = np.asarray(case.short.array)[mask].mean()
    assert head_scale(np.asarray(case.short.array), case.short) == pytest.approx(expected, rel=1e-5)
    assert found.short.shape == found.full.shape == (case.short.shape[0], ROOM, ROOM)
    assert found.short.dtype == found.full.dtype == np.float32
    assert 0.9 < np.median(found.short[found.short > 0.5]) < 1.2


def test_the_target_has_the_inputs_counts():
    for share in (0.2, 0.05):
        found = our_slices(pair(share=share))
        assert found.full.sum(dtype=float) == pytest.approx(found.short.sum(dtype=float), rel=1e-3)


def test_the_hottest_slice_is_that_of_the_target():
    found = our_slices(pair())
    assert found.full[found.hottest].max() == found.full.max()


def test_other_spacings_come_to_3_29_mm():
    found = our_slices(pair(4.4))
    assert found.short.shape[0] == pytest.approx(200 / 3.29, abs=1.5)


@pytest.mark.parametrize("size", [40.0, 220.0, 330.0])
def test_small_and_large_matrices_get_the_same_room_around_the_middle(size):
    grid = head_grid(3.29, size)
    inside = our_slices(Pair("c", *(head(grid, sbr=3.0),) * 2)) if size > 200 else None
    if inside is None:
        from Training.spect_data import _middle

        small = np.ones((3, 10, 12))
        padded = _middle(small)
        assert padded.shape == (3, ROOM, ROOM)
        assert padded.sum() == small.sum()
        np.testing.assert_array_equal(padded[0, 35:45, 34:46], small[0])
    else:
        assert inside.short.shape[1:] == (ROOM, ROOM)
        k, j, i = np.nonzero(inside.full > 0.5)
        assert abs(j.mean() - ROOM / 2) < 2 and abs(i.mean() - ROOM / 2) < 2


def test_a_target_without_counts_is_refused_by_name():
    case = pair()
    with pytest.raises(InvalidInputError, match="case-1.*no counts"):
        our_slices(Pair("case-1", case.short, case.full.like(np.zeros(case.full.shape, np.float32))))


# --- the source's pipeline --------------------------------------------------------------------------------------------


def test_the_full_scan_chooses_the_slices_of_both():
    case = pair()
    grid = head_grid(3.29, 260.0)
    volume = head(grid, sbr=3.0)
    noisy = np.array(volume.array)
    noisy[5, 40, 40] = 1e5
    short, full = paper_pair(Pair("c", volume.like(noisy), volume))
    assert short.box.grid.same_as(full.box.grid)
    middle = paper.hottest_slice(paper.to_8bit(np.asarray(volume.array, float)))
    assert full.box.grid.same_as(paper.paper_images(volume, middle).box.grid)
    assert case.name == "case-1"


def test_the_papers_slices_are_five_images_of_maximum_one():
    volume = head(head_grid(3.29, 260.0), sbr=3.0)
    found = paper_slices(Pair("c", volume.like(volume.array * 0.2), volume))
    assert found.short.shape == found.full.shape == (5, 64, 64)
    np.testing.assert_allclose(found.short.reshape(5, -1).max(1), 1.0)
    assert found.hottest == 2


# --- cases ------------------------------------------------------------------------------------------------------------


def test_a_phantom_and_a_table_name_their_scans_differently(tmp_path):
    case = pair()
    of_phantom = stored({"spect_5min": case.short, "spect_25min": case.full}, folder=tmp_path)
    of_table = stored({"input": case.short, "target": case.full})
    for chosen in (of_phantom, of_table):
        found = read_pair(chosen)
        assert found.short is case.short and found.full is case.full
    with pytest.raises(InvalidInputError, match="case-1 lacks input or target; it has spect_5min"):
        read_pair(stored({"spect_5min": case.short}))


@pytest.mark.parametrize("pipeline", ["ours", "paper"])
def test_cases_are_prepared_in_order(pipeline):
    grid = head_grid(3.29, 260.0)
    cases = [stored({"input": v, "target": v}) for v in (head(grid, sbr=s) for s in (1.0, 4.0))]
    first, second = prepare(cases, pipeline)
    assert isinstance(first, Slices)
    assert first.full.std() < second.full.std() or pipeline == "paper"
    assert len(first.short) == (5 if pipeline == "paper" else grid.shape[0])
