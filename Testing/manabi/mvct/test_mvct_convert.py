"""The conversion itself: what the network says is put where it belongs, and nowhere else."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from fixtures_mvct import NOISE_HU, SHIFT_HU, grid, patient, quick, write_stand_in
from torch import nn

from manabi.bundle import Bundle
from manabi.errors import CancelledError, CorruptModelError, InvalidInputError
from manabi.mvct import convert as convert_module
from manabi.mvct.convert import PASS_HU, Converter, Settings, applied, context_stack, passing
from manabi.mvct.parameters import MVCTParameters
from manabi.mvct.pipeline import Model, convert, doubt
from manabi.mvct.prepare import crop_to_body, faded_reach_px, prepare
from manabi.mvct.tissue_map import body_mask
from manabi.mvct.window import HuWindow


@pytest.fixture(scope="module")
def scan():
    return patient(metal_hu=2950.0)


def converted(volume, bundle, context=None, pixel_mm=None, network=None, **parameters):
    """A conversion with a bundle; the body is found on the work grid."""
    work = prepare(volume, pixel_mm)
    body = body_mask(work.hu, work.image.spacing_mm)
    model = Model(Settings.of(bundle), {}, network or bundle.build_network())
    return convert(work, body, model, MVCTParameters(**parameters), context or quick(bundle))


def body_of(done):
    return done.work.mask_to_straight(done.body)


# --- where the correction goes ---------------------------------------------------------------------------------------


def test_the_correction_reaches_the_whole_body_and_not_the_air_around(scan, mvct_shift):
    done = converted(scan, mvct_shift)
    change = done.after - done.before
    inside = body_of(done) & (done.before < 900)
    np.testing.assert_allclose(change[inside], SHIFT_HU, atol=0.01)
    reach = faded_reach_px(3.0)
    beyond = np.ones_like(inside)
    for image, body in zip(beyond, done.body, strict=True):
        rows, columns = np.nonzero(body)
        low, high = (rows.min() - reach, columns.min() - reach), (rows.max() + reach, columns.max() + reach)
        image[low[0] : high[0] + 1, low[1] : high[1] + 1] = False
    assert beyond.mean() > 0.2
    np.testing.assert_array_equal(done.after[beyond], done.before[beyond])


def test_the_couch_is_left_alone(scan, mvct_shift):
    done = converted(scan, mvct_shift)
    y = scan.grid.ras_of(np.stack(np.indices(scan.shape)[::-1], -1))[..., 1]
    couch = (y > -84) & (y < -80) & (done.before > -500)
    assert couch.sum() > 500
    np.testing.assert_array_equal(done.after[couch], done.before[couch])


def test_without_body_only_everything_is_converted(scan, mvct_shift):
    done = converted(scan, mvct_shift, body_only=False)
    assert done.after[0, 0, 0] == pytest.approx(done.before[0, 0, 0])  # beyond the crop nothing was computed
    rows, columns = done.crop.rows, done.crop.columns
    corner = done.after[0, rows[0], columns[0]] - done.before[0, rows[0], columns[0]]
    assert abs(corner - SHIFT_HU) < 0.01


def test_metal_and_dense_bone_keep_their_hu(scan, mvct_shift):
    done = converted(scan, mvct_shift)
    metal = done.before > 2100
    assert metal.sum() > 20 and done.before.max() > 2900
    np.testing.assert_array_equal(done.after[metal], done.before[metal])


def test_hu_stay_in_order_above_the_window():
    window = HuWindow(-1000.0, 1000.0)
    hu = np.linspace(800.0, 3071.0, 500, dtype=np.float32)
    for correction in (-600.0, 600.0, PASS_HU - 1):
        out = hu + correction * passing(hu, window)
        assert (np.diff(out) > 0).all()
        assert out[-1] == hu[-1] and out[0] == pytest.approx(800 + correction)


def test_a_narrow_window_cuts_no_bone_and_paints_no_floor(scan, tmp_path):
    bundle = write_stand_in(tmp_path / "b", SHIFT_HU, window_source=[-600.0, 400.0], window_target=[-600.0, 400.0])
    done = converted(scan, bundle)
    inside = body_of(done)
    assert done.after[inside & (done.before > 600)].min() > 600
    airway = inside & (done.before < -900)
    assert airway.sum() > 20
    assert done.after[airway].max() < -800  # the authors' code writes -600 here
    assert not np.isclose(done.after, -600.0).any()


def test_strength_scales_the_correction(scan, mvct_shift):
    half = converted(scan, mvct_shift, strength=0.5)
    inside = body_of(half) & (half.before < 900)
    np.testing.assert_allclose((half.after - half.before)[inside], 0.5 * SHIFT_HU, atol=0.01)
    none = converted(scan, mvct_shift, strength=0.0)
    np.testing.assert_array_equal(none.after, none.before)


# --- forced pixels ---------------------------------------------------------------------------------------------------


def test_forced_pixels_add_the_correction_to_the_inputs_own_detail(mvct_shift):
    volume = patient(grid((1.5, 1.5, 5.0), (4, 150, 168)))
    done = converted(volume, mvct_shift, pixel_mm=(3.0, 3.0))
    assert done.work.resampled
    deep = body_mask(np.asarray(done.work.straight.array), done.work.straight.spacing_mm)
    deep &= (done.before < 500) & (done.before > -200)
    change = (done.after - done.before)[deep]
    assert np.median(change) == pytest.approx(SHIFT_HU, abs=0.01)
    assert np.percentile(np.abs(change - SHIFT_HU), 95) < 0.1  # neighbours above the window move a few
    np.testing.assert_array_equal(done.after[:, :4], done.before[:, :4])


def test_resampling_back_takes_the_smoother_work_grid(mvct_shift):
    volume = patient(grid((1.5, 1.5, 5.0), (4, 150, 168)), noise_hu=40.0)
    ways = ("correction", "resample")
    own, smooth = (converted(volume, mvct_shift, pixel_mm=(3.0, 3.0), way_back=way) for way in ways)
    place = np.s_[:, 80:95, 50:75]
    assert smooth.after[place].std() < 0.7 * own.after[place].std()
    assert smooth.after[place].mean() == pytest.approx(own.after[place].mean(), abs=3)
    np.testing.assert_array_equal(smooth.after[:, :4], smooth.before[:, :4])


def test_without_resampling_both_ways_back_are_one(scan, mvct_stand_in):
    one, other = (converted(scan, mvct_stand_in, way_back=way) for way in ("correction", "resample"))
    np.testing.assert_array_equal(one.after, other.after)


# --- the way back and the uncertainty --------------------------------------------------------------------------------


def test_a_perfect_way_back_has_no_residual_but_beyond_the_window(scan, mvct_shift):
    done = converted(scan, mvct_shift)
    inside = body_of(done) & (done.before > -1000 + SHIFT_HU) & (done.before < 1000 - SHIFT_HU)
    assert np.abs(done.residual[inside]).max() < 0.01
    assert (done.residual[~body_of(done)] == 0).all()


def test_without_a_way_back_there_is_no_residual(scan, tmp_path):
    done = converted(scan, write_stand_in(tmp_path / "b", backward=False))
    assert done.residual is None and done.spread is not None


def test_mirrored_copies_differ_where_the_network_is_not_symmetric(scan, mvct_stand_in, mvct_shift):
    inside = body_of(converted(scan, mvct_shift))
    assert converted(scan, mvct_shift).spread[inside].max() < 0.01
    found = converted(scan, mvct_stand_in).spread
    assert found[inside].max() > 1 and (found[~inside] == 0).all()


def test_the_uncertainty_does_not_change_the_converted_image(scan, mvct_stand_in):
    one, other = (converted(scan, mvct_stand_in, uncertainty=how) for how in ("none", "flips"))
    np.testing.assert_array_equal(one.after, other.after)
    assert one.spread is None


def test_dropout_samples_are_seeded_and_leave_torch_as_it_was(scan, tmp_path):
    bundle = write_stand_in(tmp_path / "b", dropout=0.3)
    network = bundle.build_network()
    torch.manual_seed(99)
    expected = torch.rand(3)
    torch.manual_seed(99)
    one, again = (converted(scan, bundle, network=network, uncertainty="dropout").spread for _ in range(2))
    assert torch.equal(torch.rand(3), expected)
    np.testing.assert_array_equal(one, again)
    assert one.max() > 0


def test_dropout_without_dropout_is_refused(scan, mvct_stand_in):
    with pytest.raises(InvalidInputError, match="dropout.*Choose"):
        converted(scan, mvct_stand_in, uncertainty="dropout")


def test_an_ensemble_of_shifts_has_their_deviation(scan, mvct_shift, tmp_path):
    other = write_stand_in(tmp_path / "b", SHIFT_HU + 20.0)
    work = prepare(scan)
    crop = crop_to_body(body_mask(work.hu, work.image.spacing_mm))
    converter = Converter(mvct_shift.build_network(), Settings.of(mvct_shift), work, crop, quick(mvct_shift))
    said = converter.converted()
    sd = doubt("ensemble", converter, said, ((other.build_network(), Settings.of(other)),))
    middle = (crop.of(work.hu)[crop.slices] > -200) & (crop.of(work.hu)[crop.slices] < 300)
    assert np.median(sd[middle]) == pytest.approx(20.0 / np.sqrt(2), rel=0.01)
    with pytest.raises(InvalidInputError, match="members"):
        doubt("ensemble", converter, said)


# --- neighbours ------------------------------------------------------------------------------------------------------


def test_neighbours_are_the_slices_beside_and_the_end_repeats():
    hu = np.arange(5, dtype=np.float32)[:, None, None] * np.ones((1, 2, 2), np.float32)
    stack = context_stack(hu, np.array([0, 2, 4]), 3)
    np.testing.assert_array_equal(stack[:, :, 0, 0], [[0, 0, 1], [1, 2, 3], [3, 4, 4]])


def test_neighbours_lie_at_the_distance_of_the_training():
    hu = np.arange(9, dtype=np.float32)[:, None, None] * np.ones((1, 2, 2), np.float32)
    np.testing.assert_allclose(context_stack(hu, np.array([4]), 3, step=2.5)[0, :, 0, 0], [1.5, 4.0, 6.5])
    np.testing.assert_allclose(context_stack(hu, np.array([1]), 3, step=0.5)[0, :, 0, 0], [0.5, 1.0, 1.5])


def test_the_bundles_slice_distance_sets_the_step(scan, tmp_path):
    bundle = write_stand_in(tmp_path / "b", slice_mm=10.0)
    work = prepare(scan)
    crop = crop_to_body(body_mask(work.hu, work.image.spacing_mm))
    assert Converter(bundle.build_network(), Settings.of(bundle), work, crop, quick(bundle))._step == 2.0


class Neighbour(nn.Module):
    """Answers with the upper neighbour, so that every slice's place can be told."""

    def forward(self, x):
        return x[:, 2:3]


def test_chunks_do_not_cut_neighbours_apart(scan, monkeypatch):
    monkeypatch.setattr(convert_module, "CHUNK", 4)
    work = prepare(scan)
    crop = crop_to_body(np.ones(scan.shape, bool))
    out = Converter(Neighbour(), Settings(context=3), work, crop, quick(None)).converted()
    expected = np.clip(np.concatenate([work.hu[1:], work.hu[-1:]]), -1000, 1000)
    np.testing.assert_allclose(out, expected, atol=0.01)


# --- bundles, memory, cancelling -------------------------------------------------------------------------------------


@pytest.mark.parametrize("facts", [{"kind": "mr"}, {"context_slices": 2}])
def test_a_bundle_whose_settings_cannot_be_meant_is_refused(mvct_stand_in, monkeypatch, facts):
    metadata = {**mvct_stand_in.metadata, "manabi": {**mvct_stand_in.metadata["manabi"], "mvct": facts}}
    bundle = Bundle(mvct_stand_in.folder)
    bundle.__dict__["metadata"] = metadata
    with pytest.raises(CorruptModelError, match="odd number"):
        Settings.of(bundle)


def test_little_memory_gives_the_same_image(scan, mvct_stand_in):
    plenty = converted(scan, mvct_stand_in, uncertainty="none")
    little = converted(scan, mvct_stand_in, quick(mvct_stand_in, memory_limit_mb=1.0), uncertainty="none")
    np.testing.assert_allclose(little.after, plenty.after, atol=0.01)


def test_bfloat16_stays_below_the_noise(scan, tmp_path):
    bundle = write_stand_in(tmp_path / "b")
    settings = Settings.of(bundle)
    work = prepare(scan)
    crop = crop_to_body(body_mask(work.hu, work.image.spacing_mm))
    exact = Converter(bundle.build_network(), settings, work, crop, quick(bundle)).converted()
    context = quick(bundle)
    context.precision = "bfloat16"
    low = Converter(bundle.build_network(), settings, work, crop, context).converted()
    assert np.abs(low - exact).mean() < 0.2 * NOISE_HU


def test_cancelling_between_chunks_stops(scan, mvct_stand_in, monkeypatch):
    monkeypatch.setattr(convert_module, "CHUNK", 2)
    context = quick(mvct_stand_in, cancel=threading.Event())
    seen = []

    def stop(fraction, text):
        seen.append(fraction)
        if fraction > 0.3:
            context.cancel.set()

    context.on_progress = stop
    with pytest.raises(CancelledError):
        converted(scan, mvct_stand_in, context)
    assert 0.3 < max(seen) < 0.9


def test_applied_is_exact_where_nothing_changes(scan):
    work = prepare(scan)
    out = applied(work, np.zeros(scan.shape, np.float32), HuWindow())
    np.testing.assert_array_equal(out, np.asarray(work.straight.array))
