"""Judges a session as training data: contents, defects and a verdict. No ROS here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cls_common import comms
from cls_common.errors import UserError
from cls_common.stamps import to_nanoseconds

from .. import bag, cdr_fields
from ..reader import RawEvent, SessionReader
from ..session import SessionInfo
from .action_statistics import ActionCounter, Actions
from .image_check import CAMERAS, image_problem, UNREADABLE
from .sequence_gaps import GapCounter, Gaps
from .stamp_pairing import Pairing

GOOD, FAIR, BAD = 'good', 'fair', 'bad'
# One image in a hundred: windows of four images are then complete in 96 of 100 cases.
_FRAMES_SHARE = 0.01
# Topics that complete a learner's step, beside observations.
_OBSERVED = (*CAMERAS, comms.EMBEDDING.name)


@dataclass(frozen=True)
class TopicRate:
    """A topic's message type, number of messages and rate, Hz."""

    type: str
    count: int
    rate: float


@dataclass(frozen=True)
class SessionQuality:
    """Quality of a session.

    Attributes:
        path: its folder.
        info: its metadata.
        start, end: log time, ns. size: bytes on disk.
        topics: by relative name.
        verdict: good, fair (gaps that learning tolerates) or bad (data that learning needs is missing or was lost).
        reasons: for a verdict other than good, one line each.
        bad_frames: images that can't be decoded. left_out: topics that can't be read, and why.
    """

    path: Path
    info: SessionInfo
    start: int
    end: int
    size: int
    topics: Mapping[str, TopicRate]
    actions: Actions
    gaps: Gaps
    verdict: str
    reasons: tuple[str, ...]
    bad_frames: int = 0
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def duration(self) -> float:
        """Length by log time, s."""
        return (self.end - self.start) * 1e-9


def examine(path: Path) -> SessionQuality:
    """Reads a session once, without decoding any image; raises UserError as SessionReader does."""
    with SessionReader(path) as session:
        scan = _SessionScan(session)
        for event in session.raw(by_time=False):
            scan.add(event)
        gaps, actions = scan.finder.finish(), scan.counter.finish()
        duration = max((session.end - session.start) * 1e-9, 1e-9)
        topics = {
            name: TopicRate(topic.type, topic.count, topic.count / duration) for name, topic in session.topics.items()
        }
        useless, unpaired = scan.pairing.problems()
        bad = _missing(session.info, topics, actions) + ([] if comms.EXPERIENCE.name in topics else useless)
        fair = _defects(gaps, session.info) + scan.broken + unpaired
        lost = [f'{session.info.dropped} messages dropped'] if session.info.dropped else []
        return SessionQuality(
            path=path,
            info=session.info,
            start=session.start,
            end=session.end,
            size=bag.size(path),
            topics=topics,
            actions=actions,
            gaps=gaps,
            verdict=BAD if bad or lost else FAIR if fair else GOOD,
            reasons=(*bad, *lost, *fair),
            bad_frames=scan.bad_frames,
            left_out=session.left_out,
        )


class _SessionScan:
    """Collects statistics of a session's messages, in the order in which they were written."""

    def __init__(self, session: SessionReader) -> None:
        self._session = session
        robot = session.info.robot
        self.finder = GapCounter(bool(robot and robot.lock_step))
        self.counter = ActionCounter(robot)
        self.pairing = Pairing(round(robot.settle_time * 1e9) if robot else 0)
        self.bad_frames = 0
        self._example = ''
        self._decoders = {
            comms.ROBOT_INFO.name: self.finder.add_robot_info,
            comms.ROBOT_STATE.name: self.finder.add_robot_state,
            comms.APPLIED_ACTION.name: self._add_action,
        }

    def add(self, event: RawEvent) -> None:
        problem = image_problem(event.topic, event.data)
        if problem:
            self.bad_frames += 1
            self._example = self._example or problem
        try:
            self.finder.add_message(event)
            if not problem and (event.topic in _OBSERVED or event.topic.startswith(comms.OBSERVATION_PREFIX)):
                self.pairing.senses.setdefault(event.topic, []).append(cdr_fields.stamp(event.data))
        except UNREADABLE as error:
            if problem:
                return
            raise UserError(
                f'session {self._session.path}, topic {event.topic!r}',
                expected=f'messages of type {event.type}',
                found=repr(error),
            ) from error
        if add := self._decoders.get(event.topic):
            add(self._session.decode(event).message)

    def _add_action(self, message: Any) -> None:
        self.counter.add(message)
        if not message.error_code:
            self.pairing.actions.append((to_nanoseconds(message.start), to_nanoseconds(message.end)))

    @property
    def broken(self) -> list[str]:
        """Reason for images that can't be decoded; empty without any."""
        if not self.bad_frames:
            return []
        return [f'{self.bad_frames} images that can not be decoded, which cost their steps: {self._example}']


def _missing(info: SessionInfo, topics: Mapping[str, Any], actions: Actions) -> list[str]:
    seen = {comms.IMAGE.name, comms.COMPRESSED.name, comms.EMBEDDING.name} & set(topics)
    senses = seen or {name for name in topics if name.startswith(comms.OBSERVATION_PREFIX)}
    lacks = [] if info.robot else [f'no {comms.ROBOT_INFO.name}: the meaning of actions is unknown']
    lacks += [] if senses else ['no images, embeddings or observations: nothing to learn from']
    lacks += [] if actions.accepted else ['no action that was carried out: nothing to learn from']
    return lacks


def _defects(gaps: Gaps, info: SessionInfo) -> list[str]:
    share = gaps.dropped_frames / max(gaps.dropped_frames + gaps.frames, 1)
    counts = {
        'clock jumps': gaps.clock_jumps,
        'silences of more than 5 s': gaps.silences,
        'reconnects of the robot': gaps.reconnects,
        'restarts of the learner': gaps.restarts,
        'actions missing in their numbers': gaps.missing_actions,
        'experiences missing in their numbers': gaps.missing_experiences,
        'messages lost before the recorder': info.lost,
    }
    flaws = [f'{gaps.dropped_frames} images missing ({share:.1%})'] if share > _FRAMES_SHARE else []
    flaws += [f'{count} {what}' for what, count in counts.items() if count]
    flaws += [f'{count} times: {text}' for text, count in gaps.faults.items()]
    return flaws + ([f'repaired: {info.repaired}'] if info.repaired else [])
