"""What is on disk is in the extension: a file that CMake does not name works from source, and not when installed.

The extension is configured, built and installed with stand-ins for Slicer's CMake macros (``Testing/cmake``), then
imported with nothing but the installed folder and Python's own packages on the path.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import cmake
import pytest
from docs_blocks import ROOT
from tools import list_cmake_files

PACKAGES = ("manabi", "manabi_slicer", "Training")
MODULES = sorted(path.parent.name for path in ROOT.glob("*/*.py") if path.stem == path.parent.name)
MACROS = ROOT / "Testing" / "cmake"
MODULE_FOLDER = "lib/Slicer-5.12/qt-scripted-modules"
LIMIT_S = 120
CONFIGURE = [f"-DSlicer_DIR={MACROS}", f"-DCMAKE_TOOLCHAIN_FILE={MACROS / 'no_compiler.cmake'}"]


def run(*command: str | Path, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=LIMIT_S, **options)


def program(name: str) -> Path:
    """``cmake`` or ``ctest`` of the Python package: the operating system's may be too old for Slicer's minimum."""
    path = shutil.which(name, path=cmake.CMAKE_BIN_DIR)
    assert path is not None
    return Path(path)


def configure(source: Path, build: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return run(program("cmake"), "-S", source, "-B", build, *CONFIGURE, *options)


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The extension's build folder; what it installs is in ``installed``."""
    folder = tmp_path_factory.mktemp("extension") / "build"
    done = configure(ROOT, folder)
    assert done.returncode == 0, done.stderr
    for step in (["--build", folder, "--parallel", "2"], ["--install", folder, "--prefix", folder / "installed"]):
        done = run(program("cmake"), *step)
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def modules(build: Path) -> Path:
    """The folder of an installed Slicer that holds the extension's modules, and that Slicer has on its path."""
    return build / "installed" / MODULE_FOLDER


# --- what is named ------------------------------------------------------------------------------------------------


def test_the_lists_of_files_are_up_to_date():
    done = run(sys.executable, ROOT / "Testing" / "tools" / "list_cmake_files.py", "--check")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), "run Testing/tools/list_cmake_files.py"


def test_every_package_and_module_folder_is_a_part_of_the_extension():
    assert "SPECTDenoise" in MODULES
    assert [folder.name for folder in list_cmake_files.folders(ROOT)] == [*PACKAGES, *MODULES]


def test_no_list_is_left_to_a_pattern():
    """A pattern is looked up when CMake is configured, so that a build misses what came later."""
    for name in (".", *PACKAGES, *MODULES):
        text = (ROOT / name / "CMakeLists.txt").read_text(encoding="utf-8").upper()
        assert "GLOB" not in text.replace("GLOBAL", "") and "INSTALL(DIRECTORY" not in text, name


def on_disk(folder: Path, prefix: str = "") -> dict[str, Path]:
    """Every file of a folder under the name that it has to have beside the module files."""
    skipped = {"__pycache__", "CMakeLists.txt"}
    found = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
    return {(prefix / name).as_posix(): path for name, path in found.items() if not skipped & set(name.parts)}


def test_what_is_installed_is_what_is_on_disk(modules):
    wanted = {"manabi/LICENSE": ROOT / "LICENSE"}
    for package in PACKAGES:
        wanted |= on_disk(ROOT / package, package)
    for module in MODULES:
        wanted |= on_disk(ROOT / module)
    assert {"manabi/py.typed", "manabi/spect/norms.json", "Training/configs/spect.json"} <= set(wanted)
    assert {"SPECTDenoise.py", "Resources/UI/SPECTDenoise.ui", "Resources/Icons/SPECTDenoise.svg"} <= set(wanted)
    installed = on_disk(modules)
    assert set(wanted) == set(installed)
    assert [name for name, path in wanted.items() if path.read_bytes() != installed[name].read_bytes()] == []


def test_slicer_finds_the_modules_and_no_others(modules):
    """It takes every Python file of the folder itself, not of those below, for a module."""
    assert sorted(path.stem for path in modules.glob("*.py")) == MODULES


def test_no_two_modules_install_the_same_file():
    names = [name for module in MODULES for name in on_disk(ROOT / module)]
    assert sorted(set(names)) == sorted(names)


# --- what is tested -----------------------------------------------------------------------------------------------


def registered_in(build: Path) -> dict[str, list[str]]:
    """The tests that a build registers, with their commands."""
    done = run(program("ctest"), "--test-dir", build, "--show-only=json-v1")
    return {test["name"]: test.get("command", []) for test in json.loads(done.stdout)["tests"]}


def test_each_modules_self_test_and_the_generic_test_are_registered(build):
    registered = registered_in(build)
    generic = {f"py_nomainwindow_qSlicer{module}ModuleGenericTest" for module in MODULES}
    assert set(registered) == generic | {f"py_{module}" for module in MODULES}


@pytest.mark.parametrize("module", MODULES)
def test_a_registered_self_test_exists(module):
    """``runUnitTest`` of a name without test cases passes."""
    spec = (ROOT / module / f"{module}.py").read_text(encoding="utf-8")
    assert f"class {module}Test(ScriptedLoadableModuleTest)" in spec
    assert "def test_" in spec


def test_without_tests_none_is_registered(tmp_path):
    done = configure(ROOT, tmp_path, "-DBUILD_TESTING=OFF")
    assert done.returncode == 0, done.stderr
    assert registered_in(tmp_path) == {}


# --- what is installed works --------------------------------------------------------------------------------------


ONLY_INSTALLED = """
import importlib, pkgutil, sys
from pathlib import Path

installed, source, *packages = sys.argv[1:]
sys.meta_path[:] = [f for f in sys.meta_path if not getattr(f, "__module__", "").startswith("__editable__")]
sys.path[:] = [installed, *(path for path in sys.path if Path(path).resolve() != Path(source))]

def import_all(package):
    names = [package]
    for module in pkgutil.walk_packages(importlib.import_module(package).__path__, package + "."):
        names.append(module.name)
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    return len(names)

def strangers(*packages):
    files = {n: getattr(m, "__file__", None) or "" for n, m in list(sys.modules.items()) if n.split(".")[0] in packages}
    return [f"{name}: {file}" for name, file in files.items() if not Path(file).is_relative_to(installed)]
"""
"""Run with ``python -I``, which takes neither the present folder nor PYTHONPATH; the rest of what could lead to the
source, an editable installation of it, is taken away here."""


def python(code: str, modules: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run code after :data:`ONLY_INSTALLED`, in the installed folder, without writing byte code there."""
    return run(sys.executable, "-IB", "-c", ONLY_INSTALLED + code, modules, ROOT, *arguments, cwd=modules)


def test_everything_installed_can_be_imported(modules):
    code = "print(*map(import_all, packages))\nsys.exit('; '.join(strangers(*packages)) or 0)"
    done = python(code, modules, "manabi", "Training")
    assert (done.returncode, done.stderr) == (0, "")
    assert [int(count) > 30 for count in done.stdout.split()] == [True, True]


def test_the_models_that_ship_are_whole_where_they_are_installed(modules):
    code = """
from manabi import registry
from manabi.store import BundleStore

store = BundleStore(Path("nobody"))
wanted = {registry.method(name).default_bundle for name in registry.METHODS} - {None}
found = {bundle.name: bundle.verify() for bundle in store.list()}
assert wanted <= set(found), (wanted, set(found))
assert all(Path(bundle.folder, "models", "model.pt").is_relative_to(installed) for bundle in found.values())
assert all(bundle.load_state() for bundle in found.values())
print(*sorted(found))
"""
    done = python(code, modules)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == sorted(path.name for path in (ROOT / "manabi" / "bundles").iterdir())


def test_the_installed_command_and_training_start(modules):
    for package, shown in (("manabi", "bundle"), ("Training", "spect")):
        code = (
            f"import runpy\nsys.argv[:] = ['{package}', '--help']\nrunpy.run_module('{package}', run_name='__main__')"
        )
        done = python(code, modules)
        assert (done.returncode, done.stderr) == (0, "")
        assert shown in done.stdout


def test_modules_and_what_they_share_can_be_imported_where_they_are_installed(modules):
    code = """
sys.path.append(packages.pop(0))
import slicer_standin

slicer_standin.boot()
print(import_all("manabi_slicer"), *(importlib.import_module(name).__name__ for name in packages))
sys.exit("; ".join(strangers("manabi", "manabi_slicer", *packages)) or 0)
"""
    done = python(code, modules, ROOT / "Testing", *MODULES)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[1:] == MODULES


# --- the tool and the stand-ins fail where they should ------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """An extension of one module, with one more file and its lists up to date."""
    module = tmp_path / "Some"
    (module / "Resources").mkdir(parents=True)
    (module / "Some.py").write_text("")
    (module / "Resources" / "table.csv").write_text("")
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.28)\nproject(Tiny)\nfind_package(Slicer REQUIRED)\n"
        "include(${Slicer_USE_FILE})\nadd_subdirectory(Some)\n"
    )
    (module / "CMakeLists.txt").write_text(
        f"{list_cmake_files.BEGIN}\n{list_cmake_files.END}\nslicerMacroBuildScriptedModule(NAME Some\n"
        "  SCRIPTS ${MODULE_PYTHON_SCRIPTS} RESOURCES ${MODULE_PYTHON_RESOURCES})\n"
    )
    assert list_cmake_files.out_of_date(tmp_path, write=True) == [module / "CMakeLists.txt"]
    return tmp_path


def test_a_written_list_is_up_to_date_and_configures(project, tmp_path):
    assert list_cmake_files.out_of_date(project) == []
    done = configure(project, tmp_path / "build")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["Some/new.py", "Some/Resources/new.csv", "Some/deep/er/new.txt"])
def test_a_new_file_makes_its_list_out_of_date(project, name):
    (project / name).parent.mkdir(parents=True, exist_ok=True)
    (project / name).write_text("")
    assert list_cmake_files.out_of_date(project) == [project / "Some" / "CMakeLists.txt"]


@pytest.mark.parametrize("name", ["Some/__pycache__/Some.pyc", "Some/.hidden", "Some/.cache/file"])
def test_byte_code_and_hidden_files_are_not_listed(project, name):
    (project / name).parent.mkdir(parents=True, exist_ok=True)
    (project / name).write_text("")
    assert list_cmake_files.out_of_date(project) == []


def test_a_name_that_cmake_would_split_is_refused(project):
    (project / "Some" / "two words.py").write_text("")
    with pytest.raises(ValueError, match="rename .*two words"):
        list_cmake_files.out_of_date(project)


def test_a_list_without_markers_is_refused(project):
    (project / "Some" / "CMakeLists.txt").write_text("set(MODULE_NAME Some)\n")
    with pytest.raises(ValueError, match="has to hold the lines"):
        list_cmake_files.out_of_date(project)


WRONG = {
    "a word that no keyword takes": ("NAME Some", "Some", "unknown 'Some'"),
    "a misspelt option": (")\n", " WITH_SUBDIRS)\n", "WITH_SUBDIRS' does not exist"),
    "a file that is not there": ("  Some.py", "  Some.py\n  gone.py", "'gone.py' does not exist"),
    "a file named twice": ("  Some.py", "  Some.py\n  Some.py", "named twice"),
    "a script among the resources": ("  Resources/table.csv", "  Some.py", "belongs in the other list"),
    "a folder": ("  Resources/table.csv", "  Resources", "is not a file below"),
    "a module without a file of its name": ("NAME Some", "NAME Other", "lack Other.py"),
}


@pytest.mark.parametrize(("old", "new", "message"), WRONG.values(), ids=WRONG)
def test_the_stand_in_macros_refuse(project, tmp_path, old, new, message):
    path = project / "Some" / "CMakeLists.txt"
    before = path.read_text()
    after = new.join(before.rsplit(old, 1))
    assert after != before
    path.write_text(after)
    done = configure(project, tmp_path / "build")
    assert done.returncode != 0
    assert message in " ".join(done.stderr.split())
