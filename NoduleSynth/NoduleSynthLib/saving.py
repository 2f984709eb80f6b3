"""Marks as files: a table (CSV), and a Chest CAD structured report for the archive."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import qt
import slicer
from slicer.i18n import tr as _

from manabi.errors import InvalidInputError
from manabi_slicer import interaction
from NoduleSynthLib import films
from NoduleSynthLib.tasks import DETECT, FILM

if TYPE_CHECKING:
    from slicer import vtkMRMLNode

    from manabi_slicer.tasks_logic import TasksLogic

NOT_DICOM = _(
    "A structured report refers to the film by its DICOM numbers. This film was not loaded from DICOM, or its file is "
    "no longer there: open the DICOM file with Open, or load it from Slicer's DICOM database, and press Apply."
)


def ask_for_file(title: str, kinds: str, suffix: str) -> Path | None:
    """Ask where to write a file that is not there yet; None where the user changed his mind, or nobody can be asked.

    Raises InvalidInputError where a file of that name is there already.
    """
    if not interaction.can_ask():
        return None
    chosen = qt.QFileDialog.getSaveFileName(slicer.util.mainWindow(), title, "", kinds)
    if not chosen:
        return None
    path = Path(str(chosen))
    return _free(path if path.suffix.lower() == suffix else path.with_name(path.name + suffix))


def save_marks(logic: TasksLogic, film: vtkMRMLNode, path: str | Path) -> Path:
    """Write the marks that are shown as CSV, every digit kept.

    Raises:
        InvalidInputError: when there are no marks to write, or the file is there already.
    """
    from manabi.io.atomic import atomic_file
    from manabi.io.tables import write_table

    result, path = logic.resultOf(film, volumes=False, task=DETECT), _free(Path(path))
    table = result.tables["marks"]
    with atomic_file(path) as aside:
        write_table(table.columns, table.rows, aside)
    return path


def save_cad_sr(logic: TasksLogic, nodes: Mapping[str, Any], path: str | Path) -> Path:
    """Write the marks that are shown as a Chest CAD structured report that refers to the film.

    Raises:
        InvalidInputError: when there is no result, the film is not from DICOM, or the file is there already.
    """
    film, path = nodes[FILM], _free(Path(path))
    result = logic.resultOf(film, task=DETECT)
    volumes = films.inputs(logic.method, nodes)
    if volumes[FILM].source is None:
        raise InvalidInputError(NOT_DICOM)
    with TemporaryDirectory(dir=path.parent, prefix=".manabi-") as folder:
        written = logic.method.export(volumes, result, Path(folder) / "report", "dicom")
        reports = [Path(one) for files in written.values() for one in files if Path(one).suffix == ".dcm"]
        if not reports:
            raise InvalidInputError(NOT_DICOM)
        reports[0].replace(path)
    return path


def why_no_report(film: Any) -> str:
    """Why no structured report can be written of a film; empty where it can."""
    from manabi_slicer.bridge.dicom import source_of

    if film and (source_of(film) is not None or films.facts(film).from_file):
        return ""
    return NOT_DICOM


def _free(path: Path) -> Path:
    if path.exists():
        raise InvalidInputError(_("There is a file of this name already; nothing is overwritten. Choose another name."))
    return path
