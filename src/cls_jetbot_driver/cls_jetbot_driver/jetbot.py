"""The robot's motors and battery, over a connection of their own, so that no image stands before a stop."""

from collections.abc import Callable
import math

from cls_common.driver.link import LinkError
from cls_common.driver.safety import StopLatch

from .connection import Connection
from .motion import check_motors, Motors, STILL

_MOTORS, _BATTERY = 'set_motors', 'get_battery_voltage'


class JetBot:
    """Motors of a connected robot. Its first command sets them to 0.

    Args:
        connection: used for nothing else.
        limit: largest motor value.

    Raises:
        LinkError: at construction, if the robot does not confirm that its motors are at 0.
    """

    def __init__(self, connection: Connection, limit: float) -> None:
        self._connection = connection
        self._limit = limit
        try:
            connection.prepare(_MOTORS)
            self.stop()
            self._has_battery = connection.offers(_BATTERY)
        except LinkError:
            connection.close()
            raise

    def set_motors(self, motors: Motors, latch: StopLatch) -> None:
        """Sets the motors and waits for the robot's confirmation.

        Raises:
            StoppedError: the emergency stop is latched; nothing was sent.
            LinkError: not confirmed.
        """
        check_motors(motors, self._limit)
        answers: list[Callable[[], object]] = []
        # Sending holds the latch, waiting does not: a stop is the next message after the one that is under way.
        latch.send(lambda: answers.append(self._connection.send(_MOTORS, motors.left, motors.right)))
        _confirm(answers[0]())

    def send_stop(self) -> None:
        """Sets the motors to 0 without waiting for the confirmation; from any thread; raises LinkError."""
        self._connection.send(_MOTORS, STILL.left, STILL.right)

    def stop(self) -> None:
        """Sets the motors to 0, confirmed; raises LinkError."""
        _confirm(self._connection.call(_MOTORS, STILL.left, STILL.right))

    def battery(self) -> float | None:
        """Returns the voltage; None if this robot does not report one. Raises LinkError for any other answer."""
        if not self._has_battery:
            return None
        volts = self._connection.call(_BATTERY)
        if type(volts) not in (int, float) or not math.isfinite(volts):  # type: ignore[arg-type]
            raise LinkError('battery of the JetBot', expected='a voltage', found=_kind(volts))
        return float(volts)  # type: ignore[arg-type]

    def close(self) -> None:
        """Closes the connection; may be called twice."""
        self._connection.close()


def _confirm(answer: object) -> None:
    # `type`, since an object of the robot can claim any class.
    if type(answer) not in (type(None), bool, int, float, str) or answer is False:
        raise LinkError('motors of the JetBot', expected='confirmation', found=_kind(answer))


def _kind(answer: object) -> str:
    return repr(answer)[:40] if type(answer) in (bool, int, float, str) else f'a {type(answer).__name__}'
