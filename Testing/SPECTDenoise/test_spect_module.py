"""SPECTDenoise as Slicer loads it: self-test, sample data, import cost, export, models, and one whole run."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from panel_methods import REGISTERED
from panel_user import User, add_scan, use_methods
from slicer_standin.import_cost import HEAVY, MOST, import_cost

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def user(slicer_app, monkeypatch):
    use_methods(monkeypatch, REGISTERED)
    return User(slicer_app, "quick-spect")


# --- as Slicer loads it -------------------------------------------------------------------------------------------


def test_the_module_s_own_test_passes(slicer_app):
    slicer_app.run_module_test("SPECTDenoise")
    assert not slicer_app.problems()


def test_importing_the_module_costs_little_and_loads_nothing_heavy():
    costs, loaded = import_cost("SPECTDenoise", tries=4)
    assert min(costs) < MOST, costs
    assert {"SPECTDenoise", "manabi", "manabi_slicer"} <= loaded
    assert not loaded & HEAVY


def test_a_whole_run_from_the_panel_leaves_torch_out_of_slicer():
    code = f"""
import json, sys
sys.path[:0] = [{str(ROOT / "Testing")!r}, {str(ROOT / "Testing" / "SPECTDenoise")!r}]
import slicer_standin
slicer_standin.boot()
from panel_user import User, add_scan
user = User(slicer_standin)
user.choose(add_scan())
user.ui.denoiserComboBox.currentIndex = 1
user.apply(120)
loaded = sorted({{"torch", "monai"}} & set(sys.modules))
print(json.dumps([sorted(user.outputs()), loaded, [str(one) for one in slicer_standin.problems()]]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    made, loaded, problems = json.loads(done.stdout.splitlines()[-1])
    assert "volumes/denoised" in made
    assert loaded == []
    assert problems == []


def test_the_sample_patient_is_listed_when_slicer_has_started_and_loads_with_a_click(slicer_app):
    import slicer

    slicer_app.module("SPECTDenoise")
    slicer_app.start_up()
    slicer_app.click_sample("DaTSPECT5min")
    nodes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    assert {node.GetAttribute("Manabi.modality") for node in nodes} == {"NM"}
    names = {node.GetName() for node in nodes}
    assert names == {"DaTSPECT 5 min (simulated)", "DaTSPECT 25 min (simulated)"}


# --- one whole run: sample, Apply, result; the numbers are those of the command line ------------------------------


def test_three_clicks_from_an_empty_slicer_give_the_numbers_of_the_command_line(slicer_app, tmp_path):
    import slicer

    from manabi.cli.outcome import main
    from manabi.io import read_volume

    user = User(slicer_app)
    user.ui.sampleButton.click()
    outputs = user.apply(200)
    assert user.boxes().keys() <= {"warning", "alert"}
    cached = next(Path(str(slicer.app.cachePath)).rglob("spect_5min.nii.gz"))
    assert main(["run", "spect", str(cached), f"full_time={cached.parent / 'spect_25min.nii.gz'}", "--output",
                 str(tmp_path / "cli"), "--set", "alert_z=2.5"]) == 0  # fmt: skip
    expected = read_volume(tmp_path / "cli" / "denoised.nii.gz")
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(outputs["volumes/denoised"]), expected.array)
    numbers = json.loads((tmp_path / "cli" / "measurements.json").read_text(encoding="utf-8"))
    shown = user.widget.logic.resultOf(user.ui.inputSelector.currentNode()).measurements
    assert {name: shown[name] for name in numbers} == numbers
    files = user.widget.logic.export(
        {"spect": user.ui.inputSelector.currentNode(), "full_time": user.ui.referenceSelector.currentNode()},
        tmp_path / "exported",
    )  # fmt: skip
    assert "before_after.png" in [path.name for path in files["figures"]]
    again = user.widget.logic.process(
        user.ui.inputSelector.currentNode(), referenceVolume=user.ui.referenceSelector.currentNode()
    )
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(again["volumes/denoised"]), expected.array)


# --- export and models --------------------------------------------------------------------------------------------


def menu_action(user, text):
    return next(action for action in user.run_ui.exportButton.menu().actions() if text in action.text)


def test_export_writes_a_new_folder_with_images_tables_and_report(user, tmp_path):
    user.app.open_main_window()
    user.choose(add_scan("Doe^Jane"))
    user.apply()
    for folder in ("manabi-quick-spect", "manabi-quick-spect-2"):
        user.app.answer(str(tmp_path))
        menu_action(user, "NRRD").trigger()
        assert user.boxes().keys() <= {"warning"}
        names = {path.name for path in (tmp_path / folder).rglob("*")}
        assert {"denoised.nrrd", "regions.seg.nrrd", "changes.csv", "result.json"} <= names
        assert not any("Doe" in path.read_text("latin-1") for path in (tmp_path / folder).rglob("*") if path.is_file())
    assert "manabi-quick-spect-2" in user.status


def test_export_writes_dicom(user, tmp_path):
    import pydicom

    user.app.open_main_window()
    user.choose(add_scan())
    user.apply()
    user.app.answer(str(tmp_path))
    menu_action(user, "DICOM").trigger()
    found = [pydicom.dcmread(path) for path in tmp_path.rglob("denoised/*") if path.is_file()]
    assert {data.Modality for data in found} == {"NM"}


def test_cancelling_the_export_writes_nothing(user, tmp_path):
    user.app.open_main_window()
    user.choose(add_scan())
    user.apply()
    user.app.answer("")
    menu_action(user, "NRRD").trigger()
    assert list(tmp_path.rglob("result.json")) == []


@pytest.fixture
def packed(spect_stand_in, tmp_path):
    """A model of the user's own, as a zip in a folder with an awkward name."""
    from manabi.store import write_bundle  # noqa: F401

    folder = tmp_path / "Modelle & Bündel 模型"
    folder.mkdir()
    path = folder / "mein modell.zip"
    with zipfile.ZipFile(path, "w") as archive:
        root = Path(spect_stand_in.folder)
        for file in root.rglob("*"):
            if file.is_file():
                text = file.read_bytes()
                if file.name == "metadata.json":
                    text = text.replace(b'"spect-default"', b'"my-spect"')
                archive.writestr(f"my-spect/{file.relative_to(root).as_posix()}", text)
    return path


def names_in_chooser(user):
    box = user.run_ui.modelComboBox
    return [box.itemText(n) for n in range(box.count)]


def test_a_model_is_installed_from_a_file_chosen_and_removed(user, packed):
    user.app.open_main_window()
    panel = user.widget.modelsPanel
    more = panel._manager
    assert not any("my-spect" in name for name in names_in_chooser(user))
    user.app.answer(str(packed))
    more.modelsInstallButton.click()
    user.app.wait_until(lambda: more.modelsInstallButton.enabled, 60)
    assert any("my-spect" in name for name in names_in_chooser(user)), more.modelsStatusLabel.text
    user.run_ui.modelComboBox.currentIndex = next(n for n, x in enumerate(names_in_chooser(user)) if "my-spect" in x)
    assert user.widget._parameterNode.model == "my-spect"
    row = next(r for r in range(more.modelsTable.rowCount) if more.modelsTable.item(r, 0).text() == "my-spect")
    more.modelsTable.selectRow(row)
    assert "my-spect" in more.modelsDetailsLabel.text
    user.app.answer(True)
    more.modelsRemoveButton.click()
    assert not any("my-spect" in name for name in names_in_chooser(user))
    assert user.widget._parameterNode.model != "my-spect"


def test_a_model_that_was_altered_is_refused_with_a_reason(user, packed, tmp_path):
    altered = tmp_path / "altered.zip"
    with zipfile.ZipFile(packed) as source, zipfile.ZipFile(altered, "w") as target:
        for name in source.namelist():
            content = bytearray(source.read(name))
            if name.endswith("model.pt"):
                content[len(content) // 2] ^= 1
            target.writestr(name, bytes(content))
    more = user.widget.modelsPanel._manager
    user.widget.modelsPanel.install(str(altered))
    user.app.wait_until(lambda: more.modelsInstallButton.enabled, 60)
    assert "SHA-256" in more.modelsStatusLabel.text
    assert not any("my-spect" in name for name in names_in_chooser(user))


def test_a_file_that_is_no_model_is_refused_with_a_reason(user, tmp_path):
    user.app.open_main_window()
    path = tmp_path / "bad.zip"
    path.write_bytes(b"not a zip")
    more = user.widget.modelsPanel._manager
    user.app.answer(str(path))
    more.modelsInstallButton.click()
    user.app.wait_until(lambda: more.modelsInstallButton.enabled, 60)
    assert "bad.zip" in more.modelsStatusLabel.text or "zip" in more.modelsStatusLabel.text


def test_models_that_came_with_manabi_cannot_be_removed_and_their_folder_opens(user):
    more = user.widget.modelsPanel._manager
    more.modelsTable.selectRow(0)
    assert "spect-default" in more.modelsDetailsLabel.text
    assert not more.modelsRemoveButton.enabled
    more.modelsFolderButton.click()
    assert len(user.app.recorder.opened) == 1


# --- DICOM and a user's own places --------------------------------------------------------------------------------


class Database:
    """Slicer's DICOM database with one file in it."""

    isOpen = True  # noqa: N815

    def __init__(self, path):
        import pydicom

        self.path, self.data = str(path), pydicom.dcmread(path, stop_before_pixels=True)

    def fileForInstance(self, uid):
        return self.path if uid == str(self.data.SOPInstanceUID) else ""

    def fileValue(self, path, tag):
        element = self.data.get((int(tag[:4], 16), int(tag[5:], 16)))
        return "" if element is None else str(element.value)


def test_dicom_is_exported_into_the_study_of_the_scan_as_a_new_series(user, tmp_path, monkeypatch):
    import pydicom
    import slicer

    from manabi.io.dicom import write_dicom
    from manabi.volume import Volume

    array = np.random.default_rng(3).poisson(60, (8, 24, 26)).astype(np.float32)
    (path,) = write_dicom(
        Volume(array, np.diag([-3.0, -3.0, 3.3, 1.0]), "NM", "CNTS"), tmp_path / "original", None,
        series_description="5 minutes", provenance={},
    )  # fmt: skip
    original = pydicom.dcmread(path)
    original.PatientID, original.PatientName = "4711", "Doe^Jane"
    original.save_as(path)
    monkeypatch.setattr(slicer, "dicomDatabase", Database(path), raising=False)
    scan = slicer.util.addVolumeFromArray(array, np.diag([-3.0, -3.0, 3.3, 1.0]), "5: Doe^Jane")
    scan.SetAttribute("DICOM.instanceUIDs", str(original.SOPInstanceUID))
    user.app.open_main_window()
    user.choose(scan)
    outputs = user.apply()
    user.app.answer(str(tmp_path))
    menu_action(user, "DICOM").trigger()
    assert user.boxes().keys() <= {"warning"}, user.boxes()
    (found,) = [path for path in tmp_path.rglob("denoised/*") if path.is_file()]
    made = pydicom.dcmread(found)
    assert (made.StudyInstanceUID, made.PatientID) == (original.StudyInstanceUID, "4711")
    assert made.SeriesInstanceUID != original.SeriesInstanceUID
    assert made.SOPClassUID == original.SOPClassUID == "1.2.840.10008.5.1.4.1.1.20"
    stored = made.pixel_array * float(made.get("RescaleSlope", 1.0)) + float(made.get("RescaleIntercept", 0.0))
    denoised = slicer.util.arrayFromVolume(outputs["volumes/denoised"])
    assert stored.sum() == pytest.approx(float(denoised.sum()), rel=0.05)


NO_NETWORK = """
import socket
def refuse(self, address):
    raise OSError(f"no network here: {address}")
socket.socket.connect = socket.socket.connect_ex = refuse
"""


def test_a_model_below_an_awkward_home_runs_without_network(slicer_app, packed, tmp_path, monkeypatch):
    """Install from a file, choose, Apply; the home has accents, blanks and Japanese in it; nothing may connect."""
    import os

    (tmp_path / "blocked").mkdir()
    (tmp_path / "blocked" / "sitecustomize.py").write_text(NO_NETWORK, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "blocked"), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("MANABI_HOME", str(tmp_path / "Modèles à moi é 学び"))
    user = User(slicer_app)
    more = user.widget.modelsPanel._manager
    user.widget.modelsPanel.install(str(packed))
    user.app.wait_until(lambda: more.modelsInstallButton.enabled, 60)
    user.choose(add_scan())
    box = user.run_ui.modelComboBox
    box.currentIndex = next(n for n, name in enumerate(names_in_chooser(user)) if "my-spect" in name)
    outputs = user.apply(120)
    assert "volumes/denoised" in outputs, user.boxes()
    assert "my-spect" in outputs["report"].GetText()
