"""What the pages of the experiments share."""

from __future__ import annotations

import pytest

from Training.experiments import page


def test_pictures_that_are_not_there_are_left_out():
    lines = ["# A", "![one](images/a.png)", "![two](images/b.png)", "see ![three](images/c.png)", "", ""]
    assert page.shown(lines, {"b.png"}) == "# A\n![two](images/b.png)\nsee ![three](images/c.png)\n"


def test_parts_come_in_the_order_of_their_writers_and_only_those_that_ran():
    results = {"b": {"about": {"n": 2}, "x": 5}, "a": {"about": {"n": 1}, "x": 4}}
    titles = {"a": "A", "b": "B", "c": "C"}
    writers = dict.fromkeys("abc", lambda part: [f"x is {part['x']}."])
    lines = page.parts(results, titles, writers, lambda part, about: f"{part} of {about['n']}")
    assert lines == ["## A", "", "a of 1", "", "x is 4.", "## B", "", "b of 2", "", "x is 5."]


def test_a_page_that_cannot_be_written_leaves_the_old_one(tmp_path):
    def draw(results, images):
        images.mkdir(exist_ok=True)
        (images / "a.png").touch()

    def fail(results, pictures):
        raise ValueError(str(pictures))

    made = page.write_page({}, tmp_path, "p.md", draw, lambda results, pictures: " ".join(pictures))
    assert made.read_text() == "a.png"
    with pytest.raises(ValueError, match=r"a\.png"):
        page.write_page({}, tmp_path, "p.md", draw, fail)
    assert made.read_text() == "a.png" and [path.name for path in tmp_path.iterdir() if path.is_file()] == ["p.md"]
