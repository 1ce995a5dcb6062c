"""Operations counted in real runs equal those of the `neurobench` package, and results stay what they are."""

import math

import pytest
import torch
from torch import nn

from cls_common.errors import UserError
from cls_learning import world_models
from cls_learning.learners.optimisation import make_adam, step
from cls_learning.neurons.layers import LeakyLayer, SpikingNetwork, SynapticLayer
from cls_learning.neurons.settings import NeuronSettings
from cls_learning.operations.counter import counting
from cls_learning.operations.counts import Operations

ONE_TICK = NeuronSettings(ticks=1, decay=0.9, threshold=1.0)


def fill(tensor: torch.Tensor, frequency: float, scale: float) -> None:
    n = torch.arange(tensor.numel(), dtype=torch.float64)
    with torch.no_grad():
        tensor.copy_((scale * torch.sin(frequency * n + 1.0)).reshape(tensor.shape))


def series(batch: int = 1) -> torch.Tensor:
    """Inputs (batch, 10 steps, 8)."""
    n = torch.arange(batch * 80, dtype=torch.float64)
    return torch.cos(0.9 * n + 0.5).float().reshape(batch, 10, 8)


# neurobench 2.3.0 with snntorch 1.0.0 on 2026-11-26, in an environment of its own (uv pip install neurobench==2.3.0
# snntorch==1.0.0): SynapticOperations, MembraneUpdates and NeuronOperations of Sequential(Linear(8, 64, bias=False),
# Leaky(beta=0.9, init_hidden=True), Linear(64, 6, bias=False), Leaky(beta=0.9, init_hidden=True, output=True)) on these
# weights and inputs, by Benchmark(SNNTorchModel(net), DataLoader(TensorDataset(inputs, labels),
# batch_size=len(inputs)), [], [], [[], metrics]).run().
# Figures are of one sample of 10 steps: macs, acs, dense, membrane updates, neuron operations, activation sparsity.
NEUROBENCH = {
    'few spikes': (0.3, 1, False, (5120, 318, 8960, 700, 2800, 0.9185714285714286)),
    'many spikes': (1.0, 1, False, (5120, 1236, 8960, 700, 2800, 0.6814285714285714)),
    'zero inputs, a third of the second weights 0, batch of 2': (
        1.0,
        2,
        True,
        (3840, 720, 8960, 700, 2800, 0.7207142857142858),
    ),
}
# The same of a GRUCell(8, 64) and Linear(64, 6), h from 0, by Benchmark(TorchModel(net), ...): macs, acs, dense.
NEUROBENCH_GRU = (131648, 0, 144000)


@pytest.mark.parametrize('case', NEUROBENCH)
def test_a_feed_forward_spiking_network_has_the_operations_of_neurobench(case) -> None:
    scale, batch, is_sparse, golden = NEUROBENCH[case]
    first, second = LeakyLayer(8, 64, ONE_TICK), LeakyLayer(64, 6, ONE_TICK)
    for layer, frequency in ((first, 0.7), (second, 1.3)):
        fill(layer.linear.weight, frequency, scale)
        nn.init.zeros_(layer.linear.bias)
    inputs = series(batch)
    if is_sparse:
        inputs = inputs * (torch.arange(8) % 4 != 0)
        with torch.no_grad():
            second.linear.weight[:, ::3] = 0
    a, b = first.initial(batch), second.initial(batch)
    with torch.no_grad(), counting() as counter:
        for t in range(10):
            a, spikes = first(a, inputs[None, :, t])
            b, _ = second(b, spikes)
    found = counter.operations / batch
    assert (found.macs, found.acs, found.dense, found.membrane_updates, found.neuron_operations) == golden[:5]
    assert 1 - found.spike_rate == pytest.approx(golden[5], abs=1e-12)
    assert found.backward == found.parameter_updates == 0


def test_the_cell_of_a_gru_has_the_operations_of_neurobench() -> None:
    cell, output = nn.GRUCell(8, 64), nn.Linear(64, 6)
    for k, weight in enumerate([*cell.parameters(), *output.parameters()]):
        fill(weight, 0.7 + 0.1 * k, 0.3)
    inputs, h = series(), torch.zeros(1, 64)
    with torch.no_grad(), counting() as counter:
        for t in range(10):
            h = cell(inputs[:, t], h)
            output(h)
    found = counter.operations
    assert (found.macs, found.acs, found.dense) == NEUROBENCH_GRU


@pytest.mark.parametrize('kind', ['mlp', 'film', 'gru', 'spiking'])
def test_counting_does_not_change_what_a_world_model_predicts(kind) -> None:
    model = world_models.make(kind, z_size=6, action_size=2, hidden=(16, 16), residual=False, seed=3)
    z, action = series()[0, :, :6], series()[0, :, 6:]
    with torch.no_grad():
        _, expected, _ = model.predict(model.initial(10), z, action)
        with counting() as counter:
            _, found, _ = model.predict(model.initial(10), z, action)
    assert torch.equal(found, expected)
    weights = sum(p.numel() for p in model.parameters() if p.dim() == 2)
    ticks = NeuronSettings().ticks
    # Of the spiking one the second layer runs in every tick, and the trace of the read-out adds each spike.
    more = 16 * 16 * (ticks - 1) + 16 * ticks if kind == 'spiking' else 0
    assert counter.operations.dense == 10 * (weights + more)
    assert (counter.operations.neuron_ticks, counter.operations.acs > 0) == (
        (10 * 32 * ticks, True) if kind == 'spiking' else (0, False)
    )


def test_learning_costs_two_more_products_for_each_but_the_first_layer_and_a_change_of_each_parameter() -> None:
    network = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 4))
    inputs, optimizer = series()[0], make_adam(network, 1e-3)
    with counting() as counter:
        step(optimizer, network(inputs).square().mean(), 0.0)
    found = counter.operations
    first, second = 10 * 8 * 16, 10 * 16 * 4
    assert (found.macs, found.dense, found.backward) == (first + second, first + second, first + 2 * second)
    assert found.parameter_updates == sum(p.numel() for p in network.parameters())
    assert found.total == 2 * first + 3 * second + 10 * found.parameter_updates


def test_bare_parameters_ensembles_and_convolutions_are_counted_as_layers_are() -> None:
    x, weights, image = series()[0], torch.full((3, 8, 5), 0.5), torch.rand(2, 3, 6, 6) + 0.1
    weights[0, :, 0] = 0
    with counting() as counter:
        _ = x @ weights
    assert (counter.operations.macs, counter.operations.dense) == (10 * (3 * 40 - 8), 10 * 3 * 40)
    with counting() as counter:
        torch.einsum('nd,kde->kne', x, weights)
    assert (counter.operations.macs, counter.operations.dense) == (10 * (3 * 40 - 8), 10 * 3 * 40)
    with torch.no_grad(), counting() as counter:
        nn.Conv2d(3, 4, 3)(image)
    assert counter.operations.macs == counter.operations.dense == 2 * 4 * 4 * 4 * 3 * 3 * 3
    with torch.no_grad(), counting() as counter:
        nn.functional.linear((x > 0).float(), torch.ones(4, 8))
    assert (counter.operations.macs, counter.operations.acs) == (0, 4 * int((x > 0).sum()))


@pytest.mark.parametrize('layer', [nn.GRU(8, 4), nn.LSTM(8, 4)])
def test_layers_whose_steps_can_not_be_seen_are_refused_and_counting_ends(layer) -> None:
    with pytest.raises(UserError, match=r'operations of .*; expected layers that are called step by step'), counting():
        layer(series())
    with counting() as counter:
        pass
    layer(series())
    assert counter.operations == Operations()


def test_energy_is_of_products_and_additions_at_the_stated_prices() -> None:
    found = Operations(macs=10, acs=100, backward=20, parameter_updates=3)
    assert found.picojoules == pytest.approx(4.6 * (10 + 20 + 30) + 0.9 * 100)
    assert found.effective == 110 and found.total == 160 and math.isnan(found.spike_rate)
    assert (found + found) / 2 == found and found.to_plain()['spike_rate'] is None


def test_second_order_neurons_cost_six_operations_a_tick_and_a_silent_membrane_is_no_update() -> None:
    layer = SynapticLayer(3, 5, NeuronSettings(neuron='synaptic', ticks=2))
    nn.init.zeros_(layer.linear.bias)
    with torch.no_grad(), counting() as counter:
        layer(layer.initial(1), torch.zeros(1, 1, 3))
    found = counter.operations
    assert (found.neuron_operations, found.neuron_ticks, found.membrane_updates, found.effective) == (60, 10, 0, 0)


def test_a_network_of_one_tick_spends_additions_after_its_first_layer() -> None:
    network = SpikingNetwork((8, 16, 16, 4), NeuronSettings(ticks=1, threshold=0.2))
    with torch.no_grad(), counting() as counter:
        network(network.initial(10), series()[0])
    assert counter.operations.macs == 10 * 8 * 16 and counter.operations.acs > 0
