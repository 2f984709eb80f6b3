"""A fitted model as plain numbers: predicts, says what drove the prediction and whether the patient fits the cohort."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from manabi.context import Context
from manabi.errors import InvalidInputError
from manabi.radiomics.cohort.clinical import ClinicalEncoder, VolumeTerm
from manabi.radiomics.cohort.combat import ComBat
from manabi.radiomics.cohort.design import Design, FeatureChain
from manabi.radiomics.cohort.outside import Outside, Reference
from manabi.radiomics.cohort.predictors import LinearLabel, LinearSurvival, Predictor
from manabi.radiomics.cohort.state import pack, unpack
from manabi.radiomics.cohort.steps import MedianImputer, RankScaler, StandardScaler, VolumeResidual, YeoJohnsonScaler
from manabi.radiomics.cohort.table import ClinicalColumn, Cohort
from manabi.radiomics.cohort.trees import BoostedSurvival, ForestLabel, ForestSurvival, Trees


@dataclass(frozen=True)
class Contributions:
    """What drove one prediction.

    Attributes:
        values: by column, largest first; only columns with an influence.
        base: risk of the average patient, to which the values add up to the risk; NaN for logistic models of ordinal
            labels, whose values are log odds and whose risk is an expected level.
        method: how they were computed.
    """

    values: dict[str, float]
    base: float
    method: str


@dataclass(frozen=True, eq=False)
class FittedModel:
    """A model of one block, fitted to a whole cohort. Holds no patient: only what was estimated from all of them.

    Attributes:
        block: what it sees.
        kind: ``survival``, ``binary`` or ``ordinal``.
        model: ``ridge``, ``elastic_net``, ...
        levels: names of the labels; empty for survival.
        design: fitted preparation, of what the model uses.
        predictor: fitted model.
        reference: the training rows in short.
        risks: ``(101,)`` percentiles of the training rows' risks; the middle one splits low from high risk.
        baseline_times: ``(k,)`` times of the cohort's Kaplan-Meier curve, in days; empty for labels.
        baseline_survival: ``(k,)``.
        tuned: chosen values.
        about: rows, patients, events and the plan.
    """

    block: str
    kind: str
    model: str
    levels: tuple[str, ...]
    design: Design
    predictor: Predictor
    reference: Reference
    risks: np.ndarray
    baseline_times: np.ndarray
    baseline_survival: np.ndarray
    tuned: Mapping[str, float]
    about: Mapping[str, object]

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Radiomic features that must be extracted to predict."""
        return () if self.design.chain is None else self.design.chain.names

    @property
    def clinical_names(self) -> tuple[str, ...]:
        """Clinical variables that must be given (their cells may be empty)."""
        encoders = [self.design.clinical, self.design.chain.covariates if self.design.chain else None]
        return tuple(dict.fromkeys(name for e in encoders if e is not None for name in e.names))

    @property
    def needs_volume(self) -> bool:
        """Whether the tumour volume must be given."""
        chain = self.design.chain
        from_chain = chain is not None and (chain.residual is not None or chain.covariate_volume is not None)
        return self.design.volume is not None or from_chain

    @property
    def median_risk(self) -> float:
        """Threshold between low and high risk: the training median."""
        return float(self.risks[50])

    def patient(self, features: Mapping[str, float] | None = None, clinical: Mapping[str, object] | None = None,
                volume_ml: float | None = None, centre: str | None = None) -> Cohort:  # fmt: skip
        """One patient as a cohort of one row, to predict for.

        Args:
            features: by name; those the model does not need are ignored.
            clinical: numbers or levels by name; a needed one that is absent or None counts as missing.
            volume_ml: tumour volume.
            centre: where the image is from; None where that is not one of the cohort's.

        Raises:
            InvalidInputError: features that the model needs are absent, or a level or number is not what it should be.
        """
        given, values = features or {}, clinical or {}
        names = tuple(name for name in self.feature_names if name in given)
        return Cohort(
            patients=("",),
            feature_names=names,
            features=np.array([[given[name] for name in names]], float).reshape(1, len(names)),
            clinical=tuple(self._column(name, values.get(name)) for name in self.clinical_names),
            volume_ml=None if not self.needs_volume else np.array([np.nan if volume_ml is None else volume_ml]),
            centre=None if centre is None else (centre,),
        )

    def _column(self, name: str, value: object) -> ClinicalColumn:
        chain = self.design.chain
        encoder = next(e for e in (self.design.clinical, chain.covariates if chain else None)
                       if e is not None and name in e.names)  # fmt: skip
        place = encoder.names.index(name)
        if encoder.kinds[place] != "numeric":
            return ClinicalColumn.of(name, [value], "ordinal", encoder.levels[place])
        try:
            number = float("nan") if value is None or value == "" else float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            raise InvalidInputError(f"{name} must be a number, or empty where unknown.") from None
        return ClinicalColumn(name, "numeric", np.array([number]))

    def matrix(self, cohort: Cohort, context: Context | None = None) -> np.ndarray:
        """``(n, columns)`` prepared values."""
        return self.design.matrix(cohort.blind(), (context or Context()).warn)

    def predict_risk(self, cohort: Cohort, context: Context | None = None) -> np.ndarray:
        """``(n,)`` risk, higher is worse: log hazard ratio, mortality (forest), log odds or expected level.

        Raises:
            InvalidInputError: what the model needs is not there.
        """
        return self.predictor.risk(self.matrix(cohort, context))

    def predict_survival(self, cohort: Cohort, times_days: Sequence[float] | np.ndarray,
                         context: Context | None = None) -> np.ndarray:  # fmt: skip
        """``(n, times)`` probability of being without the event; NaN after the cohort's last follow-up.

        Raises:
            InvalidInputError: a model of labels, or what the model needs is not there.
        """
        if self.kind != "survival":
            raise InvalidInputError("This model predicts a label: ask for predict_probability.")
        return self.predictor.survival(self.matrix(cohort, context), np.asarray(times_days, float))

    def predict_probability(self, cohort: Cohort, context: Context | None = None) -> np.ndarray:
        """``(n, levels)`` probability of each label.

        Raises:
            InvalidInputError: a model of survival, or what the model needs is not there.
        """
        if self.kind == "survival":
            raise InvalidInputError("This model predicts survival: ask for predict_survival.")
        return self.predictor.probability(self.matrix(cohort, context))

    def percentile(self, risk: float) -> float:
        """Share of the training rows with a lower risk, in percent."""
        return float(np.interp(risk, self.risks, np.arange(101.0)))

    def contributions(self, patient: Cohort) -> Contributions:
        """What drove the prediction for one patient (a cohort of one row).

        Raises:
            InvalidInputError: more than one row.
        """
        x = self._one(patient)
        parts = self.predictor.contributions(x)[0]
        summed: dict[str, float] = {}
        for k in sorted(self.predictor.used):
            # The columns of one clinical variable ("sex=F") are shown as one: a man's risk is not raised by "sex=F".
            name = self.design.columns[k]
            name = name.partition("=")[0] if k < self.design.fixed else name
            summed[name] = summed.get(name, 0.0) + float(parts[k])
        ordered = dict(sorted(summed.items(), key=lambda item: -abs(item[1])))
        additive = self.kind != "ordinal" or not isinstance(self.predictor, LinearLabel)
        base = float(self.predictor.risk(x)[0] - parts.sum()) if additive else float("nan")
        return Contributions(ordered, base, self.predictor.method)

    def outside(self, patient: Cohort) -> Outside:
        """How far one patient (a cohort of one row) lies outside of the cohort the model was fitted to.

        Raises:
            InvalidInputError: more than one row.
        """
        x = self._one(patient)
        missing = np.zeros(x.shape[1], bool)
        if self.design.chain is not None and x.shape[1] > self.design.fixed:
            missing[self.design.fixed :] = np.isnan(self.design.chain.raw(patient))[0]
        if self.design.volume is not None and patient.volume_ml is not None:
            missing[self.design.fixed - 1] = np.isnan(patient.volume_ml[0])
        return self.reference.of(x, missing)

    def _one(self, patient: Cohort) -> np.ndarray:
        if len(patient) != 1:
            raise InvalidInputError(f"One patient at a time: expected 1 row, got {len(patient)}. Use cohort.take([k]).")
        return self.matrix(patient)

    def to_state(self) -> dict[str, np.ndarray | str]:
        """As arrays by name and one JSON text (``structure``): to be stored without pickle."""
        return pack(self)

    @classmethod
    def from_state(cls, state: Mapping[str, np.ndarray | str]) -> FittedModel:
        """Back from :meth:`to_state`.

        Raises:
            CorruptModelError: something is missing or altered.
        """
        return unpack(state, CLASSES)


CLASSES: dict[str, type] = {
    c.__name__: c
    for c in (FittedModel, Design, FeatureChain, ClinicalEncoder, VolumeTerm, ComBat, MedianImputer, StandardScaler,
              RankScaler, YeoJohnsonScaler, VolumeResidual, Reference, LinearSurvival, LinearLabel, Trees,
              ForestSurvival, BoostedSurvival, ForestLabel)
}  # fmt: skip
"""What a stored model may be made of."""
