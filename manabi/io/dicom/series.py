"""Which series a folder holds, and which of them to read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from manabi.errors import InvalidInputError, ManabiError
from manabi.io.dicom.frames import Frame, floats, frames_of
from manabi.io.dicom.headers import Header, Place, find_headers, listed_files
from manabi.io.dicom.stack import arrange
from manabi.io.dicom.tilt import describe

RAW_NM = ("TOMO", "GATED TOMO", "STATIC", "WHOLE BODY", "DYNAMIC", "GATED")
"""Third values of ImageType that DICOM (PS3.3 C.8.4.9) gives to what a gamma camera measures, not reconstructs."""


@dataclass(frozen=True)
class SeriesInfo:
    """One series of a folder, without anything that names a patient.

    Attributes:
        uid: SeriesInstanceUID, or an empty text where the files have none.
        number: SeriesNumber, or None.
        modality: DICOM modality code, or None where the files do not say.
        n_slices: number of slices (frames).
        is_image: whether it holds images rather than contours, doses, reports or segmentations.
        warnings: why it cannot be read, or what reading it will change; the pixels are not looked at.
    """

    uid: str
    number: int | None
    modality: str | None
    n_slices: int
    is_image: bool
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Series:
    """The headers of one series."""

    uid: str = field(repr=False)
    number: int | None
    modality: str | None
    headers: tuple[Header, ...] = field(repr=False)
    warnings: tuple[str, ...] = ()

    @property
    def is_image(self) -> bool:
        """Whether it holds images to read."""
        return any(header.is_image for header in self.headers)

    @property
    def n_slices(self) -> int:
        """Number of frames of all files."""
        return sum(header.whole("NumberOfFrames") or 1 for header in self.headers)

    def frames(self) -> list[Frame]:
        """The frames of all its images, checked to be grey slices.

        Raises:
            InvalidInputError: for raw nuclear-medicine projections and colour.
            GeometryError: where a multi-frame file contradicts itself.
        """
        for header in self.headers:
            refuse_projections(header)
            refuse_strange_pixels(header)
        return [frame for header in self.headers for frame in frames_of(header)]


def list_series(path: Path | str) -> list[SeriesInfo]:
    """Every series of a file or, recursively, a folder, by number; only headers are read.

    Raises:
        InvalidInputError: where there is no DICOM file.
    """
    headers, _ = find_headers(Path(path))
    return [
        SeriesInfo(s.uid, s.number, s.modality, s.n_slices, s.is_image, (*s.warnings, *_verdict(s)))
        for s in grouped(headers)
    ]


def choose_series(path: Path | Sequence[Path], wanted: str | None) -> Series:
    """The one image series to read, with warnings about what was left out.

    Args:
        path: a file, several, or a folder.
        wanted: SeriesInstanceUID or SeriesNumber; None takes the only image series.

    Raises:
        InvalidInputError: where there is none, or more than one; lists them.
    """
    headers, damaged = find_headers(path)
    all_series = grouped(headers)
    images = [series for series in all_series if series.is_image]
    if not images:
        kinds = ", ".join(sorted({series.modality or "an unknown kind" for series in all_series}))
        raise InvalidInputError(f"There is no image series, only {kinds}. Choose the folder with the images.")
    found = images if wanted is None else _matching(images, wanted)
    if len(found) != 1:
        raise InvalidInputError(_choice(images, found, wanted))
    return _with_rest(found[0], all_series, damaged)


def grouped(headers: Iterable[Header]) -> list[Series]:
    """Headers by series, ordered by SeriesNumber; copies of a file are left out with a warning."""
    groups: dict[str, list[Header]] = {}
    for header in headers:
        groups.setdefault(f"{series_key(header)} {header.is_image}", []).append(header)
    series = [_series(group) for group in groups.values()]
    return sorted(series, key=lambda s: (s.number is None, s.number or 0, s.uid))


def series_key(header: Header) -> str:
    """What files of one series have in common: its UID, or its study and number where it has none."""
    return header.text("SeriesInstanceUID") or f"{header.text('StudyInstanceUID')} {header.text('SeriesNumber')}"


def refuse_projections(header: Header) -> None:
    """Raise InvalidInputError for what a gamma camera measured but nobody reconstructed."""
    kinds = [kind for kind in header.image_type if kind in RAW_NM]
    rotated = header.get("RotationVector") or header.get("RotationInformationSequence")
    reconstructed = any("RECON" in kind for kind in header.image_type)
    if header.modality != "NM" or reconstructed or not (kinds or rotated):
        return
    kind = kinds[0] if kinds else "unknown"
    tomographic = "TOMO" in kind or bool(rotated)
    what = "projections (raw views of the gamma camera from all sides)" if tomographic else "planar images"
    remedy = (
        "reconstruct them first, on the camera's workstation for instance, and open the result (ImageType RECON TOMO)"
        if tomographic
        else "open a reconstructed SPECT series (ImageType RECON TOMO) instead"
    )
    raise InvalidInputError(f"These are {what}, not slices of the body (NM, ImageType {kind}): {remedy}.")


def refuse_strange_pixels(header: Header) -> None:
    """Raise InvalidInputError for images in colour, mosaics, and values in a look-up table."""
    photometric = header.text("PhotometricInterpretation")
    if (header.whole("SamplesPerPixel") or 1) > 1 or photometric not in ("", "MONOCHROME1", "MONOCHROME2"):
        raise InvalidInputError(
            f"The image is in colour ({header.place.after(photometric or 'several samples per pixel')}): it shows "
            "colours, not measured values. Choose the grey series that it was made from."
        )
    if "MOSAIC" in header.image_type:
        raise InvalidInputError(
            f"The image is a mosaic of many slices{header.place.note}, which Manabi does not take apart. "
            "Convert it to NIfTI first, with dcm2niix for instance."
        )
    if header.get("ModalityLUTSequence"):
        raise InvalidInputError(
            f"The values are in a look-up table ({header.place.after('ModalityLUTSequence')}), which Manabi does not "
            "read for volumes. Export the series with rescale slope and intercept."
        )


def _series(headers: list[Header]) -> Series:
    kept: dict[tuple[object, ...], Header] = {}
    for header in headers:
        place = floats(header.get("ImagePositionPatient"), 3)
        uid = header.text("SOPInstanceUID")
        key = (uid, header.text("InstanceNumber"), None if place is None else tuple(place))
        kept.setdefault(key if uid else (header.path,), header)
    first_ones = {id(header) for header in kept.values()}
    copies = [header.place for header in headers if id(header) not in first_ones]
    notes: tuple[str, ...] = ()
    if copies:
        notes = (f"{_counted(len(copies), 'file')} left out, being copies of others: {listed_files(copies)}.",)
    first = headers[0]
    if first.modality and not first.text("Modality"):
        notes += (f"The files do not state their modality; {first.modality} was taken from their kind (SOP class).",)
    return Series(first.text("SeriesInstanceUID"), first.whole("SeriesNumber"), first.modality,
                  tuple(kept.values()), notes)  # fmt: skip


def _verdict(series: Series) -> tuple[str, ...]:
    """What reading would say, from the headers alone."""
    if not series.is_image:
        return ()
    try:
        stack = arrange(series.frames(), series.modality)
    except ManabiError as error:
        return (str(error),)
    text = describe(stack)
    return (*stack.warnings, *([f"{text}; it will be resampled to a straight grid."] if text else []))


def _matching(images: list[Series], wanted: str) -> list[Series]:
    text = str(wanted).strip()
    exact = [series for series in images if series.uid == text]
    return exact or [series for series in images if text.isdigit() and series.number == int(text)]


def _choice(images: list[Series], found: list[Series], wanted: str | None) -> str:
    """The list to choose from, by number where the numbers differ, else by UID."""
    numbers = [series.number for series in images]
    unique = len(set(numbers)) == len(numbers) and None not in numbers
    lines = [
        f"series={s.number if unique else s.uid}: {s.modality or 'unknown modality'}, "
        f"{_counted(s.n_slices, 'slice')}{_remark(s)}"
        for s in images
    ]
    if wanted is None:
        start = f"There are {len(images)} image series here; expected one. Choose one of them"
    elif found:
        start = f"{len(found)} series have the number {wanted}. Choose by UID"
    else:
        start = f"There is no image series {wanted!r}. Choose one of these"
    return f"{start}: {'; '.join(lines)}."


def _remark(series: Series) -> str:
    kinds = series.headers[0].image_type
    if "LOCALIZER" in kinds:
        return " (localizer)"
    raw = series.modality == "NM" and not any("RECON" in kind for kind in kinds)
    return " (projections, not reconstructed)" if raw and set(kinds) & set(RAW_NM) else ""


def _with_rest(chosen: Series, all_series: list[Series], damaged: list[Place]) -> Series:
    """The chosen series, with warnings about objects that are no images and about damaged files."""
    notes = list(chosen.warnings)
    others = [s.modality or "an unknown kind" for s in all_series if not s.is_image]
    if others:
        notes.append(f"Besides the images the folder holds {', '.join(sorted(set(others)))}; they were not read.")
    if damaged:
        notes.append(f"{_counted(len(damaged), 'damaged DICOM file')} left out: {listed_files(damaged)}.")
    return Series(chosen.uid, chosen.number, chosen.modality, chosen.headers, tuple(notes))


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
