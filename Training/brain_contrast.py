"""Training a missing contrast: ``python -m Training brain_contrast --data COHORT --output DIR``.

COHORT is a CSV with the columns case, input, target (two contrasts of a patient on one grid, any pair), or
``phantoms:SEED:COUNT``: simulated heads in heavy T2 and as angiogram, the pair of Sugino (report of KAKENHI 20K20216,
section 4.2). The network is Pix2Pix (:mod:`Training.brain_pix2pix`). The output holds the run and the bundle.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from manabi import phantoms, registry
from manabi.brain.contrast import Settings, neighbours, work_image
from manabi.io import write_volume
from manabi.io.atomic import atomic_folder
from manabi.phantoms.base import case_rng
from Training.brain_contrast_bundle import export, measure
from Training.brain_pix2pix import Pair, Pix2PixRecipe, Pix2PixTask
from Training.cohort import PHANTOMS, Cohort, CohortCase, check_cohort, open_cohort, split_cases
from Training.config import TrainConfig, read_sections
from Training.engine import fit
from Training.phantom_cache import code_hash
from Training.slices_data import spread

logger = logging.getLogger(__name__)

SOURCE, TARGET = "heavy_t2", "tof"
"""The phantom's contrasts: cisternography and angiography."""
SPOTS = 20_000
"""Bright voxels per case that crops are placed at, at most; bounds the memory."""


@dataclass(frozen=True)
class ContrastRecipe(Pix2PixRecipe):
    """What is learned, besides the engine's settings; small enough for a processor with two cores (our choice)."""

    filters: str = field(default="16-32-64-128", metadata={"help": "channels per level of the generator"})
    judge_filters: str = field(default="16-32-64", metadata={"help": "of the judge; three see 34×34 pixels"})
    bright: float = field(
        default=0.5, metadata={"low": 0.0, "high": 1.0, "help": "of the target's range; vessels of an angiogram"}
    )
    bright_share: float = field(
        default=0.75, metadata={"low": 0.0, "high": 1.0, "help": "of the crops that are placed at a bright voxel"}
    )
    bright_weight: float = field(
        default=20.0, metadata={"low": 1.0, "help": "of L1 where the target is bright; 1 is the source's plain L1"}
    )
    pixel_mm: float = field(
        default=0.8, metadata={"low": 0.2, "high": 5.0, "help": "pixel size of the network; of phantoms the voxel's"}
    )
    samples: int = field(default=8, metadata={"low": 1, "help": "passes with dropout whose mean is the image"})
    voids: bool = field(default=True, metadata={"help": "what is sought shows only as a void in fluid (heavy T2)"})
    made: str = field(default="synthetic_mra", metadata={"help": "name of the result; begins with synthetic"})
    parts: str = field(default="22/2/8", metadata={"help": "training/validation/test patients"})
    split_seed: int = 0
    name: str = field(default="brain-contrast-site", metadata={"help": "name of the bundle"})
    version: str = "1.0.0"

    def __post_init__(self) -> None:
        """Check every field, and what a type cannot say."""
        super().__post_init__()
        self.synthesis()

    def network_arguments(self) -> dict[str, Any]:
        """For ``manabi.networks.build("pix2pix_generator", ...)``; the network of :meth:`generator`."""
        return {
            "filters": [int(n) for n in self.filters.split("-")], "dropout": self.dropout,
            "in_channels": self.context, "output_activation": "sigmoid", "norm": "instance",
        }  # fmt: skip

    def synthesis(self) -> Settings:
        """How the method applies the network."""
        return Settings(self.made, self.context, self.samples, self.pixel_mm, voids=self.voids)


class ContrastTask(Pix2PixTask):
    """Pix2Pix whose crops favour what is bright in the target; see :class:`ContrastRecipe`.

    Vessels are some thousandths of an angiogram: crops placed anywhere would hardly show them (our choice).

    Args:
        recipe: what is learned.
        training: pairs to learn from.
        validation: pairs that choose the best epoch.
        data_hash: digest of the data.
    """

    def __init__(
        self, recipe: ContrastRecipe, training: Sequence[Pair], validation: Sequence[Pair], data_hash: str = ""
    ) -> None:
        super().__init__(recipe, training, validation, data_hash)
        self.bright_share, self.bright, self.bright_weight = recipe.bright_share, recipe.bright, recipe.bright_weight
        self.spots = [_spots(pair.target, slices, recipe.bright) for pair, slices in self.training]

    def difference(self, image: Tensor, target: Tensor) -> Tensor:
        """Weighted mean of the absolute difference.

        Plain L1 is least for the median, which is dark wherever vessels are rare: the first network that was trained
        with it found none (our choice).
        """
        weight = 1 + (self.bright_weight - 1) * (target >= self.bright)
        return (weight * (image - target).abs()).sum() / weight.sum()

    def train_item(self, index: int, rng: np.random.Generator) -> Any:
        """A crop around a bright voxel or any other: ``(context, crop, crop)`` and ``(1, crop, crop)``."""
        number, side = index % len(self.training), self.recipe.crop
        pair = self.training[number][0]
        middle, *centre = self._place(number, rng)
        low = [
            int(np.clip(c - rng.integers(side), 0, max(n - side, 0)))
            for c, n in zip(centre, pair.target.shape[1:], strict=True)
        ]
        window = tuple(slice(start, start + side) for start in low)
        stack = neighbours(pair.source, [middle], self.recipe.context)[0][(slice(None), *window)]
        target = pair.target[(slice(middle, middle + 1), *window)]
        wide = [(0, 0), *((0, side - n) for n in target.shape[1:])]
        stack, target = np.pad(stack, wide), np.pad(target, wide)
        if self.recipe.mirror and rng.random() < 0.5:
            stack, target = stack[..., ::-1], target[..., ::-1]
        return torch.from_numpy(stack.astype(np.float32)), torch.from_numpy(target.astype(np.float32))

    def _place(self, number: int, rng: np.random.Generator) -> list[int]:
        """Slice, row and column that the crop shall show."""
        spots = self.spots[number]
        if len(spots) and rng.random() < self.bright_share:
            return [int(v) for v in spots[int(rng.integers(len(spots)))]]
        pair, slices = self.training[number]
        return [int(rng.choice(slices)), *(int(rng.integers(n)) for n in pair.target.shape[1:])]


def _spots(target: np.ndarray, slices: np.ndarray, bright: float) -> np.ndarray:
    """Bright voxels of these slices, ``(n, 3)``; evenly thinned where there are many."""
    places = np.argwhere(target[slices] >= bright).astype(np.int32)
    places = places[:: max(1, -(-len(places) // SPOTS))]
    places[:, 0] = slices[places[:, 0]]
    return places


# --- data -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class HeadJob:
    """A phantom to render, as JSON, and the folder of its images; sent to a process."""

    parameters: str
    folder: Path


def open_pairs(data: str, recipe: ContrastRecipe, cache: Path) -> Cohort:
    """The cohort of a CSV or of ``phantoms:SEED:COUNT``, rendered where it is not in the cache; split by patient.

    Raises:
        InvalidInputError: for another text, or a table as :func:`Training.cohort.open_cohort` refuses it.
        GeometryError: when the two images of a case do not lie on one grid.
    """
    match = PHANTOMS.fullmatch(data)
    if not match:
        return open_cohort(data, cache, seed=recipe.split_seed, parts=recipe.parts)
    cases = rendered_heads(int(match[1]), int(match[2]), recipe.pixel_mm, cache)
    return check_cohort(split_cases(cases, recipe.parts, recipe.split_seed))


def rendered_heads(
    seed: int, count: int, voxel_mm: float, cache: Path, processes: int | None = None
) -> list[CohortCase]:
    """Simulated heads in both contrasts, each rendered once and kept as files.

    The parametric head is taken, in the slab around the circle of Willis that both contrasts are usually taken of: it
    holds the cisterns, where heavy T2 shows vessels, and brain, where it does not.

    Args:
        seed: of the cohort; head i is drawn with ``case_rng(seed, i)``.
        count: number of heads.
        voxel_mm: side of the voxels.
        cache: folder of the images.
        processes: how many render at once; by default one per core.
    """
    phantom = registry.phantom("brain")
    choices = {"contrasts": (SOURCE, TARGET), "anatomy": "parametric", "voxel_mm": voxel_mm}
    code = code_hash(Path(phantoms.__file__).parent)
    jobs = []
    for index in range(count):
        text = phantom.to_json(phantom.sample_parameters(case_rng(seed, index), **choices))
        key = hashlib.sha256(f"{text}{code}".encode()).hexdigest()[:24]
        jobs.append(HeadJob(text, cache / f"head-{key}"))
    missing = [job for job in jobs if not (job.folder / f"{TARGET}.nii").is_file()]
    logger.info("rendering %d of %d heads", len(missing), count)
    spread(render_head, missing, processes)
    return [
        CohortCase(
            f"brain-{seed}-{index:05d}", f"brain-{seed}-{index:05d}",
            files={"input": job.folder / f"{SOURCE}.nii", "target": job.folder / f"{TARGET}.nii"},
        )
        for index, job in enumerate(jobs)
    ]  # fmt: skip


def render_head(job: HeadJob) -> None:
    """Render one head and write its images; the folder appears whole or not at all."""
    phantom = registry.phantom("brain")
    case = phantom.render(phantom.from_json(job.parameters))
    with atomic_folder(job.folder, overwrite=True) as aside:
        for name in (SOURCE, TARGET):
            write_volume(case.volumes[name], aside / f"{name}.nii")


def pair_of(case: CohortCase, settings: Settings) -> Pair:
    """Both contrasts as the method prepares them, in half precision, which is finer than their noise."""
    volumes = case.load().volumes
    source, target = (
        np.asarray(work_image(volumes[column], settings).array, np.float16) for column in ("input", "target")
    )
    return Pair(source, target)


# --- the recipe -------------------------------------------------------------------------------------------------------


def train(
    data: str,
    output: Path,
    config_path: str | Path | None,
    overrides: Sequence[str],
    resume: bool = True,
    cache: Path | None = None,
) -> Mapping[str, Any]:
    """The recipe as the command line calls it; returns a JSON summary."""
    sections = read_sections(config_path, overrides, {"training": TrainConfig, "recipe": ContrastRecipe})
    config, recipe = sections["training"], sections["recipe"]
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    cohort = open_pairs(data, recipe, cache or output / "cache")
    for warning in cohort.warnings:
        logger.warning(warning)
    cohort.write_splits(output / "splits.json")
    settings = recipe.synthesis()
    training, validation = (
        [pair_of(case, settings) for case in cohort.split(name)] for name in ("training", "validation")
    )
    result = fit(ContrastTask(recipe, training, validation, cohort.data_hash), config, output, resume=resume)
    generator = result.model.get_submodule("generator").eval()
    measured = measure(generator, recipe, cohort, config.device)
    bundle = export(output / "bundle", recipe, config, result, cohort, measured, data)
    return {
        "bundle": str(bundle.folder), "best_epoch": result.best_epoch, "metrics": bundle.metrics,
        "duration_s": round(result.duration_s, 1),
    }  # fmt: skip
