"""Recorded sessions to look at: their list, their steps with images, windows of steps, and the actions taken."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from cls_common import comms
from cls_common.errors import UserError
from cls_common.images import Image
from cls_common.robot import Kind, RobotInfo
from cls_common.transition import CAMERA, Floats, Transition
from cls_learning.brain import Input
from cls_recording.discovery import find_sessions
from cls_recording.reader import SessionReader
from cls_recording.steps import missing
from cls_recording.summary import SessionSummary, summarize

from ..transition_reader import TransitionReader

# Of pictures that no model asks for; steps that are held in memory at most, 150 kB each in this size.
SIZE, MOST_STEPS = (224, 224), 2000


@dataclass(frozen=True)
class Session:
    """The steps of one session.

    Attributes:
        path: its folder. robot: that it was recorded on. steps: in order, with camera images of one size.
        problem: why steps were left out; empty where none were.
    """

    path: Path
    robot: RobotInfo
    steps: tuple[Transition, ...]
    problem: str = ''

    @property
    def frames(self) -> list[Image]:
        """The image after each step, uint8 (H, W, 3)."""
        return [step.after[CAMERA] for step in self.steps]

    @property
    def captions(self) -> list[str]:
        """The action of each step, in words."""
        return [action_text(self.robot, step.action_commanded) for step in self.steps]

    def starts(self, history: int) -> list[int]:
        """Returns the numbers of the steps that have enough steps before them for a `window`."""
        found, run = [], 0
        for number, step in enumerate(self.steps):
            run = 1 if step.boundary else run + 1
            if run >= history:
                found.append(number)
        return found

    def window(self, number: int, history: int) -> tuple[Transition, ...]:
        """Returns a step and the steps before it, `history` in all.

        Raises:
            UserError: there is no such step, or a gap or the start of an episode is among them.
        """
        if not 0 <= number < len(self.steps):
            raise UserError(f'step {number} of {self.path.name}', expected=f'0 to {len(self.steps) - 1}')
        run = 1
        while run <= number and not self.steps[number - run + 1].boundary:
            run += 1
        if run < history:
            raise UserError(
                f'step {number} of {self.path.name}', expected=f'{history} steps in a row', found=f'{run} since a gap',
                do='Choose a later step, or a shorter history.',
            )  # fmt: skip
        return self.steps[number - history + 1 : number + 1]


@dataclass(frozen=True)
class ActionShare:
    """How often an action was taken: its values in robot units, in words, its count and its percentage."""

    action: tuple[float, ...]
    text: str
    count: int
    percent: float


def list_sessions(paths: Sequence[Path]) -> list[SessionSummary]:
    """Returns summaries of all sessions in some folders, damaged ones included; call it again to refresh.

    Raises:
        UserError: a path that does not exist, or holds no session.
    """
    return [summarize(path) for path in find_sessions(paths)]


def robot_of(path: Path) -> RobotInfo:
    """Returns the robot of a session; raises UserError for a damaged session, or one that names none."""
    with SessionReader(path) as reader:
        robot = reader.robot()
        if robot is None:
            raise missing(reader, [comms.ROBOT_INFO.name])
        return robot


def read_session(path: Path, size: tuple[int, int] = SIZE, most: int = MOST_STEPS) -> Session:
    """Reads the steps of a session with their camera images.

    Args:
        size: (height, width) to which images are brought, as the model has it. most: steps read, from the start.

    Raises:
        UserError: the session is damaged, or its robot has no camera.
    """
    robot = robot_of(path)
    inputs, shapes = (Input(CAMERA, 'image', size),), {CAMERA: (*size, 3)}
    reader = TransitionReader([path], robot, inputs, shapes, encoder=None)
    return Session(path, robot, tuple(islice(reader.transitions(), most)), reader.problem)


def action_shares(paths: Sequence[Path]) -> list[ActionShare]:
    """Returns the distribution of the actions of some sessions of one robot, most frequent first.

    Actions are counted as they were commanded; those that the robot refused are left out.

    Raises:
        UserError: a session is damaged, or of another robot than the first.
    """
    robot, actions = robot_of(paths[0]), []
    for path in paths:
        found = robot_of(path)
        if found.channels != robot.channels:
            raise UserError(f'session {path}', expected=f'robot {robot.name!r}', found=repr(found.name))
        with SessionReader(path) as reader:
            answers = (event.message for event in reader.events([comms.APPLIED_ACTION.name]))
            actions += [tuple(map(float, each.commanded)) for each in answers if not each.error_code]
    return shares_of(robot, actions)


def shares_of(robot: RobotInfo, actions: Iterable[tuple[float, ...]]) -> list[ActionShare]:
    """Returns the distribution of actions in robot units, most frequent first."""
    counts = Counter(actions)
    total = counts.total()
    return [
        ActionShare(action, action_text(robot, action), count, 100 * count / total)
        for action, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    ]


def action_text(robot: RobotInfo, action: Sequence[float] | Floats) -> str:
    """Returns an action in words, such as `pan=5 deg tilt=0 deg`."""
    parts = []
    for channel, value in zip(robot.channels, action):
        unit = f' {channel.unit}' if channel.unit and channel.kind != Kind.DISCRETE else ''
        parts.append(f'{channel.name}={float(value):.3g}{unit}')
    return ' '.join(parts)
