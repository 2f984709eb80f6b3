"""What a method is: typed inputs, parameters that check themselves, and ``run``.

A new method subclasses :class:`Method`, names its inputs and parameters and writes ``_run``. ``Method.run`` does for
all of them what users must be able to rely on: it checks the inputs, carries warnings along, answers cancellation,
and completes the provenance.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import numpy as np

from manabi.context import Context
from manabi.errors import InvalidInputError
from manabi.parameters import Parameters
from manabi.provenance import provenance
from manabi.result import Cell, Result, Table
from manabi.series_rule import SeriesRule
from manabi.volume import Volume

if TYPE_CHECKING:
    from manabi.bundle import Bundle
    from manabi.phantoms.base import Case

P = TypeVar("P", bound=Parameters)


class InputSpec:
    """One image a method needs.

    Attributes:
        name: key in ``inputs`` and on the command line.
        description: what it is, in a reader's words.
        modalities: DICOM modality codes that are accepted; an input whose modality is unknown is let through with
            a warning.
        optional: whether the method runs without it.
        min_shape: least number of slices, rows and columns, in whatever order the image has them: the shortest axis
            is compared with the least of these numbers, and so on.
    """

    def __init__(
        self,
        name: str,
        description: str,
        modalities: tuple[str, ...],
        optional: bool = False,
        min_shape: tuple[int, int, int] = (1, 1, 1),
    ) -> None:
        self.name = name
        self.description = description
        self.modalities = modalities
        self.optional = optional
        self.min_shape = min_shape

    def check(self, volume: Volume) -> list[str]:
        """Raise InvalidInputError for what cannot be processed; return warnings for what is doubtful."""
        self._check_kind(volume)
        self._check_values(volume.array)
        if volume.modality is None:
            return [f"The file does not say what {self.name} is; it is taken for {' or '.join(self.modalities)}."]
        return []

    def _check_kind(self, volume: Volume) -> None:
        if volume.modality is not None and volume.modality not in self.modalities:
            raise InvalidInputError(
                f"{self.name}: expected {self.description} ({' or '.join(self.modalities)}); "
                f"this is {volume.modality}. "
                "Choose another series."
            )
        if any(n < least for n, least in zip(sorted(volume.shape), sorted(self.min_shape), strict=True)):
            raise InvalidInputError(
                f"{self.name}: expected at least {self.min_shape} slices, rows and columns; got {volume.shape}. "
                "Export the whole series."
            )

    def _check_values(self, array: np.ndarray) -> None:
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            bad = int(array.size - np.isfinite(array).sum())
            raise InvalidInputError(
                f"{self.name}: {bad} of {array.size} values are not numbers (NaN or infinite). "
                "Replace them, or export the series again."
            )
        if array.min() == array.max():
            raise InvalidInputError(
                f"{self.name}: every voxel has the same value ({array.flat[0]}): the image is empty. "
                "Check that the right series was chosen and exported with its pixels."
            )


class Method(ABC, Generic[P]):
    """One clinical method; instances are cheap and keep nothing between runs but loaded models."""

    name: ClassVar[str]
    title: ClassVar[str]
    summary: ClassVar[str]
    source: ClassVar[str]
    inputs: ClassVar[tuple[InputSpec, ...]]
    parameters_type: ClassVar[type[Parameters]]
    phantom: ClassVar[str]
    default_bundle: ClassVar[str | None] = None
    alert_prefixes: ClassVar[tuple[str, ...]] = ()
    """How the warnings begin that a reader must not overlook; whoever shows a result sets them apart."""
    series_rules: ClassVar[Mapping[str, SeriesRule]] = MappingProxyType({})
    """Which series of a DICOM archive are taken for an input, by its name; see :mod:`manabi.archive`."""

    def run(
        self,
        inputs: Mapping[str, Volume] | Volume,
        parameters: P | Mapping[str, Any] | None = None,
        context: Context | None = None,
    ) -> Result:
        """Run the method.

        Args:
            inputs: volumes by input name, or the one volume of a method with one input.
            parameters: the method's parameter class, or a mapping of its fields.
            context: device, progress, cancellation, seed, bundle; a default one runs on the best device.

        Returns:
            The result; its volumes lie where the inputs lie, and its provenance is complete.

        Raises:
            InvalidInputError: for inputs or parameters that cannot be used.
            CancelledError: when the context was cancelled.
        """
        context = context or Context()
        volumes = self._named(inputs)
        warnings = self._check(volumes)
        settings = self.parameters_type.of(parameters)
        started = time.perf_counter()
        context.check_cancelled()
        result = self._run(volumes, settings, context)  # type: ignore[arg-type]
        context.check_cancelled()
        carried = [w for v in volumes.values() for w in v.warnings]
        result.warnings = self.told(list(dict.fromkeys([*carried, *warnings, *context.warnings, *result.warnings])))
        result.provenance = provenance(self, volumes, settings, context, result, time.perf_counter() - started)
        context.progress(1.0, "Done")
        return result

    @abstractmethod
    def _run(self, inputs: dict[str, Volume], parameters: P, context: Context) -> Result:
        """The method itself; inputs are checked, parameters are of ``parameters_type``."""

    def told(self, warnings: list[str]) -> list[str]:
        """The warnings of a run as a reader is told them: in this order, without what another says better."""
        return warnings

    def load(self, context: Context) -> None:
        """Load the model that a run with this context would use, ahead of it; nothing where there is none.

        The worker calls it to warm up. Methods with a model override it.
        """

    def draw(self, inputs: Mapping[str, Volume], result: Result, folder: Path) -> list[Path]:
        """Draw the figures a reader expects into ``folder``; returns the PNG files written."""
        return []

    def export(
        self, inputs: Mapping[str, Volume], result: Result, folder: Path, image_format: str
    ) -> Mapping[str, list[Path]]:
        """Write files besides the result's own into ``folder``, which is not there yet; returns them by kind.

        A method with nothing to hand over makes no folder and returns nothing.
        """
        return {}

    def compare(self, images: Mapping[str, Volume]) -> dict[str, Table]:
        """Hold an output against a reference that is known, as in a demo; no tables where the method has no way to.

        Args:
            images: input, output and reference, in this order, by what a reader calls them.
        """
        return {}

    def compare_truth(self, truth: Mapping[str, Cell], result: Result) -> dict[str, Table]:
        """Hold a result against what a phantom knows, as in a demo; no tables where the method has no way to.

        Args:
            truth: of the case, see :attr:`manabi.phantoms.base.Case.truth`.
            result: of a run on the case.
        """
        return {}

    def sample_inputs(self, case: Case) -> dict[str, Volume]:
        """This method's inputs of a simulated patient; empty where they have the phantom's own names."""
        return {}

    def gather(self, results: Mapping[str, Path], folder: Path) -> list[Path]:
        """Put the tables of a batch's cases together; returns the files written into the batch's folder.

        Args:
            results: result folder by the name of the case, in order.
            folder: of the batch.
        """
        return []

    def check_bundle(self, bundle: Bundle) -> None:
        """Raise CorruptModelError when a bundle was not made for this method."""
        bundle.require_method(self.name)

    def _named(self, inputs: Mapping[str, Volume] | Volume) -> dict[str, Volume]:
        if isinstance(inputs, Volume):
            inputs = {self.inputs[0].name: inputs}
        unknown = sorted(set(inputs) - {spec.name for spec in self.inputs})
        missing = [spec.name for spec in self.inputs if not spec.optional and spec.name not in inputs]
        if unknown or missing:
            raise InvalidInputError(
                f"{self.title} takes {', '.join(spec.name for spec in self.inputs)}; "
                + (f"unknown: {', '.join(unknown)}. " if unknown else "")
                + (f"missing: {', '.join(missing)}." if missing else "")
            )
        for name, volume in inputs.items():
            if not isinstance(volume, Volume):
                raise InvalidInputError(f"{name} must be a manabi Volume; got {type(volume).__name__}.")
        return dict(inputs)

    def _check(self, volumes: Mapping[str, Volume]) -> list[str]:
        return [w for spec in self.inputs if spec.name in volumes for w in spec.check(volumes[spec.name])]
