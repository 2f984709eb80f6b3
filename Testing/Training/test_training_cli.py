"""``python -m Training``: finds recipes, hands settings on, ends with the right status."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from typer.testing import CliRunner

from manabi.errors import CancelledError, CorruptModelError, InvalidInputError
from Training import cli


@pytest.fixture
def recipe(monkeypatch):
    """A recipe that notes what it was called with, behind the name ``spect``."""
    module = ModuleType("toy_recipe")
    module.calls = []
    module.error = None

    def train(data, output, config_path, overrides, *, resume, cache):
        if module.error:
            raise module.error
        module.calls.append((data, output, config_path, overrides, resume, cache))
        return {"best": 0.5, "model": Path("model.pt")}

    def run(output, size, overrides, *, resume, cache):
        module.calls.append((output, size, overrides, resume, cache))

    module.train, module.run = train, run
    monkeypatch.setitem(sys.modules, "toy_recipe", module)
    monkeypatch.setitem(cli.RECIPES, "spect", "toy_recipe:train")
    monkeypatch.setitem(cli.EXPERIMENTS, "spect", "toy_recipe:run")
    return module


def call(*arguments):
    return CliRunner().invoke(cli.app, list(arguments))


def test_settings_reach_the_recipe_and_its_summary_comes_back(recipe):
    done = call(
        "spect", "--data", "phantoms:1:2", "--output", "out", "--set", "lr=1", "--set", "epochs=2", "--device", "cpu",
        "--fresh",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {"best": 0.5, "model": "model.pt"}
    settings = ["lr=1", "epochs=2", "training.device=cpu"]
    assert recipe.calls == [("phantoms:1:2", Path("out"), "spect", settings, False, Path("out/cache"))]


def test_an_experiment_has_a_size_and_resumes(recipe):
    assert call("experiment", "spect", "--output", "o", "--size", "full", "--cache", "c").exit_code == 0
    assert recipe.calls == [(Path("o"), "full", [], True, Path("c"))]
    assert call("experiment", "spect", "--output", "o", "--size", "huge").exit_code == 2


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidInputError("the message"), 2),
        (CorruptModelError("the message"), 3),
        (MemoryError("the message"), 4),
        (CancelledError("the message"), 130),
        (KeyboardInterrupt("the message"), 130),
    ],
    ids=lambda value: getattr(type(value), "__name__", value),
)
def test_errors_end_with_their_status_and_message(recipe, error, code):
    recipe.error = error
    done = call("spect", "--data", "x", "--output", "o")
    assert done.exit_code == code and "the message" in done.stderr and not done.stdout


def test_a_run_leaves_the_log_to_others_as_it_was(recipe):
    log = logging.getLogger("Training")
    before = list(log.handlers), log.propagate, log.level
    call("spect", "--data", "phantoms:1:2", "--output", "out")
    recipe.error = InvalidInputError("no")
    call("spect", "--data", "phantoms:1:2", "--output", "out")
    assert (list(log.handlers), log.propagate, log.level) == before and log.propagate


def test_only_the_first_process_prints(recipe, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    assert call("spect", "--data", "x", "--output", "o").stdout == ""


def test_an_unknown_method_is_refused():
    assert call("nothing", "--output", "o").exit_code == 2
    with pytest.raises(InvalidInputError, match="Known: spect"):
        cli.load(cli.RECIPES, "nothing")


def test_help_imports_nothing_heavy():
    code = (
        "import sys; sys.argv = ['Training', '--help']\n"
        "from Training.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'numpy', 'SimpleITK', 'monai', 'lightning_fabric'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
    assert "spect" in done.stdout and "experiment" in done.stdout
