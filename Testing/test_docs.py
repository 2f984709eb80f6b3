"""README and the documentation: every example runs, every link leads somewhere, every name is right."""

from __future__ import annotations

import ast
import dataclasses
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from docs_blocks import ROOT, Block, blocks, commands, run

from manabi import errors, registry
from manabi.cli.outcome import main
from manabi.networks import NETWORKS
from manabi.phantoms.base import case_rng

PAGES = ["README.md", *sorted(p.relative_to(ROOT).as_posix() for p in (ROOT / "docs").rglob("*.md"))]
RUN = [page for page in PAGES if not page.startswith("docs/results/")]
PROSE = [*PAGES, "CONTRIBUTING.md", "CHANGELOG.md"]
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


# --- the examples run ---------------------------------------------------------------------------------------------


SPLITS = ("training", "validation", "test", "test")
"""Of the examples' own cohort: as small as a training can be."""


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four simulated patients with coarse views, as a folder of cases with a table."""
    from manabi.phantoms.cohort import write_cohort

    folder = tmp_path_factory.mktemp("simulated")
    write_cohort(registry.phantom("striatum"), folder, len(SPLITS), 5, {"views": 30, "iterations": 2})
    return folder


@pytest.fixture(scope="session")
def chest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated chest CT."""
    from fixtures_laws import CHOICES

    from manabi.io import write_volume

    phantom = registry.phantom("thorax")
    case = phantom.render(phantom.sample_parameters(case_rng(5, 0), **CHOICES["thorax"]))
    path = tmp_path_factory.mktemp("chest") / "chest.nii.gz"
    write_volume(case.volumes["ct"], path)
    return path


@pytest.fixture(scope="session")
def archive(chest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The simulated chest as a scanner would have sent it: DICOM files in depth, without suffixes."""
    import pydicom

    from manabi.io import read_volume
    from manabi.io.dicom import write_dicom

    folder = tmp_path_factory.mktemp("archive")
    volume = dataclasses.replace(read_volume(chest), modality="CT", units="HU")
    for path in write_dicom(volume, folder / "A" / "B", None, series_description="Chest", provenance={}):
        header = pydicom.dcmread(path)
        header.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        header.Manufacturer = header.ManufacturerModelName = "Scanner"
        header.save_as(path.with_suffix(""))
        path.unlink()
    return folder


@pytest.fixture
def place(simulated: Path, chest: Path, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder but for what the examples use: scans, pairs.csv, chests, and a cohort's features and outcomes."""
    folder = tmp_path / "work"
    (folder / "scans").mkdir(parents=True)
    (folder / "chests").mkdir()
    (folder / "archive").symlink_to(archive)
    shutil.copy(chest, folder / "chest.nii.gz")
    shutil.copy(chest, folder / "chests" / "a.nii.gz")
    shutil.copy(simulated / "case-0000" / "spect_5min.nii.gz", folder / "scan.nii.gz")
    shutil.copy(simulated / "case-0001" / "spect_5min.nii.gz", folder / "scans" / "a.nii.gz")
    shutil.copytree(simulated, folder / "patients")
    cases = [(f"patients/case-{index:04d}", split) for index, split in enumerate(SPLITS)]
    rows = [f"{n},{case}/spect_5min.nii.gz,{case}/spect_25min.nii.gz,{split}" for n, (case, split) in enumerate(cases)]
    (folder / "pairs.csv").write_text("\n".join(["case,input,target,split", *rows, ""]), encoding="utf-8")
    write_outcomes(folder)
    monkeypatch.chdir(folder)
    return folder


def write_outcomes(folder: Path, patients: int = 60) -> None:
    """features.csv and outcomes.csv of patients whose first feature tells their survival."""
    rng = np.random.default_rng(3)
    values, ages = rng.normal(size=(patients, 3)), rng.normal(70, 8, patients)
    days = rng.exponential(900 * np.exp(-values[:, 0]))
    tables = {
        "features.csv": (
            "case,volume_ml,original_firstorder_Mean,original_firstorder_Median,original_firstorder_Range",
            [f"p{n},{5 + 0.1 * n:.2f},{a:.4f},{b:.4f},{c:.4f}" for n, (a, b, c) in enumerate(values)],
        ),
        "outcomes.csv": (
            "case,time_days,event,age_years",
            [
                f"p{n},{int(day) + 1},{int(n % 4 > 0)},{age:.1f}"
                for n, (day, age) in enumerate(zip(days, ages, strict=True))
            ],
        ),
    }
    for name, (head, rows) in tables.items():
        (folder / name).write_text("\n".join([head, *rows, ""]), encoding="utf-8")


def run_page(page: str, place: Path, slow: bool) -> int:
    """Run a page's examples in order; the slow ones only where asked. Returns how many were run."""
    chosen = [block for block in blocks(page) if slow or not block.slow]
    session: dict[str, object] = {}
    for block in chosen:
        run(block, place, session)
    return len(chosen)


def in_slicer(page: str) -> list[str]:
    """The modules that a page's Python examples import in Slicer's console; empty where they are for plain Python."""
    text = "".join(block.text for block in blocks(page) if block.language == "python")
    names = re.findall(r"^import (\w+)$", text, re.MULTILINE)
    return [name for name in names if (ROOT / name / f"{name}.py").is_file()]


@pytest.mark.parametrize("page", [page for page in RUN if any(not b.slow for b in blocks(page))])
def test_quick_examples_of_a_page_run(page, place, request):
    for module in in_slicer(page):
        request.getfixturevalue("slicer_app").module(module)
    assert run_page(page, place, slow=False) > 0


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("page", [page for page in RUN if any(b.slow for b in blocks(page)) and not in_slicer(page)])
def test_all_examples_of_a_page_run(page, place):
    assert run_page(page, place, slow=True) == len(blocks(page))


def test_the_tutorial_hides_no_command_from_these_tests():
    other = re.findall(r"^```(?!bash|console|python|$)(\w+)", text_of("docs/tutorial.md"), re.MULTILINE)
    assert other == []
    assert len(blocks("docs/tutorial.md")) > 8


# --- the examples are right before they run -----------------------------------------------------------------------


EXAMPLES = [block for page in [*RUN, "CONTRIBUTING.md"] for block in blocks(page)]


def help_of(capfd: pytest.CaptureFixture[str], words: list[str], monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("COLUMNS", "200")
    assert main([*words, "--help"]) == 0
    return capfd.readouterr().out


def command_path(words: list[str]) -> list[str]:
    """The command of a call: one word, or two for the groups."""
    return words[: 2 if words[0] == "bundle" else 1]


def test_help_documents_every_command_and_option_of_the_examples(capfd, monkeypatch):
    calls = [(b, words) for b in EXAMPLES if b.language != "python" for words in commands(b, "manabi")]
    assert len(calls) > 15
    helps: dict[tuple[str, ...], str] = {}
    for block, words in calls:
        path = tuple(command_path(words))
        if path not in helps:
            helps[path] = help_of(capfd, list(path), monkeypatch)
        for option in (word for word in words if word.startswith("--")):
            assert option in helps[path], f"{block.place}: {option}"


def test_the_command_line_page_lists_every_command_and_option_of_run(capfd, monkeypatch):
    page = text_of("docs/command-line.md")
    for path in ([], ["bundle"]):
        listed = help_of(capfd, path, monkeypatch).partition("Commands")[2]
        names = re.findall(r"^\W+([a-z]+)  ", listed, re.MULTILINE)
        assert len(names) >= 5
        for name in names:
            assert f"`manabi {' '.join([*path, name])}" in page, name
    for option in re.findall(r"(--[a-z-]+)  ", help_of(capfd, ["run"], monkeypatch)):
        assert option == "--help" or f"`{option}" in page, option


def test_every_command_that_a_page_mentions_exists(capfd, monkeypatch):
    known = help_of(capfd, [], monkeypatch) + help_of(capfd, ["bundle"], monkeypatch)
    for page in PROSE:
        for first, second in re.findall(r"`manabi ([a-z]+)(?: ([a-z]+))?", text_of(page)):
            assert f" {first} " in known, f"{page}: manabi {first}"
            assert first != "bundle" or not second or f" {second} " in known, f"{page}: manabi {first} {second}"


def test_settings_of_the_examples_are_accepted():
    checked = 0
    for block in (b for b in EXAMPLES if b.language == "bash"):
        for words in commands(block, "manabi"):
            settings = [words[i + 1] for i, word in enumerate(words) if word == "--set"]
            if words[0] == "run":
                registry.method(words[1]).parameters_type.parse(settings)
            elif words[0] == "phantom":
                from manabi.cli.nodule_pairs import _recipe
                from manabi.phantoms.cohort import parse_choices

                if words[1] == "nodule-pairs":
                    assert _recipe(256, settings).size == 256
                    continue
                registry.phantom(words[1]).sample_parameters(case_rng(0, 0), **parse_choices(settings))
            checked += len(settings)
    assert checked > 5


def recipes() -> list[tuple[str, type, int]]:
    """Each method that can be trained, its settings, and how many of its commands the pages show at least."""
    from Training.brain import BrainRecipe
    from Training.nodule import NoduleRecipe
    from Training.nodule_flow_recipe import FlowRecipe
    from Training.pelvis import PelvisRecipe
    from Training.slices import SlicesRecipe
    from Training.spect import SPECTRecipe

    return [("spect", SPECTRecipe, 4), ("slices", SlicesRecipe, 2), ("brain", BrainRecipe, 2),
            ("nodule", NoduleRecipe, 2), ("nodule_flow", FlowRecipe, 1), ("pelvis", PelvisRecipe, 1)]  # fmt: skip


def test_training_commands_of_the_examples_are_accepted():
    from Training.config import TrainConfig, read_sections
    from Training.structure_task import StructureRecipe

    fenced = re.compile(r"^```(?:bash|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    texts = [text for page in RUN for text in fenced.findall(text_of(page))]
    for method, recipe, least in recipes():
        more = {"network": StructureRecipe} if method == "pelvis" else {}
        calls = [w for t in texts for w in commands(Block("", 0, "bash", t, False), f"python -m Training {method}")]
        assert len(calls) >= least, method
        for words in calls:
            options = list(zip(words, words[1:], strict=False))
            config = next((value for name, value in options if name == "--config"), method)
            settings = [value for name, value in options if name == "--set"]
            assert read_sections(config, settings, {"training": TrainConfig, "recipe": recipe, **more})


def test_python_examples_compile():
    for block in (b for b in EXAMPLES if b.language == "python"):
        assert ast.parse(block.text, block.place).body, block.place


# --- the reference is complete ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(registry.METHODS))
def test_a_methods_page_states_its_parameters_with_their_defaults(name):
    entry = registry.METHODS[name]
    page = text_of(f"docs/methods/{entry.package}.md")
    rows = dict(re.findall(r"^\| `(\w+)` \| `([^`]*)` \|", page, re.MULTILINE))
    fields = dataclasses.fields(registry.method(name).parameters_type)
    assert rows == {field.name: str(field.default) for field in fields}


@pytest.mark.parametrize("name", list(registry.METHODS))
def test_readme_and_the_site_know_every_method(name):
    entry = registry.METHODS[name]
    assert f"[{entry.title}](docs/methods/{entry.package}.md)" in text_of("README.md")
    assert f"methods/{entry.package}.md" in text_of("mkdocs.yml")


def test_the_example_of_a_norms_file_is_read(tmp_path):
    from manabi.spect.grade import load_norms

    example = re.search(r"^```json\n(.*?)^```$", text_of("docs/methods/spect.md"), re.MULTILINE | re.DOTALL)
    assert example is not None
    path = tmp_path / "norms.json"
    path.write_text(example[1], encoding="utf-8")
    assert load_norms(str(path)).mean == json.loads(example[1])["mean"]


def test_the_training_page_names_every_setting_and_shipped_configuration():
    from Training.config import CONFIGS, TrainConfig
    from Training.structure_task import StructureRecipe

    page = text_of("docs/training.md")
    for kind in (TrainConfig, StructureRecipe, *(recipe for _, recipe, _ in recipes())):
        for field in dataclasses.fields(kind):
            assert f"`{field.name}`" in page, field.name
    shipped = list(CONFIGS.glob("*.json"))
    assert len(shipped) >= 6
    for path in shipped:
        assert f"`{path.stem}`" in page
    assert all(f"`{name}`" in page for name in NETWORKS)


def test_the_documented_errors_and_exit_codes_are_those_of_the_code():
    page = text_of("docs/python.md")
    kinds = [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, errors.ManabiError)]
    assert all(f"`{kind.__name__}`" in page for kind in kinds)
    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", text_of("docs/command-line.md"), re.MULTILINE)}
    assert codes == {0, *(kind.exit_code for kind in kinds)}


def test_the_site_shows_every_page():
    listed = set(re.findall(r"([\w/-]+\.md)$", text_of("mkdocs.yml"), re.MULTILINE))
    assert {f"docs/{name}" for name in listed} >= {page for page in PAGES if page.startswith("docs/")}


# --- links and pictures -------------------------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and MkDocs both make them."""
    heads = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PROSE)
def test_links_and_pictures_lead_somewhere(page):
    for target in LINK.findall(text_of(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        found = (ROOT / page).parent / path if path else ROOT / page
        assert found.is_file(), f"{page}: {target}"
        assert not anchor or anchor in anchors(found), f"{page}: {target}"
        if page.startswith("docs/"):
            assert found.resolve().is_relative_to(ROOT / "docs"), f"{page}: {target} is not on the site"


# --- what README promises -----------------------------------------------------------------------------------------


def test_readme_says_what_gpl_of_scikit_survival_means():
    licence = text_of("README.md").partition("## Licence")[2].partition("\n## ")[0]
    for words in ("scikit-survival is GPL-3", "`survival`", "distributes", "leaves the extra out"):
        assert words in licence


def test_scikit_survival_is_only_in_its_extra():
    import tomllib

    project = tomllib.loads(text_of("pyproject.toml"))["project"]
    assert not any("survival" in requirement for requirement in project["dependencies"])
    extras = project["optional-dependencies"]
    assert [name for name, needs in extras.items() if any("scikit-survival" in need for need in needs)] == ["survival"]


DOWNLOAD = ROOT / "manabi" / "store" / "download.py"
"""The one module that uses the network, for one command that names an address and a checksum."""
NETWORK_MODULES = {"urllib.request", "http", "requests", "httpx", "aiohttp", "ftplib", "smtplib", "urllib3"}


def test_no_library_module_but_the_download_uses_the_network():
    assert DOWNLOAD.is_file()
    for path in {*(ROOT / "manabi").rglob("*.py"), *(ROOT / "Training").rglob("*.py")} - {DOWNLOAD}:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            found = {name for name in names if name in NETWORK_MODULES or name.split(".")[0] in NETWORK_MODULES}
            assert not found, f"{path.relative_to(ROOT)} imports {found}"


def test_citation_names_the_five_source_studies():
    cited = text_of("CITATION.cff")
    for study in ("21K12722", "20K20216", "20H04278", "20K16705", "2-H-2-03"):
        assert study in cited
