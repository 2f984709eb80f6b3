"""Lesions of the simulated head and neck: what a converter must neither lose nor invent.

A lesion is painted last and draws from a seed of its own, so that the same patient with and without it differs there
and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from manabi.phantoms.brain_shapes import Points, band
from manabi.phantoms.head_neck_canvas import Canvas
from manabi.phantoms.head_neck_parameters import Lesion
from manabi.phantoms.head_neck_shapes import Body, ball
from manabi.phantoms.head_neck_tissues import LESION

SOFT_HU = 52.0
"""Density of soft tissue that a lesion's contrast counts from."""
LYTIC_HU = 45.0
KINDS = ("none", "bright", "dark", "bone")


@dataclass(frozen=True)
class Site:
    """Where a lesion may lie.

    Attributes:
        centre: atlas place, on the right where a site has a side.
        bone: whether it is in bone.
        sided: whether it may lie on the left as well.
    """

    centre: tuple[float, float, float]
    bone: bool = False
    sided: bool = True


SITES: dict[str, Site] = {
    "level_ii": Site((46.0, 2.0, -62.0)),
    "level_iv": Site((40.0, 10.0, -138.0)),
    "parotid": Site((58.0, 4.0, -22.0)),
    "tongue_base": Site((10.0, 36.0, -48.0)),
    "tongue": Site((12.0, 58.0, -34.0)),
    "tonsil": Site((18.0, 24.0, -34.0)),
    "nasopharynx": Site((16.0, 26.0, 2.0)),
    "larynx": Site((9.0, 30.0, -92.0)),
    "thyroid": Site((18.0, 20.0, -132.0)),
    "neck_muscle": Site((19.0, -54.0, -80.0)),
    "brain": Site((34.0, 18.0, 70.0)),
    "mandible": Site((38.0, 48.0, -60.0), bone=True),
    "vertebra": Site((2.0, 1.0, -69.0), bone=True, sided=False),
    "skull": Site((62.0, -20.0, 88.0), bone=True),
    "clivus": Site((0.0, 20.0, 20.0), bone=True, sided=False),
    "humerus": Site((172.0, -34.0, -184.0), bone=True),
}
"""Sites by name; ``bright`` and ``dark`` lesions lie in soft tissue, ``bone`` lesions in bone."""


def body_of(lesion: Lesion) -> Body:
    """The lesion's shape: an uneven ball with its mean diameter."""
    rng = np.random.default_rng(lesion.shape_seed)
    site = SITES[lesion.place]
    centre = np.array(site.centre) + rng.normal(0.0, 1.5, 3)
    if site.sided and rng.random() < 0.5:
        centre[0] = -centre[0]
    radius = 0.5 * lesion.diameter_mm
    shape = rng.uniform(0.88, 1.14, 3)
    shape *= radius / float(np.prod(shape)) ** (1 / 3)
    solid = ball(tuple(centre.tolist()), tuple(shape.tolist()), *rng.uniform(-40, 40, 3))
    wave, height = 1.1 * lesion.diameter_mm, 0.07 * radius
    seed = int(rng.integers(2**31))

    def depth(p: Points) -> Tensor:
        return solid.depth(p) + height * band(p, np.random.default_rng(seed), wave, 6)

    return Body(solid.grown(2 * height).low, solid.grown(2 * height).high, depth)


def paint_lesion(canvas: Canvas, lesion: Lesion) -> None:
    """Paint the lesion into the finished patient; nothing for kind ``none``."""
    if lesion.kind == "none":
        return
    hu = {"bright": SOFT_HU + lesion.contrast_hu, "dark": SOFT_HU - lesion.contrast_hu}.get(lesion.kind, LYTIC_HU)
    canvas.paint(body_of(lesion), "lesion", hu=hu)
    if lesion.kind == "dark":
        canvas.iodine[canvas.label == LESION] = 0.0
