"""A network ready to run: on its device, in its precision, cancellable between two layers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from manabi.context import Context, Precision
from manabi.errors import InvalidInputError
from manabi.inference.precision import TORCH_DTYPES


class Runner:
    """Runs a network's forward pass for inference; use it as a context manager.

    Inside, the network is in evaluation mode on the device, gradients are off, results do not depend on timing
    (no benchmarked kernels, no TF32), and every layer first asks the context whether the run was cancelled. Outside,
    the network is as before, except that it stays on the device (and 2-D weights stay in channels-last order), so that
    the next run pays nothing.

    Attributes:
        network: the network.
        device: torch device string.
        precision: arithmetic of its convolutions; the results are cast by the caller.
    """

    def __init__(self, network: nn.Module, device: str, precision: Precision, context: Context) -> None:
        if not isinstance(network, nn.Module):
            raise InvalidInputError(f"Expected a torch network (nn.Module); got {type(network).__name__}.")
        self.network = network
        self.device = device
        self.precision = precision
        self._context = context
        self._opened = ExitStack()
        self._laid_out = False
        self._layer = 0
        self._layers = 0
        self._done = 0.0
        self._share = 0.0
        self._text = ""

    def __enter__(self) -> Runner:
        """Move and prepare the network."""
        self._context.used_precision = self.precision
        self.network.to(self.device)
        with ExitStack() as opened:
            opened.enter_context(_evaluating(self.network))
            opened.enter_context(torch.inference_mode())
            opened.enter_context(
                torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
            )
            if self.precision != "float32":
                kind = torch.device(self.device).type
                opened.enter_context(torch.autocast(kind, TORCH_DTYPES[self.precision]))
            for handle in self._hooks():
                opened.callback(handle.remove)
            self._opened = opened.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Undo what was prepared."""
        self._opened.close()

    def __call__(self, batch: torch.Tensor, done: float = 0.0, share: float = 0.0, text: str = "") -> torch.Tensor:
        """One forward pass.

        Args:
            batch: float tensor (N, C, ...), on any device.
            done: fraction of the run done before this pass.
            share: fraction of the run that this pass is; progress is reported layer by layer within it.
            text: shown with the progress.

        Returns:
            The network's output (the first one of several) on the device, in whatever precision it came.
        """
        self._done, self._share, self._text, self._layer = done, share, text, 0
        out = self.network(self._placed(batch))
        self._layers = max(self._layer, 1)
        while isinstance(out, (list, tuple)):
            out = out[0]
        return out

    def _placed(self, batch: torch.Tensor) -> torch.Tensor:
        """The batch on the device, channels last where that is faster (our choice, measured: see the benchmarks)."""
        batch = batch.to(self.device, torch.float32)
        kind = torch.device(self.device).type
        if batch.dim() == 5 and (kind == "cpu" or (kind == "cuda" and self.precision != "float32")):
            return batch.contiguous(memory_format=torch.channels_last_3d)
        if batch.dim() == 4 and kind != "mps":
            if not self._laid_out:
                self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
                self._laid_out = True
            return batch.contiguous(memory_format=torch.channels_last)
        return batch

    def _hooks(self) -> Iterator[RemovableHandle]:
        if isinstance(self.network, torch.jit.ScriptModule):
            return
        for module in self.network.modules():
            if next(module.children(), None) is None:
                yield module.register_forward_pre_hook(self._before_layer)

    def _before_layer(self, module: nn.Module, args: object) -> None:
        """Called before every layer: report progress where the number of layers is known, and stop if cancelled."""
        self._layer += 1
        step = max(self._layers // 20, 1)
        if self._share and self._layers and self._layer % step == 0:
            within = min(self._layer / self._layers, 1.0)
            self._context.progress(self._done + self._share * within, self._text)
        else:
            self._context.check_cancelled()


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    """Evaluation mode (no dropout, stored batch statistics) for a while."""
    training = [module for module in network.modules() if module.training]
    network.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
