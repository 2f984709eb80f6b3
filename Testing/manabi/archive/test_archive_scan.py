"""Indexing a folder of anything: what is found, what is not read twice, what a kill leaves, what is never forgotten."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time

import pytest
from archive_files import save, slice_of, write_series, write_spect

from manabi.archive import scan
from manabi.archive.facts import DAMAGED, IMAGE, OBJECT, OTHER, read_record
from manabi.archive.index import Index
from manabi.archive.scan import index_files, index_folder
from manabi.archive.series import archived_series
from manabi.errors import CancelledError, InvalidInputError


@pytest.fixture
def archive(tmp_path):
    """Two series without suffixes and in depth, a SPECT, a DICOMDIR, a report, a broken file, a cut one, and others."""
    folder = tmp_path / "archive é"
    write_series(folder / "A" / "B" / "C", 12, SeriesDescription="one")
    write_series(folder / "A", 9, SeriesDescription="two", StudyInstanceUID="1.2.5", name="{}")
    write_spect(folder / "spect.dcm", StudyInstanceUID="1.2.6")
    save(slice_of("SR", Rows=None, Columns=None, PixelData=None), folder / "report")
    (folder / "notes.txt").write_text("no DICOM", encoding="utf-8")
    (folder / "empty").touch()
    cut = save(slice_of(SeriesInstanceUID="1.2.7"), folder / "cut")
    cut.write_bytes(cut.read_bytes()[:-4])
    (folder / "broken").write_bytes(b"\0" * 128 + b"DICM" + b"\xff" * 40)
    (folder / ".hidden").mkdir()
    write_series(folder / ".hidden", 2)
    return folder


def contents(index):
    """Everything in an index but the numbers that SQLite gives to rows."""
    with Index.opened(index) as opened:
        rows = [(f.path, f.stamp, f.record) for f in opened.files()]
        return rows, opened.counts(), opened.is_complete()


def test_a_folder_of_anything_is_indexed_by_content(archive, tmp_path):
    report = index_folder(archive, tmp_path / "index.sqlite")
    assert report.counts == {IMAGE: 22, OBJECT: 1, OTHER: 2, DAMAGED: 2}
    assert (report.read, report.kept, report.gone) == (27, 0, 0)
    assert report.notes == ["2 DICOM file(s) are damaged or truncated and left out."]
    with Index.opened(tmp_path / "index.sqlite") as index:
        series = archived_series(index.files())
        assert [path.name for path in index.paths_of_kind(DAMAGED)] == ["broken", "cut"]
    assert sorted((s.facts.modality, s.n_slices) for s in series) == [("CT", 9), ("CT", 12), ("NM", 40), ("SR", 0)]
    spect = next(s for s in series if s.facts.modality == "NM")
    assert (spect.orientation, round(spect.spacing_mm, 2), round(spect.extent_mm)) == ("axial", 3.3, 132)
    if os.name == "posix":
        assert stat.S_IMODE((tmp_path / "index.sqlite").stat().st_mode) == 0o600


def test_unchanged_files_are_not_read_again_and_changed_new_and_gone_ones_are_noticed(archive, tmp_path, monkeypatch):
    index = tmp_path / "index.sqlite"
    index_folder(archive, index)
    read = []
    monkeypatch.setattr(scan, "read_record", lambda path, names: read.append(path.name) or read_record(path, names))
    assert index_folder(archive, index).read == 0
    assert read == []
    (archive / "A" / "3").unlink()
    (archive / "notes.txt").write_text("other words", encoding="utf-8")
    save(slice_of(), archive / "new")
    report = index_folder(archive, index)
    assert sorted(read) == ["new", "notes.txt"]
    assert (report.read, report.kept, report.gone) == (2, 25, 1)
    again = tmp_path / "again.sqlite"
    index_folder(archive, again)
    assert contents(index) == contents(again)


def test_a_dicomdir_stands_for_its_folder_and_says_what_is_missing(tmp_path):
    from pydicom.fileset import FileSet

    paths = write_series(tmp_path / "pile", 4, StudyDate="20240101", StudyTime="120000", StudyID="1")
    files = FileSet()
    for path in paths:
        files.add(path)
    files.write(tmp_path / "disc")
    whole = index_folder(tmp_path / "disc" / "DICOMDIR", tmp_path / "a.sqlite")
    assert (whole.counts[IMAGE], whole.not_there) == (4, 0)
    next(path for path in (tmp_path / "disc").rglob("*") if path.is_file() and path.name != "DICOMDIR").unlink()
    lacking = index_folder(tmp_path / "disc", tmp_path / "b.sqlite")
    assert (lacking.counts[IMAGE], lacking.not_there) == (3, 1)
    assert "the copy may be incomplete" in lacking.notes[-1]


def test_the_index_may_lie_in_the_archive(archive):
    first = index_folder(archive, archive / "index.sqlite")
    assert index_folder(archive, archive / "index.sqlite").counts == first.counts


def test_a_list_of_files_is_indexed_where_they_lie(tmp_path):
    paths = write_series(tmp_path / "here", 3) + write_series(tmp_path / "there", 2, StudyInstanceUID="1.2.9")
    report = index_files([*paths, tmp_path / "lost"], tmp_path / "index.sqlite")
    assert (report.counts, report.read) == ({IMAGE: 5}, 5)
    assert index_files(paths[:3], tmp_path / "index.sqlite").gone == 2


def test_a_disk_that_is_not_connected_does_not_empty_the_index(archive, tmp_path):
    index_folder(archive, tmp_path / "index.sqlite")
    before = contents(tmp_path / "index.sqlite")
    shutil.move(archive, tmp_path / "elsewhere")
    archive.mkdir()
    with pytest.raises(InvalidInputError, match="connected"):
        index_folder(archive, tmp_path / "index.sqlite")
    assert contents(tmp_path / "index.sqlite")[:2] == before[:2]


def test_what_lies_in_a_folder_that_cannot_be_listed_is_kept(archive, tmp_path, monkeypatch):
    index_folder(archive, tmp_path / "index.sqlite")
    real = os.scandir

    def refused(path):
        if os.fsencode(path).endswith(b"C"):
            raise PermissionError(13, "no")
        return real(path)

    monkeypatch.setattr(scan.os, "scandir", refused)
    report = index_folder(archive, tmp_path / "index.sqlite")
    assert (report.folders_unread, report.gone, report.counts[IMAGE]) == (1, 0, 22)


def test_links_to_folders_and_special_files_are_passed_by(tmp_path):
    folder = tmp_path / "archive"
    write_series(folder, 2)
    (folder / "circle").symlink_to(folder)
    (folder / "dangling").symlink_to(tmp_path / "nowhere")
    os.mkfifo(folder / "pipe")
    report = index_folder(folder, tmp_path / "index.sqlite")
    assert (report.counts, report.links) == ({IMAGE: 2}, 1)


def test_names_that_are_no_unicode_are_kept(tmp_path):
    folder = tmp_path / "archive"
    (path,) = write_series(folder, 1)
    path.rename(os.fsdecode(os.fsencode(folder) + b"/\xff\xfe"))
    index_folder(folder, tmp_path / "index.sqlite")
    with Index.opened(tmp_path / "index.sqlite") as index:
        assert [os.fsencode(file.path.name) for file in index.files()] == [b"\xff\xfe"]


def test_cancelling_keeps_what_was_read_and_the_same_call_goes_on(archive, tmp_path, monkeypatch):
    monkeypatch.setattr(scan, "CHUNK", 8)
    cancel, index = threading.Event(), tmp_path / "index.sqlite"
    with pytest.raises(CancelledError, match="goes on"):
        index_folder(archive, index, lambda fraction, text: cancel.set(), cancel)
    assert len(contents(index)[0]) in range(1, 23)
    assert contents(index)[2] is False
    assert index_folder(archive, index).read == 27 - 8
    index_folder(archive, tmp_path / "fresh.sqlite")
    assert contents(index) == contents(tmp_path / "fresh.sqlite")


KILLED = """
import sys, time
from manabi.archive import scan
from manabi.archive.facts import read_record
scan.CHUNK = 4
scan.read_record = lambda path, names: (time.sleep(0.004), read_record(path, names))[1]
print("begun", flush=True)
scan.index_folder(sys.argv[1], sys.argv[2])
"""


@pytest.mark.parametrize("after_s", [0.0, 0.03, 0.06, 0.1])
def test_a_kill_at_any_moment_leaves_an_index_that_the_next_run_completes(archive, tmp_path, after_s):
    index = tmp_path / "index.sqlite"
    process = subprocess.Popen([sys.executable, "-c", KILLED, archive, index], stdout=subprocess.PIPE)
    process.stdout.readline()
    time.sleep(after_s)
    process.send_signal(signal.SIGKILL)
    process.wait()
    report = index_folder(archive, index)
    assert report.read + report.kept == 27
    with sqlite3.connect(index) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    index_folder(archive, tmp_path / "fresh.sqlite")
    assert contents(index) == contents(tmp_path / "fresh.sqlite")


def test_what_is_no_index_is_refused_and_left_alone(archive, tmp_path):
    taken = tmp_path / "thesis.sqlite"
    taken.write_text("my thesis, which is longer than a header" * 40, encoding="utf-8")
    with pytest.raises(InvalidInputError, match="damaged or no index"):
        index_folder(archive, taken)
    assert taken.read_text(encoding="utf-8").startswith("my thesis")
    other = tmp_path / "other.sqlite"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE mine (a)")
    with pytest.raises(InvalidInputError, match="no index of this version"):
        index_folder(archive, other)
    with pytest.raises(InvalidInputError, match="There is no index"), Index.opened(tmp_path / "none.sqlite"):
        pass
    with pytest.raises(InvalidInputError, match="There is no folder"):
        index_folder(tmp_path / "nowhere", tmp_path / "index.sqlite")


def test_the_index_of_another_folder_is_refused(archive, tmp_path):
    index_folder(archive, tmp_path / "index.sqlite")
    with pytest.raises(InvalidInputError, match="another folder"):
        index_folder(archive / "A", tmp_path / "index.sqlite")


def test_two_processes_do_not_write_one_index(archive, tmp_path, monkeypatch):
    monkeypatch.setattr("manabi.archive.index.BUSY_S", 0.1)
    index_folder(archive, tmp_path / "index.sqlite")
    with Index.opened(tmp_path / "index.sqlite", create=True) as first:
        first.begin(archive.resolve())
        with pytest.raises(InvalidInputError, match="in use by another process"):
            index_folder(archive, tmp_path / "index.sqlite")
