"""Synthetic DICOM series for the tests: any geometry, with pixels known in closed form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid
from scipy.spatial.transform import Rotation

CT, MR, PT, NM = (f"1.2.840.10008.5.1.4.1.1.{end}" for end in ("2", "4", "128", "20"))
CLASS = {"CT": CT, "MR": MR, "PT": PT, "NM": NM}
AXIAL = np.eye(3)[:2]
PATIENT = "Yamada^Hanako"


def oblique(angles=(12.0, -17.0, 31.0)) -> np.ndarray:
    """Row and column direction of an oblique slice, ``(2, 3)``, LPS."""
    return Rotation.from_euler("xyz", angles, degrees=True).as_matrix()[:, :2].T


def placed(n, spacing=3.0, axes=AXIAL, origin=(-20.0, -15.0, 100.0), along=None) -> np.ndarray:
    """Positions of ``n`` slices, ``(n, 3)``; ``spacing`` is one number or the ``n - 1`` intervals."""
    direction = np.cross(*axes) if along is None else np.asarray(along, float)
    steps = np.full(n - 1, spacing) if np.isscalar(spacing) else np.asarray(spacing)
    heights = np.concatenate([[0.0], np.cumsum(steps)])
    return np.asarray(origin) + heights[:, None] * direction


def header(pixels, modality="CT", **tags) -> Dataset:
    """A data set with pixels, uncompressed, little-endian."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = CLASS.get(modality, CT), generate_uid()
    dataset.Modality, dataset.PatientName = modality, PATIENT
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SeriesNumber = "1.2.3", "1.2.3.4", 4
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = pixels.shape[-2:]
    bits = pixels.dtype.itemsize * 8
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = bits, bits, bits - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    dataset.PixelData = np.ascontiguousarray(pixels).tobytes()
    change(dataset, tags)
    return dataset


def change(dataset, tags) -> None:
    """Set attributes; None removes one."""
    for keyword, value in tags.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)


def save(dataset, path: Path, preamble=True) -> Path:
    """Write a file, with or without preamble and file meta."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if preamble:
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.save_as(path, enforce_file_format=True)
    else:
        dataset.save_as(path, implicit_vr=ImplicitVRLittleEndian.is_implicit_VR, little_endian=True)
    return path


def write_series(folder, array, positions, axes=AXIAL, pixel_mm=(2.0, 1.5), *, numbers=None, each=None, **tags):
    """One file per slice; ``each[k]`` holds the attributes of slice k alone. Returns the paths."""
    numbers = range(1, len(array) + 1) if numbers is None else numbers
    paths = []
    for k, (image, position, number) in enumerate(zip(array, positions, numbers, strict=True)):
        dataset = header(image, **{k: v for k, v in tags.items() if k == "modality"})
        dataset.InstanceNumber = number
        dataset.ImagePositionPatient = [f"{value:.10g}" for value in position]
        dataset.ImageOrientationPatient = [f"{value:.10g}" for value in np.ravel(axes)]
        dataset.PixelSpacing = list(pixel_mm)
        change(dataset, {key: value for key, value in tags.items() if key != "modality"})
        change(dataset, (each or {}).get(k, {}))
        paths.append(save(dataset, Path(folder) / f"{k:03d}.dcm"))
    return paths


def ramp(n=5, rows=6, columns=7, dtype=np.int16) -> np.ndarray:
    """Every voxel with a value of its own."""
    return np.arange(n * rows * columns, dtype=dtype).reshape(n, rows, columns)


def blob_slices(positions, axes, pixel_mm, shape, centre_lps, sigma_mm) -> np.ndarray:
    """A Gaussian of height 1000 at a known place, sampled where the slices truly lie; int16 with -1000 far away."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    places = columns[..., None] * pixel_mm[1] * axes[0] + rows[..., None] * pixel_mm[0] * axes[1]
    squares = [(((position + places - centre_lps) / sigma_mm) ** 2).sum(-1) for position in positions]
    return np.rint(2000 * np.exp(-np.array(squares) / 2) - 1000).astype(np.int16)


def centroid_ras(volume, background) -> np.ndarray:
    """Centre of mass above the background, RAS mm."""
    weights = np.clip(volume.array.astype(float) - background, 0, None)
    kji = np.argwhere(weights > 0)
    places = volume.grid.ras_of(kji[:, ::-1])
    return (places * weights[weights > 0][:, None]).sum(0) / weights.sum()


def nm_file(path, frames, axes=AXIAL, origin=(10.0, 20.0, 30.0), spacing=-3.3, *, where="detector", **tags):
    """A multi-frame reconstructed SPECT file."""
    dataset = header(frames, "NM", NumberOfFrames=len(frames), PixelSpacing=[3.29, 3.29], InstanceNumber=1)
    dataset.ImageType = ["DERIVED", "PRIMARY", "RECON TOMO", "EMISSION"]
    dataset.NumberOfSlices, dataset.SliceVector = len(frames), list(range(1, len(frames) + 1))
    dataset.SpacingBetweenSlices, dataset.SliceThickness = spacing, abs(spacing)
    dataset.FrameOfReferenceUID = "1.2.3.9"
    detector = Dataset()
    place = detector if where == "detector" else dataset
    place.ImageOrientationPatient = [f"{value:.10g}" for value in np.ravel(axes)]
    place.ImagePositionPatient = list(origin)
    dataset.DetectorInformationSequence = [Dataset(), detector]
    change(dataset, tags)
    return save(dataset, Path(path))


def enhanced_file(path, frames, positions, axes=AXIAL, *, slopes=None, times=None, **tags):
    """An enhanced MR file; orientation and pixel size are shared, positions and rescale belong to the frames."""

    def item(**values):
        dataset = Dataset()
        change(dataset, values)
        return dataset

    dataset = header(frames, "MR", NumberOfFrames=len(frames), InstanceNumber=1)
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.4.1"
    orientation = item(ImageOrientationPatient=[f"{value:.10g}" for value in np.ravel(axes)])
    measures = item(PixelSpacing=[1.5, 1.25], SliceThickness=2.0)
    dataset.SharedFunctionalGroupsSequence = [
        item(PlaneOrientationSequence=[orientation], PixelMeasuresSequence=[measures])
    ]
    dataset.PerFrameFunctionalGroupsSequence = [
        item(
            PlanePositionSequence=[item(ImagePositionPatient=[f"{v:.10g}" for v in position])],
            PixelValueTransformationSequence=[
                item(RescaleSlope=(slopes or [1] * len(frames))[k], RescaleIntercept=0, RescaleType="US")
            ],
            FrameContentSequence=[item(TemporalPositionIndex=(times or [1] * len(frames))[k])],
        )
        for k, position in enumerate(positions)
    ]
    change(dataset, tags)
    return save(dataset, Path(path))
