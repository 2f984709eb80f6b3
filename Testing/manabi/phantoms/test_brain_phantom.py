from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from manabi.brain.structures import LABELS
from manabi.context import Context
from manabi.errors import CancelledError, InvalidInputError
from manabi.geometry import Grid
from manabi.phantoms.base import Case, case_rng
from manabi.phantoms.brain import BrainParameters, BrainPhantom
from manabi.phantoms.brain_grid import fine_grid, scan_grid
from manabi.phantoms.brain_label_maps import head_map, labelled_head, tissues_of
from manabi.phantoms.brain_pose import Pose
from manabi.phantoms.brain_scanner import imaged, mean_of_parts
from manabi.phantoms.brain_tissues import CODE

PHANTOM = BrainPhantom()
SMALL = {"voxel_mm": 3.0, "slice_mm": 3.0, "plane": "axial", "tilt_deg": (0.0, 0.0, 0.0)}
VALUE = {label.name: label.value for label in LABELS}


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def _parameters(index: int, **choices: object) -> BrainParameters:
    return PHANTOM.sample_parameters(case_rng(11, index), **{**SMALL, **choices})


@pytest.fixture(scope="module")
def normal() -> Case:
    drawn = _parameters(0, pathology="normal", contrasts=("t1", "heavy_t2"), keep=0.3, inhomogeneity_percent=0.0)
    return PHANTOM.render(drawn)


def test_volumes_are_those_of_adults(normal: Case) -> None:
    truth = {name: value for name, value in normal.truth.items() if isinstance(value, float)}
    assert 900 < truth["volume_left_cerebrum_ml"] + truth["volume_right_cerebrum_ml"] < 1350
    assert 90 < truth["volume_left_cerebellum_ml"] + truth["volume_right_cerebellum_ml"] < 170
    assert 20 < truth["volume_brainstem_ml"] < 38
    assert 6 < truth["volume_ventricles_ml"] < 45
    assert 7 < truth["artery_ml"] < 20


def test_the_truth_counts_the_label_map(normal: Case) -> None:
    labels = normal.labelmaps["structures"].volume
    voxel_ml = float(np.prod(labels.spacing_mm)) / 1000.0
    for label in LABELS:
        counted = float((labels.array == label.value).sum()) * voxel_ml
        assert normal.truth[f"volume_{label.name.replace(' ', '_')}_ml"] == pytest.approx(counted)


def test_left_lies_on_the_patients_left(normal: Case) -> None:
    labels = normal.labelmaps["structures"].volume
    centre = {
        name: labels.grid.ras_of(np.argwhere(labels.array == value)[:, ::-1].mean(axis=0))
        for name, value in VALUE.items()
    }
    assert centre["left cerebrum"][0] < centre["right cerebrum"][0] - 30
    assert centre["left cerebellum"][0] < centre["right cerebellum"][0] - 20
    assert centre["brainstem"][2] < centre["ventricles"][2] < centre["left cerebrum"][2] + 20
    assert centre["left cerebellum"][1] < centre["brainstem"][1]


def test_ventricles_are_dark_in_t1_and_the_brightest_in_heavy_t2(normal: Case) -> None:
    labels = normal.labelmaps["structures"].volume.array
    t1, heavy = (normal.volumes[name].array for name in ("t1", "heavy_t2"))
    inside, brain = labels == VALUE["ventricles"], labels == VALUE["left cerebrum"]
    assert np.median(t1[inside]) < 0.75 * np.median(t1[brain])
    assert np.median(heavy[inside]) > 2.5 * np.median(heavy[brain])


def test_painted_labels_are_faulty_and_the_truth_is_kept(normal: Case) -> None:
    clean, painted = (normal.labelmaps[name].volume.array for name in ("structures", "painted"))
    kept = [int(n) for n in str(normal.truth["painted_slices"]).split()]
    empty = [n for n in range(len(painted)) if n not in kept]
    assert not painted[empty].any() and clean[empty].any()
    assert all(painted[n].any() for n in kept)


def test_hydrocephalus_widens_the_ventricles_and_keeps_the_rest() -> None:
    normal, ill = (PHANTOM.render(_parameters(1, pathology=kind)).truth for kind in ("normal", "hydrocephalus"))
    assert float(ill["volume_ventricles_ml"]) > 60.0  # type: ignore[arg-type]
    assert float(ill["volume_ventricles_ml"]) > 2.5 * float(normal["volume_ventricles_ml"])  # type: ignore[arg-type]
    assert ill["pathology"] == "hydrocephalus"


def test_angiography_shows_vessels_bright_and_cisternography_as_voids() -> None:
    choices = {"contrasts": ("heavy_t2", "tof"), "voxel_mm": 1.4, "slice_mm": 1.4, "noise_percent": 1.0}
    drawn = _parameters(2, field_mm=(80.0, 80.0, 50.0), **choices)
    case = PHANTOM.render(drawn)
    vessels = case.labelmaps["structures"].volume.array == VALUE["vessels"]
    heavy, tof = (case.volumes[name].array.astype(float) for name in ("heavy_t2", "tof"))
    assert PHANTOM.pair(drawn) == ("heavy_t2", "tof")
    assert vessels.sum() > 100
    assert np.median(tof[vessels]) > 1.5 * np.median(tof[~vessels])
    assert np.median(heavy[vessels]) < 0.4 * np.percentile(heavy, 97)


def test_a_case_is_rebuilt_from_its_json(normal: Case) -> None:
    drawn = _parameters(3, plane="coronal", tilt_deg=(4.0, -3.0, 6.0), rotation_deg=[1.0, 2.0, 3.0])
    again = PHANTOM.from_json(PHANTOM.to_json(drawn))
    assert again == drawn
    first, second = PHANTOM.render(drawn), PHANTOM.render(again)
    np.testing.assert_array_equal(first.volumes["t1"].array, second.volumes["t1"].array)
    assert first.volumes["t1"].grid.same_as(second.labelmaps["structures"].volume.grid)
    assert PHANTOM.pair(drawn) is None


@pytest.mark.parametrize("plane", ["axial", "sagittal", "coronal"])
def test_every_plane_covers_the_same_field(plane: str) -> None:
    scan = replace(_parameters(0).scan, plane=plane, slice_mm=6.0, tilt_deg=(0.0, 0.0, 0.0))
    corners = scan_grid(scan, Pose()).corners_ras()
    extent = np.ptp(corners, axis=0)
    np.testing.assert_allclose(extent, np.array(scan.field_mm), atol=10.0)
    np.testing.assert_allclose(corners.mean(axis=0), scan.offset_mm, atol=0.1)


def test_parts_of_voxels_share_their_place() -> None:
    grid = scan_grid(_parameters(0).scan, Pose())
    fine = fine_grid(grid, (3, 2, 2))
    np.testing.assert_allclose(fine.ras_of([0.5, 0.5, 1.0]), grid.ras_of([0.0, 0.0, 0.0]), atol=1e-9)
    np.testing.assert_allclose(mean_of_parts(np.ones((6, 4, 4), np.float32), (3, 2, 2)), np.ones((2, 2, 2)))


def test_noise_follows_the_percentage_in_signal_and_is_rician_in_air() -> None:
    protocol = replace(_parameters(0).protocols.t1, noise_percent=5.0, inhomogeneity_percent=0.0, blur_voxels=0.01)
    flat = np.ones((20, 40, 40), np.float32)
    flat[:, :20] = 0.0
    out = imaged(flat, protocol, 1.0).astype(float)
    level = out[:, 20:].mean()
    assert out[:, 20:].std() / level == pytest.approx(0.05, rel=0.1)
    assert out[:, :20].mean() / level == pytest.approx(0.05 * np.sqrt(np.pi / 2), rel=0.1)


def test_angiography_may_have_a_grid_of_its_own() -> None:
    drawn = _parameters(4, contrasts=("t1", "tof"), same_grid=False, field_mm=(170.0, 210.0, 170.0))
    case = PHANTOM.render(replace(drawn, angio=replace(drawn.angio, field_mm=(60.0, 60.0, 30.0))))
    assert case.volumes["t1"].shape != case.volumes["tof"].shape
    assert case.labelmaps["structures"].volume.grid.same_as(case.volumes["t1"].grid)


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"contrasts": ("pd",)}, "contrasts"),
        ({"pathology": "tumour"}, "pathology"),
        ({"anatomy": "labels"}, "head"),
        ({"colour": 1}, "colour"),
        ({"plane": "oblique"}, "plane"),
        ({"voxel_mm": 0.1}, "million"),
    ],
)
def test_impossible_choices_are_refused(choices: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        _parameters(0, **choices)


def test_a_cancelled_run_stops() -> None:
    context = Context()
    context.cancel.set()
    with pytest.raises(CancelledError):
        PHANTOM.render(_parameters(0), context)


def _ball_map() -> tuple[np.ndarray, Grid]:
    """Two half balls of cortex around white matter, cerebellum and brainstem below; no head around."""
    z, y, x = np.mgrid[-50:50:2, -50:50:2, -50:50:2].astype(float)
    radius = np.sqrt(x**2 + y**2 + z**2)
    codes = np.where(radius < 44, np.where(x < 0, 3, 42), 0)
    codes[radius < 38] = np.where(x < 0, 2, 41)[radius < 38]
    codes[(z < -30) & (radius < 44)] = np.where(x < 0, 8, 47)[(z < -30) & (radius < 44)]
    codes[(z < -24) & (np.abs(x) < 6) & (np.abs(y - 12) < 6) & (radius < 44)] = 16
    matrix = np.diag([2.0, 2.0, 2.0, 1.0])
    matrix[:3, 3] = -50.0
    return codes.astype(np.int32), Grid(codes.shape, matrix)


def test_a_brain_without_a_head_is_dressed_with_skull_and_scalp() -> None:
    source = head_map(*_ball_map())
    tissue = source.tissue.numpy()
    counts = {name: int((tissue == code).sum()) for name, code in CODE.items()}
    assert all(counts[name] > 1000 for name in ("csf", "bone", "marrow", "fat", "skin", "grey", "white"))
    line = tissue[tissue.shape[0] // 2, tissue.shape[1] // 2]
    names = [list(CODE)[v] for v in line[: len(line) // 2]]
    assert names.index("skin") < names.index("fat") < names.index("bone") < names.index("csf") < names.index("grey")


def test_a_label_map_turns_and_scales_with_the_pose() -> None:
    codes, grid = _ball_map()
    source = head_map(codes, grid)
    pose = Pose(scale=(1.1, 1.1, 1.1), rotation_deg=(0.0, 0.0, 20.0))
    wide = scan_grid(replace(_parameters(0).scan, field_mm=(150.0, 150.0, 150.0), offset_mm=(0.0, 0.0, 0.0)), pose)
    head = labelled_head(source, pose, wide)
    before = float((codes > 0).sum()) * 8.0
    after = float((head.classes > 0).sum()) * float(np.prod(wide.spacing_mm))
    assert after / before == pytest.approx(1.1**3, rel=0.03)
    left, right = (wide.ras_of(np.argwhere((head.classes == 1) & (head.side == s))[:, ::-1]).mean(0) for s in (-1, 1))
    along = (right - left) / np.linalg.norm(right - left)
    assert np.degrees(np.arccos(along @ pose.matrix[:, 0] / 1.1)) < 3.0


def test_arteries_of_a_map_take_the_tissue_around_them() -> None:
    codes = np.full((5, 5, 5), 24)
    codes[2, 2, 2] = 502
    assert (tissues_of(codes) == CODE["csf"]).all()


def test_a_map_without_a_brain_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="FreeSurfer"):
        head_map(np.ones((10, 10, 10), np.int32), Grid((10, 10, 10), np.eye(4)))


def test_a_real_head_map_becomes_a_head(data_folder: Callable[[str], Path]) -> None:
    path = data_folder("brain_mr/head_label_maps/training_seg_03.nii.gz")
    choices = {**SMALL, "head": str(path), "scale": (1.0, 1.0, 1.0), "elastic_mm": 0.0}
    case = PHANTOM.render(PHANTOM.sample_parameters(case_rng(1, 0), **choices))
    truth = case.truth
    assert 1000 < float(truth["volume_left_cerebrum_ml"]) + float(truth["volume_right_cerebrum_ml"]) < 1400  # type: ignore[arg-type]
    assert truth["source"] == "labels" and 6 < float(truth["artery_ml"]) < 20  # type: ignore[arg-type]
