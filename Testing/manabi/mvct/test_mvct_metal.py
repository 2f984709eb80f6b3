"""Metal and streaks, slice by slice."""

from __future__ import annotations

import numpy as np
import pytest
from fixtures_mvct_head import SPACING, head

from manabi.mvct.metal import METAL_HU, find_metal


def with_metal(kind, slices=(6, 7), streaks=True, hu=5000.0):
    case = head(kind, noise=12.0)
    out = case.hu.copy()
    j, i = np.mgrid[: out.shape[1], : out.shape[2]]
    y, x = (j - 82) * 1.5, (i - 95) * 1.5
    for k in slices:
        if streaks:
            out[k] += np.where(case.truth[k] > 0, 300 * np.cos(6 * np.arctan2(y, x)) * np.exp(-np.hypot(x, y) / 60), 0)
        out[k][np.hypot(x, y) < 5.0] = hu
    return out, case.truth > 0


@pytest.mark.parametrize("kind", ["mvct", "kvct", "cbct"])
def test_bone_is_no_metal(kind):
    case = head(kind)
    found = find_metal(case.hu, SPACING, case.truth > 0, kind)
    assert not found.present and found.volume_ml == 0.0 and found.table().rows == ()


def test_metal_is_found_where_it_is():
    hu, body = with_metal("kvct")
    found = find_metal(hu, SPACING, body, "kvct")
    assert [part.index for part in found.slices] == [6, 7]
    assert found.volume_ml == pytest.approx(2 * np.pi * 25 * 3 / 1000, rel=0.15)
    assert found.table().column("slice") == [7, 8]
    assert found.slices[0].highest_hu == 5000.0


def test_streaks_are_told_from_clean_metal():
    streaked, clean = (find_metal(*_args(streaks), "kvct") for streaks in (True, False))
    assert streaked.streaked == [6, 7] and clean.present and clean.streaked == []
    assert clean.slices[0].dark_percent < 0.5 < 4.0 < streaked.slices[0].dark_percent


def _args(streaks):
    hu, body = with_metal("kvct", streaks=streaks)
    return hu, SPACING, body


def test_metal_in_every_slice_is_no_hindrance():
    hu, body = with_metal("kvct", slices=tuple(range(16)))
    assert find_metal(hu, SPACING, body, "kvct").streaked == list(range(16))


def test_a_single_bright_voxel_and_metal_outside_the_body_are_none():
    case = head("mvct")
    hu = case.hu.copy()
    hu[5, 80, 80] = 3000.0
    hu[:, :4, :4] = 5000.0
    assert not find_metal(hu, SPACING, case.truth > 0, "mvct").present


def test_titanium_counts_at_megavoltage_energies():
    hu, body = with_metal("mvct", hu=2600.0, streaks=False)
    assert find_metal(hu, SPACING, body, "mvct").present
    assert not find_metal(hu, SPACING, body, "kvct").present
    assert find_metal(hu, SPACING, body, "kvct", threshold_hu=METAL_HU["mvct"]).present
