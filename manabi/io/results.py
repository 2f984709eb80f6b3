"""One writer for every :class:`Result`: a folder that appears whole or not at all.

Layout: one file per volume and label map, ``landmarks.mrk.json`` (3D Slicer Markups) and ``landmarks.csv``, a CSV per
table, a CSV and a JSON per plot, ``figures/*.png``, a folder of the method's name with what else it hands over,
``measurements.json``, and ``result.json``, which lists them all with warnings and provenance. File names derive from
the result's keys, never from the input's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from manabi.errors import InvalidInputError
from manabi.io.atomic import atomic_folder
from manabi.io.labels import labels_json, seg_nrrd_metadata, slim
from manabi.io.tables import plain, slug, write_json, write_landmarks_csv, write_markups, write_plot_csv, write_table
from manabi.result import Labelmap, Result
from manabi.volume import Volume

if TYPE_CHECKING:
    from manabi.method import Method

ImageFormat = Literal["nifti", "nrrd", "dicom"]
Files = dict[str, list[Path] | Path]
SUFFIX = {"nifti": ".nii.gz", "nrrd": ".nrrd"}
FORMAT = "manabi-result/1"
RESERVED = ("result", "measurements", "landmarks", "figures")


def write_result(
    result: Result,
    folder: Path | str,
    *,
    image_format: ImageFormat = "nifti",
    method: Method[Any] | None = None,
    inputs: Mapping[str, Volume] | None = None,
    draw: bool = True,
    overwrite: bool = False,
) -> Files:
    """Write everything in a result.

    Args:
        result: what a method gave back.
        folder: where; made, with its parents. It must be new or empty unless ``overwrite`` is set, which replaces it
            as a whole.
        image_format: ``nifti``, ``nrrd`` or ``dicom`` (a series per volume, beside the input's where it came from
            DICOM; label maps are written as ``.seg.nrrd``).
        method: the method that ran, for its figures and what else it hands over.
        inputs: what it ran on, likewise.
        draw: whether to draw the figures; needs ``method`` and ``inputs``.
        overwrite: whether a folder with content may be replaced.

    Returns:
        Path by ``section/key`` (a list for figures and DICOM series), and the folder itself under ``folder``.

    Raises:
        InvalidInputError: where the result is empty, the format unknown, or the folder taken.
        ManabiError: when the disk is full. Nothing remains after any error.
    """
    if image_format not in get_args(ImageFormat):
        raise InvalidInputError(f"Unknown image format {image_format!r}. Choose nifti, nrrd or dicom.")
    if not any((result.volumes, result.labelmaps, result.landmarks, result.tables, result.plots, result.measurements)):
        raise InvalidInputError("The result is empty: there is nothing to write.")
    target = Path(folder)
    with atomic_folder(target, overwrite=overwrite) as aside:
        writer = _Writer(result, aside, image_format)
        writer.images()
        writer.numbers()
        if draw and method is not None and inputs is not None:
            writer.figures(method, inputs)
        if method is not None and inputs is not None:
            writer.exports(method, inputs)
        files = writer.files
        write_json(to_json(result, files, relative_to=aside), aside / "result.json")
    moved: Files = {key: _moved(paths, aside, target) for key, paths in files.items()}
    return {"folder": target, "result": target / "result.json", **moved}


def to_json(result: Result, files: Files | None = None, *, relative_to: Path | None = None) -> dict[str, Any]:
    """A result as one JSON object: outputs, measurements, warnings, provenance.

    Args:
        result: what a method gave back.
        files: as :func:`write_result` returns them; None where nothing was written.
        relative_to: write paths relative to this folder.
    """
    outputs: dict[str, Any] = {}
    for key, paths in (files or {}).items():
        section, slash, name = key.partition("/")
        text = [_text(p, relative_to) for p in paths] if isinstance(paths, list) else _text(paths, relative_to)
        if slash:
            outputs.setdefault(section, {})[name] = text
        else:
            outputs[section] = text
    return {
        "format": FORMAT,
        "outputs": outputs,
        "measurements": plain(result.measurements),
        "warnings": list(result.warnings),
        "provenance": plain(result.provenance),
    }


def read_result_json(path: Path | str) -> dict[str, Any]:
    """The ``result.json`` of a result folder (or the file itself).

    Raises:
        InvalidInputError: where it is missing, damaged or something else.
    """
    path = Path(path)
    path = path / "result.json" if path.is_dir() else path
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InvalidInputError(f"There is no {path}. Choose a folder that Manabi wrote.") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"{path} is damaged: it is not JSON. Run the method again.") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InvalidInputError(f"{path} is not a result of this version of Manabi (expected format {FORMAT}).")
    return content


@dataclass
class _Writer:
    """Writes the parts of one result into a folder and remembers the files."""

    result: Result
    folder: Path
    image_format: ImageFormat
    files: Files = field(default_factory=dict)
    taken: set[str] = field(default_factory=lambda: set(RESERVED))

    def images(self) -> None:
        """Volumes and label maps."""
        for key, volume in self.result.volumes.items():
            stem = self._stem(key)
            self.files[f"volumes/{key}"] = self._dicom(volume, stem) if self.image_format == "dicom" else self._file(
                volume, stem + SUFFIX[self.image_format], {}
            )  # fmt: skip
        for key, labelmap in self.result.labelmaps.items():
            self._labelmap(key, labelmap)

    def numbers(self) -> None:
        """Landmarks, tables, plots and measurements."""
        if self.result.landmarks:
            self.files["landmarks/markups"] = write_markups(
                self.result.landmarks, self.folder / "landmarks.mrk.json"
            )
            self.files["landmarks/table"] = write_landmarks_csv(self.result.landmarks, self.folder / "landmarks.csv")
        for key, table in self.result.tables.items():
            self.files[f"tables/{key}"] = write_table(
                table.columns, table.rows, self.folder / f"{self._stem(key)}.csv"
            )
        for key, plot in self.result.plots.items():
            stem = self._stem(f"{key}_chart" if slug(key) in self.taken else key)
            self.files[f"plots/{key}"] = [
                write_plot_csv(plot, self.folder / f"{stem}.csv"),
                write_json(plot, self.folder / f"{stem}.json"),
            ]
        if self.result.measurements:
            self.files["measurements"] = write_json(self.result.measurements, self.folder / "measurements.json")

    def figures(self, method: Method[Any], inputs: Mapping[str, Volume]) -> None:
        """The method's own drawings."""
        folder = self.folder / "figures"
        folder.mkdir()
        drawn = [Path(path) for path in method.draw(inputs, self.result, folder)]
        if any(not path.is_relative_to(folder) for path in drawn):
            raise InvalidInputError(f"{method.name} drew outside the folder it was given.")
        if drawn:
            self.files["figures"] = drawn
        else:
            folder.rmdir()

    def exports(self, method: Method[Any], inputs: Mapping[str, Volume]) -> None:
        """What the method hands over besides, in a folder of the method's name."""
        folder = self.folder / self._stem(method.name)
        for kind, paths in method.export(inputs, self.result, folder, self.image_format).items():
            self.files[f"{method.name}/{kind}"] = paths

    def _labelmap(self, key: str, labelmap: Labelmap) -> None:
        volume, stem = slim(labelmap.volume), self._stem(key)
        if self.image_format == "nifti":
            self.files[f"labelmaps/{key}"] = self._file(volume, f"{stem}.nii.gz", {})
            labels = labels_json(labelmap)
            self.files[f"labels/{key}"] = write_json(labels, self.folder / f"{stem}.labels.json")
        else:
            self.files[f"labelmaps/{key}"] = self._file(volume, f"{stem}.seg.nrrd", seg_nrrd_metadata(labelmap))

    def _file(self, volume: Volume, name: str, metadata: dict[str, str]) -> Path:
        from manabi.io.files import write_volume

        provenance = self.result.provenance
        extra = {"Manabi_Provenance": json.dumps(plain(provenance), separators=(",", ":"))} if provenance else {}
        description = ": ".join(text for text in (volume.caution, self._description()) if text)
        return write_volume(volume, self.folder / name, description=description, metadata={**metadata, **extra})

    def _dicom(self, volume: Volume, stem: str) -> list[Path]:
        from manabi.io.dicom import write_dicom

        return list(
            write_dicom(
                volume, self.folder / stem, reference=volume.source, series_description=f"Manabi {stem}",
                provenance=self.result.provenance,
            )
        )  # fmt: skip

    def _description(self) -> str:
        """What fits a NIfTI header: tool, version, method, bundle."""
        provenance = self.result.provenance
        bundle = (provenance.get("bundle") or {}).get("name", "")
        return " ".join(
            str(part) for part in ("Manabi", provenance.get("manabi"), provenance.get("method"), bundle) if part
        )

    def _stem(self, key: str) -> str:
        """A file name for a key that no other output of this result has."""
        stem, count = slug(key), 2
        while stem in self.taken:
            stem, count = f"{slug(key)}-{count}", count + 1
        self.taken.add(stem)
        return stem


def _moved(paths: list[Path] | Path, aside: Path, target: Path) -> list[Path] | Path:
    if isinstance(paths, list):
        return [target / path.relative_to(aside) for path in paths]
    return target / paths.relative_to(aside)


def _text(path: Path, base: Path | None) -> str:
    return path.relative_to(base).as_posix() if base is not None else str(path)
