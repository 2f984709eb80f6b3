"""The task ``synthesise``: a film without and with nodules, their truth, and further pairs for training.

Films that this makes are for training and testing, not for diagnosis: every volume but a reader's own film carries
:data:`SYNTHETIC_FILM` into the header of every file.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from manabi.context import Context
from manabi.errors import InvalidInputError, ModelNotFoundError
from manabi.nodule.contrast import LEAST_CNR
from manabi.nodule.detect import with_spacing
from manabi.nodule.parameters import NoduleParameters
from manabi.nodule.place import ASSUMED_FIELD_MM
from manabi.nodule.prepare import Canonical, Film, film_of_volume
from manabi.nodule.synthesise_base import MATRIX, Base, chest_base, film_base, flow_base
from manabi.nodule.synthesise_make import Made, Wishes, make, places_of
from manabi.nodule.truth import NoduleTruth
from manabi.result import Cell, Code, Labelmap, Landmark, Result, Segment, Table
from manabi.volume import Volume

if TYPE_CHECKING:
    from manabi.nodule.glow import Glow

SYNTHETIC_FILM = "synthetic, not for diagnosis"
WARNING = "Synthetic: films with simulated nodules are for training and testing only, not for diagnosis."
UNKNOWN_SPACING = (
    f"Spacing unknown or impossible: the film is taken to be {ASSUMED_FIELD_MM:.0f} mm long, on which the nodules' "
    "sizes rest. Set film_mm to the length of its longer side."
)
GREY = 4095
"""Highest value of a simulated film's 12 bits."""
ABNORMAL = Code("49755003", "SCT", "Morphologically Abnormal Structure")
NODULE = Code("27925004", "SCT", "Nodule")
COLORS = ((0.95, 0.3, 0.25), (0.98, 0.65, 0.2), (0.95, 0.85, 0.3), (0.4, 0.8, 0.4), (0.35, 0.65, 0.95))
KIND = ("density", "lung", "location", "subtlety", "contrast_to_noise", "ratio")
TABLE = ("number", "r_mm", "a_mm", "s_mm", "diameter_mm", *KIND)
PAIRS_TABLE = ("pair", *(field.name for field in dataclasses.fields(NoduleTruth)))
"""Everything that :class:`manabi.nodule.truth.NoduleTruth` holds, so that the pairs can be trained on."""


def synthesise(volume: Volume | None, parameters: NoduleParameters, context: Context) -> Result:
    """Make a film with nodules.

    Args:
        volume: the film they are put into (base=input).
        parameters: what is wanted.
        context: seed, progress, cancellation.

    Raises:
        InvalidInputError: where a film is missing or shows no lungs, or a place is outside them.
        ModelNotFoundError: where a flow that was named, or that base=flow needs, is not installed.
    """
    context.progress(0.02, "Preparing the film")
    flow = _flow(parameters, context)
    rng = np.random.default_rng([context.seed, 8])
    scene = _scene(volume, parameters, flow, rng, context)
    points = places_of(parameters.place)
    with context.span(0.4, 0.7):
        made = make(scene.base, Wishes.of(parameters, scene.in_lungs(points)), rng, flow, context)
    result = scene.result(made)
    if volume is not None and scene.film is None:
        context.warn(f"base={parameters.base}: the film that was given is not used.")
    result.warnings = [WARNING, *scene.texts, *_notes(made, flow)]
    result.measurements = _cells(made, parameters, flow)
    if parameters.pairs:
        with context.span(0.7, 0.98):
            _add_pairs(result, scene, parameters, rng, flow, context)
    return result


# --- the film ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scene:
    """A normal film and how places and values on it become those of the volume that is given back.

    What has simulated nodules does not name the film's DICOM file: it must not be filed as the patient's.

    Attributes:
        base: the film on the grid that is worked on.
        before: the volume without nodules.
        film: a reader's film, or None.
        grid: where it lies on the base's grid, or None where the volume is the base itself.
        texts: warnings.
    """

    base: Base
    before: Volume
    film: Film | None = None
    grid: Canonical | None = None
    texts: tuple[str, ...] = ()

    def in_lungs(self, points: Sequence[tuple[float, float, float]]) -> tuple[tuple[float, float], ...]:
        """Rows and columns on the base's grid of points in mm.

        Raises:
            InvalidInputError: where one is not in the lungs.
        """
        places = [self._row_column(point) for point in points]
        for (r, a, s), place in zip(points, places, strict=True):
            if not self.base.space.holds(*place):
                raise InvalidInputError(
                    f"place: {r:g},{a:g},{s:g} is not in the lungs of this film. Choose a point inside them; the parts "
                    "behind heart and diaphragm count (the output lungs of task=detect shows a film's)."
                )
        return tuple(places)

    def _row_column(self, ras: tuple[float, float, float]) -> tuple[float, float]:
        if self.film is not None and self.grid is not None:
            return self.grid.from_film(*self.film.place(ras))
        column, row, _ = self.before.grid.ijk_of(np.asarray(ras, float))
        return float(row), float(column)

    def ras(self, row: float, column: float) -> tuple[float, float, float]:
        """Where a place on the base's grid lies, mm."""
        if self.film is not None and self.grid is not None:
            return self.film.ras(*self.grid.to_film(row, column))
        place = self.before.grid.ras_of(np.array([column, row, 0.0]))
        return float(place[0]), float(place[1]), float(place[2])

    def result(self, made: Made) -> Result:
        """Volumes, mask, landmarks and truth."""
        after, mask = self._after(made), self._mask(made)
        change = np.asarray(after.array, np.float32) - np.asarray(self.before.array, np.float32)
        difference = self.before.like(change, name="difference", modality=None, caution=SYNTHETIC_FILM, source=None)
        segments = _segments(n.number for n in made.nodules)
        rows, points = [], {}
        for n in made.nodules:
            place = tuple(round(v, 2) for v in self.ras(n.row, n.column))
            rows.append((n.number, *place, n.diameter_mm, *_kind(n)))
            words = f"simulated, {n.diameter_mm:.0f} mm, {n.density.replace('_', ' ')}"
            points[f"nodule_{n.number}"] = Landmark(f"nodule {n.number}", place, None, words)  # type: ignore[arg-type]
        return Result(
            volumes={"before": self.before, "after": after, "difference": difference},
            labelmaps={"mask": Labelmap(mask, segments)},
            landmarks=points,
            tables={"nodules": Table(TABLE, tuple(rows))},
        )

    def _after(self, made: Made) -> Volume:
        change = made.after - made.before
        scale = float(GREY)
        if self.film is not None and self.grid is not None:
            shape = self.film.pixels.shape
            change = self.grid.spread(change, (shape[0], shape[1]))
            scale = self.film.window[1] - self.film.window[0]
            change = np.asarray(self.film.back(change, "change").array)
        else:
            change = change[None]
        stored = np.asarray(self.before.array)
        values = stored.astype(np.float64) + scale * change
        if stored.dtype.kind in "ui":
            limits = np.iinfo(stored.dtype)
            values = np.clip(np.rint(values), limits.min, limits.max)
        array = np.where(change != 0, values, stored).astype(stored.dtype)
        return self.before.like(array, name="after", caution=SYNTHETIC_FILM, source=None)

    def _mask(self, made: Made) -> Volume:
        mask = made.mask
        if self.film is not None and self.grid is not None:
            shape = self.film.pixels.shape
            turned = self.film.back(self.grid.spread(mask, (shape[0], shape[1]), nearest=True), "mask")
            return turned.like(turned.array, modality=None, caution=SYNTHETIC_FILM, source=None)
        return self.before.like(mask[None], name="mask", modality=None, caution=SYNTHETIC_FILM)


def _scene(
    volume: Volume | None, parameters: NoduleParameters, flow: Glow | None, rng: np.random.Generator, context: Context
) -> Scene:  # fmt: skip
    if parameters.base == "input":
        if volume is None:
            raise InvalidInputError("base=input takes a radiograph; none was given. Choose one, or set base=phantom.")
        film, texts, mm_known = with_spacing(film_of_volume(volume), parameters.film_mm)
        texts = texts if mm_known else [UNKNOWN_SPACING]
        context.progress(0.1, "Finding the lungs")
        base, grid = film_base(film, mm_known)
        return Scene(base, volume.like(volume.array, name="before"), film, grid, tuple(texts))
    if parameters.base == "flow":
        if flow is None:
            raise ModelNotFoundError(
                "base=flow draws a film from a trained flow; none is installed. Install the bundle nodule-flow, train "
                "one (python -m Training nodule_flow), or set base=phantom."
            )
        base = flow_base(flow, int(rng.integers(2**31)))
    else:
        context.progress(0.1, "Projecting a chest")
        base = chest_base(rng)
    return Scene(base, _film_volume(base.film[None], base.pixel_mm, "before"))


def _film_volume(films: np.ndarray, pixel_mm: float, name: str) -> Volume:
    """Simulated films ``(n, m, m)`` in [0, 1] as a volume of 12 bits, placed as radiographs are read."""
    array = np.rint(np.clip(films, 0.0, 1.0) * GREY).astype(np.uint16)
    return Volume(array, np.diag([-pixel_mm, -pixel_mm, 1.0, 1.0]), "DX", name=name, caution=SYNTHETIC_FILM)


# --- the flow ---------------------------------------------------------------------------------------------------------


def _flow(parameters: NoduleParameters, context: Context) -> Glow | None:
    """The flow that was named, or the shipped one; None, with a warning, where none was named and none is there."""
    from manabi.nodule.glow_bundle import DEFAULT_FLOW, load_flow
    from manabi.store import BundleStore

    try:
        bundle = BundleStore().get(parameters.flow or DEFAULT_FLOW, method="nodule")
    except ModelNotFoundError:
        if parameters.flow:
            raise
        context.warn("No flow is installed: nodules are mixed in by grey values, not in a flow's latents.")
        return None
    flow = load_flow(bundle)
    whole = bundle.facts.get("flow", {}).get("what") == "film"
    if parameters.base == "flow" and not whole:
        raise InvalidInputError(
            f"base=flow needs a flow of whole films; {bundle.name} is one of patches. Choose another (flow=...), or "
            "set base=phantom."
        )
    context.used_bundle = bundle.provenance()
    if bundle.notice:
        context.warn(f"Bundle {bundle.name} {bundle.version}: {bundle.notice}.")
    return flow if not whole or flow.size == MATRIX else _only_for_films(flow, parameters, context)


def _only_for_films(flow: Glow, parameters: NoduleParameters, context: Context) -> Glow | None:
    """A flow of small whole films draws films; it cannot blend nodules into larger ones."""
    if parameters.base == "flow":
        return flow
    context.warn(
        f"The flow makes films of {flow.size} × {flow.size}, too coarse to blend nodules into this one: they are mixed "
        "in by grey values."
    )
    return None


# --- words and numbers ------------------------------------------------------------------------------------------------


def _notes(made: Made, flow: Glow | None) -> list[str]:
    faint = [n.number for n in made.nodules if n.cnr < LEAST_CNR]
    cut = [n.number for n in made.nodules if n.kept < 0.5]
    texts = []
    if faint:
        names = ", ".join(map(str, faint))
        texts.append(f"Check nodule {names}: it hardly stands out of the film (contrast to noise below {LEAST_CNR:g}).")
    if cut:
        names = ", ".join(map(str, cut))
        texts.append(f"Check nodule {names}: more than half of it would lie outside the lung and was left out.")
    if flow is not None and any(n.ratio == 1.0 != made.ratio for n in made.nodules):
        texts.append("A nodule was too large for the flow's patches; it is as it was embedded.")
    return texts


def _cells(made: Made, parameters: NoduleParameters, flow: Glow | None) -> dict[str, Cell]:
    return {
        "nodules": len(made.nodules),
        "base": parameters.base,
        "blending": "grey values" if flow is None else "flow",
        "ratio": round(made.ratio, 4),
        "least_contrast_to_noise": min((n.cnr for n in made.nodules), default=None),
        "pairs": parameters.pairs,
    }


def _segments(numbers: Iterable[int]) -> tuple[Segment, ...]:
    return tuple(Segment(n, f"nodule {n}", COLORS[(n - 1) % len(COLORS)], NODULE, ABNORMAL) for n in numbers)


def _kind(n: NoduleTruth) -> tuple[Cell, ...]:
    """The columns :data:`KIND`."""
    return n.density, n.lung, n.hidden, n.subtlety, n.cnr, n.ratio


# --- further pairs ----------------------------------------------------------------------------------------------------


def _add_pairs(
    result: Result, scene: Scene, parameters: NoduleParameters, rng: np.random.Generator, flow: Glow | None,
    context: Context,
) -> None:  # fmt: skip
    """Further pairs: the reader's film with other nodules, variations of the chest, or more films from the flow."""
    wishes = Wishes.of(parameters)
    if not wishes.count:
        raise InvalidInputError("Pairs for training need nodules: set count to at least 1, or pairs to 0.")
    base = scene.base if scene.film is None else film_base(scene.film, True, MATRIX)[0]
    made = []
    for number in range(parameters.pairs):
        with context.span(number / parameters.pairs, (number + 1) / parameters.pairs):
            made.append(make(_next_base(base, parameters, rng, flow), wishes, rng, flow, context))
    pixel_mm = base.pixel_mm
    result.volumes["pairs_before"] = _film_volume(np.stack([m.before for m in made]), pixel_mm, "pairs_before")
    result.volumes["pairs_after"] = _film_volume(np.stack([m.after for m in made]), pixel_mm, "pairs_after")
    masks = result.volumes["pairs_before"].like(np.stack([m.mask for m in made]), name="pairs_mask", modality=None)
    result.labelmaps["pairs_mask"] = Labelmap(masks, _segments(range(1, wishes.count + 1)))
    rows = [(index, *n.to_dict().values()) for index, one in enumerate(made, start=1) for n in one.nodules]
    result.tables["pairs"] = Table(PAIRS_TABLE, tuple(rows))


def _next_base(base: Base, parameters: NoduleParameters, rng: np.random.Generator, flow: Glow | None) -> Base:
    if base.chest is not None:
        return chest_base(rng, base.chest)
    if parameters.base == "flow" and flow is not None:
        return flow_base(flow, int(rng.integers(2**31)))
    return base
