"""Contract suite of every world model, and properties of the default one."""

import pytest
import torch

from cls_learning import testing
from cls_learning.registries import WORLD_MODELS
from cls_learning.testing import draw


@pytest.fixture(params=WORLD_MODELS.names())
def make_model(request):
    return testing.maker(request.param)


class TestWorldModels(testing.WorldModelSuite):
    """Runs on every world model, those of installed packages too."""


def trained(kind, action_of, steps=400):
    """Trains a model on z_next = z + action_of(a) x a fixed direction of z."""
    model, turn = testing.maker(kind)(), draw(12, 12, seed=5) / 4
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for step in range(steps):
        z, a = draw(64, 12, seed=step), draw(64, 2, seed=step + 10_000).clamp(-1, 1)
        _, out, _ = model.predict(model.initial(64), z, a)
        loss = (out - z - action_of(a) * torch.tanh(z @ turn)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


def test_predicted_change_is_small_for_small_actions_and_none_for_no_action():
    """A plain network predicts actions below a quarter of the range worse than copying does."""
    model, z = trained('film', lambda a: a[:, :1]), draw(200, 12, seed=7)
    still = model.predict({}, z, torch.zeros(200, 2))[1] - z
    small, large = (model.predict({}, z, torch.full((200, 2), size))[1] - z for size in (0.1, 1.0))
    assert still.norm() < 0.05 * large.norm()
    assert 0.02 * large.norm() < small.norm() < 0.3 * large.norm()


def test_changes_without_an_action_are_learned_too():
    model, z = trained('film', lambda a: 1.0 + 0 * a[:, :1], 800), draw(200, 12, seed=7)
    turn = draw(12, 12, seed=5) / 4
    error = model.predict({}, z, torch.zeros(200, 2))[1] - z - torch.tanh(z @ turn)
    assert error.square().mean() < 0.2 * torch.tanh(z @ turn).square().mean()
