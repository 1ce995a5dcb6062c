"""Trains a saved model for some steps or to a loss, by a sleep of one phase that can be paused.

The sleep is one of the model's consolidator and stands in its journal, so a model that was trained here is the one that
a graph, a replay or a crash would have made of it.
"""

from collections.abc import Iterator
import copy
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType

from torch import nn

from cls_common.errors import UserError
from cls_learning import state_bytes
from cls_learning.brain import Goal, OnlineLearner, Progress, Verdict
from cls_learning.brains.developmental.online_learner import DevelopmentalOnlineLearner
from cls_learning.model_store.folder import ModelFolder
from cls_learning.runtime.learner_session import LearnerSession, make_online_learner

from .models import weight_statistics, WeightStatistics

STEPS, THRESHOLD, MOST_STEPS = 100, 0.0005, 1000


@dataclass(frozen=True)
class TrainingResult:
    """What a training did.

    Attributes:
        steps: optimiser steps. loss: of the last one. reached: whether it is at the threshold; False without one.
        kept: False if held-out steps are predicted worse after it, so that it was rolled back. verdict: in words.
        before, after: weights of the networks that act, by the name of the network.
    """

    steps: int
    loss: float
    reached: bool
    kept: bool
    verdict: Verdict
    before: dict[str, WeightStatistics]
    after: dict[str, WeightStatistics]


class Training:
    """One training of a model, which is locked meanwhile; a context manager.

        with Training(Path('models/dot'), 'predict', steps=200) as training:
            for progress in training.run():      # leave the loop to pause; run() goes on where it stopped
                print(progress.step, progress.loss)
            result = training.keep()             # without it nothing of the model changes

    Args:
        folder: of a model of the brain `developmental`.
        phase: of its sleep: `reconstruct` trains the autoencoder, `predict` both networks, `dream` on rollouts.
        steps: optimiser steps, at most. threshold: loss at which it ends before; None: it does not.

    Raises:
        UserError: the folder is no such model or in use; an unknown phase; steps below 1.

    Attributes:
        done: steps so far. loss: of the last one, NaN before the first.
    """

    def __init__(
        self, folder: Path, phase: str = 'predict', steps: int = STEPS, threshold: float | None = None
    ) -> None:
        if steps < 1:
            raise UserError('steps of a training', expected='1 or more', found=str(steps))
        self._phase, self._threshold = phase, threshold
        self.done, self.loss, self._is_over = 0, float('nan'), False
        self._folder = ModelFolder(folder.parent, folder.name)
        try:
            self._open(folder, steps)
        except BaseException:
            self._folder.close()
            raise

    def _open(self, folder: Path, steps: int) -> None:
        if self._folder.config is None:
            raise UserError(f'folder {folder}', expected='a model', found='no config.json')
        self._session = LearnerSession(self._folder)
        learner = make_online_learner(self._folder.config)
        if not isinstance(learner, DevelopmentalOnlineLearner):
            raise UserError(
                f'model {folder.name!r}', expected="the brain 'developmental'",
                found=f'the brain {self._folder.config.brain_name!r}', do='./cls sleep lets any brain learn asleep.',
            )  # fmt: skip
        learner.load_bytes(self._session.online_bytes)
        self._before = _networks(learner)
        self._run = self._session.begin_sleep(self._session.online_bytes, self._goal(steps))
        self._steps = self._run.run()

    def _goal(self, steps: int) -> Goal:
        skipped = dict.fromkeys(self._session.phases, -1)
        return Goal({**skipped, self._phase: steps})

    @classmethod
    def to_threshold(
        cls, folder: Path, phase: str = 'predict', threshold: float = THRESHOLD, most: int = MOST_STEPS
    ) -> 'Training':
        """Makes a training that ends once the loss of a step is at `threshold`, or after `most` steps."""
        return cls(folder, phase, most, threshold)

    def run(self) -> Iterator[Progress]:
        """Yields after each step. Once it was left, a further call goes on with the next step."""
        while not self._is_over:
            progress = next(self._steps, None)
            if progress is None:
                self._is_over = True
                return
            self.done, self.loss = progress.step, progress.loss
            self._is_over = self.reached
            yield progress

    @property
    def reached(self) -> bool:
        """Whether the loss of the last step is at the threshold."""
        return self._threshold is not None and self.done > 0 and self.loss <= self._threshold

    def keep(self) -> TrainingResult:
        """Keeps the steps done so far, unless they did harm to held-out predictions, and saves the model.

        Raises:
            UserError: nothing was trained, or a loss was not finite; nothing of the model changed.
        """
        now, status = datetime.now(), self._run.statistics.status.get(self._phase, '')
        if not self.done or self._run.diverged:
            reason = 'a loss that is not finite' if self.done else status or 'no step was run'
            raise UserError(f'training of {self._folder.path.name!r}', expected='at least one step', found=reason)
        state, verdict = self._run.finish(), self._run.verdict
        self._is_over = True
        learner = make_online_learner(self._session.config)
        if verdict.rolled_back:
            self._session.roll_back(self._run, now)
        else:
            data = state_bytes.pack(state)
            # The steps that were run: learned again from the journal they give the same weights.
            self._session.keep(self._run, self._goal(self.done), data, now)
        self._session.save(self._session.online_bytes, now)
        learner.load_bytes(self._session.online_bytes)
        return TrainingResult(
            self.done, self.loss, self.reached, not verdict.rolled_back, verdict,
            weight_statistics(self._before), weight_statistics(_networks(learner), self._before),
        )  # fmt: skip

    def close(self) -> None:
        """Releases the model; what was not kept is discarded."""
        self._folder.close()

    def __enter__(self) -> 'Training':
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _networks(learner: OnlineLearner) -> dict[str, nn.Module]:
    """Returns copies of the networks that act."""
    return {name: copy.deepcopy(network) for name, network in learner.networks().items()}
