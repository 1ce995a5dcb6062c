"""Node that moves a robot by keys."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
import sys

from rclpy.node import Node

from cls_bringup.nodes.manual import ManualControl, SOURCE
from cls_common.errors import UserError
from cls_common.nodes import runner
from cls_common.nodes.parameters import declare
from cls_common.nodes.qos import steady_timer
from cls_common.settings import setting, Settings

from .. import keys
from ..terminal import is_interactive, key_reader

_PERIOD = 0.05
_HINT = 'w/s tilt   a/d pan   space hold still   q quit'


@dataclass(frozen=True, kw_only=True)
class TeleopSettings(Settings):
    """Parameters of teleop."""

    step: float = setting(keys.STEP_DEG, 'size of one manual step of a pan-tilt robot', unit='deg', low=0.0, high=90.0)


class Teleop(Node):
    """Publishes an action for each key pressed.

    Parameters:
        step (double, 5.0): size of one manual step of a pan-tilt robot, degrees.

    Publishers:
        manual_action (cls_interfaces/RobotAction): while there is a fast_learner; it acts on it in mode manual.
        robot/action (cls_interfaces/RobotAction): while there is none.

    Subscribers:
        robot/info (cls_interfaces/RobotInfo).

    Timers:
        keys, 20 Hz.
    """

    def __init__(self) -> None:
        super().__init__(SOURCE)
        self.finished = False
        self._step = declare(self, TeleopSettings).step
        if not is_interactive():
            raise UserError('teleop reads keys', expected='a terminal', found='none')
        self._control = ManualControl(self, with_robot=True)
        self._stack = ExitStack()
        self._keys = self._stack.enter_context(key_reader())
        print(_HINT)
        steady_timer(self, _PERIOD, self._read)

    def _read(self) -> None:
        for key in self._keys.read(0.0):
            if keys.moves(key):
                print(f'\r\x1b[K{keys.send(self._control, key, self._step)}', end='', flush=True)
            self.finished |= key == keys.QUIT
        self.finished |= not self._keys.is_open

    def close(self) -> None:
        """Restores the terminal."""
        self._stack.close()
        print()


def main(args: Sequence[str] | None = None) -> int:
    """Runs the node."""
    status: int = runner.run(Teleop, args)
    return status


if __name__ == '__main__':
    sys.exit(main())
