"""From Hounsfield units to electron and mass density: kV and megavoltage tables, and a site's own.

Our kV table holds ICRU-44 tissues at an effective energy of 75 keV, calculated with :mod:`manabi.phantoms.ct.materials`
(a stoichiometric calibration in the sense of Schneider, Pedroni and Lomax, 1996, 10.1088/0031-9155/41/1/009). At
megavoltage energies nearly all interactions are Compton's, and HU is 1000 (relative electron density - 1) within 3 HU
for all tissues: the MV table is that line.

Every scanner has its own curve: for numbers that matter, give the site's own CSV. None of these is for planning.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from manabi.batch.spreadsheet import read_sheet
from manabi.errors import InvalidInputError
from manabi.result import Cell, Table

COLUMNS = ("hu", "relative_electron_density", "mass_density")
KV_ROWS = (
    (-1000.0, 0.0011, 0.0012),
    (-741.0, 0.258, 0.26),
    (-72.0, 0.951, 0.95),
    (0.0, 1.0, 1.0),
    (43.0, 1.040, 1.05),
    (55.0, 1.050, 1.06),
    (271.0, 1.150, 1.18),
    (1431.0, 1.784, 1.92),
    (10168.0, 3.798, 4.54),
)
"""Air, lung, adipose, water, muscle, blood, spongiosa, cortical bone, titanium: HU at 75 keV, electron density over
water's, mass density in g/cm³ (ICRU-44)."""
HIGHEST_DENSITY = 4.6
MOST_ROWS = 1000
NAMES = {
    "hu": ("hu", "hounsfield", "ct", "ct_number"),
    "electron": ("relative_electron_density", "electron_density", "red", "rho_e"),
    "mass": ("mass_density", "mass_density_g_cm3", "density", "rho"),
}
"""Headings that a site's CSV may have, small letters."""


@dataclass(frozen=True)
class DensityTable:
    """A piecewise linear curve.

    Attributes:
        name: shown with every result that rests on it.
        hu: ``(n,)`` rising.
        electron: ``(n,)`` electron density over water's.
        mass: ``(n,)`` g/cm³; the same as ``electron`` where it is not known.
    """

    name: str
    hu: np.ndarray
    electron: np.ndarray
    mass: np.ndarray

    def __post_init__(self) -> None:
        """Refuse a curve that is none.

        Raises:
            InvalidInputError: saying which row is wrong.
        """
        rows = [np.asarray(v, float) for v in (self.hu, self.electron, self.mass)]
        for key, values in zip(("hu", "electron", "mass"), rows, strict=True):
            object.__setattr__(self, key, values)
        _check_curve(self.name, *rows)

    def electron_density(self, hu: np.ndarray) -> np.ndarray:
        """Relative electron density of HU of any shape; level beyond the curve's ends."""
        return _looked_up(hu, self.hu, self.electron)

    def mass_density(self, hu: np.ndarray) -> np.ndarray:
        """Mass density in g/cm³ of HU of any shape; level beyond the curve's ends."""
        return _looked_up(hu, self.hu, self.mass)

    def table(self) -> Table:
        """The curve, for a report."""
        rows = tuple(tuple(float(v) for v in row) for row in zip(self.hu, self.electron, self.mass, strict=True))
        return Table(("hu", "relative_electron_density", "mass_density_g_cm3"), rows)


def kv_table() -> DensityTable:
    """ICRU-44 tissues at 75 keV."""
    hu, electron, mass = zip(*KV_ROWS, strict=True)
    return DensityTable("kV, ICRU-44 tissues at 75 keV", np.array(hu), np.array(electron), np.array(mass))


def mv_table(offset_hu: float = 0.0) -> DensityTable:
    """Megavoltage: HU is 1000 (relative electron density - 1); mass density by that of the kV table's tissues.

    Args:
        offset_hu: what the scanner shows for water.
    """
    _, electron, mass = zip(*KV_ROWS, strict=True)
    electrons = np.array(electron)
    hu = 1000.0 * (electrons - 1.0) + offset_hu
    return DensityTable("MV, 1 + HU / 1000", hu, electrons, np.array(mass))


def table_of(kind: str, path: str | Path | None = None) -> DensityTable:
    """The table for a kind of image, or the site's own.

    Args:
        kind: ``mvct``, ``cbct`` or ``kvct``.
        path: a CSV, see :func:`read_density_csv`.
    """
    if path:
        return read_density_csv(path)
    return mv_table() if kind == "mvct" else kv_table()


def read_density_csv(path: str | Path) -> DensityTable:
    """Read a site's curve: a heading and a row per HU.

    The heading names ``hu`` and ``relative_electron_density`` (or ``red``), ``mass_density`` or both. Columns are
    separated by commas, semicolons or tabs; with semicolons a decimal comma is understood.

    Raises:
        InvalidInputError: naming the line that cannot be used, and why.
    """
    file = Path(path)
    try:
        sheet = read_sheet(file, comment="#")
    except InvalidInputError as error:
        raise InvalidInputError(f"The density table {error}") from error
    if len(sheet.lines) < 2:
        raise InvalidInputError(f"The density table {file.name} needs a heading and two rows at least.")
    places = _places(file.name, sheet.columns)
    rows = [_numbers(file.name, n, row, places, sheet.delimiter) for n, row in sheet.lines]
    columns = dict(zip(places, np.array(rows, float).T, strict=True))
    electron = columns.get("electron", columns.get("mass"))
    mass = columns.get("mass", electron)
    order = np.argsort(columns["hu"], kind="stable")
    return DensityTable(file.stem, columns["hu"][order], np.asarray(electron)[order], np.asarray(mass)[order])


def density_table(hu_by_tissue: dict[str, float], tables: Sequence[DensityTable]) -> Table:
    """What every table makes of the tissues of an image.

    Args:
        hu_by_tissue: measured.
        tables: to look up in.
    """
    columns = ("tissue", "hu", *(f"electron_density_{t.name}" for t in tables))
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (tissue, round(hu, 1), *(round(float(t.electron_density(np.array(hu))), 4) for t in tables))
        for tissue, hu in hu_by_tissue.items()
    )
    return Table(columns, rows)


def _looked_up(hu: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.interp(np.asarray(hu, np.float32), x, y).astype(np.float32)


def _check_curve(name: str, hu: np.ndarray, electron: np.ndarray, mass: np.ndarray) -> None:
    if not hu.ndim == 1 or not hu.shape == electron.shape == mass.shape or not 2 <= hu.size <= MOST_ROWS:
        raise InvalidInputError(f"Density table {name}: expected 2 to {MOST_ROWS} rows; got {hu.shape}.")
    for k in range(hu.size):
        if not np.isfinite([hu[k], electron[k], mass[k]]).all():
            raise InvalidInputError(f"Density table {name}: a value of row {k + 1} is not a number.")
        if min(electron[k], mass[k]) < 0 or electron[k] > HIGHEST_DENSITY:
            raise InvalidInputError(
                f"Density table {name}: row {k + 1} has electron density {electron[k]:g} and mass density {mass[k]:g}; "
                f"expected 0 to {HIGHEST_DENSITY}, relative to water and in g/cm³."
            )
        if k and hu[k] <= hu[k - 1]:
            raise InvalidInputError(f"Density table {name}: {hu[k]:g} HU stands twice. Keep one row per HU.")
        if k and electron[k] < electron[k - 1]:
            raise InvalidInputError(
                f"Density table {name}: electron density falls from {electron[k - 1]:g} to {electron[k]:g} at "
                f"{hu[k]:g} HU. Check the rows' order and columns."
            )


def _places(name: str, heading: Sequence[str]) -> dict[str, int]:
    """Column number by what it holds."""
    titles = [cell.strip().lower().replace(" ", "_") for cell in heading]
    found = {key: next((titles.index(n) for n in names if n in titles), -1) for key, names in NAMES.items()}
    places = {key: column for key, column in found.items() if column >= 0}
    if "hu" not in places or len(places) < 2:
        raise InvalidInputError(
            f"The density table {name} needs the columns hu and relative_electron_density (or mass_density); "
            f"got {', '.join(titles)}."
        )
    return places


def _numbers(name: str, line: int, row: Sequence[str], places: dict[str, int], mark: str) -> list[float]:
    """The numbers of one row."""
    try:
        cells = [row[column].strip() for column in places.values()]
        return [float(cell.replace(",", ".") if mark == ";" else cell) for cell in cells]
    except (IndexError, ValueError) as error:
        raise InvalidInputError(
            f"The density table {name}, row {line}: expected {len(places)} numbers; got {', '.join(row)!r}."
        ) from error
