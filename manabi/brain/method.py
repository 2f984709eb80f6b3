"""BrainSeg as a Manabi method: structures, propagation of painted slices, missing contrasts, feature maps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from manabi.brain.structures import BRAIN, CLASSES, STRUCTURES
from manabi.context import Context
from manabi.errors import GeometryError, InvalidInputError, ModelNotFoundError
from manabi.loaded import LoadedNetworks
from manabi.method import InputSpec, Method
from manabi.parameters import Parameters
from manabi.result import Cell, Result, Table
from manabi.series_rule import SeriesRule
from manabi.volume import Volume

if TYPE_CHECKING:
    from manabi.brain.synthetic import Computed
    from manabi.bundle import Bundle
    from manabi.structures.found import Found

IMPORTED_AHEAD = (
    "manabi.brain.segment", "manabi.brain.report", "manabi.structures.found", "manabi.inference", "scipy.ndimage",
    "SimpleITK",
)  # fmt: skip
"""What a run imports."""
CONTRAST_BUNDLE = "brain-contrast"


@dataclass(frozen=True)
class BrainParameters(Parameters):
    """Parameters of BrainSeg."""

    task: Literal["structures", "propagate", "contrast", "features"] = field(
        default="structures",
        metadata={"help": "find structures, propagate painted slices, compute a missing contrast, show feature maps"},
    )
    structures: str = field(default="all", metadata={"help": f"which to find: all, or some of {','.join(STRUCTURES)}"})
    fine: bool = field(default=True, metadata={"help": "run the second stage at 1 mm; without it, 2 mm and faster"})
    min_confidence: float = field(
        default=0.6, metadata={"help": "less confident structures are flagged for checking", "low": 0.0, "high": 1.0}
    )
    propagate_axis: Literal["auto", "axial", "coronal", "sagittal"] = field(
        default="auto", metadata={"help": "direction of the painted slices; auto finds it"}
    )
    propagate_mode: Literal["keep", "cleanse"] = field(
        default="keep", metadata={"help": "keep painted slices as they are, or rebuild them too (label cleansing)"}
    )
    layer: str = field(default="", metadata={"help": "layer whose feature maps are shown; empty lists the layers"})
    structure: Literal["cerebrum", "cerebellum", "brainstem", "ventricles", "vessels"] = field(
        default="cerebrum", metadata={"help": "structure that feature maps are ordered for"}
    )
    count: int = field(default=8, metadata={"help": "how many feature maps", "low": 1, "high": 64})
    synthetic_second: str = field(
        default="", metadata={"help": "model that computes a missing second contrast for structures; empty for none"}
    )

    def __post_init__(self) -> None:
        """Check the list of structures."""
        super().__post_init__()
        self.wanted()

    def wanted(self) -> tuple[str, ...]:
        """The structures to find."""
        return BRAIN.chosen(self.structures)


class BrainSeg(Method[BrainParameters]):
    """Cerebrum, cerebellum, brainstem, ventricles and vessels of any MR contrast; painted slices made whole."""

    name: ClassVar[str] = "brain"
    title: ClassVar[str] = "BrainSeg"
    summary: ClassVar[str] = (
        "brain structures from any MR contrast, painted slices propagated to the volume, missing contrasts"
    )
    source: ClassVar[str] = (
        "Sugino T, Roth HR, Oda M, et al. Performance improvement of weakly supervised fully convolutional networks by "
        "skip connections for brain structure segmentation. Med Phys 2021;48:7215, 10.1002/mp.15192; "
        "Healthcare 2021;9:938, 10.3390/healthcare9080938; KAKENHI 20K20216"
    )
    inputs: ClassVar[tuple[InputSpec, ...]] = (
        InputSpec("image", "MR of the head, any contrast", ("MR",), min_shape=(5, 24, 24)),
        InputSpec(
            "second", "MR of the same patient in another contrast, for example angiography", ("MR",), optional=True,
            min_shape=(5, 24, 24),
        ),
        InputSpec("painted", "label map on the image's grid with painted slices", ("SEG",), optional=True),
        InputSpec(
            "start", "label map on the image's grid that painted slices correct", ("SEG",), optional=True
        ),
    )  # fmt: skip
    parameters_type: ClassVar[type[Parameters]] = BrainParameters
    phantom: ClassVar[str] = "brain"
    default_bundle: ClassVar[str | None] = "brain-default"
    series_rules: ClassVar[Mapping[str, SeriesRule]] = {
        "image": SeriesRule(
            regions=("head",), without=(r"\bphase\b", r"spectro", r"field ?map", r"\bb1 ?map"),
            contrasts=(
                "T1", "FLAIR", "T2", "T1 with contrast agent", "proton density", "heavily T2", "susceptibility",
                "unknown", "angiography",
            ),
            least_slices=12, least_extent_mm=80.0, most_spacing_mm=8.0, best_spacing_mm=(0.5, 1.5),
        ),
        "second": SeriesRule(
            regions=("head", "neck"), contrasts=("angiography",), least_slices=12, automatic=False,
        ),
    }  # fmt: skip
    alert_prefixes: ClassVar[tuple[str, ...]] = (
        "Check the ", "Not like the training images", "The field of view", "Synthetic image",
    )  # fmt: skip

    def __init__(self) -> None:
        self._networks = LoadedNetworks()

    def _run(self, inputs: dict[str, Volume], parameters: BrainParameters, context: Context) -> Result:
        tasks = {"structures": self._structures, "propagate": self._propagate, "contrast": self._contrast,
                 "features": self._features}  # fmt: skip
        return tasks[parameters.task](inputs, parameters, context)

    def load(self, context: Context) -> None:
        """Load the bundle's network, and import what a run needs, ahead of it."""
        for name in IMPORTED_AHEAD:
            import_module(name)
        self._network(context, self.default_bundle, warn=False)

    # --- structures -------------------------------------------------------------------------------------------------

    def _structures(self, inputs: dict[str, Volume], parameters: BrainParameters, context: Context) -> Result:
        from manabi.brain import report
        from manabi.structures.found import tidy

        with context.span(0.0, 0.3 if parameters.synthetic_second else 0.0):
            computed = self._second(inputs, parameters.synthetic_second, context)
        with context.span(0.3 if computed else 0.0, 1.0):
            found, settings = self._found(inputs, computed, parameters.fine, context)
            context.progress(0.8, "Cleaning")
            notes = tidy(found, BRAIN, context)
            context.progress(0.86, "Back to the image")
            labels, confidence, wanted, drawn = self._on_grid(found, settings, inputs, computed, parameters, context)
            context.progress(0.95, "Measuring")
        guessed = computed.guessed(labels) if computed and "vessels" in wanted else None
        rows = report.measure(labels, confidence, wanted)
        strange = report.strangeness_text(found.strangeness, settings.strangest)
        alerts = report.alerts(rows, parameters.min_confidence, strange, found.disagreement)
        alerts += computed.texts(guessed) if computed else []
        return Result(
            volumes={"confidence": confidence, **(computed.volumes if computed else {})},
            labelmaps={"structures": report.labelled(labels, wanted)},
            tables={"volumes": report.volumes_table(rows)},
            plots={"volumes": report.volumes_plot(rows)},
            measurements={**report.measurements(rows, alerts), **_guess(guessed)},
            warnings=[*alerts, *notes, *drawn, *_not_found(parameters.wanted(), (*settings.structures, "vessels"))],
        )

    def _second(self, inputs: Mapping[str, Volume], name: str, context: Context) -> Computed | None:
        """The second contrast computed from the image by the bundle of this name; None where none is asked for."""
        from manabi.brain.contrast import Settings, synthesise
        from manabi.brain.synthetic import Computed

        if not name:
            return None
        if "second" in inputs:
            raise InvalidInputError("A second contrast was given: leave out either it or synthetic_second.")
        bundle, network = self._network(context, CONTRAST_BUNDLE, chosen=name)
        context.progress(0.0, "Computing the second contrast")
        settings = Settings.of(bundle.facts.get("brain", {}))
        return Computed(synthesise(inputs["image"], network, settings, context), f"{bundle.name} {bundle.version}")

    def _on_grid(
        self, found: Found, settings: Any, inputs: Mapping[str, Volume], computed: Computed | None,
        parameters: BrainParameters, context: Context,
    ) -> tuple[Volume, Volume, tuple[str, ...], list[str]]:  # fmt: skip
        """Labels and confidence on the image's grid, which structures they hold, and what is said of vessels."""
        from manabi.structures.found import on_grid

        known, asked = settings.structures, parameters.wanted()
        wanted = tuple(name for name in asked if name in known)
        drawn = "vessels" in asked and "vessels" not in known
        if not wanted and not drawn:
            raise InvalidInputError(
                f"This model finds {', '.join(known)}, not {', '.join(asked)}. "
                "Choose other structures or another model."
            )
        labels, confidence = on_grid(found, BRAIN, inputs["image"].grid, known if drawn else wanted, context)
        notes = []
        if drawn:
            shown = {**inputs, **({"second": computed.made.volume} if computed else {})}
            labels, confidence, wanted, note = self._drawn_vessels(labels, confidence, shown, wanted, context)
            notes.append(note)
        return labels, computed.doubted(labels, confidence) if computed else confidence, wanted, notes

    @staticmethod
    def _drawn_vessels(
        labels: Volume, confidence: Volume, inputs: Mapping[str, Volume], wanted: tuple[str, ...], context: Context
    ) -> tuple[Volume, Volume, tuple[str, ...], str]:
        """Labels with the vessels that an image shows bright, the structures found, and a text that says so."""
        from manabi.brain.bright_vessels import with_bright_vessels
        from manabi.structures.found import kept

        images = [inputs[name] for name in ("image", "second") if name in inputs]
        labels, confidence, shown = with_bright_vessels(labels, confidence, images, context)
        wanted = (*wanted, "vessels") if shown else wanted
        note = "Vessels are drawn where the image shows them bright, by a rule, not by the network."
        if not shown:
            note = (
                "This model does not find vessels, and the image does not show them bright, as an angiography does; "
                "nothing is said about them."
            )
        if not wanted:
            raise InvalidInputError(f"{note} Choose other structures, another model, or an angiography.")
        return kept(labels, BRAIN, wanted), confidence, wanted, note

    def _found(
        self, inputs: Mapping[str, Volume], computed: Computed | None, fine: bool, context: Context
    ) -> tuple[Found, Any]:
        """What the networks find in one contrast, or in two together.

        A computed contrast is looked at only by a network that finds vessels itself: of the rest of the brain it tells
        nothing that the image does not.
        """
        from manabi.brain import segment
        from manabi.brain.prepare import prepare

        bundle, network = self._network(context, self.default_bundle)
        settings = segment.Settings.of(bundle.facts.get("brain", {}), bundle.precision)
        images = [inputs[name] for name in ("image", "second") if name in inputs]
        if computed and "vessels" in settings.structures:
            images.append(computed.made.volume)
        results = []
        for number, volume in enumerate(images):
            low = 0.02 + 0.76 * number / len(images)
            with context.span(low, low + 0.76 / len(images)):
                context.progress(0.0, "Preparing")
                prepared = prepare(volume)
                for text in prepared.warnings:
                    context.warn(text)
                with context.span(0.1, 1.0):
                    results.append(segment.find(prepared, network, settings, fine, context))
        return (results[0] if len(results) == 1 else segment.combined(results[0], results[1])), settings

    def _network(
        self, context: Context, default: str | None, warn: bool = True, chosen: str = ""
    ) -> tuple[Bundle, Any]:
        """The bundle to use and its network, loaded once per process; ``chosen`` goes before the run's bundle."""
        from manabi.store import BundleStore

        bundle = BundleStore().get(chosen or context.bundle or default or "", method=self.name)
        self.check_bundle(bundle)
        kind = "translation" if default == CONTRAST_BUNDLE else "structures"
        made_for = bundle.facts.get("brain", {}).get("kind", "structures")
        if made_for != kind:
            raise InvalidInputError(f"Bundle {bundle.name} was trained for {made_for}, not {kind}. Choose another one.")
        return bundle, self._networks.of(bundle, context, warn)

    # --- painted slices ---------------------------------------------------------------------------------------------

    def _propagate(self, inputs: dict[str, Volume], parameters: BrainParameters, context: Context) -> Result:
        from manabi.brain.propagate import PropagateSettings, propagate

        if "painted" not in inputs:
            raise InvalidInputError(
                "task=propagate needs the input painted: a label map on the image's grid with some slices painted."
            )
        image = inputs["image"]
        axis = array_axis(image, parameters.propagate_axis)
        settings = PropagateSettings(mode=parameters.propagate_mode, axis=axis)
        start = inputs.get("start")
        done = propagate(image, as_labels(inputs["painted"], "painted"), settings, context,
                         start=None if start is None else as_labels(start, "start"))  # fmt: skip
        return propagated_result(done, inputs["painted"])

    # --- a missing contrast -----------------------------------------------------------------------------------------

    def _contrast(self, inputs: dict[str, Volume], parameters: BrainParameters, context: Context) -> Result:
        from manabi.brain.contrast import Settings, synthesise

        try:
            bundle, network = self._network(context, CONTRAST_BUNDLE)
        except ModelNotFoundError as error:
            raise ModelNotFoundError(
                f"{error} A model for a missing contrast is trained with: python -m Training brain_contrast."
            ) from error
        settings = Settings.of(bundle.facts.get("brain", {}))
        context.progress(0.02, "Computing the contrast")
        with context.span(0.05, 0.98):
            made = synthesise(inputs["image"], network, settings, context)
        doubtful = float(np.asarray(made.uncertainty.array).mean())
        return Result(
            volumes={settings.name: made.volume, "unknowable": made.uncertainty},
            measurements={"unknowable_share": round(doubtful, 4)},
            warnings=list(made.volume.warnings),
        )

    # --- looking inside ---------------------------------------------------------------------------------------------

    def _features(self, inputs: dict[str, Volume], parameters: BrainParameters, context: Context) -> Result:
        from manabi.brain import inside

        _, network = self._network(context, self.default_bundle)
        if not parameters.layer:
            return Result(tables={"layers": inside.layer_table(network)})
        return inside.feature_result(
            network, inputs["image"], parameters.layer, CLASSES[parameters.structure], parameters.structure,
            parameters.count, context,
        )  # fmt: skip

    # --- figures and truth ------------------------------------------------------------------------------------------

    def draw(self, inputs: Mapping[str, Volume], result: Result, folder: Path) -> list[Path]:
        """Three planes with the structures' outlines, and the bars of their volumes."""
        from manabi.brain.figure import draw_result

        return draw_result(inputs, result, folder)

    def compare_truth(self, truth: Mapping[str, Cell], result: Result) -> dict[str, Table]:
        """Each structure's volume beside its true one, in mL."""
        rows = []
        for row in result.tables["volumes"].rows if "volumes" in result.tables else ():
            known = true_volume(truth, str(row[0]), str(row[1]))
            if known is not None:
                rows.append((str(row[0]), str(row[1]), row[2], round(known, 2)))
        return {"volumes": Table(("structure", "side", "volume_ml", "true_volume_ml"), tuple(rows))} if rows else {}


def true_volume(truth: Mapping[str, Cell], structure: str, side: str) -> float | None:
    """What a phantom's truth says of a structure's volume in mL; ``both`` is the sum of the sides."""
    sides = {"both": ("left_", "right_"), "": ("",)}.get(side, (f"{side}_",))
    parts = [truth.get(f"volume_{one}{structure}_ml") for one in sides]
    numbers = [float(part) for part in parts if isinstance(part, (int, float))]
    return sum(numbers) if len(numbers) == len(parts) else None


def _guess(share: float | None) -> dict[str, Cell]:
    """Measurement of a run whose second contrast was computed."""
    return {} if share is None else {"vessels_unknowable_share": round(share, 4)}


def _not_found(wanted: tuple[str, ...], known: tuple[str, ...]) -> list[str]:
    """A text where the model does not find what was asked for."""
    missing = [name for name in wanted if name not in known]
    if not missing:
        return []
    return [f"This model does not find {' and '.join(missing)}; nothing is said about them."]


def array_axis(image: Volume, direction: str) -> int | None:
    """The array axis whose slices are axial, coronal or sagittal, or closest to it; None for ``auto``."""
    if direction == "auto":
        return None
    from manabi.geometry import closest_axes

    axes, _ = closest_axes(image.grid.directions)
    return 2 - axes[{"sagittal": 0, "coronal": 1, "axial": 2}[direction]]


def as_labels(volume: Volume, name: str) -> Volume:
    """A label map of whole numbers; raises InvalidInputError for anything else."""
    values = np.asarray(volume.array)
    if values.dtype.kind == "f":
        if not np.array_equal(values, np.rint(values)):
            raise InvalidInputError(f"{name} must hold labels, whole numbers; this image holds others.")
        return volume.like(values.astype(np.int32))
    return volume


def propagated_result(done: Any, painted: Volume) -> Result:
    """A propagation as labels, uncertainty and a table of its own estimate of its accuracy."""
    from manabi.brain.painted import propagated_labelmap, propagated_tables

    if not done.labels.grid.same_as(painted.grid):
        raise GeometryError("The propagated labels do not lie on the painted ones' grid.")
    tables, measurements = propagated_tables(done)
    return Result(
        volumes={"uncertainty": done.uncertainty},
        labelmaps={"propagated": propagated_labelmap(done.labels)},
        tables=tables,
        measurements=measurements,
        warnings=list(done.warnings),
    )
