"""What a reader is told: disagreement of network and rules, levels that are missing, and levels not found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from manabi.context import Context
from manabi.errors import CorruptModelError
from manabi.slices.decode import OFFSET_MM, Decoder
from manabi.slices.evidence import Habits
from manabi.slices.find import Settings, find_markers
from manabi.slices.method import reading_of_rules
from manabi.slices.reading import LOWER_END, MARKERS, UPPER_END, Found, Reading
from manabi.slices.report import alerts, disagreement, status
from manabi.slices.rules import RuleReading
from manabi.slices.search import search_all
from manabi.slices.stack import AxialStack
from manabi.volume import Volume

LEVELS = {"apex": 260.0, "carina": 172.0, "diaphragm": 60.0}


def rules(levels=LEVELS, notes=(), lungs=True):
    z = {marker: levels.get(marker) for marker in MARKERS}
    index = {marker: None if v is None else int(v / 4) for marker, v in z.items()}
    return RuleReading(z, index, tuple(notes), np.ones((76, 1, 1), bool) if lungs else None, None)


def found(marker, z_mm, absent="", confidence=0.9):
    return Found(marker, None if z_mm is None else int(z_mm / 4), z_mm, confidence, absent, np.zeros(76))


def reading(**changes):
    parts = {marker: found(marker, z) for marker, z in LEVELS.items()}
    parts.update(changes)
    return Reading(tuple(parts[m] for m in MARKERS), 4.0 * np.arange(76), np.ones(76, bool), np.zeros((76, 3)))


@pytest.mark.parametrize(
    ("one", "said", "words"),
    [
        (found("carina", 172.0), rules(), ""),
        (found("carina", 180.0), rules(), ""),
        (found("carina", 200.0), rules(), "28 mm away"),
        (found("apex", None, "above"), rules(), "finds it in the image, at 260 mm"),
        (found("apex", 260.0), rules({"carina": 172.0}, [UPPER_END]), "would lie above the image"),
        (found("diaphragm", 60.0), rules({"carina": 172.0}, [LOWER_END]), "would lie below the image"),
        (found("apex", None, "above"), rules({"carina": 172.0}, [UPPER_END]), ""),
        (found("carina", 172.0), rules({}), ""),
    ],
)  # fmt: skip
def test_disagreement_is_told_where_it_is_one(one, said, words):
    text = disagreement(one, said)
    assert (words in text) if words else text == ""
    assert not text or text.startswith("Check the ")


def test_without_anything_to_say_nothing_is_said():
    assert alerts(reading(), 0.5, rules()) == []
    assert alerts(reading(), 0.5) == []


def test_low_confidence_and_missing_levels_are_told():
    texts = alerts(reading(carina=found("carina", 172.0, confidence=0.3), apex=found("apex", None, "above")), 0.5)
    assert any("confidence is only 30%" in text for text in texts)
    assert any(text.startswith("Not in the image: the lung apex") for text in texts)


def test_no_lungs_and_nothing_found_is_no_chest():
    nothing = reading(**{m: found(m, None, "above") for m in MARKERS})
    assert alerts(nothing, 0.5, rules({}, lungs=False)) == [
        "No lungs were recognised in this image. If it is not a CT of the chest, disregard the markers."
    ]


def test_what_the_rules_miss_is_not_called_absent():
    stack = AxialStack.of(Volume(np.zeros((76, 8, 8), np.float32), np.diag([4.0, 4.0, 4.0, 1.0]), modality="CT"))
    none = reading_of_rules(rules({"apex": 260.0}), stack)
    assert [status(one) for one in none.found] == ["in the image", "not found", "not found"]
    assert any("it was not found, which need not mean" in text for text in alerts(none, 0.4))
    cut = reading_of_rules(rules({"carina": 172.0}, [UPPER_END, LOWER_END]), stack)
    assert [status(one) for one in cut.found] == ["above the image", "in the image", "below the image"]


class Peaks:
    """A network that sees the levels where it is told to; it knows a slice by its brightness."""

    def __init__(self, levels, sharp=1.0):
        self.levels, self.sharp = np.array(levels), sharp

    def scores(self, z):
        d = self.levels[None] - np.asarray(z)[:, None]
        return np.concatenate([self.sharp * (2 * np.exp(-0.5 * (d / 4.0) ** 2) - 1), np.tanh(d / OFFSET_MM)], axis=1)


def test_where_tracking_outweighs_an_unsure_network_it_is_told(monkeypatch):
    stack = AxialStack.of(Volume(np.zeros((76, 8, 8), np.float32), np.diag([4.0, 4.0, 4.0, 1.0]), modality="CT"))
    network = Peaks((260.0, 220.0, 60.0))
    monkeypatch.setattr(
        "manabi.inference.predict_stack", lambda net, inputs, **_: net.scores(network.asked), raising=True
    )
    monkeypatch.setattr(
        "manabi.slices.prepare.Preparer.inputs", lambda self, z: setattr(network, "asked", np.asarray(z)) or z
    )
    habits = Habits((0.0,) * 3, (0.0,) * 3, (2.0,) * 3, (0.02,) * 3, (0.05,) * 3, (0.1,) * 3)
    settings = Settings(decoder=replace(Decoder(), habits=habits))
    both = find_markers(stack, network, settings, Context(device="cpu"), rules_mm=list(LEVELS.values()))
    alone = find_markers(stack, network, settings, Context(device="cpu"))
    assert (both["carina"].z_mm, alone["carina"].z_mm) == (172.0, 220.0)
    assert both.flags == (("carina", both.flags[0][1]),)
    assert "it would be at 220 mm, not at 172 mm" in both.flags[0][1]
    assert any(text.startswith("Check the carina: without what tracking") for text in alerts(both, 0.0))
    assert not alone.flags


def test_scores_that_are_no_numbers_blame_the_model():
    with pytest.raises(CorruptModelError, match="no numbers"):
        search_all(np.arange(4.0), lambda index: np.full((len(index), 6), np.nan))
