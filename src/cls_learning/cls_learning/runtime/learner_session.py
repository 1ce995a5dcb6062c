"""Session of a model in its folder: experiences, sleeps and saves of slow_learner. No ROS."""

from collections.abc import Iterator
from datetime import datetime
import logging
import threading
import uuid

from cls_common.errors import UserError
from cls_common.transition import check, Experience

from .. import state_bytes
from ..brain import check_goal, Goal, ONLINE, OnlineLearner, SleepRun
from ..model_store.config_file import ModelConfig
from ..model_store.folder import ModelFolder
from ..model_store.hashing import weights_sha256
from ..model_store.journal import SleepRecord


def make_online_learner(config: ModelConfig) -> OnlineLearner:
    """Makes the untrained online learner of a model."""
    return config.brain.make_online_learner(config)


class LearnerSession:
    """Opens an existing model, restores its last state from generation and journal, and records every step.

    Attributes:
        consolidator: of its brain.
        writing: lock held while new weights are sent to the fast learner, so that the journal keeps the order: sleep
            first, later experiences after.
        online_bytes: last state of the online learner that was received.
        problems: damaged parts that were ignored on opening, in words.
        last: last experience learned, None where unknown; its observation is the start of the next step.
        relearned: experiences learned again on opening, with their metrics.
        pending: a sleep that was announced but not kept when the process ended: fast_learner knows whether it was.
        metrics: metrics of the last step.
    """

    def __init__(self, folder: ModelFolder, device: str = 'cpu') -> None:
        assert folder.config is not None, 'create the model first'
        self.folder = folder
        self.config = folder.config
        self.brain = self.config.brain
        self.phases = self.brain.phases(self.config.settings)
        self.consolidator = self.brain.make_consolidator(self.config, device)
        self.cycles = 0
        self.metrics: dict[str, float] = {}
        self.problems: list[str] = []
        self.run_id = uuid.uuid4().hex
        self.last: Experience | None = None
        self.relearned: list[tuple[Experience, dict[str, float]]] = []
        self.pending: Goal | None = None
        self.writing = threading.RLock()
        self._open()
        self._written = self.sequence

    def _open(self) -> None:
        online = make_online_learner(self.config)
        found = self.folder.load()
        generation = 0
        if found is not None:
            manifest, parts, self.problems = found
            online.load_bytes(parts.pop(ONLINE))
            self._load_consolidator(parts)
            generation = manifest.number
        self._learn_again(online, self.folder.entries_since(generation))
        self.cycles = online.cycles
        self.last = self._find_last(generation)
        self._anchor(online.to_bytes())

    def _load_consolidator(self, parts: dict[str, bytes]) -> None:
        with state_bytes.refusing('state of the consolidator'):
            self.consolidator.load({name: state_bytes.unpack(data, name) for name, data in parts.items()})

    def _find_last(self, generation: int) -> Experience | None:
        entries = (e for e in self.folder.entries_since(generation) if isinstance(e, Experience))
        return next((e for e in entries if e.sequence == self.sequence), None)

    def _learn_again(self, online: OnlineLearner, entries: Iterator[Experience | SleepRecord]) -> None:
        """Replays the journal, like the log of a database: the same steps give the same weights."""
        for entry in entries:
            if isinstance(entry, Experience):
                self.pending = None
                if entry.sequence > self.sequence:
                    _learn_again(online, entry)
                    self.relearned.append((entry, self.consolidator.learn(entry)))
            elif entry.is_kept:
                self._sleep_again(online, Goal(entry.steps))
            else:
                self.pending = Goal(entry.steps)

    def _sleep_again(self, online: OnlineLearner, goal: Goal) -> None:
        run = self.begin_sleep(online.to_bytes(), goal)
        for _ in run.run():
            pass
        online.load(run.finish())
        self.pending = None

    def _anchor(self, online_bytes: bytes) -> None:
        self.online_bytes = online_bytes
        self._anchor_sequence = self.sequence

    @property
    def sequence(self) -> int:
        """Sequence of the last experience learned."""
        return self.consolidator.sequence

    @property
    def written(self) -> int:
        """Sequence up to which every experience is in the journal."""
        return self._written

    def learn(self, experience: Experience, now: datetime) -> None:
        """Writes an experience to the journal, then learns it and adds its row to the log."""
        if experience.sequence <= self.sequence or not self._is_sound(experience):
            return
        with self.writing:
            if experience.sequence > self._written:
                self.folder.write_down(experience)
                self._written = experience.sequence
        self.last = experience
        self.metrics = self.consolidator.learn(experience)
        row = self.consolidator.wake_row(experience, self.metrics)
        self.folder.log.row('wake', now, step=experience.sequence, cycle=self.cycles, **row)

    def write_down(self, experience: Experience, *, is_last_chance: bool = False) -> None:
        """Writes an experience to the journal before it is learned; from any thread.

        Only the next one in sequence, since missing ones may still arrive and must precede it.

        Args:
            is_last_chance: missing ones can't arrive any more: later experiences are written too.
        """
        with self.writing:
            missed = experience.sequence - self._written - 1
            if (missed == 0 or (missed > 0 and is_last_chance)) and self._is_sound(experience):
                self.folder.write_down(experience)
                self._written = experience.sequence

    def _is_sound(self, experience: Experience) -> bool:
        """Whether an experience is valid; an invalid one is logged and counts as not received."""
        try:
            check(experience.transition, self.config.robot, self.config.shapes)
            self.consolidator.check(experience)
        except UserError as error:
            logging.getLogger(__name__).warning('experience %d refused: %s', experience.sequence, error)
            return False
        return True

    def begin_sleep(self, online_bytes: bytes, goal: Goal) -> SleepRun:
        """Prepares a sleep; run it, then `keep` it or `roll_back`. Raises UserError for an unknown phase."""
        check_goal(goal, self.phases)
        with state_bytes.refusing('state of the online learner'):
            return self.consolidator.begin_sleep(state_bytes.unpack(online_bytes, 'state of the online learner'), goal)

    def announce(self, goal: Goal) -> None:
        """Writes to the journal that the result of a sleep is about to be sent to fast_learner."""
        self.folder.write_down(SleepRecord(goal.steps, is_kept=False))
        self.folder.sync()

    def keep_pending(self, now: datetime) -> None:
        """Repeats the pending sleep, which fast_learner reported as kept."""
        assert self.pending is not None
        goal = self.pending
        run = self.begin_sleep(self.rebuild_online(), goal)
        for _ in run.run():
            pass
        self.keep(run, goal, state_bytes.pack(run.finish()), now)

    def keep(self, run: SleepRun, goal: Goal, online_bytes: bytes, now: datetime) -> None:
        """Keeps a finished sleep and the online learner that its `finish` returned, and logs it."""
        self.folder.write_down(SleepRecord(goal.steps, is_kept=True))
        self.cycles += 1
        self.pending = None
        self._anchor(online_bytes)
        self._log_sleep('sleep', run, now)

    def roll_back(self, run: SleepRun, now: datetime) -> None:
        """Discards a sleep; one that the gate refused is counted and logged."""
        run.roll_back()
        if run.verdict.rolled_back:
            self._log_sleep('rolled_back', run, now)

    def _log_sleep(self, event: str, run: SleepRun, now: datetime) -> None:
        row = self.consolidator.sleep_row(run)
        self.folder.log.row(event, now, step=self.sequence, cycle=self.cycles, **row)

    def status_metrics(self) -> dict[str, float]:
        """Returns the metrics of the last step and of the brain, by name."""
        ages: dict[str, float] = {'interaction_steps': self.sequence, 'consolidation_count': self.cycles}
        return self.metrics | self.consolidator.metrics() | ages

    @property
    def save_is_due(self) -> bool:
        """Whether this cycle ends with a save."""
        interval = self.consolidator.save_interval
        return interval > 0 and self.cycles % interval == 0

    def parts(self, online_bytes: bytes) -> dict[str, bytes]:
        """Returns the whole model as safetensors by part."""
        return {ONLINE: online_bytes} | {
            name: state_bytes.pack(state) for name, state in self.consolidator.state().items()
        }

    def weights_sha256(self, online_bytes: bytes) -> str:
        """Returns the hash of the weights as they are now, 64 hex digits."""
        return weights_sha256(self.parts(online_bytes), self.brain.is_weight)

    def save(self, online_bytes: bytes, now: datetime) -> int:
        """Writes the next generation: a consistent cut at `sequence`; returns its number."""
        number = self.folder.save(
            self.parts(online_bytes), run_id=self.run_id, sequence=self.sequence, cycles=self.cycles, now=now
        )
        self._anchor(online_bytes)
        self.folder.log.row('save', now, step=self.sequence, cycle=self.cycles, **self.consolidator.save_row())
        self.folder.sync()
        return number

    def rebuild_online(self, *, without_last: bool = False) -> bytes:
        """Returns the present online learner for a restarted fast_learner: the last state received and all steps since.

        Args:
            without_last: the state before the last step, for a fast_learner that learns that step again and with it
                chooses the action that followed.
        """
        self.folder.sync()
        online = make_online_learner(self.config)
        online.load_bytes(self.online_bytes)
        for entry in self.folder.entries_since(self.folder.generation):
            is_last = isinstance(entry, Experience) and entry.sequence == self.sequence
            if isinstance(entry, Experience) and entry.sequence > self._anchor_sequence:
                if is_last and without_last:
                    continue
                _learn_again(online, entry)
        return online.to_bytes()

    def adopt(self, online_bytes: bytes, sequence: int, run_id: str, now: datetime) -> None:
        """Continues from an online learner whose last experiences were not received, and saves; they count as a gap."""
        if sequence < self.sequence:
            raise UserError('fast_learner', expected=f'step {self.sequence} or later', found=f'step {sequence}')
        online = make_online_learner(self.config)
        online.load_bytes(online_bytes)
        self.consolidator.adopt(online)
        self.cycles = online.cycles
        self._written = sequence
        self.run_id = run_id
        self.save(online_bytes, now)


def _learn_again(online: OnlineLearner, entry: Experience) -> None:
    """Repeats the learning of one step.

    Steps that slow_learner did not receive are missing in the journal. Sequence and episode come from the entry, so
    that a later episode can't get the number of one in memory.
    """
    online.total_steps = entry.sequence - 1
    online.learn(entry.transition, entry.episode)


def cycles_of(online_bytes: bytes) -> int:
    """Returns the sleeps kept by an online learner, from its state."""
    return int(state_bytes.unpack(online_bytes, 'state of the online learner')['counters.cycles'])
