"""Writes combat_reference.json: what neuroCombat 0.2.12 (MIT) makes of small random tables.

Run in an environment of its own: ``pip install neuroCombat==0.2.12 && python make_combat_reference.py``.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd


def table(seed: int, sizes: tuple[int, ...], features: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features with centre effects, centres and one covariate."""
    rng = np.random.default_rng(seed)
    centre = np.repeat(np.arange(len(sizes)), sizes)
    covariate = rng.normal(size=len(centre)).round(3)
    shift, spread = rng.normal(size=(len(sizes), features)), rng.uniform(0.5, 2, (len(sizes), features))
    noise = rng.normal(size=(len(centre), features)) * spread[centre]
    return (10 + noise + shift[centre] + covariate[:, None] * rng.normal(size=features)).round(3), centre, covariate


def main() -> None:
    """Write the reference."""
    from neuroCombat import neuroCombat

    out = []
    for seed, sizes, features, keep in ((0, (12, 9), 7, False), (1, (20, 8, 5), 15, True)):
        values, centre, covariate = table(seed, sizes, features)
        frame = pd.DataFrame({"centre": centre, "age": covariate})
        answer = neuroCombat(values.T, frame, "centre", continuous_cols=["age"] if keep else None)["data"].T
        out.append({"values": values.tolist(), "centre": centre.tolist(), "harmonised": answer.round(10).tolist(),
                    "covariate": covariate.tolist() if keep else None})  # fmt: skip
    Path(__file__).with_name("combat_reference.json").write_text(json.dumps(out) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
