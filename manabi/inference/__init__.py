"""Running a network over a volume or a stack of slices, within the memory there is.

The networks' results are those of MONAI's sliding window with the same window; what differs is that the largest window
that memory allows is taken, that low precision is used where the device is fast at it, that lack of memory leads to a
smaller step instead of a crash, and that a run can be cancelled between two layers.
"""

from manabi.inference.ladder import Setting, climb_down, is_out_of_memory
from manabi.inference.plan import Cost, plan_window
from manabi.inference.precision import choose_precision
from manabi.inference.probe import Demand, measure_demand
from manabi.inference.runner import Runner
from manabi.inference.stacks import predict_stack
from manabi.inference.volumes import predict_volume

__all__ = [
    "Cost",
    "Demand",
    "Runner",
    "Setting",
    "choose_precision",
    "climb_down",
    "is_out_of_memory",
    "measure_demand",
    "plan_window",
    "predict_stack",
    "predict_volume",
]
