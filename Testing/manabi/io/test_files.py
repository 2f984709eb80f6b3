"""Image files: every format round-trips in place, and every trap is met with a warning or a plain error."""

from __future__ import annotations

import gzip
import subprocess
import sys

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from manabi.errors import GeometryError, InvalidInputError, ManabiError
from manabi.io.files import read_volume, write_volume
from manabi.volume import Volume

nibabel = pytest.importorskip("nibabel")
FORMATS = (".nii", ".nii.gz", ".nrrd", ".mha")
SHAPE = (4, 5, 6)


def place(left_handed=True) -> np.ndarray:
    rotation = Rotation.from_euler("xyz", (17, -9, 28), degrees=True).as_matrix()
    matrix = np.eye(4)
    matrix[:3, :3] = rotation[:, [2, 0, 1]] * (-0.8 if left_handed else 0.8, 1.1, 2.5)
    matrix[:3, 3] = (-31.0, 12.5, 177.0)
    return matrix


def image(dtype=np.int16, left_handed=True) -> Volume:
    return Volume(np.random.default_rng(0).integers(0, 90, SHAPE).astype(dtype), place(left_handed))


def nifti(path, data, matrix=None, qform=None, sform=None, kind=nibabel.Nifti1Image, change=lambda header: None):
    """A NIfTI file as nibabel writes it; ``data`` is IJK."""
    made = kind(data, place() if matrix is None else matrix)
    made.header.set_xyzt_units("mm")
    if qform is not None:
        made.set_qform(*qform)
    if sform is not None:
        made.set_sform(*sform)
    change(made.header)
    nibabel.save(made, path)
    return path


def ijk(array) -> np.ndarray:
    return np.ascontiguousarray(array.transpose(2, 1, 0))


# --- round trips -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("left_handed", [True, False])
def test_an_oblique_volume_comes_back_in_its_place(tmp_path, suffix, left_handed):
    volume = image(left_handed=left_handed)
    path = write_volume(volume, tmp_path / f"Ünïcode 画像 mit Leerzeichen{suffix}")
    back = read_volume(path)
    np.testing.assert_array_equal(back.array, volume.array)
    np.testing.assert_allclose(back.ijk_to_ras, volume.ijk_to_ras, atol=2e-5)
    assert back.grid.is_left_handed == left_handed
    assert (back.name, back.modality, back.warnings) == ("volume", None, ())
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize(
    ("dtype", "expected"),
    [(np.uint8, None), (np.int8, None), (np.int16, None), (np.uint16, None), (np.int32, None), (np.float32, None),
     (np.float64, None), (np.bool_, np.uint8), (np.float16, np.float32)],
)  # fmt: skip
def test_types_are_kept(tmp_path, suffix, dtype, expected):
    volume = image(dtype)
    back = read_volume(write_volume(volume, tmp_path / f"a{suffix}"))
    assert back.array.dtype == (expected or dtype)
    np.testing.assert_array_equal(back.array, volume.array.astype(back.array.dtype))


@pytest.mark.parametrize("suffix", [".nhdr", ".mhd"])
def test_files_in_two_parts_are_read(tmp_path, suffix):
    import SimpleITK as sitk

    path = tmp_path / f"two parts é{suffix}"
    sitk.WriteImage(image().to_sitk(), str(path))
    np.testing.assert_allclose(read_volume(path).ijk_to_ras, place(), atol=1e-6)
    next(p for p in tmp_path.iterdir() if p != path).unlink()
    with pytest.raises(InvalidInputError, match="cannot be read"):
        read_volume(path)


@pytest.mark.parametrize("left_handed", [True, False])
def test_written_nifti_says_the_same_to_other_readers(tmp_path, left_handed):
    import SimpleITK as sitk

    path = write_volume(image(left_handed=left_handed), tmp_path / "a.nii.gz", description="Manabi 0.1.0 " + "x" * 90)
    other = nibabel.load(path)
    for matrix, code in (other.header.get_qform(coded=True), other.header.get_sform(coded=True)):
        np.testing.assert_allclose(matrix, place(left_handed), atol=2e-5)
        assert code == 1
    assert other.header.get_xyzt_units()[0] == "mm"
    assert len(bytes(other.header["descrip"]).rstrip(b"\0")) == 79
    np.testing.assert_array_equal(np.asanyarray(other.dataobj), ijk(image().array))
    again = Volume.from_sitk(sitk.ReadImage(str(path)))
    np.testing.assert_allclose(again.ijk_to_ras, place(left_handed), atol=2e-4)


def test_metadata_reach_the_nrrd_header(tmp_path):
    path = write_volume(image(), tmp_path / "a.nrrd", description="Manabi", metadata={"Manabi_Provenance": '{"a": 1}'})
    header = path.read_bytes().partition(b"\n\n")[0].decode()
    assert "Manabi_Description:=Manabi" in header
    assert 'Manabi_Provenance:={"a": 1}' in header


def test_a_name_is_taken_only_when_given(tmp_path):
    path = write_volume(image(), tmp_path / "YAMADA_TARO.nii")
    assert read_volume(path).name == "volume"
    assert read_volume(path, name="scan").name == "scan"


@pytest.mark.parametrize("suffix", FORMATS)
def test_an_existing_file_is_replaced_only_on_request(tmp_path, suffix):
    path = write_volume(image(), tmp_path / f"a{suffix}")
    before = path.read_bytes()
    with pytest.raises(InvalidInputError, match="exists already"):
        write_volume(image(np.float32), path)
    assert path.read_bytes() == before
    write_volume(image(np.float32), path, overwrite=True)
    assert read_volume(path).array.dtype == np.float32


@pytest.mark.parametrize("suffix", FORMATS)
def test_sheared_volumes_are_not_written(tmp_path, suffix):
    matrix = place()
    matrix[:3, 2] += 0.3 * matrix[:3, 0]
    with pytest.raises(GeometryError, match="perpendicular"):
        write_volume(Volume(image().array, matrix), tmp_path / f"a{suffix}")
    assert not list(tmp_path.iterdir())


def test_unknown_formats_are_not_written(tmp_path):
    for name in ("a.img", "a", "a.png", "a.gz"):
        with pytest.raises(InvalidInputError, match="Choose .nii"):
            write_volume(image(), tmp_path / name)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_a_failing_itk_writer_leaves_nothing(tmp_path, suffix, monkeypatch):
    import SimpleITK as sitk

    def fail(_image, path, _compressed):
        with open(path, "wb") as file:  # noqa: PTH123
            file.write(b"half")
        raise RuntimeError("disk")

    monkeypatch.setattr(sitk, "WriteImage", fail)
    with pytest.raises(ManabiError, match="could not be written"):
        write_volume(image(), tmp_path / f"a{suffix}")
    assert not list(tmp_path.iterdir())


# --- NIfTI -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("only", ["qform", "sform", "both"])
def test_the_place_is_that_of_nibabel(tmp_path, kind, suffix, only):
    codes = {"qform": (1, 0), "sform": (0, 2), "both": (1, 1)}[only]
    path = nifti(
        tmp_path / f"a{suffix}", ijk(image().array), kind=kind, qform=(place(), codes[0]), sform=(place(), codes[1])
    )
    volume = read_volume(path)
    np.testing.assert_allclose(volume.ijk_to_ras, nibabel.load(path).affine, atol=1e-5)
    np.testing.assert_array_equal(volume.array, image().array)
    assert volume.array.dtype == np.int16
    assert volume.warnings == ()


def test_the_sform_wins_and_a_disagreement_is_told(tmp_path):
    other = place()
    other[:3, 3] += (0, 3, 0)
    path = nifti(tmp_path / "a.nii", ijk(image().array), qform=(other, 1), sform=(place(), 4))
    volume = read_volume(path)
    np.testing.assert_allclose(volume.ijk_to_ras, place(), atol=1e-5)
    assert "differ by 3.0 mm" in volume.warnings[0]


def test_no_orientation_is_told(tmp_path):
    path = nifti(tmp_path / "a.nii", ijk(image().array), qform=(None, 0), sform=(None, 0))
    volume = read_volume(path)
    np.testing.assert_allclose(volume.ijk_to_ras, np.diag([0.8, 1.1, 2.5, 1.0]), atol=1e-6)
    assert "how the patient lies" in volume.warnings[0]


@pytest.mark.parametrize(("unit", "factor"), [("meter", 1000.0), ("micron", 0.001)])
def test_other_lengths_become_mm(tmp_path, unit, factor):
    path = nifti(
        tmp_path / "a.nii", ijk(image().array), sform=(place(), 1), change=lambda h: h.set_xyzt_units(unit)
    )
    volume = read_volume(path)
    np.testing.assert_allclose(volume.ijk_to_ras[:3], place()[:3] * factor, rtol=1e-5, atol=1e-6)
    assert "converted to mm" in volume.warnings[0]


def test_a_sheared_sform_is_resampled_in_place_with_a_warning(tmp_path):
    matrix = place(left_handed=False)
    matrix[:3, 2] += 0.3 * matrix[:3, 1]
    k, j, i = np.meshgrid(*(np.arange(n) for n in (8, 9, 10)), indexing="ij")
    ramp = (i + 2 * j + 3 * k).astype(np.float32)
    path = nifti(tmp_path / "a.nii", ijk(ramp), matrix, sform=(matrix, 1))
    volume = read_volume(path)
    assert not volume.grid.is_sheared
    assert "not perpendicular" in volume.warnings[0]
    middle = tuple(n // 2 for n in volume.shape)
    at = np.linalg.inv(matrix) @ np.append(volume.grid.ras_of(np.array(middle[::-1])), 1)
    assert volume.array[middle] == pytest.approx(at[:3] @ [1, 2, 3], abs=1e-3)


def test_scaling_is_applied_and_no_scaling_keeps_whole_numbers(tmp_path):
    path = nifti(tmp_path / "a.nii", ijk(image().array), change=lambda h: h.set_slope_inter(0.5, -10))
    content = bytearray(path.read_bytes())
    content[112:120] = np.array([0.5, -10], "<f4").tobytes()
    content[352:] = image().array.astype("<i2").tobytes()
    path.write_bytes(content)
    volume = read_volume(path)
    assert volume.array.dtype == np.float32
    np.testing.assert_allclose(volume.array, image().array * 0.5 - 10)
    content[112:120] = np.array([0, 0], "<f4").tobytes()
    path.write_bytes(content)
    assert read_volume(path).array.dtype == np.int16


def test_big_endian_files_are_read(tmp_path):
    header = nibabel.Nifti1Header(endianness=">")
    header.set_data_dtype(np.int16)
    made = nibabel.Nifti1Image(ijk(image().array), place(), header)
    nibabel.save(made, tmp_path / "a.nii")
    assert (tmp_path / "a.nii").read_bytes()[:4] == b"\0\0\x01\x5c"
    volume = read_volume(tmp_path / "a.nii")
    np.testing.assert_array_equal(volume.array, image().array)
    np.testing.assert_allclose(volume.ijk_to_ras, place(), atol=1e-5)


def test_one_frame_is_a_volume_and_several_are_refused(tmp_path):
    data = ijk(image().array)
    one = nifti(tmp_path / "one.nii", data[..., None])
    assert read_volume(one).shape == SHAPE
    with pytest.raises(InvalidInputError, match="3 volumes"):
        read_volume(nifti(tmp_path / "many.nii", np.stack([data] * 3, -1)))
    flat = nifti(tmp_path / "flat.nii", data[..., 0])
    assert read_volume(flat).shape == (1, 5, 6)


def test_colour_and_complex_values_are_refused(tmp_path):
    colour = np.zeros((3, 4, 5), np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]))
    with pytest.raises(InvalidInputError, match="in colour"):
        read_volume(nifti(tmp_path / "rgb.nii", colour))
    with pytest.raises(InvalidInputError, match="NIfTI type 32"):
        read_volume(nifti(tmp_path / "complex.nii", np.zeros((3, 4, 5), np.complex64)))


def test_a_packed_file_is_read_under_any_name(tmp_path):
    packed = write_volume(image(), tmp_path / "a.nii.gz").read_bytes()
    (tmp_path / "b.nii").write_bytes(packed)
    (tmp_path / "c.nii.gz").write_bytes(gzip.decompress(packed))
    for name in ("b.nii", "c.nii.gz"):
        np.testing.assert_array_equal(read_volume(tmp_path / name).array, image().array)


def test_an_analyze_file_is_refused_because_left_is_unsure(tmp_path):
    nibabel.save(nibabel.Nifti1Pair(ijk(image().array), place()), tmp_path / "a.hdr")
    (tmp_path / "a.nii").write_bytes((tmp_path / "a.hdr").read_bytes() + bytes(400))
    with pytest.raises(InvalidInputError, match="Convert it to .nii"):
        read_volume(tmp_path / "a.nii")


# --- NRRD and FreeSurfer ---------------------------------------------------------------------------------


def nrrd(path, fields, array) -> None:
    head = "NRRD0005\ntype: short\nencoding: raw\nendian: little\n" + "".join(f"{k}: {v}\n" for k, v in fields.items())
    path.write_bytes(head.encode() + b"\n" + array.astype("<i2").tobytes())


@pytest.mark.parametrize(
    ("space", "flip"),
    [("right-anterior-superior", (1, 1, 1)), ("left-posterior-superior", (-1, -1, 1)), ("LAS", (-1, 1, 1))],
)
def test_nrrd_spaces_are_told_apart(tmp_path, space, flip):
    fields = {"dimension": 3, "sizes": "6 5 4", "space": space, "space origin": "(10,20,30)",
              "space directions": "(0.8,0,0) (0,1.1,0) (0,0,2.5)"}  # fmt: skip
    nrrd(tmp_path / "a.nrrd", fields, image().array)
    volume = read_volume(tmp_path / "a.nrrd")
    np.testing.assert_allclose(volume.ijk_to_ras[:3, 3], np.array([10, 20, 30]) * flip)
    np.testing.assert_allclose(np.diag(volume.ijk_to_ras)[:3], np.array([0.8, 1.1, 2.5]) * flip)
    assert volume.warnings == ()


def test_nrrd_without_a_space_is_told(tmp_path):
    nrrd(tmp_path / "a.nrrd", {"dimension": 3, "sizes": "6 5 4", "spacings": "0.8 1.1 2.5"}, image().array)
    volume = read_volume(tmp_path / "a.nrrd")
    np.testing.assert_allclose(volume.spacing_mm, (0.8, 1.1, 2.5))
    assert "how the patient lies" in volume.warnings[0]


def test_nrrd_with_an_axis_that_is_not_space(tmp_path):
    directions = "none (0.8,0,0) (0,1.1,0) (0,0,2.5)"
    fields = {"dimension": 4, "sizes": "2 6 5 2", "space": "LPS", "kinds": "list domain domain domain",
              "space directions": directions, "space origin": "(0,0,0)"}  # fmt: skip
    nrrd(tmp_path / "layers.nrrd", fields, image().array)
    with pytest.raises(InvalidInputError, match="2 values per voxel"):
        read_volume(tmp_path / "layers.nrrd")
    one = {**fields, "sizes": "1 6 5 4"}
    nrrd(tmp_path / "one.nrrd", one, image().array)
    np.testing.assert_array_equal(read_volume(tmp_path / "one.nrrd").array, image().array)


def test_nrrd_in_other_lengths_is_refused(tmp_path):
    fields = {"dimension": 3, "sizes": "6 5 4", "space": "LPS", "space units": '"um" "um" "um"',
              "space directions": "(1,0,0) (0,1,0) (0,0,1)", "space origin": "(0,0,0)"}  # fmt: skip
    nrrd(tmp_path / "a.nrrd", fields, image().array)
    with pytest.raises(InvalidInputError, match="expected mm"):
        read_volume(tmp_path / "a.nrrd")


def test_sheared_nrrd_is_resampled_with_a_warning(tmp_path):
    fields = {"dimension": 3, "sizes": "6 5 4", "space": "LPS", "space origin": "(0,0,0)",
              "space directions": "(1,0,0) (0,1,0) (0,0.4,2)"}  # fmt: skip
    nrrd(tmp_path / "a.nrrd", fields, image().array)
    volume = read_volume(tmp_path / "a.nrrd")
    assert not volume.grid.is_sheared
    assert volume.shape == (4, 7, 6)
    assert "not perpendicular" in volume.warnings[0]


def test_sequences_in_metaimage_are_refused(tmp_path):
    import SimpleITK as sitk

    for frames in (1, 3):
        sitk.WriteImage(sitk.Image([6, 5, 4, frames], sitk.sitkInt16), str(tmp_path / f"{frames}.mha"))
    assert read_volume(tmp_path / "1.mha").shape == SHAPE
    with pytest.raises(InvalidInputError, match="3 volumes"):
        read_volume(tmp_path / "3.mha")


# --- what is no image ------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [*FORMATS, ".mgz", ".png", ".tif", ".jpg", ".dcm", ""])
@pytest.mark.parametrize("content", [None, b"", b"This is a letter, not an image.\n" * 40])
def test_missing_empty_and_foreign_files_get_a_plain_error(tmp_path, suffix, content):
    path = tmp_path / f"a{suffix}"
    if content is not None:
        path.write_bytes(content)
    expected = {None: "no file", b"": "is empty"}.get(content, "(?i)damaged|not a NIfTI|no image|cannot be read")
    with pytest.raises(InvalidInputError, match=expected):
        read_volume(path)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("part", [0.05, 0.5, 0.95])
def test_truncated_files_get_a_plain_error(tmp_path, suffix, part):
    volume = Volume(np.random.default_rng(0).normal(size=(9, 10, 11)), place())
    path = write_volume(volume, tmp_path / f"a{suffix}")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    with pytest.raises(InvalidInputError, match="truncated"):
        read_volume(path)


def test_a_damaged_packed_file_gets_a_plain_error(tmp_path):
    path = write_volume(image(np.float64), tmp_path / "a.nii.gz")
    content = bytearray(path.read_bytes())
    content[200:260] = bytes(60)
    path.write_bytes(content)
    with pytest.raises(InvalidInputError, match="damaged|not a NIfTI"):
        read_volume(path)


def test_importing_manabi_io_is_cheap():
    code = "import manabi.io, sys; sys.exit(bool({'numpy', 'SimpleITK', 'pydicom', 'torch'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    import manabi.io

    assert manabi.io.read_volume is read_volume
    with pytest.raises(AttributeError, match="no attribute"):
        _ = manabi.io.nothing


# --- real files ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["brain_mr/T1.nii.gz", "brain_mr/spm/avg152T1.nii", "brain_mr/norm.mgz",
             "spect/DAT_fpcit_hc174_dukart_spect.nii", "brain_mr/chris_MRA.nii.gz"],
)  # fmt: skip
def test_real_files_agree_with_nibabel(data_folder, name):
    path = data_folder(name)
    volume, other = read_volume(path), nibabel.load(path)
    np.testing.assert_allclose(volume.ijk_to_ras, other.affine, atol=1e-3)
    np.testing.assert_allclose(volume.array, other.get_fdata().squeeze().transpose(2, 1, 0), rtol=1e-5)


def test_a_real_nrrd_agrees_with_itk(data_folder):
    import SimpleITK as sitk

    path = data_folder("chest_ct/ct-64.nrrd")
    volume, other = read_volume(path), sitk.ReadImage(str(path))
    np.testing.assert_allclose(volume.grid.origin_ras * [-1, -1, 1], other.GetOrigin(), atol=1e-9)
    assert volume.shape == other.GetSize()[::-1]
