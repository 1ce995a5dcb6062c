"""One-step prediction of a simulated pan-tilt robot that answers some steps late, learned online."""

from collections import deque
from dataclasses import dataclass
from functools import lru_cache
import math
import time
from typing import Any, cast, Final, NamedTuple

import numpy as np
import torch
from torch import Tensor

from cls_learning.brains.spiking.settings import WorldSettings
from cls_learning.brains.spiking.world import World
from cls_learning.learners.optimisation import make_adam, step
from cls_learning.randomness import stream
from cls_learning.rtrl import prune
from cls_learning.rtrl.event_gru import EventGruCell
from cls_learning.world_models.contract import ModelState
from cls_learning.world_models.event_gru import CellWorldModel
from cls_sim.robots import make, SimulatorSettings

DELAY: Final = 2
# Steps of the truncated tape, and of an interval.
TAPE: Final = 8
SPARSITY: Final = 0.5
# By the steps from one update to the next; chosen by trials with another seed.
LEARNING_RATES: Final = {1: 3e-3, TAPE: 1e-2}
_ROBOT: Final = 'square'
_HIDDEN: Final = 32
_GRADIENT_NORM: Final = 1.0
# Steps before learning begins, of which the scales are taken.
_WARM_UP: Final = 200
# Joint angle beyond which actions turn back, so that the robot seldom stands at a limit.
_TURN_BACK: Final = 0.5  # of the limit


@dataclass(frozen=True)
class LateAgent:
    """A world model and how it learns.

    Attributes:
        model: of world_models. level: of RTRL; '' without.
        tape: steps of backpropagation through time; 1: none.
        interval: steps from one update to the next, by the mean error of these steps; see LEARNING_RATES.
        delay: of observations, steps.
    """

    model: str
    level: str = ''
    tape: int = 1
    interval: int = 1
    delay: int = DELAY


AGENTS: Final = {
    'MLP, not late': LateAgent('mlp', delay=0),
    'MLP': LateAgent('mlp'),
    'event GRU, sparse': LateAgent('event_gru', 'sparse'),
    'event GRU, SnAp-1': LateAgent('event_gru', 'snap'),
    'event GRU, BPTT each step': LateAgent('event_gru', tape=TAPE),
    'event GRU, sparse / 8': LateAgent('event_gru', 'sparse', interval=TAPE),
    'event GRU, BPTT / 8': LateAgent('event_gru', tape=TAPE, interval=TAPE),
    'trace units, diagonal': LateAgent('trace_units', 'diagonal'),
    'trace units, BPTT each step': LateAgent('trace_units', tape=TAPE),
    'trace units, diagonal / 8': LateAgent('trace_units', 'diagonal', interval=TAPE),
    'trace units, BPTT / 8': LateAgent('trace_units', tape=TAPE, interval=TAPE),
}


class Stream(NamedTuple):
    """N steps of one episode: before, after float32 (N, 1, S) raw; action float32 (N, 1, A) in [-1, 1]."""

    before: Tensor
    action: Tensor
    after: Tensor


@lru_cache(maxsize=2)
def record(steps: int, seed: int, delay: int) -> Stream:
    """Lets the robot act at random; its observations arrive `delay` steps late."""
    robot = make(_ROBOT, SimulatorSettings(seed=seed, delay_steps=delay))
    generator = stream(seed, 'bench.late_robot', 0)
    now = robot.reset()
    limits = _TURN_BACK * np.array(robot.info.joint_high)
    seen, actions = [_perceived(now.image)], []
    for _ in range(steps):
        unit = generator.uniform(-1.0, 1.0, len(limits))
        unit = np.where(np.abs(now.joints) > limits, -np.sign(now.joints) * np.abs(unit), unit)
        now = robot.step(robot.info.to_units(unit))
        seen.append(_perceived(now.image))
        actions.append(robot.info.to_unit(now.applied))
    robot.close()
    observed = torch.from_numpy(np.stack(seen)).float()[:, None]
    return Stream(observed[:-1], torch.from_numpy(np.stack(actions)).float()[:, None], observed[1:])


def _perceived(image: Any) -> Any:
    """Returns column and row of the middle of an image's brightness, (2,), pixels: a minimal encoder."""
    grey = image.mean(2)
    return np.array([np.average(np.arange(grey.shape[axis]), weights=grey.sum(1 - axis)) for axis in (1, 0)])


def learn(name: str, seed: int, *, steps: int) -> dict[str, Any]:
    """Learns from each step once, in order, and predicts it before.

    Returns:
        error, early_error: of the last and the first quarter of the steps, as a share of that of predicting no change
        in the same steps; updates; refused: updates that were not finite; seconds of the processor.
    """
    agent = AGENTS[name]
    data = record(steps + _WARM_UP, seed, agent.delay)
    learner = LateLearner(agent, data, seed)
    began, errors = time.process_time(), []
    for number in range(_WARM_UP, steps + _WARM_UP):
        errors.append(learner.learn(Stream(*(part[number] for part in data))))
    seconds, quarter = time.process_time() - began, steps // 4
    own, copied = np.array(errors).T
    return {
        'error': float(own[-quarter:].mean() / copied[-quarter:].mean()),
        'early_error': float(own[:quarter].mean() / copied[:quarter].mean()),
        'updates': learner.updates, 'refused': learner.refused, 'seconds': seconds,
    }  # fmt: skip


class LateLearner:
    """A world of the brain `spiking` that learns online; rewards are 0, and the episode does not end."""

    def __init__(self, agent: LateAgent, data: Stream, seed: int) -> None:
        self._agent = agent
        settings = WorldSettings(model=agent.model, hidden=_HIDDEN, window=2)
        size, action_size = data.before.shape[2], data.action.shape[2]
        self.world = World(settings, size, action_size, seed)
        known = Stream(*(part[:_WARM_UP, 0] for part in data))
        self.world.set_scale(known.after, known.after - known.before)
        if agent.model == 'event_gru':
            cell = cast(EventGruCell, cast(CellWorldModel, self.world.members[0]).cell)
            prune(cell, SPARSITY, stream(seed, 'bench.late_robot.prune', 0))
        if agent.level:
            self.world.learn_online(agent.level, seed)
        self._optimizer = make_adam(self.world, LEARNING_RATES[agent.interval])
        self._carried = self.world.initial(1)
        # The last steps, each with the state before it, and the losses since the last update.
        self._tape: deque[tuple[ModelState, Stream]] = deque(maxlen=agent.tape)
        self._losses: list[Tensor] = []
        self._steps = self.updates = self.refused = 0

    def learn(self, now: Stream) -> tuple[float, float]:
        """Returns the error of the prediction before learning from this step, and that of predicting no change."""
        tape, interval = self._agent.tape, self._agent.interval
        self._tape.append((self._carried, now))
        self._steps += 1
        with torch.set_grad_enabled(tape == 1):
            losses, errors = self._predict([self._tape[-1]])
        self._losses += losses
        if self._steps % interval == 0:
            if tape > 1:
                self._losses = self._predict(list(self._tape))[0][-interval:]
            loss = step(self._optimizer, torch.stack(self._losses).mean(), _GRADIENT_NORM)
            self._losses, self.updates, self.refused = [], self.updates + 1, self.refused + math.isnan(loss)
        return errors

    def _predict(self, steps: list[tuple[ModelState, Stream]]) -> tuple[list[Tensor], tuple[float, float]]:
        """Returns the loss of each of some steps in a row, and errors of the last: predicted and of no change."""
        carried, losses = steps[0][0], []
        for _, now in steps:
            outcome = self.world.predict(carried, now.before, now.action)
            carried = outcome.carried
            losses.append(self.world.loss(outcome, now.after, torch.zeros(1), torch.zeros(1)))
        self._carried = {name: tensor.detach() for name, tensor in carried.items()}
        own, copied = (float(self.world.errors(guess.detach(), now.after)) for guess in (outcome.state, now.before))
        return losses, (own, copied)
