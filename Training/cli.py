"""``python -m Training METHOD ...`` and ``python -m Training experiment METHOD ...``.

Adding a method's training is adding a line to :data:`RECIPES`; nothing is imported until it is used. Exit codes are
those of ``manabi``: 0 done, 2 bad input or usage, 3 model trouble, 4 out of resources, 130 stopped (and resumable).
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from manabi.errors import InvalidInputError, ManabiError

RECIPES = {
    "spect": "Training.spect:train",
    "slices": "Training.slices:train",
    "brain": "Training.brain:train",
    "brain_contrast": "Training.brain_contrast:train",
    "radiomics": "Training.radiomics:train",
    "pelvis": "Training.pelvis:train",
    "mvct": "Training.mvct:train",
    "nodule": "Training.nodule:train",
    "nodule_flow": "Training.nodule_flow:train",
}
"""Method to ``train(data, output, config_path, overrides, resume, cache) -> mapping`` (a JSON summary)."""

EXPERIMENTS = {
    "spect": "Training.experiments.spect:run",
    "slices": "Training.experiments.slices:run",
    "brain": "Training.experiments.brain:run",
    "pelvis": "Training.experiments.pelvis:run",
    "mvct": "Training.experiments.mvct:run",
    "nodule": "Training.experiments.nodule:run",
    "radiomics": "Training.experiments.survival:run",
    "survival": "Training.experiments.survival:run",
    "grade": "Training.experiments.grade:run",
}
"""Method to ``run(output, size, overrides, resume, cache) -> mapping`` (a JSON summary)."""

app = typer.Typer(
    help="Train a method on a cohort of your own or of phantoms, or repeat the experiment of its source.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
experiment_app = typer.Typer(help="Repeat a source study: its tables, with ours beside them.", no_args_is_help=True)
app.add_typer(experiment_app, name="experiment")

Output = Annotated[Path, typer.Option("--output", help="Folder for what is made; a run found there goes on.")]
Config = Annotated[str | None, typer.Option("--config", help="JSON file, or the name of a shipped configuration.")]
Data = Annotated[str, typer.Option("--data", help="CSV of cases (see Training.cohort), or phantoms:SEED:COUNT.")]
Resume = Annotated[bool, typer.Option("--resume/--fresh", help="Go on with the run in the folder, or start anew.")]
Set = Annotated[list[str] | None, typer.Option("--set", help="A setting, key=value; may be repeated.")]
Device = Annotated[str | None, typer.Option("--device", help="auto, cpu, cuda, cuda:N or mps.")]
Cache = Annotated[Path | None, typer.Option("--cache", help="Folder for rendered phantoms; by default OUTPUT/cache.")]
Size = Annotated[Literal["quick", "full"], typer.Option("--size", help="A smoke run, or the study's own numbers.")]


def load(registry: Mapping[str, str], name: str) -> Callable[..., Mapping[str, Any] | None]:
    """What a line of :data:`RECIPES` or :data:`EXPERIMENTS` names; raises InvalidInputError for an unknown name."""
    if name not in registry:
        raise InvalidInputError(f"Unknown method {name!r}. Known: {', '.join(registry)}.")
    module, _, attribute = registry[name].partition(":")
    return getattr(import_module(module), attribute)


def main() -> None:
    """The process: parse the command line, run, end with the status."""
    app()


@contextmanager
def _process_edge() -> Iterator[None]:
    """Log to standard error while it lasts; turn errors into a message and an exit status."""
    from manabi.failure import exit_code_of
    from manabi.log import REDACTOR

    screen = logging.StreamHandler(sys.stderr)
    screen.setFormatter(REDACTOR)
    logger = logging.getLogger("Training")
    handlers, propagate, level = logger.handlers, logger.propagate, logger.level
    logger.handlers, logger.propagate = [screen], False
    logger.setLevel(logging.INFO if _is_first_process() else logging.WARNING)
    try:
        yield
    except (ManabiError, KeyboardInterrupt, MemoryError, OSError) as error:
        typer.echo(f"Error: {error or type(error).__name__}", err=True)
        raise typer.Exit(exit_code_of(error)) from error
    finally:
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)


def _is_first_process() -> bool:
    """Whether this is the first of the processes of torchrun (RANK) or of Fabric (LOCAL_RANK)."""
    return os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0")) == "0"


def _print(summary: Mapping[str, Any] | None) -> None:
    """One JSON object on standard output, from the first process."""
    if summary and _is_first_process():
        typer.echo(json.dumps(summary, indent=1, default=str))


def _settings(assignments: list[str] | None, device: str | None) -> list[str]:
    """``--set`` and ``--device`` together, as :func:`Training.config.read_sections` takes them."""
    return [*(assignments or []), *([f"training.device={device}"] if device else [])]


def _add_recipe(name: str) -> None:
    def train(
        data: Data,
        output: Output,
        config: Config = None,
        resume: Resume = True,
        assignments: Set = None,
        device: Device = None,
        cache: Cache = None,
    ) -> None:
        with _process_edge():
            place, settings = cache or output / "cache", _settings(assignments, device)
            _print(load(RECIPES, name)(data, output, config or name, settings, resume=resume, cache=place))

    app.command(name, help=f"Train {name}: checkpoints, metrics and a bundle in OUTPUT.")(train)


def _add_experiment(name: str) -> None:
    def experiment(
        output: Output,
        size: Size = "quick",
        resume: Resume = True,
        assignments: Set = None,
        device: Device = None,
        cache: Cache = None,
    ) -> None:
        with _process_edge():
            place, settings = cache or output / "cache", _settings(assignments, device)
            _print(load(EXPERIMENTS, name)(output, size, settings, resume=resume, cache=place))

    experiment_app.command(name, help=f"The experiment of {name}'s source.")(experiment)


@app.callback()
def _app() -> None:
    """Keep the method a word of its own even while there is only one."""


@experiment_app.callback()
def _experiment() -> None:
    """As above."""


for _name in RECIPES:
    _add_recipe(_name)
for _name in EXPERIMENTS:
    _add_experiment(_name)
