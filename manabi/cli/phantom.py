"""``manabi phantom``: a simulated cohort on disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from manabi import registry
from manabi.cli import console, interrupt
from manabi.context import Context
from manabi.errors import InvalidInputError
from manabi.phantoms.cohort import parse_choices, write_cohort


def phantom(name: str, output: Path, count: int, seed: int, settings: Sequence[str], device: str) -> None:
    """Write cases 0 to ``count - 1`` and their table; complete cases that are there already are kept."""
    simulator = registry.phantom(name)
    choices = parse_choices(settings)
    context = Context(device=device, seed=seed)
    with console.progress(f"Phantom {name}") as context.on_progress:
        table = interrupt.in_thread(
            lambda: write_cohort(simulator, output, count, seed, choices, context), context.cancel
        )
    console.line(f"{count} cases (simulated): {table}")


def refuse_pairs_options(name: str, **options: object) -> None:
    """Raise InvalidInputError where a phantom is asked for with options that only ``nodule-pairs`` has."""
    given = [f"--{option}" for option, value in options.items() if value is not None]
    if given:
        raise InvalidInputError(
            f"{', '.join(given)} belongs to: manabi phantom nodule-pairs. The phantom {name} takes --set KEY=VALUE."
        )
