"""Models that make films, among those of this module: the others search them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from manabi.bundle import Bundle

NETWORK = "glow"
"""As :data:`manabi.nodule.glow_bundle.NETWORK`, which is not imported for it: it would bring PyTorch along."""


def is_flow(bundle: Bundle | None) -> bool:
    """Whether a model is a flow, as :func:`manabi.nodule.glow_bundle.load_flow` takes it."""
    network: dict[str, Any] = bundle.network if bundle is not None else {}
    return network.get("name") == NETWORK


def has_detector(method: str) -> bool:
    """Whether there is a model of a method on this computer that searches films."""
    from manabi.store import BundleStore

    return any(one.method == method and not is_flow(one) for one in BundleStore().list())


def prefer_detector(panel: Any, chosen: str) -> None:
    """Where the user has chosen no model, show a detector as the chosen one.

    Args:
        panel: the panel of models.
        chosen: name of the model that the user chose, or empty.
    """
    detector = next((one for one in panel.bundles if not is_flow(one)), None)
    if detector is not None and is_flow(panel.current()) and not chosen:
        panel.choose(detector.name)
