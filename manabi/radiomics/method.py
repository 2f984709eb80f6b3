"""RadiomicsSurvival as a Manabi method: features of segments, a patient's risk against a cohort, models of cohorts."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from manabi.context import Context
from manabi.errors import DependencyError, InvalidInputError
from manabi.method import InputSpec, Method
from manabi.parameters import Parameters
from manabi.radiomics.parameters import CHANGES, RadiomicsParameters
from manabi.radiomics.segments import NamedLabels
from manabi.result import Cell, Result, Table
from manabi.series_rule import SeriesRule
from manabi.volume import Volume

if TYPE_CHECKING:
    from manabi.phantoms.base import Case
    from manabi.radiomics.measure import Measured
    from manabi.radiomics.model_file import CohortModel
    from manabi.radiomics.predict import Prediction
    from manabi.radiomics.settings import ExtractionSettings

IMPORTED_AHEAD = (
    "manabi.radiomics.extract", "manabi.radiomics.measure", "manabi.radiomics.predict", "manabi.radiomics.texture",
    "manabi.radiomics.tables", "SimpleITK", "scipy.ndimage",
)  # fmt: skip
"""What a run imports."""
IMAGES = ("image", "second")
TABLE_TASKS = ("fit", "delta")
"""Tasks that take tables instead of images."""
EXTRACTION = ("preset", "engine", "bin_width", "bin_count", "resample_mm", "wavelets")
"""Parameters of the extraction, which a model with its own settings does not use."""


class RadiomicsSurvival(Method[RadiomicsParameters]):
    """Radiomic features of any segments, risk and survival of the patient, and models of cohorts without leaks."""

    name: ClassVar[str] = "radiomics"
    title: ClassVar[str] = "RadiomicsSurvival"
    summary: ClassVar[str] = (
        "radiomic features of any segments, a patient's risk against a cohort, models of cohorts without leaks"
    )
    source: ClassVar[str] = (
        "Sawayanagi S, Yamashita H, Nozawa Y, et al. Establishment of a prediction model for overall survival after "
        "stereotactic body radiation therapy for primary non-small cell lung cancer using radiomics analysis. Cancers "
        "2022;14:3859, 10.3390/cancers14163859; Nakamoto T, Takahashi W, Haga A, et al. Sci Rep 2019;9:19411, "
        "10.1038/s41598-019-55922-0; Zwanenburg A, et al. Radiology 2020;295:328, 10.1148/radiol.2020191145"
    )
    inputs: ClassVar[tuple[InputSpec, ...]] = (
        InputSpec("image", "CT, MR or PET with the tumour", ("CT", "MR", "PT"), min_shape=(2, 4, 4)),
        InputSpec(
            "second", "a second image of the same patient, for example T2 beside contrast-enhanced T1",
            ("CT", "MR", "PT"), optional=True, min_shape=(2, 4, 4),
        ),
        InputSpec("mask", "label map of one or several segments", ("SEG",), optional=True),
    )  # fmt: skip
    parameters_type: ClassVar[type[Parameters]] = RadiomicsParameters
    phantom: ClassVar[str] = "tumour"
    default_bundle: ClassVar[str | None] = "radiomics-default"
    series_rules: ClassVar[Mapping[str, SeriesRule]] = {
        "image": SeriesRule(),
        "mask": SeriesRule(modalities=("SEG", "RTSTRUCT"), refers_to="image"),
    }
    alert_prefixes: ClassVar[tuple[str, ...]] = (
        "Outside the cohort", "No better than", "Clinical values are missing", "Features could not be computed",
        "No features of", "Check the ",
    )  # fmt: skip

    def __init__(self) -> None:
        self._models: dict[str, tuple[CohortModel, str]] = {}

    def run(
        self,
        inputs: Mapping[str, Volume] | Volume,
        parameters: RadiomicsParameters | Mapping[str, Any] | None = None,
        context: Context | None = None,
    ) -> Result:
        """Run; ``fit`` and ``delta`` take tables and need no image, see :class:`manabi.method.Method`."""
        settings = RadiomicsParameters.of(parameters)
        if settings.task in TABLE_TASKS and not isinstance(self, FromTables):
            return FromTables().run(inputs, settings, context)
        return super().run(inputs, settings, context)

    def _run(self, inputs: dict[str, Volume], parameters: RadiomicsParameters, context: Context) -> Result:
        if "mask" not in inputs:
            raise InvalidInputError(
                f"{self.title} takes image and mask; missing: mask. Choose the segmentation of the tumour."
            )
        if parameters.task == "features":
            return self._features(inputs, parameters, context)
        return self._predict(inputs, parameters, context)

    def load(self, context: Context) -> None:
        """Load the model, import what a run needs and compile what counts grey levels, ahead of it."""
        from manabi.radiomics.texture import choose

        for name in IMPORTED_AHEAD:
            import_module(name)
        if choose.installed():
            with suppress(DependencyError):
                choose.warm()
        self._model(context, warn=False)

    # --- features ---------------------------------------------------------------------------------------------------

    def _features(self, inputs: dict[str, Volume], parameters: RadiomicsParameters, context: Context) -> Result:
        context.progress(0.02, "Preparing")
        result, _ = self._measured(inputs, parameters, parameters.extraction(), parameters.preset, context)
        return result

    def _measured(
        self,
        inputs: dict[str, Volume],
        parameters: RadiomicsParameters,
        settings: ExtractionSettings | Mapping[str, ExtractionSettings],
        preset: str,
        context: Context,
    ) -> tuple[Result, list[Measured]]:
        """The result of the extraction, and the features themselves."""
        from manabi.radiomics import tables
        from manabi.radiomics.measure import measure
        from manabi.radiomics.segments import choose, labelled, labels_of

        chosen = choose(inputs["mask"], parameters)
        images = {name: inputs[name] for name in IMAGES if name in inputs}
        with context.span(0.05, 0.85):
            measured, notes = measure(images, inputs["mask"], chosen, settings, context)
        context.progress(0.88, "Writing the tables")
        changed = "" if isinstance(settings, Mapping) or settings == _preset(preset) else ", changed"
        named = f"{preset}{changed}"
        result = Result(
            labelmaps={"segments": labelled(_on_image(inputs), chosen, labels_of(_on_image(inputs)))},
            tables={
                "key_features": tables.key_table(measured), "features": tables.tidy_table(measured, named),
                "features_wide": tables.wide_table(measured, named, inputs["image"].modality),
            },
            plots={"volumes": tables.volumes_plot(measured)},
            measurements=tables.measurements(measured),
            warnings=notes,
        )  # fmt: skip
        return result, measured

    # --- the patient's risk -----------------------------------------------------------------------------------------

    def _predict(self, inputs: dict[str, Volume], parameters: RadiomicsParameters, context: Context) -> Result:
        from manabi.radiomics import predict, predict_plots

        context.progress(0.01, "Loading the model")
        model, modality = self._model(context)
        clinical = parameters.clinical_values()
        said = [*predict.verdict_alerts(model.verdict), *predict.check_clinical(model, clinical)]
        said += predict.check_modality(modality, inputs["image"].modality)
        said += predict.check_centre(model, parameters.centre)
        settings, note = _settings_of(model, parameters, inputs)
        context.progress(0.03, "Preparing")
        result, measured = self._measured(inputs, parameters, settings, model.preset or parameters.preset, context)
        context.progress(0.92, "Comparing with the cohort")
        found = [predict.predict(model, one, clinical, parameters.centre, context) for one in measured]
        said = [text for one in found for text in predict.alerts(one)] + said
        note = [*note, *(text for one in found for text in predict.range_notes(one))]
        result.tables = {
            "risk": predict.risk_table(found), "contributions": predict.contributions_table(found),
            **_survival_tables(found, model), **result.tables,
        }  # fmt: skip
        result.plots = {**predict_plots.plots(found, model), **result.plots}
        result.measurements = {**predict.measurements(found), **result.measurements}
        verdict = [model.verdict.text] if model.verdict.text else []
        result.warnings = [*said, *note, *verdict, *result.warnings]
        context.progress(0.97, "Comparing with the cohort")
        return result

    def _model(self, context: Context, warn: bool = True) -> tuple[CohortModel, str]:
        """The model of the bundle to use, loaded once per process, and the modality of the images it is for."""
        from manabi.radiomics.model_file import load_model
        from manabi.store import BundleStore

        bundle = BundleStore().get(context.bundle or self.default_bundle or "", method=self.name)
        self.check_bundle(bundle)
        key = bundle.provenance()["weights_sha256"]
        if key not in self._models:
            modality = bundle.metadata["manabi"].get("inputs", {}).get("modality")
            self._models[key] = load_model(bundle), str(modality or "")
        context.used_bundle = bundle.provenance()
        if bundle.notice and warn:
            context.warn(f"Bundle {bundle.name} {bundle.version}: {bundle.notice}.")
        return self._models[key]

    # --- figures and truth ------------------------------------------------------------------------------------------

    def draw(self, inputs: Mapping[str, Volume], result: Result, folder: Path) -> list[Path]:
        """The segments on three planes, the patient among the cohort, what drove the risk; changes have no figure."""
        if CHANGES in result.tables:
            return []
        from manabi.radiomics.figure import draw_result

        return draw_result(inputs, result, folder)

    def export(
        self, inputs: Mapping[str, Volume], result: Result, folder: Path, image_format: str
    ) -> Mapping[str, list[Path]]:
        """The report as HTML (one file, pictures within) and as PDF; none of a table of changes."""
        if CHANGES in result.tables:
            return {}
        from manabi.radiomics.report import write_reports

        return {"report": write_reports(inputs, result, folder)}

    def sample_inputs(self, case: Case) -> dict[str, Volume]:
        """The method's inputs of a simulated patient: its images in order, and the outline as the mask."""
        images = [volume for name, volume in case.volumes.items() if not name.startswith("cbct")]
        outline = next(iter(case.labelmaps.values()))
        found = dict(zip(IMAGES, images, strict=False))
        names = {segment.label: segment.name for segment in outline.segments}
        return {**found, "mask": replace(outline.volume, modality="SEG", source=NamedLabels(names))}

    def gather(self, results: Mapping[str, Path], folder: Path) -> list[Path]:
        """The cases' tables of a batch as one, see :func:`manabi.radiomics.merge.gather`."""
        from manabi.radiomics.merge import gather

        return gather(results, folder)

    def compare_truth(self, truth: Mapping[str, Cell], result: Result) -> dict[str, Table]:
        """The measured volume beside the true one, in mL."""
        known, measured = truth.get("volume_ml"), result.measurements.get("volume_ml")
        if known is None or measured is None:
            return {}
        return {"volume": Table(("measured_ml", "true_ml"), ((measured, known),))}


class FromTables(RadiomicsSurvival):
    """The tasks ``fit`` and ``delta`` of RadiomicsSurvival: tables in, a validated model or changes out; no image."""

    inputs: ClassVar[tuple[InputSpec, ...]] = tuple(
        InputSpec(spec.name, spec.description, spec.modalities, True, spec.min_shape)
        for spec in RadiomicsSurvival.inputs
    )

    def _run(self, inputs: dict[str, Volume], parameters: RadiomicsParameters, context: Context) -> Result:
        if parameters.task == "delta":
            from manabi.radiomics.delta_table import change_tables

            return change_tables(parameters, context)
        from manabi.radiomics.cohort_run import fit_tables

        return fit_tables(parameters, context)


def _survival_tables(found: list[Prediction], model: CohortModel) -> dict[str, Table]:
    """Predicted and observed survival at the years, and the groups' curves; none for labels."""
    from manabi.radiomics.predict import groups_table, years_table

    if model.fitted.kind != "survival":
        return {}
    return {"survival": years_table(found, model.groups), "cohort_survival": groups_table(model.groups)}


def _preset(name: str) -> ExtractionSettings | None:
    """Settings of a preset's name, or None for another name."""
    from manabi.radiomics.presets import PRESETS, preset

    return preset(name) if name in PRESETS else None


def _on_image(inputs: Mapping[str, Volume]) -> Volume:
    """The mask on the image's own grid."""
    from manabi.radiomics.segments import labels_of

    image, mask = inputs["image"], inputs["mask"]
    labels = mask.like(labels_of(mask))
    return labels if labels.grid.same_as(image.grid) else labels.resampled(image.grid, "nearest")


def _settings_of(
    model: CohortModel, parameters: RadiomicsParameters, inputs: Mapping[str, Volume]
) -> tuple[ExtractionSettings | Mapping[str, ExtractionSettings], list[str]]:
    """The settings that the model was fitted with; those of the parameters, with a warning, where it does not say.

    Raises:
        InvalidInputError: the model needs another number of images.
    """
    needed = [name for name in IMAGES if name in model.extraction]
    if not needed:
        text = (
            "Check the settings: the model does not say how its features were extracted; those chosen here were used."
        )
        return parameters.extraction(), [text] if model.fitted.feature_names else []
    if missing := [name for name in needed if name not in inputs]:
        raise InvalidInputError(f"The model takes two images; missing: {', '.join(missing)}. Choose the second image.")
    found = {name: model.extraction[name] for name in needed}
    if "second" in inputs and "second" not in found:
        found["second"] = found["image"]
    fresh = RadiomicsParameters()
    unused = [name for name in EXTRACTION if getattr(parameters, name) != getattr(fresh, name)]
    if not unused:
        return found, []
    return found, [f"Features were extracted as the model's were; not used: {', '.join(unused)}."]
