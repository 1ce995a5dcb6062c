"""The life that is never interrupted: one process, one thread, with the hash after each step and night."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
import threading
from typing import Any

import torch

from cls_common.errors import UserError
from cls_learning.agent.cortex import Cortex, make_waking_half
from cls_learning.agent.living import MORNING, Progress
from cls_learning.agent.training import Life
from cls_learning.checkpoints.config_file import ModelConfig
from cls_learning.checkpoints.folder import ModelFolder
from cls_learning.checkpoints.hashing import weights_sha256
from cls_learning.config import LearningSettings
from cls_perception import encoders
from cls_perception.settings import EncoderSettings
from cls_sim.robots import make as make_robot
from cls_sim.settings import SimulatorSettings

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


class _RecordedLife(Life):
    """Tells after every step and every night what has become of it."""

    def __init__(self, folder: ModelFolder, seed: int, tell: Callable[[int, int, str], None]) -> None:
        robot = make_robot('sim', SimulatorSettings(robot='sim', lock_step=True, seed=seed))
        encoder = encoders.make(EncoderSettings(name=ENCODER, seed=seed, threads=1))
        self._tell = tell
        if folder.config is None:
            stored = {**encoder.config(), 'id': encoder.id, 'size': encoder.size, 'version': encoder.version}
            # When it saves makes no difference to what it becomes.
            recipe = LearningSettings.from_flat({**RECIPE, 'save_interval': 0})
            folder.create(ModelConfig(robot.info, stored, seed, recipe, {}, _now()), encoder.weights())
        super().__init__(folder, robot, encoder, 'curiosity', self._on_progress)

    def _on_progress(self, progress: Progress) -> None:
        if progress.phase in ('wake', MORNING):
            cortex = self.living.cortex
            weights = weights_sha256(self.living.waking.to_bytes(), cortex.sleeping.to_bytes())
            self._tell(cortex.sequence, cortex.cycles, weights)


class Reference:
    """Hashes by (total steps, cycles), lived as far as somebody asks.

    Lives in a thread of its own that waits until more is wanted. Use as a context manager.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self._hashes: dict[tuple[int, int], str] = {}
        self._changed = threading.Condition()
        self._wanted = 0
        self._error: BaseException | None = None
        self._folder, self._seed = folder, seed
        self._thread = threading.Thread(target=self._live, name='reference', daemon=True)
        self._thread.start()

    def __enter__(self) -> 'Reference':
        return self

    def __exit__(self, *_: object) -> None:
        self._want(-1)
        self._thread.join()

    def get(self, steps: int, cycles: int) -> str | None:
        """Returns the hash after `steps` wake steps and `cycles` nights; None where the life never was there."""
        self._want(steps + 1)
        with self._changed:
            self._changed.wait_for(lambda: self._error is not None or self._has_passed(steps))
            if self._error is not None:
                raise UserError('the uninterrupted life ended', found=repr(self._error)) from self._error
            return self._hashes.get((steps, cycles))

    def _has_passed(self, steps: int) -> bool:
        # The night after the last step belongs to it: only the next step says that it is over.
        return any(lived > steps for lived, _ in list(self._hashes)[-1:])

    def _want(self, steps: int) -> None:
        with self._changed:
            self._wanted = -1 if steps < 0 else max(self._wanted, steps)
            self._changed.notify_all()

    def _tell(self, steps: int, cycles: int, weights: str) -> None:
        with self._changed:
            self._hashes[steps, cycles] = weights
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._wanted < 0 or steps < self._wanted)
            if self._wanted < 0:
                raise _EndedError

    def _live(self) -> None:
        try:
            torch.set_num_threads(1)
            folder = ModelFolder(self._folder, 'reference')
            try:
                _RecordedLife(folder, self._seed, self._tell).live(_FOREVER)
            finally:
                folder.close()
        except _EndedError:
            pass
        except BaseException as error:
            with self._changed:
                self._error = error
                self._changed.notify_all()


def live(folder: Path, model: str, seed: int, tell: Callable[[int, int, str], None], steps: int = _FOREVER) -> None:
    """Lives in a folder of its own, for a process that is to be killed; `tell` gets total steps, cycles and hash."""
    torch.set_num_threads(1)
    owned = ModelFolder(folder, model)
    try:
        _RecordedLife(owned, seed, tell).live(steps)
    finally:
        owned.close()


def inspect(models_dir: Path, model: str) -> tuple[int, int, str, list[str]]:
    """Opens a model that nobody owns any more, as its next start does.

    Returns:
        total steps, cycles, hash of its weights, and what had to be left aside.

    Raises:
        UserError: it does not load.
    """
    torch.set_num_threads(1)
    folder = ModelFolder(models_dir, model)
    try:
        if folder.config is None:
            raise UserError(f'model {model!r}', expected='its config.json', found='none')
        cortex = Cortex(folder)
        waking = make_waking_half(cortex.config)
        waking.load_bytes(cortex.waking_bytes)
        weights = weights_sha256(waking.to_bytes(), cortex.sleeping.to_bytes())
        return cortex.sequence, cortex.cycles, weights, cortex.problems
    finally:
        folder.close()


def _now() -> str:
    return datetime.now().isoformat(timespec='seconds')
