"""A conversion as tables, a plot, measurements, maps and warnings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from manabi.errors import InvalidInputError
from manabi.mvct import hu_check, metrics
from manabi.mvct.noise_level import edge_width_mm, noise_hu
from manabi.mvct.tissue_map import LABELS, TISSUES, TissueMap, tissue_map
from manabi.result import Cell, Code, Plot, Segment, Table

SOFT_HU = (-250.0, 350.0)
BIN_HU = 5.0
"""Of the histogram that is shown: soft tissue (our choice)."""
CODES = {
    "air": Code("15158005", "SCT", "Air"),
    "lung": Code("39607008", "SCT", "Lung"),
    "fat": Code("55603005", "SCT", "Adipose tissue"),
    "muscle": Code("91727004", "SCT", "Skeletal muscle"),
    "bone": Code("272673000", "SCT", "Bone"),
}
COLORS = {
    "air": (0.35, 0.65, 0.95),
    "lung": (0.55, 0.8, 0.75),
    "fat": (0.95, 0.8, 0.3),
    "muscle": (0.8, 0.3, 0.25),
    "bone": (0.93, 0.9, 0.8),
}
BODY_SEGMENT = Segment(1, "body", (0.6, 0.75, 0.6), Code("38266002", "SCT", "Entire body"))
TISSUE_SEGMENTS = tuple(Segment(LABELS[name], name, COLORS[name], CODES[name]) for name in TISSUES)
"""``muscle`` also holds organs and blood; it is named after what most of it is."""

Box = tuple[slice, slice, slice]


@dataclass(frozen=True)
class Study:
    """Images of one patient on one grid, cut to the body's box.

    Attributes:
        images: HU ``(n, rows, columns)`` by name; the first is the input, the second the converted one, and a third
            may be the reference.
        kinds: what each is: ``mvct``, ``cbct`` or ``kvct``.
        body: mask of the same shape.
        spacing_mm: of I, J, K.
        expected: a bundle's own expected HU, by kind.
        best: the image that shows tissues best: they are told by it in all images.
        known: where the third image is known; None for everywhere.
    """

    images: Mapping[str, np.ndarray]
    kinds: Mapping[str, str]
    body: np.ndarray
    spacing_mm: np.ndarray
    expected: Mapping[str, Mapping[str, object]]
    best: str = "converted"
    known: np.ndarray | None = None

    @cached_property
    def tissues(self) -> TissueMap:
        """Tissues as the best image shows them."""
        return tissue_map(self.images[self.best], self.spacing_mm, self.kinds[self.best], self.body)

    @property
    def compared(self) -> np.ndarray:
        """The body where the third image is known."""
        return self.body if self.known is None else self.body & self.known

    @cached_property
    def stats(self) -> dict[str, dict[str, metrics.TissueStats]]:
        """Values of each tissue in each image, in the same regions."""
        masks = metrics.tissue_masks(self.tissues.labels, self.spacing_mm)
        return {name: metrics.tissue_stats(hu, masks, self.spacing_mm) for name, hu in self.images.items()}

    @cached_property
    def lines(self) -> dict[str, list[hu_check.HuLine]]:
        """The HU check of each image."""
        return {
            name: hu_check.check_hu(
                hu, self.tissues, self.spacing_mm,
                hu_check.expected_hu(self.kinds[name], self.expected.get(self.kinds[name])),
            )
            for name, hu in self.images.items()
        }  # fmt: skip

    @cached_property
    def dig(self) -> metrics.Dig:
        """Difference in gradient of input and converted image."""
        source, output = list(self.images.values())[:2]
        return metrics.dig(source, output, self.body, self.spacing_mm)

    @cached_property
    def noise(self) -> dict[str, float]:
        """Noise in soft tissue of each image, HU."""
        return {name: noise_hu(hu, self.spacing_mm, self.body) for name, hu in self.images.items()}


def box_of(body: np.ndarray, margin: int = 12) -> Box:
    """The body's box with some voxels around it, within the image."""
    ends = []
    for axis in range(3):
        present = np.flatnonzero(body.any(tuple(a for a in range(3) if a != axis)))
        if present.size == 0:
            raise InvalidInputError("There is no body in this image to report on. Check the series.")
        ends.append(slice(max(int(present[0]) - margin, 0), int(present[-1]) + 1 + margin))
    return ends[0], ends[1], ends[2]


def hu_table(study: Study) -> Table:
    """The HU check of every image, one below the other."""
    rows: list[tuple[Cell, ...]] = []
    for name, lines in study.lines.items():
        rows += [(name, *row) for row in hu_check.hu_table(lines).rows]
    return Table(("image", *hu_check.COLUMNS), tuple(rows))


def quality_table(study: Study) -> Table:
    """Noise, sharpness and contrast of each image, what happened to gradients, and errors where the truth is given."""
    names = list(study.images)
    rows: list[tuple[Cell, ...]] = [
        ("noise in soft tissue", "HU", *(_rounded(study.noise[name], 1) for name in names)),
        ("width of the skin's edge", "mm", *(_rounded(_edge(study, name), 2) for name in names)),
    ]
    table = metrics.cnr_table(study.stats)
    rows += [(f"contrast to noise, {row[0]}", "", *(_rounded(cell, 2) for cell in row[1:])) for row in table.rows]
    blank = (None,) * (len(names) - 2)
    rows.append(("difference in gradient, body (DIG-a)", "HU/mm", None, _rounded(study.dig.dig_a, 2), *blank))
    rows.append(("difference in gradient, flat regions (DIG-b)", "HU/mm", None, _rounded(study.dig.dig_b, 2), *blank))
    if len(names) > 2:
        rows += _errors(study, names)
    return Table(("measure", "unit", *names), tuple(rows))


def _errors(study: Study, names: list[str]) -> list[tuple[Cell, ...]]:
    """Mean absolute and signed error against the last image, in the body and in each tissue."""
    truth = study.images[names[-1]]
    places = {"body": study.compared, **{t: study.tissues.mask(t) & study.compared for t in TISSUES}}
    rows: list[tuple[Cell, ...]] = []
    for place, mask in places.items():
        if not mask.any():
            continue
        known = truth[mask].astype(np.float64)
        off = [study.images[name][mask] - known for name in names[:-1]]
        rows.append((f"mean absolute error, {place}", "HU", *(_rounded(np.abs(d).mean(), 1) for d in off), None))
        rows.append((f"mean error, {place}", "HU", *(_rounded(d.mean(), 1) for d in off), None))
    return rows


def _edge(study: Study, name: str) -> float:
    return edge_width_mm(study.images[name], study.spacing_mm, study.body)


def histogram_plot(study: Study) -> Plot:
    """Share of the body's voxels per HU, soft tissue, for every image."""
    edges = np.arange(SOFT_HU[0], SOFT_HU[1] + BIN_HU, BIN_HU)
    centres = [float(v) for v in edges[:-1] + 0.5 * BIN_HU]
    size = max(int(study.body.sum()), 1)
    series = {}
    for name, hu in study.images.items():
        counts, _ = np.histogram(hu[study.body], edges)
        series[name] = (centres, [round(100.0 * float(n) / size, 4) for n in counts])
    return Plot("Hounsfield units in the body", "Hounsfield units (HU)", "Share of the body (% per 5 HU)", series)


def measurements(study: Study) -> dict[str, Cell]:
    """The few numbers a reader, or a cohort's table, looks at first."""
    names = list(study.images)
    source, output = (study.images[name] for name in names[:2])
    change = (output - source)[study.body]
    out: dict[str, Cell] = {
        "dig_a_hu_per_mm": _rounded(study.dig.dig_a, 3),
        "dig_b_hu_per_mm": _rounded(study.dig.dig_b, 3),
        "mean_change_hu": _rounded(float(change.mean(dtype=np.float64)), 2),
        "mean_absolute_change_hu": _rounded(float(np.abs(change).mean(dtype=np.float64)), 2),
    }
    for name in names:
        out[f"noise_hu_{name}"] = _rounded(study.noise[name], 2)
        for first, second in metrics.PAIRS:
            stats = study.stats[name]
            known = first in stats and second in stats
            value = metrics.cnr(stats[first], stats[second]) if known else None
            out[f"cnr_{first}_{second}_{name}"] = _rounded(value, 2)
    if len(names) > 2:
        truth = study.images[names[-1]]
        for name in names[:2]:
            out[f"mae_hu_{name}"] = _rounded(float(np.abs(study.images[name] - truth)[study.compared].mean()), 2)
    return out


def _rounded(value: Cell, digits: int) -> float | None:
    """A number for a table; None where there is none."""
    if value is None or isinstance(value, str) or not np.isfinite(value):
        return None
    return round(float(value), digits)
