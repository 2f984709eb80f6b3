"""Glow: training and sampling against normflows' GlowBlock, on films of 64 x 64 pixels.

All are multi-scale flows of 3 levels with affine couplings of 128 hidden channels; a training step is of 16 films, with
Adamax, and a sampling of 64 films. ``manabi`` back-propagates by inversion, ``manabi_keeping`` is the same flow keeping
all activations, ``normflows`` keeps them too, and ``normflows_checkpoint`` computes those of each GlowBlock anew
(torch.utils.checkpoint). ``work_mb`` is what memory grows by beyond weights, gradients, the optimiser's state and a
step of one film. normflows' couplings have no ActNorm inside, so the numbers of parameters differ slightly. On a busy
machine ``best_cpu_s`` says more than ``best_s``.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

SIZE, LEVELS, HIDDEN, BATCH, SAMPLES = 64, 3, 128, 16, 64
BASELINE = "normflows"
DEPTHS = (16, 32)
OURS = ("manabi", "manabi_keeping")
PEERS = ("normflows", "normflows_checkpoint")


def build(name: str, steps: int, hidden: int) -> tuple[torch.nn.Module, Callable[[Tensor], Tensor], Callable[[], Any]]:
    """A flow, its loss of films ``(b, rows, columns)``, and drawing of samples."""
    torch.manual_seed(0)
    if name in OURS:
        return ours(steps, hidden, reversible=name == "manabi")
    return peer(steps, hidden, checkpointed=name == "normflows_checkpoint")


def ours(steps: int, hidden: int, reversible: bool) -> tuple[Any, Callable[[Tensor], Tensor], Callable[[], Any]]:
    """Manabi's flow."""
    from manabi.nodule.glow import Glow

    flow = Glow(SIZE, LEVELS, steps, hidden, reversible=reversible)
    noise = torch.rand(BATCH, SIZE, SIZE)
    return flow, lambda x: flow(x, noise[: len(x)]).mean(), lambda: flow.sample(SAMPLES)


def peer(steps: int, hidden: int, checkpointed: bool) -> tuple[Any, Callable[[Tensor], Tensor], Callable[[], Any]]:
    """normflows' flow, built as its example of Glow is."""
    import normflows as nf

    latents, merges, flows = [], [], []
    for level in range(LEVELS):
        blocks = [nf.flows.GlowBlock(2 ** (LEVELS + 1 - level), hidden, split_mode="channel") for _ in range(steps)]
        flows.append([*([Checkpointed(block) for block in blocks] if checkpointed else blocks), nf.flows.Squeeze()])
        doublings = LEVELS - level
        channels, side = 2 ** (doublings if level else LEVELS + 1), SIZE // 2**doublings
        latents.append(nf.distributions.DiagGaussian((channels, side, side)))
        merges += [nf.flows.Merge()] if level else []
    flow = nf.MultiscaleFlow(latents, flows, merges, class_cond=False)

    def sample() -> Any:
        with torch.no_grad():
            return flow.sample(SAMPLES)

    return flow, lambda x: flow.forward_kld(x[:, None]), sample


class Checkpointed(torch.nn.Module):
    """A block whose activations are computed again for the gradients."""

    def __init__(self, block: torch.nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return self.block(z)

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        from torch.utils.checkpoint import checkpoint

        return checkpoint(self.block.inverse, z, use_reentrant=False)


def contestant(job: str, quick: bool) -> None:
    """Serve ``TASK:STEPS:NAME``."""
    from common import current_mb, peak_mb, serve

    task, steps, name = job.split(":")
    flow, loss_of, sample = build(name, int(steps), 16 if quick else HIDDEN)
    films = torch.rand(BATCH, SIZE, SIZE)
    optimiser = torch.optim.Adamax(flow.parameters(), 1e-4)

    def step(x: Tensor = films) -> None:
        loss = loss_of(x)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    with torch.no_grad():
        loss_of(films)  # initialises normflows' ActNorms, which torch's checkpoint would not bear in a training step
    if task == "sample":
        serve(sample, dict)
        return
    step(films[:1])
    base = current_mb()
    serve(step, lambda: {"work_mb": round(peak_mb() - base)})


def run(quick: bool = False) -> dict:
    """Measure all cases; ``quick`` with 2 steps and 16 hidden channels: a check that it works, not a figure."""
    from common import add_ratios, machine, race

    known = importlib.util.find_spec("normflows") is not None
    described, cases = machine(), {}
    for task in ("train", "sample"):
        for steps in (2,) if quick else DEPTHS:
            names = [
                n for n in (*OURS, *PEERS) if (known or n in OURS) and (task == "train" or n in (OURS[0], PEERS[0]))
            ]
            jobs = [f"{task}:{steps}:{name}" for name in names]
            found = race(__file__, jobs, ["--quick"] if quick else [], {}, 2 if quick else 3)
            results = {job.rsplit(":", 1)[1]: record for job, record in found.items()}
            add_ratios(results, BASELINE if known else OURS[1] if task == "train" else OURS[0])
            cases[f"{task}_k{steps}"] = results
    return {"machine": described, "cases": cases}


def main() -> None:
    """Run and print, or serve as one of the contestants."""
    from common import print_cases, quick_or_contestant

    quick, job = quick_or_contestant(__doc__)
    if job:
        contestant(job, quick)
        return
    if importlib.util.find_spec("normflows") is None:
        print("normflows is not installed (pip install --no-deps normflows==1.7.3): no peer to compare with.")
    print_cases(run(quick), BASELINE, ("best_s", "best_cpu_s", "ratio_best", "ratio_median", "work_mb", "peak_mb"))


if __name__ == "__main__":
    main()
