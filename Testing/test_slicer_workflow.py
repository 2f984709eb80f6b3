"""The workflow that tests in real Slicers cannot run here: that it is sound, and that its script judges rightly."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from docs_blocks import ROOT
from tools import run_in_slicer

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
SLICER_WORKFLOW = ROOT / ".github" / "workflows" / "slicer.yml"
MODULES = sorted(path.parent.name for path in ROOT.glob("*/*.py") if path.stem == path.parent.name)


def steps(path: Path) -> list[dict]:
    """The steps of a workflow's jobs."""
    yaml = pytest.importorskip("ruamel.yaml")
    jobs = yaml.YAML(typ="safe").load(path)["jobs"].values()
    return [step for job in jobs for step in job["steps"]]


# --- the file -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_each_step_is_an_action_of_a_stated_version_or_a_command(path):
    for step in steps(path):
        assert ("uses" in step) != ("run" in step), step
        assert re.fullmatch(r"actions/[\w-]+@v\d+", step.get("uses", "actions/none@v0")), step


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_the_files_that_a_workflow_names_exist(path):
    named = re.findall(r"(?<![\w/.])((?:Testing|manabi|manabi_slicer|docs|Training)/[\w./-]+)", path.read_text("utf-8"))
    assert [name for name in named if not (ROOT / name).exists()] == []
    assert path != SLICER_WORKFLOW or "Testing/tools/run_in_slicer.py" in named


def test_the_commands_are_bash_without_syntax_errors():
    bash = shutil.which("bash")
    commands = [step["run"] for step in steps(SLICER_WORKFLOW) if "run" in step and step.get("shell") != "pwsh"]
    assert bash and len(commands) > 5
    for command in commands:
        plain = re.sub(r"\$\{\{.*?\}\}", "value", command)
        done = subprocess.run([bash, "-n"], input=plain, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, ""), command


def test_outputs_and_variables_are_set_before_they_are_used():
    text, known = SLICER_WORKFLOW.read_text(encoding="utf-8"), set()
    for step in steps(SLICER_WORKFLOW):
        assert set(re.findall(r"steps\.(\w+)\.outputs", str(step))) <= known, step
        known |= {step["id"]} if "id" in step else set()
    environment = set(re.findall(r"^      ([A-Z_]+):", text, re.MULTILINE)) | {"GITHUB_OUTPUT", "GITHUB_WORKSPACE"}
    assert set(re.findall(r"\$(?:env:)?([A-Z][A-Z_]+)", text)) - {"PWD"} <= environment


def test_the_folder_of_the_installed_modules_is_that_of_the_stand_in_macros():
    config = (ROOT / "Testing" / "cmake" / "SlicerConfig.cmake").read_text(encoding="utf-8")
    version = re.findall(r"set\(Slicer_VERSION ([\d.]+)\)", config)[0]
    assert f"INSTALLED: build/installed/lib/Slicer-{version}/qt-scripted-modules\n" in SLICER_WORKFLOW.read_text(
        "utf-8"
    )


def test_the_options_of_the_script_are_known_to_it(capsys):
    used = {option for step in steps(SLICER_WORKFLOW) if "run_in_slicer" in step.get("run", "")
            for option in re.findall(r"(--[a-z-]+)", step["run"].partition("run_in_slicer")[2])}  # fmt: skip
    with pytest.raises(SystemExit):
        run_in_slicer.main(["--help"])
    shown = capsys.readouterr().out
    assert used == {"--logs", "--folder", "--no-panels"}
    assert [option for option in used if option not in shown] == []


# --- the script ---------------------------------------------------------------------------------------------------


FAKE = """
import os, sys, types, unittest
from pathlib import Path

given, mode = sys.argv[1:], os.environ.get("FAKE_SLICER", "")

def run_unit_test(path, name):
    sys.path.extend(path)
    if not unittest.TextTestRunner().run(unittest.TestLoader().loadTestsFromName(name)).wasSuccessful():
        raise Exception()

if "--python-code" in given:
    assert "--testing" in given and "--no-splash" in given
    selected = []
    slicer = sys.modules["slicer"] = types.ModuleType("slicer")
    slicer.testing = sys.modules["slicer.testing"] = types.ModuleType("slicer.testing")
    slicer.testing.runUnitTest = run_unit_test
    slicer.app = types.SimpleNamespace(processEvents=lambda: None)
    pick = selected.append if mode != "panel stays shut" else (lambda name: None)
    slicer.util = types.SimpleNamespace(selectModule=pick, selectedModule=lambda: (selected or [""])[-1])
    if mode != "ends at once":
        exec(given[given.index("--python-code") + 1], {"slicer": slicer})
    sys.exit(0)
method, inputs, output = given[-4], given[-3], given[-1]
if method == "phantom":
    Path(output, "case-0000").mkdir(parents=True)
    Path(output, "case-0000", "spect_5min.nii.gz").touch()
    sys.exit(0)
if not Path(inputs).exists():
    sys.exit(0 if mode == "takes anything" else 2)
Path(output).mkdir()
"""
GOOD = "import unittest\nclass Test(unittest.TestCase):\n    def test_one(self): self.assertEqual(1, {one})\n"


@pytest.fixture
def in_slicer(tmp_path, monkeypatch, capsys):
    """A function that runs the checks on a Slicer which only does what they look at; what failed, and the status."""
    fake = tmp_path / "Slicer"
    fake.write_text(f"#!{sys.executable}\n{FAKE}", encoding="utf-8")
    fake.chmod(0o755)

    def run(test: str, mode: str = "", *options: str) -> SimpleNamespace:
        folder = tmp_path / "modules"
        folder.mkdir()
        (folder / "Some.py").write_text(test, encoding="utf-8")
        monkeypatch.setenv("FAKE_SLICER", mode)
        words = [str(fake), "--folder", str(folder), "--logs", str(tmp_path / "logs"), *options]
        status = run_in_slicer.main(words)
        lines = capsys.readouterr().out.splitlines()
        verdicts = {word: [line for line in lines if line.startswith(f"{word}  ")] for word in ("passed", "FAILED")}
        logs = {path.name for path in (tmp_path / "logs").iterdir()}
        return SimpleNamespace(status=status, passed=verdicts["passed"], failed=verdicts["FAILED"], logs=logs)

    return run


def test_what_works_passes_and_leaves_its_logs(in_slicer):
    done = in_slicer(GOOD.format(one=1))
    assert (done.status, done.failed, len(done.passed)) == (0, [], 5)
    assert {"Some-self-test.log", "Some-panel.log", "headless-run.log", "headless-bad-input.log"} < done.logs


def test_without_panels_the_window_is_left_alone(in_slicer):
    done = in_slicer(GOOD.format(one=1), "", "--no-panels")
    assert (done.status, len(done.passed)) == (0, 4)
    assert "Some-panel.log" not in done.logs


@pytest.mark.parametrize(
    ("test", "mode", "failed"),
    [
        (GOOD.format(one=2), "", "Some self-test  ended with status 1, expected 0"),
        ("", "", "Some self-test  ended with status 0, but did not do what it should"),
        (GOOD.format(one=1), "ends at once", "Some self-test  ended with status 0, but did not do what it should"),
        (GOOD.format(one=1), "panel stays shut", "Some panel  ended with status 0, but did not do what it should"),
        (GOOD.format(one=1), "takes anything", "headless bad input  ended with status 0, expected 2"),
    ],
    ids=["a failing test", "no tests", "a Slicer that ends early", "a panel that does not open", "bad input accepted"],
)
def test_what_does_not_work_fails(in_slicer, test, mode, failed):
    done = in_slicer(test, mode)
    assert done.status == 1
    assert any(failed in line for line in done.failed), done.failed


def test_a_slicer_that_never_ends_fails(tmp_path, monkeypatch):
    monkeypatch.setattr(run_in_slicer, "LIMIT_S", 0.2)
    check = run_in_slicer.Check("waits", ("-c", "import time; time.sleep(5)"))
    assert run_in_slicer.problem(check, sys.executable, tmp_path / "log") == "did not end within 0.2 s"


def test_a_folder_without_modules_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="No module is in"):
        run_in_slicer.all_checks(tmp_path, tmp_path)


def test_the_source_tree_gives_the_checks_of_every_module(tmp_path):
    names = [check.name for check in run_in_slicer.all_checks(None, tmp_path)]
    assert names[: 2 * len(MODULES)] == [f"{name} {kind}" for name in MODULES for kind in ("self-test", "panel")]
    assert (ROOT / "manabi_slicer" / "headless.py").is_file()
