"""From parameters to a case: render the head, take the scans, reconstruct them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from manabi.context import Context
from manabi.device import choose_device
from manabi.errors import InvalidInputError
from manabi.phantoms import striatum_anatomy as anatomy_of
from manabi.phantoms.base import Case
from manabi.phantoms.osem import osem, smooth
from manabi.phantoms.spect_camera import (
    FWHM_PER_SIGMA,
    Blur,
    Projector,
    attenuation_factors,
    collimator,
    gaussian_matrix,
    to_volume,
)
from manabi.phantoms.spect_tables import Geometry
from manabi.phantoms.striatum import Acquisition, image_names
from manabi.phantoms.striatum_anatomy import STRIATA, Rendered
from manabi.result import LEFT, RIGHT, Cell, Code, Labelmap, Segment
from manabi.volume import Volume

if TYPE_CHECKING:
    from manabi.phantoms.striatum import StriatumParameters

CAUDATE = Code("11000004", "SCT", "Caudate nucleus")
PUTAMEN = Code("89278009", "SCT", "Putamen")
BRAIN = Code("12738006", "SCT", "Brain")

COLORS = ((0.48, 0.73, 0.93), (0.05, 0.41, 1.0), (0.93, 0.73, 0.48), (1.0, 0.41, 0.05))
SEGMENTS = tuple(
    Segment(
        label=number + 1,
        name=f"{structure} {side}",
        color=COLORS[number],
        type=CAUDATE if structure == "caudate" else PUTAMEN,
        laterality=LEFT if side == "left" else RIGHT,
    )
    for number, (structure, side) in enumerate(STRIATA)
)
SIDE_BY_SIDE = 4
"""Cases rendered at once on a CPU, about 250 MB each (our choice)."""

BRAIN_SEGMENT = Segment(label=1, name="brain", color=(0.9, 0.7, 0.7), type=BRAIN)


@dataclass(frozen=True)
class Scan:
    """Projections ``(views, bins, batch, slices)``: batch 0 is the short scan, 1 the full one."""

    counts: torch.Tensor
    scatter: torch.Tensor
    expected_total: float


def render_cases(
    parameters: Sequence[StriatumParameters], records: Sequence[dict[str, Any]], context: Context
) -> list[Case]:
    """Render cases; each keeps its record as its parameters.

    Raises:
        InvalidInputError: for parameters that no camera or reconstruction can have.
        CancelledError: when the context was cancelled.
    """
    for case in parameters:
        _check(case)
    device = _device(context)
    cases = []
    with _one_thread_each(device, len(parameters)) as pool:
        waiting = [pool.submit(_render, p, r, context, device) for p, r in zip(parameters, records, strict=True)]
        try:
            for number, future in enumerate(waiting):
                context.progress(number / len(waiting), f"Phantom {number + 1} of {len(waiting)}")
                cases.append(future.result())
        finally:
            for future in waiting:
                future.cancel()
    context.progress(1.0, "Phantoms rendered")
    return cases


@contextmanager
def _one_thread_each(device: torch.device, cases: int) -> Iterator[ThreadPoolExecutor]:
    """A pool whose workers each compute on one thread; as many as torch may use, and one on a GPU."""
    threads = torch.get_num_threads()
    workers = min(threads, cases, SIDE_BY_SIDE) if device.type == "cpu" else 1
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(max(workers, 1)) as pool:
            yield pool
    finally:
        torch.set_num_threads(threads)


@torch.inference_mode()
def _render(parameters: StriatumParameters, record: dict[str, Any], context: Context, device: torch.device) -> Case:
    context.check_cancelled()
    plan, recipe, anatomy = parameters.acquisition, parameters.reconstruction, parameters.anatomy
    geometry = Geometry(views=plan.views)
    rendered = anatomy_of.render(anatomy, parameters.uptake, geometry, plan.n_slices, device)
    mu = anatomy_of.mu_map(anatomy, geometry, plan.n_slices, device=device)
    context.check_cancelled()
    blur = Blur(geometry, plan.n_slices, collimator(plan.collimator), plan.radius_mm, device)
    camera = Projector(geometry, attenuation_factors(geometry, mu), blur)
    scan, scale = take_scan(camera, rendered.activity, plan)
    del camera
    context.check_cancelled()
    ct = anatomy_of.mu_map(anatomy, geometry, plan.n_slices, recipe.mu_shift_mm, device)
    known = geometry if recipe.resolution_recovery else Geometry(views=plan.views, nodes=1)
    model = Projector(known, attenuation_factors(geometry, ct), blur if recipe.resolution_recovery else None)
    images = osem(model, scan.counts, scan.scatter, recipe.iterations, recipe.subsets,
                  on_iteration=lambda _: context.check_cancelled())  # fmt: skip
    short, full = (smooth(to_volume(images[:, n], geometry), recipe.filter_fwhm_mm, geometry) for n in (0, 1))
    maps = {
        image_names(plan)[0]: (short, "CNTS", "NM"),
        image_names(plan)[1]: (full, "CNTS", "NM"),
        "activity": (to_volume(rendered.activity * scale, geometry), "CNTS", "NM"),
        "mu_map": (to_volume(ct, geometry), "1CM", "CT"),
    }
    return _case(parameters, record, geometry, maps, rendered, scan)


def take_scan(camera: Projector, activity: torch.Tensor, plan: Acquisition) -> tuple[Scan, float]:
    """Counts of both scans, their scatter estimates, and counts per voxel for an uptake of 1.

    The short scan's counts are Poisson with ``minutes / full_minutes`` of the full scan's mean λ. The full scan holds
    them, plus Poisson counts of the rest of λ; where the scans are independent it is drawn alone. The scatter windows
    are drawn in the same way.
    """
    primary = camera.forward(activity[:, None])[:, :, 0]
    scatter = _scattered(primary, plan, camera.geometry)
    seen, spread = float(primary.double().sum()), float(scatter.double().sum())
    scatter *= plan.scatter_fraction / (1.0 - plan.scatter_fraction) * seen / spread
    scale = plan.counts * (1.0 - plan.scatter_fraction) / seen
    generator = torch.Generator().manual_seed(plan.noise_seed)
    mean = ((primary + _central(scatter, camera.geometry.bins)) * scale).cpu()
    counts = _poisson_pair(mean, plan, generator)
    windows = _poisson_pair((scatter * scale * plan.tew_window).cpu(), plan, generator)
    estimate = windows.to(primary.device) * (plan.tew_bias / plan.tew_window)
    smoothed = _blurred(estimate, plan.tew_filter_mm / FWHM_PER_SIGMA / camera.geometry.pixel_mm)
    additive = _central(smoothed, camera.geometry.bins)
    return Scan(counts.to(primary.device), additive, plan.counts), scale


def _poisson_pair(mean: torch.Tensor, plan: Acquisition, generator: torch.Generator) -> torch.Tensor:
    """``(views, bins, slices)`` means of the full scan to ``(views, bins, 2, slices)`` counts, short and full."""
    share = plan.minutes / plan.full_minutes
    short = torch.poisson(mean * share, generator=generator)
    rest = torch.poisson(mean if plan.independent else mean * (1.0 - share), generator=generator)
    return torch.stack([short, rest if plan.independent else short + rest], dim=2)


def _scattered(primary: torch.Tensor, plan: Acquisition, geometry: Geometry) -> torch.Tensor:
    """The primary projections blurred over the whole detector ``(views, matrix, slices)``; not scaled."""
    margin = (geometry.matrix - geometry.bins) // 2
    whole = torch.nn.functional.pad(primary, (0, 0, margin, margin))
    return _blurred(whole[:, :, None], plan.scatter_sigma_mm / geometry.pixel_mm)[:, :, 0]


def _central(projections: torch.Tensor, bins: int) -> torch.Tensor:
    """The middle bins of ``(views, detector, ...)``."""
    margin = (projections.shape[1] - bins) // 2
    return projections[:, margin : margin + bins].contiguous()


def _blurred(projections: torch.Tensor, sigma: float) -> torch.Tensor:
    """``(views, bins, batch, slices)`` blurred along bins and slices by a Gaussian of ``sigma`` samples."""
    if sigma <= 0:
        return projections
    views, bins, batch, slices = projections.shape
    rows = projections.reshape(-1, slices) @ gaussian_matrix(slices, sigma, projections.device)
    mixed = gaussian_matrix(bins, sigma, projections.device) @ rows.view(views, bins, batch * slices)
    return mixed.view(views, bins, batch, slices)


def _case(
    parameters: StriatumParameters, record: dict[str, Any], geometry: Geometry,
    maps: dict[str, tuple[torch.Tensor, str, str]], rendered: Rendered, scan: Scan,
) -> Case:  # fmt: skip
    grid = anatomy_of.ijk_to_ras(geometry, parameters.acquisition.n_slices)
    volumes = {
        name: Volume(array.cpu().numpy(), grid, modality, units, name)
        for name, (array, units, modality) in maps.items()
    }
    labels = to_volume(rendered.labels, geometry).cpu().numpy()
    brain = to_volume((rendered.brain >= 0.5).to(torch.uint8), geometry).cpu().numpy()
    labelmaps = {
        "striatum": Labelmap(Volume(labels, grid, "SEG", None, "striatum"), SEGMENTS),
        "brain": Labelmap(Volume(brain, grid, "SEG", None, "brain"), (BRAIN_SEGMENT,)),
    }
    return Case(volumes, labelmaps, _truth(parameters, rendered, scan), record)


def _truth(parameters: StriatumParameters, rendered: Rendered, scan: Scan) -> dict[str, Cell]:
    truth: dict[str, Cell] = {"grade_left": parameters.grade_left, "grade_right": parameters.grade_right}
    ratios = {}
    for (structure, side), volume, ratio in zip(STRIATA, rendered.volumes_ml, rendered.binding_ratios, strict=True):
        truth[f"binding_ratio_{structure}_{side}"] = ratios[structure, side] = ratio
        truth[f"volume_{structure}_{side}_ml"] = volume
    for structure in ("caudate", "putamen"):
        left, right = ratios[structure, "left"], ratios[structure, "right"]
        truth[f"asymmetry_{structure}_percent"] = 200.0 * abs(left - right) / max(left + right, 1e-9)
    for number, minutes in enumerate((parameters.acquisition.minutes, parameters.acquisition.full_minutes)):
        truth[f"projection_counts_{minutes:g}min"] = float(scan.counts[:, :, number].double().sum())
    truth["expected_counts_whole_detector"] = scan.expected_total
    return truth


def _device(context: Context) -> torch.device:
    """The context's device; Apple's lacks an operation that the projector needs, so that the CPU takes over."""
    device = torch.device(choose_device(context.device).device)
    if device.type == "mps":
        context.warn("The SPECT simulator does not run on MPS; it ran on the CPU.")
        device = torch.device("cpu")
    context.used_device = str(device)
    return device


def _check(parameters: StriatumParameters) -> None:
    """Raise InvalidInputError for what cannot be simulated."""
    plan, recipe, anatomy = parameters.acquisition, parameters.reconstruction, parameters.anatomy
    if not 0 < plan.minutes < plan.full_minutes or not plan.counts > 0:
        raise InvalidInputError(
            f"Expected 0 < minutes < full_minutes and counts > 0; got {plan.minutes}, {plan.full_minutes} "
            f"and {plan.counts}."
        )
    if not 0 <= plan.scatter_fraction < 1 or plan.n_slices < 1 or recipe.filter_fwhm_mm < 0:
        raise InvalidInputError(
            f"Expected a scatter fraction in [0, 1), at least one slice and a filter of 0 mm or more; got "
            f"{plan.scatter_fraction}, {plan.n_slices} and {recipe.filter_fwhm_mm}."
        )
    reach = 95.0 * anatomy.scale + math.hypot(*anatomy.shift_mm[:2])
    room = Geometry().radius_mm + 3.0
    if reach > room:
        raise InvalidInputError(
            f"The head reaches {reach:.0f} mm from the axis, beyond the field of view of {room:.0f} mm. "
            "Use a smaller scale or shift."
        )
