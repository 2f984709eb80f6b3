"""Icons in two versions: ``name.svg`` for light styles and ``name-dark.svg`` for dark ones."""

from __future__ import annotations

from pathlib import Path

import qt
import slicer

FOLDER = Path(__file__).resolve().parent / "Resources" / "Icons"
DARK_STYLES = {"Dark Slicer": True, "Light Slicer": False}
"""Slicer's styles that say so by their name; every other one follows the desktop's palette."""
MIDDLE_LIGHTNESS = 128


def is_dark() -> bool:
    """Whether Slicer is shown in a dark style."""
    named = DARK_STYLES.get(str(slicer.app.settings().value("Styles/Style")))
    if named is not None:
        return named
    palette = slicer.app.palette()  # held: the colour lies in it
    return palette.color(qt.QPalette.Window).lightness() < MIDDLE_LIGHTNESS


def icon(name: str, folder: Path = FOLDER) -> qt.QIcon:
    """The icon of a name, in the version that can be seen in Slicer's present style.

    Args:
        name: file name without ending.
        folder: where both versions are; those that the modules share by default.

    Raises:
        FileNotFoundError: when there is no such icon; Qt would show nothing instead.
    """
    path = folder / f"{name}{'-dark' if is_dark() else ''}.svg"
    if not path.is_file():
        there = sorted(other.name for other in folder.glob("*.svg"))
        raise FileNotFoundError(f"There is no icon {path.name}; expected one of {there}.")
    return qt.QIcon(str(path))


def module_icon(module_file: str) -> qt.QIcon:
    """The icon of a module: give ``__file__`` of ``<Name>/<Name>.py``, beside which ``Resources/Icons`` lies.

    Raises:
        FileNotFoundError: as :func:`icon`.
    """
    path = Path(module_file).resolve()
    return icon(path.stem, path.parent / "Resources" / "Icons")
