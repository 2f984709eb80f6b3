"""The striatum phantom: anatomy where it should be, counts as drawn, and cases that can be rebuilt."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from manabi.context import Context
from manabi.errors import CancelledError, InvalidInputError
from manabi.phantoms.base import Case
from manabi.phantoms.spect_camera import Projector, to_volume
from manabi.phantoms.spect_tables import Geometry, centred_pixels
from manabi.phantoms.striatum import Acquisition, StriatumParameters, StriatumPhantom
from manabi.phantoms.striatum_anatomy import (
    STRIATA,
    Anatomy,
    Uptake,
    head_to_patient,
    ijk_to_ras,
    mu_map,
    render,
)
from manabi.phantoms.striatum_render import take_scan

PHANTOM = StriatumPhantom()
FAST: dict[str, Any] = {"views": 20, "n_slices": 48, "iterations": 2, "subsets": 4}


def drawn(seed: int, **choices: Any) -> StriatumParameters:
    return PHANTOM.sample_parameters(np.random.default_rng(seed), **{**FAST, **choices})


@pytest.fixture(scope="module")
def case() -> Case:
    return PHANTOM.render(drawn(3), Context(device="cpu"))


def test_case_holds_what_is_promised(case: Case) -> None:
    assert set(case.volumes) == {"spect_5min", "spect_25min", "activity", "mu_map"}
    assert set(case.labelmaps) == {"striatum", "brain"}
    for name in ("spect_5min", "spect_25min", "activity"):
        volume = case.volumes[name]
        assert (volume.modality, volume.units) == ("NM", "CNTS")
        assert volume.shape == (48, 128, 128)
        assert np.allclose(volume.spacing_mm, 3.29)
        assert float(volume.array.min()) >= 0.0
        assert np.isfinite(volume.array).all()
    segments = case.labelmaps["striatum"].segments
    assert [s.name for s in segments] == ["caudate left", "caudate right", "putamen left", "putamen right"]
    assert {s.type.value for s in segments} == {"11000004", "89278009"}
    assert PHANTOM.pair(drawn(3)) == ("spect_5min", "spect_25min")


def test_rebuilt_from_json_it_is_the_same_voxel_by_voxel(case: Case) -> None:
    parameters = PHANTOM.from_json(PHANTOM.to_json(drawn(3)))
    assert parameters == drawn(3)
    again = PHANTOM.render(parameters, Context(device="cpu"))
    for name, volume in case.volumes.items():
        assert np.array_equal(volume.array, again.volumes[name].array), name
    assert case.truth == again.truth


def test_a_case_does_not_depend_on_its_neighbours(case: Case) -> None:
    first, second = PHANTOM.render_batch([drawn(4), drawn(3)], Context(device="cpu"))
    assert np.array_equal(second.volumes["spect_5min"].array, case.volumes["spect_5min"].array)
    assert not np.array_equal(first.volumes["spect_5min"].array, case.volumes["spect_5min"].array)


def test_voxels_do_not_depend_on_the_number_of_threads(case: Case) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(before % 2 + 1)
    try:
        again = PHANTOM.render(drawn(3), Context(device="cpu"))
        assert torch.get_num_threads() == before % 2 + 1
    finally:
        torch.set_num_threads(before)
    assert np.array_equal(again.volumes["spect_25min"].array, case.volumes["spect_25min"].array)


@pytest.mark.parametrize("anatomy", [
    Anatomy(),
    Anatomy(scale=1.08, width=0.97, tilt_deg=(7.0, -6.0, 5.0), shift_mm=(8.0, -5.0, 6.0), striatum=1.05),
])  # fmt: skip
def test_labels_lie_where_the_anatomy_says(anatomy: Anatomy) -> None:
    size, slices = Geometry(views=4), 64
    labels = render(anatomy, Uptake(), size, slices).labels
    grid = ijk_to_ras(size, slices)
    volume = to_volume(labels, size).numpy()
    for number, (structure, side) in enumerate(STRIATA):
        k, j, i = (axis.mean() for axis in np.nonzero(volume == number + 1))
        found = grid @ [i, j, k, 1.0]
        sign = -1.0 if side == "left" else 1.0
        if structure == "putamen":
            expected = head_to_patient(anatomy) @ [sign * (anatomy.putamen_x_mm + 0.4), 18.0, -5.0, 1.0]
            assert np.linalg.norm(found[:3] - expected[:3]) < 3.29
        else:
            middle = np.linalg.inv(head_to_patient(anatomy)) @ found
            assert sign * middle[0] == pytest.approx(anatomy.caudate_x_mm + 1.0, abs=3.0)
            assert 10.0 < middle[1] < 32.0


def test_left_is_left_in_the_volume() -> None:
    weak = drawn(5, putamen_left=0.5, caudate_left=0.5, putamen_right=6.0, caudate_right=6.0)
    case = PHANTOM.render(weak, Context(device="cpu"))
    image, labels = case.volumes["spect_25min"], case.labelmaps["striatum"].volume
    left, right = (image.array[np.isin(labels.array, numbers)].mean() for numbers in ((1, 3), (2, 4)))
    assert left < 0.6 * right
    k, j, i = (axis.mean() for axis in np.nonzero(np.isin(labels.array, (1, 3))))
    assert image.grid.ras_of(np.array([i, j, k]))[0] < weak.anatomy.shift_mm[0]


def test_true_ratios_and_volumes_are_those_of_the_activity() -> None:
    uptake = Uptake(caudate_left=5.0, putamen_left=1.5, caudate_right=4.0, putamen_right=3.0)
    found = render(Anatomy(texture=0.0), uptake, Geometry(views=4), 64)
    assert np.allclose(found.binding_ratios, (5.0, 4.0, 1.5, 3.0), rtol=1e-4)
    assert all(2.5 < ml < 5.5 for ml in found.volumes_ml)
    excess = float(((found.activity - 1.0) * (found.labels > 0)).sum()) * 3.29**3 / 1000.0
    meant = sum(r * v for r, v in zip(found.binding_ratios, found.volumes_ml, strict=True))
    assert excess == pytest.approx(meant, rel=0.25)


def test_tail_binds_less_than_the_head() -> None:
    uptake = Uptake(putamen_left=3.0, putamen_right=3.0, putamen_gradient=(0.5, 1.0))
    found = render(Anatomy(texture=0.0), uptake, Geometry(views=4), 64)
    rows = torch.from_numpy(centred_pixels(Geometry(views=4))[1])[:, None].expand(found.labels.shape)
    for label, falls in ((3, True), (4, False)):
        inside = (found.labels == label) & (found.activity > 2.0)
        middle = rows[inside].median()
        front, back = (found.activity[inside & part].mean() for part in (rows < middle, rows > middle))
        assert (float(back) < 0.85 * float(front)) == falls


def test_skull_attenuates_more_than_brain_and_air_not_at_all() -> None:
    mu = mu_map(Anatomy(), Geometry(views=4), 64)
    assert float(mu.max()) == pytest.approx(0.2, abs=1e-4)
    assert float(mu.min()) == 0.0
    assert float(mu[mu > 0].median()) == pytest.approx(0.148, abs=1e-4)


def scan(**changes: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Counts and scatter estimate of a small uniform head without attenuation, (views, bins, 2, slices)."""
    size = Geometry(views=40, nodes=1)
    activity = torch.ones((size.pixels, 24))
    plan = Acquisition(**{"views": 40, "n_slices": 24, "counts": 2.0e6, **changes})
    found, _ = take_scan(Projector(size), activity, plan)
    return found.counts.double(), found.scatter.double()


def test_short_scan_is_a_part_of_the_full_one() -> None:
    counts, _ = scan()
    short, full = counts[:, :, 0], counts[:, :, 1]
    assert bool((short <= full).all())
    assert float(full.sum() / short.sum()) == pytest.approx(5.0, rel=0.01)
    busy = full.mean(0) > 5.0
    # over views, a bin's means are equal here: Poisson variance, and covariance equal to the short scan's variance
    assert float((full.var(0) / full.mean(0))[busy].mean()) == pytest.approx(1.0, abs=0.05)
    assert float((short.var(0) / short.mean(0))[busy].mean()) == pytest.approx(1.0, abs=0.05)
    covariance = ((short - short.mean(0)) * (full - full.mean(0))).sum(0) / (len(full) - 1)
    assert float(covariance[busy].mean() / short.var(0)[busy].mean()) == pytest.approx(1.0, abs=0.1)


def test_independent_scans_share_no_counts() -> None:
    counts, _ = scan(independent=True)
    short, full = counts[:, :, 0], counts[:, :, 1]
    assert bool((short > full).any())
    busy = full.mean(0) > 5.0
    covariance = ((short - short.mean(0)) * (full - full.mean(0))).sum(0) / (len(full) - 1)
    assert abs(float(covariance[busy].mean() / short.var(0)[busy].mean())) < 0.1


def test_scatter_estimate_is_biased_and_noisy_as_asked() -> None:
    totals = {bias: scan(tew_bias=bias)[1][:, :, 1].sum() for bias in (0.85, 1.15)}
    assert float(totals[1.15] / totals[0.85]) == pytest.approx(1.15 / 0.85, rel=0.01)
    _, raw = scan()
    _, smooth = scan(tew_filter_mm=20.0)
    assert float(smooth.var(0).mean()) < 0.1 * float(raw.var(0).mean())


def test_counts_are_those_asked_for(case: Case) -> None:
    plan = drawn(3).acquisition
    assert float(case.truth["projection_counts_25min"]) == pytest.approx(plan.counts, rel=0.02)
    assert float(case.truth["projection_counts_25min"]) == pytest.approx(
        5.0 * float(case.truth["projection_counts_5min"]), rel=0.02
    )
    five, full, activity = (case.volumes[n].array.sum() for n in ("spect_5min", "spect_25min", "activity"))
    assert full == pytest.approx(5.0 * five, rel=0.04)
    assert full == pytest.approx(activity, rel=0.15)


def test_other_minutes_and_names_follow_the_parameters() -> None:
    parameters = drawn(6, minutes=10.0, full_minutes=30.0)
    case = PHANTOM.render(parameters, Context(device="cpu"))
    assert PHANTOM.pair(parameters) == ("spect_10min", "spect_30min")
    short, full = (case.volumes[name].array.sum() for name in PHANTOM.pair(parameters) or ())
    assert full == pytest.approx(3.0 * short, rel=0.05)


def test_cancelled_it_stops() -> None:
    context = Context(device="cpu")
    context.cancel.set()
    with pytest.raises(CancelledError):
        PHANTOM.render(drawn(3), context)


@pytest.mark.parametrize("changes", [
    {"minutes": 25.0}, {"counts": 0.0}, {"scatter_fraction": 1.0}, {"shift_mm": (30.0, 30.0, 0.0)},
    {"collimator": "none"}, {"views": 61}, {"subsets": 500},
])  # fmt: skip
def test_impossible_parameters_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError):
        PHANTOM.render(drawn(3, **changes), Context(device="cpu"))


def test_mirrored_head_is_the_same_head_with_sides_exchanged() -> None:
    one = Anatomy(texture=0.0, tilt_deg=(4.0, 0.0, 0.0), shift_mm=(0.0, 2.0, 1.0))
    uptake = Uptake(putamen_left=1.0, caudate_right=3.0, putamen_gradient=(0.5, 0.9))
    other = dataclasses.replace(
        uptake, putamen_left=uptake.putamen_right, putamen_right=1.0, caudate_left=3.0,
        caudate_right=uptake.caudate_left, putamen_gradient=(0.9, 0.5),
    )  # fmt: skip
    size = Geometry(views=4)
    left = to_volume(render(one, uptake, size, 40).activity, size)
    right = to_volume(render(one, other, size, 40).activity, size)
    assert torch.allclose(left, right.flip(2), atol=0.3)
    assert float((left - right.flip(2)).abs().mean()) < 1e-3
