"""MVCTConvert as a method: laws of geometry, what it refuses and flags, what a reader is told."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from fixtures_laws import ORIENTATIONS, assert_same_result, each, rotated
from fixtures_mvct import SHIFT_HU, grid, patient, quick, textured, write_stand_in
from scipy.spatial.transform import Rotation

from manabi.context import Context
from manabi.errors import CancelledError, InvalidInputError, ModelNotFoundError
from manabi.mvct import gate
from manabi.mvct.convert import Settings
from manabi.mvct.features import encoder_features
from manabi.mvct.method import MVCTConvert
from manabi.mvct.ood import fit_reference
from manabi.mvct.parameters import CONVERTERS, MVCTParameters
from manabi.mvct.signature import signature
from manabi.mvct.tissue_map import tissue_map
from manabi.volume import SYNTHETIC


@pytest.fixture(scope="module")
def method():
    return MVCTConvert()


@pytest.fixture(scope="module")
def scan():
    return textured(patient(grid(), noise_hu=0.5))


@pytest.fixture(scope="module")
def small():
    """Three different sizes, and left is not right."""
    return textured(patient(grid((4.0, 4.0, 6.0), (9, 56, 60)), noise_hu=0.5, metal_hu=2500.0))


@pytest.fixture(scope="module")
def whole(method, scan, mvct_stand_in):
    return method.run({"ct": scan}, {}, quick(mvct_stand_in))


@pytest.fixture(scope="module")
def small_result(method, small, mvct_stand_in):
    return method.run({"ct": small}, {}, quick(mvct_stand_in))


# --- geometry --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("axes", "signs"), ORIENTATIONS[::7])
def test_the_order_of_the_axes_does_not_matter(method, small, small_result, mvct_stand_in, axes, signs):
    turned = method.run({"ct": small.reoriented(axes, signs)}, {}, quick(mvct_stand_in))
    assert_same_result(turned, small_result)


@pytest.mark.slow
@pytest.mark.parametrize(("axes", "signs"), ORIENTATIONS)
def test_none_of_the_orders_of_the_axes_matters(method, small, small_result, mvct_stand_in, axes, signs):
    turned = method.run({"ct": small.reoriented(axes, signs)}, {}, quick(mvct_stand_in))
    assert_same_result(turned, small_result)


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_patient_who_lies_obliquely_has_the_same_result(method, small, small_result, mvct_stand_in, mirrored):
    turn = Rotation.from_euler("xyz", (14.0, -17.0, 22.0), degrees=True).as_matrix()
    volume = small.reoriented((0, 1, 2), (-1, 1, 1)) if mirrored else small
    result = method.run({"ct": rotated(volume, turn)}, {}, quick(mvct_stand_in))
    assert_same_result(result, small_result, tolerance=1e-4, rotation=turn)


def test_forced_pixels_give_the_same_result_in_any_order_of_axes(method, small, tmp_path):
    bundle = write_stand_in(tmp_path / "b", spacing_mm=[3.0, 3.0])
    first = method.run({"ct": small}, {}, quick(bundle))
    assert any("pixels of 3.00 × 3.00 mm" in text for text in first.warnings)
    again = method.run({"ct": small.reoriented((2, 0, 1), (1, -1, -1))}, {}, quick(bundle))
    assert_same_result(again, first, tolerance=1e-5)


def test_every_map_lies_on_the_inputs_grid(scan, whole):
    assert list(whole.volumes) == ["converted", "difference", "uncertainty", "residual", "gradient_difference"]
    assert list(whole.labelmaps) == ["tissues", "body"]
    for image in [*whole.volumes.values(), *(labels.volume for labels in whole.labelmaps.values())]:
        assert image.grid.same_as(scan.grid)


@pytest.mark.parametrize("count", [1, 2])
def test_few_slices_are_enough(method, scan, mvct_shift, count):
    volume = scan.crop((6, 0, 0), (6 + count, *scan.shape[1:]))
    result = method.run({"ct": volume}, {}, quick(mvct_shift))
    change = np.asarray(result.volumes["difference"].array)[np.asarray(result.labelmaps["body"].volume.array) > 0]
    assert np.median(change) == pytest.approx(SHIFT_HU, abs=0.01)


def test_anisotropic_voxels_are_nothing_special(method, mvct_shift):
    volume = patient(grid((1.2, 3.5, 2.5), (8, 60, 180)))
    result = method.run({"ct": volume}, {}, quick(mvct_shift))
    assert result.volumes["converted"].grid.same_as(volume.grid)
    assert result.measurements["mean_change_hu"] == pytest.approx(SHIFT_HU, abs=0.5)


def test_integers_are_taken(method, scan, mvct_stand_in):
    whole_numbers = scan.like(np.rint(scan.array).astype(np.int16))
    result = method.run({"ct": whole_numbers}, {}, quick(mvct_stand_in))
    outside = np.asarray(result.volumes["difference"].array) == 0
    assert outside.any()
    np.testing.assert_array_equal(result.volumes["converted"].array[outside], whole_numbers.array[outside])


# --- the image -------------------------------------------------------------------------------------------------------


def test_difference_is_converted_minus_input(scan, whole):
    expected = np.asarray(whole.volumes["converted"].array) - np.asarray(scan.array)
    np.testing.assert_allclose(whole.volumes["difference"].array, expected, atol=1e-3)
    assert np.abs(expected).max() > 5


def test_what_the_result_holds_is_marked_as_synthetic(whole):
    assert all(volume.caution == SYNTHETIC for volume in whole.volumes.values())
    assert whole.volumes["converted"].modality == "CT" and whole.volumes["converted"].units == "HU"


def test_the_same_seed_gives_the_same_bits(scan, whole, mvct_stand_in):
    again = MVCTConvert().run({"ct": scan}, {}, quick(mvct_stand_in))
    for name, volume in whole.volumes.items():
        np.testing.assert_array_equal(again.volumes[name].array, volume.array)
    assert again.tables == whole.tables and again.measurements == whole.measurements


def test_the_uncertainty_is_calibrated(method, scan, whole, tmp_path):
    bundle = write_stand_in(tmp_path / "b", uncertainty_calibration=3.0)
    wider = method.run({"ct": scan}, {}, quick(bundle)).volumes["uncertainty"].array
    np.testing.assert_allclose(wider, 3.0 * np.asarray(whole.volumes["uncertainty"].array), rtol=1e-4)


# --- tables and numbers ----------------------------------------------------------------------------------------------


def test_the_numbers_of_the_input_are_those_of_the_patient(whole):
    rows = {row[1]: row for row in whole.tables["hu_check"].rows if row[0] == "input"}
    assert rows["fat"][2] == pytest.approx(-49, abs=6) and rows["muscle"][2] == pytest.approx(40, abs=6)
    assert rows["bone"][2] == pytest.approx(650, abs=15)
    assert whole.measurements["noise_hu_input"] == pytest.approx(25, rel=0.3)  # small squares see less of coarse grain


def test_a_reference_adds_errors_and_its_own_column(method, scan, mvct_shift):
    truth = textured(patient(grid(), "kvct", noise_hu=0.5), 8.0, 11)
    result = method.run({"ct": scan, "reference": truth.reoriented((0, 2, 1), (-1, 1, 1))}, {}, quick(mvct_shift))
    table = result.tables["quality"]
    assert table.columns == ("measure", "unit", "input", "converted", "reference")
    errors = {row[0]: row[2:] for row in table.rows}
    before, after, _ = errors["mean error, muscle"]
    assert after - before == pytest.approx(SHIFT_HU, abs=0.2) and before == pytest.approx(-5, abs=1.5)
    assert result.measurements["mae_hu_converted"] is not None
    assert not any("another grid" in text for text in result.warnings)


def test_a_reference_on_another_grid_is_resampled_and_counts_where_it_is_known(method, scan, mvct_shift):
    truth = patient(grid((2.5, 2.5, 4.0), (14, 92, 102)), "kvct", noise_hu=2.0)
    result = method.run({"ct": scan, "reference": truth}, {}, quick(mvct_shift))
    assert any("another grid" in text for text in result.warnings)
    errors = {row[0]: row[2:] for row in result.tables["quality"].rows}
    assert errors["mean error, muscle"][0] == pytest.approx(-5, abs=3)


def test_a_reference_of_another_part_of_the_body_is_refused(method, scan, mvct_shift):
    matrix = np.array(scan.ijk_to_ras)
    matrix[2, 3] += 300.0
    with pytest.raises(InvalidInputError, match="reference: it shows 0 %"):
        method.run({"ct": scan, "reference": replace(scan, ijk_to_ras=matrix)}, {}, quick(mvct_shift))


def test_an_unchanged_image_does_no_harm(method, scan, mvct_shift, tmp_path):
    table = tmp_path / "line.csv"
    table.write_text("hu,relative_electron_density\n-1000,0.0\n3000,4.0\n", encoding="utf-8")
    settings = {"strength": 0.0, "density_source": str(table), "density_target": str(table)}
    result = method.run({"ct": scan}, settings, quick(mvct_shift))
    rows = {row[0]: row for row in result.tables["density"].rows}
    assert rows["relative electron density, muscle"][4] == 0.0
    assert result.measurements["water_thickness_change_percent_front_to_back"] == 0.0
    assert str(tmp_path) not in str(result.provenance)


def test_a_table_that_cannot_be_read_is_refused_before_any_work(method, scan, mvct_shift, tmp_path):
    told = []
    context = quick(mvct_shift, on_progress=lambda fraction, text: told.append(text))
    with pytest.raises(InvalidInputError, match="density table"):
        method.run({"ct": scan}, {"density_source": str(tmp_path / "none.csv")}, context)
    assert told == ["Preparing"]


def test_comparing_with_the_truth_gives_the_same_tables(method, scan):
    truth = textured(patient(grid(), "kvct", noise_hu=0.5), 8.0, 11)
    tables = method.compare({"mvct": scan, "converted": truth, "kvct": truth})
    errors = {row[0]: row[2:] for row in tables["Image quality"].rows}
    assert errors["mean absolute error, body"][1] == 0.0 and errors["mean absolute error, body"][0] > 20
    assert {row[0] for row in tables["Hounsfield units"].rows} == {"mvct", "converted", "kvct"}


# --- what is flagged and refused -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A bundle that knows what its training images were like."""
    signatures = []
    for seed in range(4):
        one = textured(patient(grid((3.0, 3.0, 5.0), (14, 74 + seed, 84)), noise_hu=0.5), seed=seed)
        hu = np.asarray(one.array)
        signatures.append(signature(hu, one.spacing_mm, tissue_map(hu, one.spacing_mm, "mvct")))
    folder = tmp_path_factory.mktemp("bundles") / "trained"
    return write_stand_in(folder, 0.0, ood=fit_reference(signatures).facts(), expected_hu={"fat": [-49, 40]})


def test_an_image_like_the_training_images_passes(method, scan, trained):
    result = method.run({"ct": scan}, {"gate": "refuse"}, quick(trained))
    assert result.measurements["verdict"] == "ok"
    assert not [text for text in result.warnings if text.startswith(method.alert_prefixes)]


def test_the_encoders_features_are_held_against_the_training_images(method, scan, mvct_stand_in, tmp_path):
    settings = Settings.of(mvct_stand_in)
    body = tissue_map(np.asarray(scan.array), scan.spacing_mm, "mvct").body
    seen = [
        encoder_features(mvct_stand_in.build_network(), settings, np.asarray(scan.array) + offset, body)
        for offset in (0.0, 1.0, -1.0)
    ]
    assert seen[0].shape == (8,) and not np.allclose(seen[0], seen[1])
    hu = np.asarray(scan.array)
    signatures = [signature(hu, scan.spacing_mm, tissue_map(hu, scan.spacing_mm, "mvct"))] * 3
    usual = write_stand_in(tmp_path / "a", ood=fit_reference(signatures, np.array(seen)).facts())
    far = write_stand_in(tmp_path / "b", ood=fit_reference(signatures, np.array(seen) + 50.0).facts())
    verdicts = [method.run({"ct": scan}, {}, quick(bundle)).warnings for bundle in (usual, far)]
    assert not any("features" in text for text in verdicts[0])
    assert any(text.startswith("Out of the training range") and "features" in text for text in verdicts[1])


def test_a_kilovoltage_ct_is_flagged(method, trained):
    planning = textured(patient(grid(), "kvct", noise_hu=0.5), 8.0)
    result = method.run({"ct": planning}, {}, quick(trained))
    assert result.measurements["verdict"] in ("flag", "refuse")
    assert any(text.startswith("Another kind of image") and "needs no conversion" in text for text in result.warnings)
    assert any(text.startswith("Out of the training range") for text in result.warnings)


def test_metal_is_flagged(small_result):
    assert any(text.startswith("Metal") for text in small_result.warnings)
    assert small_result.measurements["metal_ml"] > 0.5


def test_the_gate_refuses_what_is_far_out(method, trained):
    foreign = textured(patient(grid(), noise_hu=0.5), 140.0)
    with pytest.raises(InvalidInputError, match=r"not converted.*Out of the training range.*gate=flag"):
        method.run({"ct": foreign}, {"gate": "refuse"}, quick(trained))
    result = method.run({"ct": foreign}, {"gate": "flag"}, quick(trained))
    assert result.measurements["verdict"] == "refuse"
    assert any(text.startswith("Do not use") for text in result.warnings)


def test_the_gates_words_are_the_methods_alerts():
    assert set(gate.PREFIXES) <= set(MVCTConvert.alert_prefixes)


def test_values_that_are_no_hounsfield_units_are_flagged(method, scan, mvct_stand_in):
    shifted = scan.like(np.asarray(scan.array) + 1024.0)
    result = method.run({"ct": shifted}, {}, quick(mvct_stand_in))
    assert any(text.startswith("The values do not look like Hounsfield units") for text in result.warnings)


def test_an_image_of_air_is_refused(method, scan, mvct_stand_in):
    air = scan.like(np.random.default_rng(0).normal(-1000, 5, scan.shape).astype(np.float32))
    with pytest.raises(InvalidInputError, match="No body.*Check"):
        method.run({"ct": air}, {}, quick(mvct_stand_in))


@pytest.mark.parametrize("modality", ["MR", "PT", "NM"])
def test_another_modality_is_refused_by_name(method, scan, mvct_stand_in, modality):
    with pytest.raises(InvalidInputError, match=f"this is {modality}.*Choose another series"):
        method.run({"ct": replace(scan, modality=modality)}, {}, quick(mvct_stand_in))


def test_values_that_are_no_numbers_are_refused(method, scan, mvct_stand_in):
    array = np.array(scan.array)
    array[2, 3, 4] = np.nan
    with pytest.raises(InvalidInputError, match="1 of .* not numbers"):
        method.run({"ct": scan.like(array)}, {}, quick(mvct_stand_in))


def test_every_reader_is_told_of_simulated_training_data(whole):
    assert any("trained on simulated data; for research use" in text for text in whole.warnings)
    assert any("training images" in text for text in whole.warnings)  # this bundle holds no description of them


# --- bundles and parameters ------------------------------------------------------------------------------------------


def test_without_a_model_it_says_so_and_what_works_without(method, scan):
    with pytest.raises(ModelNotFoundError, match=r"No bundle 'nosuch'.*without a trained model.*polynomial"):
        method.run({"ct": scan}, {}, quick("nosuch"))


def test_a_bundle_for_the_other_kind_is_refused(method, scan, mvct_stand_in, tmp_path):
    with pytest.raises(InvalidInputError, match="trained for megavoltage CT.*image=mvct"):
        method.run({"ct": scan}, {"image": "cbct"}, quick(mvct_stand_in))
    cone_beam = write_stand_in(tmp_path / "b", kind="cbct")
    with pytest.raises(InvalidInputError, match="trained for cone-beam CT"):
        method.run({"ct": scan}, {"image": "mvct"}, quick(cone_beam))
    assert method.run({"ct": scan}, {"image": "cbct"}, quick(cone_beam)).volumes


def test_an_ensemble_takes_members_of_its_kind(method, small, mvct_stand_in, tmp_path):
    other = write_stand_in(tmp_path / "b", seed=1)
    settings = {"uncertainty": "ensemble", "members": f"{other.folder},"}
    result = method.run({"ct": small}, settings, quick(mvct_stand_in))
    assert result.volumes["uncertainty"].array.max() > 1
    assert result.provenance["bundle"]["weights_sha256"] == mvct_stand_in.weights_sha256
    finer = write_stand_in(tmp_path / "c", spacing_mm=[1.0, 1.0])
    with pytest.raises(InvalidInputError, match="members: .*Choose models of one kind"):
        method.run({"ct": small}, {**settings, "members": str(finer.folder)}, quick(mvct_stand_in))


def test_what_is_switched_off_is_not_there(method, small, mvct_stand_in):
    settings = {"uncertainty": "none", "residual": False, "density": False}
    result = method.run({"ct": small}, settings, quick(mvct_stand_in))
    assert list(result.volumes) == ["converted", "difference", "gradient_difference"]
    assert "density" not in result.tables


def test_provenance_names_the_bundle_and_the_settings(whole, mvct_stand_in):
    assert whole.provenance["bundle"]["name"] == mvct_stand_in.name
    assert whole.provenance["parameters"] == MVCTParameters().to_dict()


def test_the_network_is_loaded_once(method, scan, mvct_stand_in, monkeypatch):
    method.load(Context(device="cpu", bundle=str(mvct_stand_in.folder)))
    monkeypatch.setattr("manabi.bundle.Bundle.build_network", lambda self: pytest.fail("loaded again"))
    assert method.run({"ct": scan}, {"uncertainty": "none", "residual": False}, quick(mvct_stand_in)).volumes


@pytest.mark.parametrize("name", ["strength", "converter", "uncertainty", "gate"])
def test_parameters_out_of_range_are_refused(name):
    with pytest.raises(InvalidInputError, match=name):
        MVCTParameters.of({name: -1.0})


def test_the_converters_are_those_of_the_parameter():
    for converter in CONVERTERS:
        assert MVCTParameters(converter=converter).converter == converter


def test_importing_the_method_is_light():
    code = (
        "import sys, manabi.mvct.method; "
        "print([m for m in ('torch', 'scipy', 'SimpleITK', 'monai', 'numba', 'matplotlib') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


# --- progress and cancelling -----------------------------------------------------------------------------------------


def test_progress_only_grows_and_ends_at_one(method, small, mvct_stand_in):
    told = []
    method.run({"ct": small}, {}, quick(mvct_stand_in, on_progress=lambda f, text: told.append((f, text))))
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0
    assert all(text for _, text in told)


@pytest.mark.parametrize("at", [0.02, 0.3, 0.6, 0.77, 0.9])
def test_a_cancelled_run_gives_nothing(method, small, mvct_stand_in, at):
    context = quick(mvct_stand_in)
    context.on_progress = lambda fraction, text: context.cancel.set() if fraction >= at else None
    with pytest.raises(CancelledError):
        method.run({"ct": small}, {}, context)


def test_inputs_are_not_touched(method, small, mvct_stand_in):
    before = np.array(small.array)
    method.run(each({"ct": small}, lambda v: v), {}, quick(mvct_stand_in))
    np.testing.assert_array_equal(small.array, before)


# --- dose and faint detail -------------------------------------------------------------------------------------------


def test_a_simple_dose_is_compared_with_the_reference_or_said_to_lack_one(method, small, mvct_stand_in):
    off = {"uncertainty": "none", "residual": False, "dose": True}
    table = method.run({"ct": small, "reference": small.like(np.asarray(small.array) + 1)}, off,
                       quick(mvct_stand_in)).tables["dose"]  # fmt: skip
    assert table.columns[3:] == ("reference", "input_difference", "converted_difference")
    mean = next(row for row in table.rows if row[:2] == ("target", "Dmean"))
    assert mean[3] == pytest.approx(100.0, abs=0.01)
    alone = method.run({"ct": small}, off, quick(mvct_stand_in))
    assert "dose" not in alone.tables and any("needs a reference" in text for text in alone.warnings)


def test_faint_detail_is_given_back_in_soft_tissue_only(method, scan, whole, mvct_stand_in):
    kept = method.run({"ct": scan}, {"keep_detail": 1.0}, quick(mvct_stand_in))
    change = np.abs(np.asarray(kept.volumes["converted"].array) - np.asarray(whole.volumes["converted"].array))
    assert 0.0 < change.max() <= 60.0
    assert not change[np.asarray(whole.labelmaps["body"].volume.array) == 0].any()
