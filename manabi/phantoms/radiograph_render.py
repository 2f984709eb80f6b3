"""From a film's parameters to its case: image, label maps and truth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from manabi.context import Context
from manabi.device import choose_device
from manabi.errors import InvalidInputError, ManabiError
from manabi.phantoms.base import Case
from manabi.phantoms.radiograph_chest import ChestProjection, project
from manabi.phantoms.radiograph_film import render_pair
from manabi.phantoms.radiograph_parameters import NoduleChoice, RadiographParameters
from manabi.result import LEFT, RIGHT, Cell, Code, Labelmap, Segment
from manabi.volume import Volume

if TYPE_CHECKING:
    from manabi.nodule.embed import Embedded
    from manabi.nodule.truth import NoduleTruth

WHITE = 4095
"""Grey value of 1 in the volumes (12 bit, as films have)."""
TRIES = 40
"""Sets of shapes and places drawn before a film is given up."""
LEAST_KEPT = 0.5
"""Of a nodule's projection that lies within the lung (as :class:`manabi.nodule.pairs_recipe.PairRecipe` has it)."""
LUNGS = (
    Segment(1, "Right lung", (0.55, 0.75, 0.95), Code("39607008", "SCT", "Lung"), laterality=RIGHT),
    Segment(2, "Left lung", (0.95, 0.7, 0.55), Code("39607008", "SCT", "Lung"), laterality=LEFT),
)
NODULE = Code("427359005", "SCT", "Solitary nodule of lung")


def render_all(parameters: Sequence[RadiographParameters], context: Context) -> list[Case]:
    """Render films one after the other."""
    device = torch.device(choose_device(context.device).device)
    out: list[Case] = []
    for one in parameters:
        context.check_cancelled()
        out.append(render(one, device))
        context.progress(len(out) / len(parameters), "Simulating chest films")
    return out


def render(parameters: RadiographParameters, device: torch.device) -> Case:
    """Render one film; raises ManabiError where its lungs have no room for its nodules."""
    geometry = parameters.geometry
    chest = project(parameters.chest, geometry, device, style=parameters.vessels)
    embedded = draw_nodules(chest, parameters.nodules) if parameters.nodules.count else None
    added = None if embedded is None else torch.from_numpy(embedded.added)[None].to(device)
    maps = torch.tensor(chest.maps, device=device)[None]
    films = render_pair(maps, [parameters.film], [parameters.noise_seed], added, pixel_mm=geometry.pixel_mm)
    normal, other = (None if film is None else film[0].cpu().numpy() for film in films)
    shown = normal if other is None else other
    if normal is None or shown is None:
        raise ManabiError("No film was made.")
    volumes = {"radiograph": _volume(shown, geometry.pixel_mm, "radiograph")}
    if other is not None:
        volumes["normal"] = _volume(normal, geometry.pixel_mm, "normal")
    mask = np.zeros(shown.shape, np.uint8) if embedded is None else embedded.mask
    segments = tuple(
        Segment(n + 1, f"Nodule {n + 1}", (0.95, 0.85, 0.2), NODULE) for n in range(parameters.nodules.count)
    )
    labelmaps = {
        "lungs": Labelmap(_like(chest.lungs, geometry.pixel_mm, "lungs"), LUNGS),
        "nodules": Labelmap(_like(mask, geometry.pixel_mm, "nodules"), segments),
    }
    return Case(volumes, labelmaps, _truth(parameters, embedded, shown, normal), {})


def draw_nodules(chest: ChestProjection, choice: NoduleChoice) -> Embedded:
    """Nodules drawn for a chest.

    Raises:
        InvalidInputError: for an unknown density.
        ManabiError: where there is no room for them.
    """
    from manabi.nodule.embed import embed
    from manabi.nodule.place import LungSpace, draw_places
    from manabi.nodule.shapes_sampling import sample_shape

    space, rng = LungSpace.of_projection(chest), np.random.default_rng(choice.seed)
    density, diameter = choice.density or None, choice.diameter_mm or None
    for _ in range(TRIES):
        shapes = [
            sample_shape(rng, diameter_mm=diameter, density=density)  # type: ignore[arg-type]
            for _ in range(choice.count)
        ]
        try:
            found = embed(space, shapes, draw_places(rng, space, [shape.diameter_mm for shape in shapes]))
        except InvalidInputError:
            continue
        if all(nodule.kept >= LEAST_KEPT for nodule in found.nodules):
            return found
    raise ManabiError(f"These lungs have no room for {choice.count} nodules; ask for fewer or smaller ones.")


def _volume(film: np.ndarray, pixel_mm: float, name: str) -> Volume:
    array = np.rint(film * WHITE).astype(np.uint16)
    return Volume(array[None], film_to_ras(pixel_mm), "DX", name=name)


def _like(labels: np.ndarray, pixel_mm: float, name: str) -> Volume:
    return Volume(np.ascontiguousarray(labels)[None], film_to_ras(pixel_mm), name=name)


def film_to_ras(pixel_mm: float) -> np.ndarray:
    """IJK to RAS of a film as :mod:`manabi.io.radiograph` reads one: columns to the left, rows to the back."""
    return np.diag([-pixel_mm, -pixel_mm, 1.0, 1.0])


def _truth(
    parameters: RadiographParameters, embedded: Embedded | None, film: np.ndarray, normal: np.ndarray
) -> dict[str, Cell]:
    """Flat, so that cohorts can tabulate it."""
    from manabi.nodule.pairs import graded

    truth: dict[str, Cell] = {"nodule_count": parameters.nodules.count, "pathology": parameters.chest.disease.kind}
    if embedded is not None:
        for nodule in graded(film, normal, embedded.mask, embedded.nodules):
            truth |= {f"nodule_{nodule.number}_{key}": value for key, value in _of_nodule(nodule, parameters).items()}
    return truth


def _of_nodule(nodule: NoduleTruth, parameters: RadiographParameters) -> dict[str, Cell]:
    pixel = parameters.geometry.pixel_mm
    return {
        "r_mm": round(-nodule.column * pixel, 3),
        "a_mm": round(-nodule.row * pixel, 3),
        "s_mm": 0.0,
        "diameter_mm": round(nodule.diameter_mm, 2),
        "density": nodule.density,
        "contrast": nodule.contrast,
        "cnr": nodule.cnr,
        "subtlety": nodule.subtlety,
        "lung": nodule.lung,
        "hidden": nodule.hidden,
    }
