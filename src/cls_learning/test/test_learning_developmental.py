"""The brain `developmental`: its losses, gate and uncertainty, and its life as a brain."""

from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cls_common.errors import UserError
from cls_common.robot import Channel, Kind, RobotInfo
from cls_common.transition import Observation, Reading, Transition
from cls_learning.brain import find, Goal
from cls_learning.brains.developmental.actions import candidates
from cls_learning.brains.developmental.model import DevelopmentalModel, Steps, to_pictures
from cls_learning.brains.developmental.picture_losses import chosen, output_at_mean, PICTURE_LOSSES, picture_of
from cls_learning.brains.developmental.quality import Errors, QualityGate, warnings
from cls_learning.brains.developmental.settings import DevelopmentalSettings, GateSettings
from cls_learning.brains.developmental.uncertainty import Uncertainty
from cls_learning.model_store.config_file import ModelConfig
from cls_learning.presets import read_preset

SIDE = 32
SMALL = {
    'network.size': SIDE, 'network.patch': 8, 'network.width': 24, 'network.heads': 2, 'network.layers': 2,
    'wake.kept': 30, 'sleep.wake_steps_per_cycle': 40, 'sleep.reconstruct_steps': 2, 'sleep.predict_steps': 4,
    'sleep.dream_steps': 2, 'sleep.dream_length': 3, 'memory.segment': 6, 'memory.capacity': 120,
}  # fmt: skip
ROBOT = RobotInfo(name='dot', modalities=('camera',), channels=(Channel('move', Kind.DISCRETE, '', 0.0, 1.0),))
NO_JOINTS = np.zeros(0)
NOW = datetime(2025, 1, 2)
PRESETS = Path(__file__).parents[3] / 'config' / 'presets'


def picture(row: int, column: int) -> np.ndarray:
    """A white square of 5 px on black, uint8 (32, 32, 3); opposite edges meet."""
    found = np.zeros((SIDE, SIDE, 3), np.uint8)
    places = np.arange(-2, 3)
    found[np.ix_((row + places) % SIDE, (column + places) % SIDE)] = 255
    return found


class World:
    """The square moves 7 px to the right with action 1; every 20 steps it begins at another place."""

    def __init__(self, rows: tuple[int, ...] = tuple(range(SIDE))) -> None:
        self.generator, self.rows, self.number = np.random.default_rng(0), rows, 0
        self.begin()

    def begin(self) -> None:
        self.row, self.column = int(self.generator.choice(self.rows)), int(self.generator.integers(SIDE))
        self.begins = True

    def observation(self) -> Observation:
        return Observation({'camera': Reading(picture(self.row, self.column), self.number)})

    def step(self, action: np.ndarray) -> Transition:
        if self.number and self.number % 20 == 0:
            self.begin()
        before, begins = self.observation(), self.begins
        self.number, self.begins = self.number + 1, False
        self.column = (self.column + 7 * int(action[0])) % SIDE
        return Transition(
            before=before, after=self.observation(), action_commanded=action, action_applied=action,
            joints=NO_JOINTS, joints_next=NO_JOINTS, boundary=begins, truncated=self.number % 20 == 0,
        )  # fmt: skip


def config(**changes: object) -> ModelConfig:
    own = DevelopmentalSettings.from_flat({**SMALL, **changes})
    return ModelConfig(ROBOT, {}, 3, own, {}, '2025-01-02', (), 'developmental')


def run(learner: Any, world: World, steps: int, mode: str = 'curiosity') -> list[dict[str, float]]:
    found = []
    for _ in range(steps):
        action = learner.act(world.observation(), NO_JOINTS, mode, learner.total_steps)
        found.append(dict(learner.learn(world.step(action)).metrics))
    return found


def test_it_learns_online_what_the_action_does():
    learner = find('developmental').make_online_learner(config())
    figures = run(learner, World(), 300)
    assert not figures[0]['gate_open'] and figures[-1]['gate_open']
    assert learner.metrics()['r2'] > 0.2 and learner.metrics()['action_gap'] > 0.1
    assert learner.online.loss == 'cross_entropy'


def test_a_state_that_was_loaded_goes_on_with_equal_bits():
    one, two = (find('developmental').make_online_learner(config(**{'wake.kept': 10})) for _ in range(2))
    world = World()
    for number in range(25):
        action = one.act(world.observation(), NO_JOINTS, 'curiosity', one.total_steps)
        if number:
            assert np.array_equal(two.act(world.observation(), NO_JOINTS, 'curiosity', two.total_steps), action)
        two.load_bytes(one.to_bytes())
        transition = world.step(action)
        one.learn(transition)
        two.learn(transition)
        ours, others = one.state(), two.state()
        assert ours.keys() == others.keys() and all(torch.equal(ours[name], others[name]) for name in ours)


# Small networks of the original system, and its way to learn and to choose.
ORIGINAL = {
    'network.autoencoder': 'vit', 'network.predictor': 'transformer', 'network.context': 3, 'gate.kind': 'absolute',
    'gate.reconstruction': 0.02, 'gate.prediction': 0.005, 'policy.kind': 'uncertainty',
}  # fmt: skip


@pytest.mark.parametrize('changes', [{}, ORIGINAL], ids=['own', 'original'])
def test_a_run_that_was_stopped_anywhere_ends_as_one_that_was_not(open_brain, changes) -> None:
    own = config(**changes)
    whole = open_brain(own, World(), 'whole').train(90)
    run = open_brain(own, World(), 'stopped')
    for steps in (7, 34, 41, 8):  # before and after a sleep, with and without a save
        run.train(steps)
        if steps == 41:
            run.session.save(run.learner.to_bytes(), NOW)
        run.session.folder.close()
        run = open_brain(own, run.world, 'stopped')
    assert run.hash() == whole.hash()
    assert run.learner.metrics() == pytest.approx(whole.learner.metrics(), nan_ok=True)


def test_a_sleep_has_all_phases_and_one_rolled_back_changes_nothing(open_brain) -> None:
    run = open_brain(config(), World()).train(39)
    before = run.hash()
    asleep = run.session.begin_sleep(run.learner.to_bytes(), Goal({'dream': -1}))
    assert [(p.phase, p.step) for p in asleep.run()] == [
        ('reconstruct', 1), ('reconstruct', 2), ('predict', 1), ('predict', 2), ('predict', 3), ('predict', 4)
    ]  # fmt: skip
    assert asleep.statistics.status['dream'] == 'skipped: by goal'
    run.session.roll_back(asleep, NOW)
    assert run.hash() == before
    kept = run.sleep()
    assert kept.statistics.steps == {'reconstruct': 2, 'predict': 4, 'dream': 2} and run.hash() != before
    assert run.learner.cycles == 1


def test_a_sleep_that_does_harm_is_rolled_back(open_brain) -> None:
    run = open_brain(
        config(**{'sleep.learning_rate': 3.0, 'sleep.average': 0.0, 'sleep.wake_steps_per_cycle': 200}), World()
    )
    asleep = run.train(140).sleep()
    assert asleep.verdict.judged and asleep.verdict.rolled_back
    assert run.learner.cycles == 0 and run.session.consolidator.sleeps_rolled_back == 1


@pytest.mark.parametrize('predictor', ['local', 'transformer', 'lstm'])
def test_pictures_show_what_is_seen_and_expected_and_change_nothing(predictor):
    autoencoder = {'local': 'local', 'transformer': 'vit', 'lstm': 'cnn'}[predictor]
    own = config(**{
        'network.autoencoder': autoencoder, 'network.predictor': predictor, 'network.dropout': 0.1,
        'policy.kind': 'uncertainty', 'policy.uncertainty': 'members' if predictor == 'local' else 'dropout',
    })  # fmt: skip
    shown, other = (find('developmental').make_online_learner(own) for _ in range(2))
    world = World()
    assert shown.pictures() == {} and shown.action_uncertainty(world.observation()) == {}
    for _ in range(6):
        before = shown.to_bytes()
        pictures, uncertainty = shown.pictures(), shown.action_uncertainty(world.observation())
        assert shown.to_bytes() == before
        action = shown.act(world.observation(), NO_JOINTS, 'curiosity', shown.total_steps)
        assert np.array_equal(action, other.act(world.observation(), NO_JOINTS, 'curiosity', other.total_steps))
        transition = world.step(action)
        shown.learn(transition)
        other.learn(transition)
    assert shown.to_bytes() == other.to_bytes()
    assert list(pictures) == ['seen', 'predicted', 'decoded', 'move=0', 'move=1']
    assert all(each.shape == (SIDE, SIDE, 3) and each.dtype == np.uint8 for each in pictures.values())
    assert np.array_equal(pictures['seen'], transition.before['camera'])
    assert list(uncertainty) == ['move=0', 'move=1'] and all(value >= 0 for value in uncertainty.values())


def test_no_more_than_nine_actions_are_shown():
    channels = tuple(Channel(name, Kind.DISCRETE, '', 0.0, 3.0) for name in ('left', 'right'))
    robot = RobotInfo(name='stub', modalities=('camera',), channels=channels)
    own = config(**{'policy.candidates': 16})
    learner = find('developmental').make_online_learner(
        ModelConfig(robot, {}, 3, own.settings, {}, '', (), own.brain_name)
    )
    seen, action = World().observation(), np.array([1.0, 2.0], np.float32)
    learner.learn(Transition(before=seen, after=seen, action_commanded=action, action_applied=action,
                             joints=NO_JOINTS, joints_next=NO_JOINTS, boundary=True))  # fmt: skip
    assert len(learner.pictures()) == 3 + 9 and 'left=0 right=1' in learner.pictures()


def errors(reconstruction: float) -> Errors:
    return Errors(reconstruction, 0.1, 1.0, 0.5)


def test_the_robot_rests_while_it_can_not_see_and_for_a_limited_time():
    gate = QualityGate(GateSettings(reconstruction=0.5, most_rests=3))
    for allowed in (False, False, True, True):  # after the first, second ... bad picture
        gate.observe(errors(0.6))
        assert gate.may_act == allowed and not gate.is_open
    gate.observe(errors(0.4))
    assert gate.is_open and gate.rests == 0
    assert not QualityGate(GateSettings(kind='absolute', reconstruction=0.001)).may_act


def test_at_rest_the_action_has_no_effect():
    learner = find('developmental').make_online_learner(config(**{'gate.reconstruction': 0.0, 'gate.most_rests': 30}))
    world = World()
    run(learner, world, 1)  # the first action is random: nothing was seen before
    actions = [learner.act(world.observation(), NO_JOINTS, 'curiosity', learner.total_steps) for _ in range(5)]
    assert not np.any(actions)
    assert any(learner.act(world.observation(), NO_JOINTS, 'random', step)[0] for step in range(20))


def test_warnings_name_the_rival_that_is_not_beaten():
    fine = {
        'rests': 0.0, 'share_constant': 0.2, 'share_copy': 0.9, 'share_blind': 0.9, 'action_gap': 0.1,
        'action_variety': 0.5, 'effective_rank': 10.0,
    }  # fmt: skip
    assert warnings(fine, 100) == [] and warnings(dict.fromkeys(fine, float('nan')), 100) == []
    assert warnings(fine | {'share_copy': 1.2}, 100) == ['predictions are no better than the picture before']
    assert warnings(fine | {'action_gap': -0.1}, 100) == ['the true action predicts no better than a wrong one']
    assert 'acts without seeing: 100 steps' in warnings(fine | {'rests': 100.0}, 100)[0]
    assert 'tokens vary in 1.0 directions' in warnings(fine | {'effective_rank': 1.0}, 100)[0]
    assert 'nearly all actions are equal' in warnings(fine | {'action_variety': 0.0}, 100)[0]


def test_equal_actions_are_noticed(open_brain) -> None:
    run = open_brain(config(**{'policy.kind': 'constant', 'policy.action': '1', 'gate.kind': 'open',
                               'sleep.wake_steps_per_cycle': 1000}), World()).train(101)  # fmt: skip
    assert 'nearly all actions are equal: their effect can not be learned from them' in run.session.consolidator.alarms


def test_the_loss_is_chosen_by_the_first_picture():
    dot = to_pictures(torch.from_numpy(picture(5, 5)))[None]
    room = torch.linspace(0, 1, 3 * SIDE * SIDE).view(1, 3, SIDE, SIDE)
    assert chosen('automatic', dot) == 'cross_entropy' and chosen('automatic', room) == 'squared'
    assert chosen('focal', dot) == 'focal'
    for loss in PICTURE_LOSSES:
        flat = picture_of(loss, output_at_mean(loss, dot)[None, :, None, None].expand_as(dot))
        assert flat.mean() == pytest.approx(float(dot.mean()), abs=1e-6)
        assert PICTURE_LOSSES[loss](output_at_mean(loss, dot)[None, :, None, None].expand_as(dot), dot) > 0


@torch.no_grad()
def test_what_is_unknown_is_uncertain_and_noise_is_not_preferred():
    own = config()
    model = DevelopmentalModel(own.settings, torch.tensor([[-1.0], [1.0]]), 3)
    uncertainty, generator = Uncertainty('members', (SIDE, SIDE)), np.random.default_rng(0)
    predicted = torch.zeros(1, 3, SIDE, SIDE)
    noisy = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    noisy[:8] = True
    for _ in range(300):  # errors of 0.1 everywhere, of 1 in the noise
        scale = torch.where(noisy, 1.0, 0.1)
        uncertainty.observe(predicted, scale * torch.from_numpy(generator.standard_normal((1, 3, SIDE, SIDE))).float())
    # Members that disagree as much as the errors are large: in the noise, and elsewhere.
    spread = torch.from_numpy(generator.standard_normal((8, 2, 3, SIDE, SIDE))).float()
    pictures = torch.stack([spread[:, 0] * noisy, 0.1 * spread[:, 1] * ~noisy], 1)
    in_noise, elsewhere = uncertainty.scores(pictures).tolist()
    assert in_noise / (in_noise + elsewhere) < 1.2 * float(noisy.float().mean())
    assert uncertainty.scores(model.sweep(Steps(torch.rand(1, 3, 3, SIDE, SIDE), torch.zeros(1, 2, 1)),
                                          torch.tensor([[-1.0], [1.0]]))).shape == (2,)  # fmt: skip


def test_rows_that_were_never_seen_are_more_uncertain():
    learner = find('developmental').make_online_learner(config(**{'sleep.wake_steps_per_cycle': 1000}))
    run(learner, World(rows=(5,)), 250, mode='random')
    generator = np.random.default_rng(1)

    def uncertainty(row: int) -> float:
        places = range(0, SIDE, 2)
        found = [
            learner.uncertainties(Observation({'camera': Reading(picture(row, column), 0)}), generator).mean()
            for column in places
        ]
        return float(np.mean(found))

    assert min(uncertainty(row) for row in (10, 18, 27)) > 1.3 * uncertainty(5)


def test_actions_that_are_compared_cover_the_robot():
    pair = RobotInfo(name='stub', modalities=('camera',), channels=tuple(
        Channel(name, Kind.DISCRETE, '', 0.0, 2.0) for name in ('left', 'right')))  # fmt: skip
    found = candidates(pair, 9)
    assert found.shape == (9, 2) and len(np.unique(found, axis=0)) == 9
    assert candidates(pair, 4).shape == (4, 2)
    many = RobotInfo(name='many', modalities=('camera',), channels=tuple(
        Channel(f'c{i}', Kind.RELATIVE, 'deg', -1.0, 1.0) for i in range(12)))  # fmt: skip
    assert candidates(many, 9).shape == (9, 12) and np.abs(candidates(many, 9)).max() == 1.0
    assert candidates(ROBOT, 9).tolist() == [[-1.0], [1.0]]


def test_the_preset_of_the_original_has_its_networks():
    settings = DevelopmentalSettings.from_flat(read_preset(PRESETS, 'reference', 'developmental'))
    find('developmental').check(settings)
    model = DevelopmentalModel(settings, torch.tensor([[-1.0], [1.0]]), 1)
    assert sum(p.numel() for p in model.autoencoder.parameters() if p.requires_grad) == 4_295_040
    assert model.autoencoder.tokens == 197 and model.context == 4 and model.predictor.members == 1


@pytest.mark.parametrize(
    'settings, expected',
    [
        ({'network.size': 30}, 'a multiple of 8 px'),
        ({'network.width': 25}, 'a multiple of the 2 heads'),
        ({'memory.segment': 3}, '4 or more'),
        ({'network.predictor': 'unknown'}, 'one of'),
        ({'network.autoencoder': 'vit'}, "'local', with the predictor 'local'"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, expected):
    own = config(**settings).settings
    with pytest.raises(UserError, match=expected):
        find('developmental').check(own)
        DevelopmentalModel(own, torch.zeros(2, 1), 1)


@pytest.mark.parametrize(
    ('changes', 'is_strict'),
    [({'policy.explore': 0.0}, True), ({'policy.explore': 0.5}, False),
     ({'policy.kind': 'sequence', 'policy.sequence': '0; 1', 'policy.explore': 0.5}, True)],
    ids=['automatic', 'automatic with random actions', 'sequence'],
)  # fmt: skip
def test_two_values_alternate_with_random_ones_among_them_and_a_named_policy_is_followed(changes, is_strict):
    learner, world = find('developmental').make_online_learner(config(**changes, **{'gate.kind': 'open'})), World()
    run(learner, world, 1, 'random')
    taken = [float(learner.act(world.observation(), NO_JOINTS, 'curiosity', step)[0]) for step in range(40)]
    assert set(taken) == {0.0, 1.0}
    assert all(one != other for one, other in pairwise(taken)) == is_strict
