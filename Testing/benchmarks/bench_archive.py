"""Indexing an archive: time per file, of a first run and of one that finds nothing new; the aim is 100,000 in 10 min.

Files are made for the purpose: CT headers of some 90 attributes, as scanners write them, with small pixel data, 200 to
a series, in nested folders without suffixes. Only headers are read, so the size of the pixels matters to nothing but
the disk's cache; what a cold disk or a network share adds per file is not measured here. Two sizes tell whether the
time per file grows. Run ``bench_archive.py --files 100000`` for the aim itself.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import machine, peak_mb, print_machine
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

AIM_FILES, AIM_S = 100_000, 600.0
PER_SERIES = 200
FILES = 4000
FILLING = 50
"""Private attributes beside those that have a meaning, so that a header is as long as a scanner's."""


def header(series: int) -> Dataset:
    """The header of a series, as a scanner writes it, with pixels of 32×32."""
    dataset = Dataset()
    dataset.SpecificCharacterSet, dataset.SOPClassUID = "ISO_IR 100", "1.2.840.10008.5.1.4.1.1.2"
    dataset.ImageType, dataset.Modality = ["ORIGINAL", "PRIMARY", "AXIAL"], "CT"
    dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDate = dataset.ContentDate = "20240317"
    dataset.StudyTime = dataset.SeriesTime = dataset.AcquisitionTime = "101112.130000"
    dataset.Manufacturer, dataset.ManufacturerModelName = "SCANNER", "Model 64"
    dataset.StudyDescription, dataset.SeriesDescription = "CT Chest", f"Thorax {1 + series % 5}.0 B30f"
    dataset.PatientName, dataset.PatientID = f"Doe^J{series}", f"{series // 3:08d}"
    dataset.PatientBirthDate = "19500101"
    dataset.BodyPartExamined, dataset.SliceThickness, dataset.KVP = "CHEST", 1.0, 120
    dataset.ProtocolName, dataset.ConvolutionKernel = "Thorax routine", "B30f"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = f"1.2.826.0.1.{series // 3}", f"1.2.826.0.2.{series}"
    dataset.SeriesNumber, dataset.FrameOfReferenceUID = 1 + series % 3, f"1.2.826.0.3.{series}"
    dataset.ImageOrientationPatient, dataset.PixelSpacing = [1, 0, 0, 0, 1, 0], [0.7, 0.7]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows = dataset.Columns = 32
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.WindowCenter, dataset.WindowWidth = -1024, 1, 40, 400
    block = dataset.private_block(0x0019, "BENCH 1.0", create=True)
    for k in range(FILLING):
        block.add_new(k, "LO", f"a private value of some length, number {k}")
    dataset.PixelData = np.zeros((32, 32), "<u2").tobytes()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


def generate(folder: Path, first: int, last: int) -> None:
    """Write the files from number ``first`` to before ``last``."""
    for series in range(first // PER_SERIES, -(-last // PER_SERIES)):
        dataset = header(series)
        place = folder / f"{series // 50:03d}" / f"{series:05d}" / "DICOM"
        place.mkdir(parents=True, exist_ok=True)
        for k in range(PER_SERIES):
            dataset.InstanceNumber, dataset.SOPInstanceUID = k + 1, f"{dataset.SeriesInstanceUID}.{k}"
            dataset.ImagePositionPatient, dataset.SliceLocation = [-180.0, -180.0, float(k)], float(k)
            dataset.save_as(place / f"I{k:05d}", enforce_file_format=True)


def timed(work: Any) -> tuple[Any, float, float]:
    """What a call gives, its wall and its processor time in seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return result, time.perf_counter() - wall, time.process_time() - cpu


def run(files: int = FILES) -> dict[str, Any]:
    """Measure at half the number of files and at the whole."""
    from manabi import registry
    from manabi.archive.choose import choose
    from manabi.archive.index import Index
    from manabi.archive.scan import index_folder
    from manabi.archive.series import archived_series

    rows: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="manabi-bench-") as name:
        os.environ["MANABI_HOME"] = name
        archive, done = Path(name) / "archive", 0
        for count in (files // 2, files):
            generate(archive, done, count)
            done = count
            index = Path(name) / f"{count}.sqlite"
            report, wall, cpu = timed(lambda index=index: index_folder(archive, index))
            again, wall_again, cpu_again = timed(lambda index=index: index_folder(archive, index))

            def chosen(index: Path = index) -> int:
                with Index.opened(index) as opened:
                    return sum(c.use for c in choose(archived_series(opened.files()), registry.method("slices")))

            used, wall_choice, cpu_choice = timed(chosen)
            rows[f"{count} files"] = {
                "read": report.read, "first_s": round(wall, 2), "first_cpu_s": round(cpu, 2),
                "cpu_ms_per_file": round(1e3 * cpu / report.read, 3), "again_read": again.read,
                "again_s": round(wall_again, 2), "again_cpu_s": round(cpu_again, 2),
                "choose_s": round(wall_choice, 2), "choose_cpu_s": round(cpu_choice, 2), "used": used,
                "index_mb": round(index.stat().st_size / 1e6, 2), "peak_mb": round(peak_mb()),
            }  # fmt: skip
    last = rows[f"{files} files"]
    scale = AIM_FILES / files
    return {
        "machine": machine(), "sizes": rows,
        "projected": {
            "files": AIM_FILES, "first_cpu_s": round(scale * last["first_cpu_s"]),
            "first_s_as_loaded": round(scale * last["first_s"]), "again_cpu_s": round(scale * last["again_cpu_s"]),
            "choose_cpu_s": round(scale * last["choose_cpu_s"]), "index_mb": round(scale * last["index_mb"]),
            "aim_s": AIM_S,
        },
    }  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=FILES)
    found = run(parser.parse_args().files)
    print_machine(found["machine"])
    for size, row in found["sizes"].items():
        print(size, row)
    print("projected, in proportion:", found["projected"])
