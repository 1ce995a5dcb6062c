"""Weight sparsity of the spiking world model: what is pruned stays 0, whatever learns, moves or is saved."""

from pathlib import Path

import nir
import numpy as np
import pytest
import torch
from torch import Tensor

from cls_common.errors import UserError
from cls_learning import world_models
from cls_learning.brains.spiking.settings import WorldSettings
from cls_learning.brains.spiking.world import World
from cls_learning.export.nir_graph import find_network, write_graph
from cls_learning.learners.adam import Adam
from cls_learning.learners.optimisation import (
    load_module,
    load_optimizer,
    make_adam,
    module_state,
    optimizer_state,
    step,
)  # fmt: skip
from cls_learning.operations.counter import counting
from cls_learning.testing import draw

HIDDEN = 20
WEIGHT = 'members.0.network.layers.1.linear.weight'
MASK = f'{WEIGHT}_mask'


def world(pruned: float = 0.8, sparsity: str = 'set', seed: int = 0) -> World:
    values = {'hidden': HIDDEN, 'spiking.pruned': pruned, 'spiking.sparsity': sparsity, 'spiking.threshold': 0.3}
    return World(WorldSettings.from_flat(values), 2, 1, seed=seed)


def train(network: World, optimizer: Adam, updates: int) -> float:
    """Returns the error after some updates, as a share of that of predicting no change."""
    states, actions, nothing = draw(64, 2), draw(64, 1, seed=1).clamp(-1, 1), torch.zeros(64)
    after = states + 0.1 * actions
    for _ in range(updates):
        outcome = network.predict(network.initial(64), states, actions)
        step(optimizer, network.loss(outcome, after, nothing, nothing), 10.0)
    return float(network.errors(outcome.state.detach(), after).mean() / network.errors(states, after).mean())


def zeros(network: World) -> Tensor:
    return network.get_parameter(WEIGHT).detach() == 0


def test_the_share_of_each_neuron_is_pruned_at_random_by_the_seed() -> None:
    one, same, other = world(), world(), world(seed=1)
    assert (zeros(one).sum(1) == 0.8 * HIDDEN).all()
    assert torch.equal(zeros(one), zeros(same)) and not torch.equal(zeros(one), zeros(other))
    assert torch.equal(one.get_buffer(MASK), ~zeros(one))


def test_a_model_without_pruning_has_the_weights_that_it_always_had() -> None:
    plain = world(0.0)
    assert not any('mask' in name for name in plain.state_dict()) and not zeros(plain).any()
    kept, dense = world().state_dict(), plain.state_dict()
    mask = kept.pop(MASK)
    assert all(
        torch.equal(value, dense[name] * mask if name == WEIGHT else dense[name]) for name, value in kept.items()
    )


@pytest.mark.parametrize('sparsity', ['static', 'set'])
def test_what_is_pruned_is_exactly_0_after_100_updates_rewiring_and_a_reload(sparsity: str) -> None:
    network = world(sparsity=sparsity)
    optimizer, first = make_adam(network, 1e-2), zeros(network)
    train(network, optimizer, 50)
    assert torch.equal(zeros(network), first)
    replaced = network.rewire(np.random.default_rng(5))
    optimizer.forget_zeros()
    assert replaced == (HIDDEN * round(0.3 * 0.2 * HIDDEN) if sparsity == 'set' else 0)
    again = world(sparsity=sparsity, seed=9)
    load_module('model', again, module_state('model', network))
    adam = make_adam(again, 1e-2)
    load_optimizer('adam', adam, optimizer_state('adam', optimizer))
    for each, own in ((network, optimizer), (again, adam)):
        train(each, own, 50)
        mask = each.get_buffer(MASK)
        assert (mask.sum(1) == 0.2 * HIDDEN).all() and not each.get_parameter(WEIGHT)[~mask].any()
        assert torch.equal(~mask, first) == (sparsity == 'static')
    assert torch.equal(network.get_parameter(WEIGHT), again.get_parameter(WEIGHT))


def test_rewiring_drops_the_smallest_weights_and_the_same_generator_the_same() -> None:
    one, other = world(), world()
    before = one.get_parameter(WEIGHT).detach().abs().clone()
    old = one.get_buffer(MASK).clone()
    for each in (one, other):
        each.rewire(np.random.default_rng(5))
    new = one.get_buffer(MASK)
    assert torch.equal(new, other.get_buffer(MASK))
    for row, gone in enumerate(old & ~new):
        assert gone.any() and before[row][gone].max() <= before[row][old[row] & new[row]].min()


def test_a_pruned_model_still_learns() -> None:
    network = world()
    optimizer = make_adam(network, 1e-2)
    for cycle in range(4):
        network.rewire(np.random.default_rng(cycle))
        optimizer.forget_zeros()
        error = train(network, optimizer, 40)
    assert error < 0.1


def test_effective_operations_fall_with_the_weights_that_are_left() -> None:
    counts = []
    for pruned in (0.0, 0.8):
        network = world(pruned)
        with torch.no_grad(), counting() as counter:
            network.predict(network.initial(50), draw(50, 2), draw(50, 1, seed=1))
        counts.append(counter.operations)
    dense, sparse = counts
    first = network.get_submodule('members.0.network.layers.0')
    with torch.no_grad():
        inputs = torch.cat([network.normalise(draw(50, 2)), torch.zeros(50, 2), draw(50, 1, seed=1)], 1)
        _, spikes = first(first.initial(50), inputs[None])
    # Each spike of the first layer is added where there is a weight, each of the second once to its trace, and the
    # weights of the read-out are 0 before learning.
    reached = spikes.sum((0, 1)) @ network.get_buffer(MASK).sum(0).float()
    assert sparse.acs == reached + sparse.spikes - spikes.sum()
    assert dense.acs == HIDDEN * spikes.sum() + dense.spikes - spikes.sum()
    assert 0 < reached < 0.3 * HIDDEN * spikes.sum()
    assert dense.dense == sparse.dense and dense.macs == sparse.macs > 0


def test_a_pruned_network_is_written_to_nir_as_it_is(tmp_path: Path) -> None:
    network = world()
    write_graph(find_network({'world': network}, 'world'), tmp_path / 'net.nir', {})
    written = nir.read(tmp_path / 'net.nir').nodes['affine_1'].weight
    assert np.array_equal(written, network.get_parameter(WEIGHT).detach().numpy())
    assert (written == 0).mean() == pytest.approx(0.8)


def test_a_single_hidden_layer_has_nothing_to_prune_and_is_refused() -> None:
    plugins = WorldSettings.from_flat({'spiking.pruned': 0.5}).plugins
    make = {'z_size': 3, 'action_size': 1, 'residual': True, 'seed': 0, 'plugins': plugins}
    world_models.make('spiking', hidden=(8, 8), **make)
    with pytest.raises(UserError, match=r"'spiking.pruned'; expected 0, or two hidden layers or more; found 0.5"):
        world_models.make('spiking', hidden=(8,), **make)
