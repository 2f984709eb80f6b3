"""What the ExtensionsIndex asks of an extension: its entry, its description, its pictures, its licence, its size.

The rules are those of the index's own checks (names, patterns, limits) and of its list for tier 3, as of August 2026.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from docs_blocks import ROOT

NAME = "Manabi"
ENTRY = ROOT / f"{NAME}.json"
REPOSITORY = "https://github.com/SlicerManabi/SlicerManabi"
RAW = "https://raw.githubusercontent.com/SlicerManabi/SlicerManabi/main/"
FIELDS = {
    "$schema": str, "build_dependencies": list, "build_subdirectory": str, "category": str, "enabled": bool,
    "scm_revision": str, "scm_type": str, "scm_url": str, "tier": int,
}  # fmt: skip
"""Fields of version 1.0.1 of the catalogue's schema, which allows no others, with their types."""
CATEGORIES = {"Image Synthesis", "Nuclear Medicine", "Pipelines", "Quantification", "Radiotherapy", "Segmentation"}
"""Those of the index's list that could fit."""
SIZE_LIMIT_BYTES = 100 * 2**20
SIGNATURES = {".png": b"\x89PNG\r\n\x1a\n", ".jpg": b"\xff\xd8\xff", ".gif": b"GIF8"}
MODULES = sorted(path.parent.name for path in ROOT.glob("*/*.py") if path.stem == path.parent.name)
ICONS = sorted([ROOT / f"{NAME}.svg", *ROOT.glob("*/Resources/Icons/*.svg")])


@pytest.fixture(scope="module")
def entry() -> dict:
    return json.loads(ENTRY.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def lists() -> str:
    return (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")


def quoted(lists: str, variable: str) -> str:
    """A variable as the index reads it: one quoted text right after the name, closed at once."""
    found = re.findall(rf'set\s*\({variable}\s*"([^"]+)"\)', lists)
    assert len(found) == 1, variable
    return found[0]


# --- the entry ----------------------------------------------------------------------------------------------------


def test_the_entry_has_the_fields_of_its_schema_and_no_others(entry):
    assert entry["$schema"].endswith("/Schemas/slicer-extension-catalog-entry-schema-v1.0.1.json#")
    assert {"$schema", "category", "scm_url"} <= set(entry) <= set(FIELDS)
    assert [name for name, value in entry.items() if not isinstance(value, FIELDS[name])] == []
    assert entry["category"] in CATEGORIES
    assert 1 <= entry["tier"] <= 5


def test_the_entry_is_sorted_json_with_unix_line_ends(entry):
    data = ENTRY.read_bytes()
    assert b"\r" not in data and data.endswith(b"}\n")
    assert list(entry) == sorted(entry)


def test_names_are_as_the_index_wants_them(entry, lists):
    assert re.findall(r"project\s*\(\s*([^\s\)\n\r]+)", lists) == [NAME]
    assert not NAME.lower().startswith("slicer")
    assert entry["scm_url"] == REPOSITORY == quoted(lists, "EXTENSION_HOMEPAGE")
    assert entry["scm_url"].startswith("https://") and entry["scm_url"].rsplit("/", 1)[1].startswith("Slicer")


def test_entry_and_cmake_name_the_same_dependencies(entry, lists):
    named = re.findall(r"set\(EXTENSION_DEPENDS ([^)]*)\)", lists)
    assert [names.split() for names in named] == [entry["build_dependencies"]]


def test_the_description_is_one_or_two_sentences_on_use_and_one_on_limits(lists):
    description = quoted(lists, "EXTENSION_DESCRIPTION")
    assert "\n" not in description and ";" not in description
    assert description.endswith(" For research use.")
    assert 2 <= len(re.findall(r"\.(?: |$)", description)) <= 3
    assert [module for module in MODULES if module not in description] == []


# --- the pictures -------------------------------------------------------------------------------------------------


def picture(url: str) -> Path:
    """The file of this repository that a URL leads to."""
    assert url.startswith(RAW) and Path(url).suffix in SIGNATURES, url
    return ROOT / url.removeprefix(RAW)


def test_the_icon_is_a_png_of_the_size_that_the_catalogue_shows(lists):
    data = picture(quoted(lists, "EXTENSION_ICONURL")).read_bytes()
    assert data.startswith(SIGNATURES[".png"])
    assert (int.from_bytes(data[16:20]), int.from_bytes(data[20:24])) == (128, 128)


def test_screenshots_are_named_once_each(lists):
    urls = quoted(lists, "EXTENSION_SCREENSHOTURLS").split(" ")
    assert len({picture(url) for url in urls}) == len(urls) >= 1


def test_screenshots_are_pictures_of_this_repository(lists):
    for url in quoted(lists, "EXTENSION_SCREENSHOTURLS").split(" "):
        path = picture(url)
        assert path.is_file() and path.read_bytes().startswith(SIGNATURES[path.suffix]), url


def test_every_icon_of_the_modules_comes_in_a_light_and_a_dark_version():
    names = {path.relative_to(ROOT).as_posix() for path in ICONS if path.parent != ROOT}
    assert {f"{module}/Resources/Icons/{module}.svg" for module in MODULES} <= names
    light = {name for name in names if not name.endswith("-dark.svg")}
    assert names - light == {name.replace(".svg", "-dark.svg") for name in light}


@pytest.mark.parametrize("path", ICONS, ids=lambda path: path.name)
def test_an_icon_is_drawn_with_shapes_alone(path):
    """Fonts, pictures and styles are drawn differently, or not at all, by Qt's small SVG renderer."""
    root = ElementTree.parse(path).getroot()
    kinds = {element.tag.partition("}")[2] for element in root.iter()}
    assert kinds <= {"svg", "title", "g", "rect", "circle", "ellipse", "path"}
    width, height = root.get("viewBox", "").split()[2:]
    assert (root.get("width"), root.get("height")) == (width, height) and width == height


@pytest.fixture(scope="module")
def draw():
    """A function from an icon, a size and a background to the pixels ``(size, size, 3)``."""
    import numpy as np

    gui, svg = pytest.importorskip("PySide6.QtGui"), pytest.importorskip("PySide6.QtSvg")

    def pixels(path: Path, size: int, background: str):
        image = gui.QImage(size, size, gui.QImage.Format.Format_RGB32)
        image.fill(gui.QColor(background))
        painter = gui.QPainter(image)
        svg.QSvgRenderer(str(path)).render(painter)
        painter.end()
        return np.frombuffer(image.constBits(), np.uint8).reshape(size, size, 4)[..., 2::-1].astype(int)

    return pixels


LIGHT, DARK = "#f0f0f0", "#2b2b2b"


@pytest.mark.parametrize("path", ICONS, ids=lambda path: path.name)
def test_an_icon_stands_out_at_16_pixels_on_the_background_it_is_for(path, draw):
    backgrounds = [LIGHT, DARK] if path.parent == ROOT else [DARK if path.stem.endswith("-dark") else LIGHT]
    for background in backgrounds:
        difference = abs(draw(path, 16, background) - draw(path, 16, background)[0, 0]).max(axis=-1)
        assert (difference > 90).mean() > 0.15, background


def test_the_png_icon_is_the_drawing(draw):
    import numpy as np
    from PIL import Image

    for background in (LIGHT, DARK):
        sheet = Image.new("RGBA", (128, 128), background)
        sheet.alpha_composite(Image.open(ROOT / f"{NAME}.png").convert("RGBA"))
        shown = np.asarray(sheet.convert("RGB"), int)
        assert abs(shown - draw(ROOT / f"{NAME}.svg", 128, background)).mean() < 1.0


# --- the repository -----------------------------------------------------------------------------------------------


def test_the_licence_is_in_the_root_and_named_in_the_readme():
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "[Apache License 2.0](LICENSE)" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_shows_a_picture_and_names_every_module_and_how_to_cite():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text.startswith(f"# {NAME}\n") and re.search(r"!\[[^]]+\]\(docs/images/", text)
    assert [module for module in MODULES if module not in text] == []
    assert "CITATION.cff" in text


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def reachable_bytes() -> int:
    """What a clone of this commit holds of the history, packed or not; other branches and dropped work do not count."""
    names = git("rev-list", "--objects", "--no-object-names", "HEAD")
    sizes = subprocess.run(
        ["git", "cat-file", "--batch-check=%(objectsize:disk)"],
        cwd=ROOT,
        input=names,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return sum(int(size) for size in sizes.split())


def test_a_clone_is_below_the_limit_of_the_index():
    """The index counts files and history; here the files that git does not ignore, and what a clone is sent.

    Little room is left: before another model or many pictures come in, pictures must become smaller.
    """
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode:
        pytest.skip("not a clone of the repository")
    paths = [ROOT / name for name in set(listed.stdout.split("\0")) if name]
    files = sum(path.stat().st_size for path in paths if path.is_file())
    assert 0 < files + reachable_bytes() < 0.985 * SIZE_LIMIT_BYTES


# --- what its reviewers look for ----------------------------------------------------------------------------------


OURS = {"manabi", "manabi_slicer"}
SLICERS = {"slicer", "vtk", "qt", "ctk", "SampleData", "numpy"}
"""What Slicer has loaded by the time it looks for modules."""


def file_scope_imports(path: Path) -> set[str]:
    """Top-level packages that are imported when a file is."""
    found: set[str] = set()
    todo = list(ast.parse(path.read_text(encoding="utf-8")).body)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {(node.module or "").partition(".")[0]} if not node.level else set()
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            todo += node.orelse
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            todo += list(ast.iter_child_nodes(node))
    return found


@pytest.mark.parametrize("folder", ["manabi_slicer", *MODULES])
def test_modules_import_only_what_slicer_brings_at_file_scope(folder):
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files
    allowed = set(sys.stdlib_module_names) | SLICERS | OURS | {f"{module}Lib" for module in MODULES}
    found = {path.relative_to(ROOT).as_posix(): file_scope_imports(path) - allowed for path in files}
    assert {name: names for name, names in found.items() if names} == {}


def test_torch_comes_through_its_extension_and_not_with_the_requirements():
    lines = (ROOT / "manabi_slicer" / "Resources" / "requirements.txt").read_text(encoding="utf-8").splitlines()
    names = {re.split(r"[<>=!~\[ ]", line)[0].lower() for line in lines if line and not line.startswith("#")}
    assert names and not names & {"torch", "torchvision", "numpy", "vtk", "simpleitk"}
