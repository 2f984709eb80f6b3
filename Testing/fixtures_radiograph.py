"""Small simulated chests for films, made once per session."""

from functools import lru_cache

from manabi.phantoms.base import case_rng
from manabi.phantoms.radiograph_chest import ChestProjection, project
from manabi.phantoms.radiograph_geometry import FilmGeometry
from manabi.phantoms.radiograph_sampling import sample_chest
from manabi.phantoms.radiograph_vessels import VesselStyle

SMALL = FilmGeometry(matrix=64, pixel_mm=6.0)
FEW = VesselStyle(ends=60)


@lru_cache(maxsize=8)
def small_chest(index: int = 0, domain: str = "training") -> ChestProjection:
    """A chest of 64 by 64 pixels with few vessels."""
    return project(sample_chest(case_rng(21, index), domain), SMALL, style=FEW)
