"""Opening a trained flow of films."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from manabi.bundle import MALFORMED, Bundle
from manabi.errors import CorruptModelError

if TYPE_CHECKING:
    from manabi.nodule.glow import Glow

NETWORK = "glow"
"""Name of the network in a flow's bundle."""
DEFAULT_FLOW = "nodule-flow"
"""Bundle that is taken where none is named."""


def load_flow(bundle: str | Path | Bundle = DEFAULT_FLOW) -> Glow:
    """The flow of a bundle, on the CPU, in evaluation mode.

    Args:
        bundle: name of an installed bundle, its folder, or the bundle itself. What the flow was trained on is in
            ``bundle.facts["flow"]``: ``what`` (``film`` or ``patch``), ``matrix`` of the films, ``size`` of the flow.

    Raises:
        ModelNotFoundError: when no bundle of that name is installed.
        CorruptModelError: when it is damaged, or holds no flow.
    """
    opened = bundle if isinstance(bundle, Bundle) else _found(bundle)
    opened.require_method("nodule")
    if opened.network["name"] != NETWORK:
        raise CorruptModelError(
            f"Bundle {opened.name} holds the network {opened.network['name']!r}, not a flow ({NETWORK!r}). "
            "Choose a bundle that python -m Training nodule_flow made."
        )
    from manabi.nodule.glow import Glow

    state = opened.load_state()
    try:
        flow = Glow(**opened.network["arguments"])
        flow.load_state_dict(state)
    except MALFORMED as error:
        raise CorruptModelError(f"The weights of bundle {opened.name} do not fit its flow: {error}") from error
    return flow.eval()


def _found(bundle: str | Path) -> Bundle:
    from manabi.store import BundleStore

    return BundleStore().get(str(bundle), method="nodule")
