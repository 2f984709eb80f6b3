"""Multi-frame files: enhanced MR and reconstructed SPECT; raw projections are refused (acceptance check 20)."""

import numpy as np
import pytest
from dicom_phantoms import AXIAL, enhanced_file, nm_file, oblique, placed, ramp
from pydicom.dataset import Dataset

from manabi.errors import GeometryError, InvalidInputError
from manabi.io.dicom import read_dicom


@pytest.mark.parametrize("where", ["detector", "top"])
@pytest.mark.parametrize("spacing", [3.3, -3.3])
@pytest.mark.parametrize("axes", [AXIAL, oblique()])
def test_every_frame_of_a_reconstruction_lies_where_the_standard_puts_it(tmp_path, where, spacing, axes):
    """Position + k × SpacingBetweenSlices along row × column, also where the spacing is negative (PS3.3 C.8.4.15)."""
    path = nm_file(tmp_path / "nm.dcm", ramp(6), axes, spacing=spacing, where=where)
    volume = read_dicom(path)
    assert (volume.shape, volume.modality, volume.units, volume.warnings) == ((6, 6, 7), "NM", "CNTS", ())
    for k in range(6):
        lps = np.array([10.0, 20.0, 30.0]) + k * spacing * np.cross(*axes) + 3 * 3.29 * axes[0] + 2 * 3.29 * axes[1]
        index = volume.grid.ijk_of(lps * [-1, -1, 1])
        np.testing.assert_allclose(index, np.rint(index), atol=1e-5)
        assert volume.array[tuple(np.rint(index[::-1]).astype(int))] == ramp(6)[k, 2, 3]


def test_the_slice_vector_orders_the_frames(tmp_path):
    path = nm_file(tmp_path / "nm.dcm", ramp(4), spacing=2.0, SliceVector=[3, 1, 2, 4])
    np.testing.assert_array_equal(read_dicom(path).array, ramp(4)[[1, 2, 0, 3]])


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("TOMO", "projections.*reconstruct"), ("GATED TOMO", "projections.*reconstruct"),
        ("STATIC", "planar"), ("WHOLE BODY", "planar"), ("DYNAMIC", "planar"), ("GATED", "planar"),
    ],
)  # fmt: skip
def test_raw_nuclear_medicine_is_refused_with_an_explanation(tmp_path, kind, words):
    path = nm_file(tmp_path / "raw.dcm", ramp(6), ImageType=["ORIGINAL", "PRIMARY", kind, "EMISSION"])
    with pytest.raises(InvalidInputError, match=f"(?s){words}") as caught:
        read_dicom(path)
    assert kind in str(caught.value)


def test_projections_without_a_telling_image_type_are_known_by_their_rotation(tmp_path):
    path = nm_file(tmp_path / "raw.dcm", ramp(4), ImageType=["ORIGINAL", "PRIMARY"], RotationVector=[1, 1, 1, 1])
    with pytest.raises(InvalidInputError, match="projections"):
        read_dicom(path)


@pytest.mark.parametrize(
    "tags",
    [
        {"SliceVector": [1, 2, 3, 1, 2, 3], "TimeSlotVector": [1, 1, 1, 2, 2, 2], "NumberOfSlices": 3},
        {"SliceVector": None, "NumberOfSlices": 3},
        {"SliceVector": None, "ImageType": ["DERIVED", "PRIMARY", "RECON GATED TOMO", "EMISSION"]},
    ],
)
def test_a_gated_reconstruction_is_4d(tmp_path, tags):
    path = nm_file(tmp_path / "gated.dcm", ramp(6), **tags)
    with pytest.raises(InvalidInputError, match="4-D"):
        read_dicom(path)


def test_what_a_reconstruction_leaves_out_is_assumed_aloud(tmp_path):
    detector = Dataset()
    detector.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    path = nm_file(
        tmp_path / "nm.dcm", ramp(4), DetectorInformationSequence=[detector], SpacingBetweenSlices=None,
        SliceThickness=4.0,
    )  # fmt: skip
    volume = read_dicom(path)
    assert volume.spacing_mm[2] == 4.0
    assert any("thickness" in w for w in volume.warnings) and any("origin" in w for w in volume.warnings)


def test_a_reconstruction_without_orientation_or_spacing_is_refused(tmp_path):
    path = nm_file(tmp_path / "a.dcm", ramp(4), DetectorInformationSequence=None)
    with pytest.raises(GeometryError, match="ImageOrientationPatient"):
        read_dicom(path)
    path = nm_file(tmp_path / "b.dcm", ramp(4), SpacingBetweenSlices=None, SliceThickness=None)
    with pytest.raises(GeometryError, match="how far apart"):
        read_dicom(path)


def test_an_enhanced_file_is_sorted_and_rescaled_frame_by_frame(tmp_path):
    order = [2, 0, 3, 1]
    axes = oblique()
    positions = placed(4, 2.0, axes)
    path = enhanced_file(tmp_path / "e.dcm", ramp(4)[order], positions[order], axes, slopes=[k + 1 for k in order])
    volume = read_dicom(path)
    np.testing.assert_array_equal(volume.array, ramp(4) * np.arange(1, 5)[:, None, None])
    np.testing.assert_allclose(volume.spacing_mm, [1.25, 1.5, 2.0], atol=1e-6)
    np.testing.assert_allclose(volume.grid.origin_ras, positions[0] * [-1, -1, 1], atol=1e-6)


def test_an_enhanced_file_of_two_time_points_is_4d(tmp_path):
    positions = np.concatenate([placed(3), placed(3)])
    path = enhanced_file(tmp_path / "e.dcm", ramp(6), positions, times=[1, 1, 1, 2, 2, 2])
    with pytest.raises(InvalidInputError, match="4-D.*TemporalPositionIndex"):
        read_dicom(path)


def test_a_gap_between_frames_is_named(tmp_path):
    path = enhanced_file(tmp_path / "e.dcm", ramp(5), placed(5, [2.0, 2.0, 4.0, 2.0]))
    with pytest.raises(GeometryError, match=r"slice 3 \(frame 3\) and slice 4 \(frame 4\)"):
        read_dicom(path)


def test_an_enhanced_file_that_describes_too_few_frames_is_refused(tmp_path):
    path = enhanced_file(tmp_path / "e.dcm", ramp(5), placed(4))
    with pytest.raises(GeometryError, match="5 frames but describes 4"):
        read_dicom(path)
