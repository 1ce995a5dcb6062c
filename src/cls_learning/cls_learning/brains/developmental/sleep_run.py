"""One sleep of the brain `developmental`: `reconstruct`, `predict` and `dream`, on pictures of all times.

The averaged weights of the online learner are trained on a memory that keeps every time of the life equally, so that
what was learned before is not lost; `dream` trains rollouts of several steps (Hafner et al. 2019 call it overshooting).
"""

from collections.abc import Iterator, Mapping
import copy
import math

import numpy as np
import torch

from ...brain import Goal, Progress, SleepRun, State
from ...evaluation.gate import verdict_of_errors
from ...randomness import stream
from .consolidator import DevelopmentalConsolidator
from .model import DevelopmentalModel, Steps
from .training import asleep, draw_steps, Trainer

RECONSTRUCT, PREDICT, DREAM = PHASES = ('reconstruct', 'predict', 'dream')
_MEANS = {RECONSTRUCT: 'autoencoder_training_loss', PREDICT: 'predictor_training_loss', DREAM: 'dream_loss'}
# Windows by which a sleep is judged, at most.
_JUDGED = 128


class DevelopmentalSleepRun(SleepRun):
    """Trains a copy of the averaged weights, which the online learner goes on with."""

    def __init__(self, consolidator: DevelopmentalConsolidator, online: State, goal: Goal) -> None:
        super().__init__()
        self._consolidator, self._goal = consolidator, goal
        self._online = consolidator.online_copy
        self._online.load(online)
        self._cycle = self._online.cycles
        self.statistics.means = dict.fromkeys(_MEANS.values(), math.nan)
        self._result = copy.deepcopy(self._online.fast)

    def run(self) -> Iterator[Progress]:
        """See SleepRun."""
        settings = self._consolidator.settings
        own = settings.sleep
        learner = copy.deepcopy(self._online.fast).requires_grad_(True).train()
        lengths = {phase: own.dream_length if phase == DREAM else 1 for phase in PHASES}
        counts = self._counts(lengths)
        trainer = Trainer(learner, self._result, settings, asleep(own.learning_rate, sum(counts.values())), own.average)
        done = 0
        for phase, steps in counts.items():
            length, total = lengths[phase], 0.0
            for number in range(1, steps + 1):
                generator = stream(self._consolidator.seed, phase, (self._cycle << 20) + number)
                count = own.dream_batch_size if phase == DREAM else own.batch_size
                is_short = generator.random() < settings.loss.short_context
                needed = length if is_short else self._needed(phase, length)
                drawn = draw_steps(self._consolidator.memory, count, needed, self._online.code, generator)
                found = trainer.update(
                    drawn, done, generator, predicts=phase != RECONSTRUCT, rollout=length,
                    reconstructs=1.0 if phase == RECONSTRUCT else settings.loss.reconstruction,
                )  # fmt: skip
                self.statistics.refused += math.isnan(found['loss'])
                total, done = total + found['loss'], done + 1
                self.statistics.status[phase], self.statistics.steps[phase] = 'ok', number
                self.statistics.means[_MEANS[phase]] = total / number
                yield Progress(phase, number, steps, found['loss'])

    def _counts(self, lengths: Mapping[str, int]) -> dict[str, int]:
        """Returns the updates of each phase that can run; says of the others why they are skipped."""
        own, found = self._consolidator.settings.sleep, dict[str, int]()
        for phase, steps in zip(PHASES, (own.reconstruct_steps, own.predict_steps, own.dream_steps)):
            asked, needed = self._goal.steps.get(phase, 0), self._needed(phase, lengths[phase])
            if asked < 0:
                self.statistics.status[phase] = 'skipped: by goal'
            elif not self._consolidator.memory.window_count(needed):
                self.statistics.status[phase] = f'skipped: no window of {needed} steps in memory'
            else:
                found[phase] = asked or steps
        return found

    def _needed(self, phase: str, length: int) -> int:
        """Returns the consecutive transitions of which an update of a phase learns."""
        return length + (0 if phase == RECONSTRUCT else self._result.context - 1)

    def finish(self) -> State:
        """Judges the sleep, hands its result to the online learner, and begins the new cycle."""
        self._judge()
        self._online.take(self._result)
        self._online.begin_cycle()
        return self._online.state()

    def _judge(self) -> None:
        """Compares the predictions before and after, on windows held out, as a share of copying the picture before."""
        c = self._consolidator
        steps = self._online.online.context
        count = min(c.held_out.window_count(steps), _JUDGED)
        before = after = np.zeros(0)
        copied = 1.0
        if count:
            windows = draw_steps(c.held_out, count, steps, self._online.code, stream(c.seed, 'windows', self._cycle))
            before, after = (prediction_errors(model, windows) for model in (self._online.fast, self._result))
            moved = windows.pictures[:, -1] - windows.pictures[:, -2]
            copied = max(float(moved.square().mean()), 1e-12)
        generator = stream(c.seed, 'gate', self._cycle)
        self.verdict = verdict_of_errors(before, after, copied, 'steps', not c.settings.sleep.gate, generator)

    def roll_back(self) -> None:
        """Nothing of the consolidator changed. A sleep that the gate refused is counted."""
        self._consolidator.rolled_back += self.verdict.rolled_back


@torch.no_grad()
def prediction_errors(model: DevelopmentalModel, windows: Steps, rows: int = 8) -> np.ndarray:
    """Returns the mean squared error of the picture that is predicted at the end of each window, float64 (B,)."""
    found = []
    for at in range(0, len(windows.actions), rows):
        part = Steps(*(each[at : at + rows] for each in windows))
        error = model.draw(model.predict(part)) - part.pictures[:, -1]
        found.append(error.square().mean((1, 2, 3)).double().numpy())
    return np.concatenate(found)
