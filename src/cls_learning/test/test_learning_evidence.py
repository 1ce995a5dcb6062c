"""Learning and sleep have their intended effect: directions only, in a linear environment.

Steps of up to 10 degrees in a range of +-20, so that "no change" is a poor guess, as it is with real images.
"""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from cls_common.robot import RobotInfo
from cls_learning.brain import Goal
from cls_learning.brains.cls.consolidator import ClsConsolidator
from cls_learning.brains.cls.online_learner import ClsOnlineLearner
from cls_learning.config import LearningSettings
from cls_learning.memory.contract import Record, to_batch
from cls_learning.types import Batch

# The default recipe, with a smaller Slow and shorter cycles and sleeps, so that a run takes a second.
LITTLE = {
    'network.slow_hidden': 64,
    'sleep.wake_steps_per_cycle': 100,
    'sleep.sws_steps': 50,
    'sleep.rem_steps': 40,
}

# A Fast that learns from its last steps alone; that of the original system learned from its last one.
NO_RESERVOIR = {'fast.older': 0, 'fast.reservoir': 0, 'fast.ring': 100}


def robot_of(tools: SimpleNamespace) -> RobotInfo:
    limit = np.radians(20)
    robot: RobotInfo = tools.pan_tilt(joint_low=(-limit, -limit), joint_high=(limit, limit))
    return robot


def scene(tools: SimpleNamespace, number: int) -> Any:
    return tools.PanTiltWorld(number, robot=robot_of(tools))


class Pair:
    """Online learner and consolidator without a folder."""

    def __init__(
        self, tools: SimpleNamespace, seed: int, sleeps: bool = True, changes: Mapping[str, Any] | None = None
    ) -> None:
        settings, robot = LearningSettings.from_flat(LITTLE | dict(changes or {})), robot_of(tools)
        self.learner = ClsOnlineLearner(settings, robot, tools.Z_SIZE, seed)
        self.consolidator = ClsConsolidator(settings, robot, tools.Z_SIZE, seed)
        self._sleeps = sleeps

    def train(self, world: Any, steps: int, seed: int) -> None:
        """Learns a random walk, with a sleep after each cycle."""
        for transition in world.walk(steps, seed):
            experience = self.learner.learn(transition)
            self.consolidator.learn(experience)
            if self.learner.wants_sleep and self._sleeps:
                run = self.consolidator.begin_sleep(self.learner.state(), Goal())
                list(run.run())
                assert not run.diverged
                self.learner.load(run.finish())


def unseen(tools: SimpleNamespace, number: int) -> Batch:
    """Returns other transitions of a scene, which are not learned."""
    walk = scene(tools, number).walk(150, seed=1000 + number)
    return to_batch([Record(t.z, t.z_next, t.action_applied, t.action_commanded, t.joints, 0, 0, 0) for t in walk])


def error(learner: Any, batch: Batch) -> float:
    return float((learner.predict(batch.z, batch.action) - batch.z_next).square().mean())


def copying(batch: Batch) -> float:
    return float((batch.z - batch.z_next).square().mean())


@pytest.mark.parametrize('seed', [0, 1, 2])
def test_fast_beats_no_change_within_200_steps(seed: int, tools: SimpleNamespace) -> None:
    """The default recipe as it is, scored before learning."""
    learner = ClsOnlineLearner(LearningSettings(), robot_of(tools), tools.Z_SIZE, seed)
    errors = []
    for transition in scene(tools, seed).walk(260, seed):
        experience = learner.learn(transition)
        errors.append((experience.metrics['error_before'], experience.metrics['copy_error']))
    fast, copied = np.array(errors[200:]).sum(axis=0)
    assert 0.0 < fast < 0.8 * copied


def two_scenes(tools: SimpleNamespace, seed: int, **options: Any) -> Pair:
    pair = Pair(tools, seed, **options)
    pair.train(scene(tools, 0), 200, seed)
    pair.train(scene(tools, 1), 400, seed + 50)
    return pair


@pytest.mark.parametrize('seed', [0, pytest.param(1, marks=pytest.mark.slow)])
def test_sleep_keeps_the_old_scene(seed: int, tools: SimpleNamespace) -> None:
    """After a change of scene Slow, with its sleeps, knows the old one better than a Fast without a reservoir."""
    pair, old = two_scenes(tools, seed, changes=NO_RESERVOIR), unseen(tools, 0)
    slow, fast = error(pair.consolidator.slow, old), error(pair.learner.fast, old)
    assert slow < 0.5 * fast and slow < 0.3 * copying(old)


def test_without_sleep_slow_stays_near_copying(tools: SimpleNamespace) -> None:
    """The default's Fast keeps the old scene by its reservoir, so that sleep is compared with no sleep."""
    pair, sleepless, old = two_scenes(tools, 0), two_scenes(tools, 0, sleeps=False), unseen(tools, 0)
    assert error(pair.consolidator.slow, old) < 0.3 * error(sleepless.consolidator.slow, old)
    assert max(error(pair.consolidator.slow, old), error(pair.learner.fast, old)) < 0.3 * copying(old)


def test_learning_uses_the_actions(tools: SimpleNamespace) -> None:
    """Predictions with the actions shuffled are worse than with the true ones."""
    pair, batch = Pair(tools, 3), unseen(tools, 0)
    pair.train(scene(tools, 0), 200, 3)
    shuffled = batch.action[torch.from_numpy(np.random.default_rng(0).permutation(len(batch.action)))]
    for learner in (pair.learner.fast, pair.consolidator.slow):
        wrong = float((learner.predict(batch.z, shuffled) - batch.z_next).square().mean())
        assert wrong > 1.2 * error(learner, batch)
