"""The command line: exit codes, one JSON object, results whole or not at all, quick to start."""

from __future__ import annotations

import csv
import json
import logging
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from worker_fixtures import AWKWARD, image, is_running, use_site_methods

import manabi
from manabi import log, registry
from manabi.cli.bench import bench
from manabi.cli.outcome import main
from manabi.errors import InvalidInputError, ManabiError
from manabi.io import read_volume, write_volume
from manabi.phantoms.base import Case, Phantom, case_rng

MANABI = (sys.executable, "-m", "manabi")


@pytest.fixture(autouse=True)
def site(monkeypatch):
    use_site_methods(monkeypatch)
    yield
    root = logging.getLogger()
    for handler in [h for h in root.handlers if h.formatter is log.REDACTOR]:
        root.removeHandler(handler)
        handler.close()
    logging.captureWarnings(False)


@pytest.fixture
def scan(tmp_path):
    """A NIfTI file whose name identifies a patient, in an awkward folder."""
    folder = tmp_path / AWKWARD
    folder.mkdir()
    return write_volume(image(), folder / "Tanaka Taro.nii.gz")


def run(capfd, *arguments):
    """Exit code, stdout, stderr of one command."""
    code = main([str(text) for text in arguments])
    captured = capfd.readouterr()
    return code, captured.out, captured.err


def run_json(capfd, *arguments):
    code, out, _ = run(capfd, *arguments, "--json")
    assert out.count("\n") == 1
    return code, json.loads(out)


# --- what there is -----------------------------------------------------------------------------------------------


def test_version(capfd):
    assert run(capfd, "--version")[:2] == (0, f"{manabi.__version__}\n")


def test_list_names_every_method_and_phantom(capfd):
    code, out, _ = run(capfd, "list")
    assert code == 0
    assert all(name in out for name in (*registry.METHODS, *registry.PHANTOMS, "echo"))
    _, record = run_json(capfd, "list")
    assert [m["name"] for m in record["methods"]] == list(registry.all_methods())


@pytest.mark.parametrize("arguments", [["--help"], ["list"], ["run", "--help"], ["bundle", "--help"]])
def test_start_imports_nothing_heavy(arguments):
    code = (
        "import sys; from manabi.cli.outcome import main; code = main(sys.argv[1:]);"
        "heavy = ('torch', 'monai', 'numpy', 'SimpleITK', 'pydicom', 'skimage', 'matplotlib', 'psutil');"
        "sys.stderr.write(repr([code, [m for m in heavy if m in sys.modules]]))"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    assert done.stderr == "[0, []]"


# --- run ---------------------------------------------------------------------------------------------------------


def test_run_writes_results_and_tells(capfd, scan, tmp_path):
    code, out, err = run(capfd, "run", "echo", scan, "--output", tmp_path / "out", "--set", "gain=2", "--seed", 5)
    assert code == 0
    assert "mean" in out
    assert f"Results: {tmp_path / 'out'}" in out
    assert "echo warns" in err
    written = read_volume(tmp_path / "out" / "echo.nii.gz")
    np.testing.assert_allclose(written.array, 2 * image().array, rtol=1e-6)
    np.testing.assert_allclose(written.ijk_to_ras, read_volume(scan).ijk_to_ras, atol=1e-4)
    record = json.loads((tmp_path / "out" / "result.json").read_text(encoding="utf-8"))
    assert record["provenance"]["seed"] == 5
    assert record["provenance"]["parameters"]["gain"] == 2.0


def test_run_json_is_one_object_even_when_a_library_prints(capfd, scan, tmp_path):
    out = tmp_path / "out"
    code, record = run_json(capfd, "run", "echo", scan, "--output", out, "--set", "mode=noisy", "--format", "nrrd")
    assert code == 0
    assert record["measurements"]["count"] == 60
    assert "echo warns" in record["warnings"]
    assert record["provenance"]["method"] == "echo"
    assert record["outputs"]["volumes"]["echo"] == str(out / "echo.nrrd")


def test_inputs_by_name(capfd, scan, tmp_path):
    other = write_volume(image(1), tmp_path / "mr=1.nii.gz")
    code, record = run_json(capfd, "run", "pair", f"mr={other}", scan, "--output", tmp_path / "out")
    expected = (image().array.astype(float) + image(1).array).mean()
    assert (code, record["measurements"]["mean"]) == (0, pytest.approx(expected))
    code, record = run_json(capfd, "run", "pair", scan, other, "--output", tmp_path / "out2")
    assert code == 2
    assert "ct=" in record["error"]["message"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "nosuch", "SCAN"], "Unknown method"),
        (["run", "echo", "SCAN", "--set", "gain=11"], "gain must lie between"),
        (["run", "echo", "SCAN", "--set", "gain"], "key=value"),
        (["run", "echo", "SCAN", "--set", "size=1"], "Unknown parameter"),
        (["run", "echo", "SCAN", "--series", "other=1.2"], "series"),
        (["run", "echo", "/no/such/file.nii"], "no file or folder"),
        (["run", "echo", "SCAN", "--format", "bmp"], "bmp"),
        (["run", "echo", "SCAN", "--seed", "-1"], "--seed"),
        (["run", "echo"], "missing: image"),
        (["phantom", "nosuch"], "Unknown phantom"),
        (["demo", "nosuch"], "Unknown method"),
    ],
)
def test_bad_usage_ends_with_2_and_says_why(capfd, scan, tmp_path, arguments, message):
    given = [str(scan) if text == "SCAN" else text for text in arguments] + ["--output", str(tmp_path / "out")]
    code, out, err = run(capfd, *given)
    assert (code, out) == (2, "")
    assert message in err
    if arguments[0] == "run":
        code, record = run_json(capfd, *given)
        assert (code, record["error"]["exit_code"]) == (2, 2)
        assert message in record["error"]["message"]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("method", "code", "kind"),
    [("nomodel", 3, "ModelNotFoundError"), ("full", 4, "OSError"), ("breaks", 1, "RuntimeError")],
)
def test_exit_code_tells_the_kind_of_trouble(capfd, scan, tmp_path, method, code, kind):
    got, record = run_json(capfd, "run", method, scan, "--output", tmp_path / "out")
    assert (got, record["error"]["type"], record["error"]["exit_code"]) == (code, kind, code)
    assert not (tmp_path / "out").exists()


def test_unexpected_error_goes_to_the_log_without_paths(capfd, scan, tmp_path):
    code, _, err = run(capfd, "run", "breaks", scan, "--output", tmp_path / "out")
    assert code == 1
    assert str(log.log_file()) in err
    assert "Traceback" not in err
    text = log.log_file().read_text(encoding="utf-8")
    assert "in _run" in text
    assert "Tanaka" not in text
    assert "Traceback" in run(capfd, "run", "breaks", scan, "--output", tmp_path / "out", "--debug")[2]


def test_former_results_are_not_touched_without_overwrite(capfd, scan, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "work.txt").write_text("weeks of work", encoding="utf-8")
    code, _, err = run(capfd, "run", "echo", scan, "--output", out)
    assert (code, "--overwrite" in err) == (2, True)
    assert [path.name for path in out.iterdir()] == ["work.txt"]
    assert run(capfd, "run", "echo", scan, "--output", out, "--overwrite")[0] == 0
    assert not (out / "work.txt").exists()


# --- Ctrl-C ------------------------------------------------------------------------------------------------------


def start(*arguments):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([*MANABI, *map(str, arguments)], start_new_session=True, text=True, **pipes)


def wait_for(path):
    deadline = time.monotonic() + 30
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert path.exists()


def test_ctrl_c_cancels_and_leaves_nothing(scan, tmp_path, monkeypatch):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    process = start("run", "slow", scan, "--output", tmp_path / "deep" / "out", "--json")
    deadline = time.monotonic() + 30
    while not list(scratch.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=10)
    assert process.returncode == 130
    assert json.loads(out)["error"]["type"] == "CancelledError"
    assert not (tmp_path / "deep").exists()


def test_second_ctrl_c_ends_what_does_not_listen(scan, tmp_path):
    marker = tmp_path / "child.pid"
    process = start("run", "deaf", scan, "--output", tmp_path / "out", "--set", f"marker={marker}")
    wait_for(marker)
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 130
    process.communicate()
    assert not is_running(int(marker.read_text(encoding="utf-8")))
    assert not (tmp_path / "out").exists()


# --- bundles -----------------------------------------------------------------------------------------------------


def test_missing_bundle_is_model_trouble(capfd, tmp_path):
    for command in ("show", "verify", "remove"):
        assert run(capfd, "bundle", command, "nosuch")[0] == 3
    assert run(capfd, "bundle", "export", "nosuch", tmp_path / "x.zip")[0] == 3
    assert not (tmp_path / "x.zip").exists()


def test_install_refuses_what_is_no_bundle(capfd, scan):
    code, _, err = run(capfd, "bundle", "install", scan)
    assert code in (2, 3)
    assert err.startswith("Error: ")


# --- phantoms ----------------------------------------------------------------------------------------------------


class TinyPhantom(Phantom):
    """A box of numbers; counts how many cases were rendered."""

    name = "tiny"
    method = "echo"
    rendered = 0

    def sample_parameters(self, rng, size=4, word="none"):
        return {"value": float(rng.random()), "size": size, "word": word}

    def to_json(self, parameters):
        return json.dumps(parameters)

    def pair(self, parameters):
        return "noisy", "clean"

    def render_batch(self, parameters, context=None):
        type(self).rendered += len(parameters)
        clean = [image(shape=(p["size"],) * 3).like(np.full((p["size"],) * 3, p["value"])) for p in parameters]
        return [
            Case({"noisy": v.like(v.array + np.arange(v.array.size).reshape(v.shape)), "clean": v},
                 truth={"value": p["value"]})
            for v, p in zip(clean, parameters, strict=True)
        ]  # fmt: skip


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(registry, "phantom", lambda name: TinyPhantom())
    monkeypatch.setattr("worker_methods.Echo.phantom", "tiny")
    monkeypatch.setattr(TinyPhantom, "rendered", 0)


def test_cohort_follows_from_its_seed_and_resumes(tiny, capfd, tmp_path):
    out = tmp_path / AWKWARD
    assert run(capfd, "phantom", "tiny", "--count", 2, "--seed", 9, "--output", out, "--set", "size=3")[0] == 0
    before = (out / "case-0001" / "noisy.nii.gz").read_bytes()
    assert run(capfd, "phantom", "tiny", "--count", 6, "--seed", 9, "--output", out, "--set", "size=3")[0] == 0
    assert TinyPhantom.rendered == 6
    assert (out / "case-0001" / "noisy.nii.gz").read_bytes() == before
    with (out / "cohort.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["value"]) for row in rows] == [case_rng(9, index).random() for index in range(6)]
    assert (out / rows[5]["input"]).name == "noisy.nii.gz"
    assert read_volume(out / rows[5]["target"]).array.flat[0] == pytest.approx(float(rows[5]["value"]))
    assert json.loads((out / "case-0003" / "case.json").read_text())["size"] == 3


def test_interrupted_case_is_made_again(tiny, capfd, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(28, "disk full")

    with monkeypatch.context() as broken:
        broken.setattr("manabi.phantoms.cohort.write_json", fail)
        assert run(capfd, "phantom", "tiny", "--output", tmp_path / "c")[0] == 4
    assert not list(tmp_path.glob("c/*"))
    assert run(capfd, "phantom", "tiny", "--output", tmp_path / "c")[0] == 0


def test_cases_of_another_seed_are_not_mixed_in(tiny, capfd, tmp_path):
    assert run(capfd, "phantom", "tiny", "--output", tmp_path / "c", "--seed", 1)[0] == 0
    code, _, err = run(capfd, "phantom", "tiny", "--output", tmp_path / "c", "--seed", 2, "--count", 2)
    assert (code, "other parameters" in err) == (2, True)
    assert not (tmp_path / "c" / "case-0001").exists()


def test_unknown_phantom_parameter_is_refused(tiny, capfd, tmp_path):
    assert run(capfd, "phantom", "tiny", "--output", tmp_path / "c", "--set", "colour=blue")[0] == 2


# --- demo and bench ----------------------------------------------------------------------------------------------


def test_demo_runs_the_method_on_its_phantom_and_says_simulated(tiny, capfd, tmp_path):
    code, out, _ = run(capfd, "demo", "echo", "--output", tmp_path / "d")
    assert code == 0
    assert "simulated" in out.splitlines()[-1]
    assert sorted(path.name for path in (tmp_path / "d").iterdir()) == ["comparison.json", "phantom", "result"]
    shown = read_volume(tmp_path / "d" / "result" / "echo.nii.gz").array
    np.testing.assert_allclose(shown, read_volume(tmp_path / "d" / "phantom" / "noisy.nii.gz").array)
    code, record = run_json(capfd, "demo", "echo", "--output", tmp_path / "d", "--overwrite")
    assert (code, "simulated" in record["simulated"]) == (0, True)


def test_bench_runs_scripts_and_reports_the_failed(tmp_path, capfd):
    (tmp_path / "bench_good.py").write_text("print('ratio 3.0')", encoding="utf-8")
    bench([], tmp_path)
    assert "ratio 3.0" in capfd.readouterr().out
    (tmp_path / "bench_bad.py").write_text("raise SystemExit(1)", encoding="utf-8")
    with pytest.raises(ManabiError, match="1 of 2 benchmarks failed: bad"):
        bench([], tmp_path)
    with pytest.raises(InvalidInputError, match="Known: bad, good"):
        bench(["nosuch"], tmp_path)


def test_bench_without_a_source_checkout_says_what_to_do(tmp_path):
    with pytest.raises(InvalidInputError, match="source"):
        bench([], tmp_path)


# --- logging -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "cannot open /data/Tanaka_Taro/ct.dcm",
        "File '/data/Tanaka Taro/ct.dcm' is bad",
        'No such file: "C:\\\\patients\\\\Tanaka\\\\ct.dcm"',
        "D:/scans/Tanaka/1.dcm",
    ],
)
def test_log_redacts_paths(text):
    assert "Tanaka" not in log.Redactor().redact(text)


def test_log_redacts_the_values_that_pydicom_quotes():
    text = "Invalid value for VR DA: '1950.01.01'. and Invalid value for VR PN: \"O'Tanaka\" in 2"
    redacted = log.Redactor().redact(text)
    assert redacted == "Invalid value for VR DA: <value>. and Invalid value for VR PN: <value> in 2"


def test_log_keeps_what_helps():
    kept = f'File "{manabi.__file__}", line 3, in x: 1/2 of https://example.org/a at 3.5 mm/s'
    assert log.Redactor().redact(kept) == kept


def test_log_hides_the_names_of_inputs(monkeypatch):
    monkeypatch.setattr(log, "REDACTOR", log.Redactor())
    log.hide_paths(["scans/Tanaka Taro.nii"])
    assert log.REDACTOR.redact("reading Tanaka Taro.nii of Tanaka Taro") == "reading <input> of <input>"
