"""From weights to a bundle: parts of images, the fitted decoder, scores with their intervals, and what is written."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_chests import TINY, Oracle, chest, numbered

from manabi import registry
from manabi.context import Context
from manabi.networks import build
from manabi.slices.decode import Decoder
from manabi.store import BundleStore
from Training.config import TrainConfig
from Training.run import FitResult, RunPaths
from Training.slices_bundle import calibrate, export, metrics
from Training.slices_evaluate import (
    Answer,
    Search,
    answers,
    calibration_error,
    compare_search,
    native_rows,
    parts_of,
    score_planes,
    views,
    wilson,
)
from Training.slices_split import Split


def split(count=4, **options):
    cases = [numbered(f"n{k}", truth=(180.0 - k, 100.0, 20.0 + k), **options) for k in range(3 * count)]
    return Split(cases[:count], cases[count : 2 * count], cases[2 * count :], simulated=True)


# --- parts of images --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("slice_mm", "rows"), [(1.25, 100), (2.0, 100), (2.5, 80), (4.0, 50), (5.0, 40)])
def test_rows_follow_the_images_own_slices(slice_mm, rows):
    case = numbered(slice_mm=slice_mm)
    chosen = native_rows(case)
    assert len(chosen) == rows and chosen[0] == 0
    wanted = np.arange(rows) * max(slice_mm, 2.0)
    assert np.abs(case.z_mm[chosen] - wanted).max() <= 1.0


def test_truncated_copies_are_long_enough_and_repeat_with_the_seed():
    case = numbered()
    parts = parts_of(case, 3)
    assert [cut for _, cut in parts] == [False, True, True]
    for rows, _ in parts[1:]:
        assert case.z_mm[rows[-1]] - case.z_mm[rows[0]] >= 76.0 and len(rows) < 50
    assert all(np.array_equal(a, b) for (a, _), (b, _) in zip(parts, parts_of(case, 3), strict=True))
    assert [cut for _, cut in parts_of(numbered(planes=40), 3)] == [False]


def test_a_truncated_copy_has_the_scores_of_an_image_that_ends_there():
    torch.manual_seed(0)
    model = build("slicenet", **TINY.network_arguments()).eval()
    case = numbered()
    for view, (rows, cut) in zip(views(model, case, TINY.input(), 5), parts_of(case, 5), strict=True):
        assert view.cut == cut
        np.testing.assert_allclose(view.scored.scores, score_planes(model, case, rows, TINY.input()), atol=1e-5)
        assert view.scored.scores.dtype == np.float64
        low, high = case.z_mm[rows[0]] - 2, case.z_mm[rows[-1]] + 2
        assert view.scored.truth == case.absent_beyond(low, high)


# --- answers ----------------------------------------------------------------------------------------------------------


def test_an_answer_is_right_within_4_mm_or_on_the_right_side():
    def answer(truth, found):
        return Answer("c", "", "apex", truth, found, 0.9, False)

    assert answer(100.0, 104.0).right and not answer(100.0, 104.1).right
    assert answer(100.0, 96.5).error_mm == pytest.approx(3.5)
    assert answer(np.inf, np.inf).right and not answer(np.inf, -np.inf).right
    assert not answer(100.0, np.inf).right and np.isnan(answer(100.0, np.inf).error_mm)


def test_a_network_that_knows_is_decoded_right_and_its_search_is_short():
    decoder, case = Decoder(gap_mm=(80.0, 80.0)), numbered()
    for view in views(Oracle(), case, TINY.input(), 11):
        found, ends = answers(view, decoder), view.scored.z_mm[[0, -1]]
        clear = [a for a, truth in zip(found, case.truth, strict=True) if np.abs(ends - truth).min() > 8.0]
        assert len(found) == 3 and clear and all(a.right for a in clear)
        search = compare_search(view, decoder)
        assert search.same and search.share < 1.0
    (whole, *_) = views(Oracle(), numbered(truth=(180.0, np.nan, 20.0)), TINY.input(), 7)
    assert [a.marker for a in answers(whole, decoder)] == ["apex", "diaphragm"]


# --- scores -----------------------------------------------------------------------------------------------------------


def test_wilsons_interval():
    assert wilson(68 / 71, 71) == pytest.approx((0.8830, 0.9855), abs=1e-4)
    low, high = wilson(1.0, 20)
    assert high == 1.0 and low == pytest.approx(0.8389, abs=1e-4)


def test_calibration_error_is_the_gap_between_confidence_and_rightness():
    confidence = np.full(100, 0.8)
    assert calibration_error(confidence, np.tile([1, 1, 1, 1, 0], 20).astype(float)) == pytest.approx(0.0, abs=1e-9)
    assert calibration_error(confidence, np.ones(100)) == pytest.approx(0.2)


def test_scores_count_misses_and_patients():
    found = [
        Answer(f"c{k}", "", "carina", 100.0, 100.0 + 6.0 * (k == 0) if k < 9 else np.inf, 0.9, False)
        for k in range(10)
    ]  # fmt: skip
    beyond = [Answer(f"c{k}", "", "apex", np.inf, np.inf if k else 50.0, 0.9, True) for k in range(4)]
    searches = [Search(f"c{k}", k > 0, 0.25) for k in range(10)]
    own = {f"c{k}": f"p{k}" for k in range(10)}
    out = metrics([*found, *beyond], searches, own)
    assert out["carina_within_4mm"]["mean"] == 0.8
    assert out["carina_error_of_found_mm"]["mean"] == pytest.approx(6 / 9, abs=1e-4)
    assert out["not_in_image_recognised"]["mean"] == 0.75 and out["wrongly_not_in_image"]["mean"] == 0.1
    assert out["search_same_answer"]["mean"] == 0.9 and out["search_share_of_slices"]["mean"] == 0.25
    assert out["carina_within_4mm"]["ci95"] == pytest.approx(wilson(0.8, 10), abs=1e-4)
    assert "apex_within_4mm" not in out and "calibration_error" in out
    same = metrics(found, searches, dict.fromkeys(own, "p"))
    low, high = same["carina_within_4mm"]["ci95"]
    assert high - low > 0.7 and same["carina_error_of_found_mm"]["ci95"] == [None, None]


# --- the bundle -------------------------------------------------------------------------------------------------------


def test_calibration_fits_the_decoder_and_scores_the_test_cases():
    chosen = split()
    measured = calibrate(Oracle(sharp=2.0), TINY, chosen)
    assert measured.patients == 4 and {a.case for a in measured.answers} == {case.name for case in chosen.test}
    assert measured.decoder.scale != (1.0, 1.0, 1.0)
    assert measured.metrics["search_same_answer"]["mean"] >= 0.9
    assert measured.metrics["carina_within_4mm"]["mean"] == 1.0
    low, high = measured.metrics["carina_within_4mm"]["ci95"]
    assert low < 0.6 and high == 1.0


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A bundle of an untrained network."""
    torch.manual_seed(1)
    model = build("slicenet", **TINY.network_arguments()).eval()
    folder, chosen = tmp_path_factory.mktemp("bundle"), split(2)
    result = FitResult(model, 3, {}, [], RunPaths(folder), 0, False, 1.0)
    measured = calibrate(model, TINY, chosen)
    data = "phantoms:1:6"
    return export(folder / "bundle", TINY, TrainConfig(), result, chosen, measured, data, "0" * 64), measured


def test_the_bundle_says_what_it_is(exported):
    bundle, measured = exported
    bundle.verify()
    assert bundle.trained_on == "simulated chest CT (phantoms:1:6): 2 patients" and bundle.notice
    assert Decoder.of(bundle.facts["slices"]["decoder"]).scale == pytest.approx(measured.decoder.scale, abs=1e-4)
    assert bundle.facts["training"]["patients"] == {"training": 2, "validation": 2, "test": 2}
    card = (bundle.folder / "docs" / "README.md").read_text()
    assert "| search_same_answer |" in card and "## Limits" in card and "2 test patients" in card


def test_the_default_network_fits_the_size_that_ships(exported):
    from Training.slices import SlicesRecipe

    network = build("slicenet", **SlicesRecipe().network_arguments())
    assert sum(p.numel() for p in network.state_dict().values()) * 4 < 4.0e6


@pytest.mark.skipif("slices" not in registry.METHODS, reason="the method SliceMarker is not registered")
def test_the_method_runs_with_the_bundle(exported):
    bundle, _ = exported
    assert BundleStore().get(str(bundle.folder), method="slices").version == TINY.version
    volume, _ = chest()
    result = registry.method("slices").run({"ct": volume}, {}, Context(bundle=str(bundle.folder)))
    assert len(result.tables["markers"].rows) == 3
    assert any("simulated data" in warning for warning in result.warnings)
