"""Order of acting and learning in one online step, and when a step is the last one of its cycle."""

from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray
import pytest

from cls_common.transition import Transition
from cls_learning.runtime.online_step import online_step


@dataclass
class Step:
    """The eleventh step of a model.

    Attributes:
        learner: has learned ten steps. transition: is learned next.
        sent: actions sent, each with the number of steps that were learned then.
    """

    learner: Any
    transition: Transition
    sent: list[tuple[int, NDArray[np.float32]]] = field(default_factory=list)

    @classmethod
    def of(cls, tools: SimpleNamespace, early: bool) -> 'Step':
        """Makes a step of a learner that acts before learning, or after it."""
        learner = tools.online_learner(tools.recipe({'act_before_learning': early, 'policy.kind': 'prediction_error'}))
        for transition in tools.PanTiltWorld().walk(10):
            learner.learn(transition)
        return cls(learner, next(tools.PanTiltWorld().walk(1)))

    def send(self, action: NDArray[np.float32]) -> None:
        self.sent.append((self.learner.total_steps, action))


@pytest.mark.parametrize('early, learned', [(True, 10), (False, 11)])
def test_the_next_action_goes_out_before_or_after_learning(early: bool, learned: int, tools: SimpleNamespace) -> None:
    """Before learning, so that the robot moves meanwhile; after it, as in the original system."""
    step = Step.of(tools, early)
    experience = online_step(step.learner, step.transition, 'curiosity', True, step.send)
    ((learned_then, action),) = step.sent
    assert learned_then == learned and experience.sequence == 11
    if not early:
        expected = step.learner.act(step.transition.after, step.transition.joints_next, 'curiosity', 11)
        assert np.array_equal(action, expected)


@pytest.mark.parametrize('early', [True, False])
@pytest.mark.parametrize(
    'mode, goes_on, end',
    [
        ('manual', True, {}),
        ('follow', True, {}),
        ('curiosity', False, {}),
        ('random', True, {'terminal': True}),
        ('random', True, {'truncated': True}),
    ],
)
def test_some_steps_send_nothing_but_are_learned(
    mode: str, goes_on: bool, end: dict[str, bool], early: bool, tools: SimpleNamespace
) -> None:
    """Another node acts, sleep is next or acting is paced, or the episode is over."""
    step = Step.of(tools, early)
    experience = online_step(step.learner, replace(step.transition, **end), mode, goes_on, step.send)
    assert step.sent == [] and experience.sequence == step.learner.total_steps == 11


def test_random_actions_do_not_depend_on_when_they_are_chosen(tools: SimpleNamespace) -> None:
    actions = []
    for early in (True, False):
        step = Step.of(tools, early)
        online_step(step.learner, step.transition, 'random', True, step.send)
        actions += [action for _, action in step.sent]
    assert len(actions) == 2 and np.array_equal(*actions)


def test_the_last_step_of_a_cycle_is_known_before_it_closes(tools: SimpleNamespace) -> None:
    learner, ends = tools.online_learner(), []
    for number, transition in enumerate(tools.PanTiltWorld().walk(61), 1):
        if learner.ends_cycle:
            ends.append(number)
        learner.learn(transition)
    assert ends == [30, 60]
