"""What a user may choose for `run`, and what can't be."""

from dataclasses import dataclass
from pathlib import Path

from cls_bringup.graph import GraphOptions, REPLAY
from cls_common.errors import UserError
from cls_learning.config import LearningSettings
from cls_learning.registries import POLICIES
from cls_recording.reader import SessionReader

from .body import check_alone

MANUAL = 'manual'


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What a user may choose beside the robot.

    Attributes:
        policy: by name; the others belong to one of them each: see PolicySettings.
        steps, duration: actions and s after which it ends; 0: not by this.
        rate: actions a second at most; 0: as fast as the robot goes.
        interactive: a person confirms or overrides each action.
        attach: the robot runs already.
    """

    policy: str = 'random'
    action: str = ''
    sequence: str = ''
    session: str = ''
    filter_action: str = ''
    steps: int = 0
    duration: float = 0.0
    rate: float = 0.0
    interactive: bool = False
    view: bool = False
    attach: bool = False
    namespace: str = ''
    log_level: str = ''
    startup_timeout: float = 60.0
    report: Path | None = None

    def settings(self) -> LearningSettings:
        """Returns what the policy is told."""
        told = {name: getattr(self, name) for name in ('action', 'sequence', 'session', 'filter_action')}
        told['kind'] = self.policy
        return LearningSettings.from_flat({f'policy.{name}': value for name, value in told.items()})

    def check(self, options: GraphOptions) -> None:
        """Raises UserError for what can't be, before anything is started."""
        if options.robot == REPLAY:
            raise UserError(
                'robot replay', expected='a robot that acts', do='./cls play replays, --session acts again.'
            )
        if self.attach and options.record:
            raise UserError('--record with --attach', do='Start a recorder beside it: ./cls record.')
        folder = self.report.parent if self.report else Path()
        if not folder.is_dir():
            raise UserError(f'report {self.report}', expected='an existing folder', do=f'mkdir -p {folder}')
        if self.policy != MANUAL:
            POLICIES.find(self.policy)
        if self.session:
            with SessionReader(Path(self.session)):
                pass
        if not self.attach:
            check_alone(self.namespace)
