"""The folder models/<name>/: its lock, config.json, generations, journal and training.log."""

from collections.abc import Iterator
import contextlib
from dataclasses import replace
from datetime import datetime
import hashlib
import json
from pathlib import Path
import re
import shutil
import threading
from typing import Any

from cls_common.errors import UserError
from cls_common.registry import split
from cls_common.robot import RobotInfo
from cls_common.transition import Experience
from cls_perception import encoders
from cls_perception.settings import ENCODERS

from . import config_file, generations, journal, ownership
from .config_file import ModelConfig
from .files import write_whole
from .hashing import weights_sha256
from .training_log import TrainingLog


class ModelFolder:
    """The folder of one model, locked by this process until `close`.

    The lock is one of the kernel, which ends with the process.

    Attributes:
        path: of the folder. config: None until the model is created.
        generation: number of the newest generation, 0 before the first save.
    """

    def __init__(self, models_dir: Path, name: str) -> None:
        if not re.fullmatch(r'[A-Za-z0-9][A-Za-z0-9_.-]*', name):
            raise UserError(f'model name {name!r}', expected='letters, digits, dot, dash and underscore')
        self.path = models_dir / name
        self._is_new = False
        try:
            self._made = [folder for folder in (self.path, models_dir) if not folder.exists()]
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f'model folder {self.path}', expected='a folder to write in', found=str(error)) from error
        ownership.check_access(self.path)
        try:
            self._lock = ownership.take(self.path)
        except UserError:
            self._remove_empty()
            raise
        try:
            self.config = self._read_config()
        except UserError:
            self._lock.release()
            raise
        self.generation = (generations.numbers(self._generations) or [0])[-1]
        self._damaged: list[int] = []
        self._journal: journal.JournalWriter | None = None
        self._writing = threading.Lock()
        self._log: TrainingLog | None = None

    @property
    def log(self) -> TrainingLog:
        """The model's training.log, with the columns of its brain."""
        assert self.config is not None, 'create the model first'
        if self._log is None:
            self._log = TrainingLog(self.path / 'training.log', self.config.brain.columns)
        return self._log

    @property
    def _generations(self) -> Path:
        return self.path / 'generations'

    def _read_config(self) -> ModelConfig | None:
        path = self.path / 'config.json'
        if not path.exists():
            return None
        return ModelConfig.from_json(path.read_text(encoding='utf-8', errors='replace'), str(path))

    def create(self, config: ModelConfig, encoder_weights: bytes = b'') -> None:
        """Creates the model: first its encoder, last config.json, in which only the accepted robots change later.

        Raises:
            UserError: the model exists, or its robot lacks the modality of its encoder.
        """
        name = str(config.encoder.get('name', ''))
        if split(name)[0] in ENCODERS.names():
            encoders.check_sense(name, config.robot)
        if self.config is not None:
            raise UserError(f'model {self.path.name!r}', expected='a new name', found='an existing model')
        if generations.numbers(self._generations) or any((self.path / 'journal').glob('*.journal')):
            raise UserError(
                f'model {self.path.name!r}',
                expected='its config.json',
                found='what it learned, but no config.json',
                do='Restore config.json from a copy, or choose another model name.',
            )
        if config.encoder:
            self._store_encoder(config.encoder, encoder_weights)
        config_file.write(self.path / 'config.json', config)
        self.config, self._is_new = config, True

    def _store_encoder(self, config: dict[str, Any], weights: bytes) -> None:
        folder = self.path / 'encoder'
        folder.mkdir(exist_ok=True)
        write_whole(folder / 'weights.safetensors', weights)
        stored = {**config, 'sha256': hashlib.sha256(weights).hexdigest()}
        write_whole(folder / 'config.json', json.dumps(stored, indent=2).encode())

    def accept_robot(self, robot: RobotInfo) -> None:
        """Adds a robot to the accepted ones in config.json.

        Raises:
            UserError: its actions or joints differ.
        """
        assert self.config is not None, 'create the model first'
        names = (self.config.robot.name, *self.config.accepted_robots)
        if robot.name not in names:
            changed = replace(self.config, accepted_robots=(*names[1:], robot.name))
            changed.check_robot(robot)
            config_file.write(self.path / 'config.json', changed)
            self.config = changed

    def load(self) -> tuple[generations.Manifest, dict[str, bytes], list[str]] | None:
        """Reads the newest intact generation: manifest, parts and problems of damaged ones; None before the first save.

        Raises:
            UserError: no generation is intact, or one is of a newer version.
        """
        problems: list[str] = []
        for number in reversed(generations.numbers(self._generations)):
            try:
                manifest, parts = generations.read(self._generations, number)
                return manifest, parts, problems
            except UserError as error:
                if 'newer version' in str(error):
                    raise
                problems.append(str(error))
                self._damaged.append(number)
        if problems:
            raise UserError(
                f'model {self.path.name!r}',
                expected='one whole generation',
                found='; '.join(problems),
                do='Restore the folder from a copy, or choose another model name.',
            )
        return None

    def entries_since(self, generation: int) -> Iterator[Experience | journal.SleepRecord]:
        """Yields the entries of the journals after a generation, and earlier experiences of the journal before.

        Experiences that arrived while the generation was written are in the journal before it; sleeps are not.
        """
        for path in sorted((self.path / 'journal').glob('*.journal')):
            if int(path.stem) >= generation:
                yield from journal.read(path)
            elif int(path.stem) == generation - 1:
                yield from (entry for entry in journal.read(path) if isinstance(entry, Experience))

    def write_down(self, entry: Experience | journal.SleepRecord) -> None:
        """Appends to the journal after the newest generation; from any thread, also during a save."""
        with self._writing:
            if self._journal is None:
                self._journal = journal.JournalWriter(self.path / 'journal' / f'{self.generation:06d}.journal')
            if isinstance(entry, Experience):
                self._journal.experience(entry)
            else:
                self._journal.sleep(entry)

    def save(self, parts: dict[str, bytes], *, run_id: str, sequence: int, cycles: int, now: datetime) -> int:
        """Writes the next generation and begins a new journal; removes journals that no generation needs."""
        assert self.config is not None
        weights = weights_sha256(parts, self.config.brain.is_weight)
        number = generations.write(
            self._generations,
            parts,
            weights=weights,
            run_id=run_id,
            sequence=sequence,
            cycles=cycles,
            created_at=now.isoformat(timespec='seconds'),
            damaged=self._damaged,
        )
        with self._writing:
            self.generation = number
            if self._journal is not None:
                self._journal.close()
                self._journal = None
        oldest = generations.numbers(self._generations)[0]
        for path in (self.path / 'journal').glob('*.journal'):
            if int(path.stem) < oldest - 1:
                path.unlink()
        return self.generation

    def sync(self) -> None:
        """Flushes journal and log to disk; call it twice a second."""
        if self._journal is not None:
            self._journal.sync()
        self.log.flush()

    def close(self, *, keep_unlearned: bool = True) -> None:
        """Releases the lock, once. A folder without a model is removed.

        Args:
            keep_unlearned: False: a model that was created here and has learned nothing is removed too, so that its
                config.json does not refuse other settings at the next start.
        """
        if not self._lock.is_locked:
            return
        if self._journal is not None:
            self._journal.close()
        if self._log is not None:
            self._log.close()
        if self._is_new and not keep_unlearned and not self._has_learned():
            (self.path / 'config.json').unlink(missing_ok=True)
            shutil.rmtree(self.path / 'encoder', ignore_errors=True)
            self.config = None
        if self.config is None and not self._has_learned():
            self._remove_empty()
        self._lock.release()

    def _has_learned(self) -> bool:
        return bool(generations.numbers(self._generations)) or any((self.path / 'journal').glob('*.journal'))

    def _remove_empty(self) -> None:
        """Removes a folder without a model if it was created here; other files in it stay."""
        if self.path not in self._made:
            return
        with contextlib.suppress(OSError):
            for name in ('owner.json', 'training.log', 'lock'):
                (self.path / name).unlink(missing_ok=True)
            for folder in self._made:
                folder.rmdir()
