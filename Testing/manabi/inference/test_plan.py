"""The estimate: what a network needs, and the window that is planned from it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from manabi.context import Context
from manabi.inference import Cost, Demand, Runner, Setting, measure_demand, plan_window
from manabi.inference.plan import budget_mb, largest_batch

WHOLE = (512, 512, 512)
CT = Demand(bytes_per_voxel=400.0, fixed_bytes=20e6, step_flops_per_voxel=10.0, n_outputs=3)


def _setting(window=WHOLE, batch=1, device="cpu"):
    return Setting(device, batch, window, (32, 32, 32), 16)


def _demand(network, precision="float32", n_axes=3, n_channels=1):
    with Runner(network, "cpu", precision, Context()) as runner:
        return measure_demand(runner, n_channels, 16, n_axes)


def test_live_tensors_are_counted_exactly():
    network = nn.Sequential(nn.ReLU(), nn.Softplus())
    found = _demand(network)
    assert found.bytes_per_voxel == pytest.approx(8, rel=0.01)
    assert found.n_outputs == 1


def test_wider_networks_need_more_and_the_count_repeats():
    narrow, wide = (nn.Sequential(nn.Conv3d(1, n, 3, padding=1), nn.Conv3d(n, 2, 1)) for n in (16, 64))
    first, second = _demand(narrow), _demand(wide)
    assert second.bytes_per_voxel > 1.5 * first.bytes_per_voxel
    assert second.step_flops_per_voxel == pytest.approx(2 * 27 * 64)
    again = nn.Sequential(nn.Conv3d(1, 16, 3, padding=1), nn.Conv3d(16, 2, 1))
    assert _demand(again) == first


def test_slices_are_measured_in_two_axes():
    found = _demand(nn.Conv2d(5, 7, 3, padding=1), n_axes=2, n_channels=5)
    assert found.n_outputs == 7
    assert found.step_flops_per_voxel == pytest.approx(2 * 9 * 5 * 7)


def test_the_probe_is_run_once_for_each_network():
    calls = []
    network = nn.Conv3d(1, 1, 1)
    network.register_forward_hook(lambda *_: calls.append(1))
    _demand(network)
    _demand(network)
    assert len(calls) == 2


def test_an_8_gb_machine_gets_a_window_for_a_500_slice_ct_that_fits():
    context = Context(memory_limit_mb=6000)
    cost = Cost(CT, WHOLE, labels=True, copy_bytes=2 * 512**3)
    found = plan_window(_setting(), cost, 6000, context)
    assert cost.memory_mb(found.window, found.batch) <= 6000
    assert cost.memory_mb(WHOLE) > 6000
    assert min(found.window) >= 128
    assert "overlapping parts of" in context.warnings[0]


def test_enough_memory_takes_the_whole_volume_without_a_word():
    context = Context()
    assert plan_window(_setting(), Cost(CT, WHOLE, labels=True), 1e6, context) == _setting()
    assert context.warnings == []


def test_less_memory_never_plans_a_larger_window():
    cost = Cost(CT, WHOLE, labels=False)
    volumes = []
    for budget in (1e6, 20000, 8000, 4000, 2500):
        k, j, i = plan_window(_setting(), cost, budget, Context()).window
        volumes.append(k * j * i)
    assert volumes == sorted(volumes, reverse=True)
    assert volumes[-1] < volumes[0]


def test_the_batch_shrinks_before_the_window():
    cost = Cost(CT, WHOLE, labels=True)
    start = _setting((128, 128, 128), batch=8)
    one = cost.memory_mb((128, 128, 128), 1)
    context = Context()
    found = plan_window(start, cost, one * 1.01, context)
    assert (found.window, found.batch) == ((128, 128, 128), 1)
    assert context.warnings == []


def test_a_hopeless_budget_is_said_and_the_smallest_window_tried():
    context = Context()
    found = plan_window(_setting(), Cost(CT, WHOLE, labels=False), 10, context)
    assert found.window == (32, 32, 32)
    assert "it was tried all the same" in context.warnings[0]


def test_a_processor_gets_layers_short_enough_to_cancel_within_seconds():
    slow = Demand(bytes_per_voxel=1.0, fixed_bytes=0.0, step_flops_per_voxel=50_000.0, n_outputs=2)
    cost, context = Cost(slow, WHOLE, labels=True), Context()
    found = plan_window(_setting(), cost, 1e6, context)
    assert cost.longest_step(found.window) <= 2e11 < cost.longest_step(WHOLE)
    assert context.warnings == []
    assert plan_window(_setting(device="cuda:0"), cost, 1e6, context).window == WHOLE


def test_the_limit_bounds_the_budget():
    assert budget_mb(Context(memory_limit_mb=100), "cpu") == 100
    assert 0 < budget_mb(Context(), "cpu") < budget_mb(Context(memory_limit_mb=1e9), "cpu") * 1.5


def test_batches_of_slices_shrink_to_the_budget():
    demand = Demand(100.0, 0.0, 1.0, 1)
    found = largest_batch(Setting("cpu", 16), demand, 512 * 512, demand.forward_mb(5 * 512 * 512))
    assert found.batch == 4
    assert largest_batch(Setting("cpu", 16), demand, 512 * 512, 0.0).batch == 1


def test_a_limit_leads_to_windows_in_a_real_run(exact):
    from manabi.inference import predict_volume

    network = nn.Sequential(nn.Conv3d(1, 32, 3, padding=1), nn.ReLU(), nn.Conv3d(32, 2, 3, padding=1))
    image = torch.zeros(1, 64, 64, 96)
    exact.memory_limit_mb = 230
    found = predict_volume(network, image, context=exact, reduce="argmax")
    assert found.shape == (64, 64, 96)
    assert "more than the 230 MB" in exact.warnings[0]
