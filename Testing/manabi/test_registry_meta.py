"""What a registered method must have besides its code, and what every file of the project must have."""

from __future__ import annotations

import ast
import inspect
from dataclasses import MISSING, fields
from pathlib import Path

import pytest
from fixtures_laws import Sample

import Training.cli
from manabi import registry
from manabi.method import Method
from manabi.parameters import Parameters
from manabi.phantoms.base import Phantom, case_rng
from manabi.store import BundleStore

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(path.parent.name for path in ROOT.glob("*/*.py") if path.stem == path.parent.name)
"""Slicer modules: a folder with a file of its name."""
SOURCES = sorted(
    path for package in ("manabi", "Training", "manabi_slicer", *MODULES) for path in (ROOT / package).rglob("*.py")
)
TESTS = sorted((ROOT / "Testing").rglob("test_*.py"))
MAX_BUNDLE_MB = 12.0

methods = pytest.mark.parametrize("entry", registry.METHODS.values(), ids=list(registry.METHODS))
phantoms = pytest.mark.parametrize("entry", registry.PHANTOMS.values(), ids=list(registry.PHANTOMS))


def shown(path):
    return str(path.relative_to(ROOT))


# --- every method -----------------------------------------------------------------------------------------------------


@methods
def test_a_method_describes_itself(entry):
    method = entry.load()
    assert issubclass(method, Method)
    assert (method.name, method.title, method.summary) == (entry.name, entry.title, entry.summary)
    assert "10." in method.source or "KAKENHI" in method.source
    assert issubclass(method.parameters_type, Parameters)
    for spec in method.inputs:
        assert spec.description and spec.modalities


@methods
def test_every_parameter_has_a_default_and_is_explained(entry):
    for field in fields(entry.load().parameters_type):
        assert field.default is not MISSING, field.name
        assert len(field.metadata.get("help", "")) > 10, field.name
        low, high = field.metadata.get("low"), field.metadata.get("high")
        assert low is None or high is None or low < high


@methods
def test_a_method_has_its_places(entry):
    """A newcomer opens the folder named after the method, in any layer."""
    assert (ROOT / "manabi" / entry.package / "__init__.py").is_file()
    assert entry.load().__module__.startswith(f"manabi.{entry.package}.")
    assert (ROOT / "Training" / f"{entry.package}.py").is_file()
    assert Training.cli.RECIPES[entry.name].startswith(f"Training.{entry.package}:")
    assert list((ROOT / "Testing" / "manabi" / entry.package).glob("test_*.py"))
    assert list((ROOT / "Testing" / "Training").glob(f"test_{entry.package}_*.py"))


@methods
def test_a_method_has_its_module_in_slicer(entry):
    """A folder named as users know the method: module, panel, icons; its tests; its tutorial; its pictures."""
    folder = ROOT / entry.title
    assert entry.title in MODULES
    assert f'methodName = "{entry.name}"' in (folder / f"{entry.title}.py").read_text(encoding="utf-8")
    for name in (f"UI/{entry.title}.ui", f"Icons/{entry.title}.svg", f"Icons/{entry.title}-dark.svg"):
        assert (folder / "Resources" / name).is_file(), name
    assert (folder / "CMakeLists.txt").is_file()
    assert list((ROOT / "Testing" / entry.title).glob("test_*.py"))
    assert (ROOT / "docs" / "tutorials" / f"{entry.package}.md").is_file()
    assert f"tutorials/{entry.package}.md" in (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for picture in ("panel", "result"):
        assert (ROOT / "docs" / "images" / f"slicer_{entry.package}_{picture}.png").is_file()


@methods
def test_a_method_has_a_page_of_documentation(entry):
    page = ROOT / "docs" / "methods" / f"{entry.name}.md"
    assert page.is_file(), f"{shown(page)} is missing"
    text = page.read_text(encoding="utf-8")
    for field in fields(entry.load().parameters_type):
        assert f"`{field.name}`" in text, f"{shown(page)} does not explain {field.name}"
    assert "research" in text.lower()


@methods
def test_a_recipe_and_an_experiment_can_be_called(entry):
    train = Training.cli.load(Training.cli.RECIPES, entry.name)
    assert {"data", "output", "config_path", "overrides", "resume", "cache"} <= set(inspect.signature(train).parameters)
    experiment = Training.cli.load(Training.cli.EXPERIMENTS, entry.name)
    assert {"output", "size", "overrides", "resume", "cache"} <= set(inspect.signature(experiment).parameters)


@methods
def test_a_method_ships_a_default_model_that_verifies(entry):
    name = entry.load().default_bundle
    assert name is not None
    bundle = BundleStore().verify(name)
    assert bundle.origin == "shipped"
    assert bundle.method == entry.name
    assert bundle.trained_on and bundle.metrics
    for score in bundle.metrics.values():
        low, high = score["ci95"]
        assert low <= score["mean"] <= high
    size = sum(file.stat().st_size for file in bundle.folder.rglob("*") if file.is_file())
    assert size <= MAX_BUNDLE_MB * 2**20
    assert bundle.simulated == ("simulated" in bundle.trained_on)


# --- every phantom ----------------------------------------------------------------------------------------------------


@phantoms
def test_a_phantom_is_of_a_method_and_can_be_rebuilt_from_its_json(entry):
    phantom = registry.phantom(entry.name)
    assert isinstance(phantom, Phantom)
    assert not phantom.method or registry.METHODS[phantom.method].load().phantom == entry.name
    drawn = phantom.sample_parameters(case_rng(3, 1))
    assert phantom.from_json(phantom.to_json(drawn)) == drawn
    assert phantom.sample_parameters(case_rng(3, 1)) == drawn
    assert phantom.sample_parameters(case_rng(3, 2)) != drawn


@methods
def test_a_phantom_gives_every_input_that_a_method_needs(entry, tmp_path):
    from fixtures_laws import make_sample

    sample = make_sample(entry.name, tmp_path)
    assert isinstance(sample, Sample)
    for spec in sample.method.inputs:
        if not spec.optional:
            assert spec.check(sample.inputs[spec.name]) == []


# --- every file -------------------------------------------------------------------------------------------------------


def public_definitions(tree):
    """Public functions, classes and methods of a module, with their names."""
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            yield node.name, node
            if isinstance(node, ast.ClassDef):
                for inner in node.body:
                    if isinstance(inner, ast.FunctionDef) and not inner.name.startswith("_"):
                        yield f"{node.name}.{inner.name}", inner


def test_every_public_name_is_documented():
    missing = []
    for path in SOURCES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if not ast.get_docstring(tree):
            missing.append(shown(path))
        missing += [f"{shown(path)}: {name}" for name, node in public_definitions(tree) if not ast.get_docstring(node)]
    assert SOURCES
    assert missing == []


FAILING = ("raises", "warns", "fail", "expecting", "wait_until", "run_module_test")
"""Calls that fail a test: pytest's, and those of the stand-in for Slicer."""


def asserts(node, helpers):
    """Whether a test can fail by what it says: assert, pytest.raises, numpy's or a helper's assertion, check=True."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Assert):
            return True
        if isinstance(inner, ast.Call):
            function = inner.func
            name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
            checked = any(k.arg == "check" and getattr(k.value, "value", None) is True for k in inner.keywords)
            if checked or name in FAILING or name.startswith("assert") or name in helpers:
                return True
    return False


def test_every_test_asserts_something():
    idle = []
    for path in TESTS:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
        helpers = {f.name for f in functions if not f.name.startswith("test_") and asserts(f, set())}
        tests = [f for f in functions if f.name.startswith("test_")]
        idle += [f"{shown(path)}: {f.name}" for f in tests if not asserts(f, helpers)]
    assert len(TESTS) > 20
    assert idle == []


@pytest.mark.parametrize("body", ["x = 1", "run()", "for x in y:\n        print(x)"])
def test_a_test_without_assertion_would_be_found(body):
    tree = ast.parse(f"def test_a():\n    {body}\n")
    assert not asserts(tree, set())
    assert asserts(ast.parse("def test_a():\n    with pytest.raises(E):\n        run()\n"), set())


def test_test_files_have_names_of_their_own():
    """pytest imports test files by their bare name."""
    names = [path.name for path in (ROOT / "Testing").rglob("*.py") if path.name not in ("conftest.py", "__init__.py")]
    assert sorted(names) == sorted(set(names))


def test_libraries_do_not_print():
    printing = [
        shown(path)
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print"
    ]
    assert printing == []


def test_nothing_is_left_to_do_later():
    words = [w + "O" for w in ("TOD",)] + ["FIX" + "ME", "X" + "XX"]
    left = [shown(p) for p in (*SOURCES, *TESTS) if any(word in p.read_text(encoding="utf-8") for word in words)]
    assert left == []
