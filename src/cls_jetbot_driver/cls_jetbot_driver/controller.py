"""Control of a JetBot: actions, automatic stop, lost robot. Single-threaded; waits only for answers of the robot."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
import threading
import time

from cls_common.driver.actions import ActionResult, DriverAction
from cls_common.driver.link import LinkError
from cls_common.driver.safety import check_age, check_values, Code, DriverState, Guard, Refusal, StoppedError

from .jetbot import JetBot
from .motion import course, Motors, to_index
from .settings import JetBotDriverSettings

CHANNEL = 'motion'


@dataclass(frozen=True)
class JetBotStatus:
    """Status of a JetBot and its link.

    Attributes:
        is_turning: motors are at 0 (False), may turn (True) or are unknown (None).
        battery: V; None where unknown.
        lost_for: s since the robot was lost; 0 while it answers.
        moves, refused, losses: counts since start: actions carried out and refused, lost links.
        latency: s from the last motor command to its confirmation.
    """

    state: DriverState
    reason: Refusal
    is_turning: bool | None
    battery: float | None
    lost_for: float
    moves: int
    refused: int
    losses: int
    latency: float


class JetBotController:
    """Carries out actions on a JetBot, or refuses them with a reason.

    Args:
        connect: connects to the robot and stops its motors; raises UserError.
        on_moving: called before motors are set.
        stamp: ns of the ROS clock.
        camera_problem: why there are no images now; empty: there are. Without images nothing moves.
        clock: s, steady.

    Attributes:
        guard: whether anything may move.
    """

    def __init__(
        self,
        connect: Callable[[], JetBot],
        settings: JetBotDriverSettings,
        *,
        on_moving: Callable[[], None],
        stamp: Callable[[], int],
        camera_problem: Callable[[], str] = lambda: '',
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.guard = Guard('the robot has not confirmed yet that its motors are at 0', 'motors at 0')
        self._connect = connect
        self._settings = settings
        self._table = settings.actions()
        self._on_moving = on_moving
        self._stamp = stamp
        self._camera_problem = camera_problem
        self._clock = clock
        self._robot: JetBot | None = None
        # Ends a wait between two setpoints.
        self._stopped = threading.Event()
        self._lost_at: float | None = None
        self._battery: float | None = None
        self._last_request = self._battery_read = clock()
        self._latency = 0.0
        self._moves = self._refused = self._losses = 0

    @property
    def is_connected(self) -> bool:
        """Whether the link is open."""
        return self._robot is not None

    def connect(self) -> None:
        """Connects to the robot, whose motors are then at 0; raises UserError, also for a low battery."""
        robot = self._connect()
        self._last_request = self._clock()
        try:
            self._check_health(robot)
        except LinkError:
            robot.close()
            raise
        self._robot = robot
        self._lost_at = None
        self.guard.linked()
        self.guard.torque_off()

    def check(self, action: DriverAction) -> Refusal | None:
        """Returns the reason to refuse an action now, or None."""
        refusal = check_values(action.values, (CHANNEL,)) or self.guard.refuse()
        if refusal is None and self._settings.command_age > 0:
            refusal = check_age(action.age + self._clock() - action.arrived, self._settings.command_age)
        return refusal

    def refuse(self, action: DriverAction, refusal: Refusal) -> ActionResult:
        """Returns the result of a refused action."""
        self._refused += 1
        now = self._stamp()
        return ActionResult(action, (0.0,), None, None, now, now, refusal.code, refusal.text)

    def act(self, action: DriverAction) -> ActionResult:
        """Carries out an action and returns when the robot has confirmed that its motors are at 0 again."""
        refusal = self.check(action)
        if refusal is not None or self._robot is None:
            return self.refuse(action, refusal or Refusal(Code.NOT_READY, 'no robot is connected'))
        index = to_index(action.values[0], len(self._table))
        start = self._stamp()
        self._stopped.clear()
        self.guard.moving()
        self._on_moving()
        try:
            self._follow(self._robot, self._table[index])
        except StoppedError:
            # How far it had come is unknown; `poll` confirms that the motors are at 0.
            text = self.guard.reason.text
            return ActionResult(action, (), None, None, start, self._stamp(), Code.NOT_READY, text)
        except LinkError as error:
            self.disconnect(error)
            return ActionResult(action, (), None, None, start, self._stamp(), Code.LINK_LOST, str(error))
        finally:
            self.guard.moved()
        self.guard.torque_off()
        self._moves += 1
        return ActionResult(action, (float(index),), None, None, start, self._stamp())

    def _follow(self, robot: JetBot, motors: Motors) -> None:
        """Sets the motors along the course of an action; what a slow link missed is left out, never the end."""
        points = course(motors, self._settings.duration)
        begin, sent = self._clock(), None
        for index, point in enumerate(points):
            self._stopped.wait(max(0.0, begin + point.time - self._clock()))
            is_last = index == len(points) - 1
            is_missed = not is_last and self._clock() - begin >= points[index + 1].time
            if is_last or not (is_missed or point.motors == sent):
                asked = self._clock()
                robot.set_motors(point.motors, self.guard.latch)
                sent, self._last_request = point.motors, self._clock()
                self._latency = self._last_request - asked

    @property
    def time_until_poll(self) -> float:
        """Time until the motors are set to 0 again, s."""
        return max(0.0, self._settings.keepalive - (self._clock() - self._last_request))

    @property
    def must_switch_off(self) -> bool:
        """Whether a stop is not confirmed yet."""
        return self.guard.needs_rearm and not self.guard.off_confirmed

    def poll(self) -> None:
        """Sets the motors to 0 again and checks battery and camera; raises LinkError."""
        if self._robot is not None and (self.must_switch_off or self.time_until_poll <= 0):
            self.switch_off()
            self._check_health(self._robot)

    def switch_off(self) -> None:
        """Sets the motors to 0, confirmed by the robot; raises LinkError if it does not answer."""
        if self._robot is not None:
            self._robot.stop()
            self._last_request = self._clock()
            self.guard.torque_off()

    def send_stop(self) -> None:
        """Sets the motors to 0 without waiting for the confirmation; from any thread; raises LinkError."""
        self._stopped.set()
        robot = self._robot
        if robot is not None:
            robot.send_stop()

    def disconnect(self, error: Exception) -> None:
        """Sets the motors to 0 if that is still possible and closes the link: no motion until `connect` succeeds."""
        self.guard.lost(str(error))
        if self._lost_at is None:
            self._lost_at = self._clock()
        robot, self._robot = self._robot, None
        if robot is None:
            return
        self._losses += 1
        # A robot whose answers are damaged or late still receives it, after what was sent before.
        with suppress(LinkError):
            robot.send_stop()
        robot.close()

    def close(self) -> None:
        """Closes the link; may be called twice."""
        if self._robot is not None:
            self._robot.close()
            self._robot = None

    def _check_health(self, robot: JetBot) -> None:
        problem = self._camera_problem()
        if problem:
            raise LinkError(f'no images of the JetBot: {problem}')
        now = self._clock()
        if self._battery is not None and now - self._battery_read < self._settings.battery_period:
            return
        self._battery, self._battery_read = robot.battery(), now
        if self._battery is not None and self._battery < self._settings.battery_min:
            low, self._battery_read = self._battery, -self._settings.battery_period
            raise LinkError(
                'battery of the JetBot', expected=f'at least {self._settings.battery_min:g} V', found=f'{low:.1f} V',
                do='Charge it.',
            )  # fmt: skip

    def status(self) -> JetBotStatus:
        """Returns the status; may be called from any thread."""
        lost_at = self._lost_at
        return JetBotStatus(
            state=self.guard.state,
            reason=self.guard.reason,
            is_turning=self.guard.torque,
            battery=self._battery,
            lost_for=0.0 if lost_at is None else self._clock() - lost_at,
            moves=self._moves,
            refused=self._refused,
            losses=self._losses,
            latency=self._latency,
        )
