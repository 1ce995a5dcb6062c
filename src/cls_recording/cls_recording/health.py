"""How good a session is, as material to learn from: what it holds, what it lacks, and a verdict. No ROS here."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
import struct
from typing import Any

from mcap.reader import make_reader

from cls_common import comms
from cls_common.errors import UserError

from . import bag
from .actions import ActionCounter, Actions
from .gaps import GapFinder, Gaps
from .reader import SessionReader
from .session import SessionInfo

GOOD, FAIR, BAD = 'good', 'fair', 'bad'
# One image in a hundred: windows of four images then still hold in 96 of 100 cases.
_FRAMES_SHARE = 0.01
# A recorder writes in the order of its clock, but for the threads that wait for each other.
_DISORDER_NS = 100_000_000


@dataclass(frozen=True)
class TopicHealth:
    """A topic's type, messages and messages a second."""

    type: str
    count: int
    rate: float


@dataclass(frozen=True)
class Health:
    """A session, examined.

    Attributes:
        path: its folder.
        info: what it says of itself.
        start, end: log time, ns. size: bytes on disk.
        topics: by relative name.
        verdict: good, fair (gaps that learning gets over) or bad (it lacks what learning needs, or lost it).
        reasons: why it is not good, one line each.
    """

    path: Path
    info: SessionInfo
    start: int
    end: int
    size: int
    topics: Mapping[str, TopicHealth]
    actions: Actions
    gaps: Gaps
    verdict: str
    reasons: tuple[str, ...]

    @property
    def duration(self) -> float:
        """Length by log time, s."""
        return (self.end - self.start) * 1e-9


def examine(path: Path) -> Health:
    """Reads a session once, without decoding any image; raises UserError as SessionReader does."""
    with SessionReader(path) as session:
        robot = session.info.robot
        gaps, actions = _read(session, GapFinder(bool(robot and robot.lock_step)), ActionCounter(robot))
        duration = max((session.end - session.start) * 1e-9, 1e-9)
        topics = {
            name: TopicHealth(topic.type, topic.count, topic.count / duration) for name, topic in session.topics.items()
        }
        gaps.clock_jumps += _steps_back(path)
        bad, fair = _lacks(session.info, topics, actions), _flaws(gaps, session.info)
        lost = [f'{session.info.dropped} messages dropped'] if session.info.dropped else []
        return Health(
            path=path, info=session.info, start=session.start, end=session.end, size=bag.size(path), topics=topics,
            actions=actions, gaps=gaps, verdict=BAD if bad or lost else FAIR if fair else GOOD,
            reasons=(*bad, *lost, *fair),
        )  # fmt: skip


def _read(session: SessionReader, finder: GapFinder, counter: ActionCounter) -> tuple[Gaps, Actions]:
    seers = {
        comms.ROBOT_INFO.name: finder.see_robot, comms.ROBOT_STATE.name: finder.see_state,
        comms.APPLIED_ACTION.name: counter.see,
    }  # fmt: skip
    for event in session.raw():
        try:
            finder.see_raw(event)
        except (struct.error, IndexError, UnicodeDecodeError) as error:
            raise UserError(
                f'session {session.path}, topic {event.topic!r}', expected=f'messages of type {event.type}',
                found=repr(error),
            ) from error  # fmt: skip
        if seer := seers.get(event.topic):
            seer(session.decode(event).message)
    return finder.finish(), counter.finish()


def _lacks(info: SessionInfo, topics: Mapping[str, Any], actions: Actions) -> list[str]:
    seen = {comms.IMAGE.name, comms.COMPRESSED.name, comms.EMBEDDING.name} & set(topics)
    senses = seen or {name for name in topics if name.startswith(comms.OBSERVATION_PREFIX)}
    lacks = [] if info.robot else [f'no {comms.ROBOT_INFO.name}: nobody knows what actions mean']
    lacks += [] if senses else ['no images, embeddings or observations: nothing to learn from']
    lacks += [] if actions.accepted else ['no action that was carried out: nothing to learn from']
    return lacks


def _flaws(gaps: Gaps, info: SessionInfo) -> list[str]:
    share = gaps.dropped_frames / max(gaps.dropped_frames + gaps.frames, 1)
    counts = {
        'clock jumps': gaps.clock_jumps, 'silences of more than 5 s': gaps.silences,
        'reconnects of the robot': gaps.reconnects, 'times the learner began anew': gaps.lives,
        'actions missing in their numbers': gaps.missing_actions,
        'experiences missing in their numbers': gaps.missing_experiences,
        'messages lost on their way to the recorder': info.lost,
    }  # fmt: skip
    flaws = [f'{gaps.dropped_frames} images missing ({share:.1%})'] if share > _FRAMES_SHARE else []
    flaws += [f'{count} {what}' for what, count in counts.items() if count]
    flaws += [f'{count} times: {text}' for text, count in gaps.faults.items()]
    return flaws + ([f'repaired: {info.repaired}'] if info.repaired else [])


def _steps_back(path: Path) -> int:
    """Times that log time went back between two chunks; read in their order, messages no longer show it."""
    steps, last = 0, 0
    for name in bag.storage_files(path):
        if name.endswith('.mcap'):
            with (path / name).open('rb') as stream:
                summary = make_reader(stream).get_summary()
            chunks = sorted(summary.chunk_indexes, key=lambda chunk: chunk.chunk_start_offset) if summary else []
            for chunk in chunks:
                steps += chunk.message_start_time < last - _DISORDER_NS
                last = chunk.message_end_time
    return steps
