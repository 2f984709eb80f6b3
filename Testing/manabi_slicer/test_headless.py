"""Manabi in Slicer without its window: same files and exit codes as ``manabi``, no dialog, and Slicer always ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from manabi.io import read_volume, write_volume
from manabi.volume import Volume

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "manabi_slicer" / "headless.py"
FLAGS = ["--no-splash", "--no-main-window", "--python-script", str(SCRIPT)]
QUICK = ["--set", "denoiser=gaussian", "--set", "quantify=false"]


def slicer(*arguments, cwd):
    """Run the stand-in for Slicer in a process of its own, in which manabi is not installed beside the script."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "Testing"), "QT_QPA_PLATFORM": "offscreen"}
    command = [sys.executable, "-m", "slicer_standin.command_line", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=200)


@pytest.fixture
def scan(tmp_path):
    array = np.random.default_rng(0).poisson(60, (8, 24, 26)).astype(np.float32)
    return write_volume(Volume(array, np.diag([3.0, 3.0, 3.3, 1.0]), "NM", "CNTS"), tmp_path / "scan.nii.gz")


def test_run_writes_what_manabi_run_writes_and_leaves_slicer(scan, tmp_path, capfd):
    from manabi.cli.outcome import main

    ended = slicer(*FLAGS, "spect", scan, "--output", "from-slicer", *QUICK, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert main(["run", "spect", str(scan), "--output", str(tmp_path / "from-manabi"), *QUICK]) == 0
    there, here = (read_volume(tmp_path / folder / "denoised.nii.gz") for folder in ("from-slicer", "from-manabi"))
    np.testing.assert_array_equal(there.array, here.array)
    names = [sorted(p.name for p in (tmp_path / folder).rglob("*")) for folder in ("from-slicer", "from-manabi")]
    assert names[0] == names[1]


def test_json_goes_to_the_real_stdout_of_slicer(scan, tmp_path):
    ended = slicer(*FLAGS, "spect", scan, "--output", "out", "--json", *QUICK, cwd=tmp_path)
    assert json.loads(ended.stdout.splitlines()[-1])["format"] == "manabi-result/1"


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["spect", "missing.nii.gz", "--output", "out"], 2, "missing.nii.gz"),
        (["spect", "scan.nii.gz", "--output", "out", "--bundle", "no-such"], 3, "no-such"),
        (["spect", "scan.nii.gz"], 2, "--output"),
        (["no-method", "scan.nii.gz", "--output", "out"], 2, "no-method"),
        (["help", "run"], 0, "METHOD"),
        ([], 0, "run"),
        (["bundle", "list"], 0, "spect-default"),
    ],
)  # fmt: skip
def test_slicer_ends_with_the_exit_code_of_the_command(arguments, status, said, scan, tmp_path):
    ended = slicer(*FLAGS, *arguments, cwd=tmp_path)
    assert ended.returncode == status, ended.stderr
    assert said in ended.stdout + ended.stderr
    assert not (tmp_path / "out").exists()


def test_a_batch_with_a_bad_scan_gives_the_good_ones_a_log_and_a_status(scan, tmp_path):
    folder = tmp_path / "scans"
    folder.mkdir()
    for name in ("a", "b", "c"):
        (folder / f"{name}.nii.gz").write_bytes(scan.read_bytes())
    (folder / "b.nii.gz").write_bytes(b"not an image")
    ended = slicer(*FLAGS, "batch", "spect", folder, "--output", "all", *QUICK, cwd=tmp_path)
    assert ended.returncode == 2, ended.stderr
    assert len(list((tmp_path / "all").rglob("denoised.nii.gz"))) == 2
    rows = (tmp_path / "all" / "batch.csv").read_text(encoding="utf-8").splitlines()
    assert len(rows) == 4
    assert (tmp_path / "all" / "batch.log").is_file()


def test_missing_packages_are_told_where_nobody_can_be_asked(slicer_app, monkeypatch, capsys):
    from manabi_slicer import headless
    from manabi_slicer.install import requirements

    monkeypatch.setattr(requirements, "requirements", lambda: ["no-such-package-of-manabi>=1"])
    monkeypatch.setattr(headless, "_use_real_streams", lambda: None)
    assert headless.main(["list"]) == 3
    said = capsys.readouterr().err
    assert "no-such-package-of-manabi" in said
    assert "--install" in said


def test_install_installs_without_a_question(slicer_app, monkeypatch):
    from manabi_slicer import headless
    from manabi_slicer.install import requirements

    monkeypatch.setattr(requirements, "requirements", lambda: ["no-such-package-of-manabi>=1"])
    monkeypatch.setattr(headless, "_use_real_streams", lambda: None)
    assert headless.main(["--install", "list"]) == 0
    (name, call), = slicer_app.recorder.installed
    assert name == "pip_ensure"
    assert call["missing"] == ["no-such-package-of-manabi>=1"]
    assert slicer_app.asked == []
