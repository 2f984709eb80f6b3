"""Write radiomics_filters_ibsi2.json: voxels of IBSI 2's reference response maps, and its reference feature values.

    python make_radiomics_filters_ibsi2.py FOLDER

FOLDER is a copy of https://github.com/theibsi/ibsi_2_reference_data (CC0 1.0) at commit
5404579fb3e0d17e8db421f0e82d64ce2432ec03, with ``reference_response_maps`` and
``reference_feature_values``. Of each map 64 voxels drawn with a seed, 64 of those far from its median, its lowest and
its highest are kept. The comparison with all voxels of all maps is logged as well.
"""

from __future__ import annotations

import csv
import json
import logging
import sys
from pathlib import Path

import numpy as np
from radiomics_filters_cases import MAPS, PHANTOMS, SPACING

from manabi.radiomics.filters import FilterSpec, apply

TARGET = Path(__file__).with_name("radiomics_filters_ibsi2.json")
DRAWN = 64


def main(folder: Path) -> None:
    """Write the file and log the largest difference of each whole map, in per cent of the map's range."""
    import SimpleITK as sitk

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    rng = np.random.default_rng(6)
    maps = {}
    for name, (phantom, text) in MAPS.items():
        path = folder / "reference_response_maps" / f"{name}-ValidCRM.nii"
        values = sitk.GetArrayFromImage(sitk.ReadImage(str(path))).astype(np.float64)
        (found,) = apply(PHANTOMS[phantom](), SPACING, FilterSpec.parse(text)).values()
        logging.info("%s %.5f %%", name, 100 * np.abs(found - values).max() / np.ptp(values))
        maps[name] = _sample(values.ravel(), rng)
    with (folder / "reference_feature_values" / "reference_values.csv").open() as file:
        rows = [row for row in csv.DictReader(file, delimiter=";") if row["consensus_value"] not in ("", "NA")]
    features: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        value = [float(row["consensus_value"]), float(row["tolerance"])]
        features.setdefault(row["filter_id"], {})[row["feature_tag"]] = value
    TARGET.write_text(json.dumps({"maps": maps, "features": features}, indent=None, separators=(",", ":")) + "\n")


def _sample(values: np.ndarray, rng: np.random.Generator) -> dict[str, list[float]]:
    """Voxels of a map by their place in it, and its range."""
    far = np.flatnonzero(np.abs(values - np.median(values)) > 0.05 * np.ptp(values))
    places = [rng.choice(values.size, DRAWN, replace=False), rng.choice(far, min(DRAWN, far.size), replace=False)]
    chosen = np.unique(np.concatenate([*places, [values.argmin(), values.argmax()]]))
    return {
        "places": chosen.tolist(),
        "values": [float(f"{value:.6g}") for value in values[chosen]],
        "range": [float(f"{values.min():.6g}"), float(f"{values.max():.6g}")],
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
