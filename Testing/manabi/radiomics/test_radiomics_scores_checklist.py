"""The checklist says what was run, leaves the rest to the authors, and calls nothing better than it is."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from manabi.errors import InvalidInputError
from manabi.radiomics.cohort.checklist import AUTHORS, NO, PARTLY, RULES, STATUSES, YES, fill_in
from manabi.radiomics.cohort.checklist_items import FACTS, ITEMS


def test_without_facts_nothing_is_claimed():
    empty = fill_in({})
    assert empty.count(YES) == empty.count(PARTLY) == 0
    assert empty.count(NO) + empty.count(AUTHORS) == len(ITEMS) == len(empty.table().rows)
    assert all(a.answer == "" for a in empty.answers if a.status == AUTHORS)


@pytest.mark.parametrize("key", ["ethics", "eligibility", "funding", "segmentation", "protocol"])
def test_what_software_cannot_know_is_for_the_authors_until_they_say_it(key):
    assert fill_in({}).of(key).status == AUTHORS
    told = fill_in({key: "as the protocol says"}).of(key)
    assert (told.status, told.answer) == (YES, "as the protocol says")


@pytest.mark.parametrize(
    ("facts", "key", "status", "words"),
    [
        ({"events": 127, "candidates": 1258}, "sample_size", NO, "0.1 each"),
        ({"events": 300, "candidates": 20}, "sample_size", YES, "15 each"),
        ({"events": 300, "candidates": 100}, "sample_size", PARTLY, "3 each"),
        ({"centres": 1, "harmonisation": False}, "harmonisation", YES, "one centre"),
        ({"centres": 3, "harmonisation": False}, "harmonisation", NO, "not harmonised"),
        ({"centres": 3, "harmonisation": "ComBat on training folds"}, "harmonisation", YES, "ComBat"),
        ({"validation": "nested", "split_by_patient": True, "leak_free": True}, "partition", YES, "stay together"),
        ({"validation": "nested", "split_by_patient": True, "leak_free": False}, "partition", NO, "have seen"),
        ({"validation": "nested", "split_by_patient": False, "leak_free": True}, "partition", NO, "parted"),
        ({"blocks": ["clinical", "volume", "combined"]}, "simple_model", YES, "clinical, volume"),
        ({"blocks": ["radiomics", "volume"]}, "simple_model", PARTLY, "without clinical"),
        ({"blocks": ["radiomics"]}, "simple_model", NO, "without clinical and volume"),
        ({"threshold": "median of the training patients, latest fit"}, "cut", YES, "training"),
        ({"threshold": "optimal cut"}, "cut", NO, "small p"),
        ({"external_validation": False}, "external", NO, "not done"),
        ({"calibration": {"slope": 0.9}}, "calibration", YES, "slope 0.9"),
        ({"folds": 5}, "repeats", PARTLY, "not recorded: repeats"),
        ({"decision_curve": True}, "benefit", YES, "yes"),
    ],
)  # fmt: skip
def test_facts_become_answers(facts, key, status, words):
    got = fill_in(facts).of(key)
    assert got.status == status and words in got.answer


def test_unknown_facts_are_refused_so_that_none_is_lost_by_a_typing_error():
    with pytest.raises(InvalidInputError, match="evens"):
        fill_in({"evens": 12})


def test_every_fact_is_asked_for_and_every_rule_is_used():
    asked = {name for item in ITEMS for name in item.facts}
    assert asked == set(FACTS)
    assert {item.judge for item in ITEMS} - {""} == set(RULES)
    assert len({item.key for item in ITEMS}) == len(ITEMS)


class Reader(HTMLParser):
    """Collects the texts of cells and checks that tags are closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def test_html_is_closed_escaped_and_complete():
    reader = Reader()
    reader.feed(fill_in({"ethics": "<script>alert(1)</script> & more"}).html())
    assert reader.open == [] and "<script>alert(1)</script> & more" in reader.texts
    assert all(item.question in reader.texts for item in ITEMS)


def test_markdown_keeps_its_columns():
    text = fill_in({"ethics": "a | b\nc"}).markdown()
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert all(row.replace("\\|", "").count("|") == 5 for row in rows)
    assert "a \\| b c" in text


def test_summary_counts_all_items():
    checklist = fill_in({"patients": 10, "rows": 12, "events": 5})
    assert sum(checklist.count(status) for status in STATUSES) == len(ITEMS)
    assert f"of {len(ITEMS)} items" in checklist.summary()
    assert "score" not in checklist.table().columns
