"""A fast_learner that is killed in lock-step is followed by one that continues as if nothing had happened."""

from collections.abc import Iterator

import numpy as np
import pytest

from cls_common.experience_codec import to_arrays
from cls_common.step_builder import Applied, StepBuilder
from cls_common.transition import Experience, Floats, Reading, Transition
from cls_learning.brain import find
from cls_learning.model_store.config_file import ModelConfig
from cls_learning.runtime.learner_session import make_online_learner
from cls_learning.runtime.online_loop import OnlineLoop
from cls_sim.lock_step import LockStep
from cls_sim.pace import ActionCommand, CommandResult, Output
from cls_sim.robot import SensorFrame
from cls_sim.robots import make, SimulatorSettings

STEPS = 60
MODE = 'curiosity'


class Simulator:
    """CartPole in lock-step."""

    def __init__(self) -> None:
        robot = make('gym:CartPole-v1', SimulatorSettings(robot='gym:CartPole-v1', lock_step=True, seed=4))
        self.pace = LockStep(robot)
        self.first = self.pace.start(0)
        brain = find('spiking')
        settings = brain.settings.from_flat({'warmup': 0, 'world.hidden': 8, 'agent.hidden': 8})
        self.config = ModelConfig(robot.info, {}, 3, settings, {}, '', (), brain.name, {'state': 4})


class Process:
    """One fast_learner: with the state before the last step, and that step, where it follows another one.

    Attributes:
        before: state before the last step that it learned.
    """

    def __init__(self, simulator: Simulator, before: bytes = b'', last: Experience | None = None) -> None:
        self.learner = make_online_learner(simulator.config)
        self.steps = StepBuilder(senses=('state',), lock_step=True)
        self.loop = OnlineLoop(self.steps, self._send)
        self.before = before or self.learner.to_bytes()
        self._sent: list[ActionCommand] = []
        if last is not None:
            self.learner.load_bytes(before)
            self.loop.continue_from(self.learner, last, MODE)

    def _send(self, action: Floats) -> None:
        self._sent.append(ActionCommand('fast_learner', self.learner.total_steps + 1, action))
        self.steps.open(('fast_learner', self.learner.total_steps + 1), 0.0)

    def take(self, outputs: list[Output]) -> Iterator[Experience]:
        """Receives messages one by one, acts as soon as it can, and yields the experiences of closed steps."""
        for output in outputs:
            closed = self._add(output)
            if closed is not None:
                self.before = self.learner.to_bytes()
                yield self.loop.learn(self.learner, self.learner.prepare(closed), MODE, True, False)
                self.loop.send_due()
            if self.steps.can_start:
                self.loop.act(self.learner, MODE)

    def _add(self, output: Output) -> Transition | None:
        if isinstance(output, SensorFrame):
            return self.steps.add_reading('state', Reading(output.observations['state'], output.stamp_ns))
        assert isinstance(output, CommandResult)
        done, command = output.motion, output.command
        applied = Applied(
            done.commanded, done.applied, done.joints_before, done.joints, done.start_ns, done.end_ns, done.reward,
            done.terminal, done.truncated,
        )  # fmt: skip
        return self.steps.add_applied_action((command.source, command.sequence), applied, 0.0)

    def sent(self) -> ActionCommand:
        """Returns the action that goes out."""
        (action,) = self._sent
        self._sent = []
        return action


def run(killed: str) -> list[Experience]:
    """Returns the experiences of a run in which every process but the first dies after its first action.

    Args:
        killed: '' never; before its action was received; or before the answer to it was.
    """
    simulator = Simulator()
    process = Process(simulator)
    experiences = list(process.take(simulator.first))
    while len(experiences) < STEPS:
        action = process.sent()
        if killed and experiences:
            if killed == 'before the answer':
                simulator.pace.submit(action, 0)
            process = Process(simulator, process.before, experiences[-1])
            assert not list(process.take(simulator.pace.tick(0)))
            action = process.sent()
        experiences += process.take(simulator.pace.submit(action, 0))
    return experiences


@pytest.mark.parametrize('killed', ['before the action', 'before the answer'])
def test_a_killed_learner_makes_the_steps_of_one_that_runs_on(killed: str) -> None:
    expected, found = run(''), run(killed)
    ends = sum(each.transition.terminal for each in expected)
    assert ends >= 2, 'the last and the first action of an episode are among those that are interrupted'
    for one, other in zip(expected, found, strict=True):
        left, right = to_arrays(one), to_arrays(other)
        assert left.keys() == right.keys()
        for name, value in left.items():
            np.testing.assert_array_equal(right[name], value, err_msg=f'{name} of step {one.sequence}')
