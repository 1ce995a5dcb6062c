"""Offline learning: a model learns from recorded sessions in this process, epoch by epoch. No ROS.

The same sessions, settings and seed give the same weights, also if a run was interrupted at any step and continued.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
import time
from typing import Any

import torch

from cls_common.errors import UserError
from cls_common.transition import Experience
from cls_learning.model_store.folder import ModelFolder
from cls_learning.model_store.listing import weights_hash
from cls_recording.discovery import find_sessions
from cls_recording.filters import ActionFilter

from .early_stopping import EarlyStopping
from .replay_model import open_model
from .replay_progress import ReplayProgress
from .train_loop import TrainLoop, TrainProgress
from .transition_reader import TransitionReader


@dataclass(frozen=True, kw_only=True)
class ReplayOptions:
    """Options of a replay.

    Attributes:
        sessions: folders of sessions, or of robots, which stand for all sessions of the robot.
        model, models_dir: the model folder; created if it is missing.
        seed: of a new model; -1: drawn.
        encoder, preset, overrides: of a new model; an empty encoder: that of the recording.
        encoder_settings: of a new model's encoder, by dotted name.
        filter_action: 'KEY=VALUE', learns only from these steps; empty: all.
        until_plateau: repeats epochs until the loss stops falling, instead of one epoch.
        patience, min_delta, min_epochs: see `EarlyStopping`. max_epochs: limit with `until_plateau`.
        steps: wake steps after which this run stops, to be continued by another; 0: no limit.
        brain: of a new model, by name; empty: cls.
        accept_robot: accepts robots of other names with the same actions and joints.
    """

    sessions: Sequence[Path]
    model: str
    models_dir: Path = Path('models')
    seed: int = -1
    encoder: str = ''
    preset: str = ''
    overrides: Mapping[str, Any] = field(default_factory=dict)
    encoder_settings: Mapping[str, Any] = field(default_factory=dict)
    filter_action: str = ''
    until_plateau: bool = False
    patience: int = 5
    min_delta: float = 0.001
    min_epochs: int = 3
    max_epochs: int = 100
    steps: int = 0
    accept_robot: bool = False
    brain: str = ''


@dataclass(frozen=True, kw_only=True)
class ReplaySummary:
    """Result of a replay.

    Attributes:
        losses: of each finished epoch: the error of prediction before learning, divided by that of predicting no
            change; NaN if that is 0.
        has_score: whether the brain gives these errors; otherwise all losses are NaN.
        plateau: whether the loss stopped falling. finished: False if the run was stopped before its end.
        steps: wake steps of this run. awake, asleep: duration of these and of the sleeps, s.
        reused, computed, refused, broken: see `TransitionReader`.
        weights: hash, 64 hex digits.
    """

    losses: list[float]
    has_score: bool
    plateau: bool
    finished: bool
    steps: int
    awake: float
    asleep: float
    reused: int
    computed: int
    refused: int
    broken: int
    weights: str


def replay(
    options: ReplayOptions,
    report: Callable[[TrainProgress], None] = lambda _: None,
    stopping: Callable[[], bool] = lambda: False,
) -> ReplaySummary:
    """Learns from sessions, sleeps at the end of each cycle, and saves at the end or when it is stopped.

    Args:
        report: called after every step. stopping: called between steps; True ends the run, to be continued later.

    Raises:
        UserError: sessions, options and the existing model do not fit each other.
    """
    torch.set_num_threads(1)  # the order of sums decides the last bit
    paths = find_sessions(options.sessions)
    action_filter = ActionFilter.parse(options.filter_action) if options.filter_action else None
    folder = ModelFolder(options.models_dir, options.model)
    try:
        encoder = open_model(
            folder, paths, options.encoder, options.preset, options.overrides, options.seed, options.accept_robot,
            options.brain, options.encoder_settings,
        )  # fmt: skip
        assert folder.config is not None
        config = folder.config
        reader = TransitionReader(paths, config.robot, config.inputs, config.shapes, encoder, action_filter)
        run = _ReplayRun(options, folder, reader, report, stopping)
        begun = time.monotonic()
        with run.loop:
            run.run()
        seconds = time.monotonic() - begun
    finally:
        folder.close(keep_unlearned=False)
    return ReplaySummary(
        losses=run.progress.losses(), has_score=run.progress.has_score, plateau=run.plateau,
        finished=run.finished, steps=run.loop.done, awake=seconds - run.loop.slept, asleep=run.loop.slept,
        reused=reader.reused, computed=reader.computed, refused=reader.refused, broken=reader.broken,
        weights=weights_hash(folder.path),
    )  # fmt: skip


class _ReplayRun:
    """One run over recorded sessions.

    Attributes:
        loop: trains the model. progress: epochs so far, with those of earlier runs.
        plateau, finished: see `ReplaySummary`.
    """

    def __init__(
        self,
        options: ReplayOptions,
        folder: ModelFolder,
        reader: TransitionReader,
        report: Callable[[TrainProgress], None],
        stopping: Callable[[], bool],
    ) -> None:
        self._options = options
        self._reader = reader
        self._stopping = stopping
        self.loop = TrainLoop(folder, report, self._is_over)
        reader.prepare = self.loop.learner.prepare
        self.progress = ReplayProgress.open(folder.path, reader.key, self.loop.session)
        self.loop.before_save = lambda: self.progress.cut(self.loop.session.sequence)
        self.loop.learned = self._count
        if self.loop.session.relearned and not self.progress.epochs:
            self.loop.save()  # steps learned before this replay do not count
        self.plateau = self.finished = False

    def _count(self, experience: Experience, metrics: dict[str, float]) -> None:
        self.progress.add(*self.loop.session.consolidator.step_errors(experience, metrics))

    def run(self) -> None:
        """Runs epochs until enough are done, with those of earlier runs."""
        while not self._is_enough():
            self._epoch()
            self.loop.catch_up()
            if not self.progress.is_between:
                break
        self.finished = self._is_enough()
        self.loop.save()
        if self.finished:
            self.progress.finish()

    def _is_enough(self) -> bool:
        """Whether no further epoch is wanted; False within an epoch."""
        o, losses = self._options, self.progress.losses()
        rule = EarlyStopping(o.patience, o.min_delta, o.min_epochs)
        self.plateau = sum(rule.add(loss) for loss in losses) > 0
        if not self.progress.is_between:
            return False
        if o.until_plateau and losses and not self.progress.has_score:
            raise UserError(
                '--until-plateau', expected='a brain that gives a score', found='none',
                do='Replay one epoch, without --until-plateau.',
            )  # fmt: skip
        return len(losses) >= o.max_epochs or self.plateau if o.until_plateau else len(losses) >= 1

    def _is_over(self) -> bool:
        return self._stopping() or 0 < self._options.steps <= self.loop.done

    def _epoch(self) -> None:
        """Runs the epoch under way, or the next one, to its end or until a stop."""
        loop, progress = self.loop, self.progress
        loop.sleep_where_due()
        before = progress.done_in_epoch
        for transition in islice(self._reader.transitions(), before, None):
            if self._is_over():
                return
            loop.step(transition, 'follow', goes_on=True)
            loop.sleep_where_due()
        loop.catch_up()
        if not progress.done_in_epoch:
            reader = self._reader
            broken = f'; {reader.broken} images are broken: {reader.problem}' if reader.broken else ''
            raise UserError(
                'the sessions', expected='steps to learn from', found=f'none that match{broken}',
                do='./cls sessions info says what they lack.',
            )  # fmt: skip
        progress.end_epoch()
        loop.save()
