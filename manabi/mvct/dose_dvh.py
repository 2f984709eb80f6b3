"""Dose-volume numbers of a structure: D98, D95, D50, D2, mean and V95."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from manabi.errors import InvalidInputError
from manabi.result import Plot

VOLUMES_PERCENT = (98.0, 95.0, 50.0, 2.0)
BINS = 200


def dose_at_volume(dose: np.ndarray, mask: np.ndarray, volume_percent: float) -> float:
    """Dx: the dose that at least ``volume_percent`` of the structure receives (ICRU Report 83, 2010).

    Args:
        dose: any shape.
        mask: of the same shape.
        volume_percent: 0 to 100.

    Raises:
        InvalidInputError: for an empty structure or another percentage.
    """
    if not 0.0 <= volume_percent <= 100.0:
        raise InvalidInputError(f"A volume is 0 to 100 % of the structure; got {volume_percent:g}.")
    return float(np.percentile(_inside(dose, mask), 100.0 - volume_percent))


def volume_at_dose(dose: np.ndarray, mask: np.ndarray, level: float) -> float:
    """Vx: percentage of the structure that receives at least ``level``, in the dose's unit."""
    return 100.0 * float(np.mean(_inside(dose, mask) >= level))


def dvh_numbers(dose: np.ndarray, mask: np.ndarray, prescribed: float) -> dict[str, float]:
    """``D98``, ``D95``, ``D50``, ``D2`` and ``Dmean`` in the dose's unit and ``V95`` in percent.

    Args:
        dose: any shape.
        mask: of the same shape.
        prescribed: the dose whose 95 % V95 asks for.
    """
    numbers = {f"D{p:g}": dose_at_volume(dose, mask, p) for p in VOLUMES_PERCENT}
    numbers["Dmean"] = float(_inside(dose, mask).mean())
    numbers["V95"] = volume_at_dose(dose, mask, 0.95 * prescribed)
    return numbers


def dvh_plot(doses: Mapping[str, np.ndarray], masks: Mapping[str, np.ndarray], prescribed: float) -> Plot:
    """Cumulative histograms of every structure under every dose.

    Args:
        doses: by name, one grid.
        masks: structures, on the same grid.
        prescribed: is 100 % of the axis.
    """
    levels = np.linspace(0.0, 1.2 * prescribed, BINS)
    series = {}
    for structure, mask in masks.items():
        for name, dose in doses.items():
            ordered = np.sort(_inside(dose, mask))
            share = 100.0 * (1.0 - np.searchsorted(ordered, levels) / ordered.size)
            series[f"{structure}, {name}"] = ((100.0 * levels / prescribed).tolist(), share.tolist())
    return Plot("Dose-volume histograms", "dose (% of the prescribed)", "volume (%)", series)


def _inside(dose: np.ndarray, mask: np.ndarray) -> np.ndarray:
    if np.shape(dose) != np.shape(mask):
        raise InvalidInputError(f"Dose and structure must have one shape; got {np.shape(dose)} and {np.shape(mask)}.")
    values = np.asarray(dose)[np.asarray(mask, bool)]
    if not values.size:
        raise InvalidInputError("The structure is empty; it has no dose.")
    return values
