"""The button that loads a module's sample: the first of the clicks from an empty Slicer to a result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from manabi_slicer import sample_data

if TYPE_CHECKING:
    from slicer import vtkMRMLNode

    from manabi_slicer.sample_data import Sample


class SampleButton:
    """The same in every module.

    Args:
        button: of the module's panel.
        sample: what it loads.
        on_loaded: called with the sample's nodes.
        tell: called with an error.
    """

    def __init__(
        self, button: Any, sample: Sample, on_loaded: Callable[[Sequence[vtkMRMLNode]], None],
        tell: Callable[[BaseException], None],
    ) -> None:  # fmt: skip
        self._button, self._sample, self._on_loaded, self._tell = button, sample, on_loaded, tell
        button.connect("clicked(bool)", self.onClicked)

    def onClicked(self, checked: bool = False) -> None:
        """Load the sample, simulated now where that was not done before."""
        self._button.enabled = False  # Slicer stays awake meanwhile, and the button could be pressed again
        try:
            nodes = sample_data.load(self._sample)
        except Exception as error:  # the edge of the panel
            self._tell(error)
            return
        finally:
            self._button.enabled = True
        self._on_loaded(nodes)
