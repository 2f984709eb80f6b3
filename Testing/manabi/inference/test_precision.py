"""The precision: what auto takes, and how a wish is met."""

from __future__ import annotations

import pytest

from manabi.context import Context
from manabi.errors import InvalidInputError
from manabi.inference import choose_precision, precision


@pytest.fixture
def fast(monkeypatch):
    monkeypatch.setattr(precision, "has_fast_bfloat16", lambda device: True)


@pytest.fixture
def slow(monkeypatch):
    monkeypatch.setattr(precision, "has_fast_bfloat16", lambda device: False)


def test_auto_takes_bfloat16_where_it_is_fast(fast):
    assert choose_precision(Context(), "cpu") == "bfloat16"


def test_auto_stays_with_float32_where_it_is_not(slow):
    assert choose_precision(Context(), "cpu") == "float32"
    assert choose_precision(Context(), "cuda:0") == "float32"


def test_auto_takes_only_what_the_model_was_checked_in(fast):
    assert choose_precision(Context(), "cpu", ("float32",)) == "float32"


def test_float16_on_older_cards_where_the_model_allows_it(slow):
    allowed = ("float32", "float16")
    assert choose_precision(Context(), "cuda:0", allowed) == "float16"
    assert choose_precision(Context(), "cpu", allowed) == "float32"


def test_a_wish_for_float32_is_always_met(fast):
    context = Context(precision="float32")
    assert choose_precision(context, "cpu") == "float32"
    assert context.warnings == []


def test_a_wish_beyond_what_was_checked_is_met_with_a_warning(fast):
    context = Context(precision="bfloat16")
    assert choose_precision(context, "cpu", ("float32",)) == "bfloat16"
    assert "not checked in bfloat16" in context.warnings[0]


def test_slow_bfloat16_is_said(slow):
    context = Context(precision="bfloat16")
    assert choose_precision(context, "cpu") == "bfloat16"
    assert "gains no speed" in context.warnings[0]


def test_float16_on_a_processor_becomes_float32_with_a_warning():
    context = Context(precision="float16")
    assert choose_precision(context, "cpu") == "float32"
    assert "float32 was used" in context.warnings[0]


def test_an_unknown_precision_is_refused():
    with pytest.raises(InvalidInputError, match="float64"):
        choose_precision(Context(precision="float64"), "cpu")  # type: ignore[arg-type]
