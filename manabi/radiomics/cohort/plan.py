"""How a cohort is modelled and validated, as one immutable value that validates itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from manabi.errors import InvalidInputError

Block = Literal["clinical", "volume", "radiomics", "combined"]
Model = Literal["ridge", "elastic_net", "lasso", "forest", "boosting"]
Scheme = Literal["folds", "loo", "holdout"]
BLOCKS: tuple[Block, ...] = ("clinical", "volume", "radiomics", "combined")


@dataclass(frozen=True)
class Preparation:
    """What happens to features before a model sees them: fitted on training patients only, always in this order.

    Missing values are filled with the training median, centres harmonised by ComBat, volume regressed out (on
    request), scaled; then features are dropped that hardly vary, that are not stable, that are redundant, and, last,
    that have little univariate association with the outcome.

    Attributes:
        harmonise: ComBat where centres are known.
        harmonise_keep: clinical variables (or ``volume_ml``) whose effect ComBat keeps.
        unseen_centre: at prediction, for a centre without training patients: ``warn`` leaves its values as they are.
        scale: ``standard``, ``rank`` (to normal scores) or ``yeo-johnson``.
        min_icc: least stability (ICC) of a feature, where stability is known.
        max_correlation: of two features with a larger |Spearman rho| the more stable one stays, or, without
            stability, the one with the larger univariate association.
        selection: univariate ranking; ``auto`` is the Cox score test for survival and Wilcoxon-Mann-Whitney (rank
            correlation for ordinal labels) otherwise; ``none`` keeps all features.
        max_features: most that selection keeps (50 is our choice: it bounds the search of a small cohort).
        residualise_volume: replace features by their residual of log volume.
    """

    harmonise: bool = True
    harmonise_keep: tuple[str, ...] = ()
    unseen_centre: Literal["warn", "error"] = "warn"
    scale: Literal["standard", "rank", "yeo-johnson"] = "standard"
    min_icc: float = 0.75
    max_correlation: float = 0.9
    selection: Literal["auto", "cox_score", "concordance", "wilcoxon", "none"] = "auto"
    max_features: int = 50
    residualise_volume: bool = False

    def __post_init__(self) -> None:
        """Check."""
        one_of("unseen_centre", self.unseen_centre, ("warn", "error"))
        one_of("scale", self.scale, ("standard", "rank", "yeo-johnson"))
        one_of("selection", self.selection, ("auto", "cox_score", "concordance", "wilcoxon", "none"))
        within("min_icc", self.min_icc, -1.0, 1.0)
        within("max_correlation", self.max_correlation, 0.0, 1.0)
        within("max_features", self.max_features, 1, 100_000)
        object.__setattr__(self, "harmonise_keep", tuple(self.harmonise_keep))


@dataclass(frozen=True)
class Plan:
    """A model and its validation.

    Attributes:
        blocks: what is compared: ``clinical``, ``volume``, ``radiomics`` and ``combined`` (all that is there). All by
            default; blocks without data are left out with a warning.
        model: of radiomics and combined: ``ridge`` (Cox or logistic after univariate selection), ``elastic_net``,
            ``lasso``, ``forest``, ``boosting`` (survival only).
        baseline_model: of clinical and volume: ``ridge``, or ``same`` as ``model``.
        preparation: of the radiomic features.
        scheme: ``folds`` (repeated nested cross-validation), ``loo`` (leave one patient out) or ``holdout``.
        folds: outer folds.
        repeats: of the folds, or of the random hold-out; ``loo`` has one.
        holdout: test patients of ``holdout``.
        inner_folds: of the tuning inside each training set.
        tuning_score: ``auto`` is the cross-validated partial likelihood for Cox models, log loss for labels, and
            concordance for forests and boosting; ``concordance`` may be asked for with any.
        n_permutations: of the outcome, for the null of the whole procedure; each costs one repeat.
        seed: everything random follows from it.
        n_times: points of the grid of predicted survival.
    """

    blocks: tuple[Block, ...] = BLOCKS
    model: Model = "elastic_net"
    baseline_model: Literal["ridge", "same"] = "ridge"
    preparation: Preparation = field(default_factory=Preparation)
    scheme: Scheme = "folds"
    folds: int = 5
    repeats: int = 10
    holdout: int = 0
    inner_folds: int = 5
    tuning_score: Literal["auto", "concordance"] = "auto"
    n_permutations: int = 0
    seed: int = 0
    n_times: int = 50

    def __post_init__(self) -> None:
        """Check."""
        object.__setattr__(self, "blocks", tuple(self.blocks))
        if not self.blocks or len(set(self.blocks)) != len(self.blocks):
            raise InvalidInputError("Plan.blocks must name at least one block, each once.")
        for block in self.blocks:
            one_of("blocks", block, BLOCKS)
        one_of("model", self.model, get_args(Model))
        one_of("baseline_model", self.baseline_model, ("ridge", "same"))
        one_of("scheme", self.scheme, get_args(Scheme))
        one_of("tuning_score", self.tuning_score, ("auto", "concordance"))
        for name, low, high in (("folds", 2, 1000), ("repeats", 1, 10_000), ("inner_folds", 2, 100), ("seed", 0, 2**63),
                                ("n_permutations", 0, 100_000), ("n_times", 2, 10_000)):  # fmt: skip
            within(name, getattr(self, name), low, high)
        if (self.scheme == "holdout") != (self.holdout > 0):
            raise InvalidInputError("Plan.holdout, the number of test patients, goes with scheme='holdout' only.")

    @property
    def n_repeats(self) -> int:
        """Repeats that are done: one for leave-one-out."""
        return 1 if self.scheme == "loo" else self.repeats

    def model_of(self, block: Block) -> Model:
        """Model of a block."""
        simple = block in ("clinical", "volume") and self.baseline_model == "ridge"
        return "ridge" if simple else self.model

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Plan:
        """Back from plain values.

        Raises:
            InvalidInputError: names that no plan has.
        """
        known = {f.name for f in dataclasses.fields(cls)}
        if unknown := set(values) - known:
            raise InvalidInputError(f"A plan has no {sorted(unknown)[0]!r}; it has {', '.join(sorted(known))}.")
        parts = dict(values)
        if isinstance(parts.get("preparation"), Mapping):
            parts["preparation"] = Preparation(**parts["preparation"])
        return cls(**parts)


def one_of(name: str, value: object, choices: tuple[object, ...]) -> None:
    """Refuse a value that is none of the choices."""
    if value not in choices:
        raise InvalidInputError(f"{name} must be one of {', '.join(map(str, choices))}; got {value!r}.")


def within(name: str, value: float, low: float, high: float) -> None:
    """Refuse a number out of range."""
    if not low <= value <= high:
        raise InvalidInputError(f"{name} must be between {low} and {high}; got {value}.")
