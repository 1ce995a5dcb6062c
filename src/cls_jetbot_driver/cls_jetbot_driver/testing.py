"""What tests of the driver share: a driver with its link, as in the node, for a JetBot without hardware."""

from collections.abc import Callable
import threading
import time
from typing import Any

from cls_common.driver.actions import ActionResult, DriverAction
from cls_common.driver.link import Link
from cls_common.driver.safety import DriverState

from .connection import Connection
from .controller import JetBotController
from .fake_jetbot import FakeJetBot
from .jetbot import JetBot
from .settings import JetBotDriverSettings

DEADLINE = 30.0
FAST = {'motor_timeout': 1.0, 'keepalive': 0.05, 'battery_period': 0.05, 'reconnect.longest': 0.2, 'duration': 0.1}


class Host:
    """A driver and its link, with callbacks like the node's, and waits with deadlines."""

    def __init__(self, robot: FakeJetBot, **changes: object) -> None:
        self.robot = robot
        self.settings = JetBotDriverSettings.from_flat({'port': robot.port} | FAST | changes)
        self.camera_problem = ''
        self._changed = threading.Condition()
        self._results: list[ActionResult] = []
        self._sequence = 0
        self.driver = JetBotController(
            self._connect, self.settings, on_moving=self._notify, stamp=time.time_ns,
            camera_problem=lambda: self.camera_problem,
        )  # fmt: skip
        self.link = Link(self.driver, self.settings.reconnect, self._notify, time.monotonic)
        self.driver.connect()
        self.link.start()

    def _connect(self) -> JetBot:
        return JetBot(Connection(self.settings.address(), self.settings.motor_timeout), self.settings.max_motor)

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def wait_for(self, predicate: Callable[[], Any]) -> None:
        with self._changed:
            assert self._changed.wait_for(predicate, DEADLINE), self.driver.status()

    def wait_for_state(self, state: DriverState) -> None:
        self.wait_for(lambda: self.driver.status().state is state)

    def send(self, *values: float, sequence: int = 0, age: float = 0.0) -> None:
        self._sequence += 1
        self.link.submit(DriverAction('test', sequence or self._sequence, values, age, time.monotonic()))

    def ask(self, *values: float, **how: Any) -> ActionResult:
        """Sends one action and returns its result."""
        self.send(*values, **how)
        return self.next_result()

    def next_result(self) -> ActionResult:
        def have() -> list[ActionResult]:
            self._results += self.link.take_results()
            return self._results

        self.wait_for(have)
        return self._results.pop(0)
