"""The progress of a replay, stored so that an interrupted replay continues at the same step."""

from dataclasses import asdict, dataclass, field
import json
import math
from pathlib import Path
from typing import Any

from cls_common import atomic_file
from cls_common.errors import UserError
from cls_learning.runtime.learner_session import LearnerSession

_FILE = 'replay.json'
# One for each generation that a model folder keeps, and one for the generation being written.
_CUTS = 3


@dataclass
class _Epoch:
    """Sums over the steps of an epoch: errors of prediction before learning, and of predicting no change."""

    steps: int = 0
    slow_error: float = 0.0
    copy_error: float = 0.0
    is_over: bool = False

    @property
    def loss(self) -> float:
        return self.slow_error / self.copy_error if self.copy_error > 0 else float('nan')


@dataclass
class ReplayProgress:
    """Epochs so far. Written with every save; later steps are counted again from the journal.

    Attributes:
        path: the file. key: identifies sessions and filter.
        cuts: the epochs at each saved sequence number, oldest first, as JSON values.
    """

    path: Path
    key: str
    epochs: list[_Epoch] = field(default_factory=list)
    cuts: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def open(cls, folder: Path, key: str, session: LearnerSession) -> 'ReplayProgress':
        """Continues an unfinished replay of the same sessions, or begins a new one.

        Args:
            key: identifies sessions and filter; see `TransitionReader.key`.
            session: just opened, so that `relearned` holds the steps since its last save.

        Raises:
            UserError: the file is damaged, or knows nothing of the generation that was loaded.
        """
        progress = cls(folder / _FILE, key)
        stored = _read(progress.path)
        if stored is not None and stored.get('key') == key and not stored.get('finished'):
            progress.cuts = stored['cuts']
            progress._resume(session)
        if not progress.cuts:
            progress.cut(session.sequence)
        return progress

    def _resume(self, session: LearnerSession) -> None:
        opened_at = session.sequence - len(session.relearned)
        cut = next((c for c in reversed(self.cuts) if c['sequence'] == opened_at), None)
        if cut is None:
            raise UserError(
                f'{self.path}',
                expected=f'the progress at step {opened_at}',
                found=', '.join(str(c['sequence']) for c in self.cuts),
                do='Remove it to begin the replay again; the model keeps what it has learned.',
            )
        self.epochs = [_Epoch(**epoch) for epoch in cut['epochs']]
        for experience, metrics in session.relearned:
            self.add(*session.consolidator.step_errors(experience, metrics))

    @property
    def is_between(self) -> bool:
        """Whether no epoch is under way."""
        return not self.epochs or self.epochs[-1].is_over

    @property
    def done_in_epoch(self) -> int:
        """Steps of the epoch under way."""
        return 0 if self.is_between else self.epochs[-1].steps

    def add(self, error: float, copy_error: float) -> None:
        """Adds a step to the epoch under way."""
        if self.is_between:
            self.epochs.append(_Epoch())
        epoch = self.epochs[-1]
        epoch.steps += 1
        epoch.slow_error += error
        epoch.copy_error += copy_error

    def end_epoch(self) -> None:
        """Ends the epoch under way."""
        self.epochs[-1].is_over = True

    @property
    def has_score(self) -> bool:
        """Whether the brain gives errors of prediction; NaN means none."""
        return not all(math.isnan(epoch.slow_error) for epoch in self.epochs)

    def losses(self) -> list[float]:
        """Returns the loss of each finished epoch: error divided by that of predicting no change."""
        return [epoch.loss for epoch in self.epochs if epoch.is_over]

    def cut(self, sequence: int) -> None:
        """Writes the progress at a sequence number; called before the model is saved there."""
        epochs = [asdict(epoch) for epoch in self.epochs]
        self.cuts = [c for c in self.cuts if c['sequence'] != sequence][1 - _CUTS :]
        self.cuts.append({'sequence': sequence, 'epochs': epochs})
        self._write(finished=False)

    def finish(self) -> None:
        """Marks the replay as finished; the next one of the same sessions begins at the first step."""
        self._write(finished=True)

    def _write(self, finished: bool) -> None:
        content = {'key': self.key, 'finished': finished, 'cuts': self.cuts}
        atomic_file.write_json(self.path, content, allow_nan=True)


def _read(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding='utf-8'))
        return content
    except ValueError as error:
        raise UserError(
            f'{path}', expected='a JSON file written by a replay', found=str(error), do='Remove it.'
        ) from error
