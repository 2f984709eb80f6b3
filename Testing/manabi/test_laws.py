"""Laws that hold for every registered method; a method that is added inherits them."""

from __future__ import annotations

import hashlib
import json
import re
import time
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from fixtures_laws import ORIENTATIONS, assert_same_result, each, make_sample, rotated
from scipy.spatial.transform import Rotation

from manabi import registry
from manabi.cli.outcome import main
from manabi.context import Context
from manabi.errors import CancelledError, InvalidInputError
from manabi.io import read_volume, write_volume
from manabi.provenance import REQUIRED, pixel_sha256
from manabi.volume import Volume

CANCEL_WITHIN_S = 5.0
REMEDY = re.compile(r"choose|check|export|save|replace|known:|between|takes|expected|convert|open", re.IGNORECASE)
"""A message that helps says one of these."""
NAME = "Tanaka Tarō 19500101"


@pytest.fixture(scope="module", params=list(registry.METHODS))
def sample(request, tmp_path_factory):
    return make_sample(request.param, tmp_path_factory.mktemp("laws"))


@pytest.fixture(scope="module")
def small_result(sample):
    return sample.run_small()


@pytest.fixture(scope="module")
def whole_result(sample):
    return sample.run()


@pytest.fixture
def small_file(sample, tmp_path):
    """The small part of the sample as a file whose name identifies a patient."""
    return write_volume(sample.small_inputs[sample.name], tmp_path / f"{NAME}.nii.gz")


# --- geometry ---------------------------------------------------------------------------------------------------------


def test_the_samples_axes_cannot_be_confused(sample):
    volume = sample.small_inputs[sample.name]
    assert len(set(volume.shape)) == 3
    assert not np.allclose(volume.array, volume.array[:, :, ::-1], rtol=0.05)


@pytest.mark.parametrize(("axes", "signs"), ORIENTATIONS)
def test_the_order_of_the_axes_does_not_matter(sample, small_result, axes, signs):
    turned = each(sample.small_inputs, lambda v: v.reoriented(axes, signs))
    assert_same_result(sample.run_small(turned), small_result)


@pytest.mark.parametrize(
    ("axes", "signs"),
    [((0, 1, 2), (1, 1, 1)), ((0, 2, 1), (1, -1, 1)), ((1, 2, 0), (-1, 1, -1)), ((2, 0, 1), (1, 1, -1))],
)
def test_every_number_is_the_same_in_another_order_of_axes(sample, whole_result, axes, signs):
    turned = each(sample.inputs, lambda v: v.reoriented(axes, signs))
    assert_same_result(sample.run(turned), whole_result)


@pytest.mark.slow
@pytest.mark.parametrize(("axes", "signs"), ORIENTATIONS)
def test_every_number_is_the_same_in_all_orders_of_axes(sample, whole_result, axes, signs):
    turned = each(sample.inputs, lambda v: v.reoriented(axes, signs))
    assert_same_result(sample.run(turned), whole_result)


@pytest.mark.parametrize("angles_deg", [(0.0, 0.0, 30.0), (14.0, -17.0, 22.0)])
def test_a_patient_who_lies_obliquely_has_the_same_result(sample, whole_result, angles_deg):
    turn = Rotation.from_euler("xyz", angles_deg, degrees=True).as_matrix()
    turned = each(sample.inputs, lambda v: rotated(v, turn))
    assert_same_result(sample.run(turned), whole_result, tolerance=1e-4, rotation=turn)


def test_an_oblique_left_handed_scan_has_the_same_result(sample, whole_result):
    turn = Rotation.from_euler("xyz", (10.0, 20.0, -15.0), degrees=True).as_matrix()
    turned = each(sample.inputs, lambda v: rotated(v.reoriented((0, 1, 2), (-1, 1, 1)), turn))
    assert turned[sample.name].grid.is_left_handed
    assert_same_result(sample.run(turned), whole_result, tolerance=1e-4, rotation=turn)


def test_outputs_lie_on_the_inputs_grid(sample, whole_result):
    images = [*whole_result.volumes.values(), *(labels.volume for labels in whole_result.labelmaps.values())]
    assert images
    for image in images:
        assert image.grid.same_as(sample.volume.grid), image.name


# --- the same again ---------------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bits(sample, whole_result):
    again = registry.method(sample.method.name).run(sample.inputs, {}, sample.context())
    for name, volume in whole_result.volumes.items():
        assert pixel_sha256(again.volumes[name].array) == pixel_sha256(volume.array), name
    for name, labels in whole_result.labelmaps.items():
        assert pixel_sha256(again.labelmaps[name].volume.array) == pixel_sha256(labels.volume.array), name
    assert again.measurements == whole_result.measurements
    assert again.tables == whole_result.tables
    assert again.warnings == whole_result.warnings


def test_the_input_is_not_touched(sample):
    arrays = {name: np.array(volume.array) for name, volume in sample.small_inputs.items()}
    before = {name: pixel_sha256(array) for name, array in arrays.items()}
    sample.run_small({name: v.like(arrays[name]) for name, v in sample.small_inputs.items()})
    assert {name: pixel_sha256(array) for name, array in arrays.items()} == before


@pytest.mark.parametrize("form", ["read_only", "not_contiguous", "big_endian", "float64"])
def test_any_memory_layout_is_taken(sample, small_result, form):
    def change(volume):
        array = np.array(volume.array)
        if form == "read_only":
            array.setflags(write=False)
        elif form == "not_contiguous":
            array = np.repeat(array, 2, axis=2)[:, :, ::2]
        else:
            array = array.astype(">f4" if form == "big_endian" else np.float64)
        return volume.like(array)

    assert_same_result(sample.run_small(each(sample.small_inputs, change)), small_result, tolerance=1e-5)


# --- cancelling -------------------------------------------------------------------------------------------------------


class Cancelling(Context):
    """Cancels itself as soon as the progress reaches ``at``; notes when."""

    at = 0.0
    since = 0.0

    def progress(self, fraction, text=""):
        super().progress(fraction, text)
        low, high = self._span
        if low + (high - low) * fraction >= self.at and not self.cancel.is_set():
            self.since = time.perf_counter()
            self.cancel.set()


@pytest.mark.parametrize("at", [0.0, 0.3, 0.6, 0.77, 0.9])
def test_a_cancelled_run_stops_soon_and_gives_nothing(sample, at):
    context = Cancelling(device="cpu", bundle=sample.bundle)
    context.at = at
    with pytest.raises(CancelledError, match="Nothing was written"):
        sample.method.run(sample.inputs, {}, context)
    assert time.perf_counter() - context.since < CANCEL_WITHIN_S


def test_a_run_that_was_cancelled_before_does_not_begin(sample):
    told = []
    context = sample.context(on_progress=lambda *step: told.append(step))
    context.cancel.set()
    with pytest.raises(CancelledError):
        sample.method.run(sample.inputs, {}, context)
    assert told == []


@pytest.mark.parametrize("at", [None, 0.5, 0.9])
def test_cancelling_the_command_leaves_no_file(sample, tmp_path, monkeypatch, capfd, at):
    scans = {name: write_volume(volume, tmp_path / f"{name}.nii.gz") for name, volume in sample.inputs.items()}
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))

    def context(**attributes):
        made = Cancelling(**attributes)
        made.at = 0.0 if at is None else at
        if at is None:
            made.cancel.set()
        return made

    monkeypatch.setattr("manabi.cli.run.Context", context)
    given = [f"{name}={path}" for name, path in scans.items()]
    arguments = ["run", sample.method.name, *given, "--output", str(tmp_path / "deep" / "out"), "--device", "cpu"]
    assert main(arguments + (["--bundle", sample.bundle] if sample.bundle else [])) == 130
    assert "Nothing was written" in capfd.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "manabi-home") == sorted(
        [*(path.name for path in scans.values()), "scratch"]
    )
    assert not list(scratch.iterdir())


def test_progress_only_grows_and_ends_at_one(sample):
    told = []
    sample.run(on_progress=lambda fraction, text: told.append((fraction, text)))
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0 and len(fractions) >= 5
    assert all(text for _, text in told)


# --- provenance -------------------------------------------------------------------------------------------------------


def test_provenance_is_complete_and_plain(sample, whole_result):
    record = whole_result.provenance
    assert set(REQUIRED) <= set(record)
    assert record["method"] == sample.method.name
    assert record["seed"] == 5
    assert record["inputs"][sample.name]["pixel_sha256"] == pixel_sha256(sample.volume.array)
    assert record["parameters"] == sample.method.parameters_type().to_dict()
    assert record["warnings"] == whole_result.warnings
    assert json.loads(json.dumps(record)) == record
    if sample.method.default_bundle:
        assert set(record["bundle"]) == {"name", "version", "weights_sha256", "trained_on"}


def test_no_output_names_the_patient_or_a_path(sample, small_file, tmp_path):
    """Neither provenance nor warnings nor result.json hold a path or the file's name, which is often the patient's."""
    volume = read_volume(small_file)
    result = sample.run_small({**sample.small_inputs, sample.name: replace(volume, modality=None)})
    text = json.dumps([result.provenance, result.warnings, result.measurements], ensure_ascii=False)
    assert "Tanaka" not in text
    assert str(tmp_path) not in text
    assert "stand-in/" not in text


def test_files_among_the_parameters_are_recorded_by_their_content(sample, tmp_path):
    fields = sample.method.parameters_type.__dataclass_fields__
    file = tmp_path / f"{NAME}.json"
    file.write_text("{}", encoding="utf-8")
    chosen = [name for name, field in fields.items() if field.metadata.get("file")]
    record = sample.method.parameters_type.of(dict.fromkeys(chosen, str(file))).recorded()
    assert set(record) == set(fields)
    for name in chosen:
        assert record[name] == f"sha256:{hashlib.sha256(b'{}').hexdigest()}"


# --- inputs that cannot be used ---------------------------------------------------------------------------------------


def refused(sample, change=None, parameters=None):
    """The message with which a changed input, or parameters, are refused."""
    inputs = dict(sample.small_inputs)
    if change:
        inputs[sample.name] = change(inputs[sample.name])
    with pytest.raises(InvalidInputError) as caught:
        sample.method.run(inputs, parameters or {}, sample.context())
    message = str(caught.value)
    assert REMEDY.search(message), message
    return message


def with_value(volume, value):
    array = np.array(volume.array, np.float32)
    array[array.shape[0] // 2, 3, 4] = value
    return volume.like(array)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_are_refused(sample, value):
    message = refused(sample, lambda v: with_value(v, value))
    assert "1 of" in message and sample.name in message


@pytest.mark.parametrize("value", [0.0, 7.0])
def test_an_empty_image_is_refused(sample, value):
    assert "same value" in refused(sample, lambda v: v.like(np.full(v.shape, value, np.float32)))


def test_another_modality_is_refused_by_name(sample):
    others = {"CT", "MR", "NM", "DX", "US"} - set(sample.method.inputs[0].modalities)
    for modality in sorted(others):
        message = refused(sample, lambda v, m=modality: replace(v, modality=m))
        assert modality in message


def test_an_unknown_modality_is_let_through_with_a_warning(sample):
    unknown = each(sample.small_inputs, lambda v: replace(v, modality=None))
    assert any("does not say what" in text for text in sample.run_small(unknown).warnings)


def test_too_small_an_image_is_refused(sample):
    least = sample.method.inputs[0].min_shape
    if min(least) == 1:
        pytest.skip("this method takes single slices")
    for axis in range(3):
        message = refused(sample, lambda v, a=axis: v.crop((0, 0, 0), thinned(v.shape, a, min(least) - 1)))
        assert str(least) in message


def thinned(shape, axis, size):
    return tuple(size if a == axis else n for a, n in enumerate(shape))


def test_a_sequence_of_volumes_is_refused_when_read(sample, tmp_path):
    frames = [sample.small_inputs[sample.name].to_sitk()] * 3
    file = tmp_path / "sequence.nii.gz"
    sitk.WriteImage(sitk.JoinSeries(frames), str(file))
    with pytest.raises(InvalidInputError, match=r"4-D.*expected one"):
        read_volume(file)
    array = np.stack([np.asarray(sample.small_inputs[sample.name].array)] * 3)
    with pytest.raises(InvalidInputError, match="three axes.*Choose one frame"):
        Volume(array, np.eye(4))


def test_a_flat_image_is_refused_where_slices_are_needed(sample, tmp_path):
    if sample.method.inputs[0].min_shape[0] == 1:
        pytest.skip("this method takes single images")
    flat = sitk.GetImageFromArray(np.asarray(sample.small_inputs[sample.name].array[5]))
    sitk.WriteImage(flat, str(tmp_path / "flat.mha"))
    message = refused(sample, lambda _: replace(read_volume(tmp_path / "flat.mha"), modality=None))
    assert "at least" in message


def test_what_is_no_volume_is_refused(sample):
    with pytest.raises(InvalidInputError, match="must be a manabi Volume"):
        sample.method.run({sample.name: np.ones((9, 9, 9))}, {}, sample.context())
    with pytest.raises(InvalidInputError, match="unknown: nosuch"):
        sample.method.run({"nosuch": sample.volume}, {}, sample.context())
    with pytest.raises(InvalidInputError, match=f"missing: {sample.name}"):
        sample.method.run({}, {}, sample.context())


def test_unknown_parameters_are_refused_with_the_known_ones(sample):
    message = refused(sample, parameters={"nosuch": 1})
    assert all(name in message for name in ("nosuch", *sample.method.parameters_type.__dataclass_fields__))


def test_parameters_out_of_range_are_refused_with_their_range(sample):
    fields = sample.method.parameters_type.__dataclass_fields__
    for name, field in fields.items():
        for key, step in (("low", -1), ("high", 1)):
            if key in field.metadata:
                message = refused(sample, parameters={name: field.metadata[key] + step})
                assert name in message and str(field.metadata[key]) in message
    assert fields
