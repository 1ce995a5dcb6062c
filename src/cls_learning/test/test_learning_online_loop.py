"""Acting between steps: what is chosen while acting is held is sent later, and never twice."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cls_common.step_builder import StepBuilder
from cls_common.transition import EMBEDDING, Floats, Reading, Transition
from cls_learning.runtime.online_loop import OnlineLoop


class Robot:
    """A step builder that has sensed something, and the actions sent to its robot."""

    def __init__(self, tools: SimpleNamespace, lock_step: bool = False) -> None:
        self.world = tools.PanTiltWorld()
        self.learner = tools.online_learner(tools.recipe({'policy.kind': 'prediction_error'}))
        self.steps = StepBuilder(lock_step=lock_step, joints=np.zeros(2))
        self.sent: list[Floats] = []
        self.loop = OnlineLoop(self.steps, self.sent.append)
        self.sense()

    def sense(self) -> None:
        self.steps.add_reading(EMBEDDING, Reading(self.world.embedding(), self.world.now))

    def step(self) -> Transition:
        return next(self.world.walk(1))

    def learn(self, goes_on: bool = True, is_held: bool = False) -> Any:
        """Closes a step, from whose observation the chain continues."""
        transition = self.step()
        experience = self.loop.learn(self.learner, transition, 'curiosity', goes_on, is_held)
        self.sense()
        self.steps.resume(transition.after, transition.joints_next)
        return experience


def test_the_next_action_is_sent_at_once(tools: SimpleNamespace) -> None:
    robot = Robot(tools)
    assert robot.learn().sequence == 1 and len(robot.sent) == 1
    robot.loop.send_due()
    assert len(robot.sent) == 1, 'nothing is left'


@pytest.mark.parametrize('lock_step, is_held', [(True, False), (False, True)])
def test_an_action_that_waits_is_the_one_of_its_step(lock_step: bool, is_held: bool, tools: SimpleNamespace) -> None:
    """Steps that follow a wait equal those without one, also where the policy draws."""
    free, waiting = Robot(tools), Robot(tools, lock_step)
    free.learn()
    waiting.learn(is_held=is_held)
    assert waiting.sent == []
    waiting.loop.act(waiting.learner, 'curiosity')
    assert np.array_equal(waiting.sent, free.sent)
    waiting.loop.send_due()
    assert len(waiting.sent) == 1


def test_where_the_chain_is_broken_a_waiting_action_is_not_sent(tools: SimpleNamespace) -> None:
    robot = Robot(tools)
    robot.learn(is_held=True)
    robot.steps.break_chain()
    robot.loop.act(robot.learner, 'random')
    robot.loop.send_due()
    expected = robot.learner.act(robot.steps.newest, robot.steps.joints, 'random', 1)
    assert np.array_equal(robot.sent, [expected])


def test_a_cleared_action_is_not_sent(tools: SimpleNamespace) -> None:
    robot = Robot(tools)
    robot.learn(is_held=True)
    robot.loop.clear()
    robot.loop.send_due()
    assert robot.sent == []


def test_a_last_step_that_is_not_yet_learned_is_repeated_with_its_action(tools: SimpleNamespace) -> None:
    """Of a process that ended after the step: state and action are those that it would have had."""
    old, new = Robot(tools, lock_step=True), Robot(tools, lock_step=True)
    last = old.learn()
    old.loop.send_due()
    new.loop.continue_from(new.learner, last, 'curiosity')
    assert new.learner.to_bytes() == old.learner.to_bytes()
    new.loop.act(new.learner, 'curiosity')
    assert np.array_equal(new.sent, old.sent)


def test_a_last_step_that_is_learned_already_only_continues_the_chain(tools: SimpleNamespace) -> None:
    robot = Robot(tools)
    last = robot.learn(goes_on=False)
    robot.steps.break_chain()
    before = robot.learner.to_bytes()
    robot.loop.continue_from(robot.learner, last, 'curiosity')
    assert robot.learner.to_bytes() == before
    observation, is_new = robot.steps.start()
    assert observation is last.transition.after and not is_new
