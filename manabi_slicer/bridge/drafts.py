"""A result as nodes that are in no scene yet: everything that can fail is done here, before the scene is touched."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import slicer

from manabi.result import Labelmap, Plot, Result, Table
from manabi.volume import Volume
from manabi_slicer.bridge import dicom
from manabi_slicer.bridge.attributes import is_a, set_content
from manabi_slicer.bridge.geometry import local_matrix, local_to_world
from manabi_slicer.bridge.landmarks import build_landmarks
from manabi_slicer.bridge.plots import build_chart, build_series, link_series, plot_tables, series_helper
from manabi_slicer.bridge.report import build_report
from manabi_slicer.bridge.segmentations import build_label_numbers, build_segmentation, link_reference, on_grid_of
from manabi_slicer.bridge.tables import build_table, measurements_table
from manabi_slicer.bridge.volumes import fill_node, image_from

if TYPE_CHECKING:
    from slicer import vtkMRMLNode

Nodes = Mapping[str, Any]
LANDMARKS = "landmarks"
SEPARATOR = "#"
"""Between the key of an output and the name of a node that helps it."""
KINDS = {"volumes": "image", "labelmaps": "segmentation", "tables": "table", "plots": "chart"}


def _nothing(node: Any, nodes: Nodes) -> None:
    """An output that needs no other node."""


@dataclass
class Draft:
    """One node to be.

    Attributes:
        key: of the output, ``volumes/denoised``.
        title: what stands behind the input's name.
        node: with its content, in no scene.
        helper: what it is to the output, where it is not the output itself.
        link: called with the node in the scene and all nodes by name, to connect it with others.
        name: key and helper.
    """

    key: str
    title: str
    node: Any
    helper: str = ""
    link: Callable[[Any, Nodes], None] = field(default=_nothing)

    @property
    def name(self) -> str:
        """What tells this node from the others of its input and method."""
        return self.key + (SEPARATOR + self.helper if self.helper else "")

    @property
    def is_image(self) -> bool:
        """Whether it lies in the patient, rather than being read."""
        return is_a(self.node, "vtkMRMLTransformableNode")


class Drafting:
    """Makes the drafts of one result.

    Args:
        result: what a method gave back.
        title: of the method.
        input_node: the node it ran on.
        previous: outputs of the run before, by name.
    """

    def __init__(self, result: Result, title: str, input_node: vtkMRMLNode, previous: Nodes) -> None:
        self._result = result
        self._title = title
        self._input = input_node
        self._beside = input_node if is_a(input_node, "vtkMRMLVolumeNode") else None
        self._previous = previous
        self._titles: set[str] = set()

    def all(self) -> list[Draft]:
        """Every node of the result, those that others need before them."""
        result = self._result
        drafts = [self._volume(key, volume) for key, volume in result.volumes.items()]
        for key, labelmap in result.labelmaps.items():
            drafts += self._labelmap(key, labelmap)
        if result.landmarks:
            drafts.append(self._landmarks())
        drafts += [self._table(key, table) for key, table in result.tables.items()]
        for key, plot in result.plots.items():
            drafts += self._plot(key, plot)
        if result.measurements:
            table = build_table(measurements_table(result.measurements))
            drafts.append(Draft("measurements", self._named("measurements"), table))
        drafts.append(Draft("report", self._named("report"), build_report(result)))
        return drafts

    def _volume(self, key: str, volume: Volume) -> Draft:
        node = slicer.vtkMRMLScalarVolumeNode()
        fill_node(node, volume, image_from(volume.array), local_matrix(volume.grid, self._beside))
        set_content(node, _noted(volume))
        units = volume.units
        return Draft(
            f"volumes/{key}", self._named(key, "volumes"), node, link=lambda node, _: dicom.set_units(node, units)
        )

    def _labelmap(self, key: str, labelmap: Labelmap) -> list[Draft]:
        """The segmentation, after the table of its labels where it needs one."""
        name, title = f"labelmaps/{key}", self._named(key, "labelmaps")
        matrix = local_matrix(labelmap.volume.grid, self._beside)
        node = build_segmentation(labelmap, matrix, f"Manabi {self._title}", self._previous.get(name))
        noted = _noted(labelmap.volume)
        on_input = self._beside is not None and on_grid_of(labelmap.volume, self._beside)
        noted |= {"shape": list(labelmap.volume.shape), "ijk_to_local": matrix.tolist(), "on_input_grid": on_input}
        noted |= {"modality": labelmap.volume.modality, "units": labelmap.volume.units}
        set_content(node, noted)
        numbers = build_label_numbers(labelmap)
        helpers = [] if numbers is None else [Draft(name, f"{title} labels", numbers, "labels")]
        table = helpers[0].name if helpers else ""
        link = partial(_link_segments, labelmap, self._beside, table)
        return [*helpers, Draft(name, title, node, link=link)]

    def _landmarks(self) -> Draft:
        to_world = np.eye(4) if self._beside is None else local_to_world(self._beside)
        return Draft(
            LANDMARKS, self._named(LANDMARKS), build_landmarks(self._result.landmarks, np.linalg.inv(to_world))
        )

    def _table(self, key: str, table: Table) -> Draft:
        return Draft(f"tables/{key}", self._named(key, "tables"), build_table(table))

    def _plot(self, key: str, plot: Plot) -> list[Draft]:
        """Tables and series, and last the chart that connects them."""
        name, title = f"plots/{key}", self._named(key, "plots")
        tables, uses = plot_tables(plot)
        points = [
            Draft(name, f"{title} points" + (f" {number}" if number > 1 else ""),
                  build_table(table, gaps_as_nan=True), f"table/{number}")
            for number, table in enumerate(tables, 1)
        ]  # fmt: skip
        series = [
            Draft(name, use["name"], build_series(plot, use, number), series_helper(use["name"]))
            for number, use in enumerate(uses)
        ]
        pairs = [(draft.name, points[use["table"]].name) for draft, use in zip(series, uses, strict=True)]
        return [*points, *series, Draft(name, title, build_chart(plot, uses), link=partial(_link_chart, pairs))]

    def _named(self, key: str, section: str = "") -> str:
        """A title that no other output of this result has."""
        words = key.replace("_", " ")
        title = words if words not in self._titles else f"{words} {KINDS.get(section, section)}"
        self._titles.add(title)
        return title


def _link_segments(labelmap: Labelmap, beside: Any, table: str, node: Any, nodes: Nodes) -> None:
    link_reference(node, labelmap, beside)
    node.SetLabelmapConversionColorTableNodeID(nodes[table].GetID() if table else None)


def _link_chart(pairs: list[tuple[str, str]], chart: Any, nodes: Nodes) -> None:
    link_series(chart, [(nodes[series], nodes[table]) for series, table in pairs])


def _noted(volume: Volume) -> dict[str, Any]:
    """What a node cannot say of a volume."""
    return {
        "name": volume.name, "warnings": list(volume.warnings), "dtype": volume.array.dtype.name,
        "has_source": volume.source is not None,
    }  # fmt: skip
