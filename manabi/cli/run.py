"""``manabi run``: read, run, write, tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from manabi import log, registry
from manabi.cli import console, interrupt
from manabi.cli.outcome import print_json
from manabi.context import Context, Precision
from manabi.errors import InvalidInputError
from manabi.io import read_volume
from manabi.io.atomic import check_place
from manabi.io.results import ImageFormat, to_json, write_result
from manabi.method import Method
from manabi.parameters import Parameters
from manabi.result import Result
from manabi.volume import Volume


@dataclass(frozen=True)
class Request:
    """The arguments of ``manabi run``, as given."""

    method: str
    inputs: Sequence[str]
    output: Path
    bundle: str | None
    device: str
    settings: Sequence[str]
    image_format: ImageFormat
    series: Sequence[str]
    seed: int
    precision: Precision
    memory_limit_mb: float | None
    overwrite: bool
    as_json: bool


def run(request: Request) -> None:
    """Run a method on files; raises ManabiError, and leaves nothing then."""
    with log.reserved_stdout(request.as_json):
        outputs, result = _run(request)
    if request.as_json:
        print_json(outputs)
    else:
        show(result, request.output)


def _run(request: Request) -> tuple[dict[str, Any], Result]:
    method = registry.method(request.method)
    check_output(request.output, request.overwrite)
    parameters = method.parameters_type.parse(list(request.settings))
    paths = named(method, request.inputs, "input")
    log.hide_paths(paths.values())
    context = Context(
        device=request.device, precision=request.precision, seed=request.seed, bundle=request.bundle,
        memory_limit_mb=request.memory_limit_mb,
    )  # fmt: skip
    inputs = read_inputs(paths, named(method, request.series, "series"))
    result = run_shown(method, inputs, parameters, context)
    files = write_result(
        result, request.output, image_format=request.image_format, method=method, inputs=inputs,
        overwrite=request.overwrite,
    )  # fmt: skip
    return to_json(result, files), result


def run_shown(
    method: Method[Any], inputs: Mapping[str, Volume], parameters: Parameters | None, context: Context
) -> Result:
    """Run a method under a progress bar, with Ctrl-C cancelling it."""
    with console.progress(method.title) as context.on_progress:
        return interrupt.in_thread(lambda: method.run(inputs, parameters, context), context.cancel)


def check_output(folder: Path, overwrite: bool) -> None:
    """Refuse a folder that cannot take the results, before any work is done.

    Raises:
        InvalidInputError: where it is a file, cannot be made, or has files in it and ``overwrite`` is not set.
    """
    check_place(folder)
    if folder.is_dir() and not overwrite and any(folder.iterdir()):
        raise InvalidInputError(f"{folder} has files in it. Name a new folder, or say --overwrite to replace it.")


def named(method: Method[Any], texts: Sequence[str], what: str) -> dict[str, str]:
    """``name=value`` texts by the method's input names; one text without a name is for the first input.

    Raises:
        InvalidInputError: when a name comes twice, or it is not clear which input a text is for.
    """
    names = [spec.name for spec in method.inputs]
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or name not in names:
            name, value = names[0], text
        if name in found:
            form = " ".join(f"{n}=..." for n in names)
            raise InvalidInputError(f"{method.title} takes one {what} for each of: {form}. Got two for {name}.")
        found[name] = value
    return found


def read_inputs(paths: Mapping[str, str], series: Mapping[str, str]) -> dict[str, Volume]:
    """Read every input from its path."""
    unused = sorted(set(series) - set(paths))
    if unused:
        raise InvalidInputError(f"A series was named for {', '.join(unused)}, but no input.")
    for name in series:
        if not Path(paths[name]).is_dir():
            raise InvalidInputError(f"A series is chosen in a DICOM folder; the input {name} is not a folder.")
    return {name: read_volume(Path(path), series=series.get(name), name=name) for name, path in paths.items()}


def show(result: Result, folder: Path) -> None:
    """Print a result's numbers, warnings, model and place."""
    console.measurements(result.measurements)
    console.warnings(result.warnings)
    bundle = result.provenance.get("bundle")
    if bundle:
        console.line(f"Model: {bundle['name']} {bundle['version']}. Trained on: {bundle['trained_on']}")
    console.line(f"Results: {folder}")
