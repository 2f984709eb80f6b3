"""What the laws over every registered method need: a sample scan, a model, fast parameters, ways to turn a scan.

A new method needs no line here: its sample is its phantom's first image and its model the shipped one. A line in
``CHOICES``, ``SMALL`` or ``STAND_INS`` makes its laws faster, or lets them run before its model is trained.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import permutations, product
from pathlib import Path
from typing import Any

import numpy as np
from fixtures_mvct import write_stand_in as write_mvct_stand_in
from fixtures_nodule import write_stand_in as write_nodule_stand_in
from fixtures_spect import FAST, shipped, write_stand_in

from manabi import registry
from manabi.bundle import Bundle
from manabi.context import Context
from manabi.method import Method
from manabi.phantoms.base import case_rng
from manabi.result import Result
from manabi.volume import Volume

ORIENTATIONS = [
    (axes, signs) for axes in permutations(range(3)) for signs in product((1, -1), repeat=3)
]  # fmt: skip
"""The 48 ways in which an array's axes can run along the patient's: 6 permutations, 8 flips; 24 are left-handed."""

CHOICES: dict[str, dict[str, Any]] = {
    "striatum": {**FAST, "grade_left": 4, "grade_right": 2},
    "thorax": {"pathology": "normal", "pixel_mm": 4.0, "matrix": 100, "slice_mm": 5.0, "subslices": 1, "arms": "up"},
    "brain": {"voxel_mm": 4.0, "slice_mm": 5.0, "pathology": "normal"},
    "tumour": {"slice_mm": 4.0, "pixel_mm": 1.6, "volume_ml": 6.0},
    "head_neck": {
        "image": "mvct",
        "pixel_mm": 3.6,
        "matrix": 96,
        "slice_mm": 8.0,
        "length_mm": 120.0,
        "fast": True,
        "lesion": "none",
    },
    "pelvis": {"pixel_mm": 4.0, "matrix": 100, "slice_mm": 5.0, "subslices": 1, "length_mm": 130.0, "top_mm": 75.0},
    "radiograph": {"nodules": 1},
}
"""Choices of a phantom that render quickly; left and right differ."""


@dataclass(frozen=True)
class Small:
    """A part of the sample and parameters with which a run takes a blink.

    Attributes:
        start: first voxel (KJI) of the part.
        stop: one beyond the last; three different sizes, so that no confusion of axes goes unseen.
        parameters: that leave out what needs the whole image.
    """

    start: tuple[int, int, int]
    stop: tuple[int, int, int]
    parameters: dict[str, Any] = field(default_factory=dict)


SMALL = {
    "spect": Small((24, 30, 34), (42, 98, 94), {"quantify": False}),
    "slices": Small((30, 15, 10), (48, 85, 92), {"rules_check": False}),
    "brain": Small((8, 10, 6), (28, 42, 34), {"fine": False}),
    "radiomics": Small((5, 13, 12), (20, 47, 49)),
    "mvct": Small((4, 15, 20), (13, 77, 74)),
    "nodule": Small((0, 8, 3), (1, 250, 240)),
}
POINT = ("r_mm", "a_mm", "s_mm")
"""Columns that together are a point in the patient, RAS mm, and turn with it."""
INDEX = "slice"
"""Columns and measurements of this name, or ending so, count along an array's own axis and change with its order."""
STAND_INS: dict[str, Callable[[Path], Bundle]] = {
    "spect": write_stand_in,
    "mvct": write_mvct_stand_in,
    "nodule": write_nodule_stand_in,
}
"""Methods whose laws run on an untrained model as long as the trained one is not there."""


@dataclass(frozen=True)
class Sample:
    """A method with something to run it on.

    Attributes:
        method: one instance, so that its model is loaded once.
        inputs: the phantom's images, by input name.
        bundle: path of a stand-in, or None for the method's own default.
        small: the inputs, cut, and parameters, for the laws that run it very often.
    """

    method: Method[Any]
    inputs: dict[str, Volume]
    bundle: str | None
    small_inputs: dict[str, Volume]
    small_parameters: dict[str, Any]

    @property
    def name(self) -> str:
        """Name of the first input."""
        return self.method.inputs[0].name

    @property
    def volume(self) -> Volume:
        """The first input."""
        return self.inputs[self.name]

    def context(self, **attributes: Any) -> Context:
        """A context with the model, on the processor."""
        return Context(**{"device": "cpu", "bundle": self.bundle, "seed": 5, **attributes})

    def run(
        self, inputs: Mapping[str, Volume] | None = None, parameters: Mapping[str, Any] | None = None, **context: Any
    ) -> Result:
        """Run on the sample, or on other inputs."""
        return self.method.run(self.inputs if inputs is None else inputs, parameters or {}, self.context(**context))

    def run_small(self, inputs: Mapping[str, Volume] | None = None, **context: Any) -> Result:
        """Run on the small part."""
        given = self.small_inputs if inputs is None else inputs
        return self.method.run(given, self.small_parameters, self.context(**context))


def make_sample(name: str, folder: Path) -> Sample:
    """The sample of a registered method; a stand-in model is written below ``folder`` where one is needed."""
    method = registry.method(name)
    phantom = registry.phantom(method.phantom)
    drawn = phantom.sample_parameters(case_rng(11, 0), **CHOICES.get(method.phantom, {}))
    case = phantom.render(drawn)
    pair = phantom.pair(drawn)
    first = pair[0] if pair else next(iter(case.volumes))
    named = {spec.name: case.volumes[spec.name] for spec in method.inputs if spec.name in case.volumes}
    inputs = method.sample_inputs(case) or named
    inputs.setdefault(method.inputs[0].name, case.volumes[first])
    small = SMALL.get(name)
    cut = {key: volume.crop(small.start, small.stop) for key, volume in inputs.items()} if small else inputs
    bundle = None
    if name in STAND_INS and not shipped(method.default_bundle):
        bundle = str(STAND_INS[name](folder / f"{name}-stand-in").folder)
    return Sample(method, inputs, bundle, cut, small.parameters if small else {})


# --- the same patient, written down otherwise ----------------------------------------------------------------------


def each(volumes: Mapping[str, Volume], change: Callable[[Volume], Volume]) -> dict[str, Volume]:
    """The same change of every input."""
    return {name: change(volume) for name, volume in volumes.items()}


def rotated(volume: Volume, matrix: np.ndarray) -> Volume:
    """The patient, turned in space about the origin by a 3×3 matrix; the array stays."""
    turned = np.eye(4)
    turned[:3, :3] = matrix
    return replace(volume, ijk_to_ras=turned @ volume.ijk_to_ras)


# --- the same result ------------------------------------------------------------------------------------------------


def assert_same_result(
    result: Result, expected: Result, tolerance: float = 0.0, rotation: np.ndarray | None = None
) -> None:
    """Assert that two results say the same of the patient, whatever the order of their axes.

    Args:
        result: on a reoriented (or turned) copy of the input.
        expected: on the input.
        tolerance: of voxel values, relative to their largest; labels and names must be equal.
        rotation: by which the copy was turned in space, about the origin.
    """
    turn = np.eye(3) if rotation is None else rotation
    _assert_same_images(result, expected, tolerance, turn)
    assert list(result.landmarks) == list(expected.landmarks)
    for name, point in expected.landmarks.items():
        np.testing.assert_allclose(result.landmarks[name].position_ras, turn @ point.position_ras, atol=0.05)
    assert list(result.measurements) == list(expected.measurements)
    for name, value in expected.measurements.items():
        if not is_index(name):
            assert_same_cell(result.measurements[name], value, name)
    assert list(result.tables) == list(expected.tables)
    for name, table in expected.tables.items():
        assert result.tables[name].columns == table.columns
        for row, wanted in zip(result.tables[name].rows, table.rows, strict=True):
            wanted = _turned(table.columns, wanted, turn)
            for column, cell, value in zip(table.columns, row, wanted, strict=True):
                if not is_index(column):
                    assert_same_cell(cell, value, f"{name}: {wanted}")
    assert [text[:40] for text in result.warnings] == [text[:40] for text in expected.warnings]


def _turned(columns: tuple[str, ...], row: tuple[Any, ...], turn: np.ndarray) -> tuple[Any, ...]:
    """A row whose point in the patient, where it has one, was turned with the patient."""
    if not set(POINT) <= set(columns):
        return row
    places = [columns.index(name) for name in POINT]
    moved = dict(zip(places, (turn @ [row[place] for place in places]).tolist(), strict=True))
    return tuple(moved.get(n, cell) for n, cell in enumerate(row))


def is_index(name: str) -> bool:
    """Whether a number counts along an axis of the input's own array."""
    return name == INDEX or name.endswith(f"_{INDEX}")


def _assert_same_images(result: Result, expected: Result, tolerance: float, turn: np.ndarray) -> None:
    assert list(result.volumes) == list(expected.volumes)
    for name, volume in expected.volumes.items():
        there = rotated(volume, turn)
        back = result.volumes[name].reoriented_like(there.grid)
        assert back.grid.same_as(there.grid), name
        room = tolerance * float(np.abs(np.asarray(volume.array, float)).max())
        np.testing.assert_allclose(back.array, volume.array, rtol=0, atol=room, err_msg=name)
    assert list(result.labelmaps) == list(expected.labelmaps)
    for name, labels in expected.labelmaps.items():
        there = rotated(labels.volume, turn)
        back = result.labelmaps[name].volume.reoriented_like(there.grid)
        assert back.grid.same_as(there.grid), name
        assert result.labelmaps[name].segments == labels.segments
        different = np.count_nonzero(np.asarray(back.array) != np.asarray(labels.volume.array))
        assert different <= (2 if tolerance else 0), f"{name}: {different} voxels differ"


def assert_same_cell(value: Any, expected: Any, what: str) -> None:
    """Assert that two cells are equal; numbers to the four decimals that results are rounded to, or 0.1 %."""
    if isinstance(expected, float) and isinstance(value, (int, float)):
        assert abs(value - expected) <= max(2.5e-3, 1e-3 * abs(expected)), f"{what}: {value} is not {expected}"
    else:
        assert value == expected, what
