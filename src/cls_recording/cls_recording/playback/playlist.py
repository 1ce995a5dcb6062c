"""Sessions of a replay in order, and the position among them."""

from collections.abc import Iterator, Sequence
import contextlib

from cls_common.errors import UserError
from cls_common.transition import EMBEDDING

from .items import Boundary, Item
from .playback_clock import PlaybackClock
from .session_stream import EncoderAnswer, MakeInfo, SessionStream, StreamSelection
from .settings import PlayerSettings
from .sources import Source


class Playlist:
    """Sessions in order, one of which is open.

    Attributes:
        sources: the sessions. index: of the open one.
        selection: form of observations to publish; None until the encoder answered.
        next: the next message; None at the end of the session, and before the selection is made.
        clock: the position in log time.
    """

    def __init__(self, sources: Sequence[Source], settings: PlayerSettings, make_info: MakeInfo) -> None:
        self.sources, self.index = sources, 0
        self.clock = PlaybackClock(settings.rate)
        self._settings, self._make_info = settings, make_info
        self._stack = contextlib.ExitStack()
        self.open(0)

    def open(self, index: int, position: float | None = None) -> None:
        """Opens a session, at its start or a position in s; raises UserError for an invalid position."""
        if not 0 <= index < len(self.sources):
            raise UserError('session_index', expected=f'0 to {len(self.sources) - 1}', found=str(index))
        source = self.sources[index]
        if position is not None and not 0.0 <= position <= source.duration:
            raise UserError('position', expected=f'0 to {source.duration:.3f} s', found=f'{position:g}')
        self._stack.close()
        self.index = index
        self._start_ns = None if position is None else source.start_ns + round(position * 1e9)
        self._stream = self._stack.enter_context(contextlib.closing(SessionStream(source, self._make_info)))
        self.selection: StreamSelection | None = StreamSelection.choose(source, self._settings, None)
        self.next: Item | Boundary | None = None
        self._entries: Iterator[Item | Boundary] | None = None
        self.clock.jump(source.start_ns if self._start_ns is None else self._start_ns)

    @property
    def source(self) -> Source:
        """The open session."""
        return self.sources[self.index]

    @property
    def info(self) -> bytes:
        """Description of the robot, CDR, at the position where the session was opened."""
        return self._stream.info(self._start_ns)

    @property
    def broken(self) -> tuple[int, str]:
        """Number of images of the open session that could not be decoded so far, and the problem of the first."""
        return self._stream.broken, self._stream.problem

    @property
    def is_last(self) -> bool:
        """Whether no session comes after this one."""
        return self.index + 1 == len(self.sources)

    def on_encoder(self, answer: EncoderAnswer) -> Item | None:
        """Makes the selection from the encoder's description.

        Returns:
            message to publish first, if the encoder has no id before its first observation; the request
                is then repeated.
        """
        if self.selection is not None:
            return None
        selection = StreamSelection.choose(self.source, self._settings, answer)
        if selection is not None and not answer.encoder_id:
            return self._stream.first(selection.senses[EMBEDDING])
        self.selection = selection
        return None

    def first_vectors(self) -> list[Item]:
        """Returns the first message of each vector that the learner perceives: a new model is made with its length."""
        topics = self.selection.vectors if self.selection is not None else []
        return [item for item in map(self._stream.first, topics) if item is not None]

    def begin(self) -> bool:
        """Reads the first message into `next`; returns False before the selection is made."""
        if self.selection is None:
            return False
        if self._entries is None:
            self._entries = self._stream.entries(self.selection, self._start_ns)
            self.step()
        return True

    def step(self) -> None:
        """Advances `next` to the message after it."""
        assert self._entries is not None
        self.next = next(self._entries, None)

    @property
    def position(self) -> float:
        """s from the session's start."""
        return max(0.0, min((self.clock.position_ns - self.source.start_ns) * 1e-9, self.source.duration))

    @property
    def progress(self) -> float:
        """Share of all sessions that was played, 0 to 1."""
        total = sum(source.duration for source in self.sources)
        played = sum(source.duration for source in self.sources[: self.index]) + self.position
        return played / total if total > 0 else 0.0

    def seconds_until_next(self) -> float:
        """Returns the time until the next message is due, s, if no answer is pending."""
        return 0.0 if self.next is None else self.clock.seconds_until(self.next.log_ns)

    def close(self) -> None:
        """Closes the files."""
        self._stack.close()
