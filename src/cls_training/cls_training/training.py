"""Both halves in one process, without ROS: for experiments, and to check the graph against."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
import logging
from pathlib import Path
import secrets
from typing import Any

import torch

from cls_common.errors import UserError
from cls_common.resources import config_dir
from cls_learning.agent import wake_step
from cls_learning.agent.cortex import make_waking_half
from cls_learning.agent.recipe import check_against, resolve
from cls_learning.agent.stored_encoder import load_stored_encoder
from cls_learning.checkpoints.config_file import ModelConfig
from cls_learning.checkpoints.folder import ModelFolder
from cls_learning.checkpoints.listing import weights_hash
from cls_learning.policies.contract import EndOfActionsError
from cls_learning.types import Floats, Transition
from cls_perception import encoders
from cls_perception.settings import EncoderSettings
from cls_sim.robots import make as make_robot
from cls_sim.robots import SimulatedRobot, Step
from cls_sim.settings import SimulatorSettings

from .living import Living, Progress

_log = logging.getLogger(__name__)
DEFAULT_ENCODER = 'retina'


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """What a training run is asked for.

    Attributes:
        robot: 'sim', 'square' or 'gym:ID'. scene: which room, -1: the default one.
        model, models_dir: the model folder; created where it is missing, else gone on with.
        steps: wake steps to add.
        seed: -1: drawn for a new model, the model's own for an existing one. Given, it implies one thread.
        encoder, preset: by name; empty: the model's own, or the defaults for a new one.
        overrides: learning parameters by dotted name.
        mode: random or curiosity.
        simulator: settings of the simulation by dotted name. encoder_settings: of a new model's encoder.
        accept_robot: the model goes on with this robot, though it was made with one of another name.
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


def train(options: TrainOptions, report: Callable[[Progress], None] = lambda _: None) -> str:
    """Lives `steps` more wake steps with all sleeps between, and saves.

    Returns:
        the hash of the weights it ended with, 64 hex digits.

    Raises:
        UserError: an option names nothing, or does not fit the existing model.
    """
    if options.seed >= 0:
        torch.set_num_threads(1)
    folder = ModelFolder(options.models_dir, options.model)
    try:
        settings, origins, asked = resolve(config_dir() / 'presets', options.preset, options.overrides)
        seed = _seed(options, folder.config)
        robot = make_robot(options.robot, _simulation(options, seed))
        try:
            encoder = _encoder(options, folder, seed, robot)
            if folder.config is None:
                stored = {**encoder.config(), 'id': encoder.id, 'size': encoder.size, 'version': encoder.version}
                now = datetime.now().isoformat(timespec='seconds')
                config = ModelConfig(robot.info, stored, seed, settings, origins, now)
                make_waking_half(config)  # refuses a policy that can't act on this robot, before it is frozen
                folder.create(config, encoder.weights())
            else:
                check_against(folder.config.settings, asked, options.model)
                if options.accept_robot:
                    folder.accept_robot(robot.info)
                folder.config.check_robot(robot.info)
                folder.config.check_encoder(encoder.id)
            life = Life(folder, robot, encoder, options.mode, report)
            with life.living:
                life.live(options.steps)
        finally:
            robot.close()
    finally:
        folder.close(keep_unlearned=False)
    return weights_hash(folder.path)


class Life:
    """One run of a model in a simulated world.

    Attributes:
        living: the model.
    """

    def __init__(
        self, folder: ModelFolder, robot: SimulatedRobot, encoder: encoders.Encoder, mode: str,
        report: Callable[[Progress], None],
    ) -> None:  # fmt: skip
        self.living = Living(folder, report)
        self._robot = robot
        self._encoder = encoder
        self._mode = mode
        self._action: Floats | None = None

    def live(self, steps: int) -> None:
        """Lives wake steps, sleeps where a cycle ends, and saves at the end."""
        living = self.living
        living.sleep_where_due()
        now = self._robot.reset()
        z, boundary = self._embed(now), True
        while living.done < steps:
            try:
                action = self._next_action(z, now)
            except EndOfActionsError as end:
                _log.warning('ended after %d steps: %s', living.done, end)
                break
            after = self._robot.step(action)
            if after.lost:
                continue
            transition = living.pair(self._transition(z, self._embed(after), now, after, boundary))
            goes_on = living.done + 1 < steps and not wake_step.ends_cycle(living.waking)
            living.wake_step(transition, self._mode, goes_on, self._keep_action)
            z, now, boundary = transition.z_next, after, False
            if after.restart is not None:
                now, boundary = after.restart, True
                z = self._embed(now)
            living.sleep_where_due()
        living.save()

    def _next_action(self, z: Floats, now: Step) -> Floats:
        action, self._action = self._action, None
        if action is None:
            waking = self.living.waking
            action = waking.act(z, now.joints, self._mode, waking.total_steps)
        return action

    def _keep_action(self, action: Floats) -> None:
        self._action = action

    def _embed(self, step: Step) -> Floats:
        if self._encoder.modality == 'camera':
            assert step.image is not None
            z: Floats = self._encoder.encode(step.image[None])[0]
        else:
            z = self._encoder.encode(step.observations[self._encoder.modality][None])[0]
        return z

    @staticmethod
    def _transition(z: Floats, z_next: Floats, now: Step, after: Step, boundary: bool) -> Transition:
        return Transition(
            z=z, z_next=z_next, action_commanded=after.commanded, action_applied=after.applied,
            joints=after.joints_before, joints_next=after.joints, boundary=boundary, stamp_z=now.stamp_ns,
            stamp_next=after.stamp_ns, reward=after.reward, terminal=after.terminal, truncated=after.truncated,
        )  # fmt: skip


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
        return load_stored_encoder(folder, options.encoder, threads)
    name = options.encoder or DEFAULT_ENCODER
    encoders.check_sense(name, robot.info)
    settings = EncoderSettings.from_flat({'name': name, 'seed': seed, 'threads': threads, **options.encoder_settings})
    if not encoders.find(name).vectors:
        return encoders.make(settings)
    modality, vector = next(iter(robot.reset().observations.items()))
    return encoders.make(settings, size=len(vector), modality=modality)
