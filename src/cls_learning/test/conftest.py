"""A small robot, model and training run for tests; one thread, as runs that must be exact use."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from hypothesis import settings as hypothesis_settings
import numpy as np
from numpy.typing import NDArray
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
import torch

from cls_common import comms
from cls_common.robot import Channel, Kind, RobotInfo
from cls_common.transition import Observation, Transition
from cls_learning import state_bytes
from cls_learning.brain import Goal
from cls_learning.brains.cls.online_learner import ClsOnlineLearner
from cls_learning.config import LearningSettings
from cls_learning.model_store.config_file import ModelConfig
from cls_learning.model_store.folder import ModelFolder
from cls_learning.runtime.learner_session import LearnerSession, make_online_learner
from cls_recording.definitions import installed

# Properties are about what holds, not how fast: a busy machine must not fail them.
hypothesis_settings.register_profile('patient', deadline=None)
hypothesis_settings.load_profile('patient')

Z_SIZE = 16
NOW = datetime(2025, 1, 2, 3, 4, 5)
# Small values of everything that decides how long a cycle takes.
SMALL: Mapping[str, Any] = {
    'network.fast_hidden': 24,
    'network.slow_hidden': 32,
    'fast.recent': 3,
    'fast.older': 4,
    'fast.ring': 20,
    'fast.reservoir': 10,
    'memory.capacity': 60,
    'sleep.batch_size': 8,
    'sleep.wake_steps_per_cycle': 30,
    'sleep.sws_steps': 4,
    'sleep.rem_steps': 4,
    'sleep.tether_steps': 3,
    'policy.warmup': 5,
    'policy.hidden': 16,
    'policy.batch_size': 4,
}


def _pan_tilt(**changes: Any) -> RobotInfo:
    channels = tuple(Channel(name, Kind.RELATIVE, 'deg', -10.0, 10.0) for name in ('pan', 'tilt'))
    values: dict[str, Any] = {
        'name': 'pan_tilt',
        'modalities': ('camera',),
        'channels': channels,
        'joint_names': ('pan', 'tilt'),
        'joint_low': (-np.pi / 2, -np.radians(40)),
        'joint_high': (np.pi / 2, np.radians(40)),
    }
    return RobotInfo(**{**values, **changes})


def _answer(store: Any, sequence: int, action: Any, error_code: int) -> Any:
    empty, stamp = np.empty(0), store.types['builtin_interfaces/msg/Time'](sec=1, nanosec=0)
    return store.types[comms.APPLIED_ACTION.type](
        source='test',
        sequence=sequence,
        commanded=np.array(action, np.float32),
        applied=np.array(action, np.float32),
        joints_before=empty,
        joints_after=empty,
        start=stamp,
        end=stamp,
        error_code=error_code,
        error_msg='',
        reward=float('nan'),
        terminal=False,
        truncated=False,
    )


def _info(store: Any, robot: RobotInfo) -> Any:
    types = store.types
    header = types['std_msgs/msg/Header'](stamp=types['builtin_interfaces/msg/Time'](sec=1, nanosec=0), frame_id='')
    channel = types['cls_interfaces/msg/ActionChannel']
    return types[comms.ROBOT_INFO.type](
        header=header,
        name=robot.name,
        modalities=list(robot.modalities),
        channels=[channel(c.name, int(c.kind), c.unit, c.low, c.high) for c in robot.channels],
        joint_names=list(robot.joint_names),
        joint_low=np.array(robot.joint_low),
        joint_high=np.array(robot.joint_high),
        settle_time=robot.settle_time,
        lock_step=robot.lock_step,
        has_reward=robot.has_reward,
    )


def _write_session(folder: Path, robot: RobotInfo | None, answers: Sequence[tuple[int, Any, int]]) -> Path:
    """Writes a bag as `ros2 bag record` would; answers are (sequence, commanded, error_code)."""
    store = installed()
    with Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP) as bag:
        messages = [(comms.ROBOT_INFO, _info(store, robot))] if robot else []
        messages += [(comms.APPLIED_ACTION, _answer(store, *answer)) for answer in answers]
        connections: dict[str, Any] = {}
        for now, (topic, message) in enumerate(messages, start=1):
            if topic.name not in connections:
                connections[topic.name] = bag.add_connection(f'/{topic.name}', topic.type, typestore=store)
            bag.write(connections[topic.name], now * 10**9, store.serialize_cdr(message, topic.type))
    return folder


def _with_embeddings(transition: Transition, z: NDArray[np.float32], z_next: NDArray[np.float32]) -> Transition:
    """Returns the transition with other embeddings; the stamps stay."""
    before = Observation.of_embedding(z, transition.stamp_z)
    return replace(transition, before=before, after=Observation.of_embedding(z_next, transition.stamp_next))


def _late(transitions: Iterable[Transition], by: int) -> Iterator[Transition]:
    """Yields one unbroken chain as seen through a camera whose images are `by` steps late."""
    seen: list[NDArray[np.float32]] = []
    for transition in transitions:
        if not seen:
            seen = [transition.z] * (by + 1)
        seen.append(transition.z_next)
        yield _with_embeddings(transition, seen[-2 - by], seen[-1 - by])


class PanTiltWorld:
    """An ideal pan-tilt whose embedding is linear in its joint angles, so that any scene can be learned.

    Attributes:
        joints: float64 (2,), rad.
        now: ns; one per step.
    """

    def __init__(self, scene: int = 0, z_size: int = Z_SIZE, robot: RobotInfo | None = None) -> None:
        self.robot = robot or _pan_tilt()
        generator = np.random.default_rng(scene)
        self._map = generator.normal(0.0, 1.0, (z_size, 2))
        self._offset = generator.normal(0.0, 0.5, z_size)
        self.joints = np.zeros(2)
        self._is_new = True
        self.now = 0

    def embedding(self) -> NDArray[np.float32]:
        """Returns the embedding at the present joint angles, float32 (D,)."""
        return (self._map @ self.joints + self._offset).astype(np.float32)

    def step(self, action: NDArray[np.float32], boundary: bool | None = None) -> Transition:
        """Moves by an action in degrees, clipped to the joint limits.

        Args:
            boundary: of the transition; None: True for the first one only.
        """
        z, before = self.embedding(), self.joints
        low, high = np.array(self.robot.joint_low), np.array(self.robot.joint_high)
        self.joints = np.clip(before + np.radians(action.astype(np.float64)), low, high)
        applied = np.degrees(self.joints - before).astype(np.float32)
        boundary, self._is_new = self._is_new if boundary is None else boundary, False
        self.now += 1
        return Transition.of_embeddings(
            z=z,
            z_next=self.embedding(),
            action_commanded=np.asarray(action, np.float32),
            action_applied=applied,
            joints=before,
            joints_next=self.joints,
            boundary=boundary,
            stamp_z=self.now - 1,
            stamp_next=self.now,
        )

    def walk(self, steps: int, seed: int = 0) -> Iterator[Transition]:
        """Yields the transitions of a random walk."""
        generator = np.random.default_rng(seed)
        for _ in range(steps):
            yield self.step(generator.uniform(-10.0, 10.0, 2).astype(np.float32))


class TrainingRun:
    """An online learner and a session in one process, trained step by step with a sleep after each cycle."""

    def __init__(self, folder: ModelFolder, world: PanTiltWorld) -> None:
        self.folder = folder
        self.world = world
        self.session = LearnerSession(folder)
        self.learner = make_online_learner(self.session.config)
        self.learner.load_bytes(self.session.online_bytes)

    def train(self, steps: int) -> 'TrainingRun':
        """Does wake steps, and the sleeps that fall due; returns itself."""
        for _ in range(steps):
            self.step()
        return self

    def step(self) -> None:
        """Does one wake step, and the sleep that falls due after it."""
        world, learner = self.world, self.learner
        observation = Observation.of_embedding(world.embedding(), world.now)
        action = learner.act(observation, world.joints, 'curiosity', learner.total_steps)
        self.learn(world.step(action))
        if learner.wants_sleep:
            self.sleep()

    def learn(self, transition: Transition) -> None:
        """Learns one transition online and in the consolidator."""
        self.session.learn(self.learner.learn(self.learner.prepare(transition)), NOW)

    def sleep(self) -> None:
        """Sleeps, keeps the sleep, and saves where a save is due."""
        goal = Goal()
        run = self.session.begin_sleep(self.learner.to_bytes(), goal)
        for _ in run.run():
            pass
        data = state_bytes.pack(run.finish())
        self.learner.load_bytes(data)
        self.session.keep(run, goal, data, NOW)
        if self.session.save_is_due:
            self.save()

    def save(self) -> int:
        """Writes a generation; returns its number."""
        return self.session.save(self.learner.to_bytes(), NOW)

    def hash(self) -> str:
        """Returns the hash of the weights as they are now."""
        return self.session.weights_sha256(self.learner.to_bytes())


@pytest.fixture(autouse=True, scope='session')
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope='session')
def tools() -> SimpleNamespace:
    """Gives the classes and makers of this module by name; test modules can't import each other."""

    def recipe(changes: Mapping[str, Any] | None = None, base: Mapping[str, Any] = SMALL) -> LearningSettings:
        return LearningSettings.from_flat({**base, **(changes or {})})

    def online_learner(settings: LearningSettings | None = None, seed: int = 0, **changes: Any) -> ClsOnlineLearner:
        return ClsOnlineLearner(settings or recipe(), _pan_tilt(**changes), Z_SIZE, seed)

    def config(settings: LearningSettings | None = None, **changes: Any) -> ModelConfig:
        encoder = {'name': 'test', 'id': 'test-1', 'size': Z_SIZE, 'version': 1}
        values: dict[str, Any] = {
            'robot': _pan_tilt(),
            'encoder': encoder,
            'seed': 7,
            'settings': settings or recipe(),
            'origins': {},
            'created_at': '2025-01-02T03:04:05',
        }
        return ModelConfig(**{**values, **changes})

    return SimpleNamespace(
        PanTiltWorld=PanTiltWorld,
        TrainingRun=TrainingRun,
        pan_tilt=_pan_tilt,
        recipe=recipe,
        online_learner=online_learner,
        config=config,
        Z_SIZE=Z_SIZE,
        NOW=NOW,
        SMALL=SMALL,
        write_session=_write_session,
        with_embeddings=_with_embeddings,
        late=_late,
    )


@pytest.fixture
def open_run(tmp_path: Path, tools: SimpleNamespace) -> Iterator[Callable[..., TrainingRun]]:
    """Opens the model `name`, created where it is missing, to train it in `world`; closes every folder at the end."""
    opened: list[ModelFolder] = []

    def open_(name: str = 'm', world: PanTiltWorld | None = None, settings: Any = None) -> TrainingRun:
        folder = ModelFolder(tmp_path, name)
        opened.append(folder)
        if folder.config is None:
            folder.create(tools.config(settings), b'weights of the encoder')
        return TrainingRun(folder, world or PanTiltWorld())

    yield open_
    for folder in opened:
        folder.close()


class BrainRun:
    """A model of any brain in its folder and a world, in one process.

    Args:
        world: has `observation()` and `step(action)`, which returns a transition.
    """

    def __init__(self, folder: ModelFolder, world: Any) -> None:
        self.world, self.session = world, LearnerSession(folder)
        self.learner = make_online_learner(self.session.config)
        self.learner.load_bytes(self.session.online_bytes)

    def train(self, steps: int) -> 'BrainRun':
        for _ in range(steps):
            learner, now = self.learner, self.world.observation()
            action = learner.act(now, np.zeros(0), 'curiosity', learner.total_steps)
            self.session.learn(learner.learn(learner.prepare(self.world.step(action))), NOW)
            if learner.wants_sleep:
                self.sleep()
        return self

    def sleep(self, goal: Goal = Goal()) -> Any:  # noqa: B008 - frozen
        run = self.session.begin_sleep(self.learner.to_bytes(), goal)
        for progress in run.run():
            assert progress.loss == progress.loss
        data = state_bytes.pack(run.finish())
        if run.verdict.rolled_back:
            self.session.roll_back(run, NOW)
        else:
            self.learner.load_bytes(data)
            self.session.keep(run, goal, data, NOW)
        return run

    def hash(self) -> str:
        return self.session.weights_sha256(self.learner.to_bytes())


@pytest.fixture
def open_brain(tmp_path: Path) -> Iterator[Callable[..., BrainRun]]:
    """Opens or creates models by name: `open_brain(config, world, name)`."""
    opened: list[ModelFolder] = []

    def open_(config: ModelConfig, world: Any, name: str = 'm') -> BrainRun:
        folder = ModelFolder(tmp_path, name)
        opened.append(folder)
        if folder.config is None:
            folder.create(config, b'')
        return BrainRun(folder, world)

    yield open_
    for folder in opened:
        folder.close()
