"""How long runs took on this computer, so that the next one can say how long it will take."""

from __future__ import annotations

import json
from typing import Any

import qt

KEY = "Manabi/RunTimes"
KEPT = 5


class RunTimes:
    """Seconds per million voxels of the last runs, by method, device and options, in Slicer's settings.

    Nothing about a patient is kept: the key is the method's name, the device and what changes its speed.

    Args:
        settings: anything with ``value(key)`` and ``setValue(key, value)``; by default Slicer's settings.
    """

    def __init__(self, settings: Any = None) -> None:
        self._settings = settings if settings is not None else qt.QSettings()

    def expected_s(self, what: str, n_voxels: int) -> float | None:
        """Seconds that a run of this kind and size will take, from the median of the last ones; None without any."""
        rates = sorted(self._all().get(what, []))
        return rates[len(rates) // 2] * n_voxels / 1e6 if rates and n_voxels else None

    def add(self, what: str, n_voxels: int, seconds: float) -> None:
        """Remember a run that was done."""
        if n_voxels > 0:
            known = self._all()
            known[what] = [*known.get(what, []), round(1e6 * seconds / n_voxels, 4)][-KEPT:]
            self._settings.setValue(KEY, json.dumps(known))

    def _all(self) -> dict[str, list[float]]:
        try:
            known = json.loads(str(self._settings.value(KEY) or "{}"))
        except ValueError:
            return {}
        return known if isinstance(known, dict) else {}
