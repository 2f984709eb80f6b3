"""How arms, domains and places are called on the NoduleSynth page."""

from __future__ import annotations

from manabi.nodule.place import HIDDEN
from Training.nodule_card import GRADES as CARD_GRADES

ARMS = {
    "dice": "U-Net, Dice", "nac": "U-Net, Dice + NAC", "necmos": "U-Net, Dice + NECMOS",
    "both": "U-Net, Dice + NAC + NECMOS", "bce": "U-Net, all three + cross-entropy", "retinanet": "RetinaNet",
    "ssd": "SSD", "bundle": "bundle",
}  # fmt: skip
DOMAINS = {"test": "Other chests of the training's domain", "held_out": "Another domain"}
PLACES = {str(k): name.replace("_", " ") for k, name in enumerate(HIDDEN)}
GRADES = {str(k): name for k, name in CARD_GRADES.items()}


def title(name: str) -> str:
    """An arm as readers know it."""
    if name.endswith("_tuned"):
        return f"{title(name.removesuffix('_tuned'))}, fine-tuned"
    return ARMS.get(name, name)
