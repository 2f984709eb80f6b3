"""``manabi phantom nodule-pairs``: pairs of films without and with simulated nodules, for training."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from manabi.cli import console, interrupt
from manabi.context import Context
from manabi.errors import InvalidInputError
from manabi.phantoms.cohort import parse_choices

if TYPE_CHECKING:
    from manabi.nodule.pairs_recipe import PairRecipe


def nodule_pairs(
    output: Path,
    count: int,
    seed: int = 0,
    size: int = 256,
    flow: str | None = None,
    chests: int | None = None,
    films: Path | None = None,
    workers: int = 1,
    settings: Sequence[str] = (),
    device: str = "auto",
) -> None:
    """Write pairs 0 to ``count - 1``; those that are there already are kept.

    Args:
        output: folder of the pairs.
        count: number of pairs.
        seed: everything random follows from it.
        size: rows and columns of the films.
        flow: bundle of a flow that blends the nodules in.
        chests: number of simulated chests that the films are made from.
        films: folder of real normal films, or a CSV with the columns film and patient.
        workers: processes side by side.
        settings: ``key=value`` of :class:`manabi.nodule.pairs_recipe.PairRecipe`, as ``domain=held_out``.
        device: where films are worked out.

    Raises:
        InvalidInputError: for what cannot be made.
    """
    from manabi.device import choose_device
    from manabi.nodule.pairs_store import write_pairs

    chosen = choose_device(device).device
    context = Context(device=chosen, seed=seed)
    recipe = _recipe(size, settings)
    with console.progress("Pairs of films") as context.on_progress:
        store = interrupt.in_thread(
            lambda: write_pairs(
                output, count, seed=seed, recipe=recipe, flow=flow, chests=chests, films=films, workers=workers,
                device=chosen, context=context,
            ),
            context.cancel,
        )  # fmt: skip
    console.warnings(context.warnings)
    console.line(f"{len(store)} pairs of films (synthetic: not for diagnosis): {output}")


def _recipe(size: int, settings: Sequence[str]) -> PairRecipe:
    """The recipe that ``key=value`` texts ask for; raises InvalidInputError for an unknown key."""
    from manabi.nodule.pairs_recipe import PairRecipe

    choices = parse_choices(settings)
    known = [field.name for field in dataclasses.fields(PairRecipe) if field.name not in ("ranges", "size")]
    unknown = sorted(set(choices) - set(known))
    if unknown:
        raise InvalidInputError(f"Pairs have no setting {', '.join(unknown)}. Known: {', '.join(known)}.")
    return PairRecipe.from_dict({"size": size, **choices})
