"""Networks that a method keeps between runs: whichever run comes second loads nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from manabi.bundle import Bundle
    from manabi.context import Context


class LoadedNetworks:
    """The networks of a method's bundles, by the SHA-256 of their weights."""

    def __init__(self) -> None:
        self._networks: dict[str, Any] = {}

    def of(self, bundle: Bundle, context: Context, warn: bool = True) -> Any:
        """A bundle's network, built once per process.

        Args:
            bundle: that the method has found to be one of its own.
            context: of the run; its provenance will name the bundle.
            warn: whether the run's reader is told what the bundle says of its training.

        Returns:
            The ``torch.nn.Module``, in evaluation mode.

        Raises:
            CorruptModelError: as :meth:`manabi.bundle.Bundle.build_network`.
        """
        used = bundle.provenance()
        key = used["weights_sha256"]
        if key not in self._networks:
            self._networks[key] = bundle.build_network()
        context.used_bundle = used
        if bundle.notice and warn:
            context.warn(f"Bundle {bundle.name} {bundle.version}: {bundle.notice}.")
        return self._networks[key]
