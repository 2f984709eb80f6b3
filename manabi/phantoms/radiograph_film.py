"""Chest films from area densities: beam, scatter, detector, look, marks, in this order, many films at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from manabi.errors import InvalidInputError
from manabi.phantoms.radiograph_beam import BeamParameters, sample_beam, transmitted
from manabi.phantoms.radiograph_detector import DetectorParameters, detected, noise_fields, sample_detector
from manabi.phantoms.radiograph_look import LookParameters, processed, sample_look, shown, windows
from manabi.phantoms.radiograph_marks import MarkParameters, marked, sample_marks
from manabi.phantoms.radiograph_scatter import ScatterParameters, sample_scatter, scattered

DOMAINS = ("training", "held_out")
BODY_GRAMS = 1.0
"""g/cm² from which on a ray passes the patient; the detector's dose is their mean."""


@dataclass(frozen=True)
class FilmParameters:
    """How one film is taken and shown."""

    beam: BeamParameters = field(default_factory=BeamParameters)
    scatter: ScatterParameters = field(default_factory=ScatterParameters)
    detector: DetectorParameters = field(default_factory=DetectorParameters)
    look: LookParameters = field(default_factory=LookParameters)
    marks: MarkParameters = field(default_factory=MarkParameters)


def sample_film(rng: np.random.Generator, domain: str = "training") -> FilmParameters:
    """Draw a film of the ``training`` or the ``held_out`` domain; raises InvalidInputError for another."""
    check_domain(domain)
    beam, scatter = sample_beam(rng, domain), sample_scatter(rng, domain)
    detector, look = sample_detector(rng, domain), sample_look(rng, domain)
    return FilmParameters(beam, scatter, detector, look, sample_marks(rng))


def check_domain(domain: str) -> None:
    """Raise InvalidInputError for what is no domain."""
    if domain not in DOMAINS:
        raise InvalidInputError(f"domain must be one of {', '.join(DOMAINS)}; got {domain!r}.")


def render_films(
    maps: Tensor,
    beams: Sequence[BeamParameters],
    scatters: Sequence[ScatterParameters],
    detectors: Sequence[DetectorParameters],
    looks: Sequence[LookParameters],
    noise_seeds: Sequence[int],
    added: Tensor | None = None,
    *,
    pixel_mm: float = 1.5,
) -> Tensor:
    """Films ``(b, rows, columns)`` from 0 to 1, denser brighter.

    Args:
        maps: ``(b, 4, rows, columns)`` area densities in g/cm² of soft tissue, fat, bone and lung; not changed.
        beams: one for each film, as are the next four.
        scatters: scatter and grid.
        detectors: noise and blur.
        looks: processing.
        noise_seeds: draw the noise.
        added: ``(b, rows, columns)`` g/cm² of soft tissue beyond the lung whose place it takes; the window stays that
            of the film without it.
        pixel_mm: distance of the pixels at the detector.

    Raises:
        InvalidInputError: where the numbers of films differ.
    """
    counts = {len(maps), *(len(s) for s in (beams, scatters, detectors, looks, noise_seeds))}
    if len(counts) != 1 or maps.ndim != 4 or maps.shape[1] != 4:
        raise InvalidInputError(
            f"Expected maps (films, 4, rows, columns) and as many parameters; got {tuple(maps.shape)} and "
            f"{sorted(counts)} films."
        )
    films = [FilmParameters(*parts) for parts in zip(beams, scatters, detectors, looks, strict=True)]
    normal, embedded = render_pair(maps, films, noise_seeds, added, pixel_mm=pixel_mm)
    return normal if embedded is None else embedded


def render_pair(
    maps: Tensor, films: Sequence[FilmParameters], noise_seeds: Sequence[int], added: Tensor | None, *,
    pixel_mm: float = 1.5,
) -> tuple[Tensor, Tensor | None]:  # fmt: skip
    """Films without and with ``added``, with the same noise, exposure and window; None where nothing is added."""
    with torch.no_grad():
        looks, marks = [film.look for film in films], [film.marks for film in films]
        rows, columns = maps.shape[-2:]
        noise = noise_fields(noise_seeds, rows, columns, maps.device)
        signal = signals(maps, films, None, pixel_mm)
        level = dose_level(signal, maps)
        logs = _logs(signal, level, noise, films, pixel_mm)
        levels = windows(logs, looks)
        normal = marked(shown(logs, levels, looks), marks)
        if added is None:
            return normal, None
        other = signals(maps, films, added, pixel_mm)
        embedded = shown(_logs(other, level, noise, films, pixel_mm), levels, looks)
        return normal, marked(embedded, marks)


def signals(maps: Tensor, films: Sequence[FilmParameters], added: Tensor | None, pixel_mm: float) -> Tensor:
    """Primary and scattered signal ``(b, rows, columns)`` in units of the open beam, without noise."""
    if added is not None:
        maps = torch.cat((maps[:, :1] + added[:, None], maps[:, 1:]), dim=1)
    primary = transmitted(maps, [film.beam for film in films])
    return primary + scattered(primary, maps.sum(dim=1), [film.scatter for film in films], pixel_mm)


def dose_level(signal: Tensor, maps: Tensor) -> Tensor:
    """Mean signal behind the patient ``(b,)``, at which the detector receives its dose."""
    body = (maps.sum(dim=1) > BODY_GRAMS).to(signal.dtype)
    return (signal * body).sum(dim=(1, 2)) / body.sum(dim=(1, 2)).clamp(min=1.0)


def _logs(signal: Tensor, level: Tensor, noise: Tensor, films: Sequence[FilmParameters], pixel_mm: float) -> Tensor:
    seen = detected(signal, level, noise, [film.detector for film in films], pixel_mm)
    return processed(seen, [film.look for film in films], pixel_mm)
