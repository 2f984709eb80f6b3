"""Writing a result to disk from the panel."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import qt
import slicer
from slicer.i18n import tr as _

from manabi_slicer import interaction
from manabi_slicer.slots import calling

if TYPE_CHECKING:
    from slicer import vtkMRMLNode

    from manabi.io.results import ImageFormat
    from manabi_slicer.logic import ManabiLogic

FORMATS: dict[str, str] = {
    "nrrd": _("Images as NRRD (for Slicer)"),
    "nifti": _("Images as NIfTI"),
    "dicom": _("Images as DICOM (for the archive)"),
}
"""Image formats of :func:`manabi.io.results.write_result`, as the menu says them."""


def add_menu(button: Any, on_chosen: Callable[[str], None]) -> None:
    """Give a button a menu of the formats; ``on_chosen`` is called with the format's name."""
    menu = qt.QMenu(button)
    for name, text in FORMATS.items():
        menu.addAction(text).connect("triggered(bool)", calling(on_chosen, name))
    button.setMenu(menu)


def ask_and_export(
    logic: ManabiLogic, nodes: Mapping[str, vtkMRMLNode | None], image_format: str, **options: Any
) -> str:  # fmt: skip
    """Ask for a place and write a new folder there; returns it, empty where the user changed his mind.

    Args:
        logic: the module's.
        nodes: input nodes by the method's input names.
        image_format: one of :data:`FORMATS`.
        options: of the logic's ``export``.

    Raises:
        ManabiError: when there is no result, or it could not be written; nothing is left then.
    """
    if not interaction.can_ask():
        return ""
    place = qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), _("Export into a new folder in"))
    if not place:
        return ""
    folder = new_folder(Path(str(place)), f"manabi-{logic.methodName}")
    with waiting():
        logic.export(dict(nodes), folder, cast("ImageFormat", image_format), **options)
    return str(folder)


def new_folder(place: Path, name: str) -> Path:
    """A path in ``place`` that is not taken: ``name``, ``name-2``, ...; it names no patient."""
    folder, count = place / name, 2
    while folder.exists():
        folder, count = place / f"{name}-{count}", count + 1
    return folder


@contextmanager
def waiting() -> Iterator[None]:
    """Show the wait cursor meanwhile."""
    qt.QApplication.setOverrideCursor(qt.Qt.WaitCursor)
    try:
        yield
    finally:
        qt.QApplication.restoreOverrideCursor()
