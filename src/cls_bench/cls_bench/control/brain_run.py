"""Runs the brain `spiking` with some world model: real steps and sleeps, and an evaluation after each sleep."""

from collections import deque
import logging
from pathlib import Path
import tempfile
from typing import Any

from cls_common.errors import UserError
from cls_common.transition import Experience
from cls_learning.brain import Consolidator, OnlineLearner
from cls_learning.model_store.config_file import ModelConfig
from cls_learning.operations.of_model import count_model
from cls_learning.randomness import derive
from cls_learning.runtime.learner_session import make_online_learner
from cls_sim.robots import make as make_robot
from cls_sim.settings import SimulatorSettings
from cls_training.evaluation import run_episodes
from cls_training.sensing import Sensing
from cls_training.train_loop import TrainLoop
from cls_training.training import opened, TrainOptions

from .agents import Agent
from .environments import ControlEnvironment
from .solving import FOLLOWING, Rounds

BRAIN = 'spiking'
_UNKNOWN: dict[str, Any] = {'ops_act': None, 'ops_learn': None}
_log = logging.getLogger(__name__)
# Last steps of which the operations are counted.
_COUNTED = 20


def run(agent: Agent, environment: ControlEnvironment, seed: int) -> dict[str, Any]:
    """Runs one seed until it is solved, or over; returns its metrics.

    The evaluation acts with a copy of the online learner on a robot of its own: nothing of the run changes.
    """
    with tempfile.TemporaryDirectory() as folder:
        options = TrainOptions(
            robot=environment.robot, model='bench', models_dir=Path(folder), steps=0, seed=seed, brain=BRAIN,
            preset=environment.preset, overrides={**agent.settings, 'save_interval': 0},
        )  # fmt: skip
        with opened(options, lambda _: None) as training, training.loop as loop:
            last: deque[Experience] = deque(maxlen=_COUNTED)
            loop.learned = lambda experience, _: last.append(experience)
            robot = make_robot(
                environment.robot,
                SimulatorSettings(robot=environment.robot, lock_step=True, seed=derive(seed, 'control.evaluation')),
            )
            try:
                sensing = Sensing(robot, loop.session.config.inputs, None)

                def mean_return(episodes: int) -> float:
                    learner = copy_online(loop)
                    return sum(each.reward for each in run_episodes(learner, robot, sensing, episodes)) / episodes

                rounds = Rounds(environment.bounds, environment.budget, mean_return)
                cycle = loop.learner.wake_steps_per_cycle
                training.run(environment.budget + (1 + FOLLOWING) * cycle, lambda: rounds.add(loop.done))
            finally:
                robot.close()
            own = loop.learner.metrics()
            model = {name: own.get(name) for name in ('spike_rate', 'model_error')}
            return {**rounds.metrics(), **model, **operations(loop, list(last))}


def copy_online(loop: TrainLoop) -> OnlineLearner:
    """Returns a copy of the online learner."""
    copy = make_online_learner(loop.session.config)
    copy.load_bytes(loop.learner.to_bytes())
    return copy


def operations(loop: TrainLoop, experiences: list[Experience]) -> dict[str, Any]:
    """Returns the operations of acting and of learning in one step, ops_act and ops_learn; None where unknown.

    Args:
        experiences: the last ones, whose steps are made again on copies.
    """
    try:
        copies = copy_online(loop), _copy_consolidator(loop.session.config, loop.session.consolidator)
        found = count_model(*copies, experiences).to_plain()
    except UserError as error:
        _log.warning('operations are not counted: %s', error)
        return _UNKNOWN
    return {name: found[name] for name in _UNKNOWN}


def _copy_consolidator(config: ModelConfig, consolidator: Consolidator) -> Consolidator:
    copy = config.brain.make_consolidator(config, 'cpu')
    copy.load(consolidator.state())
    return copy
