"""Trains a model on a simulated robot in one process, without ROS."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
import logging
from pathlib import Path
import secrets
from typing import Any

import torch

from cls_common.errors import UserError
from cls_common.resources import config_dir
from cls_common.robot import RobotInfo
from cls_common.transition import Floats, Observation
from cls_learning.brain import check_mode, Input, inputs_of, OnlineLearner
from cls_learning.model_store.config_file import ModelConfig
from cls_learning.model_store.folder import ModelFolder
from cls_learning.model_store.listing import weights_hash
from cls_learning.node_settings import choose_brain
from cls_learning.policies.contract import EndOfActionsError
from cls_learning.runtime.config_resolution import check_against, resolve
from cls_learning.runtime.model_creation import create_model, new_config
from cls_learning.runtime.stored_encoder import load_stored_encoder
from cls_perception import encoders
from cls_perception.settings import EncoderSettings
from cls_sim.robots import make as make_robot
from cls_sim.robots import SimulatedRobot, Step
from cls_sim.settings import SimulatorSettings

from .sensing import Sensing, transition_of
from .train_loop import TrainLoop, TrainProgress

_log = logging.getLogger(__name__)
DEFAULT_ENCODER = 'retina'


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """Options of a training run.

    Attributes:
        robot: of cls_sim, by name, such as 'sim' or 'gym:ID'. scene: number of the room, -1: the default one.
        model, models_dir: the model folder; created if it is missing.
        steps: wake steps to add.
        seed: -1: drawn for a new model, the model's own for an existing one. Given, it implies one thread.
        encoder, preset: by name; empty: the model's own, or the defaults for a new one.
        overrides: learning parameters by dotted name.
        mode: one of the brain's `modes`.
        simulator: settings of the simulation by dotted name. encoder_settings: of a new model's encoder.
        accept_robot: accepts a robot of another name with the same actions and joints.
        brain: of a new model, by name; empty: cls.
    """

    robot: str = 'sim'
    scene: int = -1
    model: str
    models_dir: Path = Path('models')
    steps: int
    seed: int = -1
    encoder: str = ''
    preset: str = ''
    overrides: Mapping[str, Any] = field(default_factory=dict)
    mode: str = 'curiosity'
    simulator: Mapping[str, Any] = field(default_factory=dict)
    encoder_settings: Mapping[str, Any] = field(default_factory=dict)
    accept_robot: bool = False
    brain: str = ''


@dataclass(frozen=True)
class Proposal:
    """An action, float32 (A,) in the robot's units, that a learner proposes for an observation."""

    robot: RobotInfo
    learner: OnlineLearner
    observation: Observation
    action: Floats


# Returns the action to carry out; raises EndOfActionsError to end the run.
Confirm = Callable[[Proposal], Floats]


def accept(proposal: Proposal) -> Floats:
    """Carries out what is proposed."""
    return proposal.action


def train(
    options: TrainOptions, report: Callable[[TrainProgress], None] = lambda _: None, confirm: Confirm = accept
) -> str:
    """Adds `steps` wake steps with the sleeps between them, and saves.

    Args:
        confirm: is called with each proposed action before it is carried out.

    Returns:
        hash of the resulting weights, 64 hex digits.

    Raises:
        UserError: an option is unknown, or does not fit the existing model.
    """
    with opened(options, report) as run, run.loop:
        run.confirm = confirm
        run.run(options.steps)
    return weights_hash(options.models_dir / options.model)


@contextmanager
def opened(options: TrainOptions, report: Callable[[TrainProgress], None]) -> Iterator['SimulatedRun']:
    """Opens the model and its robot until the block ends; a model that is missing is created.

    Raises:
        UserError: an option names nothing, or does not fit the existing model.
    """
    if options.seed >= 0:
        torch.set_num_threads(1)
    folder = ModelFolder(options.models_dir, options.model)
    try:
        brain = choose_brain({'models_dir': str(options.models_dir), 'model': options.model, 'brain': options.brain})
        check_mode(brain, options.mode)
        settings, origins, asked = resolve(config_dir() / 'presets', options.preset, options.overrides, brain)
        seed = _seed(options, folder.config)
        robot = make_robot(options.robot, _simulation(options, seed))
        try:
            inputs = inputs_of(brain, settings, robot.info)
            encoder = _encoder(options, folder, seed, robot) if _needs_encoder(inputs) else None
            if folder.config is None:
                vectors = _vector_sizes(options, seed, inputs)
                create_model(
                    folder, new_config(robot.info, encoder, seed, settings, origins, brain.name, vectors), encoder
                )
            else:
                check_against(folder.config.settings, asked, options.model)
                if options.accept_robot:
                    folder.accept_robot(robot.info)
                folder.config.check_robot(robot.info)
                if encoder is not None:
                    folder.config.check_encoder(encoder.id)
            yield SimulatedRun(folder, robot, encoder, options.mode, report)
        finally:
            robot.close()
    finally:
        folder.close(keep_unlearned=False)


class SimulatedRun:
    """One run of a model on a simulated robot.

    Attributes:
        loop: trains the model.
        confirm: see `train`.
    """

    def __init__(
        self, folder: ModelFolder, robot: SimulatedRobot, encoder: encoders.Encoder | None, mode: str,
        report: Callable[[TrainProgress], None],
    ) -> None:  # fmt: skip
        self.loop = TrainLoop(folder, report)
        self._robot = robot
        self._sensing = Sensing(robot, self.loop.session.config.inputs, encoder)
        self._mode = mode
        self.confirm: Confirm = accept
        self._action: Floats | None = None

    def run(self, steps: int, ends_after_sleep: Callable[[], bool] = lambda: False) -> None:
        """Runs wake steps, sleeps at the end of each cycle, and saves at the end.

        Args:
            ends_after_sleep: called after each sleep; True ends the run.
        """
        loop = self.loop
        loop.sleep_where_due()
        now = self._robot.reset()
        before, boundary = self._sensing.observe(now), True
        while loop.done < steps:
            try:
                action = self._next_action(before, now)
            except EndOfActionsError as end:
                _log.warning('ended after %d steps: %s', loop.done, end)
                break
            after = self._robot.step(action)
            if after.lost:
                continue
            transition = loop.learner.prepare(
                transition_of(before, self._sensing.observe(after), after, boundary=boundary)
            )
            goes_on = loop.done + 1 < steps and not loop.learner.ends_cycle
            loop.step(transition, self._mode, goes_on, self._keep_action)
            before, now, boundary = transition.after, after, False
            if after.restart is not None:
                now, boundary = after.restart, True
                before = self._sensing.observe(now)
            if loop.sleep_where_due() and ends_after_sleep():
                break
        loop.save()

    def _next_action(self, observation: Observation, now: Step) -> Floats:
        learner = self.loop.learner
        action, self._action = self._action, None
        if action is None:
            action = learner.act(observation, now.joints, self._mode, learner.total_steps)
        return self.confirm(Proposal(self._robot.info, learner, observation, action))

    def _keep_action(self, action: Floats) -> None:
        self._action = action


def _needs_encoder(inputs: Sequence[Input]) -> bool:
    return any(each.kind == 'embedding' for each in inputs)


def _vector_sizes(options: TrainOptions, seed: int, inputs: Sequence[Input]) -> dict[str, int]:
    vectors = [each.name for each in inputs if each.kind == 'vector']
    if not vectors:
        return {}
    # A second robot, so that the first episode of the robot that learns is that of its seed.
    robot = make_robot(options.robot, _simulation(options, seed))
    try:
        first = robot.reset()
    finally:
        robot.close()
    return {name: len(first.vector(name)) for name in vectors}


def _simulation(options: TrainOptions, seed: int) -> SimulatorSettings:
    chosen = {'robot': options.robot, 'lock_step': True, 'seed': seed}
    if options.scene >= 0:
        chosen['scene'] = options.scene
    return SimulatorSettings.from_flat({**chosen, **options.simulator})


def _seed(options: TrainOptions, config: ModelConfig | None) -> int:
    if config is None:
        return options.seed if options.seed >= 0 else secrets.randbelow(2**31)
    if options.seed not in (-1, config.seed):
        raise UserError(
            f'seed of the existing model {options.model!r}', expected=f'{config.seed}, as in its config.json',
            found=str(options.seed), do='Leave it out, or choose another model name.',
        )  # fmt: skip
    return config.seed


def _encoder(options: TrainOptions, folder: ModelFolder, seed: int, robot: SimulatedRobot) -> encoders.Encoder:
    threads = 1 if options.seed >= 0 else 0
    if folder.config is not None:
        return load_stored_encoder(folder.path, options.encoder, threads)
    name = options.encoder or DEFAULT_ENCODER
    encoders.check_sense(name, robot.info)
    settings = EncoderSettings.from_flat({'name': name, 'seed': seed, 'threads': threads, **options.encoder_settings})
    if not encoders.find(name).vectors:
        return encoders.make(settings)
    modality, vector = next(iter(robot.reset().observations.items()))
    return encoders.make(settings, size=len(vector), modality=modality)
