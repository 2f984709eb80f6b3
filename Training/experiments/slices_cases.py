"""Simulated patients of the SliceMarker experiment: the split, 8-bit slices kept on disk, and truncated copies."""

from __future__ import annotations

import hashlib
import inspect
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from manabi import registry
from manabi.context import Context
from manabi.errors import InvalidInputError
from manabi.io.atomic import atomic_file
from manabi.phantoms.base import Case, case_rng
from manabi.slices.reading import MARKERS
from Training.cohort import PHANTOMS, SPLITS, CohortCase, split_cases
from Training.phantom_cache import code_hash
from Training.slices_paper import PaperCase, PaperRecipe, paper_case

logger = logging.getLogger(__name__)

FEWEST = 8
"""Slices that a truncated stack has at least."""
CLOSE_MM, FAR_MM = 10.0, 50.0
"""How far a missing marker lies beyond the image's end; closer ones are a matter of a slice (our choice)."""

FORMAT = 2
"""Of the prepared slices; others are prepared anew."""

Range = tuple[float, float]


def split_indices(count: int, parts: str, seed: int, limits: Mapping[str, int]) -> dict[str, list[int]]:
    """Which phantoms are trained on, validated on and tested on.

    Args:
        count: phantoms of the cohort.
        parts: training/validation/test.
        seed: of the split.
        limits: at most so many of a split, the first ones; 0 or absent for all. The split itself does not change.
    """
    cases = split_cases([CohortCase(f"{n:05d}", f"{n:05d}") for n in range(count)], parts, seed)
    chosen = {name: [int(case.name) for case in cases if case.split == name] for name in SPLITS}
    return {name: rows[: limits.get(name) or None] for name, rows in chosen.items()}


def parse_data(data: str) -> tuple[int, int]:
    """Seed and number of ``phantoms:SEED:COUNT``."""
    match = PHANTOMS.fullmatch(data)
    if not match:
        raise InvalidInputError(f"The experiment runs on phantoms:SEED:COUNT, like phantoms:2021:472; got {data!r}.")
    return int(match[1]), int(match[2])


class Patients:
    """Phantoms by number; each is rendered when it is needed and not prepared yet.

    Args:
        seed: of the cohort.
        choices: phantom parameters to fix.
        recipe: size, spacing and window of the 8-bit slices.
        cache: folder for them.
        reader_marks: whether extractors learn from a reader's marks, which may be a slice off, or from the truth.
    """

    def __init__(
        self, seed: int, choices: Mapping[str, Any], recipe: PaperRecipe, cache: Path, reader_marks: bool = True
    ) -> None:
        self.seed, self.choices, self.recipe, self.cache = seed, dict(choices), recipe, cache
        self.reader_marks = reader_marks
        self.phantom = registry.phantom("thorax")
        self._code = code_hash(Path(inspect.getfile(type(self.phantom))).parent)
        self._last: tuple[int, Case] | None = None

    def name(self, index: int) -> str:
        """Of a case."""
        return f"{self.phantom.name}-{self.seed}-{index:05d}"

    def key(self, index: int) -> str:
        """Digest of everything that the case's 8-bit slices follow from."""
        text = f"{self._parameters(index)}{json.dumps(self.recipe.input_settings())}{self._code}{FORMAT}"
        return hashlib.sha256(text.encode()).hexdigest()[:24]

    def case(self, index: int) -> Case:
        """The rendered case; the last one is kept."""
        if self._last is None or self._last[0] != index:
            drawn = self._drawn(index)
            self._last = (index, self.phantom.render(drawn, Context()))
        return self._last[1]

    def truth(self, index: int) -> dict[str, Any]:
        """Levels in RAS mm by marker, and ``pathology``."""
        stored = self._stored(index)
        return {**json.loads(str(stored["levels_mm"])), "pathology": str(stored["pathology"])}

    def prepared(self, index: int) -> PaperCase:
        """The case as the extractors see it."""
        stored = self._stored(index)
        levels = json.loads(str(stored["levels_mm"]))
        read = json.loads(str(stored["read"])) if self.reader_marks else {}
        return PaperCase(self.name(index), stored["images"], stored["z_mm"], levels, read)

    def _stored(self, index: int) -> dict[str, np.ndarray]:
        path = self.cache / f"slices-{self.key(index)}.npz"
        if not path.is_file():
            self._prepare(index, path)
        with np.load(path, allow_pickle=False) as content:
            return dict(content)

    def _prepare(self, index: int, path: Path) -> None:
        case = self.case(index)
        levels = {marker: float(case.truth[f"{marker}_mm"]) for marker in MARKERS}  # type: ignore[arg-type]
        made = paper_case(self.name(index), case.volumes["ct"], levels, self.recipe)
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path, overwrite=True) as aside, aside.open("wb") as file:
            np.savez_compressed(
                file, images=made.images, z_mm=made.z_mm, levels_mm=np.array(json.dumps(levels)),
                pathology=np.array(str(case.truth.get("pathology") or "none")),
                read=np.array(json.dumps(read_slices(made, case))),
            )  # fmt: skip
        logger.info("prepared %s (%d slices)", made.name, len(made.images))

    def _drawn(self, index: int) -> Any:
        try:
            return self.phantom.sample_parameters(case_rng(self.seed, index), **self.choices)
        except TypeError as error:
            raise InvalidInputError(f"The phantom {self.phantom.name} cannot be drawn so: {error}.") from error

    def _parameters(self, index: int) -> str:
        return self.phantom.to_json(self._drawn(index))


def read_slices(made: PaperCase, case: Case) -> dict[str, int]:
    """The slices that a phantom's reader marked where they differ from the true ones, on the prepared stack."""
    spacing = float(case.volumes["ct"].spacing_mm[2])
    step = float(made.z_mm[1] - made.z_mm[0]) if len(made.z_mm) > 1 else spacing
    marked = {}
    for marker in MARKERS:
        truth, true, read = made.truth[marker], *(case.truth.get(f"{kind}{marker}_slice") for kind in ("", "read_"))
        if truth is None or true is None or read is None or int(true) == int(read):
            continue
        off = round((int(read) - int(true)) * spacing / step)
        marked[marker] = int(np.clip(truth + off, 0, len(made.z_mm) - 1))
    return marked


SCENES: dict[str, str] = {
    "no apex": "the image ends below the apex",
    "no diaphragm": "the image begins above the diaphragm's marker",
    "neck and upper chest": "the image begins above the carina",
    "lower chest and abdomen": "the image ends below the carina",
}
"""How stacks are truncated to ask whether a missing marker is noticed."""


def truncations(z_mm: np.ndarray, levels_mm: Mapping[str, float], rng: np.random.Generator) -> dict[str, Range]:
    """Lowest and highest position that each scene of :data:`SCENES` keeps; scenes of fewer than 8 slices are left out.

    Args:
        z_mm: ``(n,)`` positions of the whole stack.
        levels_mm: the markers' true levels.
        rng: draws how far beyond the end the missing marker lies.
    """
    beyond = rng.uniform(CLOSE_MM, FAR_MM, len(SCENES))
    low, high = float(z_mm[0]), float(z_mm[-1])
    ranges = (
        (low, levels_mm["apex"] - beyond[0]),
        (levels_mm["diaphragm"] + beyond[1], high),
        (levels_mm["carina"] + beyond[2], high),
        (low, levels_mm["carina"] - beyond[3]),
    )
    return {
        scene: kept
        for scene, kept in zip(SCENES, ranges, strict=True)
        if np.count_nonzero((z_mm >= kept[0]) & (z_mm <= kept[1])) >= FEWEST
    }


def absent_side(level_mm: float, kept: Range, half_mm: float) -> str:
    """``above`` or ``below`` where a level is not in the kept range, else empty."""
    if level_mm > kept[1] + half_mm:
        return "above"
    return "below" if level_mm < kept[0] - half_mm else ""


def beyond_mm(level_mm: float, kept: Range) -> float:
    """How far a level lies outside the kept range; 0 within it."""
    return max(level_mm - kept[1], kept[0] - level_mm, 0.0)


def half_mm(z_mm: np.ndarray) -> float:
    """Half the distance of slices: how far beyond its middle the outermost one reaches."""
    return float(z_mm[-1] - z_mm[0]) / max(len(z_mm) - 1, 1) / 2
