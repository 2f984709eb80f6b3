"""Scan a volume: any planning CT, any tissue map, as a scanner would show it, on the same voxels.

Slices are projected, measured and reconstructed in batches; what a slice looks like depends on the seed and on its
place in the volume only, never on the batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from manabi.context import Context
from manabi.errors import InvalidInputError
from manabi.phantoms.ct import beam, finish
from manabi.phantoms.ct.beam import FWHM_PER_SIGMA, Setup
from manabi.phantoms.ct.materials import Material
from manabi.phantoms.ct.scanner import Scanner
from manabi.phantoms.ct.surrogate import Surrogate
from manabi.phantoms.ct.tissue import Densities, densities_of_fractions, densities_of_hu, densities_of_tissues

BATCH = 16
Source = Callable[[int, int], Densities]
"""Densities of slices ``start`` to ``stop``."""
Spacing = Sequence[float] | np.ndarray


def scan_volume(
    hu: Tensor,
    spacing_mm: Spacing,
    scanner: Scanner,
    seed: int = 0,
    device: str | torch.device = "cpu",
    context: Context | None = None,
    fast: bool = False,
    batch: int = BATCH,
) -> Tensor:
    """A planning CT as another scanner (or the same kind) would show it.

    Args:
        hu: ``(n, rows, columns)`` HU of a planning CT or a phantom, axial slices. Fillers below -1000 are air.
        spacing_mm: voxel size along columns, rows and slices.
        scanner: see :mod:`manabi.phantoms.ct.scanner`.
        seed: all noise and rings follow from it.
        device: where to compute.
        context: progress and cancellation.
        fast: work on the image alone, with the same resolution, noise and slow errors; see
            :mod:`manabi.phantoms.ct.surrogate`.
        batch: slices at once; it changes time and memory, not the result.

    Returns:
        ``(n, rows, columns)`` float32 HU on ``device``, on the same voxels.

    Raises:
        InvalidInputError: for another shape, or values that are not numbers.
        CancelledError: the context was cancelled.
    """
    _check_volume(hu)
    return _scan(lambda a, b: densities_of_hu(hu[a:b].to(device)), tuple(hu.shape), spacing_mm, scanner, seed, device,
                 context, fast, batch)  # fmt: skip


def scan_tissues(
    tissues: Tensor | Mapping[str, Tensor],
    spacing_mm: Spacing,
    scanner: Scanner,
    seed: int = 0,
    materials: Sequence[Material | str] = (),
    relative_density: Tensor | None = None,
    device: str | torch.device = "cpu",
    context: Context | None = None,
    fast: bool = False,
    batch: int = BATCH,
) -> Tensor:
    """A map of tissues as a scanner would show it; metals harden the beam and streak by themselves.

    Args:
        tissues: a label map ``(n, rows, columns)`` of indices into ``materials``, or for each material's name the
            share of every voxel that it fills.
        spacing_mm: voxel size along columns, rows and slices.
        scanner: see :mod:`manabi.phantoms.ct.scanner`.
        seed: all noise and rings follow from it.
        materials: for a label map, what each label is made of (names or materials).
        relative_density: for a label map, a factor on each voxel's density.
        device: where to compute.
        context: progress and cancellation.
        fast: see :func:`scan_volume`.
        batch: slices at once.

    Returns:
        ``(n, rows, columns)`` float32 HU on ``device``.
    """
    if isinstance(tissues, Mapping):
        fractions = dict(tissues)
        if not fractions or len({tuple(part.shape) for part in fractions.values()}) != 1:
            raise InvalidInputError("Give at least one material, and maps of one shape.")
        shape = tuple(next(iter(fractions.values())).shape)

        def source(start: int, stop: int) -> Densities:
            return densities_of_fractions({name: part[start:stop].to(device) for name, part in fractions.items()})
    else:
        labels, shape = tissues, tuple(tissues.shape)

        def source(start: int, stop: int) -> Densities:
            factor = None if relative_density is None else relative_density[start:stop].to(device)
            return densities_of_tissues(labels[start:stop].to(device), materials, factor)

    return _scan(source, shape, spacing_mm, scanner, seed, device, context, fast, batch)


def scan_densities(
    densities: Densities, spacing_mm: Spacing, scanner: Scanner, seed: int = 0, device: str | torch.device = "cpu",
    context: Context | None = None, fast: bool = False, batch: int = BATCH,
) -> Tensor:  # fmt: skip
    """Density maps of basis substances, as a scanner would show them; see :mod:`manabi.phantoms.ct.tissue`."""
    shape = tuple(next(iter(densities.values())).shape)

    def source(start: int, stop: int) -> Densities:
        return {name: image[start:stop].to(device) for name, image in densities.items()}

    return _scan(source, shape, spacing_mm, scanner, seed, device, context, fast, batch)


def _check_volume(hu: Tensor) -> None:
    if hu.ndim != 3 or min(hu.shape) < 1 or min(hu.shape[1:]) < 8:
        raise InvalidInputError(f"A scan needs slices (n, rows, columns) of at least 8 × 8; got {tuple(hu.shape)}.")


def _scan(
    source: Source, shape: tuple[int, ...], spacing_mm: Spacing, scanner: Scanner, seed: int,
    device: str | torch.device, context: Context | None, fast: bool, batch: int,
) -> Tensor:  # fmt: skip
    if len(shape) != 3 or min(shape) < 1 or min(shape[1:]) < 8:
        raise InvalidInputError(f"A scan needs slices (n, rows, columns) of at least 8 × 8; got {shape}.")
    x, y, z = (float(s) for s in spacing_mm)
    if not min(x, y, z) > 0:
        raise InvalidInputError(f"Voxel sizes must be positive; got {(x, y, z)} mm.")
    work = beam.setup(scanner, (shape[1], shape[2]), (x, y))
    slices = Slices(source, shape[0], z, scanner.slice_mm)
    scan = Surrogate(work, seed) if fast else Full(work, seed)
    out = torch.empty(shape, dtype=torch.float32, device=device)
    for start in range(0, shape[0], batch):
        stop = min(start + batch, shape[0])
        if context is not None:
            context.progress(start / shape[0], f"Scanning slices {start + 1} to {stop} of {shape[0]}")
        noise = slices.noise(scan.noise_shape, seed, start, stop, device) if scanner.noise_hu else None
        image = scan.image(slices.densities(start, stop), noise)
        out[start:stop] = finish.finished(image, work)
    return out


@dataclass(frozen=True)
class Slices:
    """Slices of a volume as thick as the scanner makes them.

    Attributes:
        source: the thin ones.
        count: how many there are.
        spacing_mm: distance of two.
        slice_mm: FWHM of the scanner's slice profile.
    """

    source: Source
    count: int
    spacing_mm: float
    slice_mm: float

    def densities(self, start: int, stop: int) -> Densities:
        """Thick slices ``start`` to ``stop``; the volume's outermost slices continue outwards.

        The input's own slices are as thick as their distance, which is taken off the blur.
        """
        variance = (self.slice_mm / FWHM_PER_SIGMA) ** 2 - self.spacing_mm**2 / 12
        kernel = _profile(math.sqrt(max(variance, 0.0)) / self.spacing_mm)
        reach = len(kernel) // 2
        first, last = max(start - reach, 0), min(stop + reach, self.count)
        places = np.clip(np.arange(start - reach, stop + reach), 0, self.count - 1) - first
        return {name: _along(image, places, kernel) for name, image in self.source(first, last).items()}

    def noise(self, shape: tuple[int, int], seed: int, start: int, stop: int, device: str | torch.device) -> Tensor:
        """Standard normal numbers ``(stop - start, *shape)``, alike in slices that overlap."""
        kernel = _profile(self.slice_mm / FWHM_PER_SIGMA / self.spacing_mm)
        kernel = kernel / math.sqrt(float(np.square(kernel).sum()))
        reach = len(kernel) // 2
        drawn = []
        for index in range(start - reach, stop + reach):
            state = int(np.random.SeedSequence([abs(int(seed)), index + 10_000]).generate_state(1)[0])
            generator = torch.Generator(device=device).manual_seed(state)
            drawn.append(torch.randn(shape, generator=generator, device=device))
        return _along(torch.stack(drawn), np.arange(len(drawn)), kernel)


def _profile(sd: float) -> np.ndarray:
    """Weights of neighbouring slices, which sum to 1: a Gaussian of ``sd`` slices up to ±2.5 of them."""
    reach = math.ceil(2.5 * sd) if sd > 0.25 else 0
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / max(sd, 1e-6)) ** 2)
    return weights / weights.sum()


def _along(stack: Tensor, places: np.ndarray, kernel: np.ndarray) -> Tensor:
    """Weighted sums of slices: result k is the sum over j of ``kernel[j] * stack[places[k + j]]``."""
    if len(kernel) == 1:
        return stack[places] * float(kernel[0]) if kernel[0] != 1 else stack[places]
    count = len(places) - len(kernel) + 1
    matrix = np.zeros((count, len(stack)), np.float32)
    for k in range(count):
        np.add.at(matrix[k], places[k : k + len(kernel)], kernel)
    weights = torch.as_tensor(matrix, device=stack.device)
    return (weights @ stack.reshape(len(stack), -1)).view(count, *stack.shape[1:])


class Full:
    """Projection, measurement and reconstruction of a batch."""

    def __init__(self, work: Setup, seed: int) -> None:
        """Draw what all slices share."""
        self.work = work
        self.noise_shape = (work.geometry.views, work.geometry.bins)
        errors = beam.ring_errors(work, abs(int(seed))) if work.scanner.ring_hu else None
        self._rings = None if errors is None else torch.from_numpy(errors.astype(np.float32))

    def image(self, densities: Densities, noise: Tensor | None) -> Tensor:
        """Density relative to water ``(n, rows, columns)``, as measured; see :func:`beam.measured` for ``noise``."""
        along = beam.paths(densities, self.work)
        device = next(iter(along.values())).device
        views = beam.measured(along, self.work, noise, None if self._rings is None else self._rings.to(device))
        return beam.reconstructed(views, self.work)
