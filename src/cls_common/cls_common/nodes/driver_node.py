"""The part of a node that all robot drivers share: actions in, results and states out, emergency stop and rearm."""

from collections.abc import Sequence
import time
from typing import Any, ClassVar

from rclpy.timer import Timer
from std_srvs.srv import Trigger

from cls_interfaces.msg import RobotAction

from .. import comms
from ..driver.link import Link
from ..driver.safety import Code, DriverState, Refusal
from . import qos
from .driver_messages import from_action
from .driver_publishers import DriverPublishers
from .lifecycle import AutostartLifecycleNode


class DriverNode(AutostartLifecycleNode):
    """A driver with a link to its robot. A subclass sets `_link` when configured and `_publish` in `__init__`.

    Attributes:
        STOP_WAIT: s that the service `emergency_stop` waits for the robot's confirmation.
        STOPPED, NOT_CONFIRMED, ARMED: answers of the services.
    """

    STOP_WAIT: ClassVar[float]
    STOPPED: ClassVar[str]
    NOT_CONFIRMED: ClassVar[str]
    ARMED: ClassVar[str]
    _publish: DriverPublishers

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._link: Link[Any] | None = None
        self._is_active = False
        self._steady_timers: list[Timer] = []
        self._endpoints: list[tuple[str, object]] = []
        # Triggered by other threads; everything is published from the executor's thread.
        self._change = self.create_guard_condition(self._publish_changes)

    def _accept(self, timers: Sequence[Timer]) -> None:
        """Accepts actions and calls of the services from now on; the timers end with it."""
        self._endpoints = [
            ('subscription', qos.subscription(self, comms.ROBOT_ACTION, self._take_action)),
            ('service', self.create_service(Trigger, comms.EMERGENCY_STOP.name, self._emergency_stop)),
            ('service', self.create_service(Trigger, comms.REARM.name, self._rearm)),
        ]
        self._steady_timers = list(timers)
        self._publish_changes()

    def _refuse(self) -> None:
        """Accepts nothing any more, and stops the robot."""
        for timer in self._steady_timers:
            self.destroy_timer(timer)
        for kind, endpoint in self._endpoints:
            getattr(self, f'destroy_{kind}')(endpoint)
        self._steady_timers, self._endpoints = [], []
        if self._link is not None:
            self._link.stop()

    def _publish_end(self, reason: str) -> None:
        """Publishes the last results, and that the driver is not active."""
        self._publish_changes()
        # The link's last trigger may still follow, and must not publish ready after this.
        self._is_active = False
        self._publish.state(DriverState.FAULT, Refusal(Code.POSITION_UNKNOWN, reason))

    def _take_action(self, message: RobotAction) -> None:
        if self._link is not None:
            self._link.submit(from_action(message, self.get_clock().now().nanoseconds, time.monotonic()))

    def _emergency_stop(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = self._link is not None and self._link.emergency_stop(self.STOP_WAIT)
        response.message = self.STOPPED if response.success else self.NOT_CONFIRMED
        return response

    def _rearm(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        reason = self._link.rearm() if self._link is not None else 'the driver is not active'
        response.success = not reason
        response.message = reason or self.ARMED
        return response

    def _publish_changes(self) -> None:
        if self._link is None or not self._is_active:
            return
        for result in self._link.take_results():
            self._publish.result(result)
        status = self._link.status()
        self._publish.state(status.state, status.reason)
