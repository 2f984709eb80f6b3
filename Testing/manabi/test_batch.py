"""The batch: cases that fail, processes that die, kills and Ctrl-C; names; acceptance checks 8 and 9."""

from __future__ import annotations

import csv
import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time

import numpy as np
import psutil
import pytest
from worker_fixtures import image, is_running, use_site_methods

from manabi import log
from manabi.batch import pool
from manabi.batch.folder import BatchFolder
from manabi.batch.request import BatchRequest
from manabi.batch.run import run_batch
from manabi.cli.outcome import main
from manabi.errors import CancelledError, InvalidInputError
from manabi.io import read_volume, write_volume

PATIENT = "Tanaka Tarō 1950"


@pytest.fixture(autouse=True)
def site(monkeypatch):
    use_site_methods(monkeypatch)
    monkeypatch.setattr(log, "REDACTOR", log.Redactor())


@pytest.fixture
def source(tmp_path):
    """Four cases as files, named after patients; the third is cut short."""
    folder = tmp_path / "Kohorte für é"
    folder.mkdir()
    for index in range(4):
        write_volume(image(index), folder / f"{PATIENT} {index}.nii.gz")
    bad = folder / f"{PATIENT} 2.nii.gz"
    bad.write_bytes(bad.read_bytes()[:120])
    return folder


def ask(source, tmp_path, method="echo", **changes):
    return BatchRequest(method, source, tmp_path / "out", device="cpu", **changes)


def table(folder):
    with (folder / "batch.csv").open(encoding="utf-8", newline="") as file:
        return {row["case"]: row for row in csv.DictReader(file)}


# --- what a batch gives ---------------------------------------------------------------------------------------------


def test_a_bad_case_fails_with_its_reason_and_the_batch_goes_on(source, tmp_path):
    report = run_batch(ask(source, tmp_path))
    rows = table(report.folder)
    assert [row["status"] for row in rows.values()] == ["done", "done", "failed", "done"]
    assert "damaged" in rows["case-0003"]["error"]
    assert float(rows["case-0001"]["mean"]) == pytest.approx(float(image(0).array.mean()), rel=1e-5)
    assert rows["case-0001"]["device"] == "cpu" and float(rows["case-0001"]["seconds"]) >= 0
    assert int(rows["case-0001"]["warnings"]) >= 1
    assert (report.exit_code, len(report.done), len(report.failed)) == (2, 3, 1)
    words = report.log.read_text(encoding="utf-8")
    assert "case-0003: failed (exit code 2)" in words and "3 done, 1 failed, 0 not run" in words


def test_one_process_serves_all_cases_with_one_method(source, tmp_path):
    """Echo counts its runs per instance, as a method keeps its model per instance."""
    report = run_batch(ask(source, tmp_path))
    assert [row.measurements["runs"] for row in report.done] == [1, 2, 3]


def test_a_case_of_a_batch_is_that_of_a_run(source, tmp_path):
    """Acceptance check 10: the same numbers, one case or many."""
    run_batch(ask(source, tmp_path, settings=("gain=0.3", "mode=noisy"), seed=7))
    single = tmp_path / "single"
    arguments = ["run", "echo", str(source / f"{PATIENT} 3.nii.gz"), "--output", str(single), "--seed", "7",
                 "--device", "cpu", "--set", "gain=0.3", "--set", "mode=noisy"]  # fmt: skip
    assert main(arguments) == 0
    together = tmp_path / "out" / "case-0004"
    assert sorted(p.name for p in together.iterdir()) == sorted(p.name for p in single.iterdir())
    for name in ("echo.nii.gz", "half.nii.gz"):
        np.testing.assert_array_equal(read_volume(together / name).array, read_volume(single / name).array)
    ours, theirs = (json.loads((f / "measurements.json").read_text(encoding="utf-8")) for f in (together, single))
    assert ours.pop("runs") == 3 and theirs.pop("runs") == 1
    assert ours == theirs


def test_several_processes_give_the_same_table(source, tmp_path):
    one = run_batch(ask(source, tmp_path))
    several = run_batch(BatchRequest("echo", source, tmp_path / "several", device="cpu", workers=3))
    chosen = [[(r.case, r.status, r.error, r.measurements.get("mean")) for r in b.rows] for b in (one, several)]
    assert chosen[0] == chosen[1]


def test_nothing_that_is_not_private_names_a_patient(source, tmp_path):
    report = run_batch(ask(source, tmp_path))
    for file in report.folder.rglob("*"):
        assert "Tanaka" not in file.name
        if file.suffix in (".csv", ".log", ".json") and file.name != "cases.csv":
            assert "Tanaka" not in file.read_text(encoding="utf-8"), file.name
    private = report.folder / "cases.csv"
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert f"case-0001,{source / f'{PATIENT} 0.nii.gz'}" in private.read_text(encoding="utf-8")


def test_names_are_kept_where_asked_for(source, tmp_path):
    report = run_batch(ask(source, tmp_path, keep_names=True))
    assert (report.folder / f"{PATIENT} 0" / "echo.nii.gz").is_file()
    assert [row.case for row in report.rows] == [f"{PATIENT} {index}" for index in range(4)]


def test_progress_counts_cases(source, tmp_path):
    told = []
    run_batch(ask(source, tmp_path), lambda fraction, text: told.append((fraction, text)))
    fractions = [fraction for fraction, _ in told]
    assert fractions[0] == 0 and fractions[-1] == 1 and max(fractions) <= 1
    assert told[-1][1] == "4 of 4, 1 failed"
    assert any("case-0001" in text and "step" in text for _, text in told)


@pytest.mark.parametrize(
    ("method", "code", "words"), [("nomodel", 3, "No bundle"), ("breaks", 1, "RuntimeError"), ("full", 4, "space")]
)
def test_the_exit_code_is_the_largest_of_the_failures(source, tmp_path, method, code, words):
    report = run_batch(ask(source, tmp_path, method))
    assert {row.exit_code for row in report.rows} == {2, code}
    assert report.exit_code == max(2, code)
    assert words in report.rows[0].error
    assert ("Traceback" in report.log.read_text(encoding="utf-8")) == (code == 1)


def test_a_process_that_dies_is_one_failed_case_each(source, tmp_path):
    report = run_batch(ask(source, tmp_path, "dies", workers=2))
    assert [row.exit_code for row in report.rows] == [4, 4, 2, 4]
    assert "last words: no more memory" in report.rows[0].error


@pytest.mark.timeout(60)
def test_a_process_that_cannot_begin_fails_its_case_instead_of_hanging(source, tmp_path, monkeypatch):
    monkeypatch.setattr(BatchFolder, "child_lock", lambda self, number: self.path / "gone" / "x.lock")
    report = run_batch(ask(source, tmp_path))
    assert {row.status for row in report.rows} == {"failed"}
    assert all("No such file" in row.error for row in report.rows)


@pytest.mark.timeout(60)
def test_a_process_that_hangs_is_given_up_and_its_case_fails(source, tmp_path, monkeypatch):
    monkeypatch.setattr(pool, "SILENCE_S", 5.0)
    for index in (0, 1, 2):
        (source / f"{PATIENT} {index}.nii.gz").unlink()
    report = run_batch(ask(source, tmp_path, "freezes"))
    assert [row.status for row in report.rows] == ["failed"]
    assert "hung: it was not heard of for 5 s" in report.rows[0].error and report.exit_code == 4
    assert not psutil.Process().children(recursive=True)


def test_a_table_that_another_program_holds_does_not_stop_the_batch(source, tmp_path):
    """As on Windows while Excel has it open; a folder in its place stands for that here."""
    held = tmp_path / "out" / "batch.csv"
    ran = []

    def on_progress(fraction, text):
        if not ran:
            held.mkdir()
        if ran and text == "3 of 4, 1 failed":
            held.rmdir()
        ran.append(text)

    report = run_batch(ask(source, tmp_path), on_progress)
    assert len(report.done) == 3 and report.notes == ()
    assert len(table(tmp_path / "out")) == 4
    assert report.log.read_text(encoding="utf-8").count("batch.csv could not be written") == 1


def test_a_table_that_could_not_be_written_at_all_is_told(source, tmp_path):
    report = run_batch(ask(source, tmp_path), lambda *_: (tmp_path / "out" / "batch.csv").mkdir(exist_ok=True))
    assert len(report.done) == 3 and "the same command then writes it" in report.notes[0]
    (tmp_path / "out" / "batch.csv").rmdir()
    assert run_batch(ask(source, tmp_path)).kept == 3
    assert len(table(tmp_path / "out")) == 4


# --- going on -----------------------------------------------------------------------------------------------------


def test_the_same_command_does_only_what_is_missing(source, tmp_path):
    run_batch(ask(source, tmp_path))
    before = (tmp_path / "out" / "case-0001" / "echo.nii.gz").stat().st_mtime_ns
    write_volume(image(9), source / f"{PATIENT} 2.nii.gz", overwrite=True)
    write_volume(image(9), source / "Abe.nii.gz")
    report = run_batch(ask(source, tmp_path))
    assert (report.exit_code, report.kept, len(report.done)) == (0, 3, 5)
    assert (tmp_path / "out" / "case-0001" / "echo.nii.gz").stat().st_mtime_ns == before
    assert "Abe" in (report.folder / "cases.csv").read_text(encoding="utf-8").splitlines()[5]


def test_a_batch_is_not_continued_with_other_options(source, tmp_path):
    run_batch(ask(source, tmp_path))
    with pytest.raises(InvalidInputError, match="other parameters, seed"):
        run_batch(ask(source, tmp_path, settings=("gain=2",), seed=1))
    report = run_batch(ask(source, tmp_path, settings=("gain=2",), seed=1, overwrite=True))
    assert (report.kept, len(report.done)) == (0, 3)


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_that_is_no_batchs_is_not_touched(source, tmp_path, overwrite):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "work.txt").write_text("weeks of work", encoding="utf-8")
    with pytest.raises(InvalidInputError, match="no batch's"):
        run_batch(ask(source, tmp_path, overwrite=overwrite))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["work.txt"]


def command(source, tmp_path, method, *more):
    words = [sys.executable, "-m", "manabi", "batch", method, str(source), "--output", str(tmp_path / "out"),
             "--device", "cpu", *more]  # fmt: skip
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
    return subprocess.Popen(words, start_new_session=True, text=True, **pipes)


def wait_until(condition, seconds=40):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def descendants(process):
    return [child.pid for child in psutil.Process(process.pid).children(recursive=True)]


def test_a_killed_batch_continues_and_cleans_up(source, tmp_path, monkeypatch):
    """SIGKILL while the second case is being written: the first is kept, nothing half written stays."""
    out = tmp_path / "out"
    monkeypatch.setenv("MANABI_TEST_PAUSE", "case-0002")
    process = command(source, tmp_path, "pauses")
    wait_until(lambda: list(out.glob(".manabi-*case-0002")))
    children = descendants(process)
    process.kill()
    process.wait()
    process.communicate()
    assert (out / "case-0001" / "result.json").is_file() and not (out / "case-0002").exists()
    before = (out / "case-0001" / "echo.nii.gz").stat().st_mtime_ns
    monkeypatch.delenv("MANABI_TEST_PAUSE")
    report = run_batch(ask(source, tmp_path, "pauses"))
    assert (report.kept, len(report.done), report.exit_code) == (1, 3, 2)
    assert (out / "case-0001" / "echo.nii.gz").stat().st_mtime_ns == before
    assert not list(out.glob(".manabi-*"))
    assert not any(is_running(pid) for pid in children)


def test_ctrl_c_leaves_nothing_half_done_and_no_process(source, tmp_path):
    process = command(source, tmp_path, "slow", "--json")
    wait_until(lambda: (tmp_path / "out" / ".batch-0.lock").exists())
    time.sleep(0.5)
    children = descendants(process)
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=20)
    assert process.returncode == 130
    assert json.loads(printed)["error"]["type"] == "CancelledError"
    assert children and not any(is_running(pid) for pid in children)
    rows = table(tmp_path / "out")
    assert {row["status"] for row in rows.values()} == {"not run"}
    left = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert left == [".batch.lock", "batch.csv", "batch.json", "batch.log", "cases.csv"]


def test_a_second_batch_in_the_same_folder_is_refused(source, tmp_path):
    process = command(source, tmp_path, "slow")
    try:
        wait_until(lambda: (tmp_path / "out" / ".batch-0.lock").exists())
        with pytest.raises(InvalidInputError, match="Another batch is running"):
            run_batch(ask(source, tmp_path, "slow"))
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)


def test_cancelling_from_a_program_raises(source, tmp_path):
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(CancelledError, match="the same command continues"):
        run_batch(ask(source, tmp_path), cancel=cancel)


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_command_tells_how_many_failed_and_where_to_look(source, tmp_path, capfd):
    (source / "notes.txt").write_text("x", encoding="utf-8")
    assert main(["batch", "echo", str(source), "-o", str(tmp_path / "out"), "--device", "cpu"]) == 2
    printed = capfd.readouterr()
    assert "3 of 4 cases done" in printed.out and "1 failed" in printed.out and "case-0003" in printed.out
    for name in ("batch.csv", "batch.log", "cases.csv"):
        assert str(tmp_path / "out" / name) in printed.out
    assert "no images: 1 file(s)" in printed.err
    assert main(["batch", "echo", str(source), "-o", str(tmp_path / "out"), "--device", "cpu", "--json"]) == 2
    record = json.loads(capfd.readouterr().out)
    assert (record["done"], record["kept"], record["failures"][0]["case"]) == (3, 3, "case-0003")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--set", "gain=11"], "gain must lie between"),
        (["--pattern", "ct=*.nii", "--pattern", "ct=*.nrrd"], "one pattern"),
        (["--overwrite", "--resume"], "say one of them"),
        (["--bundle", "nosuch"], "No bundle"),
        (["--workers", "0"], "workers"),
        (["--pattern", "image="], "pattern '' of image is none"),
        (["--pattern", "image=/abs/*"], "pattern '/abs/*' of image is none"),
    ],
)
def test_a_batch_that_cannot_be_run_writes_nothing(source, tmp_path, capfd, more, message):
    method = "pair" if more[1:2] == ["ct=*.nii"] else "echo"
    code = main(["batch", method, str(source), "-o", str(tmp_path / "out"), *more])
    assert code == (3 if "--bundle" in more else 2)
    assert message in capfd.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_output_that_cannot_be_made_is_refused_in_words(source, tmp_path, capfd):
    (tmp_path / "file").write_text("x", encoding="utf-8")
    for command in (["batch", "echo", source], ["run", "echo", source / f"{PATIENT} 0.nii.gz"]):
        assert main([*map(str, command), "-o", str(tmp_path / "file" / "out"), "--device", "cpu"]) == 2
        printed = capfd.readouterr().err
        assert "Name a folder" in printed and "Errno" not in printed
    with pytest.raises(InvalidInputError, match="Name a folder"):
        write_volume(image(), tmp_path / "file" / "out" / "x.nii.gz")


def test_what_is_left_out_of_a_source_is_told(source, tmp_path, capfd):
    (source / "ghost.nii.gz").symlink_to(tmp_path / "nowhere")
    assert main(["batch", "echo", str(source), "-o", str(tmp_path / "out"), "--device", "cpu"]) == 2
    assert "1 entry of the source could not be read" in capfd.readouterr().err
    assert "1 entry of the source" in (tmp_path / "out" / "batch.log").read_text(encoding="utf-8")


# --- acceptance checks 8 and 9 ----------------------------------------------------------------------------------------


def test_twenty_cases_with_one_corrupt_give_nineteen_results_a_log_and_no_dialog(tmp_path):
    """In a process without a screen and without anybody to answer, which ends by itself."""
    folder = tmp_path / "cases"
    folder.mkdir()
    for index in range(20):
        write_volume(image(index), folder / f"{index:02d}.nii.gz")
    (folder / "07.nii.gz").write_bytes(b"\x1f\x8b" + os.urandom(500))
    environment = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    words = [sys.executable, "-m", "manabi", "batch", "echo", str(folder), "-o", str(tmp_path / "out")]
    done = subprocess.run(words, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    rows = table(tmp_path / "out")
    assert [name for name, row in rows.items() if row["status"] == "failed"] == ["case-0008"]
    assert len(list((tmp_path / "out").glob("case-*/result.json"))) == 19
    assert "19 done, 1 failed" in (tmp_path / "out" / "batch.log").read_text(encoding="utf-8")
    assert "19 of 20 cases done" in done.stdout
