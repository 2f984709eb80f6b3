"""Numbers as DICOM writes them."""

from __future__ import annotations

import numpy as np


def ds(value: float) -> str:
    """A number as DICOM's DS writes it, in 16 characters at most."""
    from pydicom.valuerep import format_number_as_ds

    return format_number_as_ds(float(value))


def orientation_of(lps: np.ndarray) -> list[str]:
    """ImageOrientationPatient of a grid's IJK-to-LPS matrix."""
    axes = lps[:3, :2] / np.linalg.norm(lps[:3, :2], axis=0)
    return [ds(value) for value in axes.T.ravel()]
