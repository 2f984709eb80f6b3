"""Which of the real normal films a flow and a detector may be trained on: every second normal patient, by number.

The other normal films, and every film of a patient with a finding, stay unseen, for the real part of
``python -m Training experiment nodule`` (``--set experiment.seen=OUT/seen.csv``). Labels are those of ChestX-ray14.

    python Testing/tools/split_cxr.py FOLDER OUT

FOLDER holds nih, nih_labels.csv and nih512; OUT gets the films and seen.csv.
"""

from __future__ import annotations

import csv
import shutil
import sys
from pathlib import Path

NORMAL = "No Finding"


def findings(folder: Path) -> dict[Path, str]:
    """Labels by file."""
    tables = (
        ("nih_labels.csv", "nih", "Image Index", "Finding Labels"),
        ("nih512/labels.csv", "nih512", "file", "findings"),
    )
    out = {}
    for table, place, name, label in tables:
        with (folder / table).open(encoding="utf-8", newline="") as file:
            out |= {folder / place / row[name]: row[label] for row in csv.DictReader(file)}
    return out


def patient_of(path: Path) -> str:
    """The patient's number in the file's name."""
    return path.name.partition("_")[0]


def choose(labels: dict[Path, str]) -> list[Path]:
    """Every second of the patients all of whose films are normal, in the order of their numbers; all their films."""
    ill = {patient_of(path) for path, label in labels.items() if label != NORMAL}
    normal = sorted({patient_of(path) for path in labels} - ill)
    chosen = set(normal[::2])
    return sorted(path for path in labels if patient_of(path) in chosen)


def main(folder: Path, output: Path) -> None:
    """Copy the films and write ``seen.csv`` (film, patient)."""
    films = output / "films"
    films.mkdir(parents=True, exist_ok=True)
    chosen = choose(findings(folder))
    for path in chosen:
        shutil.copyfile(path, films / path.name)
    with (output / "seen.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("film", "patient"))
        rows.writerows((str((films / path.name).resolve()), patient_of(path)) for path in chosen)
    sys.stdout.write(f"{len(chosen)} normal films of {len({patient_of(p) for p in chosen})} patients: {output}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
