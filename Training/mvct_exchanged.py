"""Whether a site's two kinds of scans were exchanged: the training would run, and learn the wrong way round."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from manabi.errors import InvalidInputError
from manabi.mvct.prepare import prepare
from manabi.mvct.signature import likely_kind, signature
from manabi.mvct.tissue_map import tissue_map
from Training.mvct_sources import SOURCE, TARGET, Scan

LOOKED_AT = 3
"""Scans of each kind that are looked at (our choice)."""


def check_exchanged(scans: Sequence[Scan]) -> list[str]:
    """Look at a few real scans of each kind.

    Args:
        scans: of a site; simulated ones are left out.

    Returns:
        A warning where all target scans look like megavoltage CT.

    Raises:
        InvalidInputError: where besides all source scans look like planning CT.
    """
    looks = {domain: _looks(scans, domain) for domain in (SOURCE, TARGET)}
    if looks[TARGET] != {"mvct"}:
        return []
    if looks[SOURCE] == {"kvct"}:
        raise InvalidInputError(
            "The scans are exchanged: those to convert from look like kilovoltage CT, those to convert to like "
            "megavoltage CT. Give MVCT_FOLDER::KVCT_FOLDER in this order, or correct the column domain."
        )
    return ["The scans to convert to look like megavoltage CT. Check that they are planning CTs."]


def _looks(scans: Sequence[Scan], domain: str) -> set[str]:
    chosen = [scan for scan in scans if scan.domain == domain and not scan.simulated][:LOOKED_AT]
    return {_kind(scan) for scan in chosen}


def _kind(scan: Scan) -> str:
    work = prepare(scan.load())
    spacing = np.asarray(work.image.spacing_mm, float)
    return likely_kind(signature(work.hu, spacing, tissue_map(work.hu, spacing)))
