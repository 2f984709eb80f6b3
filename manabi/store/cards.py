"""A bundle in a few lines, for a list, a tool tip or the command line."""

from __future__ import annotations

from manabi.bundle import Bundle

ORIGINS = {"shipped": "comes with Manabi", "user": "installed by you", "path": "a folder you named"}


def card(bundle: Bundle) -> str:
    """A short text: what the model is for, what it was trained on, how good it is, and where it came from.

    Raises:
        CorruptModelError: when the bundle's metadata cannot be read.
    """
    lines = [
        f"{bundle.name} {bundle.version} ({bundle.notice})",
        f"For: {bundle.method}. {bundle.metadata['task']}",
        f"Trained on: {bundle.trained_on}",
    ]
    lines += [f"{name}: {_figure(value)}" for name, value in bundle.metrics.items()]
    if "intended_use" in bundle.metadata:
        lines.append(f"Intended use: {bundle.metadata['intended_use']}")
    lines.append(f"Origin: {ORIGINS[bundle.origin]}. Weights SHA-256 {bundle.weights_sha256[:12]}…")
    if bundle.shadows:
        lines.append(f"It takes the place of version {bundle.shadows}, which comes with Manabi.")
    return "\n".join(lines)


def _figure(value: object) -> str:
    """``0.84 (95 % 0.82 to 0.86)`` for an object with mean (or value) and ci95; otherwise the value as text."""
    if not isinstance(value, dict) or not {"mean", "value"} & set(value):
        return str(value)
    figure, interval = value.get("mean", value.get("value")), value.get("ci95")
    if not isinstance(interval, list) or len(interval) != 2:
        return str(figure)
    return f"{figure} (95 % {interval[0]} to {interval[1]})"
