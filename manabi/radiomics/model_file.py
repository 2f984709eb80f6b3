"""A fitted model with all that a prediction needs, as a bundle: extraction settings, risk groups, its worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from manabi.errors import CorruptModelError
from manabi.radiomics.cohort.frozen import FittedModel
from manabi.radiomics.settings import ExtractionSettings

if TYPE_CHECKING:
    from manabi.bundle import Bundle

NETWORK = "frozen_model"


@dataclass(frozen=True)
class Group:
    """Survival of one risk group of the cohort, by the out-of-fold risks of the validation.

    Attributes:
        name: ``low risk`` or ``high risk``.
        rows: patients or tumours in it.
        events: of them with the event.
        times_years: ``(k,)`` ascending, from 0.
        survival: ``(k,)`` Kaplan-Meier.
        low: ``(k,)`` lower end of the pointwise 95 % interval, None where there is none.
        high: ``(k,)`` upper end.
        at_risk: ``(k,)`` under observation.
    """

    name: str
    rows: int
    events: int
    times_years: tuple[float, ...]
    survival: tuple[float, ...]
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]
    at_risk: tuple[int, ...]

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Group:
        """From plain values."""
        plain: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}
        return cls(**plain)

    def at(self, years: float) -> tuple[float, float | None, float | None] | None:
        """Survival and its interval at a time; None beyond the last follow-up."""
        if not self.times_years or years > self.times_years[-1]:
            return None
        place = max(k for k, t in enumerate(self.times_years) if t <= years)
        return self.survival[place], self.low[place], self.high[place]


@dataclass(frozen=True)
class Verdict:
    """What the validation allows to be said of the model.

    Attributes:
        text: in words.
        concordance: C (AUC for two labels) of the model's block out of fold, with its interval, as text.
        better_than_chance: whether the interval lies above one half.
        beats_volume: whether it is shown to be better than the volume alone; None where that was not compared.
        beats_clinical: the same for the clinical data alone.
    """

    text: str = ""
    concordance: str = ""
    better_than_chance: bool | None = None
    beats_volume: bool | None = None
    beats_clinical: bool | None = None


@dataclass(frozen=True)
class CohortModel:
    """What a bundle of RadiomicsSurvival holds.

    Attributes:
        fitted: the model.
        extraction: settings by input (``image``, ``second``); empty where the cohort's table does not say.
        preset: name of the settings, or empty.
        groups: of the cohort, for survival.
        verdict: what it is worth.
        outcome: what is predicted, in words.
    """

    fitted: FittedModel
    extraction: Mapping[str, ExtractionSettings] = field(default_factory=dict)
    preset: str = ""
    groups: tuple[Group, ...] = ()
    verdict: Verdict = field(default_factory=Verdict)
    outcome: str = "survival"

    def facts(self) -> dict[str, Any]:
        """The section ``radiomics`` of the metadata, plain JSON values."""
        return {
            "extraction": {name: settings.to_dict() for name, settings in self.extraction.items()},
            "preset": self.preset,
            "groups": [asdict(group) for group in self.groups],
            "verdict": asdict(self.verdict),
            "outcome": self.outcome,
            "block": self.fitted.block,
            "kind": self.fitted.kind,
            "model": self.fitted.model,
            "features": list(self.fitted.feature_names),
            "clinical": list(self.fitted.clinical_names),
            "levels": list(self.fitted.levels),
        }


def load_model(bundle: Bundle) -> CohortModel:
    """The model of a bundle; its weights are checked and read without running anything.

    Raises:
        CorruptModelError: when the bundle holds another kind of model, or something is missing.
    """
    from manabi.networks.frozen import fitted_of

    if bundle.network["name"] != NETWORK:
        raise CorruptModelError(
            f"Bundle {bundle.name} holds a {bundle.network['name']}, not a {NETWORK}. Choose another."
        )
    facts = bundle.metadata["manabi"].get("radiomics", {})
    try:
        fitted = fitted_of(bundle.load_state(), str(bundle.network["arguments"]["structure"]))
        settings = {name: ExtractionSettings.from_dict(v) for name, v in facts["extraction"].items()}
        groups = tuple(Group.of(values) for values in facts["groups"])
        verdict = Verdict(**facts["verdict"])
        return CohortModel(fitted, settings, str(facts["preset"]), groups, verdict, str(facts["outcome"]))
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptModelError(
            f"The metadata of bundle {bundle.name} are not those of RadiomicsSurvival ({error!r}). Fit the model again."
        ) from error
