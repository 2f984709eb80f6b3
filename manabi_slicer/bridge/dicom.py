"""What a volume node says of its origin: modality, units, and the DICOM files it was loaded from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import slicer

from manabi_slicer.bridge.attributes import MODALITY, UNITS
from manabi_slicer.bridge.hierarchy import hierarchy

if TYPE_CHECKING:
    from slicer import vtkMRMLScalarVolumeNode

    from manabi.io.dicom.source import DicomSource

UNIT_CODES = {
    "HU": ("[hnsf'U]", "Hounsfield unit"),
    "CNTS": ("{counts}", "Counts"),
    "BQML": ("Bq/ml", "Becquerels/milliliter"),
    "GML": ("g/ml{SUVbw}", "Standardized Uptake Value body weight"),
}
"""UCUM code and meaning by DICOM's word for the units."""
UNITS_OF_CODES = {code: units for units, (code, _) in UNIT_CODES.items()} | {"{SUVbw}g/ml": "GML"}
DEFAULT_UNITS = {"CT": "HU", "NM": "CNTS"}
"""What DICOM images of a modality hold where they do not say."""
INSTANCE_UIDS = "DICOM.instanceUIDs"


def modality_of(node: vtkMRMLScalarVolumeNode) -> str | None:
    """DICOM modality code of a volume node, or None where nothing says it."""
    stated = node.GetAttribute(MODALITY) or node.GetAttribute("DICOM.Modality")
    if stated:
        return stated
    tree = hierarchy()
    item = tree.GetItemByDataNode(node)
    in_tree = tree.GetItemAttribute(item, "DICOM.Modality") if item else ""
    return in_tree or _database_value(node, "0008,0060") or None


def units_of(node: vtkMRMLScalarVolumeNode, modality: str | None) -> str | None:
    """Units of the values as DICOM writes them, or None."""
    stated = node.GetAttribute(UNITS)
    if stated:
        return stated
    coded = node.GetVoxelValueUnits()
    if coded is not None and coded.GetCodeValue() in UNITS_OF_CODES:
        return UNITS_OF_CODES[coded.GetCodeValue()]
    from_dicom = bool(node.GetAttribute(INSTANCE_UIDS))
    return DEFAULT_UNITS.get(modality or "") if from_dicom else None


def set_units(node: vtkMRMLScalarVolumeNode, units: str | None) -> None:
    """Tell Slicer the units of the voxels where it has a code for them; it shows them in the data probe."""
    if units not in UNIT_CODES:
        node.SetVoxelValueUnits(None)
        return
    code, meaning = UNIT_CODES[units]
    entry = slicer.vtkCodedEntry()
    entry.SetValueSchemeMeaning(code, "UCUM", meaning)
    node.SetVoxelValueUnits(entry)


def source_of(node: vtkMRMLScalarVolumeNode | None) -> DicomSource | None:
    """The DICOM series that a node was loaded from, where Slicer's database has all its files; otherwise None."""
    database = _database()
    uids = tuple(_uids(node))
    if node is None or database is None or not uids:
        return None
    files = tuple(dict.fromkeys(Path(str(database.fileForInstance(uid))) for uid in uids))
    if not all(path.is_file() for path in files):
        return None
    from manabi.io.dicom.source import DicomSource

    def value(tag: str) -> str:
        return str(database.fileValue(str(files[0]), tag) or "").strip()

    number = value("0020,0011")
    return DicomSource(
        files,
        value("0020,000E"),
        int(number) if number.lstrip("+-").isdigit() else None,
        value("0008,0060") or None,
        value("0008,0016"),
        uids,
        node.GetImageData().GetDimensions()[2] if node.GetImageData() else len(uids),
    )


def _uids(node: vtkMRMLScalarVolumeNode | None) -> list[str]:
    return (node.GetAttribute(INSTANCE_UIDS) or "").split() if node is not None else []


def _database() -> Any:
    """Slicer's DICOM database, where there is one and it is open."""
    database = getattr(slicer, "dicomDatabase", None)
    return database if database is not None and getattr(database, "isOpen", True) else None


def _database_value(node: vtkMRMLScalarVolumeNode, tag: str) -> str:
    """A value of the first file of a node's series, from the database's cache; empty where it is not known."""
    database, uids = _database(), _uids(node)
    if database is None or not uids:
        return ""
    file = str(database.fileForInstance(uids[0]) or "")
    return str(database.fileValue(file, tag) or "").strip() if file else ""
