"""The consolidator of the brain `cls`: Slow, replay memory and held-out transitions."""

from collections.abc import Mapping
from dataclasses import replace

import torch

from cls_common.errors import UserError
from cls_common.robot import RobotInfo
from cls_common.transition import Experience

from ... import memory, penalties
from ...brain import CONSOLIDATOR, Consolidator, Goal, OnlineLearner, SleepRun, State
from ...config import LearningSettings
from ...evaluation.history import EvaluationHistory
from ...evaluation.holdout import affordable, Holdout
from ...evaluation.prediction_skill import PredictionSkill
from ...learners.learner import squared_error
from ...learners.normalizer import Normalizer
from ...learners.optimisation import load_optimizer, make_adam, optimizer_state
from ...learners.slow import SlowLearner
from ...memory.contract import Record
from ...memory.static_scene import StaticScenes
from ...space_change import SpaceChange
from . import log_rows
from .alarms import Watch
from .online_learner import ClsOnlineLearner

MEMORY = 'memory'  # its other part


class ClsConsolidator(Consolidator):
    """Learns a little from every experience awake, and most in sleep, by distillation and replay.

    Attributes:
        watch: source of alarms.
        holdout: held-out transitions, by which sleeps are judged. history: scores on them.
        static_scenes: results of the static-scene test of the last sleep.
        skill: of Slow's averaged weights, scored before learning.
    """

    def __init__(
        self, settings: LearningSettings, robot: RobotInfo, z_size: int, seed: int, device: str = 'cpu'
    ) -> None:
        super().__init__()
        self.settings = settings
        self.robot = robot
        self.z_size = z_size
        self.seed = seed
        self.save_interval = settings.save_interval
        self.max_duration = settings.sleep.max_duration
        # A copy of the online learner's normaliser: updated by the same steps, replaced by the original in every sleep.
        self.normalizer = Normalizer(settings.normalizer, z_size, device)
        self.slow = SlowLearner(settings, robot, z_size, self.normalizer, seed)
        self.normalizer.can_fold = self.slow.online.can_fold
        self.holdout = Holdout(affordable(settings.sleep.probes, settings.memory.capacity), seed)
        capacity = settings.memory.capacity - self.holdout.room
        # A shorter segment would hold no window for a rollout and the steps before it that a state needs.
        length = max(settings.memory.piece_length, self.slow.online.context + settings.sleep.rem_k)
        self.memory = memory.make(replace(settings.memory, capacity=capacity, piece_length=length), seed)
        self.history = EvaluationHistory()
        self.static_scenes = StaticScenes()
        self.watch = Watch(anchors=penalties.waits_for_change(settings.sleep.plugins))
        self.skill = PredictionSkill()
        # Tether optimises a local copy of the fast model; its weights are overwritten at the start of each sleep.
        self.online_copy = ClsOnlineLearner(settings, robot, z_size, seed, device)
        self.tether = make_adam(self.online_copy.fast.online, settings.sleep.tether_learning_rate)

    @property
    def memory_size(self) -> int:
        """Number of transitions in memory, held-out ones included."""
        return len(self.memory) + len(self.holdout)

    @property
    def memory_bytes(self) -> int:
        """Size of the memory, bytes."""
        return self.memory.nbytes + self.holdout.nbytes

    @property
    def alarms(self) -> list[str]:
        """Conditions that need attention, in words."""
        return self.watch.alarms(self.history, self.static_scenes)

    @property
    def sleeps_rolled_back(self) -> int:
        """Number of sleeps that the gate rolled back."""
        return self.history.rolled_back

    def check(self, experience: Experience) -> None:
        """See Consolidator."""
        extras = experience.extras
        shape = extras['prediction_after'].shape if 'prediction_after' in extras else None
        if shape != (self.z_size,) or 'normalizer_version' not in extras or 'copy_error' not in experience.metrics:
            raise UserError(
                'experience',
                expected=f'prediction_after {(self.z_size,)}, normalizer_version and copy_error',
                found=f'prediction_after {shape}',
            )

    def learn(self, experience: Experience) -> dict[str, float]:
        """Adds one experience to memory and takes, where due, one wake step of Slow.

        Returns:
            slow_error (before learning, raw units), image_delay (steps), slow_distill and slow_raw.
        """
        is_cut = experience.sequence > self.sequence + 1
        self.count(experience)
        t = experience.transition
        z, action, z_next, prediction = (
            torch.from_numpy(part)[None].to(self.normalizer.device)
            for part in (t.z, t.action_applied, t.z_next, experience.extras['prediction_after'])
        )
        self.slow.carry(t, is_cut=is_cut)
        before = self.slow.carried.before
        metrics = {'slow_error': float(squared_error(self.slow.predict(z, action, before), z_next))}
        self.watch.observe_error(metrics['slow_error'])
        self.skill.add(metrics['slow_error'], experience.metrics['copy_error'])
        self._follow_normalizer(experience)
        metrics |= self.watch.observe(experience)
        record = Record.of(experience)
        if not self.holdout.take(record):
            self.memory.add(record)
        if experience.sequence % self.settings.slow.wake_interval == 0:
            metrics |= self.slow.update_awake(z, action, z_next, prediction, before)
        return metrics

    def step_errors(self, experience: Experience, metrics: Mapping[str, float]) -> tuple[float, float]:
        """See Consolidator: errors of Slow and of copying z."""
        return metrics['slow_error'], experience.metrics['copy_error']

    def _follow_normalizer(self, experience: Experience) -> None:
        if experience.transition.boundary:
            self.normalizer.observe(torch.from_numpy(experience.transition.z))
        self.normalizer.observe(torch.from_numpy(experience.transition.z_next))
        version = int(experience.extras['normalizer_version'][0])
        if version > self.normalizer.version:
            self._fold(self.normalizer.apply())
            self.normalizer.version = version

    def adopt(self, online: OnlineLearner) -> None:
        """See Consolidator; takes the normaliser too."""
        assert isinstance(online, ClsOnlineLearner)
        super().adopt(online)
        self.take_normalizer(online)

    def take_normalizer(self, online: ClsOnlineLearner) -> None:
        """Takes the normaliser of the online learner; raw predictions of Slow stay the same."""
        self._fold(self.normalizer.adopt(online.normalizer.state()))

    def _fold(self, change: SpaceChange | None) -> None:
        if change is not None:
            self.slow.fold(change)
            self.online_copy.fast.fold_optimizer(self.tether, change)

    def metrics(self) -> dict[str, float]:
        """Returns skills, scores on held-out transitions, and sizes."""
        fast, slow = self.online_copy.fast.parameter_count(), self.slow.parameter_count()
        return {
            'skill': self.skill.value(),
            'held_out_skill': self.history.skill,
            'forgetting': self.history.forgetting,
            'action_use': self.history.action_use,
            'fast_held_out_skill': self.history.fast_skill,
            'fast_action_use': self.history.fast_action_use,
            'fast_learner_params': fast,
            'slow_learner_params': slow,
            'param_ratio': slow / fast,
        } | self.watch.change.metrics()

    def begin_sleep(self, online: State, goal: Goal) -> SleepRun:
        """See Consolidator."""
        from .sleep_run import ClsSleepRun

        return ClsSleepRun(self, online, goal)

    def wake_row(self, experience: Experience, metrics: Mapping[str, float]) -> dict[str, float | int | str]:
        """See Consolidator."""
        return log_rows.wake(self, experience, metrics)

    def sleep_row(self, run: SleepRun) -> dict[str, float | int | str]:
        """See Consolidator."""
        return log_rows.sleep(self, run)

    def save_row(self) -> dict[str, float | int | str]:
        """See Consolidator."""
        return {'replay_size': len(self.memory)}

    def state(self) -> dict[str, State]:
        """Returns the state of learner and memory, by part."""
        memory = self.memory.state() | self.holdout.state() | self.history.state() | self.static_scenes.state()
        return {CONSOLIDATOR: self.learner_state(), MEMORY: memory}

    def learner_state(self) -> State:
        """Returns the state without the memory as named tensors."""
        tether = optimizer_state('tether.optimizer', self.tether)
        return self.counters() | self.watch.state() | self.normalizer.state() | self.slow.state() | tether

    def load(self, parts: dict[str, State]) -> None:
        """See Consolidator."""
        self.load_learner(parts[CONSOLIDATOR])
        state = parts[MEMORY]
        self.memory.load(state)
        self.holdout.load(state)
        self.history = EvaluationHistory.load(state)
        self.static_scenes = StaticScenes.load(state)

    def load_learner(self, state: State) -> None:
        """Restores the state without the memory."""
        self.load_counters(state)
        self.watch.load(state)
        self.normalizer.load(state)
        self.slow.load(state)
        load_optimizer('tether.optimizer', self.tether, state)
