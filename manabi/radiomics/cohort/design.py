"""From a cohort to the matrix a model sees: every step fitted on the rows that it is given, which are training rows.

Reached only through the cross-validation (``evaluate``) and the final fit; not exported from the package.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from manabi.errors import InvalidInputError
from manabi.radiomics.cohort.association import association
from manabi.radiomics.cohort.clinical import ClinicalEncoder, VolumeTerm
from manabi.radiomics.cohort.combat import ComBat, Warn
from manabi.radiomics.cohort.filters import not_redundant, stability, varying
from manabi.radiomics.cohort.plan import Block, Preparation
from manabi.radiomics.cohort.steps import MedianImputer, VolumeResidual, fit_scaler

if TYPE_CHECKING:
    from manabi.radiomics.cohort.steps import Scaler
    from manabi.radiomics.cohort.table import Cohort


@dataclass(frozen=True, eq=False)
class FeatureChain:
    """Fitted preparation of the radiomic features.

    Attributes:
        names: features that are left, the one with the strongest univariate association first.
        impute: fills gaps.
        combat: harmonises centres, or None.
        covariates: encoder of the clinical variables whose effect ComBat keeps, or None.
        covariate_volume: log volume as such a covariate, or None.
        residual: takes volume out, or None.
        scale: scales.
    """

    names: tuple[str, ...]
    impute: MedianImputer
    combat: ComBat | None
    covariates: ClinicalEncoder | None
    covariate_volume: VolumeTerm | None
    residual: VolumeResidual | None
    scale: Scaler

    @classmethod
    def fit(cls, train: Cohort, preparation: Preparation) -> FeatureChain:
        """Fit every step on training rows."""
        columns = _usable(train, preparation)
        steps, values = cls._value_steps(train, columns, preparation)
        strength = np.zeros(len(columns))
        if preparation.selection != "none":
            strength = association(values, train, preparation.selection)
        kept = _not_redundant(train, columns, values, strength, preparation)
        if preparation.selection != "none":
            kept = kept[np.argsort(-strength[kept], kind="stable")][: preparation.max_features]
        return steps.take(kept)

    @classmethod
    def _value_steps(
        cls, train: Cohort, columns: np.ndarray, preparation: Preparation
    ) -> tuple[FeatureChain, np.ndarray]:
        """The steps that change values, fitted one after the other, and the training values after them."""
        values = train.features[:, columns]
        impute = MedianImputer.fit(values)
        values = impute.transform(values)
        combat = encoder = term = residual = None
        if preparation.harmonise and train.centre is not None and len(set(train.centre)) > 1:
            encoder, term = _covariates(train, preparation.harmonise_keep)
            kept = _covariate_values(train, encoder, term)
            combat = ComBat.fit(values, train.centre, kept, preparation.unseen_centre)
            values = combat.transform(values, train.centre, kept)
        if preparation.residualise_volume:
            volume = _volume(train)
            residual = VolumeResidual.fit(values, volume)
            values = residual.transform(values, volume)
        scale = fit_scaler(preparation.scale, values)
        names = tuple(train.feature_names[c] for c in columns)
        return cls(names, impute, combat, encoder, term, residual, scale), scale.transform(values)

    def raw(self, cohort: Cohort) -> np.ndarray:
        """``(n, names)`` values as they came, NaN where missing."""
        return cohort.features[:, cohort.columns_of(self.names)]

    def transform(self, cohort: Cohort, warn: Warn | None = None) -> np.ndarray:
        """``(n, names)`` prepared values of anybody."""
        values = self.impute.transform(self.raw(cohort))
        if self.combat is not None:
            kept = _covariate_values(cohort, self.covariates, self.covariate_volume)
            values = self.combat.transform(values, cohort.centre, kept, warn)
        if self.residual is not None:
            values = self.residual.transform(values, _volume(cohort))
        return self.scale.transform(values)

    def take(self, columns: np.ndarray) -> FeatureChain:
        """Some of the features."""
        return replace(
            self,
            names=tuple(self.names[c] for c in columns),
            impute=self.impute.take(columns),
            combat=None if self.combat is None else self.combat.take(columns),
            residual=None if self.residual is None else self.residual.take(columns),
            scale=self.scale.take(columns),
        )


def _usable(train: Cohort, preparation: Preparation) -> np.ndarray:
    """Columns that vary and are stable."""
    usable = varying(train.features)
    icc = stability(train.feature_names, train.icc, train.repeated)
    if icc is not None:
        usable &= icc >= preparation.min_icc
    return np.flatnonzero(usable)


def _not_redundant(train: Cohort, columns: np.ndarray, values: np.ndarray, strength: np.ndarray,
                   preparation: Preparation) -> np.ndarray:  # fmt: skip
    if preparation.max_correlation >= 1 or not len(columns):
        return np.arange(len(columns))
    icc = stability(train.feature_names, train.icc, train.repeated)
    priority = strength if icc is None else icc[columns]
    return np.flatnonzero(not_redundant(values, priority, preparation.max_correlation))


def _covariates(train: Cohort, names: tuple[str, ...]) -> tuple[ClinicalEncoder | None, VolumeTerm | None]:
    clinical = tuple(name for name in names if name != "volume_ml")
    known = {column.name for column in train.clinical}
    if absent := [name for name in clinical if name not in known]:
        raise InvalidInputError(
            f"ComBat is to keep the effect of {absent[0]!r}, but no clinical variable is called so."
        )
    encoder = ClinicalEncoder.fit(train, clinical) if clinical else None
    return encoder, VolumeTerm.fit(train) if "volume_ml" in names else None


def _covariate_values(cohort: Cohort, encoder: ClinicalEncoder | None, term: VolumeTerm | None) -> np.ndarray | None:
    parts = [part.transform(cohort) for part in (encoder, term) if part is not None]
    return np.hstack(parts) if parts else None


def _volume(cohort: Cohort) -> np.ndarray:
    if cohort.volume_ml is None:
        raise InvalidInputError("Taking the volume out of the features needs volume_ml for the cohort.")
    return cohort.volume_ml


@dataclass(frozen=True, eq=False)
class Design:
    """What one block gives to its model.

    Columns are clinical, then volume, then radiomic features by falling univariate association.

    Attributes:
        clinical: or None.
        volume: or None.
        chain: or None.
    """

    clinical: ClinicalEncoder | None
    volume: VolumeTerm | None
    chain: FeatureChain | None

    @classmethod
    def fit(cls, train: Cohort, block: Block, preparation: Preparation, chain: FeatureChain | None = None) -> Design:
        """Fit on training rows.

        Args:
            train: the rows.
            block: what goes in.
            preparation: of the features.
            chain: already fitted on the very same rows, to be shared by blocks.
        """
        features = block in ("radiomics", "combined")
        return cls(
            ClinicalEncoder.fit(train) if block in ("clinical", "combined") and train.clinical else None,
            VolumeTerm.fit(train) if block in ("volume", "combined") and train.volume_ml is not None else None,
            (chain or FeatureChain.fit(train, preparation)) if features else None,
        )

    @property
    def fixed(self) -> int:
        """Columns that are not radiomic."""
        clinical = 0 if self.clinical is None else len(self.clinical.columns)
        return clinical + (self.volume is not None)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        clinical = () if self.clinical is None else self.clinical.columns
        volume = () if self.volume is None else ("log volume",)
        return (*clinical, *volume, *(() if self.chain is None else self.chain.names))

    def matrix(self, cohort: Cohort, warn: Warn | None = None) -> np.ndarray:
        """``(n, columns)`` prepared values of anybody."""
        parts = [np.empty((len(cohort), 0))]
        if self.clinical is not None:
            parts.append(self.clinical.transform(cohort, warn))
        if self.volume is not None:
            parts.append(self.volume.transform(cohort))
        if self.chain is not None:
            parts.append(self.chain.transform(cohort, warn))
        return np.hstack(parts)

    def only_features(self, kept: np.ndarray) -> Design:
        """With some of the radiomic features only (indices among them)."""
        if self.chain is None:
            return self
        return replace(self, chain=self.chain.take(kept) if len(kept) else None)


def available(cohort: Cohort, block: Block) -> bool:
    """Whether the cohort has the data for a block."""
    clinical, volume, features = bool(cohort.clinical), cohort.volume_ml is not None, bool(cohort.feature_names)
    return {"clinical": clinical, "volume": volume, "radiomics": features,
            "combined": features and (clinical or volume)}[block]  # fmt: skip
