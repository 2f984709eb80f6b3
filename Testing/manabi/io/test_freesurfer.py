"""FreeSurfer's MGH and MGZ are read without nibabel, and lie where nibabel and a NIfTI of the same image put them."""

from __future__ import annotations

import gzip
import subprocess
import sys

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from manabi.batch.sources import IMAGES
from manabi.cli.outcome import main
from manabi.errors import GeometryError, InvalidInputError
from manabi.io.files import read_volume
from manabi.io.freesurfer import HEADER

nibabel = pytest.importorskip("nibabel")
SHAPE = (6, 5, 4)


def place() -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", (17, -9, 28), degrees=True).as_matrix() * (-0.8, 1.1, 2.5)
    matrix[:3, 3] = (-31.0, 12.5, 177.0)
    return matrix


def written(path, dtype=np.uint8, shape=SHAPE):
    values = np.random.default_rng(0).integers(0, 90, shape).astype(dtype)
    nibabel.save(nibabel.MGHImage(values, place()), path)
    return values


def changed(path, **fields):
    """The file with some fields of its header set."""
    content = path.read_bytes()
    header = np.frombuffer(content, HEADER, count=1).copy()
    for name, value in fields.items():
        header[name] = value
    path.write_bytes(header.tobytes() + content[HEADER.itemsize :])


@pytest.mark.parametrize("suffix", [".mgh", ".mgz"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.float32])
def test_an_oblique_file_has_the_voxels_and_the_place_of_nibabel(tmp_path, suffix, dtype):
    path = tmp_path / f"a{suffix}"
    values = written(path, dtype)
    volume = read_volume(path)
    np.testing.assert_array_equal(volume.array, values.transpose(2, 1, 0))
    assert volume.array.dtype == dtype
    np.testing.assert_allclose(volume.ijk_to_ras, nibabel.load(path).affine, atol=1e-4)


def test_whole_numbers_of_two_bytes_without_sign_are_read(tmp_path):
    path = tmp_path / "a.mgh"
    written(path, np.int16)
    changed(path, type=10)
    assert read_volume(path).array.dtype == np.uint16


def test_nibabel_is_not_needed(tmp_path):
    written(tmp_path / "a.mgz")
    code = (
        "import sys; sys.modules['nibabel'] = None\n"
        f"from manabi.io import read_volume; sys.exit(read_volume({str(tmp_path / 'a.mgz')!r}).shape != (4, 5, 6))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_file_without_a_place_is_coronal_and_says_so(tmp_path):
    path = tmp_path / "a.mgh"
    written(path)
    changed(path, placed=0)
    volume = read_volume(path)
    np.testing.assert_array_equal(volume.ijk_to_ras[:3, :3], [[-1, 0, 0], [0, 0, 1], [0, -1, 0]])
    assert any("Left and right" in text for text in volume.warnings)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kept", [60, 300])
def test_a_truncated_file_gets_a_plain_error(tmp_path, packed, kept):
    path = tmp_path / "a.mgz"
    written(path)
    content = gzip.decompress(path.read_bytes())[:kept]
    path.write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(InvalidInputError, match="truncated"):
        read_volume(path)


def test_a_damaged_packed_file_gets_a_plain_error(tmp_path):
    path = tmp_path / "a.mgz"
    written(path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InvalidInputError, match="damaged"):
        read_volume(path)


@pytest.mark.parametrize(
    ("fields", "text"),
    [({"version": 7}, "damaged"), ({"size": (0, 5, 4)}, "damaged"), ({"type": 2}, "type 2"), ({"frames": 3}, "4-D")],
)
def test_what_is_no_volume_is_refused(tmp_path, fields, text):
    path = tmp_path / "a.mgh"
    written(path)
    changed(path, **fields)
    with pytest.raises(InvalidInputError, match=text):
        read_volume(path)


@pytest.mark.parametrize("fields", [{"spacing": 0.0}, {"axes": np.nan}])
def test_voxels_that_cannot_be_placed_are_refused(tmp_path, fields):
    path = tmp_path / "a.mgh"
    written(path)
    changed(path, **fields)
    with pytest.raises(GeometryError, match="cannot place"):
        read_volume(path)


def test_a_batch_finds_these_files():
    assert {".mgz", ".mgh"} <= set(IMAGES)


# --- a real image -----------------------------------------------------------------------------------------


def as_nifti(path, folder):
    """The same image as a NIfTI file that nibabel wrote."""
    image = nibabel.load(path)
    nibabel.save(nibabel.Nifti1Image(np.asarray(image.dataobj), image.affine), folder / "same.nii")
    return folder / "same.nii"


def test_a_real_image_lies_where_its_nifti_does(data_folder, tmp_path):
    path = data_folder("brain_mr/norm.mgz")
    volume, other = read_volume(path), read_volume(as_nifti(path, tmp_path))
    np.testing.assert_array_equal(volume.array, other.array)
    corners = np.array([[i, j, k, 1] for i in (0, 255) for j in (0, 255) for k in (0, 255)])
    np.testing.assert_allclose(corners @ volume.ijk_to_ras.T, corners @ other.ijk_to_ras.T, atol=1e-3)


@pytest.mark.slow
def test_run_and_batch_segment_mgz_as_they_do_its_nifti(data_folder, tmp_path, monkeypatch):
    from manabi.brain.method import BrainSeg

    path = data_folder("brain_mr/norm.mgz")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "head.mgz").write_bytes(path.read_bytes())
    monkeypatch.setattr(BrainSeg, "draw", lambda *_: [])
    given = {"run": path, "nifti": as_nifti(path, tmp_path), "batch": tmp_path / "in"}
    found = {}
    for name, source in given.items():
        command = "batch" if name == "batch" else "run"
        assert main([command, "brain", str(source), "--output", str(tmp_path / name), "--set", "fine=false"]) == 0
        [file] = (tmp_path / name).rglob("structures.nii.gz")
        found[name] = read_volume(file)
    for volume in found.values():
        np.testing.assert_array_equal(volume.array, found["nifti"].array)
        np.testing.assert_allclose(volume.ijk_to_ras, found["nifti"].ijk_to_ras, atol=1e-3)
    voxels = int(np.isin(found["run"].array, (1, 2)).sum())
    assert 0.8e6 < voxels < 1.4e6, "the cerebrum in mm³"
