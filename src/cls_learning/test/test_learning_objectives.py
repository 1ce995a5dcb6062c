"""Objectives of the brain `cross_modal`: the contract, an installed one with a setting, and durations of steps."""

from collections.abc import Iterator
import dataclasses
import json
from pathlib import Path
import sys

import numpy as np
import pytest
import torch

from cls_common.errors import UserError
from cls_common.robot import Channel, Kind, RobotInfo
from cls_common.stamps import NS
from cls_common.transition import Observation, Reading, Transition
from cls_learning.brain import find, Goal
from cls_learning.brains.cross_modal import objectives
from cls_learning.brains.cross_modal.consolidator import CrossModalConsolidator
from cls_learning.brains.cross_modal.model import all_present, CrossModalModel
from cls_learning.brains.cross_modal.objectives.contract import WakeStep
from cls_learning.brains.cross_modal.online_learner import CrossModalOnlineLearner
from cls_learning.model_store.config_file import ModelConfig
from cls_learning.registries import OBJECTIVES

SIZES = {'near': 2, 'far': 2}
ROBOT = RobotInfo(
    name='cart', modalities=tuple(SIZES), channels=(Channel('push', Kind.VELOCITY, 'm/s', -1.0, 1.0),)
)  # fmt: skip
SMALL = {
    'network.hidden': 16, 'fast.scale_steps': 20, 'actor.kind': 'random', 'sleep.wake_steps_per_cycle': 100,
    'sleep.dream_steps': 10,
}  # fmt: skip
# Predictions are learned by the absolute error instead of the squared one.
INSTALLED = """
from dataclasses import dataclass
from cls_common.settings import setting, Settings
from cls_learning.brains.cross_modal.objectives.contract import Objective

@dataclass(frozen=True, kw_only=True)
class AbsoluteSettings(Settings):
    scale: float = setting(1.0, 'Factor of the loss.', low=0.0)

SETTINGS = AbsoluteSettings

class Absolute(Objective):
    def __init__(self, scale):
        self.scale = scale

    def loss(self, model, step):
        return self.scale * sum((step.predicted.senses[name] - step.after[name]).abs().mean() for name in model.sizes)

def make(own):
    return Absolute(own.scale)
"""


@pytest.fixture
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Installs a package with an objective `absolute`, as pip would lay it out."""
    (tmp_path / 'absolute_error.py').write_text(INSTALLED)
    metadata = tmp_path / 'absolute_error-1.dist-info'
    metadata.mkdir()
    (metadata / 'METADATA').write_text('Name: absolute_error\nVersion: 1\n')
    (metadata / 'entry_points.txt').write_text(f'[{OBJECTIVES.package}]\nabsolute = absolute_error\n')
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop('absolute_error', None)


def config(**changes: object) -> ModelConfig:
    own = find('cross_modal').settings.from_flat({**SMALL, **changes})
    return ModelConfig(ROBOT, {}, 3, own, {}, '2025-01-02', (), 'cross_modal', SIZES)


class Cart:
    """A cart that glides for steps of uneven length: only who knows the length knows how far it comes."""

    def __init__(self) -> None:
        self.generator = np.random.default_rng(0)
        self.place, self.now = 0.0, 0

    def observation(self) -> Observation:
        found = np.float32([self.place, -self.place])
        return Observation({name: Reading(found.copy(), self.now) for name in SIZES})

    def step(self, action: np.ndarray) -> Transition:
        before, begins, took = self.observation(), self.now == 0, self.generator.choice([0.05, 0.1, 0.3])
        self.now += int(took * NS)
        self.place = 0.8 * self.place + (float(action[0]) + 1.0) * took
        return Transition(
            before=before, after=self.observation(), action_commanded=action, action_applied=action,
            joints=np.zeros(0), joints_next=np.zeros(0), boundary=begins,
        )  # fmt: skip


def learn(steps: int, **changes: object) -> CrossModalOnlineLearner:
    """Returns the learner after some steps and the sleeps that were due."""
    own = config(**changes)
    learner, consolidator, cart = CrossModalOnlineLearner(own), CrossModalConsolidator(own), Cart()
    for number in range(steps):
        action = learner.act(cart.observation(), np.zeros(0), 'curiosity', number)
        consolidator.learn(learner.learn(cart.step(action)))
        if learner.wants_sleep:
            sleep = consolidator.begin_sleep(learner.state(), Goal())
            assert all(progress.loss == progress.loss for progress in sleep.run())
            learner.load(sleep.finish())
    return learner


def step_of(model: CrossModalModel, reward: float) -> WakeStep:
    before, after = ({name: torch.full((1, size), value) for name, size in SIZES.items()} for value in (0.5, 0.8))
    present = all_present(before)
    state, heeded = model.perceive(model.initial(1), before, present)
    _, predicted = model.predict(state, heeded, torch.zeros(1, 3))
    return WakeStep(state, heeded, predicted, before, after, present, reward)


@pytest.mark.usefixtures('_installed')
@pytest.mark.parametrize('name', [*OBJECTIVES.names(), 'absolute'])
@pytest.mark.parametrize('reward', [float('nan'), 2.0])
def test_each_objective_has_a_loss_with_a_gradient_for_what_it_trains(name: str, reward: float) -> None:
    settings = config(**{'fast.objective': name}).settings
    model, own = CrossModalModel(settings, SIZES, 3, 1), objectives.make(settings.fast)
    torch.nn.init.normal_(model.predictor.output.weight)
    loss = own.loss(model, step_of(model, reward))
    loss.backward()
    assert loss.shape == () and loss.isfinite() and float(loss.detach()) > 0.0
    moved = {p for p in own.learns(model).parameters() if p.grad is not None and bool(p.grad.any())}
    assert any(p in moved for p in model.network.encoders.parameters())
    assert any(p in moved for p in model.network.actions.parameters()) == own.trains_actions


def test_an_unknown_objective_is_refused_with_those_there_are() -> None:
    with pytest.raises(UserError, match="unknown objective 'none'; expected one of prediction, stability"):
        config(**{'fast.objective': 'none'})


@pytest.mark.usefixtures('_installed')
def test_an_installed_objective_is_learned_by_its_own_settings() -> None:
    chosen = {'fast.objective': 'absolute', 'fast.absolute.scale': 0.5}
    assert json.loads(json.dumps(config(**chosen).settings.to_flat()))['fast.absolute.scale'] == 0.5
    awake = {'sleep.wake_steps_per_cycle': 1000}
    assert learn(200, **awake | chosen).metrics()['model_error'] < 0.95
    assert learn(200, **awake | chosen | {'fast.absolute.scale': 0.0}).metrics()['model_error'] == pytest.approx(1.0)


def test_with_durations_of_steps_it_knows_how_far_a_step_leads() -> None:
    blind, knowing = (learn(250, **{'network.step_duration': d}) for d in (0.0, 0.1))
    assert knowing.metrics()['model_error'] < 0.5 * blind.metrics()['model_error']


def test_the_duration_of_the_last_step_is_part_of_the_state() -> None:
    timed = {'network.step_duration': 0.1}
    learner, again, cart = learn(30, **timed), CrossModalOnlineLearner(config(**timed)), Cart()
    again.load(learner.state())
    transition = cart.step(np.float32([0.3]))
    transition = dataclasses.replace(transition, boundary=False)
    assert learner.learn(transition).metrics['loss'] == again.learn(transition).metrics['loss']
    assert not any('extra' in name or 'duration' in name for name in learn(1).state())
