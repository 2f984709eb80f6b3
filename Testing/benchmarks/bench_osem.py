"""OSEM: ours against plain NumPy rotate-and-sum (20 slices, no blur) and against PyTomography (24 slices, blur).

128 × 128 pixels, 60 views, 4 iterations × 10 subsets, attenuation, the same counts; ours includes the attenuation
factors and sensitivities. Run it alone on the machine; sides take turns and the best of their runs counts.
PyTomography is in the extra ``peers``.
"""

from __future__ import annotations

import importlib.util
import json
import time
from collections.abc import Callable

import numpy as np
import torch

from manabi.phantoms.osem import osem
from manabi.phantoms.spect_camera import (
    FWHM_PER_SIGMA,
    LEAD_PER_MM,
    Blur,
    Projector,
    attenuation_factors,
    collimator,
    to_volume,
)
from manabi.phantoms.spect_tables import Geometry
from manabi.phantoms.striatum_anatomy import Anatomy, Uptake, mu_map, render

RADIUS_MM, COUNTS = 140.0, 7.5e5


class Case:
    """One head, its counts with and without blur, and what everyone needs to reconstruct them."""

    def __init__(self, slices: int, blurred: bool, views: int = 60) -> None:
        self.geometry = Geometry(views=views, nodes=8 if blurred else 1)
        anatomy = Anatomy(shift_mm=(6.0, 3.0, 0.0), tilt_deg=(3.0, 4.0, 5.0))
        self.mu = mu_map(anatomy, self.geometry, slices)
        activity = render(anatomy, Uptake(putamen_left=1.5), self.geometry, slices).activity
        self.blur = Blur(self.geometry, slices, collimator("LEHR"), RADIUS_MM) if blurred else None
        self.mean = self.projector().forward(activity[:, None])
        self.mean *= COUNTS / self.mean.sum()
        self.counts = torch.poisson(self.mean, generator=torch.Generator().manual_seed(0))

    def projector(self) -> Projector:
        return Projector(self.geometry, attenuation_factors(self.geometry, self.mu), self.blur)

    def ours(self, iterations: int = 4, subsets: int = 10) -> np.ndarray:
        """Image ``(slices, rows, columns)``, in counts per voxel; subsets in plain order, as the others have it."""
        with torch.inference_mode():
            image = osem(self.projector(), self.counts, None, iterations, subsets, order=range(subsets))
            return to_volume(image[:, 0], self.geometry).numpy()

    def map_volume(self) -> torch.Tensor:
        return to_volume(self.mu, self.geometry)

    def whole_detector(self) -> torch.Tensor:
        """Counts ``(views, 128, slices)``."""
        margin = (self.geometry.matrix - self.geometry.bins) // 2
        return torch.nn.functional.pad(self.counts[:, :, 0], (0, 0, margin, margin))


class NumpyOsem:
    """What one would write in NumPy: rotate by bilinear gathering, attenuate, sum along the rays."""

    def __init__(self, case: Case) -> None:
        self.views, self.size = case.geometry.views, case.geometry.matrix
        self.forth = [self._table(angle) for angle in case.geometry.angles]
        self.back = [self._table(-angle) for angle in case.geometry.angles]
        flat = case.map_volume().numpy().transpose(1, 2, 0).reshape(self.size**2, -1)
        self.factors = [self._factors(self._turn(flat, table), case.geometry.pixel_mm) for table in self.forth]

    def _table(self, angle: float) -> tuple[np.ndarray, np.ndarray]:
        centre = (self.size - 1) / 2
        t, u = np.indices((self.size, self.size)) - centre
        x, y = u * np.cos(angle) - t * np.sin(angle) + centre, u * np.sin(angle) + t * np.cos(angle) + centre
        column, row = np.floor(x).astype(int), np.floor(y).astype(int)
        indices, weights = [], []
        for dy, wy in ((0, 1 - (y - row)), (1, y - row)):
            for dx, wx in ((0, 1 - (x - column)), (1, x - column)):
                c, r = column + dx, row + dy
                inside = (c >= 0) & (c < self.size) & (r >= 0) & (r < self.size)
                indices.append(np.where(inside, r * self.size + c, 0).ravel())
                weights.append(np.where(inside, wx * wy, 0).ravel().astype(np.float32))
        return np.array(indices), np.array(weights)[:, :, None]

    def _turn(self, flat: np.ndarray, table: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        turned = flat[table[0][0]] * table[1][0]
        for index, weight in zip(table[0][1:], table[1][1:], strict=True):
            turned += flat[index] * weight
        return turned

    def _factors(self, turned: np.ndarray, pixel_mm: float) -> np.ndarray:
        """Factors in the view's frame; depth grows towards the detector."""
        planes = turned.reshape(self.size, self.size, -1)
        beyond = np.cumsum(planes[::-1], axis=0)[::-1] - planes / 2
        return np.exp(-beyond * pixel_mm / 10)

    def forward(self, flat: np.ndarray, view: int) -> np.ndarray:
        planes = self._turn(flat, self.forth[view]).reshape(self.size, self.size, -1)
        return (planes * self.factors[view]).sum(0) / self.views

    def adjoint(self, bins: np.ndarray, view: int) -> np.ndarray:
        planes = self.factors[view] * bins[None]
        return self._turn(planes.reshape(self.size**2, -1), self.back[view]) / self.views

    def run(self, counts: np.ndarray, iterations: int = 4, subsets: int = 10) -> np.ndarray:
        """Image ``(slices, rows, columns)`` of counts ``(views, bins, slices)``."""
        groups = [range(s, self.views, subsets) for s in range(subsets)]
        ones = np.ones_like(counts[0])
        sensitivity = [np.maximum(sum(self.adjoint(ones, v) for v in group), 1e-6) for group in groups]
        image = np.ones((self.size**2, counts.shape[2]), np.float32)
        for _ in range(iterations):
            for group, norm in zip(groups, sensitivity, strict=True):
                update = sum(
                    self.adjoint(counts[v] / np.maximum(self.forward(image, v), 1e-6), v) for v in group
                )
                image = image * update / norm
        return image.reshape(self.size, self.size, -1).transpose(2, 0, 1)


def has_pytomography() -> bool:
    """Whether the peer is installed."""
    return importlib.util.find_spec("pytomography") is not None


class Peer:
    """PyTomography's model of a case; its angles run the other way, and its bins are mirrored."""

    def __init__(self, case: Case) -> None:
        from pytomography.metadata.SPECT import SPECTObjectMeta, SPECTProjMeta, SPECTPSFMeta
        from pytomography.projectors.SPECT import SPECTSystemMatrix
        from pytomography.transforms.SPECT import SPECTAttenuationTransform, SPECTPSFTransform

        geometry, slices = case.geometry, case.mu.shape[1]
        cm = geometry.pixel_mm / 10
        angles = (180.0 - np.degrees(geometry.angles)) % 360.0
        radii = np.full(geometry.views, RADIUS_MM / 10)
        parts = [SPECTAttenuationTransform(self.to_peer(case.map_volume()))]
        if case.blur is not None:
            parts.append(SPECTPSFTransform(SPECTPSFMeta((0.0,), _sigma_cm)))
        self.views = geometry.views
        self.matrix = SPECTSystemMatrix(
            parts, [], SPECTObjectMeta([cm] * 3, [geometry.matrix, geometry.matrix, slices]),
            SPECTProjMeta((geometry.matrix, slices), (cm, cm), angles, radii=radii),
        )  # fmt: skip

    @staticmethod
    def to_peer(volume: torch.Tensor) -> torch.Tensor:
        """``(slices, rows, columns)`` to the peer's x, y, z."""
        return volume.permute(2, 1, 0).contiguous()

    def forward(self, volume: torch.Tensor) -> torch.Tensor:
        """Counts ``(views, bins, slices)`` of a volume in counts of the whole acquisition."""
        return self.matrix.forward(self.to_peer(volume)).flip(1) / self.views

    def run(self, counts: torch.Tensor, iterations: int = 4, subsets: int = 10) -> np.ndarray:
        """Image ``(slices, rows, columns)`` of counts ``(views, bins, slices)``."""
        from pytomography.algorithms import OSEM
        from pytomography.likelihoods import PoissonLogLikelihood

        likelihood = PoissonLogLikelihood(self.matrix, counts.flip(1).contiguous())
        image = OSEM(likelihood)(iterations, subsets)
        return image.permute(2, 1, 0).cpu().numpy() * self.views


def _sigma_cm(distance_cm: np.ndarray, *_: float) -> np.ndarray:
    """The collimator's formula, vectorised and in the peer's units."""
    kind = collimator("LEHR")
    effective = kind.length_mm - 2.0 / LEAD_PER_MM
    spread = kind.hole_mm * (effective + 10.0 * np.asarray(distance_cm)) / effective
    return np.hypot(spread, kind.intrinsic_mm) / FWHM_PER_SIGMA / 10.0


def agreement(ours: np.ndarray, theirs: np.ndarray, brain: np.ndarray) -> dict[str, float]:
    """Normalised root-mean-square difference and correlation over the brain's voxels."""
    a, b = ours[brain].astype(float), theirs[brain].astype(float)
    return {
        "nrmse": round(float(np.sqrt(((a - b) ** 2).mean() / (b**2).mean())), 4),
        "correlation": round(float(np.corrcoef(a, b)[0, 1]), 5),
    }


def _timed(work: Callable[[], np.ndarray]) -> tuple[float, float, np.ndarray]:
    """Wall time, processor time and the answer."""
    wall, cpu = time.perf_counter(), time.process_time()
    image = work()
    return time.perf_counter() - wall, time.process_time() - cpu, image


def _race(ours: Callable[[], np.ndarray], theirs: Callable[[], np.ndarray], rounds: tuple[int, int]) -> dict:
    """Best times of both, ours several times for each of theirs, and both answers."""
    mine, other = [], []
    ours()
    for _ in range(rounds[0]):
        other.append(_timed(theirs))
        mine += [_timed(ours) for _ in range(rounds[1])]
    best = {name: min(record[0] for record in records) for name, records in (("manabi", mine), ("peer", other))}
    cpu = {name: min(record[1] for record in records) for name, records in (("manabi", mine), ("peer", other))}
    return {
        **{f"{name}_s": round(seconds, 4) for name, seconds in best.items()},
        **{f"{name}_cpu_s": round(seconds, 4) for name, seconds in cpu.items()},
        "ratio": round(best["peer"] / best["manabi"], 1),
        "ratio_cpu": round(cpu["peer"] / cpu["manabi"], 1),
        "images": (mine[-1][2], other[-1][2]),
    }


def _compared(case: Case, record: dict) -> dict:
    brain = (case.map_volume() > 0.1).numpy()
    images = record.pop("images")
    return {**record, **agreement(*images, brain)}


def run(quick: bool = False) -> dict:
    """Seconds, ratios and agreement; PyTomography's part is None where it is not installed.

    Args:
        quick: 4 slices, 20 views and one run of each.
    """
    rounds = (1, 1) if quick else (3, 5)
    slices, views = (4, 20) if quick else (20, 60)
    plain = Case(slices, False, views)
    reference, counts = NumpyOsem(plain), plain.whole_detector().numpy()
    found: dict = {"threads": torch.get_num_threads(), "views": views}
    record = _race(plain.ours, lambda: reference.run(counts), rounds)
    found["numpy"] = {"slices": slices, **_compared(plain, record)}
    found["pytomography"] = None
    if has_pytomography():
        slices = 4 if quick else 24
        case = Case(slices, True, views)
        peer, projections = Peer(case), case.whole_detector()
        record = _race(case.ours, lambda: peer.run(projections), (1, rounds[1]))
        found["pytomography"] = {"slices": slices, **_compared(case, record)}
    return found


def main() -> None:
    """Print what was measured."""
    print(json.dumps(run(), indent=2))


if __name__ == "__main__":
    main()
