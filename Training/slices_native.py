"""How tracking of airway and lungs errs, counted for a bundle on phantoms read slice by slice as a run reads them.

Training counts it on planes every 2 mm, which it has at hand. Here the tracking sees the images' own slices and pixels.
How often it is wrong about markers beyond the image stays as training counted it, and so does the rest of the bundle.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from manabi.bundle import CARD, Bundle
from manabi.errors import InvalidInputError
from manabi.io.atomic import atomic_file
from manabi.slices.decode import Decoder
from manabi.slices.evidence import count_habits
from manabi.slices.reading import MARKERS
from manabi.slices.rules import find_by_rules
from manabi.slices.stack import AxialStack
from manabi.store import BundleStore
from manabi.store.layout import write_bundle
from Training.slices_data import draw_phantom, spread

SCORES = "## Scores on"


@dataclass(frozen=True)
class Cohort:
    """Phantoms of one seed.

    Attributes:
        seed: of the cohort.
        count: of phantoms.
        choices: phantom parameters to fix.
    """

    seed: int
    count: int
    choices: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        """As the card names it."""
        fixed = "".join(f", {key}={value}" for key, value in self.choices)
        return f"phantoms:{self.seed}:{self.count}{fixed}"


@dataclass(frozen=True)
class Tracked:
    """What tracking said of one image.

    Attributes:
        truth_mm: the three levels.
        said_mm: :attr:`manabi.slices.rules.RuleReading.said_mm`.
        step_mm: distance of the slices.
    """

    truth_mm: tuple[float, ...]
    said_mm: tuple[float, ...]
    step_mm: float

    @classmethod
    def of(cls, stack: AxialStack, truth_mm: Sequence[float]) -> Tracked:
        """Track airway and lungs of an image whose levels are known."""
        return cls(tuple(truth_mm), find_by_rules(stack).said_mm, stack.spacing_mm)


@dataclass(frozen=True)
class TrackJob:
    """One phantom to track; sent to a process."""

    seed: int
    index: int
    choices: tuple[tuple[str, Any], ...]
    path: Path


def track_phantom(job: TrackJob) -> None:
    """Render one phantom, track it, and write what was said."""
    case = draw_phantom(job.seed, job.index, dict(job.choices))
    truth = [float(case.truth[f"{marker}_mm"]) for marker in MARKERS]  # type: ignore[arg-type]
    save_tracked(Tracked.of(AxialStack.of(case.volumes["ct"]), truth), job.path)


def save_tracked(tracked: Tracked, path: Path) -> None:
    """Write one image's positions; the file appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path, overwrite=True) as aside:
        aside.write_text(json.dumps(vars(tracked)), encoding="utf-8")


def load_tracked(path: Path) -> Tracked:
    """Read what :func:`save_tracked` wrote."""
    values = json.loads(path.read_text(encoding="utf-8"))
    return Tracked(tuple(values["truth_mm"]), tuple(values["said_mm"]), float(values["step_mm"]))


def recount(name: str, cohort: Cohort, folder: Path, cache: Path, version: str, processes: int = 1) -> Bundle:
    """Write a bundle anew with the habits of the tracking counted on images' own slices.

    Args:
        name: of the bundle, or its path.
        cohort: phantoms to count on.
        folder: for the new bundle.
        cache: for what was said of the phantoms; made anew after the rules were changed.
        version: of the new bundle.
        processes: how many read at once.

    Raises:
        InvalidInputError: where the bundle learned phantoms of this seed.
    """
    bundle = BundleStore().get(name, method="slices")
    if f"phantoms:{cohort.seed}:" in bundle.trained_on:
        raise InvalidInputError(f"The bundle learned phantoms of the seed {cohort.seed}. Choose another seed.")
    jobs = [
        TrackJob(cohort.seed, n, cohort.choices, cache / f"{cohort.seed}-{n:05d}.json") for n in range(cohort.count)
    ]
    spread(track_phantom, [job for job in jobs if not job.path.exists()], processes)
    read = [load_tracked(job.path) for job in jobs]
    return _written(bundle, folder, version, with_habits(Decoder.of(bundle.facts["slices"]["decoder"]), read), cohort)


def with_habits(decoder: Decoder, read: Sequence[Tracked]) -> Decoder:
    """The decoder with shifts and spreads of the tracking counted on whole images."""
    counted = count_habits([r.truth_mm for r in read], [r.said_mm for r in read], [r.step_mm for r in read])
    kept = decoder.habits
    return replace(decoder, habits=replace(counted, missed=kept.missed, false=kept.false))


def _written(bundle: Bundle, folder: Path, version: str, decoder: Decoder, cohort: Cohort) -> Bundle:
    """The bundle with another decoder, and a card that says so."""
    section, top = bundle.metadata["manabi"], bundle.metadata
    note = f"shift and spread of the tracking of airway and lungs counted at images' own slices ({cohort})"
    kept = {key: value for key, value in section.items() if key not in ("method", "network", "weights_sha256")}
    kept |= {key: top[key] for key in ("task", "description", "intended_use", "authors", "copyright", "references")}
    kept |= {
        "slices": {**section["slices"], "decoder": decoder.facts()},
        "changelog": {**top["changelog"], version: note},
    }
    card = (bundle.folder / CARD).read_text(encoding="utf-8")
    return write_bundle(
        folder, name=bundle.name, version=version, method="slices", network=bundle.network,
        state_dict=bundle.build_network().state_dict(), card=_card(card, bundle.version, version, note),
        metadata_extra=kept, replace=True,
    )  # fmt: skip


def _card(card: str, before: str, version: str, note: str) -> str:
    """The model card with another version, how it differs, and of which version the scores are."""
    head, _, rest = card.partition(SCORES)
    title, *lines = head.rstrip().splitlines()
    said = [f"- Version {version}: {note}; all else is that of {before}."]
    if "of version" not in rest.partition("\n")[0]:
        rest = rest.replace("test patients (", f"test patients, of version {before} (", 1)
    return "\n".join([f"{title.rsplit(' ', 1)[0]} {version}", *lines, *said, "", SCORES + rest])
