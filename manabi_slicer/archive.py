"""Slicer's DICOM data base as a source of a batch: its files are indexed as those of any archive.

The data base says which files there are; what is in them is read by ``manabi index`` beside Slicer, once. The index
lies with the user's models, so that the next batch reads what was imported since and nothing else.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import slicer

from manabi import places
from manabi.errors import InvalidInputError

INDEX, LIST = "slicer-database.sqlite", "slicer-database.txt"


def database_files() -> list[str]:
    """The files of every series in Slicer's DICOM data base.

    Raises:
        InvalidInputError: where there is no data base, or it is empty.
    """
    database: Any = getattr(slicer, "dicomDatabase", None)
    if database is None or not getattr(database, "isOpen", True):
        raise InvalidInputError("Slicer's DICOM data base is not open. Open the DICOM module once, which makes it.")
    files = [
        str(file)
        for patient in database.patients()
        for study in database.studiesForPatient(patient)
        for series in database.seriesForStudy(study)
        for file in database.filesForSeries(series)
    ]
    if not files:
        raise InvalidInputError("Slicer's DICOM data base is empty. Import the images in the DICOM module first.")
    return files


def index_file() -> Path:
    """The index of Slicer's data base, there or to be made."""
    return places.data_folder() / INDEX


def index_arguments() -> list[str]:
    """The arguments of ``manabi`` that bring the index up to date; writes the list of files that it reads.

    Raises:
        InvalidInputError: where there is nothing to index.
    """
    from manabi.io.atomic import atomic_file

    names = places.data_folder() / LIST
    files = "".join(f"{file}\n" for file in database_files())
    with atomic_file(names, overwrite=True) as aside:
        os.close(os.open(aside, os.O_CREAT | os.O_WRONLY, 0o600))
        aside.write_bytes(files.encode("utf-8", "surrogateescape"))
    return ["index", str(names), "--output", str(index_file())]
