"""What a network of NoduleSynth finds on films with known nodules: heat maps, marks, and films for :mod:`froc`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
import torch

from manabi.nodule.prepare import network_input
from Training.froc import Film, Mark, Nodule, slack_of, square
from Training.nodule_data import Example, Part

CHUNK = 8
"""Films that a network sees at once."""
LEAST_SCORE = 1e-6
"""Peaks below this are no marks, as in the method itself. Networks trained with Dice score doubtful places far below
1 %, and the curve from 0.5 false positives per film on is made of those."""
PEAK_DISTANCE = 6
"""Pixels of a 256 grid within which only the highest peak is a mark."""
Finder = Callable[[np.ndarray], list[tuple[Mark, ...]]]
"""From films ``(n, rows, columns)`` in 0 to 1 to the marks on each."""


@torch.no_grad()
def heat_maps(model: torch.nn.Module, films: np.ndarray) -> np.ndarray:
    """Probability of nodule at every pixel.

    Args:
        model: gives logits ``(n, 1, rows, columns)``; left in evaluation mode.
        films: ``(n, rows, columns)`` in 0 to 1.

    Returns:
        float64 of the same shape: networks trained with Dice are so sure that float32 would make many scores equal.
    """
    model.eval()
    device = next(model.parameters()).device
    found = []
    for start in range(0, len(films), CHUNK):
        batch = torch.from_numpy(np.ascontiguousarray(films[start : start + CHUNK], np.float32))
        inputs = network_input(batch).to(device).contiguous(memory_format=torch.channels_last)
        found.append(torch.sigmoid(model(inputs)[:, 0].double()).cpu().numpy())
    return np.concatenate(found)


def marks_of(heat: np.ndarray, peak_distance: int = PEAK_DISTANCE) -> tuple[Mark, ...]:
    """The marks of a heat map, as the method itself finds them; the box is the square around each."""
    from manabi.nodule.marks import find_peaks

    peaks = find_peaks(heat, peak_distance, LEAST_SCORE)
    return tuple(
        Mark(p.row, p.column, float(p.score), square(p.row, p.column, max(float(p.diameter_px), 1.0))) for p in peaks
    )


def components(heat: np.ndarray, floor: float = 0.05) -> tuple[Mark, ...]:
    """The other reading of the source: connected regions above ``floor``, scored by their maximum at its place."""
    from scipy import ndimage

    labels, count = ndimage.label(heat > floor, np.ones((3, 3)))
    if not count:
        return ()
    numbers = np.arange(1, count + 1)
    places = ndimage.maximum_position(heat, labels, numbers)
    boxes = ndimage.find_objects(labels)
    return tuple(
        Mark(float(row), float(column), float(heat[row, column]),
             (box[0].start - 0.5, box[1].start - 0.5, box[0].stop - 0.5, box[1].stop - 0.5))
        for (row, column), box in zip(places, boxes, strict=True)
    )  # fmt: skip


def finder(model: torch.nn.Module, peak_distance: int = PEAK_DISTANCE) -> Finder:
    """Marks of a segmentation network."""

    def find(films: np.ndarray) -> list[tuple[Mark, ...]]:
        return [marks_of(heat, peak_distance) for heat in heat_maps(model, films)]

    return find


def films_of(part: Part | Iterable[Example], find: Finder) -> list[Film]:
    """Both films of every pair, marked: the one with nodules and the same one without.

    They are two films of one patient, so that a resample has both or none.
    """
    out: list[Film] = []
    for chunk in _chunks(iter(part), CHUNK // 2):
        images = np.stack([image for one in chunk for image in (one.positive, one.negative)])
        marks = find(images)
        slack = slack_of(max(images.shape[1:]))
        for k, one in enumerate(chunk):
            out.append(Film(f"{one.name}+", one.patient, marks[2 * k], one.nodules, slack_px=slack))
            out.append(Film(f"{one.name}-", one.patient, marks[2 * k + 1], (), slack_px=slack))
    return out


def _chunks(items: Iterator[Example], size: int) -> Iterator[list[Example]]:
    while chunk := list(islice(items, size)):
        yield chunk


# --- as JSON ----------------------------------------------------------------------------------------------------------


def films_to_json(films: Sequence[Film]) -> list[dict[str, Any]]:
    """Marked films as plain values, so that finished work can be kept."""
    return [
        {
            "name": f.name, "patient": f.patient, "score": f.score, "slack_px": f.slack_px,
            "marks": [[round(m.row, 2), round(m.column, 2), m.score,
                       None if m.box is None else [round(v, 2) for v in m.box]] for m in f.marks],
            "nodules": [[n.row, n.column, n.radius, n.place, n.subtlety, n.box] for n in f.nodules],
        }
        for f in films
    ]  # fmt: skip


def films_from_json(values: Sequence[dict[str, Any]]) -> list[Film]:
    """The inverse of :func:`films_to_json`."""
    return [
        Film(
            v["name"], v["patient"],
            tuple(Mark(m[0], m[1], m[2], None if m[3] is None else tuple(m[3])) for m in v["marks"]),
            tuple(Nodule(n[0], n[1], n[2], n[3], n[4], None if n[5] is None else tuple(n[5])) for n in v["nodules"]),
            v["score"], v["slack_px"],
        )
        for v in values
    ]  # fmt: skip
