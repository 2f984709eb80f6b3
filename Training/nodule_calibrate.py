"""Scores that mean something: the last layer rescaled so that a mark's score is the share of such marks that are right.

A network trained with Dice is nearly certain of everything, and its scores crowd at 0 and 1, where a slider has no
resolution. Platt's scaling (Advances in large margin classifiers, 1999) of the logit, fitted to the marks on validation
films, is folded into the last layer, so that neither the bundle nor the method needs to know; the order of scores, and
with it the FROC, stays what it is.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from Training.froc import Film, hits
from Training.nodule_network import PairUNet

SLOPES = (0.02, 5.0)
"""Limits of the slope: marks that are all right, or all wrong, would make it endless (our choice)."""
RIDGE = 1e-3
STEPS = 50
EDGE = 1e-12
SMALLEST = 1e-9


@dataclass(frozen=True)
class Scale:
    """``calibrated logit = slope · logit + offset``."""

    slope: float = 1.0
    offset: float = 0.0


def fit_scale(films: Sequence[Film]) -> Scale:
    """Platt's scaling of the marks of films; none where all marks are right or all are wrong.

    Further marks on one nodule count as right.
    """
    scores, right = [], []
    for film in films:
        for mark in film.marks:
            scores.append(mark.score)
            right.append(hits(mark, film.nodules, "circle", film.slack_px) is not None)
    y = np.array(right, float)
    if not 0 < y.sum() < y.size:
        return Scale()
    p = np.clip(np.array(scores), EDGE, 1 - EDGE)
    return _logistic(np.log(p) - np.log1p(-p), y)


def _logistic(x: np.ndarray, y: np.ndarray) -> Scale:
    """Logistic regression of one variable by Newton's steps, with Platt's targets instead of 0 and 1.

    A step that would make the fit worse is halved: a whole one may never come back where scores are far apart.
    """
    positive = y.sum()
    target = np.where(y > 0, (positive + 1) / (positive + 2), 1 / (y.size - positive + 2))
    centre, spread = float(x.mean()), max(float(x.std()), 1e-6)
    design, ridge = np.stack([(x - centre) / spread, np.ones_like(x)], 1), np.array([RIDGE, 0.0])
    theta = np.array([0.0, 0.0])
    for _ in range(STEPS):
        p = 1 / (1 + np.exp(-design @ theta))
        gradient = design.T @ (p - target) / y.size + ridge * theta
        curvature = (design * (p * (1 - p))[:, None]).T @ design / y.size + np.diag(ridge)
        step = np.linalg.solve(curvature, gradient)
        before = _cost(theta, design, target, ridge)
        while np.abs(step).max() > SMALLEST and _cost(theta - step, design, target, ridge) > before:
            step = 0.5 * step
        theta = theta - step
    slope = float(np.clip(theta[0] / spread, *SLOPES))
    middle = float(theta[1] - theta[0] / spread * centre)
    if slope != theta[0] / spread:
        middle = float(np.log(target.mean() / (1 - target.mean())) - slope * centre)
    return Scale(slope, middle)


def _cost(theta: np.ndarray, design: np.ndarray, target: np.ndarray, ridge: np.ndarray) -> float:
    """Cross-entropy and ridge, which Newton's steps make least."""
    x = design @ theta
    return float((np.logaddexp(0.0, x) - target * x).mean() + 0.5 * (ridge * theta**2).sum())


def rescaled(model: PairUNet, scale: Scale) -> PairUNet:
    """A copy whose logits are scaled; the network itself stays what it is."""
    out = copy.deepcopy(model)
    with torch.no_grad():
        weight, bias = out.head.weight, out.head.bias
        if isinstance(weight, torch.Tensor) and isinstance(bias, torch.Tensor):
            weight.mul_(scale.slope)
            bias.mul_(scale.slope).add_(scale.offset)
    return out.eval()
