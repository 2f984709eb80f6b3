"""The figures a reader expects of BrainSeg: one for each task."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from manabi.brain.figure_maps import draw_contrast, draw_features
from manabi.brain.figure_painted import draw_propagated
from manabi.brain.figure_scene import Scene
from manabi.brain.figure_structures import draw_structures
from manabi.errors import InvalidInputError
from manabi.result import Result
from manabi.volume import Volume


def draw_result(inputs: Mapping[str, Volume], result: Result, folder: Path) -> list[Path]:
    """Draw a result as PNGs of 1600 pixels in width; which task it is of is seen from what it holds.

    Everything is in radiological convention and true proportions, whatever way the input's array runs. No file name,
    date or other text of the patient is shown. A figure that is there already is replaced.

    Args:
        inputs: the method's; ``image``, and of a propagation ``painted``.
        result: of BrainSeg on them.
        folder: gets ``structures.png`` (and ``contrast.png`` where the second contrast was computed),
            ``propagated.png``, ``contrast.png`` or ``features.png``; a list of layers is no picture.

    Raises:
        InvalidInputError: where the result is not one of BrainSeg, or not of these inputs.
    """
    if set(result.tables) == {"layers"}:
        return []
    scene = Scene.of(inputs["image"], result)
    if "structures" in result.labelmaps:
        drawn = [draw_structures(scene, folder / "structures.png")]
        return [*drawn, draw_contrast(scene, folder / "contrast.png")] if "unknowable" in result.volumes else drawn
    if "propagated" in result.labelmaps:
        return [draw_propagated(scene, inputs, folder / "propagated.png")]
    if "unknowable" in result.volumes:
        return [draw_contrast(scene, folder / "contrast.png")]
    if "features" in result.tables:
        return [draw_features(scene, folder / "features.png")]
    raise InvalidInputError("The figure needs a result of BrainSeg: it has none of its images or label maps.")
