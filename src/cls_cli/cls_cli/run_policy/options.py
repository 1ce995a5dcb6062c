"""Options of `run` beside the robot, and their checks."""

from dataclasses import dataclass
from pathlib import Path

from cls_bringup.graph import GraphOptions, REPLAY
from cls_common.errors import UserError
from cls_learning.config import LearningSettings
from cls_learning.registries import POLICIES
from cls_recording.reader import SessionReader

from .robot_process import check_alone

MANUAL = 'manual'


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Options beside the robot.

    Attributes:
        policy: its name. action, sequence, session, filter_action: input of one policy each, see PolicySettings.
        steps: number of actions after which the run ends; 0: no limit.
        duration: s after the first action after which the run ends; 0: no limit.
        max_rate: actions per second at most; 0: as fast as the robot answers.
        interactive: each action is confirmed or replaced at the keyboard.
        attach: the robot already runs; no process is started.
    """

    policy: str = 'random'
    action: str = ''
    sequence: str = ''
    session: str = ''
    filter_action: str = ''
    steps: int = 0
    duration: float = 0.0
    max_rate: float = 0.0
    interactive: bool = False
    view: bool = False
    attach: bool = False
    namespace: str = ''
    log_level: str = ''
    startup_timeout: float = 60.0
    report: Path | None = None

    def settings(self) -> LearningSettings:
        """Returns the settings of the policy."""
        given = {name: getattr(self, name) for name in ('action', 'sequence', 'session', 'filter_action')}
        given['kind'] = self.policy
        return LearningSettings.from_flat({f'policy.{name}': value for name, value in given.items()})

    def check(self, options: GraphOptions) -> None:
        """Raises UserError for options that contradict each other or the machine, before any process is started."""
        if options.robot == REPLAY:
            raise UserError(
                'robot replay', expected='a robot that acts', do='./cls play replays, --session acts again.'
            )
        if self.attach and options.record:
            raise UserError('--record with --attach', do='Start a recorder beside it: ./cls record.')
        if self.policy != MANUAL:
            POLICIES.find(self.policy)
        if self.session:
            with SessionReader(Path(self.session)):
                pass
        if not self.attach:
            check_alone(self.namespace)
