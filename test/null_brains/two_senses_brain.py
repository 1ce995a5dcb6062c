"""A brain of two senses at once, images of 64 x 64 pixels and a vector, with a recurrent state; it learns nothing.

Its trace is a leaky sum of what it senses, begins at 0 with every chain, and decides on the action. The consolidator
adds up what it is sent of it, so that one lost, repeated or exchanged step shows in its state. It remembers the last
transitions, and adds up sequences of images drawn from them in sleep, so that another memory shows in its state too.
"""

from dataclasses import dataclass

import numpy as np
import torch

from cls_common.settings import group, Settings
from cls_common.transition import Experience
from cls_learning.brain import Brain, Consolidator, Input, OnlineLearner, Progress, SleepRun
from cls_learning.config import ObservationMemorySettings
from cls_learning.memory.observation_memory import ObservationMemory
from cls_learning.randomness import stream

_CYCLE, _STEPS, _LEAK, _WINDOW = 25, 5, 0.9, 4


@dataclass(frozen=True, kw_only=True)
class TwoSensesSettings(Settings):
    memory: ObservationMemorySettings = group(ObservationMemorySettings)


class TraceLearner(OnlineLearner):
    wake_steps_per_cycle = _CYCLE

    def __init__(self, model):
        super().__init__()
        self.robot, self.shapes = model.robot, model.shapes
        self.trace = np.zeros(3 + self.shapes['state'][0])

    def act(self, observation, joints, mode, steps):
        share = (1.0 + np.sin(17.0 * self.trace.sum() + steps)) / 2
        return self.robot.to_units(np.full(len(self.robot.channels), 2 * share - 1, np.float32))

    def learn(self, transition, episode=None):
        if transition.boundary:
            self.trace = np.zeros_like(self.trace)
        for name, shape in self.shapes.items():
            assert transition.after[name].shape == shape
        sensed = np.concatenate([transition.after['camera'].mean(axis=(0, 1)) / 255, transition.after['state']])
        self.trace = _LEAK * self.trace + sensed
        self.count(transition, episode)
        return Experience(
            transition=transition, sequence=self.total_steps, episode=self.episode, extras={'trace': self.trace.copy()},
            metrics={'sensed': float(sensed.sum())},
        )  # fmt: skip

    def state(self):
        return {**self.counters(), 'trace': torch.from_numpy(self.trace.copy())}

    def load(self, state):
        self.load_counters(state)
        self.trace = state['trace'].numpy().copy()


class TraceConsolidator(Consolidator):
    def __init__(self, model):
        super().__init__()
        self.model = model
        self.sum = np.zeros(3 + model.shapes['state'][0])
        self.memory = ObservationMemory(model.settings.memory)

    @property
    def memory_size(self):
        return len(self.memory)

    @property
    def memory_bytes(self):
        return self.memory.nbytes

    def learn(self, experience):
        self.count(experience)
        self.memory.add(experience)
        self.sum = self.sum + experience.sequence * experience.extras['trace']
        return {'trace_sum': float(self.sum.sum())}

    def begin_sleep(self, online, goal):
        return TraceSleep(self, online, goal)

    def state(self):
        own = {**self.counters(), 'sum': torch.from_numpy(self.sum.copy())}
        return {'consolidator': own, 'memory': self.memory.state()}

    def load(self, parts):
        self.load_counters(parts['consolidator'])
        self.sum = parts['consolidator']['sum'].numpy().copy()
        self.memory.load(parts['memory'])


class TraceSleep(SleepRun):
    def __init__(self, consolidator, online, goal):
        super().__init__()
        self._consolidator, self._before = consolidator, consolidator.sum
        self._learner, self._steps = TraceLearner(consolidator.model), goal.steps.get('halve') or _STEPS
        self._learner.load(online)

    def run(self):
        for step in range(1, self._steps + 1):
            self._consolidator.sum = self._consolidator.sum / 2 + self._dream(step)
            self.statistics.status['halve'], self.statistics.steps['halve'] = 'ok', step
            yield Progress('halve', step, self._steps, float(np.abs(self._consolidator.sum).sum()))

    def _dream(self, step):
        memory, learner = self._consolidator.memory, self._learner
        count = min(memory.window_count(_WINDOW), 8)
        if not count:
            return 0.0
        drawn = memory.windows(count, _WINDOW, stream(learner.cycles, 'dream', step)).observations
        assert drawn['camera'].shape == (count, _WINDOW + 1, 64, 64, 3) and drawn['camera'].dtype == torch.uint8
        return float(drawn['camera'].double().mean()) + float(drawn['state'].double().mean())

    def finish(self):
        self._learner.trace = self._learner.trace / 2
        self._learner.begin_cycle()
        return self._learner.state()

    def roll_back(self):
        self._consolidator.sum = self._before


class TwoSensesBrain(Brain):
    name, settings, headlines = 'two_senses', TwoSensesSettings, {'trace_sum': False}

    def inputs(self, settings, robot):
        return Input('camera', 'image', (64, 64)), Input('state', 'vector')

    def needs_encoder(self, settings):
        return False

    def phases(self, settings):
        return ('halve',)

    def make_online_learner(self, model):
        return TraceLearner(model)

    def make_consolidator(self, model, device):
        return TraceConsolidator(model)


BRAIN = TwoSensesBrain()
