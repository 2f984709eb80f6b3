"""The 744 features (8 wavelet bands x 93) of four real regions: ours in both modes against pyradiomics.

All contestants read the same files, use coif1 bands and bins of 25, and take turns. Warm is the extraction alone in a
process that has done it before; one-shot a whole process: start, imports, reading, extraction. pyradiomics runs with
``preCrop`` and one BLAS thread, which is fastest for it; it has one thread, so ours is timed on one too (``_1t``).
``difference`` is the largest of |ours - theirs| / max(|theirs|, 1e-6) over the 744 values; IBSI mode merges directions
and so has other values on purpose. pictologics takes part where it can be imported (Python 3.12).
"""

from __future__ import annotations

import argparse
import importlib.util
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

BASELINE = "pyradiomics"
BIN_WIDTH = 25.0
CASES = ("a brain1", "b IBSI CT phantom", "c LUNG1-001 tumour", "d right lung, 66 mm sphere")
ONE_SHOT = (CASES[2], CASES[3])
FAMILIES = ("firstorder", "glcm", "gldm", "glrlm", "glszm", "ngtdm")
IBSI_FAMILIES = ("firstorder", "glcm", "glrlm", "glszm", "ngtdm", "ngldm")
ONE_THREAD = {"NUMBA_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
ALL_CORES = {**ONE_THREAD, "NUMBA_NUM_THREADS": str(os.cpu_count() or 1)}
ENVIRONMENTS: dict[str, dict[str, str]] = {
    BASELINE: {"OPENBLAS_NUM_THREADS": "1"},
    "ours": ALL_CORES,
    "ours_1t": ONE_THREAD,
    "ibsi": ALL_CORES,
    "ibsi_1t": ONE_THREAD,
    "pictologics": ALL_CORES,
}


def contestants() -> list[str]:
    """Who can take part here."""
    names = list(ENVIRONMENTS)
    return names if importlib.util.find_spec("pictologics") else names[:-1]


def sources() -> dict[str, tuple[Path, Path, int]]:
    """Image, mask and label of each case."""
    root = Path(__file__).resolve().parents[2]
    base = Path(os.environ.get("MANABI_TEST_DATA", root.parent / "shared" / "data"))
    brain, phantom, chest = (base / p for p in ("radiomics/pyradiomics", "radiomics/ibsi1_ct_phantom", "chest_ct"))
    lung = (chest / "LUNG1-001_CT_shrink221.nii.gz", chest / "LUNG1-001_labels_shrink221.nii.gz")
    return {
        CASES[0]: (brain / "brain1_image.nrrd", brain / "brain1_label.nrrd", 1),
        CASES[1]: (phantom / "image" / "phantom.nii.gz", phantom / "mask" / "mask.nii.gz", 1),
        CASES[2]: (*lung, 5),
        CASES[3]: (*lung, 2),
    }


def write_cases(folder: Path) -> dict[str, int]:
    """Each case as an uncompressed image and a mask of one label, for all contestants alike; voxels of each region."""
    import SimpleITK as sitk

    voxels = {}
    for name, (image_path, mask_path, label) in sources().items():
        image, labels = sitk.ReadImage(str(image_path)), sitk.ReadImage(str(mask_path))
        mask = labels == label
        if name == CASES[3]:
            mask = within_sphere(mask, 66.0)
        mask.CopyInformation(image)
        voxels[name] = int(sitk.GetArrayViewFromImage(mask).sum())
        sitk.WriteImage(image, str(folder / f"{name[0]}_image.nrrd"))
        sitk.WriteImage(mask, str(folder / f"{name[0]}_mask.nrrd"))
    return voxels


def within_sphere(mask: Any, radius_mm: float) -> Any:
    """The part of a mask within a radius of the voxel that lies deepest in it."""
    import SimpleITK as sitk

    depth = sitk.SignedMaurerDistanceMap(mask, insideIsPositive=True, squaredDistance=False, useImageSpacing=True)
    values = sitk.GetArrayFromImage(depth)
    place = np.unravel_index(values.argmax(), values.shape)
    grids = np.indices(values.shape)
    squared = sum(((g - p) * s) ** 2 for g, p, s in zip(grids, place, mask.GetSpacing()[::-1], strict=True))
    return sitk.GetImageFromArray((sitk.GetArrayFromImage(mask) * (squared <= radius_mm**2)).astype(np.uint8))


def extraction(name: str, image: Path, mask: Path) -> Callable[[], Mapping[str, float]]:
    """Reads the files, and gives back what extracts."""
    if name == BASELINE:
        return with_pyradiomics(image, mask)
    if name == "pictologics":
        return with_pictologics(image, mask)
    return with_ours(image, mask, ibsi=name.startswith("ibsi"))


def with_ours(image: Path, mask: Path, ibsi: bool) -> Callable[[], Mapping[str, float]]:
    """Manabi in one of its modes."""
    from manabi.io import read_volume
    from manabi.radiomics.extract import extract
    from manabi.radiomics.filters.spec import FilterSpec
    from manabi.radiomics.presets import preset
    from manabi.radiomics.settings import ExtractionSettings

    volume, region = read_volume(image), read_volume(mask)
    settings = preset("paper-744")
    if ibsi:
        settings = ExtractionSettings(families=IBSI_FAMILIES, original=False, filters=(FilterSpec("wavelet"),),
                                      bin_width=BIN_WIDTH)  # fmt: skip

    def work() -> Mapping[str, float]:
        """Values by name."""
        found = extract(volume, region, settings)
        return dict(zip(found.names, map(float, found.values), strict=True))

    return work


def with_pyradiomics(image: Path, mask: Path) -> Callable[[], Mapping[str, float]]:
    """pyradiomics, cropping first."""
    import SimpleITK as sitk
    from radiomics import featureextractor

    logging.getLogger("radiomics").setLevel(logging.ERROR)
    extractor = featureextractor.RadiomicsFeatureExtractor(binWidth=BIN_WIDTH, preCrop=True)
    extractor.disableAllImageTypes()
    extractor.enableImageTypeByName("Wavelet")
    extractor.disableAllFeatures()
    for family in FAMILIES:
        extractor.enableFeatureClassByName(family)
    picture, region = sitk.ReadImage(str(image)), sitk.ReadImage(str(mask))

    def work() -> Mapping[str, float]:
        """Values by name."""
        found = extractor.execute(picture, region, label=1)
        return {k: float(v) for k, v in found.items() if not k.startswith("diagnostics")}

    return work


def with_pictologics(image: Path, mask: Path) -> Callable[[], Mapping[str, float]]:
    """pictologics, all bands in one run of its pipeline."""
    import pictologics as pl
    import SimpleITK as sitk

    array = sitk.GetArrayFromImage(sitk.ReadImage(str(image)))
    low = float(np.floor(array.min() / BIN_WIDTH) * BIN_WIDTH)
    pipeline = pl.RadiomicsPipeline(load_standard=False)
    families = ["intensity", "glcm", "glrlm", "glszm", "ngldm", "ngtdm"]
    for band in ("LLH", "LHL", "LHH", "HLL", "HLH", "HHL", "HHH", "LLL"):
        wavelet = {"type": "wavelet", "wavelet": "coif1", "decomposition": band, "boundary": "periodic"}
        bins = {"method": "FBS", "bin_width": BIN_WIDTH, "min_val": low}
        pipeline.add_config(band, [{"step": "filter", "params": wavelet}, {"step": "discretise", "params": bins},
                                   {"step": "extract_features", "params": {"families": families}}])  # fmt: skip
    picture, region = pl.load_image(str(image)), pl.load_image(str(mask))

    def work() -> Mapping[str, float]:
        """Values by name."""
        found = pipeline.run(picture, region)
        return {f"{band}_{k}": float(v) for band, values in found.items() for k, v in dict(values).items()}

    return work


def contestant(name: str, image: Path, mask: Path, once: bool) -> None:
    """Serve one contestant, or extract once and end."""
    from common import serve

    work = extraction(name, image, mask)
    if once:
        work()
        return
    if name.startswith(("ours", "ibsi")):
        from manabi.radiomics.texture.choose import warm

        warm()
    serve(work, lambda: {"values": dict(work())})


def largest_difference(ours: Mapping[str, float], theirs: Mapping[str, float]) -> float:
    """Largest relative difference over the values of theirs, each of which must be among ours."""
    return max(abs(ours[name] - value) / max(abs(value), 1e-6) for name, value in theirs.items())


def one_shot(folder: Path, case: str, rounds: int, names: list[str]) -> dict[str, dict[str, Any]]:
    """Seconds of whole processes on a region, in turn; also of the processor, which other work disturbs less."""
    from common import summary

    seconds: dict[str, list[float]] = {name: [] for name in names}
    cpu: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds + 1):
        for name in names:
            command = [sys.executable, __file__, "--contestant", name, *files(folder, case), "--once"]
            started, before = time.perf_counter(), _children_s()
            subprocess.run(command, check=True, env={**os.environ, **ENVIRONMENTS[name]}, capture_output=True)
            seconds[name].append(time.perf_counter() - started)
            cpu[name].append(_children_s() - before)
    return {
        name: {**summary(values[1:]), "best_cpu_s": round(min(cpu[name][1:]), 4)} for name, values in seconds.items()
    }


def _children_s() -> float:
    """Seconds of the processor that ended children took; 0 on Windows, which does not tell."""
    times = os.times()
    return times.children_user + times.children_system


def files(folder: Path, case: str) -> list[str]:
    """Image and mask of a case, as arguments."""
    return [str(folder / f"{case[0]}_image.nrrd"), str(folder / f"{case[0]}_mask.nrrd")]


def run(quick: bool = False, rounds: int = 7) -> dict[str, Any]:
    """Measure; ``quick`` on the smallest region and two rounds: a check that it works, not a figure."""
    from common import add_ratios, load, machine, race

    rounds, names = 2 if quick else rounds, contestants()
    described, cases = machine(), {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        voxels = write_cases(folder)
        for case in CASES[:1] if quick else CASES:
            results = race(__file__, names, files(folder, case), ENVIRONMENTS, rounds)
            add_ratios(results, BASELINE)
            theirs = results[BASELINE]["values"]
            for name, record in results.items():
                values = record.pop("values")
                record["features"] = len(values)
                record["cpu_ratio"] = round(results[BASELINE]["best_cpu_s"] / record["best_cpu_s"], 1)
                if name.startswith("ours"):
                    record["difference"] = f"{largest_difference(values, theirs):.1e}"
            cases[f"{case}, {voxels[case]} voxels"] = results
        if not quick:
            for case in ONE_SHOT:
                shots = one_shot(folder, case, 3, names)
                add_ratios(shots, BASELINE)
                cases[f"{case}, one-shot process"] = shots
    return {"machine": {**described, "load_average_after": load()}, "cases": cases}


def main() -> None:
    """Run and print, or serve as one of the contestants."""
    from common import print_cases

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--contestant", choices=list(ENVIRONMENTS))
    parser.add_argument("--once", action="store_true")
    parser.add_argument("files", nargs="*", type=Path)
    given = parser.parse_args()
    if given.contestant:
        image, mask = given.files
        contestant(given.contestant, image, mask, given.once)
        return
    columns = ("best_s", "median_s", "best_cpu_s", "ratio_best", "ratio_median", "cpu_ratio", "peak_mb", "features",
               "difference")  # fmt: skip
    print_cases(run(given.quick, given.rounds), BASELINE, columns)


if __name__ == "__main__":
    main()
