"""How good a session is, as material to learn from: what it holds, what it lacks, and a verdict. No ROS here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cls_common import comms
from cls_common.errors import UserError

from . import bag, peek
from .actions import ActionCounter, Actions, to_ns
from .gaps import GapFinder, Gaps
from .image_check import CAMERAS, image_problem, UNREADABLE
from .pairing import Pairing
from .reader import RawEvent, SessionReader
from .session import SessionInfo

GOOD, FAIR, BAD = 'good', 'fair', 'bad'
# One image in a hundred: windows of four images then still hold in 96 of 100 cases.
_FRAMES_SHARE = 0.01
# What the steps of a learner are closed by, beside observations.
_SENSES = (*CAMERAS, comms.EMBEDDING.name)


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
        bad_frames: images that can't be decoded. left_out: topics that can't be read, and why.
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
    bad_frames: int = 0
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def duration(self) -> float:
        """Length by log time, s."""
        return (self.end - self.start) * 1e-9


def examine(path: Path) -> Health:
    """Reads a session once, without decoding any image; raises UserError as SessionReader does."""
    with SessionReader(path) as session:
        look = _Look(session)
        for event in session.raw(by_time=False):
            look.see(event)
        gaps, actions = look.finder.finish(), look.counter.finish()
        duration = max((session.end - session.start) * 1e-9, 1e-9)
        topics = {
            name: TopicHealth(topic.type, topic.count, topic.count / duration) for name, topic in session.topics.items()
        }
        useless, unpaired = look.pairing.problems()
        bad = _lacks(session.info, topics, actions) + ([] if comms.EXPERIENCE.name in topics else useless)
        fair = _flaws(gaps, session.info) + look.broken + unpaired
        lost = [f'{session.info.dropped} messages dropped'] if session.info.dropped else []
        return Health(
            path=path, info=session.info, start=session.start, end=session.end, size=bag.size(path), topics=topics,
            actions=actions, gaps=gaps, verdict=BAD if bad or lost else FAIR if fair else GOOD,
            reasons=(*bad, *lost, *fair), bad_frames=look.bad_frames, left_out=session.left_out,
        )  # fmt: skip


class _Look:
    """Takes a session's messages in the order in which they were written."""

    def __init__(self, session: SessionReader) -> None:
        self._session = session
        robot = session.info.robot
        self.finder = GapFinder(bool(robot and robot.lock_step))
        self.counter = ActionCounter(robot)
        self.pairing = Pairing(round(robot.settle_time * 1e9) if robot else 0)
        self.bad_frames = 0
        self._example = ''
        self._seers = {
            comms.ROBOT_INFO.name: self.finder.see_robot, comms.ROBOT_STATE.name: self.finder.see_state,
            comms.APPLIED_ACTION.name: self._see_action,
        }  # fmt: skip

    def see(self, event: RawEvent) -> None:
        problem = image_problem(event.topic, event.data)
        if problem:
            self.bad_frames += 1
            self._example = self._example or problem
        try:
            self.finder.see_raw(event)
            if not problem and (event.topic in _SENSES or event.topic.startswith(comms.OBSERVATION_PREFIX)):
                self.pairing.senses.setdefault(event.topic, []).append(peek.stamp(event.data))
        except UNREADABLE as error:
            if problem:
                return
            raise UserError(
                f'session {self._session.path}, topic {event.topic!r}', expected=f'messages of type {event.type}',
                found=repr(error),
            ) from error  # fmt: skip
        if seer := self._seers.get(event.topic):
            seer(self._session.decode(event).message)

    def _see_action(self, message: Any) -> None:
        self.counter.see(message)
        if not message.error_code:
            self.pairing.actions.append((to_ns(message.start), to_ns(message.end)))

    @property
    def broken(self) -> list[str]:
        """What to say of images that can't be decoded."""
        if not self.bad_frames:
            return []
        return [f'{self.bad_frames} images that can not be decoded, which cost their steps: {self._example}']


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
