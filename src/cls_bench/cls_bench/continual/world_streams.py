"""Streams of two senses from worlds that change without a sign: `task_switching`, and pan-tilt scenes."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cache
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray
import torch

from cls_common.robot import Channel, Kind, RobotInfo
from cls_common.transition import EMBEDDING, JOINTS, Observation, Reading, Transition
from cls_learning.brains.cross_modal.dreams import Windows
from cls_learning.randomness import derive
from cls_perception import encoders
from cls_perception.encoder import Encoder
from cls_perception.settings import EncoderSettings
from cls_sim.worlds.pan_tilt import LIMITS_DEG, STEP_LIMIT_DEG
from cls_sim.worlds.room import RoomEnv
from cls_sim.worlds.task_schedule import Switch, TaskSchedule, TaskScheduleSettings
from cls_sim.worlds.task_switching import TaskSwitchingEnv, TaskSwitchingSettings

from .rows import PAN_TILT, WORLDS

Floats = NDArray[np.float32]
Readings = Mapping[str, Floats]
# Largest random deviation of a stretch from its mean length, as a share of it.
_SPREAD = 0.3
# Test streams of each task, and their steps.
TEST_STREAMS, TEST_STEPS = 16, 40
_NO_JOINTS = np.zeros(0)


class WorldStream(ABC):
    """One stream of a world, as transitions of random actions.

    Attributes:
        order: tasks in turn. interval: mean length of their stretches. failing: the sense that is stuck in a test.
        has_reward: whether steps have a reward.
        robot, sizes: its channels, and lengths of its senses by name. switches: changes of the task.
        length: steps of the stream. now: what is sensed.
    """

    order: ClassVar[tuple[int, ...]]
    interval: ClassVar[int]
    failing: ClassVar[str]
    has_reward: ClassVar[bool] = False

    def __init__(
        self, seed: int, interval: int, switches: Sequence[Switch], readings: Readings, channels: tuple[Channel, ...]
    ) -> None:
        self._generator, self._number = np.random.default_rng([seed, 3]), 0
        self.switches = tuple(switches)
        self.sizes = {name: len(values) for name, values in readings.items()}
        self.robot = RobotInfo(
            name='stream', modalities=tuple(self.sizes), channels=channels, has_reward=self.has_reward
        )
        self.now = _observation(readings, 0)
        self.length = self.switches[-1].begin + interval

    @abstractmethod
    def _act(self, action: Floats) -> tuple[Readings, float]:
        """Takes one action; returns the readings after it, and the reward, NaN where none."""

    @staticmethod
    @abstractmethod
    def test(task: int, seed: int) -> Windows:
        """Returns streams of one task by random actions that are not learned from."""

    def action(self) -> Floats:
        """Returns a random action."""
        low, high = self.robot.low, self.robot.high
        return self._generator.uniform(low, high).astype(np.float32)

    def step(self, action: Floats, stuck: Reading | None = None) -> tuple[Transition, Readings]:
        """Returns the transition of an action, and what the senses would have given.

        Args:
            stuck: what `failing` gives, whatever happens.
        """
        readings, reward = self._act(action)
        self._number += 1
        before, after = self.now, _observation(readings, self._number)
        if stuck is not None:
            after = Observation({**after.readings, self.failing: stuck})
        self.now = after
        transition = Transition(
            before=before, after=after, action_commanded=action, action_applied=action, joints=_NO_JOINTS,
            joints_next=_NO_JOINTS, boundary=self._number == 1, reward=reward,
        )  # fmt: skip
        return transition, readings


class TaskStream(WorldStream):
    """Six stretches of five tasks of `task_switching`, the last of which returns; the third change is gradual."""

    order, interval, failing = (0, 1, 2, 3, 4, 0), 1500, 'sense_0'
    has_reward = True
    _ramp, _gradual = 500, '3'

    def __init__(self, seed: int, interval: int) -> None:
        schedule = TaskScheduleSettings(
            order=' '.join(map(str, self.order)), interval=interval, spread=_SPREAD,
            ramp=min(self._ramp, interval // 3), gradual=self._gradual,
        )  # fmt: skip
        self._env = TaskSwitchingEnv(TaskSwitchingSettings(episode=0, schedule=schedule))
        readings, _ = self._env.reset(seed=seed)
        channels = tuple(Channel(f'a{i}', Kind.VELOCITY, '', -1.0, 1.0) for i in range(self._env.settings.action_dim))
        super().__init__(seed, interval, self._env.schedule.switches, readings, channels)

    def _act(self, action: Floats) -> tuple[Readings, float]:
        readings, reward, *_ = self._env.step(action)
        return readings, float(reward)

    @staticmethod
    def test(task: int, seed: int) -> Windows:
        """See WorldStream: after 40 steps of the task, the same for every seed."""
        env = TaskSwitchingEnv(TaskSwitchingSettings(episode=0, schedule=TaskScheduleSettings(order=str(task))))
        generator = np.random.default_rng([task, 9])
        along: list[list[Readings]] = []
        codes = generator.uniform(-1, 1, (TEST_STREAMS, TEST_STEPS, env.settings.action_dim)).astype(np.float32)
        for number in range(TEST_STREAMS):
            env.reset(seed=derive(number, f'bench.world.{task}'))
            for _ in range(40):
                last, *_ = env.step(generator.uniform(-1, 1, env.settings.action_dim).astype(np.float32))
            along.append([last, *(env.step(code)[0] for code in codes[number])])
        return _windows(along, codes)


class PanTiltStream(WorldStream):
    """Four stretches in three rooms around a pan-tilt camera, the first of which returns; all changes are abrupt.

    The senses are the camera's embedding, by the untrained encoder `retina`, and the joints; the walk goes on through
    every change.
    """

    order, interval, failing = (0, 1, 2, 0), 1000, EMBEDDING

    def __init__(self, seed: int, interval: int) -> None:
        order = ' '.join(map(str, self.order))
        schedule = TaskSchedule(TaskScheduleSettings(order=order, interval=interval, spread=_SPREAD), seed)
        self._seed, self._walk = seed, _Walk(seed, self.order[0], np.zeros(2))
        self._by_begin = {switch.begin: switch for switch in schedule.switches}
        channels = tuple(
            Channel(name, Kind.RELATIVE, 'deg', -STEP_LIMIT_DEG, STEP_LIMIT_DEG) for name in ('pan', 'tilt')
        )
        super().__init__(seed, interval, schedule.switches, self._walk.readings(0), channels)

    def _act(self, action: Floats) -> tuple[Readings, float]:
        switch = self._by_begin.get(self._number)
        if switch is not None:
            self._walk = _Walk(self._seed, switch.task, self._walk.pose_deg)
        return self._walk.step(action, self._number + 1), float('nan')

    @staticmethod
    def test(task: int, seed: int) -> Windows:
        """See WorldStream: from random poses in the room of the task."""
        generator = np.random.default_rng([task, 9, seed])
        codes = generator.uniform(-1, 1, (TEST_STREAMS, TEST_STEPS, 2)).astype(np.float32)
        along: list[list[Readings]] = []
        for number, stream in enumerate(codes):
            walk, frame = _Walk(seed, task, generator.uniform(-LIMITS_DEG, LIMITS_DEG)), -(number + 1) * TEST_STEPS * 2
            steps = [walk.step(STEP_LIMIT_DEG * code, frame - k) for k, code in enumerate(stream, 1)]
            along.append([walk.first, *steps])
        return _windows(along, codes)


class _Walk:
    """A camera that turns in one room."""

    def __init__(self, seed: int, scene: int, pose_deg: NDArray[np.float64]) -> None:
        self.pose_deg, self._room = pose_deg, _room(seed, scene)
        self.first = self.readings(0)

    def step(self, action: Floats, frame: int) -> Readings:
        """Turns by an action (2,), degrees, within the limits of the joints; returns the readings."""
        self.pose_deg = np.clip(self.pose_deg + action, -LIMITS_DEG, LIMITS_DEG)
        return self.readings(frame)

    def readings(self, frame: int) -> Readings:
        """Returns what is sensed; the noise of the camera depends on the frame."""
        image = self._room.view(self.pose_deg, 0.0, abs(frame))
        return {EMBEDDING: _retina().encode(image[None])[0], JOINTS: np.radians(self.pose_deg).astype(np.float32)}


@cache
def _room(seed: int, scene: int) -> RoomEnv:
    return RoomEnv(scene=scene, seed=seed)


@cache
def _retina() -> Encoder:
    return encoders.make(EncoderSettings(name='retina', seed=0, threads=1))


STREAMS: Final[dict[str, type[TaskStream] | type[PanTiltStream]]] = {WORLDS: TaskStream, PAN_TILT: PanTiltStream}


def _observation(readings: Readings, number: int) -> Observation:
    return Observation({name: Reading(values, number) for name, values in readings.items()})


def _windows(along: Sequence[Sequence[Readings]], codes: Floats) -> Windows:
    senses = {
        name: torch.from_numpy(np.array([[each[name] for each in steps] for steps in along])) for name in along[0][0]
    }
    return Windows(senses, torch.from_numpy(codes), torch.zeros(codes.shape[:2]))
