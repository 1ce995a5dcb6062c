"""The online learner of the brain `cls`: normaliser, Fast, policy and recent transitions."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from cls_common.errors import UserError
from cls_common.robot import RobotInfo
from cls_common.transition import check, Doubles, EMBEDDING, Experience, Floats, Observation, Transition

from ... import policies
from ...brain import OnlineLearner, State
from ...config import LearningSettings
from ...evaluation.prediction_skill import PredictionSkill
from ...learners.fast import FastLearner
from ...learners.learner import squared_error
from ...learners.normalizer import Normalizer
from ...memory import scene_jump
from ...memory.contract import Record
from ...memory.ring_reservoir import RingReservoir
from ...policies.contract import uniform
from ...randomness import stream
from .image_delay import ImageDelay
from .late_images import can_pair, LateImages

_DELAY_COUNTERS = ('image_delay', 'image_delay_since')
# Steps of a model at which the measured delay of images is first applied, so that its first hundreds of steps are
# usable; later it is applied after each sleep.
_DELAY_AT = (128, 256)


class ClsOnlineLearner(OnlineLearner):
    """Predicts the next embedding with Fast, learns from every step, and acts by a policy.

    Attributes:
        episode: incremented at every boundary, and where another scene is detected.
        image_delay: delay of images in steps, which `prepare` corrects.
        image_delay_since: value of total_steps at which it changed, 0: not yet.
    """

    def __init__(
        self, settings: LearningSettings, robot: RobotInfo, z_size: int, seed: int, device: str = 'cpu'
    ) -> None:
        super().__init__()
        self.settings = settings
        self.robot = robot
        self.z_size = z_size
        self.wake_steps_per_cycle = settings.sleep.wake_steps_per_cycle
        self.acts_before_learning = settings.act_before_learning
        self._seed = seed
        self.normalizer = Normalizer(settings.normalizer, z_size, device)
        self.fast = FastLearner(settings, robot, z_size, self.normalizer, seed)
        self.normalizer.can_fold = self.fast.online.can_fold
        self.policy = policies.make(settings, robot, z_size, self.fast, seed)
        self.memory = RingReservoir(settings.fast.ring, settings.fast.reservoir, seed, self.fast.online.context)
        self.image_delay = max(settings.image_delay, 0)
        self.image_delay_since = 0
        if self.image_delay and not can_pair(robot):
            raise UserError(
                f"parameter 'image_delay' for robot {robot.name!r}",
                found=str(self.image_delay),
                expected='0 or -1: there are no joints, or an action of 0 is not rest',
            )
        self._delay = ImageDelay()
        self._late = LateImages(robot)
        self._skill = PredictionSkill()

    @property
    def memory_size(self) -> int:
        """Number of transitions in memory."""
        return len(self.memory)

    @property
    def memory_bytes(self) -> int:
        """Size of the memory, bytes."""
        return self.memory.nbytes

    def prepare(self, transition: Transition) -> Transition:
        """Pairs delayed images with the actions whose outcome they show."""
        is_new = 0 < self.image_delay_since == self.total_steps
        return self._late.pair(transition, self.image_delay, is_new=is_new)

    def act(self, observation: Observation, joints: Doubles, mode: str, steps: int) -> Floats:
        """See OnlineLearner."""
        generator = stream(self._seed, f'act.{mode}', steps)
        if mode == 'random':
            return self.robot.to_units(uniform(len(self.robot.channels), generator))
        return self.robot.to_units(self.policy.act(observation.z, joints, steps, generator))

    def carry(self, transition: Transition) -> None:
        """See OnlineLearner: the state of a recurrent world model."""
        if self.fast.online.context:
            check(transition, self.robot, {EMBEDDING: (self.z_size,)})
            self.fast.carry(transition)

    def learn(self, transition: Transition, episode: int | None = None) -> Experience:
        """Learns from one transition: error before, memory, one step of Fast, prediction after, policy.

        Raises:
            UserError: a number is not finite or a size is wrong; nothing was learned.
        """
        check(transition, self.robot, {EMBEDDING: (self.z_size,)})
        self.fast.carry(transition)
        before = self.fast.carried.before
        z, action, z_next = (
            torch.from_numpy(part)[None] for part in (transition.z, transition.action_applied, transition.z_next)
        )
        error_before = float(squared_error(self.fast.predict(z, action, before), z_next))
        copy_error = float(squared_error(z, z_next))
        curiosity = self.policy.reward(transition, error_before)

        is_other = not transition.boundary and (self._is_another_scene() if episode is None else episode > self.episode)
        if is_other:
            self.policy.begin_scene()
        if episode is None and is_other:
            episode = self.episode + 1
        self.count(transition, episode)
        self._observe(transition)
        extras = {'normalizer_version': np.array([self.normalizer.version], np.int64)}
        experience = Experience(transition=transition, sequence=self.total_steps, episode=self.episode, extras=extras)
        self.memory.add(Record.of(experience))

        metrics = {'error_before': error_before, 'copy_error': copy_error, 'curiosity_reward': curiosity}
        metrics |= self._update_fast()
        extras = {'prediction_after': self.fast.predict(z, action, before)[0].numpy(), **extras}
        generator = stream(self._seed, 'policy', self.total_steps)
        metrics |= self.policy.learn(self.memory, self.total_steps, generator)
        self._watch_delay(transition)
        self._skill.add(error_before, copy_error)
        return replace(experience, extras=extras, metrics=metrics)

    def metrics(self) -> dict[str, float]:
        """Returns the skill of the last 200 steps, scored before learning from them."""
        return {'skill': self._skill.value()}

    def _watch_delay(self, transition: Transition) -> None:
        if self.settings.image_delay >= 0 or not can_pair(self.robot):
            return
        self._delay.observe(transition)
        if self.total_steps in _DELAY_AT:
            self._take_delay()

    def _take_delay(self) -> None:
        found = self._delay.measure()
        if found != self.image_delay and self.settings.image_delay < 0:
            self.image_delay, self.image_delay_since = found, self.total_steps

    def _is_another_scene(self) -> bool:
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

    def begin_cycle(self) -> None:
        """Begins a new cycle: counters, snapshot of the normaliser, delay of images."""
        super().begin_cycle()
        self._renew_snapshot()
        self._take_delay()

    def state(self) -> State:
        """See OnlineLearner."""
        counters = self.counters() | {
            f'counters.{name}': torch.tensor(int(getattr(self, name))) for name in _DELAY_COUNTERS
        }
        parts = (self.normalizer, self.fast, self.policy, self.memory, self._delay)
        return counters | {name: value for part in parts for name, value in part.state().items()}

    def load(self, state: dict[str, Tensor]) -> None:
        """See OnlineLearner."""
        self.load_counters(state)
        for name in _DELAY_COUNTERS:  # not in states of older versions
            setattr(self, name, int(state.get(f'counters.{name}', getattr(self, name))))
        self._delay.load(state)
        self.normalizer.load(state)
        self.fast.load(state)
        self.policy.load(state)
        self.memory.load(state)
