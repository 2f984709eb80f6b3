"""Training data of SPECTDenoise: pairs of short and full scans as normalised slices.

Two forms, as :mod:`manabi.spect` has two pipelines: ``ours`` takes every slice of the head with its neighbours, in
units of the head's mean count; ``paper`` takes the source's five 8-bit images of 64×64, each divided by its maximum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from manabi.errors import InvalidInputError
from manabi.spect import paper
from manabi.spect.denoise import head_scale, work_image
from manabi.volume import Volume
from Training.cohort import CohortCase

ROOM = 80
"""Rows and columns that are kept of a case around its middle; training crops 64×64 of them (our choice)."""
PHANTOM_PAIR = ("spect_5min", "spect_25min")


@dataclass(frozen=True)
class Pair:
    """One case.

    Attributes:
        name: of the case.
        short: the input, counts.
        full: the target, counts.
    """

    name: str
    short: Volume
    full: Volume


@dataclass(frozen=True)
class Slices:
    """One case ready for training.

    Attributes:
        short: ``(n, rows, columns)`` float32, normalised input.
        full: the target on the same scale.
        hottest: index of the slice with the highest count.
    """

    short: np.ndarray
    full: np.ndarray
    hottest: int


def read_pair(case: CohortCase, names: tuple[str, str] | None = None) -> Pair:
    """The two scans of a case of a table (columns input, target) or of a phantom."""
    volumes = case.load().volumes
    short, full = names or (PHANTOM_PAIR if case.folder is not None else ("input", "target"))
    if short not in volumes or full not in volumes:
        raise InvalidInputError(f"Case {case.name} lacks {short} or {full}; it has {', '.join(volumes)}.")
    return Pair(case.name, volumes[short], volumes[full])


def our_slices(pair: Pair) -> Slices:
    """All slices at 3.29 mm in units of the head's mean; the target is scaled to the input's total counts."""
    short, full = work_image(pair.short), work_image(pair.full)
    low, high = np.asarray(short.array), np.asarray(full.array)
    total = float(high.sum())
    if total <= 0:
        raise InvalidInputError(f"Case {pair.name}: the target holds no counts.")
    scale = head_scale(low, short)
    target = high * (float(low.sum()) / total / scale)
    hottest = int(target.reshape(len(target), -1).max(1).argmax())
    return Slices(_middle(low / scale), _middle(target), hottest)


def _middle(array: np.ndarray) -> np.ndarray:
    """The central ``ROOM``×``ROOM`` of every slice; smaller matrices are padded with zeros."""
    for axis in (1, 2):
        lack = max(ROOM - array.shape[axis], 0)
        widths = [(0, 0)] * 3
        widths[axis] = (lack // 2, lack - lack // 2)
        array = np.pad(array, widths)
    top, left = ((n - ROOM) // 2 for n in array.shape[1:])
    return np.ascontiguousarray(array[:, top : top + ROOM, left : left + ROOM], dtype=np.float32)


def paper_pair(pair: Pair) -> tuple[paper.PaperImages, paper.PaperImages]:
    """The source's five images of the short and of the full scan; the full scan chooses the slices."""
    short, full = paper.straighten(pair.short), paper.straighten(pair.full)
    middle = paper.hottest_slice(paper.to_8bit(np.asarray(full.array, float)))
    return paper.paper_images(short, middle), paper.paper_images(full, middle)


def paper_slices(pair: Pair) -> Slices:
    """The source's five images as training data."""
    short, full = paper_pair(pair)
    return Slices(short.images, full.images, paper.SLICES_EACH_SIDE)


def prepare(cases: Sequence[CohortCase], pipeline: str) -> list[Slices]:
    """Slices of every case, in order."""
    make = our_slices if pipeline == "ours" else paper_slices
    return [make(read_pair(case)) for case in cases]
