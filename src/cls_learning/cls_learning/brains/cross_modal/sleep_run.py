"""One sleep of the brain `cross_modal`: two teachers dream, and one learner learns from both (`dream`).

Fast knows the newest world, Slow those before. A window of memory is taught by the teacher that predicts it better: its
readings are repeated up to a random step, and from there on the teacher dreams it, with random actions and with noise
as large as its errors. The windows only say where to begin, so that few of them are not learned by heart. This is
generative replay (Shin et al. 2017) by a world model, with learning without forgetting (Li and Hoiem 2016) as its loss.
"""

from collections.abc import Iterator
import copy
from functools import partial
import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ...brain import Goal, Progress, SleepRun, State, Verdict
from ...evaluation.gate import LEAST_SEGMENTS, verdict_of_errors
from ...learners.optimisation import average_into, make_adam, step
from ...memory.observation_memory import ObservationMemory
from ...penalties.contract import Penalty
from ...randomness import stream
from .anchor import make_penalty, samples
from .consolidator import CrossModalConsolidator
from .dreams import dream, Lesson, mean_of_senses, window_errors, Windows
from .model import CrossModalModel

DREAM, ANCHOR = 'dream', 'anchor'
# Decay of the averaged weights that a sleep keeps: those of one update depend on its few dreams.
_AVERAGE = 0.9
# Largest number of windows from which a sleep draws.
_MOST_WINDOWS = 4096


class TeacherWindows(NamedTuple):
    """The windows that one teacher predicts better, and the spread of its errors by sense, raw."""

    teacher: CrossModalModel
    windows: Windows
    noise: dict[str, float]


class CrossModalSleepRun(SleepRun):
    """Trains a copy of the averaged Fast on what both teachers know; it becomes Slow, and Fast begins from it."""

    def __init__(self, consolidator: CrossModalConsolidator, online: State, goal: Goal) -> None:
        super().__init__()
        self._consolidator, self._goal = consolidator, goal
        self._before = consolidator.learner_state()
        self._online = consolidator.online_copy
        self._online.load(online)
        self.statistics.means = {'dream_loss': math.nan, 'divergence': math.nan}
        self._cycle = self._online.cycles
        self._student = copy.deepcopy(self._online.models['fast'])

    def run(self) -> Iterator[Progress]:
        """See SleepRun."""
        c = self._consolidator
        windows, learner = self._windows(c.memory), copy.deepcopy(self._student).requires_grad_(True)
        penalty = make_penalty(c.settings.sleep.anchor, learner, c.anchor)
        phases = {DREAM: partial(self._dream, learner, penalty)}
        if penalty is not None:
            phases[ANCHOR] = partial(self._anchor, learner, penalty)
        for name, phase in phases.items():
            is_unwanted = self._goal.steps.get(name, 0) < 0
            if is_unwanted or windows is None:
                reason = 'by goal' if is_unwanted else f'no window of {c.settings.sleep.window} steps in memory'
                self.statistics.status[name] = f'skipped: {reason}'
            else:
                yield from phase(windows)

    def _dream(self, learner: CrossModalModel, penalty: Penalty | None, windows: Windows) -> Iterator[Progress]:
        own, clipped = self._consolidator.settings.sleep, self._consolidator.settings.fast.gradient_norm
        steps = self._goal.steps.get(DREAM, 0) or own.dream_steps
        by_teacher = self._by_teacher(windows)
        optimizer = make_adam(learner.predicting(), own.learning_rate)
        total = 0.0
        for number in range(1, steps + 1):
            generator = stream(self._consolidator.seed, 'dream', (self._cycle << 20) + number)
            lessons = [self._lesson(each, generator) for each in by_teacher]
            loss = self._loss(learner, lessons, generator)
            value = step(optimizer, loss if penalty is None else loss + penalty.loss(), clipped)
            if penalty is not None and not math.isnan(value):
                penalty.after_step(optimizer.clip)
            self.statistics.refused += math.isnan(value)
            average_into(
                list(self._student.parameters()), list(learner.parameters()), min(_AVERAGE, number / (number + 1))
            )
            total += value
            self.statistics.status[DREAM], self.statistics.steps[DREAM] = 'ok', number
            self.statistics.means['dream_loss'] = total / number
            yield Progress(DREAM, number, steps, value)

    def _anchor(self, learner: CrossModalModel, penalty: Penalty, windows: Windows) -> Iterator[Progress]:
        """Anchors the weights that the sleep keeps; one step, which changes none of them."""
        c = self._consolidator
        learner.load_state_dict(self._student.state_dict())
        # Windows were drawn in random order.
        some = windows.take(torch.arange(min(c.settings.sleep.anchor.samples, len(windows.code))))
        moved = penalty.anchor(samples(learner, some), stream(c.seed, 'anchor', self._cycle))
        c.anchor = penalty.state()
        self.statistics.status[ANCHOR], self.statistics.steps[ANCHOR] = 'ok', 1
        self.statistics.means |= {'anchor_divergence': moved.weighted, 'anchor_l2': moved.l2}
        yield Progress(ANCHOR, 1, 1, moved.weighted)

    def _windows(self, memory: ObservationMemory) -> Windows | None:
        own, generator = self._consolidator.settings.sleep, stream(self._consolidator.seed, 'windows', self._cycle)
        count = min(memory.window_count(own.window), _MOST_WINDOWS)
        if not count:
            return None
        duration = self._consolidator.settings.network.step_duration
        return Windows.of(memory.windows(count, own.window, generator), self._online.code, duration)

    def _by_teacher(self, windows: Windows) -> list[TeacherWindows]:
        """Sorts windows by the teacher that predicts them better; Slow knows nothing before its first sleep."""
        teachers = [self._online.models['fast']] + ([self._consolidator.slow] if self._cycle else [])
        halves = [window_errors(teacher, windows) for teacher in teachers]
        best = torch.stack([mean_of_senses(first) + mean_of_senses(second) for first, second in halves]).argmin(dim=0)
        found = []
        for k, teacher in enumerate(teachers):
            mine = best == k
            if bool(mine.any()):
                spread = {
                    name: float(error[mine].mean().sqrt() * teacher.change[s])
                    for s, (name, error) in enumerate(halves[k][1].items())
                }
                found.append(TeacherWindows(teacher, windows.take(mine.nonzero()[:, 0]), spread))
        return found

    def _lesson(self, own: TeacherWindows, generator: np.random.Generator) -> Lesson:
        settings = self._consolidator.settings.sleep
        chosen = torch.from_numpy(generator.integers(len(own.windows.code), size=settings.batch_size))
        real = round(settings.dream_real * 2 * generator.random() * settings.window)
        return dream(own.teacher, own.windows.take(chosen), min(real, settings.window), own.noise, generator)

    def _loss(self, student: CrossModalModel, lessons: list[Lesson], generator: np.random.Generator) -> Tensor:
        lesson = Lesson.join(lessons)
        present = lesson.drop_senses(self._consolidator.settings.watch.dropout, generator)
        carried, losses = student.initial(len(lesson.code)), []
        for k in range(lesson.code.shape[1]):
            carried, found = student.step(
                carried, {name: s[:, k] for name, s in lesson.inputs.items()}, present[k], lesson.code[:, k]
            )
            errors = student.errors(found.senses, {name: s[:, k] for name, s in lesson.targets.items()})
            actual = lesson.reward[:, k]
            reward = (found.reward - actual.nan_to_num()).square() * actual.isfinite()
            losses.append(torch.stack(list(errors.values())).mean() + reward.mean())
        return torch.stack(losses).mean()

    def finish(self) -> State:
        """Judges the sleep, hands its result to both online learners, and begins the new cycle."""
        c = self._consolidator
        self._judge()
        moved = [
            (new - old).norm().detach()
            for new, old in zip(self._student.parameters(), c.slow.parameters(), strict=True)
        ]
        self.statistics.means['divergence'] = float(torch.stack(moved).mean())
        c.slow.load_state_dict(self._student.state_dict())
        self._online.take(c.slow)
        self._online.begin_cycle()
        return self._online.state()

    def _judge(self) -> None:
        """Compares Slow with the better of both learners before, on the windows held out."""
        c = self._consolidator
        windows = self._windows(c.held_out)
        if windows is None or len(windows.code) < LEAST_SEGMENTS:
            found = 0 if windows is None else len(windows.code)
            self.verdict = Verdict(text=f'not judged: {found} held-out windows of {LEAST_SEGMENTS} needed')
            return
        models = [self._online.models['fast']] + ([c.slow] if self._cycle else []) + [self._student]
        first, second = (
            np.stack([mean_of_senses(half).double().numpy() for half in halves])
            for halves in zip(*(window_errors(each, windows) for each in models), strict=True)
        )
        copied = float(windows.copy_errors(self._student).mean())
        # As awake, the one predicts that was right in the steps before.
        before = np.take_along_axis(second, first[:-1].argmin(axis=0)[None], axis=0)[0]
        after = second[-1]
        generator = stream(c.seed, 'gate', self._cycle)
        self.verdict = verdict_of_errors(before, after, copied, 'windows', not c.settings.sleep.gate, generator)

    def roll_back(self) -> None:
        """Restores Slow; the memories did not change. A sleep that the gate refused is counted."""
        self._consolidator.load_learner(self._before)
        self._consolidator.rolled_back += self.verdict.rolled_back
