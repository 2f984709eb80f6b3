"""The part of ``ctkDICOMDatabase`` that the modules ask: patients, studies, series and files, in PythonQt's types.

Lists of strings are tuples, as PythonQt gives them; a patient is called by its number in the data base, a study and a
series by its UID.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


class DicomDatabase:
    """A data base of files, as ``slicer.dicomDatabase`` is one after an import that leaves the files in their place."""

    isOpen = True  # noqa: N815

    def __init__(self, files: Iterable[Path]) -> None:
        import pydicom

        self._rows: list[tuple[str, str, str, str, str]] = []
        patients: dict[str, str] = {}
        for file in files:
            header = pydicom.dcmread(file, stop_before_pixels=True)
            patient = patients.setdefault(str(header.get("PatientID", "")), str(len(patients) + 1))
            uids = (header.StudyInstanceUID, header.SeriesInstanceUID, header.SOPInstanceUID)
            self._rows.append((patient, *(str(uid) for uid in uids), str(file)))

    def patients(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(row[0] for row in self._rows))

    def studiesForPatient(self, dbPatientID: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(row[1] for row in self._rows if row[0] == dbPatientID))

    def seriesForStudy(self, studyUID: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(row[2] for row in self._rows if row[1] == studyUID))

    def filesForSeries(self, seriesUID: str, hits: int = -1) -> tuple[str, ...]:
        files = tuple(row[4] for row in self._rows if row[2] == seriesUID)
        return files if hits < 0 else files[:hits]

    def fileForInstance(self, sopInstanceUID: str) -> str:
        return next((row[4] for row in self._rows if row[3] == sopInstanceUID), "")
