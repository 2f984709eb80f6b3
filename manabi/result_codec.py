"""Volumes and Results as JSON plus array files, and back: what crosses the line between client and worker.

A volume's ``source`` (which DICOM files it came from) stays with the client. The worker gets a token that names the
input; results that carry the token get the input's source again when they are decoded.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from manabi.result import Code, Labelmap, Landmark, Plot, Result, Segment, Table
from manabi.shared_arrays import map_array, read_array, write_array
from manabi.volume import Volume


@dataclass(frozen=True)
class SourceToken:
    """Stands in the worker for the source of the input of this name."""

    input_name: str


def encode_volume(volume: Volume, folder: Path, stem: str) -> dict[str, Any]:
    """Write the array to ``folder/stem.npy``; returns everything else, as JSON values."""
    return {
        "path": write_array(folder, stem, volume.array),
        "ijk_to_ras": volume.ijk_to_ras.tolist(),
        "modality": volume.modality,
        "units": volume.units,
        "name": volume.name,
        "warnings": list(volume.warnings),
        "caution": volume.caution,
        "source": volume.source.input_name if isinstance(volume.source, SourceToken) else None,
    }


def decode_volume(record: Mapping[str, Any], folder: Path, *, copy: bool, source: Any = None) -> Volume:
    """The volume of :func:`encode_volume`; ``copy`` reads it into memory, otherwise it is mapped read-only.

    Raises:
        InvalidInputError: when the array file is missing or unreadable.
        GeometryError: when the matrix is not one.
    """
    load = read_array if copy else map_array
    return Volume(
        load(folder, str(record["path"])),
        np.array(record["ijk_to_ras"], float),
        modality=record.get("modality"),
        units=record.get("units"),
        name=str(record.get("name", "volume")),
        warnings=tuple(record.get("warnings", ())),
        source=source,
        caution=str(record.get("caution", "")),
    )


def encode_inputs(inputs: Mapping[str, Volume], folder: Path) -> dict[str, Any]:
    """Every input as :func:`encode_volume` writes it, with a token in place of its source."""
    records = {}
    for index, (name, volume) in enumerate(inputs.items()):
        token = None if volume.source is None else SourceToken(name)
        records[name] = encode_volume(dataclasses.replace(volume, source=token), folder, f"input-{index}")
    return records


def decode_inputs(records: Mapping[str, Any], folder: Path) -> dict[str, Volume]:
    """The inputs of :func:`encode_inputs`, mapped read-only."""
    return {
        name: decode_volume(record, folder, copy=False, source=_token(record)) for name, record in records.items()
    }


def encode_result(result: Result, folder: Path) -> dict[str, Any]:
    """Write every array of a result into ``folder``; returns everything else, as JSON values."""
    return {
        "volumes": {
            name: encode_volume(volume, folder, f"volume-{index}")
            for index, (name, volume) in enumerate(result.volumes.items())
        },
        "labelmaps": {
            name: {
                "volume": encode_volume(labelmap.volume, folder, f"labelmap-{index}"),
                "segments": [dataclasses.asdict(segment) for segment in labelmap.segments],
            }
            for index, (name, labelmap) in enumerate(result.labelmaps.items())
        },
        "landmarks": {name: dataclasses.asdict(mark) for name, mark in result.landmarks.items()},
        "tables": {name: dataclasses.asdict(table) for name, table in result.tables.items()},
        "plots": {name: dataclasses.asdict(plot) for name, plot in result.plots.items()},
        "measurements": dict(result.measurements),
        "warnings": list(result.warnings),
        "provenance": dict(result.provenance),
    }


def decode_result(record: Mapping[str, Any], folder: Path, sources: Mapping[str, Any] | None = None) -> Result:
    """The result of :func:`encode_result`, its arrays copied into memory.

    Args:
        record: what :func:`encode_result` returned.
        folder: where the arrays are.
        sources: the ``source`` of each input by name, for the volumes that were made from it.
    """
    known = sources or {}

    def volume(item: Mapping[str, Any]) -> Volume:
        token = _token(item)
        return decode_volume(item, folder, copy=True, source=token and known.get(token.input_name))

    return Result(
        volumes={name: volume(item) for name, item in record["volumes"].items()},
        labelmaps={
            name: Labelmap(volume(item["volume"]), tuple(_segment(s) for s in item["segments"]))
            for name, item in record["labelmaps"].items()
        },
        landmarks={name: _landmark(item) for name, item in record["landmarks"].items()},
        tables={name: _table(item) for name, item in record["tables"].items()},
        plots={name: _plot(item) for name, item in record["plots"].items()},
        measurements=dict(record["measurements"]),
        warnings=list(record["warnings"]),
        provenance=dict(record["provenance"]),
    )


def json_value(value: Any) -> Any:
    """For ``json.dumps(..., default=json_value)``: NumPy numbers and small arrays as plain ones.

    Raises:
        TypeError: for anything else that JSON cannot hold.
    """
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"A {type(value).__name__} cannot be written as JSON.")


def _token(record: Mapping[str, Any]) -> SourceToken | None:
    name = record.get("source")
    return None if name is None else SourceToken(str(name))


def _segment(item: Mapping[str, Any]) -> Segment:
    laterality = item["laterality"]
    return Segment(
        int(item["label"]),
        item["name"],
        tuple(item["color"]),
        Code(**item["type"]),
        Code(**item["category"]),
        None if laterality is None else Code(**laterality),
    )


def _landmark(item: Mapping[str, Any]) -> Landmark:
    return Landmark(item["name"], tuple(item["position_ras"]), item["confidence"], item["description"])


def _table(item: Mapping[str, Any]) -> Table:
    return Table(tuple(item["columns"]), tuple(tuple(row) for row in item["rows"]))


def _plot(item: Mapping[str, Any]) -> Plot:
    series = {name: (list(x), list(y)) for name, (x, y) in item["series"].items()}
    names = (tuple(item["categories"]), tuple(item["marks"]))
    return Plot(item["title"], item["x_label"], item["y_label"], series, item["kind"], *names)
