"""Adam equals torch's to the last bit, its state can be saved, and it does not load PyTorch's compiler."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from cls_learning.learners.optimisation import load_optimizer, make_adam, optimizer_state, step


def network(seed):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, 40), nn.ReLU(), nn.Linear(40, 3))


def loss_of(module, at):
    x = torch.linspace(-1, 1, 24).reshape(4, 6) * (1 + at)
    return module(x).square().mean()


def test_weights_equal_those_of_torch_adam():
    ours, theirs = network(1), network(1)
    own, other = make_adam(ours, 3e-3), torch.optim.Adam(theirs.parameters(), lr=3e-3, fused=True)
    for at in range(30):
        step(own, loss_of(ours, at), 0.0)
        other.zero_grad()
        loss_of(theirs, at).backward()
        other.step()
        if at == 14:
            own.learning_rate = other.param_groups[0]['lr'] = 1e-3
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters()))


def test_a_saved_state_continues_exactly():
    first, second = network(2), network(2)
    a, b = make_adam(first, 1e-3), make_adam(second, 1e-3)
    assert optimizer_state('o', a) == {}
    for at in range(3):
        step(a, loss_of(first, at), 1.0)
    second.load_state_dict(first.state_dict())
    load_optimizer('o', b, optimizer_state('o', a))
    for module, optimizer in ((first, a), (second, b)):
        step(optimizer, loss_of(module, 3), 1.0)
    assert all(torch.equal(x, y) for x, y in zip(first.parameters(), second.parameters()))


def test_moments_of_another_network_are_refused():
    b = make_adam(nn.Linear(6, 40), 1e-3)
    module = network(3)
    a = make_adam(module, 1e-3)
    step(a, loss_of(module, 0), 0.0)
    state = optimizer_state('o', a)
    with pytest.raises(ValueError, match=r'o.exp_avg: expected shape \(40, 7\)'):
        load_optimizer('o', make_adam(nn.Linear(7, 40), 1e-3), state)
    with pytest.raises(KeyError):
        load_optimizer('o', b, {name: tensor for name, tensor in state.items() if '.step' not in name})


def test_a_weight_outside_the_loss_is_an_error():
    module = network(4)
    module.extra = nn.Parameter(torch.zeros(1))
    with pytest.raises(ValueError, match='has no part in the loss'):
        step(make_adam(module, 1e-3), loss_of(module, 0), 0.0)


def test_a_process_that_learns_does_not_load_the_compiler():
    program = (
        'import sys, torch\n'
        'from cls_learning.learners.optimisation import make_adam, step\n'
        'm = torch.nn.Linear(2, 2)\n'
        'step(make_adam(m, 0.1), m(torch.ones(1, 2)).sum(), 1.0)\n'
        'sys.exit("torch._dynamo" in sys.modules)\n'
    )
    assert subprocess.run([sys.executable, '-c', program], check=False).returncode == 0
