"""The acceptance checks 3, 5 to 7, 10, 12, 13 and 20 of the survey of Slicer's users.

Check 2 is in ``test_preflight.py``, 4 in ``store/test_download.py``, 8 and 9 in ``test_batch.py``, 21 (and 10 again) in
``radiomics/test_radiomics_batch.py``, where they are slow, 16 in ``io/test_dicom_converted_ct.py`` and
``io/test_dicom_write.py``. In Slicer, on the
stand-in for it: 1 in ``manabi_slicer/test_install.py``, 2 in ``manabi_slicer/test_preflight_panel.py``, 3 and 5 in
``SPECTDenoise/test_spect_module.py`` (an awkward home, no network), 7 in ``SPECTDenoise/test_spect_panel.py`` (cancel),
8 and 9 in ``manabi_slicer/test_headless.py``, 10 in ``SPECTDenoise/test_spect_module.py`` (three clicks), 11 in
``SPECTDenoise/test_spect_views.py``, 24 in ``SPECTDenoise/test_spect_panel.py`` (saved, restarted, renamed).
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pydicom
import pytest
import torch
from fixtures_spect import head, head_grid, quick
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from torch import nn

from manabi import registry
from manabi.cli import console
from manabi.cli.outcome import main
from manabi.context import Context
from manabi.errors import GeometryError, InvalidInputError
from manabi.inference import Cost, Demand, Setting, plan_window, predict_stack, predict_volume
from manabi.io import read_volume, write_volume
from manabi.io.dicom import write_dicom
from manabi.spect.quantify import voxel_ml
from manabi.store import BundleStore
from manabi.volume import Volume

AWKWARD = "Patienten & Befunde é ü 患者"
CT_500 = (500, 512, 512)
LAPTOP_MB = 0.7 * 8 * 1024
CANCEL_WITHIN_S = 5.0


def run(capfd, *arguments):
    """Exit code and the JSON object of one command."""
    code = main([str(text) for text in arguments] + ["--json"])
    return code, json.loads(capfd.readouterr().out)


@pytest.fixture
def scan_file(striatum_case, tmp_path):
    folder = tmp_path / AWKWARD
    folder.mkdir()
    return write_volume(striatum_case[0].volumes["spect_5min"], folder / "Müller, José (5 min).nii.gz")


# --- 6: an 8 GB machine finishes, and says what it changed ---------------------------------------------------------


def test_a_500_slice_ct_is_planned_into_8_gb_and_told():
    unet = Demand(bytes_per_voxel=650.0, fixed_bytes=50e6, step_flops_per_voxel=1.0, n_outputs=2)
    cost = Cost(unet, CT_500, labels=True, copy_bytes=2 * int(np.prod(CT_500)))
    context = Context(memory_limit_mb=LAPTOP_MB)
    start = Setting("cpu", 1, CT_500, (32, 32, 32), 16)
    assert cost.memory_mb(CT_500) > 8 * LAPTOP_MB
    found = plan_window(start, cost, LAPTOP_MB, context)
    assert cost.memory_mb(found.window, found.batch) <= LAPTOP_MB
    assert any("overlapping parts" in text and "differ slightly" in text for text in context.warnings)


def test_a_tall_volume_completes_in_little_memory_with_the_same_values():
    """A small surrogate of the 500-slice CT: 500 slices, a network of convolutions, 25 MB to plan with."""
    torch.manual_seed(1)
    network = nn.Sequential(nn.Conv3d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv3d(8, 2, 3, padding=1))
    image = np.random.default_rng(0).normal(size=(1, 500, 32, 32)).astype(np.float32)
    whole = predict_volume(network, image, context=quick(None))
    small = quick(None, memory_limit_mb=25.0)
    parts = predict_volume(network, image, context=small, blend="gaussian")
    assert any("overlapping parts" in text for text in small.warnings)
    assert whole.shape == parts.shape == (2, 500, 32, 32)
    inner = np.s_[:, 4:-4, 4:-4, 4:-4]
    assert np.mean(np.abs(whole - parts)[inner] < 0.05) > 0.95


def test_running_out_of_memory_is_answered_with_smaller_batches_and_told():
    class Hungry(nn.Module):
        """Needs more than there is for more than four slices at a time."""

        def forward(self, x):
            if len(x) > 4:
                raise RuntimeError("[enforce fail] not enough memory: you tried to allocate 99 bytes")
            return x

    context = quick(None)
    slices = np.random.default_rng(0).random((33, 1, 32, 32)).astype(np.float32)
    np.testing.assert_allclose(predict_stack(Hungry(), slices, context=context), slices, rtol=1e-6)
    assert any("ran out of memory" in text and "result is the same" in text for text in context.warnings)


def test_the_limit_of_the_command_line_reaches_the_planning(scan_file, spect_stand_in, tmp_path, capfd):
    code, record = run(
        capfd, "run", "spect", scan_file, "--output", tmp_path / "out", "--bundle", spect_stand_in.folder,
        "--device", "cpu", "--memory-limit", "300", "--set", "quantify=false",
    )  # fmt: skip
    assert code == 0
    assert record["provenance"]["device"] == "cpu"
    assert record["provenance"]["warnings"] == record["warnings"]


# --- 7: progress, a time estimate, cancelling within five seconds --------------------------------------------------


def test_progress_tells_how_far_what_and_how_long(monkeypatch):
    """A bar with per cent, what is done, the time that passed and an estimate of the time that remains."""
    import rich.progress

    bars = []

    class Watched(rich.progress.Progress):
        def __init__(self, *columns, **options):
            super().__init__(*columns, **options)
            bars.append(self)

    monkeypatch.setattr(rich.progress, "Progress", Watched)
    with console.progress("SPECTDenoise") as tell:
        for step in range(5):
            time.sleep(0.02)
            tell(step / 10, "Slice 7")
        (task,) = bars[0].tasks
        assert (task.description, task.completed, task.percentage) == ("SPECTDenoise: Slice 7", 0.4, 40.0)
        assert 0 < task.time_remaining < 60
        assert any(isinstance(column, rich.progress.TimeRemainingColumn) for column in bars[0].columns)


def test_progress_is_told_at_least_every_twentieth_of_a_filter_run():
    told = []
    context = quick(None, on_progress=lambda fraction, text: told.append((time.perf_counter(), fraction, text)))
    registry.method("spect").run(head(head_grid(4.4)), {"denoiser": "nlm", "quantify": False}, context)
    fractions = [fraction for _, fraction, _ in told]
    assert np.diff(fractions).max() < 0.3
    assert len(told) > 20
    assert max(np.diff([when for when, _, _ in told])) < CANCEL_WITHIN_S


def test_ctrl_c_ends_a_real_run_within_five_seconds(scan_file, tmp_path):
    """Slow on purpose (BM3D); stopped as soon as it has begun."""
    out = tmp_path / "out"
    command = [sys.executable, "-m", "manabi", "run", "spect", str(scan_file), "--output", str(out), "--json",
               "--set", "denoiser=bm3d", "--device", "cpu", "--debug"]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        wait_until_running(process)
        process.send_signal(signal.SIGINT)
        asked = time.perf_counter()
        printed, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert time.perf_counter() - asked < CANCEL_WITHIN_S
    assert process.returncode == 130
    assert json.loads(printed)["error"]["type"] == "CancelledError"
    assert not out.exists()


def wait_until_running(process):
    """Until the run has loaded what it needs (scikit-image is imported by the first step of a filter run)."""
    import psutil

    watched = psutil.Process(process.pid)
    for _ in range(1200):
        if process.poll() is not None or any("skimage" in m.path for m in watched.memory_maps()):
            return
        time.sleep(0.05)
    pytest.fail("the run did not begin within a minute")


# --- 12: tilted and unevenly spaced series never shear in silence --------------------------------------------------


@pytest.mark.parametrize(
    "folder", ["dicom_edge/ge_head_tilt_varspacing_j2k", "dicom_edge/dicom2nifti/gantrytilting"]
)
def test_a_tilted_ct_is_straightened_with_a_warning(data_folder, folder):
    volume = read_volume(data_folder(folder))
    assert not volume.grid.is_sheared
    assert any("tilt" in text.lower() and "resampled" in text.lower() for text in volume.warnings)
    assert volume.modality == "CT"
    assert np.ptp(np.asarray(volume.array, float)) > 200


def test_the_tilted_slices_lie_where_their_headers_say(data_folder):
    """Bright bone of one slice, placed by its own header, is bright in the straightened volume at that place."""
    folder = data_folder("dicom_edge/ge_head_tilt_varspacing_j2k")
    volume = read_volume(folder)
    files = sorted(folder.glob("*.dcm"))
    headers = sorted((pydicom.dcmread(f) for f in files), key=lambda d: float(d.ImagePositionPatient[2]))
    for header in headers[2:-2:4]:
        pixels = header.pixel_array * float(header.RescaleSlope) + float(header.RescaleIntercept)
        rows, columns = np.nonzero(pixels > 700)
        assert len(rows) > 50
        across, down = np.split(np.array(header.ImageOrientationPatient, float), 2)
        row_mm, column_mm = map(float, header.PixelSpacing)
        places = (np.array(header.ImagePositionPatient, float) + columns[:, None] * column_mm * across
                  + rows[:, None] * row_mm * down)  # fmt: skip
        i, j, k = np.rint(volume.grid.ijk_of(places * [-1, -1, 1])).astype(int).T
        inside = (k >= 0) & (k < volume.shape[0])
        assert np.mean(np.asarray(volume.array)[k[inside], j[inside], i[inside]] > 400) > 0.8


@pytest.mark.parametrize(
    ("folder", "words"),
    [("dicom_edge/dicom2nifti/sliceincrement", "slice"), ("dicom_edge/dicom2nifti/sliceorientation", "orientation")],
)
def test_what_forms_no_stack_is_refused_and_named(data_folder, folder, words):
    with pytest.raises((GeometryError, InvalidInputError), match=words):
        read_volume(data_folder(folder))


def test_a_warning_of_reading_reaches_the_result(striatum_case, spect_stand_in):
    volume = striatum_case[0].volumes["spect_5min"].with_warning("Gantry tilt of 18°: it was resampled.")
    result = registry.method("spect").run(volume, {"quantify": False}, quick(spect_stand_in.folder))
    assert result.warnings[0] == "Gantry tilt of 18°: it was resampled."
    assert result.provenance["warnings"] == result.warnings


# --- 13: a left-handed volume stays itself ----------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_left_stays_left_through_a_run_and_its_files(striatum_case, spect_stand_in, tmp_path, capfd, suffix):
    scan = striatum_case[0].volumes["spect_5min"]
    left_handed = scan.reoriented((0, 1, 2), (-1, 1, 1))
    assert left_handed.grid.is_left_handed
    file = write_volume(left_handed, tmp_path / f"scan{suffix}")
    assert read_volume(file).grid.same_as(left_handed.grid)
    code, record = run(
        capfd, "run", "spect", file, "--output", tmp_path / "out", "--bundle", spect_stand_in.folder,
        "--format", "nrrd" if suffix == ".nrrd" else "nifti", "--set", "denoiser=gaussian",
    )  # fmt: skip
    assert code == 0
    denoised = read_volume(record["outputs"]["volumes"]["denoised"])
    assert denoised.grid.same_as(left_handed.grid)
    there = denoised.reoriented_like(scan.grid)
    expected = registry.method("spect").run(scan, {"denoiser": "gaussian"}, quick(None))
    np.testing.assert_allclose(there.array, expected.volumes["denoised"].array, rtol=1e-4, atol=1e-4)
    for name in ("sbr_putamen_left_input", "sbr_putamen_right_input"):
        assert record["measurements"][name] == pytest.approx(expected.measurements[name], abs=2e-3)
    assert record["measurements"]["sbr_putamen_left_input"] > record["measurements"]["sbr_putamen_right_input"]


def test_left_stays_left_through_dicom(striatum_case, tmp_path):
    scan = striatum_case[0].volumes["spect_5min"]
    left_handed = scan.reoriented((0, 1, 2), (-1, 1, 1))
    write_dicom(left_handed, tmp_path / "dicom", None, series_description="x", provenance={})
    back = read_volume(tmp_path / "dicom").reoriented_like(scan.grid)
    assert back.grid.same_as(scan.grid)
    step = float(np.asarray(scan.array).max()) / 65535
    np.testing.assert_allclose(back.array, scan.array, atol=step)


# --- 20: raw projections are refused; counts and volumes are right --------------------------------------------------


def projections(path, image_type):
    """What a gamma camera writes before anybody reconstructs: views of all sides."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.20", generate_uid()
    dataset.Modality, dataset.ImageType = "NM", image_type
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3", "1.2.3.4"
    dataset.Rows = dataset.Columns = 64
    dataset.NumberOfFrames = 60
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 0
    dataset.PixelSpacing = [3.29, 3.29]
    rotation = Dataset()
    rotation.StartAngle, rotation.AngularStep, rotation.NumberOfFramesInRotation = 0.0, 6.0, 60
    dataset.RotationInformationSequence = [rotation]
    dataset.PixelData = np.random.default_rng(0).poisson(20, (60, 64, 64)).astype(np.uint16).tobytes()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.save_as(path, enforce_file_format=True)
    return path


@pytest.mark.parametrize(
    "image_type", [["ORIGINAL", "PRIMARY", "TOMO", "EMISSION"], ["ORIGINAL", "PRIMARY", "GATED TOMO", "EMISSION"]]
)
def test_raw_projections_are_refused_with_an_explanation(tmp_path, capfd, image_type):
    file = projections(tmp_path / "tomo.dcm", image_type)
    with pytest.raises(InvalidInputError, match=r"raw views of the gamma camera.*reconstruct them first"):
        read_volume(file)
    code, record = run(capfd, "run", "spect", file, "--output", tmp_path / "out")
    assert code == 2
    assert "reconstruct them first" in record["error"]["message"]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("spacing", [(3.29, 3.29, 3.29), (2.46, 2.46, 4.8)])
@pytest.mark.parametrize("way", ["nifti", "dicom"])
def test_a_sphere_of_27_ml_has_27_ml_and_its_counts(tmp_path, way, spacing):
    """As users tried it: a phantom of known volume and counts, written, read and run."""
    grid = head_grid(spacing)
    k, j, i = np.indices(grid.shape)
    distance = np.linalg.norm(grid.ras_of(np.stack([i, j, k], -1)) - [3.0, -4.0, 6.0], axis=-1)
    radius = (27_000 * 3 / (4 * np.pi)) ** (1 / 3)
    share = np.clip(0.5 + (radius - distance) / np.mean(spacing), 0, 1)
    volume = Volume((share * 1000).astype(np.float32), grid.ijk_to_ras, "NM", "CNTS")
    if way == "nifti":
        back = read_volume(write_volume(volume, tmp_path / "sphere.nii.gz"))
    else:
        write_dicom(volume, tmp_path / "sphere", None, series_description="sphere", provenance={})
        back = read_volume(tmp_path / "sphere")
        assert back.units == "CNTS"
    assert np.asarray(back.array, float).sum() / 1000 * voxel_ml(back) == pytest.approx(27.0, rel=0.01)
    assert np.asarray(back.array, float).sum() == pytest.approx(np.asarray(volume.array, float).sum(), rel=1e-4)


def test_the_counts_of_a_phantom_are_those_of_its_reference(striatum_case, spect_stand_in):
    """Five minutes hold a fifth of 25; the reconstruction and the run keep them; striata have their volumes."""
    case, _ = striatum_case
    sums = {name: float(np.asarray(case.volumes[name].array, float).sum()) for name in ("spect_5min", "spect_25min")}
    assert sums["spect_5min"] / sums["spect_25min"] == pytest.approx(0.2, rel=0.02)
    assert case.truth["projection_counts_5min"] / case.truth["projection_counts_25min"] == pytest.approx(0.2, rel=0.02)
    activity = float(np.asarray(case.volumes["activity"].array, float).sum())
    assert sums["spect_25min"] / activity == pytest.approx(1.0, rel=0.1)
    result = registry.method("spect").run(case.volumes["spect_5min"], {"quantify": False}, quick(spect_stand_in.folder))
    kept = float(np.asarray(result.volumes["denoised"].array, float).sum())
    assert kept == pytest.approx(sums["spect_5min"], rel=1e-6)
    labels = case.labelmaps["striatum"]
    for segment in labels.segments:
        structure, side = segment.name.split()
        ml = np.count_nonzero(np.asarray(labels.volume.array) == segment.label) * voxel_ml(labels.volume)
        assert ml == pytest.approx(case.truth[f"volume_{structure}_{side}_ml"], rel=0.35)


# --- 5: paths with spaces and accents --------------------------------------------------------------------------------


def test_awkward_paths_of_scan_bundle_and_results_work(scan_file, spect_stand_in, tmp_path, capfd):
    import shutil

    bundle = tmp_path / "modèles à moi" / "学び 1"
    shutil.copytree(spect_stand_in.folder, bundle)
    out = tmp_path / "Ergebnis für Müller" / "läuft"
    code, record = run(capfd, "run", "spect", scan_file, "--output", out, "--bundle", bundle, "--set", "quantify=no")
    assert code == 0
    assert read_volume(record["outputs"]["volumes"]["denoised"]).shape == read_volume(scan_file).shape
    assert sorted(path.suffix for path in out.iterdir() if path.is_file()) == [".gz", ".gz", ".gz", ".json", ".json"]
    text = (out / "result.json").read_text(encoding="utf-8")
    assert "Müller" not in text and "José" not in text


def test_awkward_paths_work_in_a_process_of_its_own(scan_file, tmp_path):
    out = tmp_path / "résultat 1"
    command = [sys.executable, "-m", "manabi", "run", "spect", str(scan_file), "--output", str(out), "--json",
               "--set", "denoiser=gaussian", "--set", "quantify=false"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, encoding="utf-8")
    assert (done.returncode, (out / "denoised.nii.gz").is_file()) == (0, True)
    assert json.loads(done.stdout)["outputs"]["folder"] == str(out)


def test_awkward_paths_work_in_a_batch(scan_file, tmp_path, capfd):
    out = tmp_path / "résultats 学び"
    code, record = run(
        capfd, "batch", "spect", scan_file.parent, "--output", out, "--device", "cpu", "--keep-names",
        "--set", "denoiser=gaussian", "--set", "quantify=false",
    )  # fmt: skip
    assert (code, record["done"]) == (0, 1)
    assert (out / "Müller, José (5 min)" / "denoised.nii.gz").is_file()


# --- 3: no network, a bundle supplied --------------------------------------------------------------------------------


def test_a_supplied_bundle_runs_without_any_network(scan_file, spect_stand_in, tmp_path, capfd, monkeypatch):
    """Installed from a zip and run; whoever asks for a connection or a name fails the test."""

    def refuse(*arguments, **_):
        pytest.fail(f"the network was asked for: {arguments}")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(f"socket.socket.{name}", refuse)
    for name in ("getaddrinfo", "gethostbyname", "create_connection"):
        monkeypatch.setattr(f"socket.{name}", refuse)
    zipped = BundleStore().export(spect_stand_in.folder, tmp_path / "carried.zip")
    assert main(["bundle", "install", str(zipped)]) == 0
    capfd.readouterr()
    code, record = run(capfd, "run", "spect", scan_file, "--output", tmp_path / "out", "--device", "cpu",
                       "--bundle", "spect-default@0.0.1", "--set", "quantify=no")  # fmt: skip
    assert code == 0
    assert record["provenance"]["bundle"]["version"] == "0.0.1"


# --- 10: the same numbers, one scan or many ---------------------------------------------------------------------------


def test_a_batch_gives_the_bits_of_a_single_run(striatum_case, spect_stand_in, tmp_path, capfd):
    """Two processes side by side against one run in this process: images, tables and numbers."""
    scans = striatum_case[0].volumes
    for name in ("a", "b"):
        write_volume(scans["spect_5min"], tmp_path / "cases" / name / "spect.nii.gz")
        write_volume(scans["spect_25min"], tmp_path / "cases" / name / "full_time.nii.gz")
    common = ["--bundle", spect_stand_in.folder, "--device", "cpu", "--seed", 3]
    code, _ = run(capfd, "batch", "spect", tmp_path / "cases", "--output", tmp_path / "many", "--workers", 2, *common)
    assert code == 0
    inputs = [tmp_path / "cases" / "a" / "spect.nii.gz", f"full_time={tmp_path / 'cases' / 'a' / 'full_time.nii.gz'}"]
    assert run(capfd, "run", "spect", *inputs, "--output", tmp_path / "one", *common)[0] == 0
    for case in ("case-0001", "case-0002"):
        for file in (tmp_path / "one").iterdir():
            twin = tmp_path / "many" / case / file.name
            if file.suffix in (".csv", ".json") and file.name != "result.json":
                assert twin.read_bytes() == file.read_bytes(), file.name
            elif file.name.endswith(".nii.gz"):
                np.testing.assert_array_equal(read_volume(twin).array, read_volume(file).array, err_msg=file.name)
    assert (tmp_path / "many" / "case-0002" / "comparison.csv").is_file()
