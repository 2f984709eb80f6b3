"""What a film's DICOM header says that its pixels do not: the view, the projection, the part of the body, a child."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from manabi.volume import Volume

FRONTAL = ("PA", "AP")
CHEST_WORDS = ("CHEST", "THORAX", "LUNG", "RIB", "TORSO", "TRUNK", "CLAVICLE", "STERNUM", "HEART")
"""Parts of the body that a film of the chest may be filed under."""
YEARS = {"D": 1 / 365.25, "W": 7 / 365.25, "M": 1 / 12, "Y": 1.0}
CHILD_YEARS = 16.0
"""Younger patients are told apart from those the detector was made for (our choice)."""


def header_warnings(volume: Volume) -> list[str]:
    """What a reader must know of a film that came from one DICOM file; nothing for other films.

    Neither age nor anything else of the patient is quoted.
    """
    files: tuple[Path, ...] = getattr(volume.source, "files", ())
    if len(files) != 1 or not Path(files[0]).is_file():
        return []
    import pydicom

    names = ["ViewPosition", "BodyPartExamined", "PatientAge"]
    dataset = pydicom.dcmread(files[0], force=True, stop_before_pixels=True, specific_tags=names)
    view, part, age = (_code(dataset.get(name)) for name in names)
    texts = []
    if view and view not in FRONTAL:
        texts.append(f"Not a frontal chest film, as its header says (view {view}): marks are worth little on it.")
    elif part and not any(word in part for word in CHEST_WORDS):
        texts.append(f"Not a frontal chest film, as its header says (part {part}): marks are worth little on it.")
    if view == "AP":
        texts.append(
            "Check the projection: the header says AP. The detector was made for PA films, on which heart and "
            "mediastinum hide less of the lungs."
        )
    if years_of(age) < CHILD_YEARS:
        texts.append("A child, as the header says: the detector was made for adults.")
    return texts


def years_of(age: str) -> float:
    """Years of a DICOM age such as ``018M``; infinite where it is none."""
    match = re.fullmatch(r"(\d{1,3})([DWMY])", age)
    return int(match[1]) * YEARS[match[2]] if match else float("inf")


def _code(value: Any) -> str:
    """A code string in capitals; empty where it is none."""
    text = str(value or "").strip().upper()
    return text if re.fullmatch(r"[A-Z0-9 _]{1,16}", text) else ""
