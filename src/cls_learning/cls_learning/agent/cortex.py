"""A model in its folder: what slow_learner does with experiences, nights and saves, without ROS."""

from collections.abc import Iterator
from datetime import datetime
import logging
import threading
import uuid

from cls_common.errors import UserError

from ..checkpoints.config_file import ModelConfig
from ..checkpoints.folder import ModelFolder
from ..checkpoints.journal import LivedNight
from ..consolidation.night import Goal
from ..types import Experience
from . import log_rows
from .skill import SkillWindow
from .sleeping import Night, SleepingHalf
from .waking import check, WakingHalf


def make_waking_half(config: ModelConfig) -> WakingHalf:
    """Makes the untrained waking half of a model."""
    return WakingHalf(config.settings, config.robot, config.z_size, config.seed)


class Cortex:
    """Opens a created model, goes on where it stopped, and keeps every step.

    Attributes:
        writing: lock held while new weights are sent to the fast learner, so that the journal keeps the order: sleep
            first, later experiences after.
        waking_bytes: the waking half as it was after `sequence` when last handed over.
        problems: what had to be left aside while opening, for people.
        last: the last step learned here, None where none is known; from its z_next the chain goes on.
        relived: Slow's error before learning and the error of copying z, of each step learned while opening.
        pending: a night that was about to be kept when all this ended: only Fast knows whether it was.
        skill: of Slow's acting weights, scored before learning.
    """

    def __init__(self, folder: ModelFolder, device: str = 'cpu') -> None:
        assert folder.config is not None, 'create the model first'
        self.folder = folder
        self.config = folder.config
        config = folder.config
        self.sleeping = SleepingHalf(config.settings, config.robot, config.z_size, config.seed, device)
        self.skill = SkillWindow()
        self.cycles = 0
        self.metrics: dict[str, float] = {}
        self.problems: list[str] = []
        self.run_id = uuid.uuid4().hex
        self.last: Experience | None = None
        self.relived: list[tuple[float, float]] = []
        self.pending: Goal | None = None
        self.writing = threading.RLock()
        self._open()
        self._written = self.sequence

    def _open(self) -> None:
        waking = make_waking_half(self.config)
        found = self.folder.load()
        generation = 0
        if found is not None:
            manifest, parts, self.problems = found
            waking.load_bytes(parts['waking.safetensors'])
            self.sleeping.load_bytes(parts['sleeping.safetensors'], parts['replay.safetensors'])
            generation = manifest.number
        self._relive(waking, self.folder.lived_since(generation))
        self.cycles = waking.cycles
        self.last = self._find_last(generation)
        self._anchor(waking.to_bytes())

    def _find_last(self, generation: int) -> Experience | None:
        lived = (e for e in self.folder.lived_since(generation) if isinstance(e, Experience))
        return next((e for e in lived if e.sequence == self.sequence), None)

    def _relive(self, waking: WakingHalf, lived: Iterator[Experience | LivedNight]) -> None:
        """Learns the journal again, as a database does with its log: the same steps, the same weights."""
        for entry in lived:
            if isinstance(entry, Experience):
                self.pending = None
                if entry.sequence > self.sleeping.sequence:
                    _relearn(waking, entry)
                    error = self.sleeping.learn(entry).get('slow_error', float('nan'))
                    self.relived.append((error, entry.copy_error))
            elif entry.is_kept:
                self._sleep_again(waking, Goal(entry.steps))
            else:
                self.pending = Goal(entry.steps)

    def _sleep_again(self, waking: WakingHalf, goal: Goal) -> None:
        night = self.sleeping.begin_night(waking.to_bytes(), goal)
        for _ in night.run():
            pass
        waking.load_bytes(night.finish())
        self.pending = None

    def _anchor(self, waking_bytes: bytes) -> None:
        self.waking_bytes = waking_bytes
        self._anchor_sequence = self.sleeping.sequence

    @property
    def sequence(self) -> int:
        """Total wake steps of the model's life that were learned here."""
        return self.sleeping.sequence

    @property
    def written(self) -> int:
        """Every experience up to this sequence is in the journal."""
        return self._written

    def learn(self, experience: Experience, now: datetime) -> None:
        """Writes an experience to the journal, then learns it and adds its row to the log (row 000-075)."""
        if experience.sequence <= self.sequence or not self._is_sound(experience):
            return
        with self.writing:
            if experience.sequence > self._written:
                self.folder.write_down(experience)
                self._written = experience.sequence
        self.last = experience
        self.metrics = self.sleeping.learn(experience)
        self.skill.add(self.metrics.get('slow_error', float('nan')), experience.copy_error)
        row = log_rows.wake(self.sleeping, experience, self.metrics)
        self.folder.log.row('wake', now, cycle=self.cycles, **row)

    def write_down(self, experience: Experience, *, is_last_chance: bool = False) -> None:
        """Writes an experience to the journal before its turn to be learned comes; from any thread.

        Only the very next one: what was missed may still be had, and then comes first. At the `is_last_chance`, any.
        """
        with self.writing:
            missed = experience.sequence - self._written - 1
            if (missed == 0 or (missed > 0 and is_last_chance)) and self._is_sound(experience):
                self.folder.write_down(experience)
                self._written = experience.sequence

    def _is_sound(self, experience: Experience) -> bool:
        """Whether it can be learned from: else it counts as never heard, and one NaN does not spoil the memory."""
        try:
            check(experience.transition, self.config.robot, self.config.z_size)
        except UserError as error:
            logging.getLogger(__name__).warning('experience %d refused: %s', experience.sequence, error)
            return False
        return experience.prediction_after.shape == (self.config.z_size,)

    def begin_night(self, waking_bytes: bytes, goal: Goal) -> Night:
        """Prepares a night; run it, then `keep` it or `take_back`."""
        return self.sleeping.begin_night(waking_bytes, goal)

    def announce(self, goal: Goal) -> None:
        """Writes down that a finished night is about to be told to Fast: until `keep` only Fast knows how it went."""
        self.folder.write_down(LivedNight(goal.steps, is_kept=False))
        self.folder.sync()

    def keep_pending(self, now: datetime) -> None:
        """Sleeps the pending night again: Fast woke up from it, so it was kept."""
        assert self.pending is not None
        goal = self.pending
        waking = make_waking_half(self.config)
        waking.load_bytes(self.rebuild_waking())
        night = self.begin_night(waking.to_bytes(), goal)
        for _ in night.run():
            pass
        self.keep(night, goal, night.finish(), now)

    def keep(self, night: Night, goal: Goal, waking_bytes: bytes, now: datetime) -> None:
        """Keeps a finished night, whose `finish` gave these bytes, and logs it."""
        self.folder.write_down(LivedNight(goal.steps, is_kept=True))
        self.cycles += 1
        self.pending = None
        self._anchor(waking_bytes)
        self.folder.log.row('sleep', now, cycle=self.cycles, **log_rows.sleep(self.sleeping, night))

    def take_back(self, night: Night, now: datetime) -> None:
        """Makes a night that is not kept as if it had never been; one that the gate refused is counted and logged."""
        night.roll_back()
        if night.verdict.rolled_back:
            self.folder.log.row('rolled_back', now, cycle=self.cycles, **log_rows.sleep(self.sleeping, night))

    def network_statistics(self) -> dict[str, float]:
        """Returns sizes and ages (row 000-055); the ratio is Slow's parameters over Fast's."""
        fast, slow = self.sleeping.parameter_counts()
        return {
            'fast_learner_params': fast, 'slow_learner_params': slow, 'param_ratio': slow / fast,
            'interaction_steps': self.sequence, 'consolidation_count': self.cycles,
        }  # fmt: skip

    @property
    def save_is_due(self) -> bool:
        """Whether this cycle ends with a save (row 000-048)."""
        interval = self.config.settings.save_interval
        return interval > 0 and self.cycles % interval == 0

    def save(self, waking_bytes: bytes, now: datetime) -> int:
        """Writes the next generation: a consistent cut at `sequence`; returns its number."""
        parts = {
            'waking.safetensors': waking_bytes,
            'sleeping.safetensors': self.sleeping.to_bytes(),
            'replay.safetensors': self.sleeping.memory_to_bytes(),
        }
        number = self.folder.save(parts, run_id=self.run_id, sequence=self.sequence, cycles=self.cycles, now=now)
        self._anchor(waking_bytes)
        self.folder.log.row('save', now, step=self.sequence, cycle=self.cycles, replay_size=len(self.sleeping.memory))
        self.folder.sync()
        return number

    def rebuild_waking(self, *, without_last: bool = False) -> bytes:
        """Returns the waking half as it must be now: the last one handed over, and what was lived since.

        For a fast_learner that died and came back with nothing.

        Args:
            without_last: as it was before the last step was learned, where that was lived since: for who learns it
                again, and with it chooses the action that followed.
        """
        self.folder.sync()
        waking = make_waking_half(self.config)
        waking.load_bytes(self.waking_bytes)
        for entry in self.folder.lived_since(self.folder.generation):
            is_last = isinstance(entry, Experience) and entry.sequence == self.sequence
            if isinstance(entry, Experience) and entry.sequence > self._anchor_sequence:
                if is_last and without_last:
                    continue
                _relearn(waking, entry)
        return waking.to_bytes()

    def adopt(self, waking_bytes: bytes, sequence: int, run_id: str, now: datetime) -> None:
        """Takes over a Fast that went on while nobody listened, and saves: its steps are counted as a gap."""
        if sequence < self.sequence:
            raise UserError('fast_learner', expected=f'step {self.sequence} or later', found=f'step {sequence}')
        waking = make_waking_half(self.config)
        waking.load_bytes(waking_bytes)
        # What it saw meanwhile, and a night that it woke from while we died before writing it down.
        self.sleeping.take_normalizer(waking)
        self.cycles = waking.cycles
        self.sleeping.gaps += sequence - self.sequence
        self.sleeping.sequence = self._written = sequence
        self.run_id = run_id
        self.save(waking_bytes, now)


def _relearn(waking: WakingHalf, entry: Experience) -> None:
    """Lets Fast learn a step again.

    Steps that slow_learner never heard are lost to the journal; counting goes on from what it heard, episodes too, or
    a later one could take the number of one that memory holds (H2).
    """
    waking.total_steps = entry.sequence - 1
    waking.learn(entry.transition, entry.episode)
