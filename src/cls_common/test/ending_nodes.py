"""Small nodes for tests of how a node ends: `python ending_nodes.py KIND COUNT [ROS ARGUMENTS]`.

COUNT nodes run at once, each a process of its own, forked before ROS starts so that loading rclpy is paid once.
A node says `ready PID` when it spins and `closed PID CONTEXT_OK` at its end; the parent says for each
`ended PID STATUS MONOTONIC_SECONDS`. `telling` says `heard PID` when a subscriber is there.
"""

import os
import sys
import time

import rclpy
from rclpy.executors import MultiThreadedExecutor, SingleThreadedExecutor
from rclpy.node import Node

from cls_common import node_process
from cls_common.comms import ROBOT_STATE
from cls_common.errors import UserError
from cls_common.nodes import qos, runner
from cls_interfaces.msg import RobotState


def say(*words: object) -> None:
    # One write a line: whole even where several processes share the pipe.
    os.write(1, (' '.join(map(str, words)) + '\n').encode())


class Winding(Node):
    """Goes on after a signal: spun until its timer has fired three times more, or for ever."""

    def __init__(self, kind: str) -> None:
        super().__init__('winding')
        self.finished, self.exit_status = False, 1 if kind == 'losing' else 0
        self._left = 3 if kind != 'stubborn' else 1 << 30
        self._is_winding = self._is_ready = False
        qos.steady_timer(self, 0.005, self.tick)

    def tick(self) -> None:
        if not self._is_ready:
            self._is_ready = True
            say('ready', os.getpid())
        if self._is_winding:
            self._left -= 1

    def wind_down(self) -> bool:
        if not self._is_winding:
            self._is_winding = True
            say('winding', os.getpid())
        return self._left <= 0

    def close(self) -> None:
        say('closed', os.getpid(), rclpy.ok())


class Ending(Node):
    """Publishes at its end, when rclpy's own signal handlers would have ended the context already."""

    def __init__(self, kind: str) -> None:
        super().__init__('ending')
        self.kind = kind
        self.finished = self.is_heard = False
        self.state = qos.publisher(self, ROBOT_STATE)
        if kind == 'refusing':
            raise UserError('camera 7', expected='a camera', found='nothing', do='Plug it in.')
        if kind == 'starting':
            say('ready', os.getpid())
            os.read(0, 1)  # blocks as a slow handshake does, until the test has sent its signal
        else:
            self.first = qos.steady_timer(self, 0.001, self.begin)
        if kind != 'idle':
            qos.steady_timer(self, 0.005, self.tick)

    def begin(self) -> None:
        self.first.cancel()
        say('ready', os.getpid())

    def tick(self) -> None:
        if self.kind == 'telling' and self.state.get_subscription_count() and not self.is_heard:
            self.is_heard = True
            say('heard', os.getpid())
        if self.kind == 'failing':
            raise UserError('board', expected='an answer', found='silence\nfor a second')
        if self.kind == 'crashing':
            raise RuntimeError('a defect')
        self.finished = self.kind == 'finishing'

    def close(self) -> None:
        self.state.publish(RobotState(state=RobotState.STOPPED))
        say('closed', os.getpid(), rclpy.ok())


class Listening(Node):
    """Says each state of the robot that it receives."""

    def __init__(self) -> None:
        super().__init__('listening')
        qos.subscription(self, ROBOT_STATE, lambda message: say('state', message.state))


def main() -> int:
    kind, count, arguments = sys.argv[1], int(sys.argv[2]), [sys.argv[0], *sys.argv[3:]]
    executor = MultiThreadedExecutor if kind == 'threads' else SingleThreadedExecutor
    make = Winding if kind in ('winding', 'losing', 'stubborn') else Ending
    for _ in range(count):
        if os.fork() == 0:
            node = Listening if kind == 'listening' else lambda: make(kind)
            node_process.end(runner.run(node, arguments, executor))
    for _ in range(count):
        pid, status = os.wait()
        say('ended', pid, os.waitstatus_to_exitcode(status), time.monotonic())
    return 0


if __name__ == '__main__':
    sys.exit(main())
