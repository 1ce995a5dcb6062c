"""Evaluates a saved model by the return of greedy episodes on its robot. Reads only. No ROS."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
import logging
import math
from pathlib import Path
from typing import Any

import numpy as np

from cls_common.errors import UserError
from cls_learning.brain import inputs_of, ONLINE, OnlineLearner
from cls_learning.model_store import generations
from cls_learning.model_store.config_file import ModelConfig
from cls_learning.model_store.generations import Manifest
from cls_learning.randomness import derive
from cls_learning.runtime.learner_session import make_online_learner
from cls_learning.runtime.stored_encoder import load_stored_encoder
from cls_sim.robots import make as make_robot
from cls_sim.robots import SimulatedRobot, Step
from cls_sim.settings import SimulatorSettings

from .sensing import Sensing, transition_of
from .video import Video

GREEDY = 'greedy'
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions:
    """Options of an evaluation.

    Attributes:
        model, models_dir: the model folder.
        robot: name of a robot with the same actions and joints; empty: the model's own.
        episodes: how many. max_length: steps after which an episode without an end is cut.
        seed: of the robot; -1: derived from the model's, so that episodes are others than those of its training.
        render: file of a video (mp4) of all episodes; None: none.
        simulator: settings of the simulation by dotted name.
    """

    model: str
    models_dir: Path = Path('models')
    robot: str = ''
    episodes: int = 10
    max_length: int = 1000
    seed: int = -1
    render: Path | None = None
    simulator: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Episode:
    """Return and length of one episode, undiscounted and in steps."""

    reward: float
    length: int


@dataclass(frozen=True)
class Evaluation:
    """Result of an evaluation.

    Attributes:
        robot: its name. seed: with which it was made. steps, generation: of the model.
        reward_threshold: return from which an episode counts as a success; None where the robot defines none.
    """

    robot: str
    seed: int
    steps: int
    generation: int
    episodes: tuple[Episode, ...]
    reward_threshold: float | None

    def figures(self) -> dict[str, float]:
        """Returns mean, std, min and max reward, mean length, and where it is defined the success rate, by name."""
        rewards = np.array([episode.reward for episode in self.episodes])
        found = {f'reward_{name}': float(getattr(rewards, name)()) for name in ('mean', 'std', 'min', 'max')}
        found['length_mean'] = float(np.mean([episode.length for episode in self.episodes]))
        if self.reward_threshold is not None:
            found['success_rate'] = float((rewards >= self.reward_threshold).mean())
        return found


def evaluate(options: EvaluationOptions, report: Callable[[int], None] = lambda _: None) -> Evaluation:
    """Runs greedy episodes of a saved model on a new robot.

    Args:
        report: called after each episode with the number done.

    Raises:
        UserError: the model is missing, was never saved, or has a brain without greedy mode; the robot gives no reward,
            can not be drawn, or is not one of the model's.
    """
    config, manifest, learner = read_model(options.models_dir / options.model)
    if GREEDY not in config.brain.modes:
        raise UserError(
            f'model {options.model!r}', expected='a brain that learns for a reward, with a greedy mode',
            found=f'the brain {config.brain_name!r}',
        )  # fmt: skip
    seed = options.seed if options.seed >= 0 else derive(config.seed, 'evaluation')
    encoder = load_stored_encoder(options.models_dir / options.model, '', threads=1) if config.encoder else None
    robot = _robot(options, config, seed)
    try:
        sensing = Sensing(robot, inputs_of(config.brain, config.settings, robot.info), encoder)
        if options.render is None:
            found = run_episodes(learner, robot, sensing, options.episodes, options.max_length, report)
        else:
            rate = SimulatorSettings.from_flat(dict(options.simulator)).frame_rate
            with _video(options.render, robot, rate) as video:
                seen = _adder(video)
                found = run_episodes(learner, robot, sensing, options.episodes, options.max_length, report, seen)
        return Evaluation(
            robot.info.name, seed, manifest.sequence, manifest.number, tuple(found), robot.reward_threshold
        )
    finally:
        robot.close()


def read_model(folder: Path) -> tuple[ModelConfig, Manifest, OnlineLearner]:
    """Reads a model as last saved, without its lock, so that it may be in use; changes nothing.

    Raises:
        UserError: it is missing, damaged or was never saved.
    """
    config = read_config(folder)
    manifest, parts = newest_generation(folder)
    learner = make_online_learner(config)
    learner.load_bytes(parts[ONLINE])
    return config, manifest, learner


def read_config(folder: Path) -> ModelConfig:
    """Reads the definition of a model; raises UserError where it is missing or damaged."""
    path = folder / 'config.json'
    if not path.exists():
        raise UserError(
            f'model {folder.name!r}', expected=f'a folder with config.json in {folder.parent}', found='none'
        )
    return ModelConfig.from_json(path.read_text(encoding='utf-8', errors='replace'), str(path))


def newest_generation(folder: Path) -> tuple[Manifest, dict[str, bytes]]:
    """Reads the newest intact generation: its manifest, and its parts by name; raises UserError without one."""
    problem = UserError(f'model {folder.name!r} was never saved', do='Let it learn first.')
    for number in reversed(generations.numbers(folder / 'generations')):
        try:
            return generations.read(folder / 'generations', number)
        except UserError as error:
            _log.warning('went back one generation: %s', error)
            problem = error
    raise problem


def _robot(options: EvaluationOptions, config: ModelConfig, seed: int) -> SimulatedRobot:
    name = options.robot or config.robot.name
    chosen = {'robot': name, 'lock_step': True, 'seed': seed, **options.simulator}
    robot = make_robot(name, SimulatorSettings.from_flat(chosen))
    robot.draws = False
    try:
        if not robot.info.has_reward:
            raise UserError(f'robot {name!r}', expected='a robot that gives a reward', found='none')
        config.check_robot(robot.info, any_name=bool(options.robot))
        inputs_of(config.brain, config.settings, robot.info)
        first = robot.reset() if config.vectors else None
        for vector, size in config.vectors.items():
            assert first is not None
            found = f'{len(first.vector(vector))}'
            if found != f'{size}':
                raise UserError(f'robot {name!r}: {vector!r}', expected=f'{size} numbers', found=found)
    except BaseException:
        robot.close()
        raise
    return robot


def run_episodes(
    learner: OnlineLearner,
    robot: SimulatedRobot,
    sensing: Sensing,
    count: int,
    max_length: int = 1000,
    report: Callable[[int], None] = lambda _: None,
    seen: Callable[[Step], None] = lambda _: None,
) -> list[Episode]:
    """Runs greedy episodes; the learner follows them with its carried state, and does not learn.

    Args:
        report: called after each episode with the number done. seen: called with the first and each later step.

    Raises:
        UserError: the robot gives no reward.
    """
    episodes: list[Episode] = []
    start: Step | None = None
    for number in range(1, count + 1):
        episode, start = _run_episode(learner, robot, sensing, max_length, seen, start or robot.reset())
        episodes.append(episode)
        report(number)
    return episodes


def _run_episode(
    learner: OnlineLearner, robot: SimulatedRobot, sensing: Sensing, max_length: int, seen: Callable[[Step], None],
    now: Step,
) -> tuple[Episode, Step | None]:  # fmt: skip
    """Returns the episode that begins with a step, and the first step of the next one, None where it was cut."""
    seen(now)
    before, total, length = sensing.observe(now), 0.0, 0
    while length < max_length:
        now = robot.step(learner.act(before, now.joints, GREEDY, learner.total_steps))
        if now.lost:
            continue
        if not math.isfinite(now.reward):
            raise UserError(
                f'robot {robot.info.name!r}', expected='a finite reward with each step', found=str(now.reward),
                do='Choose a robot with a reward.',
            )  # fmt: skip
        seen(now)
        transition = learner.prepare(transition_of(before, sensing.observe(now), now, boundary=length == 0))
        learner.carry(transition)
        before, total, length = transition.after, total + now.reward, length + 1
        if now.restart is not None:
            break
    return Episode(total, length), now.restart


def _video(path: Path, robot: SimulatedRobot, rate: float) -> Video:
    if 'camera' not in robot.info.modalities:
        raise UserError(f'robot {robot.info.name!r} can not be drawn', do='Leave out the video.')
    robot.draws = True
    return Video(path, rate)


def _adder(video: Video) -> Callable[[Step], None]:
    def add(step: Step) -> None:
        assert step.image is not None
        video.add(step.image)

    return add
