"""A site's own chest CTs for SliceMarker: a CSV of images and of the slices that its readers chose as markers.

Columns: ``case`` (a pseudonym), ``image`` (a file or a DICOM folder, relative to the table), optionally ``group`` (the
patient; by default the case) and ``split`` (training, validation or test). For each marker (apex, carina, diaphragm)
one of:

* ``<marker>_slice``: number of the slice along the image's own slice axis, counted from 0 as 3D Slicer and ITK count;
* ``<marker>_instance``: DICOM InstanceNumber;
* ``<marker>_uid``: DICOM SOPInstanceUID;
* ``<marker>_mm``: position towards the head, RAS, mm (of tilted slices, of their middle).

An empty cell says that the marker is not in the image, ``?`` that nobody looked. A marker without any column is unknown
in every case: the network does not learn it from this table.
"""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from manabi.errors import InvalidInputError, ManabiError
from manabi.phantoms.base import Case
from manabi.slices.prepare import InputSettings
from manabi.slices.reading import MARKERS, NAMES
from manabi.slices.stack import AxialStack
from manabi.volume import Volume
from Training.cohort import SPLITS, CohortCase, Row, check_cohort, read_rows, split_cases
from Training.slices_data import FORMAT, STEP_MM, SliceCase, load, reduce_case, save, spread
from Training.slices_levels import KINDS, Level, level_mm, read_level
from Training.slices_split import Split

if TYPE_CHECKING:
    from Training.slices import SlicesRecipe

logger = logging.getLogger(__name__)

HIGHEST_MINIMUM_HU = -200.0
"""A chest CT in Hounsfield units holds air, so that its lowest value is below (our choice)."""
FEWEST_SLICES = 8


@dataclass(frozen=True)
class LabelledCase(CohortCase):
    """One row of the table; :meth:`load` gives its prepared planes, small enough to compare every case's pixels.

    Attributes:
        row: its number in the file; the header is row 1.
        levels: what each marker's cell says.
        prepared: the prepared case.
    """

    row: int = 0
    levels: tuple[Level, ...] = ()
    prepared: Path = field(default_factory=Path)

    @property
    def where(self) -> str:
        """How messages call it."""
        return f"Row {self.row} (case {self.name})"

    def load(self) -> Case:
        """The prepared planes as an image."""
        ready = load(self.prepared)
        return Case({"image": Volume(ready.planes, np.diag([1.0, 1.0, STEP_MM, 1.0]), modality="CT")})


def open_table(path: Path, recipe: SlicesRecipe, cache: Path) -> Split:
    """Read, prepare, split and check a site's table.

    Args:
        path: of the CSV.
        recipe: says how images are prepared and patients split.
        cache: folder for the prepared cases; they are found again by image, labels and settings.

    Raises:
        InvalidInputError: naming row and column of what cannot be right; for an image or a patient in two splits.
        GeometryError: as :func:`manabi.io.read_volume`, naming the row.
    """
    settings = recipe.input()
    cases = [replace(case, prepared=_place(case, settings, cache)) for case in read_labels(path)]
    if not any(case.split for case in cases):
        chosen = {case.name: case.split for case in split_cases(cases, recipe.parts, recipe.split_seed)}
        cases = [replace(case, split=chosen[case.name]) for case in cases]
    missing = [(case, settings) for case in cases if not case.prepared.is_file()]
    if missing:
        logger.info("preparing %d of %d images", len(missing), len(cases))
        spread(prepare_labelled, missing)
    for warning in check_cohort(cases).warnings:
        logger.warning(warning)
    parts = [[load(case.prepared) for case in cases if case.split == name] for name in SPLITS]
    for name, part in zip(SPLITS, parts, strict=True):
        if not part:
            raise InvalidInputError(f"The split {name!r} has no case. Each of {', '.join(SPLITS)} needs one at least.")
    return Split(parts[0], parts[1], parts[2], simulated=False, patients={case.name: case.group for case in cases})


def read_labels(path: Path) -> list[LabelledCase]:
    """The rows of a table, their labels checked as far as that goes without the images.

    Raises:
        InvalidInputError: naming row and column.
    """
    rows = read_rows(path, ("image",))
    columns = [column for column in rows[0].cells if column in {f"{m}_{kind}" for m in MARKERS for kind in KINDS}]
    if not columns:
        raise InvalidInputError(
            f"The table has no marker: expected columns like {MARKERS[0]}_slice or {MARKERS[1]}_mm (endings "
            f"{', '.join(KINDS)}); got {', '.join(rows[0].cells)}."
        )
    return [_labelled(row, columns) for row in rows]


def _labelled(row: Row, columns: list[str]) -> LabelledCase:
    case = row.case
    labelled = LabelledCase(case.name, case.group, case.split, case.files, row=row.number)
    levels = tuple(read_level(labelled.where, marker, row.cells, columns) for marker in MARKERS)
    given = [m for m, level in enumerate(levels) if level.kind]
    if not given:
        raise InvalidInputError(
            f"{labelled.where}: none of the markers is given, so that nothing tells what part of the body is shown. "
            "Give one at least, or leave the row out."
        )
    for m in range(given[0] + 1, given[-1]):
        if levels[m].blank:
            raise InvalidInputError(
                f"{labelled.where}: {MARKERS[m]} is empty, which says that it is not in the image; but it must lie "
                f"between {MARKERS[given[0]]} and {MARKERS[given[-1]]}. Give it, or write ? where nobody looked."
            )
    return replace(labelled, levels=levels)


# --- preparing --------------------------------------------------------------------------------------------------------


def _place(case: LabelledCase, settings: InputSettings, cache: Path) -> Path:
    """File of a prepared case, named by what it is made from: no path of the site's is written into it."""
    image = case.files["image"]
    files = sorted(p for p in image.rglob("*") if p.is_file()) if image.is_dir() else [image]
    stats = [(str(file.relative_to(image)), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    levels = [(level.kind, level.text, level.blank) for level in case.levels]
    parts = [str(image.resolve()), stats, levels, case.name, settings.facts(), STEP_MM, FORMAT]
    return cache / "table" / f"{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]}.npz"


def prepare_labelled(job: tuple[LabelledCase, InputSettings]) -> None:
    """Read one image, place its markers, and write the prepared case."""
    from manabi.io import read_volume

    case, settings = job
    try:
        volume = read_volume(case.files["image"])
    except ManabiError as error:
        raise type(error)(f"{case.where}, image: {error}") from error
    for warning in volume.warnings:
        logger.warning("%s: %s", case.where, warning)
    save(labelled_case(case, volume, settings), case.prepared)


def labelled_case(case: LabelledCase, volume: Volume, settings: InputSettings) -> SliceCase:
    """A row's image, prepared, with its markers in mm.

    Raises:
        InvalidInputError: where the image is no CT, or a marker is outside it or out of order.
    """
    lowest, slices = float(np.asarray(volume.array).min()), AxialStack.of(volume)
    if lowest > HIGHEST_MINIMUM_HU:
        raise InvalidInputError(
            f"{case.where}, image: expected a chest CT in Hounsfield units, with air near -1000; its lowest value is "
            f"{lowest:g}. Export the series with its rescale intercept."
        )
    if slices.n < FEWEST_SLICES:
        raise InvalidInputError(f"{case.where}, image: expected at least {FEWEST_SLICES} slices; got {slices.n}.")
    places = [level_mm(case.where, level, volume, slices) for level in case.levels]
    _check_order(case, places)
    given = [m for m, place in enumerate(places) if np.isfinite(place)]
    for m, level in enumerate(case.levels):
        if level.blank:
            places[m] = np.inf if m < given[0] else -np.inf
    return reduce_case(volume, (places[0], places[1], places[2]), settings, case.name)


def _check_order(case: LabelledCase, places: list[float]) -> None:
    given = [m for m, place in enumerate(places) if np.isfinite(place)]
    for upper, lower in zip(given, given[1:], strict=False):
        if places[upper] <= places[lower]:
            columns = f"{case.levels[upper].column} and {case.levels[lower].column}"
            raise InvalidInputError(
                f"{case.where}, {columns}: {NAMES[MARKERS[upper]].lower()} ({places[upper]:.1f} mm) must lie above "
                f"{NAMES[MARKERS[lower]].lower()} ({places[lower]:.1f} mm). Were the slices counted from the other "
                "end, the columns swapped, or is the image stored upside down?"
            )
