"""Where the normal films of pairs come from: simulated chests, real films, or both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from manabi.errors import InvalidInputError
from manabi.nodule.embed import Embedded
from manabi.nodule.embed_film import embed_in_film
from manabi.nodule.place import LungSpace

if TYPE_CHECKING:
    from manabi.nodule.pairs_films import FilmLibrary
    from manabi.phantoms.radiograph_film import FilmParameters
    from manabi.phantoms.radiograph_library import ChestLibrary

KEPT_CHESTS = 32
"""Chests and films that a process keeps in memory."""
GAMMA, SHIFT, SCALE = 0.18, 0.03, 0.05
"""Greatest change of a real film: logarithm of the gamma, shift over its side, and scale (our choice)."""


@dataclass(frozen=True)
class Scene:
    """One normal film that is about to be made.

    Attributes:
        chest: number of the chest, or of a real film's patient.
        space: room for nodules.
        source: what makes the film.
        what: what that needs to make it.
    """

    chest: int
    space: LungSpace
    source: PairSource
    what: Any


class PairSource(Protocol):
    """A source of normal films."""

    def __len__(self) -> int:
        """Number of chests or films it draws from."""

    def draw(self, rng: np.random.Generator) -> Scene:
        """Draw a film."""

    def render(self, scenes: Sequence[Scene], embedded: Sequence[Embedded]) -> tuple[np.ndarray, np.ndarray]:
        """The films without and with nodules, float32 ``(b, rows, columns)`` in [0, 1]; both with the same noise."""


class ChestSource:
    """Films simulated from a library of chests.

    Args:
        library: the chests.
        domain: whose beams, grids and processing are drawn.
        varied: whether each film shows a variation of its chest.
        device: where films are worked out.
    """

    def __init__(
        self, library: ChestLibrary, domain: str = "training", varied: bool = True, device: str = "cpu"
    ) -> None:
        if not len(library):
            raise InvalidInputError("The library holds no chests; make at least one.")
        self._library, self._domain, self._varied, self._device = library, domain, varied, device
        self._kept: dict[int, Any] = {}

    def __len__(self) -> int:
        return len(self._library)

    def draw(self, rng: np.random.Generator) -> Scene:
        """Draw chest, variation, beam, processing and the seed of the noise."""
        from manabi.phantoms.radiograph_film import sample_film
        from manabi.phantoms.radiograph_vary import vary

        number = int(rng.integers(len(self._library)))
        projection = self._chest(number)
        if self._varied:
            projection = vary(projection, rng)
        what = (projection.maps, sample_film(rng, self._domain), int(rng.integers(2**31)))
        return Scene(number, LungSpace.of_projection(projection), self, what)

    def render(self, scenes: Sequence[Scene], embedded: Sequence[Embedded]) -> tuple[np.ndarray, np.ndarray]:
        """Beam, scatter, detector and processing of all scenes at once."""
        import torch

        from manabi.phantoms.radiograph_film import render_pair

        films: list[FilmParameters] = [scene.what[1] for scene in scenes]
        maps = torch.from_numpy(np.stack([scene.what[0] for scene in scenes])).to(self._device)
        added = torch.from_numpy(np.stack([one.added for one in embedded])).to(self._device)
        seeds = [scene.what[2] for scene in scenes]
        normal, other = render_pair(maps, films, seeds, added, pixel_mm=scenes[0].space.geometry.pixel_mm)
        if other is None:
            raise InvalidInputError("No film with nodules was made, as nothing was added.")
        return normal.cpu().numpy(), other.cpu().numpy()

    def _chest(self, number: int) -> Any:
        if number not in self._kept:
            if len(self._kept) >= KEPT_CHESTS:
                self._kept.pop(next(iter(self._kept)))
            self._kept[number] = self._library[number]
        return self._kept[number]


class FilmSource:
    """Real normal films.

    Args:
        library: the films.
        varied: whether each is slightly changed: gamma, shift and scale.
        first: number of the first film's patient among all chests.
    """

    def __init__(self, library: FilmLibrary, varied: bool = True, first: int = 0) -> None:
        if not len(library):
            raise InvalidInputError("There are no usable films; give a folder of frontal chest films without nodules.")
        self._library, self._varied, self._first = library, varied, first

    def __len__(self) -> int:
        return len(self._library)

    def draw(self, rng: np.random.Generator) -> Scene:
        """Draw a film and its change."""
        number = int(rng.integers(len(self._library)))
        film, lungs, hidden, pixel_mm = self._library[number]
        if self._varied:
            film, lungs, hidden, pixel_mm = changed(rng, film, lungs, hidden, pixel_mm)
        space = LungSpace.of_film(lungs, hidden, pixel_mm)
        return Scene(self._first + self._library.patient(number), space, self, (film, lungs))

    def render(self, scenes: Sequence[Scene], embedded: Sequence[Embedded]) -> tuple[np.ndarray, np.ndarray]:
        """The films as they are, and with nodules put into their grey values."""
        normal = np.stack([scene.what[0] for scene in scenes])
        pairs = zip(scenes, embedded, strict=True)
        return normal, np.stack([embed_in_film(s.what[0], one, s.what[1]) for s, one in pairs])


class MixedSource:
    """Several sources, each as likely as the others whatever their sizes (our choice)."""

    def __init__(self, sources: Sequence[PairSource]) -> None:
        self._sources = tuple(sources)

    def __len__(self) -> int:
        return sum(len(source) for source in self._sources)

    def draw(self, rng: np.random.Generator) -> Scene:
        """Draw a source, and a film from it."""
        return self._sources[int(rng.integers(len(self._sources)))].draw(rng)

    def render(self, scenes: Sequence[Scene], embedded: Sequence[Embedded]) -> tuple[np.ndarray, np.ndarray]:
        """Every scene by its own source."""
        return render_scenes(scenes, embedded)


def render_scenes(scenes: Sequence[Scene], embedded: Sequence[Embedded]) -> tuple[np.ndarray, np.ndarray]:
    """Films of scenes of any sources, in their order; see :meth:`PairSource.render`."""
    normal = np.empty((len(scenes), *embedded[0].added.shape), np.float32)
    other = np.empty_like(normal)
    for source in dict.fromkeys(scene.source for scene in scenes):
        mine = [i for i, scene in enumerate(scenes) if scene.source is source]
        normal[mine], other[mine] = source.render([scenes[i] for i in mine], [embedded[i] for i in mine])
    return normal, other


def changed(
    rng: np.random.Generator, film: np.ndarray, lungs: np.ndarray, hidden: np.ndarray, pixel_mm: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """A real film slightly shifted, scaled and with another gamma; its lungs and pixel size follow."""
    from scipy import ndimage

    gamma, scale = float(np.exp(rng.uniform(-GAMMA, GAMMA))), float(rng.uniform(1 - SCALE, 1 + SCALE))
    side = film.shape[0]
    middle = (side - 1) / 2
    offset = middle - middle / scale + rng.uniform(-SHIFT, SHIFT, 2) * side
    moved = [
        ndimage.affine_transform(array, (1 / scale, 1 / scale), offset, order=order, mode="constant")
        for array, order in ((film, 1), (lungs, 0), (hidden, 0))
    ]
    shown = np.clip(moved[0], 0.0, 1.0).astype(np.float32) ** np.float32(gamma)
    return shown, moved[1], moved[2], pixel_mm / scale
