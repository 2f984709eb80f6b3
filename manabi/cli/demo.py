"""``manabi demo``: a method's whole way on a simulated patient, with the truth beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from manabi import log, registry
from manabi.cli import console, interrupt
from manabi.cli.outcome import print_json
from manabi.cli.run import check_output, run_shown, show
from manabi.context import Context
from manabi.errors import InvalidInputError
from manabi.io import atomic_folder
from manabi.io.results import to_json, write_result
from manabi.io.tables import write_json
from manabi.method import Method
from manabi.phantoms.base import Case, Phantom, case_rng
from manabi.phantoms.cohort import write_case
from manabi.result import Result, Table
from manabi.volume import Volume

SIMULATED = "The patient and the images are simulated; the numbers say nothing about real patients."


def demo(
    name: str, output: Path, device: str, settings: Sequence[str], seed: int, overwrite: bool, as_json: bool
) -> None:
    """Simulate a case, run the method on it, compare, write everything into one folder and say where to look."""
    method = registry.method(name)
    check_output(output, overwrite)
    parameters = method.parameters_type.parse(list(settings))
    phantom = registry.phantom(method.phantom)
    drawn = phantom.sample_parameters(case_rng(seed, 0), **phantom.shown)
    with log.reserved_stdout(as_json):
        case = _render(phantom, drawn, Context(device=device, seed=seed))
        inputs, pair = _inputs(method, phantom, drawn, case)
        result = run_shown(method, inputs, parameters, Context(device=device, seed=seed))
        images = method.compare(_compared(case, pair, result)) if pair else {}
        tables = {**images, **method.compare_truth(case.truth, result)}
        with atomic_folder(output, overwrite=overwrite) as aside:
            write_case(case, aside / "phantom", phantom.to_json(drawn))
            write_result(result, aside / "result", method=method, inputs=inputs)
            write_json(tables, aside / "comparison.json")
    if as_json:
        record = {**to_json(result), "outputs": {"folder": str(output)}, "comparison": _records(tables)}
        print_json({**record, "simulated": SIMULATED})
    else:
        _show(result, tables, output)


def _render(phantom: Phantom[Any], drawn: Any, context: Context) -> Case:
    with console.progress(f"Simulating a patient ({phantom.name})") as context.on_progress:
        return interrupt.in_thread(lambda: phantom.render(drawn, context), context.cancel)


def _inputs(
    method: Method[Any], phantom: Phantom[Any], drawn: Any, case: Case
) -> tuple[dict[str, Volume], tuple[str, str] | None]:
    """The case's volumes by the method's input names, and the names of input and reference."""
    if given := method.sample_inputs(case):
        return given, None
    pair = phantom.pair(drawn)
    if pair is not None:
        return {method.inputs[0].name: case.volumes[pair[0]]}, pair
    inputs = {spec.name: case.volumes[spec.name] for spec in method.inputs if spec.name in case.volumes}
    if not inputs and len(case.volumes) == 1:  # a phantom that names its one image by its contrast
        inputs = {method.inputs[0].name: next(iter(case.volumes.values()))}
    if not inputs:
        raise InvalidInputError(f"The phantom {phantom.name} has no input for {method.title}.")
    return inputs, None


def _compared(case: Case, pair: tuple[str, str], result: Result) -> dict[str, Volume]:
    """Input, output and reference, by what a reader calls them."""
    name, volume = next(iter(result.volumes.items()))
    return {pair[0]: case.volumes[pair[0]], name: volume, pair[1]: case.volumes[pair[1]]}


def _records(tables: dict[str, Table]) -> dict[str, Any]:
    return {title: [dict(zip(t.columns, row, strict=True)) for row in t.rows] for title, t in tables.items()}


def _show(result: Result, tables: dict[str, Table], output: Path) -> None:
    if tables:
        for title, found in tables.items():
            console.table(title, found.columns, found.rows)
        console.warnings(result.warnings)
    else:
        show(result, output)
    figures = sorted((output / "result" / "figures").glob("*.png"))
    look = figures[0] if figures else output / "result"
    console.line(f"Look at {look}. {SIMULATED}")
