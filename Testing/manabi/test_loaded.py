"""Networks that stay between runs."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from manabi.context import Context
from manabi.loaded import LoadedNetworks


def bundle(weights: str = "a" * 64, notice: str = "trained on simulated data; for research use") -> SimpleNamespace:
    """What a method needs to know of a bundle; it counts how often its network is built."""
    said = {"name": "line", "version": "1.0.0", "weights_sha256": weights}
    found = SimpleNamespace(name="line", version="1.0.0", notice=notice, built=0, provenance=lambda: dict(said))

    def build_network() -> object:
        found.built += 1
        return object()

    found.build_network = build_network
    return found


def test_a_network_is_built_once_and_another_one_for_other_weights():
    networks, one, other = LoadedNetworks(), bundle(), bundle("b" * 64)
    first = networks.of(one, Context())
    assert networks.of(one, Context()) is first and one.built == 1
    assert networks.of(other, Context()) is not first and other.built == 1


def test_every_run_records_the_bundle_and_says_what_it_was_trained_on():
    networks, one = LoadedNetworks(), bundle()
    for _ in range(2):
        context = Context()
        networks.of(one, context)
        assert context.used_bundle == one.provenance()
        assert context.warnings == ["Bundle line 1.0.0: trained on simulated data; for research use."]


@pytest.mark.parametrize(("notice", "warn"), [("", True), ("trained on simulated data", False)])
def test_nothing_is_said_where_there_is_nothing_to_say_or_nobody_listens(notice, warn):
    context = Context()
    LoadedNetworks().of(bundle(notice=notice), context, warn)
    assert context.warnings == [] and context.used_bundle is not None
