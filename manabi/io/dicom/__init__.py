"""DICOM in and out: series, single files and multi-frame files as volumes, and volumes as derived series.

Geometry is sacred here: a series is read rightly, or refused with an error that names the slice. See
:mod:`manabi.io.dicom.stack` for the rules.
"""

from __future__ import annotations

from manabi.io.dicom.pixels import read_pixels
from manabi.io.dicom.read import read_dicom
from manabi.io.dicom.series import SeriesInfo, list_series
from manabi.io.dicom.source import DicomSource
from manabi.io.dicom.structures import write_structures
from manabi.io.dicom.write import write_dicom

__all__ = ["DicomSource", "SeriesInfo", "list_series", "read_dicom", "read_pixels", "write_dicom", "write_structures"]
