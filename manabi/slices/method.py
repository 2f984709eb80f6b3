"""SliceMarker as a Manabi method: the three levels of a chest CT, how sure they are, and slices that represent it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from manabi.context import Context
from manabi.errors import InvalidInputError
from manabi.loaded import LoadedNetworks
from manabi.method import InputSpec, Method
from manabi.parameters import Parameters
from manabi.result import Cell, Result, Table
from manabi.series_rule import SeriesRule
from manabi.slices.reading import MARKERS
from manabi.volume import Volume

if TYPE_CHECKING:
    from manabi.slices.find import Settings
    from manabi.slices.reading import Reading
    from manabi.slices.rules import RuleReading
    from manabi.slices.stack import AxialStack

IMPORTED_AHEAD = ("manabi.slices.find", "manabi.slices.rules", "manabi.slices.report", "scipy.ndimage")
"""What a run imports."""
HU_LOWEST = -200.0
"""A chest CT in Hounsfield units holds air: its lowest value is below this (our choice)."""


@dataclass(frozen=True)
class SliceParameters(Parameters):
    """Parameters of SliceMarker."""

    representative: Literal["3", "5", "9", "count", "spacing"] = field(
        default="3",
        metadata={"help": "slices to choose: the markers (3), with middles (5), with quarters (9), count, spacing"},
    )
    count: int = field(
        default=9, metadata={"help": "slices from apex to diaphragm (representative=count)", "low": 2, "high": 500}
    )
    spacing_mm: float = field(
        default=20.0,
        metadata={"help": "distance of slices from the apex down (representative=spacing)", "low": 0.5, "high": 500.0},
    )
    finder: Literal["network", "rules"] = field(
        default="network", metadata={"help": "the bundle's network, or tracking of airway and lungs for comparison"}
    )
    exhaustive: bool = field(
        default=False, metadata={"help": "look at every slice; by default from coarse to fine"}
    )
    rules_check: bool = field(
        default=True, metadata={"help": "also track airway and lungs: as evidence, and to tell where they disagree"}
    )
    min_confidence: float = field(
        default=0.5, metadata={"help": "less confident markers are flagged for checking", "low": 0.0, "high": 1.0}
    )
    uids: bool = field(
        default=False, metadata={"help": "list SOP instance UIDs in the tables (they can identify a patient)"}
    )


class SliceMarker(Method[SliceParameters]):
    """Lung apex, carina and diaphragm of a chest CT, each with its confidence, and representative slices between."""

    name: ClassVar[str] = "slices"
    title: ClassVar[str] = "SliceMarker"
    summary: ClassVar[str] = (
        "lung apex, carina and diaphragm of any chest CT with calibrated confidence, and representative slices"
    )
    source: ClassVar[str] = (
        "Zhang J, Wada S, Sugimoto K, et al. Extracting representative CT slices of interstitial pneumonia with 2-D "
        "image classification. 41st Joint Conference on Medical Informatics (JAMI), Nagoya, 2021, 2-H-2-03; "
        "ILD-Slider, J Imaging 2025, 10.3390/jimaging11100353"
    )
    inputs: ClassVar[tuple[InputSpec, ...]] = (
        InputSpec("ct", "CT of the chest, or of a part of it", ("CT",), min_shape=(8, 32, 32)),
    )
    parameters_type: ClassVar[type[Parameters]] = SliceParameters
    phantom: ClassVar[str] = "thorax"
    default_bundle: ClassVar[str | None] = "slices-default"
    series_rules: ClassVar[Mapping[str, SeriesRule]] = {
        "ct": SeriesRule(
            regions=("chest", "heart"), without=(r"\bbone\b", r"\bperfusion", r"\bbolus", r"\bmonitor"),
            orientations=("axial", "coronal", "sagittal"), least_extent_mm=80.0, most_spacing_mm=10.0,
            best_spacing_mm=(1.0, 3.0),
        )
    }  # fmt: skip
    alert_prefixes: ClassVar[tuple[str, ...]] = ("Check the ", "Not in the image", "No lungs", "The values do not look")

    def __init__(self) -> None:
        self._networks = LoadedNetworks()

    def _run(self, inputs: dict[str, Volume], parameters: SliceParameters, context: Context) -> Result:
        from manabi.slices import report, representative
        from manabi.slices.stack import AxialStack

        volume = inputs["ct"]
        units = self._check_units(volume)
        context.progress(0.02, "Preparing")
        stack = AxialStack.of(volume, context)
        uids = instance_uids(volume, stack) if parameters.uids else None
        rules = self._rules(stack, parameters, context)
        with context.span(0.4, 0.9):
            reading, against = self._read(stack, rules, parameters, context)
        context.progress(0.9, "Choosing slices")
        plan = representative.Plan(parameters.representative, parameters.count, parameters.spacing_mm)
        chosen = representative.choose(reading.levels_mm, stack.z_mm, plan)
        rules_mm = {} if rules is None or parameters.finder == "rules" else rules.z_mm
        notes = representative.choice_notes(reading.levels_mm, stack.z_mm, plan, chosen)
        alerts = [*units, *report.alerts(reading, parameters.min_confidence, against)]
        result = Result(
            volumes={"representative": representative.representative_volume(volume, stack, chosen)},
            landmarks=report.landmarks(reading, stack, _centre(stack), _masks(rules)),
            tables={
                "markers": report.markers_table(reading, stack, rules_mm),
                "representative": report.slices_table(chosen, stack),
            },
            plots={"probability": report.probability_plot(reading)},
            measurements=report.measurements(reading, stack, parameters.min_confidence, alerts),
            warnings=[*alerts, *notes],
        )
        if uids is not None:
            result.tables = {key: report.with_uids(table, uids) for key, table in result.tables.items()}
        return result

    def load(self, context: Context) -> None:
        """Load the bundle's network, and import what a run needs, ahead of it."""
        for name in IMPORTED_AHEAD:
            import_module(name)
        self._network(context, warn=False)

    # --- parts of a run ---------------------------------------------------------------------------------------------

    @staticmethod
    def _check_units(volume: Volume) -> list[str]:
        lowest = float(np.asarray(volume.array).min())
        if lowest <= HU_LOWEST:
            return []
        return [
            f"The values do not look like Hounsfield units (the lowest is {lowest:g}; air is -1000). Check that the "
            "series was exported with its rescale intercept; disregard the markers otherwise."
        ]

    @staticmethod
    def _rules(stack: AxialStack, parameters: SliceParameters, context: Context) -> RuleReading | None:
        if not parameters.rules_check and parameters.finder != "rules":
            return None
        from manabi.slices.rules import find_by_rules

        context.progress(0.05, "Tracking airway and lungs")
        return find_by_rules(stack)

    def _read(
        self, stack: AxialStack, rules: RuleReading | None, parameters: SliceParameters, context: Context
    ) -> tuple[Reading, RuleReading | None]:  # fmt: skip
        """The answers, and what tracking found where that is to be held against them."""
        if parameters.finder == "rules" and rules is not None:
            return reading_of_rules(rules, stack), None
        from manabi.slices.find import find_markers

        network, settings = self._network(context)
        context.progress(0.0, "Reading slices")
        said = None if rules is None else rules.said_mm
        reading = find_markers(stack, network, settings, context, exhaustive=parameters.exhaustive, rules_mm=said)
        return reading, None if rules is None else rules.moved(settings.decoder.habits.shift_mm)

    def _network(self, context: Context, warn: bool = True) -> tuple[Any, Settings]:
        """The bundle's network, loaded once per process, and its settings."""
        from manabi.slices.find import Settings
        from manabi.store import BundleStore

        bundle = BundleStore().get(context.bundle or self.default_bundle or "", method=self.name)
        self.check_bundle(bundle)
        return self._networks.of(bundle, context, warn), Settings.of(bundle.facts.get("slices", {}))

    def compare_truth(self, truth: Mapping[str, Cell], result: Result) -> dict[str, Table]:
        """Each marker beside its true level, in mm (RAS coordinate S)."""
        from manabi.slices.report import truth_table

        return {"levels": truth_table(truth, result.measurements)}

    # --- figures and files ------------------------------------------------------------------------------------------

    def draw(self, inputs: Mapping[str, Volume], result: Result, folder: Path) -> list[Path]:
        """The triptych of the three levels with coronal view and probabilities, and the representative slices."""
        from manabi.slices.figure import draw_markers

        return draw_markers(inputs["ct"], result, folder)

    def export(
        self, inputs: Mapping[str, Volume], result: Result, folder: Path, image_format: str
    ) -> Mapping[str, list[Path]]:
        """Pictures and arrays of the representative slices; as DICOM also their series and a key object selection."""
        from manabi.slices.export import export_slices

        if not result.tables["representative"].rows:
            return {}
        dicom = image_format == "dicom"
        return export_slices(inputs["ct"], result, folder, dicom=dicom, key_object=None if dicom else False)


def reading_of_rules(rules: RuleReading, stack: AxialStack) -> Reading:
    """The baseline's answer in the form of the network's; its confidence is not known and given as 0.5.

    A marker that they did not find is beyond the image only where lung reaches the image's end on its side; otherwise
    it is simply not found.
    """
    from manabi.slices.reading import LOWER_END, UPPER_END, Absent, Found, Reading

    sides: dict[str, Absent] = {marker: "unknown" for marker in MARKERS}
    if UPPER_END in rules.notes:
        sides["apex"] = "above"
    if LOWER_END in rules.notes:
        sides["diaphragm"] = "below"
    found = []
    for marker in MARKERS:
        index = rules.index.get(marker)
        absent: Absent = "" if index is not None else sides[marker]
        probability = np.zeros(stack.n)
        if index is not None:
            probability[index] = 1.0
        z_mm = None if index is None else float(stack.z_mm[index])
        found.append(Found(marker, index, z_mm, 0.5, absent, probability))
    nothing = np.zeros(stack.n, bool)
    return Reading((found[0], found[1], found[2]), stack.z_mm, nothing, np.full((stack.n, 3), np.nan))


def instance_uids(volume: Volume, stack: AxialStack) -> Sequence[str]:
    """SOP instance UID of each of the input's slices; raises InvalidInputError where they are not known."""
    source = volume.source
    uids = getattr(source, "instance_uids", ())
    if stack.input_axis != 0 or stack.resampled or len(uids) != stack.n:
        raise InvalidInputError(
            "uids: expected a DICOM series with one file per axial slice; this image does not say which instance each "
            "slice was. Set uids=false, or give the DICOM folder."
        )
    return uids


def _centre(stack: AxialStack) -> tuple[float, float]:
    from manabi.slices.prepare import body_centre

    return body_centre(stack)


def _masks(rules: RuleReading | None) -> dict[str, np.ndarray | None]:
    return {"lungs": None, "airway": None} if rules is None else {"lungs": rules.lungs, "airway": rules.airway}
