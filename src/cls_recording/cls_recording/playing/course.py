"""Where a replay is among its sessions, and what comes next there."""

from collections.abc import Iterator, Sequence
import contextlib

from cls_common.errors import UserError

from .items import Break, Item
from .pace import Pace
from .reading import Choice, EncoderAnswer, MakeInfo, Reading
from .settings import PlayerSettings
from .sources import Source


class Course:
    """Sessions in order, one of them open.

    Attributes:
        sources: the sessions. index: of the open one.
        choice: which form of what was seen goes out; None before the encoder was asked.
        next: what comes next; None at the end of the session, and before the choice is made.
        pace: the position in log time.
    """

    def __init__(self, sources: Sequence[Source], settings: PlayerSettings, make_info: MakeInfo) -> None:
        self.sources, self.index = sources, 0
        self.pace = Pace(settings.rate)
        self._settings, self._make_info = settings, make_info
        self._stack = contextlib.ExitStack()
        self.open(0)

    def open(self, index: int, position: float | None = None) -> None:
        """Opens a session, at its start or a position in s; raises UserError for a place that there is not."""
        if not 0 <= index < len(self.sources):
            raise UserError('session_index', expected=f'0 to {len(self.sources) - 1}', found=str(index))
        source = self.sources[index]
        if position is not None and not 0.0 <= position <= source.duration:
            raise UserError('position', expected=f'0 to {source.duration:.3f} s', found=f'{position:g}')
        self._stack.close()
        self.index = index
        self._start_ns = None if position is None else source.start_ns + round(position * 1e9)
        self._reading = self._stack.enter_context(contextlib.closing(Reading(source, self._make_info)))
        self.choice: Choice | None = Choice.make(source, self._settings, None)
        self.next: Item | Break | None = None
        self._entries: Iterator[Item | Break] | None = None
        self.pace.jump(source.start_ns if self._start_ns is None else self._start_ns)

    @property
    def source(self) -> Source:
        """The open session."""
        return self.sources[self.index]

    @property
    def info(self) -> bytes:
        """Description of the robot, CDR, at the place where the session was opened."""
        return self._reading.info(self._start_ns)

    @property
    def broken(self) -> tuple[int, str]:
        """Images of the open session that could not be decoded so far, and the problem of the first."""
        return self._reading.broken, self._reading.problem

    @property
    def is_last(self) -> bool:
        """Whether no session comes after this one."""
        return self.index + 1 == len(self.sources)

    def hear_encoder(self, answer: EncoderAnswer) -> Item | None:
        """Makes the choice by what the encoder says of itself.

        Returns:
            what to show it, where it has to see something before it knows what it is; then it is asked again.
        """
        if self.choice is not None:
            return None
        choice = Choice.make(self.source, self._settings, answer)
        if choice is not None and not answer.encoder_id:
            return self._reading.first_sense(choice)
        self.choice = choice
        return None

    def begin(self) -> bool:
        """Makes `next` known; returns whether that is possible yet."""
        if self.choice is None:
            return False
        if self._entries is None:
            self._entries = self._reading.entries(self.choice, self._start_ns)
            self.step()
        return True

    def step(self) -> None:
        """Goes past `next`."""
        assert self._entries is not None
        self.next = next(self._entries, None)

    @property
    def position(self) -> float:
        """s from the session's start."""
        return max(0.0, min((self.pace.position_ns - self.source.start_ns) * 1e-9, self.source.duration))

    @property
    def progress(self) -> float:
        """Share of all sessions that was played, 0 to 1 (row 001-087)."""
        total = sum(source.duration for source in self.sources)
        played = sum(source.duration for source in self.sources[: self.index]) + self.position
        return played / total if total > 0 else 0.0

    def seconds_until_next(self) -> float:
        """Returns s until the next message is due, as far as time alone decides."""
        return 0.0 if self.next is None else self.pace.seconds_until(self.next.log_ns)

    def close(self) -> None:
        """Closes the files."""
        self._stack.close()
