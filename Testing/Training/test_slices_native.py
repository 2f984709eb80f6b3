"""Habits of the tracking counted on images' own slices, and the bundle that says so."""

from __future__ import annotations

import numpy as np
import pytest

from manabi.errors import InvalidInputError
from manabi.slices.decode import Decoder
from manabi.slices.evidence import Habits
from manabi.store import BundleStore
from Training import slices_native
from Training.slices_native import Cohort, Tracked, load_tracked, recount, save_tracked, with_habits


def tracked(count: int = 20, off: float = -0.6) -> list[Tracked]:
    rng = np.random.default_rng(0)
    levels = [(100.0 + n, 10.0 + n, -120.0 + n) for n in range(count)]
    said = [(a, np.nan, c + off + 0.2 * rng.normal()) for a, _, c in levels]
    return [Tracked(t, s, 4.0) for t, s in zip(levels, said, strict=True)]


def test_shift_and_spread_are_counted_and_the_rest_is_kept() -> None:
    before = Decoder(scale=(1.0, 2.0, 3.0), habits=Habits(missed=(0.2, 0.3, 0.4), false=(0.1, 0.2, 0.3)))
    after = with_habits(before, tracked())
    assert after.scale == before.scale and after.habits.missed == (0.2, 0.3, 0.4)
    assert after.habits.false == (0.1, 0.2, 0.3)
    assert after.habits.shift[2] == pytest.approx(-0.15, abs=0.03) and after.habits.off_mm[2] == 1.25
    assert after.habits.wrong[1] == 1.0, "what was never found counts for nothing"


def test_a_bundle_is_written_with_its_weights_and_another_decoder(monkeypatch, tmp_path) -> None:
    rows = iter(tracked())
    monkeypatch.setattr(slices_native, "spread", lambda f, jobs, n: [save_tracked(next(rows), j.path) for j in jobs])
    cohort = Cohort(4, 20, (("slice_mm", 4.0),))
    done = recount("slices-default", cohort, tmp_path / "bundle", tmp_path / "cache", "9.0.0")
    shipped = BundleStore().get("slices-default", method="slices")
    assert done.weights_sha256 == shipped.weights_sha256 and done.version == "9.0.0"
    assert done.facts["slices"]["decoder"]["scale"] == shipped.facts["slices"]["decoder"]["scale"]
    assert done.facts["slices"]["decoder"]["habits"]["shift"][2] == pytest.approx(-0.15, abs=0.03)
    card = (tmp_path / "bundle" / "docs" / "README.md").read_text(encoding="utf-8")
    assert card.startswith("# slices-default 9.0.0\n") and "(phantoms:4:20, slice_mm=4.0)" in card
    assert card.count("of version") == 1 and card.count("## Scores on") == 1
    assert len(list((tmp_path / "cache").iterdir())) == 20


def test_phantoms_that_a_bundle_learned_are_refused(tmp_path) -> None:
    with pytest.raises(InvalidInputError, match="learned phantoms of the seed 2025"):
        recount("slices-default", Cohort(2025, 2), tmp_path / "bundle", tmp_path / "cache", "9.0.0")


def test_what_was_said_of_an_image_is_read_back(tmp_path) -> None:
    one = Tracked((np.inf, 1.0, 2.0), (1.0, 2.0, -np.inf), 5.0)
    save_tracked(one, tmp_path / "a.json")
    assert load_tracked(tmp_path / "a.json") == one
