"""Installation on the first Apply: asked for once, torch through its extension, Slicer's own packages left alone."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from types import ModuleType

import pytest

from manabi.errors import CancelledError, DependencyError

ROOT = Path(__file__).resolve().parents[2]
LACKING = "no-such-package-of-manabi>=1"


@pytest.fixture
def lacking(slicer_app, monkeypatch):
    """One package is missing, which the installer, where it runs, brings."""
    from manabi_slicer.install import requirements

    there = []
    monkeypatch.setattr(requirements, "requirements", lambda: [] if there else [LACKING])
    slicer_app.recorder.installer = lambda call: there.append(call) if "missing" in call else None
    return slicer_app


def installer(**options):
    from manabi_slicer.install import Installer

    return Installer(**options)


def test_nothing_is_asked_or_installed_where_everything_is_there(slicer_app):
    slicer_app.open_main_window()
    assert installer().ensure("SPECTDenoise") == []
    assert slicer_app.asked == []
    assert slicer_app.recorder.installed == []


def test_the_user_is_asked_once_with_every_package_named(lacking):
    lacking.open_main_window()
    lacking.answer(True)
    assert installer().ensure("SPECTDenoise") == [LACKING]
    question, = lacking.asked
    assert "no-such-package-of-manabi" in question.text
    assert "No image leaves this computer" in question.text
    assert installer().ensure("SPECTDenoise") == []
    assert len(lacking.recorder.installed) == 1


def test_declining_changes_nothing(lacking):
    lacking.open_main_window()
    lacking.answer(False)
    with pytest.raises(CancelledError, match="Nothing was installed"):
        installer().ensure("SPECTDenoise")
    assert lacking.recorder.installed == []
    assert installer().interrupted_module() is None


@pytest.mark.parametrize("testing", [False, True])
def test_without_a_window_or_in_tests_nobody_is_asked(lacking, testing):
    import slicer

    if testing:
        lacking.open_main_window()
        slicer.app.set_testing(True)
    with pytest.raises(DependencyError, match="--install"):
        installer().ensure("SPECTDenoise")
    assert lacking.asked == []
    assert lacking.recorder.installed == []


def test_slicer_s_own_packages_are_pinned_and_skipped(lacking):
    seen = {}

    def pip(call):
        seen.update(call, text=Path(call["constraints"]).read_text(encoding="utf-8"))

    lacking.recorder.installer = pip
    installer(ask=lambda question: True).ensure("SPECTDenoise")
    for name in ("numpy", "SimpleITK", "vtk", "torch"):
        version = metadata.version(name).partition("+")[0]
        assert f"{name}=={version}\n" in seen["text"]
        assert name in seen["skip_packages"]
    assert not seen["prompt_install"]
    assert not seen["skip_in_testing"]
    assert not Path(seen["constraints"]).exists()


def test_torch_comes_through_the_pytorch_extension(lacking, monkeypatch):
    from manabi_slicer.install import requirements

    calls = []

    class PyTorchUtilsLogic:
        def installTorch(self, askConfirmation=False, torchVersionRequirement=None):
            calls.append((askConfirmation, torchVersionRequirement))
            monkeypatch.setattr(requirements, "torch_is_installed", lambda: True)

    extension = ModuleType("PyTorchUtils")
    extension.PyTorchUtilsLogic = PyTorchUtilsLogic
    monkeypatch.setitem(sys.modules, "PyTorchUtils", extension)
    monkeypatch.setattr(requirements, "torch_is_installed", lambda: False)
    installer(ask=lambda question: True).ensure("SPECTDenoise")
    assert calls == [(False, ">=2.4")]
    assert [call["missing"] for _, call in lacking.recorder.installed] == [[LACKING]]


def test_without_the_pytorch_extension_it_is_installed_and_the_installation_goes_on_after_a_restart(
    lacking, monkeypatch
):
    import slicer

    from manabi_slicer.install import extensions, requirements, resume_after_restart

    asked_for = []
    monkeypatch.setattr(requirements, "torch_is_installed", lambda: False)
    monkeypatch.setattr(extensions, "_install", lambda name: asked_for.append(name) or True)
    lacking.open_main_window()
    lacking.answer(True, True)
    with pytest.raises(DependencyError, match="After a restart"):
        installer().ensure("SPECTDenoise")
    assert asked_for == ["PyTorch"]
    assert lacking.recorder.restarts == 1
    assert installer().interrupted_module() == "SPECTDenoise"
    monkeypatch.setattr(requirements, "torch_is_installed", lambda: True)  # as the extension did, after the restart
    lacking.module("SPECTDenoise")
    assert not resume_after_restart("AnotherModule")
    assert resume_after_restart("SPECTDenoise")
    assert slicer.util.selectedModule() == "SPECTDenoise"


def test_after_the_restart_the_panel_goes_on_without_asking_again(lacking):
    import qt

    from manabi_slicer.install.installer import RESUME_KEY

    qt.QSettings().setValue(RESUME_KEY, "SPECTDenoise")
    lacking.open_main_window()
    widget = lacking.open_widget("SPECTDenoise")
    assert len(lacking.recorder.installed) == 1
    assert "Press Apply" in widget.runPanel.ui.statusLabel.text
    assert lacking.asked == []
    assert installer().interrupted_module() is None


def test_pyradiomics_comes_through_the_radiomics_extension(slicer_app, monkeypatch):
    from manabi_slicer.install import extensions, requirements

    monkeypatch.setattr(requirements.util, "find_spec", lambda name: None if name == "radiomics" else object())
    monkeypatch.setattr(extensions, "_install", lambda name: False)
    with pytest.raises(DependencyError, match="extension Radiomics"):
        installer(ask=lambda question: True).ensure("RadiomicsSurvival", radiomics=True)
    assert slicer_app.recorder.installed == []


def test_a_failed_installation_says_what_to_do_and_is_tried_again(lacking):
    def pip(call):
        raise subprocess.CalledProcessError(1, "pip")

    lacking.recorder.installer = pip
    with pytest.raises(DependencyError, match="pip ended with status 1") as caught:
        installer(ask=lambda question: True).ensure("SPECTDenoise")
    assert "firewall" in str(caught.value)
    assert installer().interrupted_module() is None


def test_what_was_resumed_and_fails_again_is_not_tried_at_every_start(lacking):
    import qt

    from manabi_slicer.install.installer import RESUME_KEY

    def pip(call):
        raise subprocess.CalledProcessError(1, "pip")

    lacking.recorder.installer = pip
    qt.QSettings().setValue(RESUME_KEY, "SPECTDenoise")
    lacking.open_main_window()
    widget = lacking.open_widget("SPECTDenoise")
    assert "pip ended with status 1" in widget.runPanel.ui.errorLabel.text
    assert installer().interrupted_module() is None
    assert lacking.asked == []


def test_apply_asks_before_the_first_run_and_runs_nothing_where_the_user_declines(lacking):
    import numpy as np
    import slicer

    lacking.open_main_window()
    widget = lacking.open_widget("SPECTDenoise")
    node = slicer.util.addVolumeFromArray(np.random.default_rng(0).poisson(60, (8, 24, 26)).astype(np.float32))
    widget.ui.inputSelector.setCurrentNode(node)
    lacking.answer(False)
    widget.runPanel.ui.applyButton.click()
    assert widget.run is None
    assert "Nothing was installed" in widget.runPanel.ui.statusLabel.text
    assert widget.logic.session.pid is None


def test_the_requirements_are_those_of_the_package():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    known = {re.split(r"[>=<]", line)[0]: line for line in tomllib.loads(text)["project"]["dependencies"]}
    lines = (ROOT / "manabi_slicer" / "Resources" / "requirements.txt").read_text(encoding="utf-8").splitlines()
    ours = {re.split(r"[>=<]", line)[0]: line for line in lines if line and not line.startswith("#")}
    assert ours == {name: line for name, line in known.items() if name not in ("numpy", "SimpleITK", "torch")}


def test_on_a_fresh_slicer_apply_on_the_sample_installs_runs_and_shows_a_result_without_a_console(lacking):
    """Sample, Apply, one question: the result is there."""
    lacking.open_main_window()
    widget = lacking.open_widget("SPECTDenoise")
    lacking.answer(True)
    widget.ui.sampleButton.click()
    widget.ui.denoiserComboBox.currentIndex = 1
    widget.runPanel.ui.applyButton.click()
    lacking.wait_until(lambda: widget.run is None, 120)
    assert "volumes/denoised" in widget.logic.outputsOf(widget.ui.inputSelector.currentNode())
    assert widget.runPanel.ui.errorFrame.isHidden()
    assert len(lacking.asked) == 1


@pytest.mark.parametrize("error", [subprocess.CalledProcessError(1, "pip"), OSError("c10.dll"), RuntimeError("no")])
def test_a_torch_that_cannot_be_installed_is_told_without_a_traceback(lacking, monkeypatch, error):
    from manabi_slicer.install import requirements

    class PyTorchUtilsLogic:
        def installTorch(self, **options):
            raise error

    extension = ModuleType("PyTorchUtils")
    extension.PyTorchUtilsLogic = PyTorchUtilsLogic
    monkeypatch.setitem(sys.modules, "PyTorchUtils", extension)
    monkeypatch.setattr(requirements, "torch_is_installed", lambda: False)
    with pytest.raises(DependencyError, match="PyTorch was not installed"):
        installer(ask=lambda question: True).ensure("SPECTDenoise")


FRESH = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}} in a fresh Slicer", name=name)
sys.meta_path.insert(0, Blocked())
sys.path[:0] = [{testing!r}]
import slicer_standin
slicer_standin.boot()
widget = slicer_standin.open_widget("SPECTDenoise")
ui = widget.runPanel.ui
print(ui.modelComboBox.count, ui.noticeLabel.text)
widget.exit()
widget.enter()
assert not slicer_standin.problems(), slicer_standin.problems()
"""


def test_the_panel_opens_in_a_fresh_slicer_that_has_only_slicer_s_own_packages(tmp_path):
    lines = (ROOT / "manabi_slicer" / "Resources" / "requirements.txt").read_text(encoding="utf-8").splitlines()
    names = {re.split(r"[>=<]", line)[0].replace("-", "_") for line in lines if line and not line.startswith("#")}
    blocked = (names - {"scipy", "pydicom"}) | {"torch", "skimage", "openjpeg", "click"}
    code = FRESH.format(blocked=blocked, testing=str(ROOT / "Testing"))
    kept = {name: value for name, value in os.environ.items() if name != "MANABI_HOME"}
    environment = {**kept, "HOME": str(tmp_path), "QT_QPA_PLATFORM": "offscreen"}
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=100)
    assert ended.returncode == 0, ended.stderr
    count, _, notice = ended.stdout.strip().partition(" ")
    assert int(count) >= 2
    assert "trained on simulated data" in notice


def test_process_in_the_console_asks_as_well_and_tells_where_nobody_can_be_asked(lacking):
    import numpy as np
    import slicer

    lacking.module("SPECTDenoise")
    from SPECTDenoise import SPECTDenoiseLogic

    node = slicer.util.addVolumeFromArray(np.random.default_rng(0).poisson(60, (8, 24, 26)).astype(np.float32))
    with pytest.raises(DependencyError, match="Nobody can be asked"):
        SPECTDenoiseLogic().process(node, denoiser="gaussian")
    lacking.open_main_window()
    lacking.answer(True)
    assert "volumes/denoised" in SPECTDenoiseLogic().process(node, denoiser="gaussian")
