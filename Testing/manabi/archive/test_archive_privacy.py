"""What is never written: names, numbers and dates of patients, wherever people have typed them."""

from __future__ import annotations

import csv
import json
import logging
import os
import stat

import pytest
from archive_files import BORN, NUMBER, write_series

from manabi.archive.index import Index
from manabi.archive.scan import index_folder
from manabi.archive.words import without_names
from manabi.cli.outcome import main
from manabi.errors import InvalidInputError
from manabi.pseudonym import KEY_BYTES, Pseudonyms, key_file

PLANTED = ("Yamada", "Hanako", NUMBER, BORN, "ACC998877", "Suzuki", "山田")


@pytest.fixture
def archive(tmp_path):
    """Two studies of a patient, whose name stands wherever it can."""
    folder = tmp_path / "pile"
    planted = {
        "SeriesDescription": f"YAMADA Hanako chest {BORN}", "StudyDescription": f"CT {NUMBER} for Dr. Suzuki 山田",
        "ProtocolName": "thorax_ACC998877_lung", "AccessionNumber": "ACC998877",
        "ReferringPhysicianName": "Suzuki^Ichiro",
        "PatientName": "Yamada^Hanako=山田^花子", "SpecificCharacterSet": "ISO_IR 192", "BodyPartExamined": "CHEST",
    }  # fmt: skip
    for study in ("1.2.3", "1.2.5"):
        write_series(folder / study, 30, StudyInstanceUID=study, **planted)
    return folder


def test_neither_index_nor_table_nor_screen_nor_log_names_the_patient(archive, tmp_path, monkeypatch, capsys, caplog):
    monkeypatch.chdir(tmp_path)
    caplog.set_level(logging.DEBUG)
    assert main(["index", str(archive), "--output", "a.sqlite"]) == 0
    assert main(["choose", "slices", "a.sqlite", "--output", "choice.csv"]) == 0
    said = "".join(capsys.readouterr()) + caplog.text
    table = (tmp_path / "choice.csv").read_text(encoding="utf-8")
    stored = (tmp_path / "a.sqlite").read_bytes()
    for word in PLANTED:
        assert word.casefold() not in said.casefold(), word
        assert word.casefold() not in table.casefold(), word
        assert word.encode() not in stored, word
        assert word.upper().encode() not in stored, word
    assert "1.2.3" not in table
    rows = list(csv.DictReader(table.splitlines()))
    assert [row["use"] for row in rows] == ["yes", "yes"]
    assert {row["description"] for row in rows} == {"[removed] [removed] chest [removed]"}
    assert {row["protocol"] for row in rows} == {"thorax_[removed]_lung"}
    if os.name == "posix":
        assert stat.S_IMODE((tmp_path / "choice.csv").stat().st_mode) == 0o600


def test_one_patient_has_one_pseudonym_and_another_user_s_key_gives_another(archive, tmp_path, monkeypatch):
    index_folder(archive, tmp_path / "a.sqlite")
    monkeypatch.setenv("MANABI_HOME", str(tmp_path / "other"))
    index_folder(archive, tmp_path / "b.sqlite")

    def patients(index):
        with Index.opened(tmp_path / index) as opened:
            return {file.facts.patient for file in opened.files()}

    (ours,), (theirs,) = patients("a.sqlite"), patients("b.sqlite")
    assert ours != theirs
    assert ours.startswith("P-")


def test_patients_without_a_number_are_not_made_one(tmp_path):
    for name in ("A^A", "B^B"):
        write_series(tmp_path / "x" / name, 1, PatientID="", PatientName=name, name=name + "{}")
    for study in ("1.1", "1.2"):
        write_series(tmp_path / "x" / study, 1, PatientID="", PatientName="", StudyInstanceUID=study)
    index_folder(tmp_path / "x", tmp_path / "a.sqlite")
    with Index.opened(tmp_path / "a.sqlite") as index:
        assert len({file.facts.patient for file in index.files()}) == 4


def test_the_key_is_made_once_for_its_owner_alone():
    first, second = Pseudonyms.of_this_user(), Pseudonyms.of_this_user()
    assert first("P", "1") == second("P", "1") != first("P", "2") != first("ST", "2")
    assert len(key_file().read_bytes()) == KEY_BYTES
    if os.name == "posix":
        assert stat.S_IMODE(key_file().stat().st_mode) == 0o600
    key_file().write_bytes(b"short")
    with pytest.raises(InvalidInputError, match="damaged"):
        Pseudonyms.of_this_user()


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Chest Li 1mm", "Chest [removed] 1mm"),
        ("Liver and lirpa", "Liver and lirpa"),
        ("山田花子 胸部", "[removed][removed] 胸部"),
        ("of 2024-03-17, 20240317", "of [date], [date]"),
        ("120kV 512", "120kV 512"),
    ],
)
def test_names_are_taken_out_as_words(text, left):
    assert without_names(text, ["Li^Wei", "山田^花子"]) == left


def test_the_answer_for_programs_holds_counts_only(archive, tmp_path, capsys):
    assert main(["index", str(archive), "--output", str(tmp_path / "a.sqlite"), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["files"] == {"image": 60, "object": 0, "damaged": 0, "other": 0, "unreadable": 0}
    assert (answer["read"], answer["kept"]) == (60, 0)
