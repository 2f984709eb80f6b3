"""A DICOM series as a volume."""

from __future__ import annotations

import warnings as python_warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from manabi.errors import InvalidInputError, ManabiError
from manabi.geometry import LPS_TO_RAS
from manabi.io.dicom.frames import Frame, number
from manabi.io.dicom.pixels import PIXEL_TAGS, damage, read_pixels, settle
from manabi.io.dicom.series import Series, choose_series
from manabi.io.dicom.source import DicomSource
from manabi.io.dicom.stack import Stack, arrange
from manabi.io.dicom.tilt import fill_value, straightened
from manabi.volume import SYNTHETIC, Volume


def read_dicom(path: Path | str | Sequence[Path], series: str | None = None) -> Volume:
    """One series as a volume, in its true place, with its values rescaled to their units.

    Slices are sorted along their normal; a regular straight stack comes back as it is, a tilted or unevenly spaced
    one is resampled with a warning, and whatever cannot be read rightly is refused. The rules stand in
    :mod:`manabi.io.dicom.stack`.

    Rescale slope and intercept are applied slice by slice. The dtype stays an integer where the result is exact
    (the stored one without rescale, else int16 or int32), and is float32 otherwise. Units: ``Units`` for PET,
    RescaleType or ``HU`` for CT, ``CNTS`` for nuclear medicine.

    Args:
        path: a folder (searched recursively), one file, single-frame or multi-frame (enhanced CT, MR or PET,
            reconstructed nuclear medicine), or the files of one series.
        series: SeriesInstanceUID or SeriesNumber, where there are several image series.

    Raises:
        InvalidInputError: for no or several series, raw projections, 4-D, colour, scouts, missing or damaged pixels.
        GeometryError: for slices that do not form one stack; names them.
        DependencyError: for a compression that nothing here decodes; names it.
    """
    chosen = choose_series(Path(path) if isinstance(path, (str, Path)) else path, series)
    stack = arrange(chosen.frames(), chosen.modality)
    values = _decoded(stack)
    array, matrix, notes = _on_grid(stack, values, chosen.modality)
    return Volume(
        array,
        LPS_TO_RAS @ matrix,
        modality=chosen.modality,
        units=_units(chosen),
        name=f"{chosen.modality or 'DICOM'}_series_{'x' if chosen.number is None else chosen.number}",
        warnings=(*chosen.warnings, *_assumptions(chosen), *stack.warnings, *notes),
        source=_source(chosen, stack),
        caution=SYNTHETIC if SYNTHETIC in chosen.headers[0].text("SeriesDescription") else "",
    )


def _on_grid(
    stack: Stack, values: list[np.ndarray], modality: str | None
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Array, IJK-to-LPS matrix and warnings; resampled only where the stack is tilted or uneven."""
    if stack.is_regular and not stack.is_tilted:
        return _rescaled(stack.frames, values), stack.ijk_to_lps(), ()
    scaled = [_scaled(frame, value) for frame, value in zip(stack.frames, values, strict=True)]
    fill = fill_value(min(float(image.min()) for image in scaled), modality)
    array, matrix, note = straightened(stack, scaled.__getitem__, fill)
    return array, matrix, (note,)


def _decoded(stack: Stack) -> list[np.ndarray]:
    """The stored values of every slice, every file decoded once."""
    images: list[np.ndarray | None] = [None] * len(stack.frames)
    files: dict[Path, list[int]] = {}
    for k, frame in enumerate(stack.frames):
        files.setdefault(frame.path, []).append(k)
    for path, places in files.items():
        frames = [stack.frames[k] for k in places]
        pixels = _pixels(path, frames[0], places[0] + 1)
        for k, frame in zip(places, frames, strict=True):
            images[k] = pixels if pixels.ndim == 2 else pixels[frame.index]
    return [image for image in images if image is not None]


def _pixels(path: Path, frame: Frame, position: int) -> np.ndarray:
    """The stored values of a file, ``(rows, columns)`` or ``(frames, rows, columns)``."""
    import pydicom

    where = frame.named(position) if frame.n_frames == 1 else f"The image{frame.place.note}"
    try:
        with python_warnings.catch_warnings():
            python_warnings.simplefilter("ignore")
            dataset = pydicom.dcmread(path, force=True, specific_tags=list(PIXEL_TAGS))
            settle(dataset)
            pixels = read_pixels(dataset, where)
    except ManabiError:
        raise
    except damage() as error:
        raise InvalidInputError(f"{where} can no longer be read. Copy or export it again.") from error
    expected = frame.shape if frame.n_frames == 1 else (frame.n_frames, *frame.shape)
    if pixels.shape not in (expected, (1, *expected)):
        raise InvalidInputError(f"{where} has pixels of shape {pixels.shape}, its header says {expected}. Copy it.")
    return pixels.reshape(expected)


def _rescaled(frames: tuple[Frame, ...], values: list[np.ndarray]) -> np.ndarray:
    """All slices in their units, as integers where that is exact."""
    if all(frame.slope == 1 and frame.intercept == 0 for frame in frames):
        return np.stack(values)
    whole = all(frame.slope.is_integer() and frame.intercept.is_integer() for frame in frames)
    if not whole or values[0].dtype.kind == "f":
        return np.stack([_scaled(frame, value) for frame, value in zip(frames, values, strict=True)])
    limits = [
        frame.slope * float(limit) + frame.intercept
        for frame, value in zip(frames, values, strict=True)
        for limit in (value.min(), value.max())
    ]
    for dtype in (np.int16, np.int32):
        if np.iinfo(dtype).min <= min(limits) and max(limits) <= np.iinfo(dtype).max:
            scaled = np.empty((len(values), *values[0].shape), dtype)
            for k, (frame, value) in enumerate(zip(frames, values, strict=True)):
                wide = value if frame.slope == 1 else value.astype(np.int64) * int(frame.slope)
                np.add(wide, int(frame.intercept), out=scaled[k], dtype=np.int32, casting="unsafe")
            return scaled
    return np.stack([_scaled(frame, value) for frame, value in zip(frames, values, strict=True)])


def _scaled(frame: Frame, value: np.ndarray) -> np.ndarray:
    """One slice in its units, float32."""
    return (value.astype(np.float64) * frame.slope + frame.intercept).astype(np.float32)


def _units(series: Series) -> str | None:
    header = series.headers[0]
    if series.modality == "CT":
        return header.text("RescaleType") or "HU"
    if series.modality == "NM":
        return header.text("Units") or "CNTS"
    return header.text("Units") or None


def _assumptions(series: Series) -> list[str]:
    """What the files left open, and what was made of it here and in :mod:`manabi.io.dicom.frames`."""
    notes = []
    if len({header.text("FrameOfReferenceUID") for header in series.headers}) > 1:
        notes.append(
            "The slices name several frames of reference, as after a faulty anonymisation; their positions were taken "
            "to be in one. Check that they fit together."
        )
    header = series.headers[0]
    if series.modality != "NM" or (header.whole("NumberOfFrames") or 1) == 1:
        return notes
    if not number(header.get("SpacingBetweenSlices")):
        notes.append("The file does not state the distance between slices; the slice thickness was taken for it.")
    items = [header.dataset, *(header.get("DetectorInformationSequence") or [])]
    if not any(item.get("ImagePositionPatient") for item in items):
        notes.append(
            "The file does not state where the first slice lies; it was put at the origin. Directions and sizes are "
            "right, but the image does not lie on other images of the patient."
        )
    return notes


def _source(series: Series, stack: Stack) -> DicomSource:
    files = tuple(dict.fromkeys(frame.path for frame in stack.frames))
    uids = {frame.path: frame.uid for frame in stack.frames}
    return DicomSource(
        files, series.uid, series.number, series.modality, series.headers[0].text("SOPClassUID"),
        tuple(uids[path] for path in files), len(stack.frames),
    )  # fmt: skip
