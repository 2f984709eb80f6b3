"""What a simulated chest film is made from."""

from __future__ import annotations

from dataclasses import dataclass, field

from manabi.phantoms.radiograph_film import FilmParameters
from manabi.phantoms.radiograph_geometry import FilmGeometry
from manabi.phantoms.radiograph_vessels import VesselStyle
from manabi.phantoms.thorax_parameters import ThoraxParameters


@dataclass(frozen=True)
class NoduleChoice:
    """Nodules of a film.

    Attributes:
        count: how many; 0 for a normal film.
        diameter_mm: of each; 0 draws it.
        density: ``solid``, ``part_solid`` or ``ground_glass``; empty draws it.
        seed: draws shapes and places.
    """

    count: int = 0
    diameter_mm: float = 0.0
    density: str = ""
    seed: int = 0


@dataclass(frozen=True)
class RadiographParameters:
    """Everything a film is rebuilt from.

    Attributes:
        chest: anatomy; its scanner and couch do not matter.
        vessels: how the lungs' vessels grow.
        geometry: source, detector, pixels.
        film: beam, scatter, detector, processing.
        nodules: what is put in.
        noise_seed: draws the noise.
    """

    chest: ThoraxParameters = field(default_factory=ThoraxParameters)
    vessels: VesselStyle = field(default_factory=VesselStyle)
    geometry: FilmGeometry = field(default_factory=FilmGeometry)
    film: FilmParameters = field(default_factory=FilmParameters)
    nodules: NoduleChoice = field(default_factory=NoduleChoice)
    noise_seed: int = 0
