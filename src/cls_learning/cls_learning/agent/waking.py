"""The waking half: normaliser, Fast, policy and recent memory. What fast_learner carries."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from cls_common.errors import UserError
from cls_common.robot import RobotInfo

from .. import policies
from ..checkpoints import blob
from ..config import LearningSettings
from ..learners.fast import FastLearner
from ..learners.learner import squared_error
from ..learners.normalizer import Normalizer
from ..memory import scene_jump
from ..memory.contract import Record
from ..memory.recent import RecentMemory
from ..policies.contract import uniform
from ..randomness import stream
from ..types import Doubles, Experience, Floats, Transition
from .image_delay import ImageDelay
from .late_images import can_pair

_COUNTERS = ('total_steps', 'wake_steps_in_cycle', 'cycles', 'episode')
_DELAY_COUNTERS = ('image_delay', 'image_delay_since')
# Steps of a life at which the delay of images is taken over from what was measured, so that a first day is not lost;
# later after each sleep.
_DELAY_AT = (128, 256)


class WakingHalf:
    """Acts, and learns from every step. Everything it becomes is a function of its state and its transitions.

    Attributes:
        total_steps: wake steps of the model's life, the sequence of the last experience.
        wake_steps_in_cycle: since the last sleep.
        cycles: sleeps finished.
        episode: rises at every boundary, and where another scene is seen.
        image_delay: steps by which images are late; `LateImages` takes it into account before `learn`.
        image_delay_since: value of total_steps at which it changed, 0: never.
    """

    def __init__(
        self, settings: LearningSettings, robot: RobotInfo, z_size: int, seed: int, device: str = 'cpu'
    ) -> None:
        self.settings = settings
        self.robot = robot
        self.z_size = z_size
        self._seed = seed
        self.normalizer = Normalizer(settings.normalizer, z_size, device)
        self.fast = FastLearner(settings, robot, z_size, self.normalizer, seed)
        self.normalizer.can_fold = self.fast.raw.can_fold
        self.policy = policies.make(settings, robot, z_size, self.fast, seed)
        self.memory = RecentMemory(settings.fast.ring, settings.fast.reservoir, seed, self.fast.raw.context)
        self.total_steps = 0
        self.wake_steps_in_cycle = 0
        self.cycles = 0
        self.episode = 0
        self.image_delay = max(settings.image_delay, 0)
        self.image_delay_since = 0
        if self.image_delay and not can_pair(robot):
            raise UserError(
                f"parameter 'image_delay' for robot {robot.name!r}", found=str(self.image_delay),
                expected='0 or -1: there are no joints, or an action of 0 is not rest',
            )  # fmt: skip
        self._delay = ImageDelay()

    @property
    def should_sleep(self) -> bool:
        """Whether the waking part of this cycle is over (row 000-028); again after each further one of its length."""
        steps = self.wake_steps_in_cycle
        return steps > 0 and steps % self.settings.sleep.wake_steps_per_cycle == 0

    @property
    def has_new_image_delay(self) -> bool:
        """Whether `image_delay` has changed since the last transition was paired."""
        return 0 < self.image_delay_since == self.total_steps

    def act(self, z: Floats, joints: Doubles, mode: str, steps: int) -> Floats:
        """Chooses the next action in robot units, float32 (A,).

        Args:
            z: float32 (D,) raw. joints: float64 (J,) rad.
            mode: 'random' or 'curiosity'.
            steps: wake steps that come before this action: total_steps, or one more while the last is not yet learned.
        """
        generator = stream(self._seed, f'act.{mode}', steps)
        if mode == 'random':
            return self.robot.to_units(uniform(len(self.robot.channels), generator))
        return self.robot.to_units(self.policy.act(z, joints, steps, generator))

    def carry(self, transition: Transition) -> None:
        """Carries the model's state over a step, before the next action is chosen; `learn` does so too, once.

        Raises:
            UserError: as `learn`, where the model has a state.
        """
        if self.fast.raw.context:
            check(transition, self.robot, self.z_size)
            self.fast.carry(transition)

    def learn(self, transition: Transition, episode: int | None = None) -> Experience:
        """Learns from one transition: error before, memory, one Fast step, prediction after, policy (row 000-029).

        Args:
            episode: it belongs to, where that is known because it was learned before.

        Raises:
            UserError: a number is not finite or a size is wrong; nothing was learned.
        """
        check(transition, self.robot, self.z_size)
        self.fast.carry(transition)
        before = self.fast.carried.before
        z, action, z_next = (
            torch.from_numpy(part)[None] for part in (transition.z, transition.action_applied, transition.z_next)
        )
        error_before = float(squared_error(self.fast.predict(z, action, before), z_next))
        copy_error = float(squared_error(z, z_next))
        curiosity = self.policy.reward(transition, error_before)

        sees_other = not transition.boundary and (
            self._sees_another_scene() if episode is None else episode > self.episode
        )
        self.episode = self.episode + (transition.boundary or sees_other) if episode is None else episode
        if sees_other:
            self.policy.begin_scene()
        self.total_steps += 1
        self.wake_steps_in_cycle += 1
        self._observe(transition)
        experience = Experience(
            transition=transition, sequence=self.total_steps, episode=self.episode, error_before=error_before,
            copy_error=copy_error, prediction_after=np.empty(0, np.float32), normalizer_version=self.normalizer.version,
        )  # fmt: skip
        self.memory.add(Record.of(experience))

        metrics = {'curiosity_reward': curiosity} | self._update_fast()
        after = self.fast.predict(z, action, before)[0].numpy()
        generator = stream(self._seed, 'policy', self.total_steps)
        metrics |= self.policy.learn(self.memory, self.total_steps, generator)
        self._watch_delay(transition)
        return replace(experience, prediction_after=after, metrics=metrics)

    def _watch_delay(self, transition: Transition) -> None:
        if self.settings.image_delay >= 0 or not can_pair(self.robot):
            return
        self._delay.see(transition)
        if self.total_steps in _DELAY_AT:
            self._take_delay()

    def _take_delay(self) -> None:
        found = self._delay.measure()
        if found != self.image_delay and self.settings.image_delay < 0:
            self.image_delay, self.image_delay_since = found, self.total_steps

    def _sees_another_scene(self) -> bool:
        limit = self.settings.memory.scene_jump
        if not limit or self.total_steps % scene_jump.EVERY:
            return False
        return scene_jump.rise(self.memory.latest(self.episode)) > limit

    def _update_fast(self) -> dict[str, float]:
        own = self.settings.fast
        batch = self.memory.minibatch(own.recent, own.older, stream(self._seed, 'fast', self.total_steps))
        return self.fast.update(batch)

    def _observe(self, transition: Transition) -> None:
        if transition.boundary:
            self.normalizer.observe(torch.from_numpy(transition.z))
        self.normalizer.observe(torch.from_numpy(transition.z_next))
        if self.normalizer.is_due(self.total_steps):
            self._renew_snapshot()

    def _renew_snapshot(self) -> None:
        change = self.normalizer.apply()
        if change is not None:
            self.fast.fold(change)
            self.policy.fold(change)

    def wake_up(self) -> None:
        """Begins a new cycle after a finished sleep: counters, the normaliser's snapshot, the delay of images."""
        self.wake_steps_in_cycle = 0
        self.cycles += 1
        self._renew_snapshot()
        self._take_delay()

    def state(self) -> dict[str, Tensor]:
        """Returns the whole half by name."""
        names = (*_COUNTERS, *_DELAY_COUNTERS)
        counters = {f'counters.{name}': torch.tensor(int(getattr(self, name))) for name in names}
        parts = (self.normalizer, self.fast, self.policy, self.memory, self._delay)
        return counters | {name: value for part in parts for name, value in part.state().items()}

    def load(self, state: dict[str, Tensor]) -> None:
        """Takes the whole half back.

        Raises:
            UserError: the state belongs to another recipe, robot or encoder.
        """
        try:
            for name in _COUNTERS:
                setattr(self, name, int(state[f'counters.{name}']))
            for name in _DELAY_COUNTERS:  # not in states of older versions
                setattr(self, name, int(state.get(f'counters.{name}', getattr(self, name))))
            self._delay.load(state)
            self.normalizer.load(state)
            self.fast.load(state)
            self.policy.load(state)
            self.memory.load(state)
        except (KeyError, RuntimeError, ValueError) as error:
            raise UserError(
                'waking half',
                expected="weights of this model's config.json",
                found=str(error).splitlines()[0],
            ) from error

    def to_bytes(self) -> bytes:
        """Returns the whole half as safetensors."""
        return blob.pack(self.state())

    def load_bytes(self, data: bytes) -> None:
        """Takes the whole half back from safetensors; raises UserError where it can't."""
        self.load(blob.unpack(data, 'waking half'))


def cycles_of(waking_half: bytes) -> int:
    """Returns the sleeps finished by a waking half, as `WakingHalf.to_bytes` gave it."""
    return int(blob.unpack(waking_half, 'waking half')['counters.cycles'])


def check(transition: Transition, robot: RobotInfo, z_size: int) -> None:
    """Refuses what can't be learned from.

    Raises:
        UserError: a number is not finite, or a size is not that of the robot or the encoder.
    """
    t, actions, joints = transition, len(robot.channels), len(robot.joint_names)
    sizes = [len(part) for part in (t.z, t.z_next, t.action_commanded, t.action_applied, t.joints, t.joints_next)]
    expected = [z_size, z_size, actions, actions, joints, joints]
    if sizes != expected:
        raise UserError('sizes of z, action and joints before and after', expected=str(expected), found=str(sizes))
    if not transition.is_finite():
        raise UserError('transition', expected='finite numbers only', found='NaN or infinity')
