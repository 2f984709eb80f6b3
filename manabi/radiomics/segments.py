"""Which labels of a mask are measured, and what they are called: names are kept as the user gave them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from manabi.errors import InvalidInputError
from manabi.radiomics.parameters import assignments
from manabi.result import Code, Labelmap, Segment
from manabi.volume import Volume

if TYPE_CHECKING:
    from manabi.radiomics.parameters import RadiomicsParameters

COLORS = (
    (0.90, 0.35, 0.20), (0.20, 0.60, 0.90), (0.30, 0.75, 0.35), (0.85, 0.70, 0.15), (0.65, 0.40, 0.85),
    (0.25, 0.75, 0.75), (0.90, 0.45, 0.65), (0.60, 0.60, 0.30),
)  # fmt: skip
"""Colours of segments on figures (our choice)."""
REGION = Code("113343008", "SCT", "Organ"), Code("123037004", "SCT", "Anatomical Structure")
"""What a segment is taken for as long as nobody said what it is: type and category."""
NRRD_KEY = re.compile(r"Segment(\d+)_(Name|LabelValue)\s*:?=\s*(.*)")
HEADER_BYTES = 1 << 20
MOST_LABEL = 1 << 24
"""float32 tells whole numbers apart up to here."""


@dataclass(frozen=True)
class Chosen:
    """One segment to be measured."""

    label: int
    name: str


def labels_of(mask: Volume) -> np.ndarray:
    """The labels as whole numbers; raises InvalidInputError for anything else, and where there is no label."""
    values = np.asarray(mask.array)
    if values.dtype.kind == "f" and not np.array_equal(values, np.rint(values)):
        raise InvalidInputError("mask must hold labels, whole numbers; this image holds others. Choose a label map.")
    if not (values > 0).any():
        raise InvalidInputError("The mask holds no label above 0. Choose the segmentation of the tumour.")
    if values.max() > MOST_LABEL:
        raise InvalidInputError(f"mask holds labels beyond {MOST_LABEL:,}. Choose a label map.")
    if values.dtype.kind == "f":
        return np.maximum(values, 0).astype(np.int32)
    return values.astype(np.int32) if values.dtype.kind == "b" else values


def choose(mask: Volume, parameters: RadiomicsParameters) -> list[Chosen]:
    """The segments to measure, by rising label.

    They are asked for with commas between them, or with semicolons where a name holds a comma.

    Names come from ``segment_names``, then from ``labels_file``, then from the volume's source where it knows them
    (``segment_names`` of a segmentation); a label without one is called ``segment LABEL``.

    Raises:
        InvalidInputError: a segment that the mask does not have, or one name for two segments.
    """
    known = names_of(mask, parameters)
    labels = [int(n) for n in np.unique(labels_of(mask)) if n > 0]
    every = [Chosen(label, known.get(label, f"segment {label}")) for label in labels]
    names = [one.name for one in every]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InvalidInputError(f"Two segments are called {twice[0]!r}. Check their names: each must be of its own.")
    text = parameters.segments.strip()
    mark = ";" if ";" in text else ","
    wanted = [text] if text in names else [part.strip() for part in text.split(mark) if part.strip()]
    if not wanted or wanted == ["all"]:
        return every
    return _wanted(every, wanted)


def _wanted(every: Sequence[Chosen], wanted: Sequence[str]) -> list[Chosen]:
    """The segments that are asked for by name or label."""
    found = []
    for text in wanted:
        matches = [one for one in every if text == one.name] or [one for one in every if text == str(one.label)]
        if not matches:
            there = ", ".join(f"{one.name} ({one.label})" for one in every)
            raise InvalidInputError(f"The mask has no segment {text!r}. Choose among {there}, or all.")
        found += matches
    return sorted(set(found), key=lambda one: one.label)


def names_of(mask: Volume, parameters: RadiomicsParameters) -> dict[int, str]:
    """Names by label, from wherever they are known."""
    known: dict[int, str] = dict(getattr(mask.source, "segment_names", {}))
    if parameters.labels_file:
        known |= read_names(Path(parameters.labels_file))
    for key, name in assignments(parameters.segment_names, "segment_names").items():
        if not key.isascii() or not key.isdecimal() or not name:
            raise InvalidInputError(f"segment_names: expected LABEL=name; got {key}={name}. Check the text.")
        known[int(key)] = name
    return known


def read_names(path: Path) -> dict[int, str]:
    """Names by label from a ``.seg.nrrd`` (3D Slicer's header keys) or a ``.labels.json`` of Manabi.

    Raises:
        InvalidInputError: where the file is missing or says nothing of the kind.
    """
    try:
        with path.open("rb") as file:
            head = file.read(HEADER_BYTES)
    except OSError as error:
        raise InvalidInputError(f"labels_file cannot be read ({error.strerror}). Check the path.") from error
    found = _from_json(head) if path.suffix.lower() == ".json" else names_in_header(head.partition(b"\n\n")[0])
    if not found:
        raise InvalidInputError("labels_file names no labels. Choose a .seg.nrrd or a .labels.json of Manabi.")
    return found


def names_in_header(head: bytes) -> dict[int, str]:
    """Names by label from the header of a NRRD file as 3D Slicer writes segmentations."""
    parts: dict[str, dict[str, str]] = {}
    for line in head.decode("utf-8", "replace").splitlines():
        if match := NRRD_KEY.match(line.strip()):
            number, key, value = match.groups()
            parts.setdefault(number, {})[key] = value.strip()
    return {
        int(p["LabelValue"]): p["Name"] for p in parts.values() if p.get("LabelValue", "").isdecimal() and "Name" in p
    }


def _from_json(head: bytes) -> dict[int, str]:
    """Names by label from Manabi's own list."""
    try:
        content = json.loads(head.decode("utf-8"))
        return {int(item["label"]): str(item["name"]) for item in content["labels"]}
    except (ValueError, KeyError, TypeError):
        return {}


def labelled(mask: Volume, chosen: Sequence[Chosen], labels: np.ndarray) -> Labelmap:
    """The measured segments as a label map on the mask's grid."""
    kept = np.where(np.isin(labels, [one.label for one in chosen]), labels, 0).astype(labels.dtype)
    kind, category = REGION
    segments = tuple(
        Segment(one.label, one.name, COLORS[k % len(COLORS)], kind, category) for k, one in enumerate(chosen)
    )
    return Labelmap(mask.like(kept, name="segments"), segments)


def with_names(mask: Volume, names: Mapping[int, str]) -> Volume:
    """The mask with names of its labels, which :func:`choose` finds."""
    from dataclasses import replace

    return replace(mask, source=NamedLabels(dict(names)))


@dataclass(frozen=True)
class NamedLabels:
    """A volume's source that knows what its labels are called."""

    segment_names: dict[int, str]
