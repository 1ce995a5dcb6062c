"""The life that is never interrupted: one process, one thread, with the hash after each step and night."""

from collections.abc import Callable, Mapping
from pathlib import Path
import threading
from typing import Any, NamedTuple

import torch

from cls_common.errors import UserError
from cls_learning.brain import find
from cls_learning.model_store.folder import ModelFolder
from cls_learning.runtime.learner_session import LearnerSession
from cls_learning.runtime.model_creation import create_model, new_config
from cls_perception import encoders
from cls_perception.settings import EncoderSettings
from cls_sim.robots import make as make_robot
from cls_sim.settings import SimulatorSettings
from cls_training.train_loop import SLEEP_KEPT, TrainProgress
from cls_training.training import SimulatedRun

# Nights every minute or two instead of every quarter of an hour, and a save after each: small, but all of it.
RECIPE: dict[str, Any] = {
    'sleep.wake_steps_per_cycle': 60, 'sleep.sws_steps': 20, 'sleep.rem_steps': 20, 'sleep.tether_steps': 10,
    'network.slow_hidden': 256,
}  # fmt: skip
CYCLE: int = RECIPE['sleep.wake_steps_per_cycle']
ENCODER = 'early_resnet18'
_FOREVER = 1 << 40


class _EndedError(Exception):
    """The reference is not needed any more."""


class Stage(NamedTuple):
    """Where a life is: total steps, nights, and the hash of its weights."""

    steps: int
    cycles: int
    weights: str


def live(folder: Path, model: str, seed: int, recipe: Mapping[str, Any], tell: Callable[[Stage], None]) -> None:
    """Lives in a simulated world, from the beginning or from where the model stopped, until `tell` raises.

    Args:
        recipe: learning parameters of a new model by dotted name.
        tell: called after every step and every night.
    """
    torch.set_num_threads(1)
    owned = ModelFolder(folder, model)
    robot = make_robot('sim', SimulatorSettings(robot='sim', lock_step=True, seed=seed))
    try:
        encoder = encoders.make(EncoderSettings(name=ENCODER, seed=seed, threads=1))
        if owned.config is None:
            settings = find('cls').settings.from_flat(dict(recipe))
            create_model(owned, new_config(robot.info, encoder, seed, settings, {}, 'cls', {}), encoder)

        def on_progress(progress: TrainProgress) -> None:
            if progress.phase in ('wake', SLEEP_KEPT):
                run.loop.catch_up()
                session = run.loop.session
                weights = session.weights_sha256(run.loop.learner.to_bytes())
                tell(Stage(session.sequence, session.cycles, weights))

        run = SimulatedRun(owned, robot, encoder, 'curiosity', on_progress)
        with run.loop:
            run.run(_FOREVER)
    finally:
        robot.close()
        owned.close()


class Reference:
    """Hashes by (total steps, cycles), lived as far as somebody asks.

    Lives in a thread of its own that waits until more is wanted. Use as a context manager.
    """

    def __init__(self, folder: Path, seed: int, recipe: Mapping[str, Any] = RECIPE) -> None:
        self._hashes: dict[tuple[int, int], str] = {}
        self._changed = threading.Condition()
        self._wanted = 0
        self._error: BaseException | None = None
        self._folder, self._seed = folder, seed
        # When it saves makes no difference to what it becomes.
        self._recipe = {**recipe, 'save_interval': 0}
        self._thread = threading.Thread(target=self._live, name='reference', daemon=True)
        self._thread.start()

    def __enter__(self) -> 'Reference':
        return self

    def __exit__(self, *_: object) -> None:
        self.want(-1)
        self._thread.join()

    def get(self, steps: int, cycles: int) -> str | None:
        """Returns the hash after `steps` wake steps and `cycles` nights; None where the life never was there."""
        self.want(steps + 1)
        with self._changed:
            self._changed.wait_for(lambda: self._error is not None or self._has_passed(steps))
            if self._error is not None:
                raise UserError('the uninterrupted life ended', found=repr(self._error)) from self._error
            return self._hashes.get((steps, cycles))

    def _has_passed(self, steps: int) -> bool:
        # The night after the last step belongs to it: only the next step says that it is over.
        return any(lived > steps for lived, _ in list(self._hashes)[-1:])

    def want(self, steps: int) -> None:
        """Says how far it will be asked for, so that it lives there meanwhile; below 0: it is over."""
        with self._changed:
            self._wanted = -1 if steps < 0 else max(self._wanted, steps)
            self._changed.notify_all()

    def _tell(self, stage: Stage) -> None:
        with self._changed:
            self._hashes[stage.steps, stage.cycles] = stage.weights
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._wanted < 0 or stage.steps < self._wanted)
            if self._wanted < 0:
                raise _EndedError

    def _live(self) -> None:
        try:
            live(self._folder, 'reference', self._seed, self._recipe, self._tell)
        except _EndedError:
            pass
        except BaseException as error:
            with self._changed:
                self._error = error
                self._changed.notify_all()


def inspect(models_dir: Path, model: str) -> tuple[Stage, list[str]]:
    """Opens a model that nobody owns any more, as its next start does.

    Returns:
        where it goes on, and what had to be left aside.

    Raises:
        UserError: it does not load.
    """
    torch.set_num_threads(1)
    folder = ModelFolder(models_dir, model)
    try:
        if folder.config is None:
            raise UserError(f'model {model!r}', expected='its config.json', found='none')
        session = LearnerSession(folder)
        weights = session.weights_sha256(session.online_bytes)
        return Stage(session.sequence, session.cycles, weights), session.problems
    finally:
        folder.close()
