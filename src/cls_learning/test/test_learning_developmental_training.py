"""Updates of the brain `developmental`: shifted pictures, learning rates, and what a sleep draws."""

import numpy as np
import pytest
import torch

from cls_common.robot import Channel, Kind, RobotInfo
from cls_learning.brains.developmental.actions import as_input, candidates
from cls_learning.brains.developmental.model import DevelopmentalModel, Steps
from cls_learning.brains.developmental.settings import DevelopmentalSettings, WakeSettings
from cls_learning.brains.developmental.training import asleep, awake, shift, Trainer

ROBOT = RobotInfo(name='dot', modalities=('camera',), channels=(Channel('move', Kind.DISCRETE, '', 0.0, 1.0),))


@pytest.fixture
def pictures() -> torch.Tensor:
    return torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize('move', [(0, 0), (2, -3), (-7, 5)])
def test_a_shift_over_joined_edges_loses_nothing_and_can_be_undone(pictures, move):
    moved = shift(pictures, move, joins_edges=True)
    assert torch.equal(shift(moved, (-move[0], -move[1]), joins_edges=True), pictures)
    down, right = move
    assert torch.equal(moved[..., down % 8, right % 8], pictures[..., 0, 0])


def test_a_shift_without_joined_edges_repeats_the_border(pictures):
    moved = shift(pictures, (2, -3), joins_edges=False)
    assert torch.equal(moved[..., 2:, :5], pictures[..., :6, 3:])
    assert torch.equal(moved[..., 0, :5], pictures[..., 0, 3:]) and torch.equal(moved[..., 1, :], moved[..., 0, :])
    assert torch.equal(moved[..., 7], moved[..., 4])


def test_the_rate_falls_awake_to_a_tenth_and_asleep_to_nothing():
    own = WakeSettings(learning_rate=0.01, rate_steps=100)
    assert [awake(own)(n) for n in (0, 100, 900, 10**6)] == pytest.approx([0.01, 0.005, 0.001, 0.001])
    assert awake(WakeSettings(learning_rate=0.01, rate_steps=0))(10**6) == 0.01
    assert [asleep(0.01, 4)(n) for n in range(5)] == pytest.approx([0.01, 0.0075, 0.005, 0.0025, 0.0])


def trained(pictures: torch.Tensor, moves: list[tuple[int, int]], **changes: object) -> DevelopmentalModel:
    """Returns a small model after updates with pictures that were moved before, of which it predicts the last one."""
    small = {
        'network.size': 8, 'network.patch': 4, 'network.width': 8, 'network.heads': 0, 'network.layers': 1,
        'network.members': 1,
    }  # fmt: skip
    settings = DevelopmentalSettings.from_flat({**small, **changes})
    models = [DevelopmentalModel(settings, as_input(candidates(ROBOT, 2)), seed=0) for _ in range(2)]
    for model in models:
        model.begin(pictures[:1])
    trainer, generator = Trainer(*models, settings, awake(settings.wake), 0.9), np.random.default_rng(0)
    for number, move in enumerate(moves):
        steps = Steps(shift(pictures, move, joins_edges=True)[None], torch.ones(1, 2, 1))
        trainer.update(steps, number, generator, predicts=True, reconstructs=1.0)
    return models[0]


def weights(model: DevelopmentalModel) -> torch.Tensor:
    return torch.cat([each.flatten() for each in model.parameters()])


def test_an_update_learns_from_shifted_pictures_only_where_it_is_set(pictures):
    plain = weights(trained(pictures, [(0, 0)], **{'loss.shift': 0.0}))
    assert torch.equal(weights(trained(pictures, [(0, 0)], **{'loss.shift': 0.06})), plain)  # less than a pixel
    # The first draw of the generator is the shift of the only row.
    move = np.random.default_rng(0).integers(-4, 5, (1, 2))[0]
    assert move.any()
    shifted = weights(trained(pictures, [(0, 0)], **{'loss.shift': 0.5}))
    moved = weights(trained(pictures, [tuple(move.tolist())], **{'loss.shift': 0.0}))
    assert not torch.equal(shifted, plain) and torch.allclose(shifted, moved, atol=1e-6)


def test_the_autoencoder_has_a_learning_rate_of_its_own(pictures):
    def steps_of(times: float) -> tuple[float, float]:
        changes = {'loss.shift': 0.0, 'wake.autoencoder_rate': times}
        first, second = (trained(pictures, [(0, 0)] * count, **changes) for count in (0, 1))
        return tuple(
            max(float((a - b).abs().max().detach()) for a, b in zip(one.parameters(), two.parameters()))
            for one, two in ((first.autoencoder, second.autoencoder), (first.predictor, second.predictor))
        )  # fmt: skip

    # The first step of Adam moves a weight by the learning rate.
    assert steps_of(1.0) == pytest.approx((0.003, 0.003), rel=0.01)
    assert steps_of(4.0) == pytest.approx((0.012, 0.003), rel=0.01)
    assert steps_of(0.0) == steps_of(1.0)  # automatic, with the squared error
