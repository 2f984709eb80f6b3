"""Tables as people's programs write them."""

from __future__ import annotations

import csv
import os

import pytest

from manabi.batch.spreadsheet import read_rows, read_sheet
from manabi.errors import InvalidInputError


@pytest.fixture
def written(tmp_path):
    def write(content):
        path = tmp_path / "cases é.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.mark.parametrize(
    ("content", "delimiter"),
    [
        ("case,image\nTanaka,a.nii\nSato,\n", ","),
        ("\ufeffcase;image\r\n Tanaka ; a.nii\r\n;;\r\nSato;\r\n", ";"),
        ("case\timage\nTanaka\ta.nii\n\nSato\t\n", "\t"),
        ('sep=|\ncase|image\n"Tanaka"| "a.nii"\nSato|\n', "|"),
        ('"sep=\t"\r\ncase\timage\r\nTanaka\ta.nii\r\nSato\t\r\n', "\t"),
        ("\n\ncase;image\nTanaka;a.nii\nSato;\n", ";"),
    ],
)
def test_every_programs_way_gives_the_same_rows(written, content, delimiter):
    path = written(content)
    rows, columns = read_rows(path)
    assert columns == ["case", "image"]
    assert rows == [{"case": "Tanaka", "image": "a.nii"}, {"case": "Sato", "image": ""}]
    assert read_sheet(path).delimiter == delimiter


def test_rows_have_the_numbers_of_their_lines_in_the_file(written):
    numbers = lambda text, **how: [n for n, _ in read_sheet(written(text), **how).lines]  # noqa: E731
    assert numbers("a,b\n1,2\n\n,\n3,4\n") == [2, 5]
    assert numbers('sep=,\na,b\n1,"2\n3"\n4,5\n') == [4, 5]
    assert numbers("# ours; 2026\na,b\n1,2\n# old\n3,4\n", comment="#") == [3, 5]
    assert read_sheet(written("# ours; 2026\na,b\n1,2\n"), comment="#").delimiter == ","


def test_a_short_row_lacks_its_last_columns_and_an_empty_file_has_none(written):
    assert read_rows(written("a,b\n1\n"))[0] == [{"a": "1"}]
    assert read_rows(written("")) == ([], [])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cases é.csv cannot be read"),
        ("é".encode("latin-1"), "cases é.csv is not UTF-8. Save it as 'CSV UTF-8'"),
        ("a,b\n" + "x" * 200_000, "cases é.csv is no table"),
    ],
)
def test_what_is_no_table_is_named_without_its_folder(request, written, tmp_path, content, words):
    path = written(content or "")
    before = csv.field_size_limit(131_072)  # a library may have raised it for the whole process
    request.addfinalizer(lambda: csv.field_size_limit(before))
    if content is None:
        path.unlink()
    with pytest.raises(InvalidInputError, match=words) as error:
        read_rows(path)
    assert str(tmp_path) not in str(error.value)


@pytest.mark.skipif(os.name != "posix", reason="only POSIX systems have such names")
def test_names_of_files_are_kept_as_they_are(written):
    rows, _ = read_rows(written(b"file,name\n a\xff.nii ,1\n"), foreign_names=True)
    assert rows == [{"file": " a\udcff.nii ", "name": "1"}]
